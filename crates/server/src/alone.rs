//! `--force-new-cluster`: what one member has left becomes a cluster of that member alone.
//!
//! ```text
//!   member ─► all that it knows ─► member.new ─► member.old-SECONDS, and member.new ─► member
//! ```
//!
//! The new cluster has another ID, so that nobody of the old one is taken for a member of it. What
//! was there stays beside it. If this is interrupted, [`recover`] finishes what was begun.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use disk::{Disk, RealDisk};
use raft::{MemberId, Membership};
use replica::{Genesis, Options, Replica, Survivor};
use sha2::{Digest, Sha256};
use store::MemberAttributes;

use crate::bootstrap::restored_cluster_id;

/// Where the new state is made, beside the directory of the member.
const NEW: &str = "member.new";

/// Makes a cluster of the member in `dir` alone, which is at `peer_urls` from now on. A member that
/// is alone already is left as it is, so that the flag may stay where it is.
///
/// # Errors
///
/// If the member's state cannot be read, or the new one cannot be written.
pub fn force(dir: &Path, options: Options, name: &str, peer_urls: Vec<String>) -> Result<()> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
    let replica = Replica::open(disk.clone(), options.clone())?;
    let survivor = replica.into_survivor()?;
    let member_id = survivor.identity.member_id;
    if survivor.membership == Membership::of_voters([MemberId(member_id)]) {
        tracing::info!("--force-new-cluster has nothing to do: this member is alone already");
        return Ok(());
    }
    let cluster_id = new_cluster_id(&survivor);
    let new = sibling(dir, NEW);
    if new.exists() {
        fs::remove_dir_all(&new)?;
    }
    crate::layout::create(&new)?;
    let attributes =
        MemberAttributes { name: name.to_owned(), peer_urls, ..MemberAttributes::default() };
    let genesis = Genesis::Restored {
        cluster_id,
        membership: Membership::of_voters([MemberId(member_id)]),
        members: BTreeMap::from([(member_id, attributes)]),
        image: survivor.image.clone(),
    };
    Replica::create(disk, Options { dir: new.clone(), ..options }, genesis)?.close()?;
    sync(&new)?;
    let old = sibling(dir, &format!("member.old-{}", unix_seconds()));
    replace(dir, &new, &old)
        .with_context(|| format!("{} cannot take the place of {}", new.display(), dir.display()))?;
    tracing::warn!(
        member = format!("{member_id:x}"),
        cluster = format!("{cluster_id:x}"),
        before = format!("{:x}", survivor.identity.cluster_id),
        index = survivor.last.index.0,
        kept = %old.display(),
        "--force-new-cluster: this member is a new cluster by itself"
    );
    Ok(())
}

/// Finishes what an earlier run has begun with the member in `dir`. To be called before anything is
/// made there.
///
/// # Errors
///
/// If the files cannot be moved.
pub fn recover(dir: &Path) -> io::Result<()> {
    let new = sibling(dir, NEW);
    if new.exists() && !dir.exists() { finish(&new, dir) } else { Ok(()) }
}

/// Puts `new` in the place of `dir`, which is `old` from then on.
fn replace(dir: &Path, new: &Path, old: &Path) -> io::Result<()> {
    let link = dir.join("wal");
    if fs::symlink_metadata(&link)?.is_symlink() {
        move_log(&new.join("wal"), &fs::canonicalize(&link)?)?;
    }
    fs::rename(dir, old)?;
    sync(old)?;
    finish(new, dir)
}

