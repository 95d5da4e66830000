//! Which life of each peer this member has met.
//!
//! A life begins with empty data and ends with its loss. Its number is drawn when it begins, stands
//! in the member's data, and is said in the first words of each connection. Before a member hears
//! anything from a peer it has made durable which life that peer lives. So whoever counted a vote
//! or an acknowledgement of a member knows it again if it comes back without its data, and does not
//! listen to it: what it promised it does not remember (Raft §5.1, §5.2 take for granted that it
//! does).
//!
//! ```text
//! lives    own 1f2e3d4c5b6a7988
//!          met 8e9e05c52164694d 00a1b2c3d4e5f607     a member, and its life
//!          sum c0ffee00                              of all lines before, CRC-32C
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Cause, Disk, DiskError, OpenMode};
use parking_lot::Mutex;
use thiserror::Error;

use crate::dice;

/// The file in the directory of the member.
const FILE: &str = "lives";

/// No file of lives is longer.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Why lives are not known.
#[derive(Debug, Error)]
pub(crate) enum LivesError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It holds something else.
    #[error(
        "{} says which lives of its peers this member has met, and is damaged: remove this member \
         from the cluster, delete its data, and add it again",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// The life of this member, and those of others.
#[derive(Debug)]
pub(crate) struct Lives {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    own: u64,
    met: Mutex<BTreeMap<u64, u64>>,
}

impl Lives {
    /// Begins the life of a member that has no data yet in `dir`.
    ///
    /// # Errors
    ///
    /// If it cannot be written down.
    pub(crate) fn begin(disk: Arc<dyn Disk>, dir: &Path) -> Result<Lives, LivesError> {
        let dir = dir.to_owned();
        let lives = Lives { disk, dir, own: dice::random(), met: Mutex::default() };
        lives.write(&lives.met.lock())?;
        Ok(lives)
    }

    /// Goes on with the life of a member that has data in `dir`. Data that was restored or forced
    /// into a cluster of its own begins a life with that.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is damaged.
    pub(crate) fn resume(disk: Arc<dyn Disk>, dir: &Path) -> Result<Lives, LivesError> {
        let Some((own, met)) = read(&*disk, dir)? else { return Lives::begin(disk, dir) };
        Ok(Lives { disk, dir: dir.to_owned(), own, met: Mutex::new(met) })
    }

    /// Checks what `dir` says of lives, if it does.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is damaged.
    pub(crate) fn verify(disk: &dyn Disk, dir: &Path) -> Result<(), LivesError> {
        read(disk, dir).map(|_| ())
    }

    /// The life of this member.
    pub(crate) fn own(&self) -> u64 {
        self.own
    }

    /// Which life of a peer was met; `None` if it never was.
    pub(crate) fn met(&self, member: u64) -> Option<u64> {
        self.met.lock().get(&member).copied()
    }

    /// Meets a peer: tells whether it lives the life in which it was met first. Blocks while that
    /// is written down.
    ///
    /// # Errors
    ///
    /// If that cannot be written down: then the peer was not met.
    pub(crate) fn meet(&self, member: u64, life: u64) -> Result<bool, LivesError> {
        let mut met = self.met.lock();
        if let Some(known) = met.get(&member) {
            return Ok(*known == life);
        }
        let mut more = met.clone();
        more.insert(member, life);
        self.write(&more)?;
        *met = more;
        Ok(true)
    }

