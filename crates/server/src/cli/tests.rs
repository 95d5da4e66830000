//! Tests of the subcommands.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::RealDisk;
use raft::MemberId;
use replica::Replica;
use sha2::{Digest, Sha256};
use store::{Command, Machine, Put};
use tempfile::TempDir;

use super::options::{CALLING, Output, PRINTING};
use super::*;
use crate::config::{Group, flag};
use crate::dice;

/// The members of the new cluster.
const MEMBERS: &str = "a=http://10.0.0.1:2380,b=http://10.0.0.2:2380";

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What a subcommand prints, or how it fails.
fn run_words(words: &[&str]) -> Result<String, String> {
    let arguments = strings(words);
    let environment = BTreeMap::new();
    let mut out = Vec::new();
    let result = match words {
        ["snapshot", command, ..] => snapshot(command, &arguments[2..], &environment, &mut out),
        ["verify", ..] => verify::run(&arguments[1..], &environment, &mut out),
        ["status", ..] => status::run(&arguments[1..], &environment, &mut out),
        _ => panic!("{words:?} is no subcommand"),
    };
    let text = String::from_utf8(out).unwrap();
    match result {
        Ok(code) if code == ExitCode::SUCCESS => Ok(text),
        Ok(_) => Err(text),
        Err(error) => Err(format!("{error:#}")),
    }
}

fn options(
    groups: &'static [Group],
    words: &[&str],
    environment: &[(&str, &str)],
) -> Result<Options, String> {
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let read = Options::read("x", groups, &strings(words), &environment, &mut Vec::new());
    Ok(read.map_err(|error| error.to_string())?.unwrap())
}

/// Writes a snapshot of three puts to two keys, as a member sends it.
fn snapshot_file(dir: &Path) -> PathBuf {
    let mut machine = Machine::new();
    for (key, value) in [("a", "1"), ("b", "1"), ("a", "2")] {
        let put = Put { key: key.into(), value: value.into(), ..Put::default() };
        machine.apply(&Command::Put(put)).result.unwrap();
    }
    let mut bytes: Vec<u8> = machine.image().chunks().flatten().collect();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    let path = dir.join("snapshot");
    fs::write(&path, bytes).unwrap();
    path
}

fn restore(dir: &Path, snapshot: &Path, name: &str, more: &[&str]) -> Result<String, String> {
    let address = if name == "a" { "http://10.0.0.1:2380" } else { "http://10.0.0.2:2380" };
    let data = dir.join(name);
    let words = [
        "snapshot",
        "restore",
        snapshot.to_str().unwrap(),
        "--name",
        name,
        "--data-dir",
        data.to_str().unwrap(),
        "--initial-cluster",
        MEMBERS,
        "--initial-advertise-peer-urls",
        address,
    ];
    run_words(&[&words, more].concat())
}

/// Opens a member that was restored.
fn open(data_dir: &Path) -> Replica {
    let dir = crate::layout::member_dir(data_dir);
    let identity = Replica::identity(&RealDisk::new(), &dir).unwrap();
    let options = replica::Options {
        dir,
        core: raft::Config::new(MemberId(identity.member_id), dice::random()),
        tick_millis: 100,
        segment_bytes: wal::Options::SEGMENT_BYTES,
        checkpoint_log_bytes_min: 1 << 20,
        request_ticks_max: 10,
        command_bytes_max: 1 << 20,
        quota_bytes: None,
        strict_reconfiguration: true,
        learners_max: 1,
    };
    Replica::open(Arc::new(RealDisk::new()), options).unwrap()
}

