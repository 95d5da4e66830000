//! The kernel's files.

mod direct;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use self::direct::Direct;
use crate::error::{Action, Cause, DiskError};
use crate::{DirLock, Disk, DiskFile, OpenMode};

/// The file whose lock is the lock of its directory. It stays when the lock is given back: to
/// remove it would let two processes lock two files of one name.
const LOCK_NAME: &str = "LOCK";

/// The files of this machine.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk {
    /// Whether a sync is one.
    syncs: bool,
}

#[derive(Debug)]
struct RealFile {
    file: File,
    /// The same file once more, past the kernel's cache.
    direct: Option<Direct>,
    path: PathBuf,
    syncs: bool,
}

impl RealDisk {
    /// The disk as its trait promises it.
    #[must_use]
    pub fn new() -> RealDisk {
        RealDisk { syncs: true }
    }

    /// A disk whose syncs do nothing: what was written survives the process, but not a loss of
    /// power. For tests, and data that nobody needs.
    #[must_use]
    pub fn unsynced() -> RealDisk {
        RealDisk { syncs: false }
    }
}

impl Default for RealDisk {
    fn default() -> RealDisk {
        RealDisk::new()
    }
}

impl Disk for RealDisk {
    fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            other => failed(other, || Action::CreateDir, path),
        }
    }

    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn DiskFile>, DiskError> {
        let mut options = OpenOptions::new();
        options.read(true).mode(0o600);
        let action = match mode {
            OpenMode::Read => Action::Open,
            OpenMode::Write | OpenMode::WriteSectors => {
                options.write(true);
                Action::Open
            }
            OpenMode::CreateNew => {
                options.write(true).create_new(true);
                Action::Create
            }
        };
        let file = failed(options.open(path), || action, path)?;
        let direct = match mode {
            // Without syncs the cache is all that is wanted.
            OpenMode::WriteSectors if self.syncs => Direct::open(path),
            OpenMode::Read | OpenMode::Write | OpenMode::WriteSectors | OpenMode::CreateNew => None,
        };
        Ok(Box::new(RealFile { file, direct, path: path.to_owned(), syncs: self.syncs }))
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>, DiskError> {
        let read = || -> io::Result<Vec<String>> {
            fs::read_dir(dir)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect()
        };
        let mut names = failed(read(), || Action::List, dir)?;
        names.sort_unstable();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        failed(fs::rename(from, to), || Action::Rename { to: to.to_owned() }, from)
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        failed(fs::remove_file(path), || Action::Remove, path)
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        let sync = || if self.syncs { File::open(dir)?.sync_all() } else { Ok(()) };
        failed(sync(), || Action::SyncDir, dir)
    }

    fn lock(&self, dir: &Path) -> Result<DirLock, DiskError> {
        let path = dir.join(LOCK_NAME);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = failed(options.open(&path), || Action::Lock, dir)?;
        match file.try_lock() {
            Ok(()) => Ok(DirLock::new(file)),
            Err(TryLockError::WouldBlock) => Err(DiskError::new(Action::Lock, dir, Cause::Locked)),
            Err(TryLockError::Error(error)) => {
                Err(DiskError::new(Action::Lock, dir, Cause::of(error)))
            }
        }
    }
}

impl DiskFile for RealFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let bytes = buffer.len();
        let read = uninterrupted(|| self.file.read_at(buffer, offset));
        failed(read, || Action::Read { offset, bytes }, &self.path)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<usize, DiskError> {
        if let Some(written) = self.direct.as_ref().and_then(|it| it.write_at(offset, bytes)) {
            return Ok(written);
        }
        let written = uninterrupted(|| match self.file.write_at(bytes, offset) {
            Ok(0) if !bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            other => other,
        });
        failed(written, || Action::Write { offset, bytes: bytes.len() }, &self.path)
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        let synced = if self.syncs { self.file.sync_data() } else { Ok(()) };
        failed(synced, || Action::Sync, &self.path)
    }

    fn sync_all(&self) -> Result<(), DiskError> {
        let synced = if self.syncs { self.file.sync_all() } else { Ok(()) };
        failed(synced, || Action::Sync, &self.path)
    }

    fn set_len(&self, bytes: u64) -> Result<(), DiskError> {
        failed(self.file.set_len(bytes), || Action::SetLen { bytes }, &self.path)
    }

    fn size(&self) -> Result<u64, DiskError> {
        failed(self.file.metadata().map(|metadata| metadata.len()), || Action::Size, &self.path)
    }
}

/// Repeats a call that a signal interrupted before it did anything. A sync is never repeated.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn failed<T>(
    result: io::Result<T>,
    action: impl FnOnce() -> Action,
    path: &Path,
) -> Result<T, DiskError> {
    result.map_err(|error| DiskError::new(action(), path, Cause::of(error)))
}
