//! Commands of scripts that use other clients: etcdctl, and plain HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command as Process, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result};
use tests::address::METRICS_PORT;
use tests::{Cluster, programs};

use super::words::Words;

/// What stands before numbers that differ from run to run, or are a server's own business.
const NUMBERS: [&str; 8] = [
    "\"RaftTerm\" : ",
    "\"raft_term\":",
    "\"raftTerm\":",
    "\"raftIndex\":",
    "\"raftAppliedIndex\":",
    "\"dbSize\":",
    "\"dbSizeInUse\":",
    "\"hash\":",
];

/// How long an answer over HTTP may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// `etcdctl "WORD…" [everywhere] [stdin=TEXT] [sorted] [first] [lines=N]`: asks the first member,
/// or all. What differs from run to run is replaced by a word for it. With `lines`, it is ended
/// after so many; with `first`, only the first line is shown.
pub(super) fn etcdctl(
    cluster: &Cluster,
    identities: &[(String, String)],
    words: &mut Words,
) -> Result<String> {
    let file = cluster.directory().join("file");
    let input = words.named("stdin").unwrap_or_default();
    let mut line = words.need("the words of etcdctl")?.replace("$FILE", &file.to_string_lossy());
    for (name, identity) in identities {
        line = line.replace(name, identity);
    }
    let urls = cluster.client_urls();
    let endpoints = if words.has("everywhere") { urls.join(",") } else { urls[0].clone() };
    let mut child = Process::new(programs::etcdctl()?)
        .arg(format!("--endpoints={endpoints}"))
        .args(line.split(' ').map(|word| if word == "''" { "" } else { word }))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("etcdctl cannot be started")?;
    let mut stdin = child.stdin.take().context("it was piped")?;
    stdin.write_all(input.as_bytes())?;
    drop(stdin);
    if let Some(lines) = words.named("lines") {
        // It watches, and would not end.
        let stdout = child.stdout.take().context("it was piped")?;
        let (sender, receiver) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let lines = BufReader::new(stdout).lines();
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let lines = 0..lines.parse::<usize>()?;
        let told: Vec<String> =
            lines.map_while(|_| receiver.recv_timeout(ANSWER_MAX).ok()).collect();
        child.kill()?;
        child.wait()?;
        drop(receiver);
        // It fails to send what nobody waits for, which is how it ends.
        let _ = reader.join();
        return Ok(normalised(cluster, &told.join("\n")).join("\n"));
    }
    let output = child.wait_with_output()?;
    let mut drawn = String::from_utf8_lossy(&output.stdout).into_owned();
    drawn.push_str(&String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        drawn.push_str(&format!("exit {}\n", output.status.code().unwrap_or(-1)));
    }
    let mut lines: Vec<String> = normalised(cluster, &drawn);
    if words.has("sorted") {
        lines.sort();
    }
    if words.has("first") {
        lines.truncate(1);
    }
    Ok(lines.join("\n"))
}

/// Replaces what differs from cluster to cluster and from run to run; leaves out what is logged.
fn normalised(cluster: &Cluster, text: &str) -> Vec<String> {
    let mut text = text.replace(&*cluster.directory().to_string_lossy(), "DIR");
    for at in 0..cluster.members_len() {
        text = text.replace(&cluster.client_url(at), &format!("CLIENT{at}"));
        text = text.replace(&cluster.peer_url(at), &format!("PEER{at}"));
    }
    let said = text.lines().filter(|line| !line.starts_with("{\"level\":"));
    said.map(|line| {
        let line = line.replace("remaining(1000s)", "remaining(999s)");
        let line = line.replace("\"ttl\":1000,\"granted", "\"ttl\":999,\"granted");
        let line = NUMBERS.iter().fold(line, |line, before| without_number(&line, before));
        line.split_inclusive(|c: char| " ,|:\"}/]".contains(c)).map(replaced).collect::<String>()
    })
    // Short numbers are padded to the width of long ones.
    .map(|line| match line.strip_prefix(" ID") {
        Some(rest) => format!("ID{rest}"),
        None => line.replace("  ID", " ID"),
    })
    .collect()
}

/// Replaces every number that follows `before`.
fn without_number(line: &str, before: &str) -> String {
    let mut parts = line.split(before);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    let word = if before.to_ascii_lowercase().contains("term") { "TERM" } else { "NUMBER" };
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        whole.push_str(&format!("{before}{word}{rest}"));
    }
    whole
}

/// Replaces a word, kept with what follows it: identities, durations and sizes.
fn replaced(word: &str) -> String {
    let end = word.trim_end_matches([' ', ',', '|', ':', '"', '}', '/', ']']).len();
    let (word, after) = word.split_at(end);
    let is_hexadecimal = word.len() >= 12 && word.chars().all(|c| c.is_ascii_hexdigit());
    let is_duration = ["ms", "µs"]
        .iter()
        .any(|unit| word.strip_suffix(unit).is_some_and(|number| number.parse::<f64>().is_ok()));
    let kind = match word {
        _ if is_hexadecimal => "ID",
        _ if is_duration => "TIME",
        _ => word,
    };
    format!("{kind}{after}")
}

/// `http PATH [metrics]`: asks the first member, on the port for clients or on that for metrics.
pub(super) fn http(cluster: &Cluster, words: &mut Words) -> Result<String> {
    let path = words.need("a path")?;
    let url = cluster.client_url(0);
    let address = url.trim_start_matches("http://");
    let host = address.split(':').next().context("a URL has a host")?;
    let address = match words.has("metrics") {
        true => format!("{host}:{METRICS_PORT}"),
        false => address.to_owned(),
    };
    let mut stream = TcpStream::connect(&address).with_context(|| format!("no {address}"))?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head")?;
    let status = head.lines().next().unwrap_or_default();
    // Which version the files on the disk have is not said by both in the same way.
    let body = body.split(",\"storage\"").next().unwrap_or_default();
    Ok(format!("{status}\n{}", body.trim_end()))
}
