//! `holdfast snapshot restore`: the data directory of a member of a new cluster.
//!
//! Every member is restored on its own, from the same snapshot and with the same
//! `--initial-cluster`, and all come to the same cluster. Its ID comes from the members and from
//! the snapshot, so that it is never that of the old cluster, even if the members have the same
//! names and addresses.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use disk::RealDisk;
use raft::{MemberId, Membership};
use replica::{Genesis, Replica};
use store::History;

use super::only_word;
use super::options::Options;
use super::snapshot::{HashCheck, read};
use crate::bootstrap::{Founders, InitialCluster, founding_of, resolve, restored_cluster_id};
use crate::config::Group;
use crate::config::flag::{Flag, Kind, flag, path, switch};
use crate::dice;
use crate::layout;

const USAGE: &str = "snapshot restore FILE --data-dir DIR --name NAME --initial-cluster MEMBERS\n\
                     \x20   Make the data directory of a member of a new cluster.";

const GROUPS: &[Group] = &[Group { title: "Restore", flags: FLAGS }];

const FLAGS: &[Flag] = &[
    flag("name", Kind::Text, "default", "The member's name, for people."),
    flag("data-dir", Kind::Path, "", "The directory to make; ${name}.etcd if not given."),
    path("wal-dir", "A directory for the log alone; within --data-dir if not given."),
    flag(
        "initial-cluster",
        Kind::Text,
        "",
        "All members of the new cluster, as name=peer-url,name=peer-url; this one alone if not \
         given.",
    ),
    flag("initial-cluster-token", Kind::Text, "etcd-cluster", "Goes into the IDs of members."),
    flag(
        "initial-advertise-peer-urls",
        Kind::Urls,
        "http://localhost:2380",
        "Where other members reach this one.",
    ),
    flag(
        "bump-revision",
        Kind::Number(0, i64::MAX as u64),
        "1000000000",
        "How many revisions to pass over: more than were written since the snapshot was taken, or \
         clients of the old cluster take new changes for old ones.",
    ),
    flag(
        "mark-compacted",
        Kind::Switch,
        "true",
        "Forget history, so that watchers of the old cluster learn that they must look anew.",
    ),
    switch("skip-hash-check", "Pass over the hash at the end of the snapshot."),
];

/// What is to be made.
#[derive(Debug)]
pub(super) struct Restoration {
    /// The snapshot.
    pub(super) snapshot: PathBuf,
    /// Whether it must have its hash.
    pub(super) check: HashCheck,
    /// The directory to make.
    pub(super) data_dir: PathBuf,
    /// Where the log is to be, if elsewhere.
    pub(super) wal_dir: Option<PathBuf>,
    /// The members.
    pub(super) founders: Founders,
    /// How many revisions to pass over.
    pub(super) passed_over: u64,
    /// What becomes of history.
    pub(super) history: History,
}

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Restored {
    /// The new cluster's ID.
    pub(super) cluster_id: u64,
    /// The member's ID.
    pub(super) member_id: u64,
    /// The revision that it begins with.
    pub(super) revision: u64,
    /// How many keys there are.
    pub(super) keys: usize,
}

/// Makes a data directory.
pub(super) fn run(
    arguments: &[String],
    environment: &BTreeMap<String, String>,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let Some(options) = Options::read(USAGE, GROUPS, arguments, environment, out)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let restoration = restoration(&options)?;
    let restored = restoration.carry_out()?;
    writeln!(
        out,
        "{} holds member {:x} of the new cluster {:x}: revision {}, {} keys",
        restoration.data_dir.display(),
        restored.member_id,
        restored.cluster_id,
        restored.revision,
        restored.keys
    )?;
    Ok(ExitCode::SUCCESS)
}

fn restoration(options: &Options) -> Result<Restoration> {
    let settings = options.settings();
    let name = settings.text("name");
    let advertised = settings.urls("initial-advertise-peer-urls");
    let text = settings.text("initial-cluster");
    let initial = if text.is_empty() {
        InitialCluster::alone(&name, &advertised)
    } else {
        InitialCluster::parse(&text).context("--initial-cluster")?
    };
    Ok(Restoration {
        snapshot: PathBuf::from(only_word(options, "the file of a snapshot")?),
        check: match settings.switch("skip-hash-check") {
            true => HashCheck::Skipped,
            false => HashCheck::Done,
        },
        data_dir: options.path("data-dir").unwrap_or_else(|| PathBuf::from(format!("{name}.etcd"))),
        wal_dir: options.path("wal-dir"),
        founders: Founders {
            name,
            initial,
            advertised,
            token: settings.text("initial-cluster-token"),
        },
        passed_over: settings.number("bump-revision"),
        history: match settings.switch("mark-compacted") {
            true => History::Forgotten,
            false => History::Kept,
        },
    })
}

impl Restoration {
    /// Does it. If it is interrupted, the directory holds no member, and is to be removed.
    pub(super) fn carry_out(&self) -> Result<Restored> {
        let founding = founding_of(&self.founders, &mut resolve)?;
        check_empty(&self.data_dir)?;
        let mut snapshot = read(&self.snapshot, self.check)?;
        let revision = snapshot.machine.view().revision().0;
        ensure!(
            revision.checked_add(self.passed_over).is_some_and(|sum| i64::try_from(sum).is_ok()),
            "--bump-revision {} is too large for a snapshot of revision {revision}",
            self.passed_over
        );
        snapshot.machine.begin_anew(self.passed_over, self.history);
        let cluster_id = restored_cluster_id(founding.cluster_id, &snapshot.hash);
        let dir = layout::prepare(&self.data_dir, self.wal_dir.as_deref())?;
        let view = snapshot.machine.view();
        let restored = Restored {
            cluster_id,
            member_id: founding.member_id,
            revision: view.revision().0,
            keys: view.sizes().keys,
        };
        let voters = founding.members.keys().map(|id| MemberId(*id));
        let genesis = Genesis::Restored {
            cluster_id,
            membership: Membership::of_voters(voters),
            members: founding.members,
            image: snapshot.machine.image(),
        };
        let options = options(&dir, founding.member_id);
        Replica::create(Arc::new(RealDisk::new()), options, genesis)?.close()?;
        Ok(restored)
    }
}

/// What a replica wants to know. Only where its files are matters here: it never runs.
fn options(dir: &Path, member_id: u64) -> replica::Options {
    replica::Options {
        dir: dir.to_owned(),
        core: raft::Config::new(MemberId(member_id), dice::random()),
        tick_millis: 100,
        segment_bytes: wal::Options::SEGMENT_BYTES,
        checkpoint_log_bytes_min: u64::MAX,
        request_ticks_max: 1,
        command_bytes_max: 0,
        quota_bytes: None,
        strict_reconfiguration: true,
        learners_max: 1,
    }
}

fn check_empty(dir: &Path) -> Result<()> {
    match fs::read_dir(dir) {
        Ok(mut entries) => {
            ensure!(
                entries.next().is_none(),
                "--data-dir {} is not empty: name a directory that is, or is not there",
                dir.display()
            );
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => {
            Err(error).with_context(|| format!("--data-dir {} cannot be read", dir.display()))
        }
    }
}
