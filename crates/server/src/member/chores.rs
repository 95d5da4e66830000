//! What a member does of itself, beside what clients and peers want.

use std::collections::VecDeque;
use std::time::Duration;

use raft::RoleKind;
use store::{Command, Rejection};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::{info, warn};

use super::Handle;
use crate::config::{AutoCompaction, Config};

/// The version that a cluster of members like this one speaks, in etcd's numbers.
const CLUSTER_VERSION: &str = "3.7.0";

/// Between two attempts to do something that needs a leader.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How often a leader looks whether old revisions are to go, if a number of them is to stay.
const REVISIONS_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// A history that is kept for a time is looked at so many times in it.
const SAMPLES_PER_PERIOD: u32 = 10;

/// But at least so often, and compacted at least so often.
const PERIOD_MAX: Duration = Duration::from_secs(60 * 60);

/// Starts what goes on for as long as the member runs.
pub(crate) fn start(config: &Config, handle: &Handle) {
    tokio::spawn(announce_version(handle.clone(), CLUSTER_VERSION));
    tokio::spawn(compact(handle.clone(), config.auto_compaction));
}

/// Tells the cluster this member's name and where its clients find it, again and again until that
/// is written down. Returns when this member serves: if it was added as a voter, when it is one.
pub(crate) async fn publish(handle: Handle, name: String, client_urls: Vec<String>) {
    let member = handle.identity().member_id;
    let mut changes = handle.changes();
    loop {
        let published = handle.published();
        // One that waits for its first image does not know itself yet.
        let known = published.members.get(&member);
        let is_written =
            known.is_some_and(|known| known.name == name && known.client_urls == client_urls);
        if is_written && published.leader.is_some() && !published.becomes_voter(member) {
            return;
        }
        if known.is_some() && !is_written {
            let (name, client_urls) = (name.clone(), client_urls.clone());
            let command = Command::Publish { member, name, client_urls };
            if handle.propose(command).await.is_err() {
                sleep(RETRY_PAUSE).await;
            }
        } else if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Writes down the version that the cluster speaks, whenever this member leads a cluster that has
/// none or an older one.
async fn announce_version(handle: Handle, version: &'static str) {
    let mut changes = handle.changes();
    let mut leads_in = None;
    while changes.changed().await.is_ok() {
        let published = handle.published();
        if published.role != RoleKind::Leader {
            leads_in = None;
            continue;
        }
        if leads_in == Some(published.term) {
            continue;
        }
        if &*published.cluster_version == version {
            leads_in = Some(published.term);
            continue;
        }
        let command = Command::ClusterVersion { version: version.to_owned() };
        if handle.propose(command).await.is_ok() {
            leads_in = Some(published.term);
            info!(version, term = published.term.0, "the cluster speaks a version");
        } else {
            sleep(RETRY_PAUSE).await;
        }
    }
}

/// Compacts the history as it was set, as long as this member leads.
async fn compact(handle: Handle, mode: AutoCompaction) {
    match mode {
        AutoCompaction::Off => {}
        AutoCompaction::Revisions(kept) => compact_revisions(handle, kept).await,
        AutoCompaction::Periodic(age) => compact_periodically(handle, age).await,
    }
}

async fn compact_revisions(handle: Handle, kept: u64) {
    let mut clock = clock(REVISIONS_INTERVAL);
    loop {
        clock.tick().await;
        let revision = handle.published().view.revision().0.saturating_sub(kept);
        compact_to(&handle, revision).await;
    }
}

async fn compact_periodically(handle: Handle, age: Duration) {
    let period = age.min(PERIOD_MAX);
    let mut clock = clock(period / SAMPLES_PER_PERIOD);
    let mut samples: VecDeque<(Instant, u64)> = VecDeque::new();
    let mut last = Instant::now();
    loop {
        clock.tick().await;
        let now = Instant::now();
        samples.push_back((now, handle.published().view.revision().0));
        let mut due = None;
        while let Some((taken, revision)) = samples.front().copied()
            && age <= now - taken
        {
            due = Some(revision);
            samples.pop_front();
        }
        if let Some(revision) = due {
            // It is looked at again if this was not the time for it.
            if now - last < period {
                samples.push_front((now - age, revision));
                continue;
            }
            last = now;
            compact_to(&handle, revision).await;
        }
    }
}

fn clock(every: Duration) -> tokio::time::Interval {
    let mut clock = interval(every.max(Duration::from_millis(1)));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    clock
}

async fn compact_to(handle: &Handle, revision: u64) {
    let published = handle.published();
    let compacted = published.view.compacted().map_or(0, |revision| revision.0);
    if published.role != RoleKind::Leader || revision <= compacted {
        return;
    }
    let Ok(revision) = i64::try_from(revision) else { return };
    match handle.propose(Command::Compact { revision }).await.map(|done| done.applied.result) {
        Ok(Ok(_)) => info!(revision, "compacted the history"),
        Ok(Err(Rejection::Compacted)) => {}
        Ok(Err(error)) => warn!(revision, %error, "the history was not compacted"),
        Err(error) => warn!(revision, %error, "the history was not compacted"),
    }
}