/// Moves the new log beside the old one, to a device that was chosen for logs, and lets `log` lead
/// to where it will be.
fn move_log(log: &Path, place: &Path) -> io::Result<()> {
    let waiting = waiting(place);
    if waiting.exists() {
        fs::remove_dir_all(&waiting)?;
    }
    crate::layout::create(&waiting)?;
    for entry in fs::read_dir(log)? {
        let entry = entry?;
        let copy = waiting.join(entry.file_name());
        fs::copy(entry.path(), &copy)?;
        File::open(copy)?.sync_all()?;
    }
    sync(&waiting)?;
    fs::remove_dir_all(log)?;
    symlink(place, log)?;
    File::open(log.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Where a log waits until the old one is out of its place.
fn waiting(place: &Path) -> PathBuf {
    sibling(place, &format!("{}.new", name_of(place)))
}

/// The last steps, each of which may have been done already.
fn finish(new: &Path, dir: &Path) -> io::Result<()> {
    if let Ok(place) = fs::read_link(new.join("wal")) {
        let waiting = waiting(&place);
        if waiting.exists() {
            if place.exists() {
                let aside = format!("{}.old-{}", name_of(&place), unix_seconds());
                fs::rename(&place, sibling(&place, &aside))?;
            }
            fs::rename(&waiting, &place)?;
            sync(&place)?;
        }
    }
    fs::rename(new, dir)?;
    sync(dir)
}

/// An ID that nobody has seen: of what the member knew last, and of when.
fn new_cluster_id(survivor: &Survivor) -> u64 {
    let mut hash = Sha256::new();
    for number in [
        survivor.identity.member_id,
        survivor.last.index.0,
        survivor.last.term.0,
        survivor.image.digest(),
        unix_seconds(),
    ] {
        hash.update(number.to_le_bytes());
    }
    restored_cluster_id(survivor.identity.cluster_id, &hash.finalize().into())
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn sibling(dir: &Path, name: &str) -> PathBuf {
    dir.parent().unwrap_or(Path::new(".")).join(name)
}

fn name_of(dir: &Path) -> String {
    dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Makes the entries of a directory and of the one it is in durable.
fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()?;
    dir.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use raft::membership::Change;
    use replica::{Event, Ticket};
    use store::{Command, MembershipContext, Put};
    use tempfile::TempDir;

    use super::*;

    const MEMBER: u64 = 1;

    fn options(dir: &Path) -> Options {
        Options {
            dir: dir.to_owned(),
            core: raft::Config::new(MemberId(MEMBER), crate::dice::random()),
            tick_millis: 100,
            segment_bytes: wal::Options::SEGMENT_BYTES,
            checkpoint_log_bytes_min: 1 << 30,
            request_ticks_max: 100,
            command_bytes_max: 1 << 20,
            quota_bytes: None,
            strict_reconfiguration: false,
            learners_max: 1,
        }
    }

    fn turn(replica: &mut Replica, event: Event) {
        replica.feed(event);
        loop {
            replica.flush().unwrap();
            if !replica.needs_sync() {
                return;
            }
            replica.sync().unwrap();
        }
    }

    /// Makes a member that leads, has put a key, and has added a learner.
    fn make(dir: &Path) {
        let members = BTreeMap::from([(MEMBER, MemberAttributes::default())]);
        let membership = Membership::of_voters([MemberId(MEMBER)]);
        let genesis = Genesis::Founded { cluster_id: 7, membership, members };
        let mut replica =
            Replica::create(Arc::new(RealDisk::new()), options(dir), genesis).unwrap();
        turn(&mut replica, Event::LeaderGone);
        let command = Command::Put(Put { key: "k".into(), value: "v".into(), ..Put::default() });
        turn(&mut replica, Event::Propose { ticket: Ticket(1), command });
        let attributes =
            MemberAttributes { peer_urls: vec!["http://b:1".to_owned()], ..Default::default() };
        let event = Event::ChangeMembership {
            ticket: Ticket(2),
            changes: vec![Change::AddLearner(MemberId(2))],
            context: MembershipContext::Added { member: 2, attributes },
        };
        turn(&mut replica, event);
        let membership = replica.published().membership.clone();
        assert_eq!(membership.members().len(), 2, "{membership}");
        replica.close().unwrap();
    }

    fn open(dir: &Path) -> Replica {
        Replica::open(Arc::new(RealDisk::new()), options(dir)).unwrap()
    }

    fn force_again(dir: &Path) {
        force(dir, options(dir), "a", vec!["http://a:1".to_owned()]).unwrap();
    }

    /// Looks whether the member in `dir` is alone, in another cluster, with all its data.
    fn check(dir: &Path) -> u64 {
        let replica = open(dir);
        let whose = replica.whose();
        assert_eq!(whose.member_id, MEMBER);
        assert_ne!(whose.cluster_id, 7);
        let published = replica.published();
        assert_eq!(*published.membership, Membership::of_voters([MemberId(MEMBER)]));
        assert_eq!(published.members.len(), 1);
        assert_eq!(published.members[&MEMBER].name, "a");
        assert_eq!(published.view.revision().0, 2);
        assert_eq!(published.view.get(b"k").unwrap().value().bytes(), b"v");
        whose.cluster_id
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|entry| name_of(&entry.unwrap().path())).collect();
        names.sort();
        names
    }

    #[test]
    fn a_member_becomes_a_cluster_by_itself_once_and_what_was_there_is_kept() {
        let temporary = TempDir::new().unwrap();
        let dir = crate::layout::prepare(temporary.path(), None).unwrap();
        make(&dir);
        force_again(&dir);
        let cluster_id = check(&dir);
        let [member, old] = names(temporary.path()).try_into().unwrap();
        assert_eq!(member, "member");
        assert_eq!(open(&temporary.path().join(old)).whose().cluster_id, 7);
        force_again(&dir);
        assert_eq!(check(&dir), cluster_id, "a member that is alone stays as it is");
    }

    #[test]
    fn a_log_elsewhere_stays_there() {
        let temporary = TempDir::new().unwrap();
        let (data, log) = (temporary.path().join("data"), temporary.path().join("log"));
        let dir = crate::layout::prepare(&data, Some(&log)).unwrap();
        make(&dir);
        force_again(&dir);
        crate::layout::prepare(&data, Some(&log)).unwrap();
        check(&dir);
        let there = names(temporary.path());
        assert!(there[2].starts_with("log.old-") && there.len() == 3, "{there:?}");
    }

    #[test]
    fn what_was_interrupted_is_finished() {
        let temporary = TempDir::new().unwrap();
        let (data, log) = (temporary.path().join("data"), temporary.path().join("log"));
        let dir = crate::layout::prepare(&data, Some(&log)).unwrap();
        make(&dir);
        force_again(&dir);
        // As if the last two steps had not been done.
        fs::rename(&dir, data.join(NEW)).unwrap();
        fs::rename(&log, temporary.path().join("log.new")).unwrap();
        recover(&dir).unwrap();
        check(&dir);
        recover(&dir).unwrap();
        check(&dir);
    }
}