#[test]
fn words_of_a_member_are_no_subcommand() {
    for words in [&[][..], &["--name", "a"], &["-h"]] {
        assert!(run(&strings(words), &BTreeMap::new()).is_none(), "{words:?}");
    }
    for (words, text) in [
        (
            &["serve"][..],
            "`serve` alone is no subcommand; there are help, snapshot, status, verify, \
                          version; see holdfast --help",
        ),
        (
            &["snapshot"],
            "`snapshot` alone is no subcommand; there are save, restore, status; see \
                         holdfast --help",
        ),
        (
            &["snapshot", "copy"],
            "`snapshot copy` is no subcommand; there are save, restore, status",
        ),
    ] {
        let error = run(&strings(words), &BTreeMap::new()).unwrap().unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_tool_does_nothing_if_it_does_not_know_a_flag() {
    let error = options(CALLING, &["--endpoint", "x"], &[]).unwrap_err();
    assert_eq!(error, "--endpoint is not known; is --endpoints meant?");
}

#[test]
fn endpoints_are_called_with_tls_if_it_is_spoken_of() {
    let urls = |words: &[&str], environment: &[(&str, &str)]| -> Vec<String> {
        let endpoints = options(CALLING, words, environment).unwrap().endpoints().unwrap();
        endpoints.into_iter().map(|endpoint| endpoint.url.to_string()).collect()
    };
    assert_eq!(urls(&[], &[]), ["http://127.0.0.1:2379"]);
    assert_eq!(
        urls(&["--cacert", "ca", "--endpoints=a:1,http://b:2/"], &[]),
        ["https://a:1", "http://b:2"]
    );
    assert_eq!(urls(&[], &[("ETCDCTL_ENDPOINTS", "c:3")]), ["http://c:3"]);
    let empty = options(CALLING, &["--endpoints="], &[]).unwrap().endpoints();
    assert!(empty.unwrap_err().to_string().contains("is empty"));
}

#[test]
fn the_form_of_output_has_two_names() {
    for words in [["-w", "json"], ["--write-out", "json"]] {
        let options = options(PRINTING, &words, &[]).unwrap();
        assert_eq!(options.output(Output::Table), Output::Json);
    }
    assert_eq!(options(PRINTING, &[], &[]).unwrap().output(Output::Table), Output::Table);
    assert!(flag::switch("x", "").read("maybe").is_err());
}

#[test]
fn a_member_that_does_not_answer_is_named_and_fails_the_command() {
    let words = ["status", "--endpoints", "127.0.0.1:1", "-w", "json"];
    let text = run_words(&words).unwrap_err();
    assert!(text.starts_with("[{\"Endpoint\":\"127.0.0.1:1\",\"Error\":\""), "{text}");
}

#[test]
fn a_snapshot_is_described() {
    let dir = TempDir::new().unwrap();
    let path = snapshot_file(dir.path());
    let words = ["snapshot", "status", path.to_str().unwrap(), "-w", "json"];
    let described: serde_json::Value = serde_json::from_str(&run_words(&words).unwrap()).unwrap();
    assert_eq!(described["revision"], 4);
    assert_eq!(described["totalKey"], 2);
    assert_eq!(described["totalSize"], fs::metadata(path).unwrap().len());
}

#[test]
fn members_are_restored_to_one_cluster_that_is_new() {
    let dir = TempDir::new().unwrap();
    let path = snapshot_file(dir.path());
    let printed = ["a", "b"].map(|name| restore(dir.path(), &path, name, &[]).unwrap());
    let replicas = ["a", "b"].map(|name| open(&dir.path().join(name)));
    let [a, b] = replicas.each_ref().map(Replica::whose);
    assert_eq!(a.cluster_id, b.cluster_id);
    let founders = crate::bootstrap::InitialCluster::parse(MEMBERS).unwrap();
    let ids: Vec<u64> = founders
        .members()
        .map(|(_, urls)| crate::bootstrap::member_id(urls, "etcd-cluster"))
        .collect();
    assert_eq!([a.member_id, b.member_id], ids[..]);
    assert_ne!(a.cluster_id, crate::bootstrap::cluster_id(ids), "the old cluster had this ID");
    assert!(printed[0].ends_with("revision 1000000004, 2 keys\n"), "{}", printed[0]);

    let [a, b] = replicas.each_ref().map(Replica::published);
    assert_eq!(a.view.revision().0, 1_000_000_004);
    assert_eq!(a.view.compacted(), Some(a.view.revision()));
    assert_eq!(a.view.get(b"a").unwrap().value().bytes(), b"2");
    assert_eq!(a.view.digest(), b.view.digest());
    assert_eq!(a.membership.members().len(), 2);
    let names: Vec<&str> = a.members.values().map(|member| member.name.as_str()).collect();
    assert!(names.contains(&"a") && names.contains(&"b"), "{names:?}");
}

#[test]
fn revisions_and_history_stay_if_asked_for() {
    let dir = TempDir::new().unwrap();
    let path = snapshot_file(dir.path());
    restore(dir.path(), &path, "a", &["--bump-revision=0", "--mark-compacted=false"]).unwrap();
    let published = open(&dir.path().join("a")).published();
    assert_eq!(published.view.revision().0, 4);
    assert_eq!(published.view.compacted(), None);
    let before = published.view.get_at(b"a", mvcc::Revision(2)).unwrap().unwrap();
    assert_eq!(before.value().bytes(), b"1");
}

#[test]
fn a_directory_that_is_not_empty_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let path = snapshot_file(dir.path());
    restore(dir.path(), &path, "a", &[]).unwrap();
    let error = restore(dir.path(), &path, "a", &[]).unwrap_err();
    assert!(error.ends_with("is not empty: name a directory that is, or is not there"), "{error}");
}

#[test]
fn snapshots_that_are_not_whole_are_refused() {
    let dir = TempDir::new().unwrap();
    let path = snapshot_file(dir.path());
    let good = fs::read(&path).unwrap();
    let mut foreign = good.clone();
    foreign[..4].copy_from_slice(b"\0\0\0\0");
    let mut flipped = good.clone();
    flipped[100] ^= 1;
    let mut padded = good.clone();
    let at = padded.len() - 33;
    padded[at] = 1;
    let mut renamed = good.clone();
    *renamed.last_mut().unwrap() ^= 1;
    for (bytes, text) in [
        (&good[..500], "is no whole snapshot: it has 500 bytes"),
        (&good[..32], "is no whole snapshot"),
        (&foreign, "is no snapshot of Holdfast: it begins with 00000000"),
        (&flipped, "is damaged"),
        (&padded, "behind the image, and fewer than 512 zeros were expected"),
        (&renamed, "is not what was sent"),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = restore(dir.path(), &path, "a", &[]).unwrap_err();
        assert!(error.contains(text), "{error}");
        assert!(!dir.path().join("a").exists(), "a refused snapshot leaves nothing behind");
    }
    // Only the hash is wrong now, which may be passed over.
    restore(dir.path(), &path, "a", &["--skip-hash-check"]).unwrap();
}

#[test]
fn what_a_member_has_stored_is_checked() {
    let dir = TempDir::new().unwrap();
    let path = snapshot_file(dir.path());
    restore(dir.path(), &path, "a", &[]).unwrap();
    let data = dir.path().join("a");
    let words = ["verify", data.to_str().unwrap()];
    let text = run_words(&words).unwrap();
    assert!(text.contains("checkpoint-0000000000000001: sound"), "{text}");
    assert!(text.contains("revision 1000000004, 2 keys"), "{text}");

    let checkpoint = data.join("member/checkpoint-0000000000000001");
    let mut bytes = fs::read(&checkpoint).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&checkpoint, bytes).unwrap();
    let text = run_words(&words).unwrap_err();
    assert!(text.contains("is damaged at offset"), "{text}");
    assert!(text.contains("no sound checkpoint stands where the log"), "{text}");
    assert!(run_words(&["verify", "/no/such/place"]).unwrap_err().contains("cannot be checked"));
}