    fn write(&self, met: &BTreeMap<u64, u64>) -> Result<(), LivesError> {
        let (path, unfinished) = (self.dir.join(FILE), self.dir.join(format!("{FILE}.tmp")));
        match self.disk.remove(&unfinished) {
            Err(error) if !matches!(error.cause(), Cause::NotFound) => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let file = self.disk.open(&unfinished, OpenMode::CreateNew)?;
        file.write_all_at(0, text(self.own, met).as_bytes())?;
        file.sync_all()?;
        self.disk.rename(&unfinished, &path)?;
        Ok(self.disk.sync_dir(&self.dir)?)
    }
}

/// A member's own life, and those of the members that it has met.
type Written = (u64, BTreeMap<u64, u64>);

/// What the file in `dir` says; `None` if there is none.
fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Written>, LivesError> {
    let path = dir.join(FILE);
    let file = match disk.open(&path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if matches!(error.cause(), Cause::NotFound) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let size = file.size()?;
    let Some(len) = usize::try_from(size).ok().filter(|_| size <= FILE_BYTES_MAX) else {
        return Err(LivesError::Damaged { path });
    };
    let mut bytes = vec![0; len];
    file.read_exact_at(0, &mut bytes)?;
    parse(&bytes).map(Some).ok_or(LivesError::Damaged { path })
}

fn text(own: u64, met: &BTreeMap<u64, u64>) -> String {
    let mut text = format!("own {own:016x}\n");
    for (member, life) in met {
        writeln!(text, "met {member:016x} {life:016x}").expect("memory takes all");
    }
    let sum = crc32c::crc32c(text.as_bytes());
    writeln!(text, "sum {sum:08x}").expect("memory takes all");
    text
}

/// What the file says; `None` if it is damaged.
fn parse(bytes: &[u8]) -> Option<Written> {
    let written = str::from_utf8(bytes).ok()?;
    let mut lines = written.lines();
    let number = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let own = number(lines.next()?.strip_prefix("own ")?)?;
    let mut met = BTreeMap::new();
    for line in lines {
        let Some((member, life)) = line.strip_prefix("met ").and_then(|line| line.split_once(' '))
        else {
            break;
        };
        met.insert(number(member)?, number(life)?);
    }
    // There is one way to write what was read: all else is damage.
    (text(own, &met) == written).then_some((own, met))
}

#[cfg(test)]
mod tests {
    use disk::SimDisk;

    use super::*;

    fn disk() -> Arc<SimDisk> {
        let disk = Arc::new(SimDisk::new(1));
        disk.create_dir(dir()).unwrap();
        disk
    }

    fn dir() -> &'static Path {
        Path::new("/member")
    }

    #[test]
    fn life_that_was_met_is_known_again() {
        let disk = disk();
        let lives = Lives::begin(disk.clone(), dir()).unwrap();
        assert_eq!(lives.met(7), None);
        assert!(lives.meet(7, 70).unwrap(), "it was never met");
        assert!(lives.meet(7, 70).unwrap(), "it is the same");
        assert!(!lives.meet(7, 71).unwrap(), "it comes back without its data");
        assert!(!lives.meet(7, 71).unwrap(), "nor is it met by coming again");
        assert!(lives.meet(8, 71).unwrap());

        let again = Lives::resume(disk, dir()).unwrap();
        assert_eq!(again.own(), lives.own());
        assert_eq!((again.met(7), again.met(8)), (Some(70), Some(71)));
        assert!(!again.meet(7, 71).unwrap());
    }

    #[test]
    fn data_without_a_life_begins_one() {
        let disk = disk();
        let lives = Lives::resume(disk.clone(), dir()).unwrap();
        assert_eq!(Lives::resume(disk.clone(), dir()).unwrap().own(), lives.own());
        assert_ne!(Lives::begin(disk, dir()).unwrap().own(), lives.own(), "its data was lost");
    }

    #[test]
    fn every_flipped_bit_and_every_end_is_damage() {
        let sound = text(1, &BTreeMap::from([(7, 70), (u64::MAX, 0)])).into_bytes();
        assert!(parse(&sound).is_some());
        for end in 0..sound.len() {
            assert_eq!(parse(&sound[..end]), None, "cut at {end}");
        }
        for bit in 0..8 * sound.len() {
            let mut flipped = sound.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&flipped), None, "bit {bit}");
        }
    }
}
