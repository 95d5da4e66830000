//! A disk in memory that breaks on purpose, and always in the same way for the same seed.

mod faults;
mod files;
mod medium;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::error::{Action, Cause, DiskError};
use crate::{DirLock, Disk, DiskFile, OpenMode};
pub use faults::{Call, Chances, Fault};
use faults::{Faults, Rng};
use files::{Files, InodeId};
pub use medium::Survivors;

/// A simulated disk. Clones share one disk, as processes do; [`SimDisk::fork`] makes another.
///
/// What it does to files is what the crate's documentation permits a disk to do, and, if asked,
/// what it does not permit: errors, lost and misdirected writes, rotten bits.
#[derive(Clone, Debug)]
pub struct SimDisk {
    // A disk is what several files and a test share by nature. It is locked for one call at a time.
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Debug)]
struct State {
    files: Files,
    faults: Faults,
    rng: Rng,
    /// Which directories are locked.
    locked: Vec<PathBuf>,
    /// How often the power came back. A file that was opened before is closed.
    boot: u64,
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    inode: InodeId,
    boot: u64,
}

struct SimLock {
    disk: SimDisk,
    dir: PathBuf,
    boot: u64,
}

impl SimDisk {
    /// An empty disk of unlimited size without faults. All that it leaves to chance follows from
    /// `seed`.
    #[must_use]
    pub fn new(seed: u64) -> SimDisk {
        let state = State {
            files: Files::default(),
            faults: Faults::default(),
            rng: Rng(seed),
            locked: Vec::new(),
            boot: 0,
        };
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// Returns another disk in the same state, down to what is on its way; nobody has its files
    /// open.
    #[must_use]
    pub fn fork(&self) -> SimDisk {
        let mut state = self.state().clone();
        state.boot += 1;
        state.locked.clear();
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// Returns the number of calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().faults.calls()
    }

    /// Returns the number of calls of one kind so far.
    #[must_use]
    pub fn calls_of(&self, call: Call) -> u64 {
        self.state().faults.calls_of(call)
    }

    /// Cuts the power during a call, counted over all kinds from the disk's beginning: what it does
    /// may survive in part, and it and all that follow fail, until [`SimDisk::crash`].
    pub fn cut_power_at(&self, call: u64) {
        self.state().faults.cut_power_at = Some(call);
    }

    /// Tells whether the power is off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.state().faults.is_off
    }

    /// Loses the power, if it is not off yet, and comes back with what survives. What was open is
    /// closed, and locks are free.
    pub fn crash(&self, survivors: Survivors) {
        let mut state = self.state();
        let State { files, rng, .. } = &mut *state;
        files.crash(survivors, rng);
        state.faults.is_off = false;
        state.faults.cut_power_at = None;
        state.locked.clear();
        state.boot += 1;
    }

    /// Ends all that have files open, without a loss of power: what is in the page cache stays.
    pub fn kill(&self) {
        let mut state = self.state();
        state.locked.clear();
        state.boot += 1;
    }

    /// Lets one call fail: the one that is `nth` of its kind from now on, counted from one.
    pub fn plan(&self, call: Call, nth: u64, fault: Fault) {
        assert!(0 < nth, "calls are counted from one");
        self.state().faults.plan(call, nth, fault);
    }

    /// Lets calls fail by chance from now on.
    pub fn set_chances(&self, chances: Chances) {
        self.state().faults.chances = chances;
    }

    /// Sets how many bytes fit, counting files by their size; `None` is without limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().files.capacity = bytes;
    }

    /// Returns how long calls have stalled since this was last asked, in ticks: time that the
    /// driver lets pass before it takes note of what the calls returned.
    #[must_use]
    pub fn take_stalled_ticks(&self) -> u64 {
        std::mem::take(&mut self.state().faults.stalled_ticks)
    }

    /// Returns all files there are, in the order of their names.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state().files.paths()
    }

    /// Returns what a read of the whole file would see; `None` if there is none. Not a call.
    #[must_use]
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        self.state().files.contents(path)
    }

    /// Puts a file there, name and contents durable, whatever was there before. Not a call.
    pub fn put(&self, path: &Path, contents: &[u8]) {
        self.state().files.put(path, contents);
    }

    /// Takes a file away, durably. Not a call.
    pub fn take_away(&self, path: &Path) {
        self.state().files.take_away(path);
    }

    /// Lets one bit of one file rot, and returns which: the path and the bit's number. `None` if
    /// there is none.
    pub fn rot(&self) -> Option<(PathBuf, u64)> {
        let mut state = self.state();
        let State { files, rng, .. } = &mut *state;
        let bits: u64 = files.paths().iter().map(|path| files.bits(path)).sum();
        let mut bit = (0 < bits).then(|| rng.below(bits))?;
        let path = files.paths().into_iter().find(|path| {
            let here = files.bits(path);
            if here <= bit {
                bit -= here;
                return false;
            }
            true
        })?;
        files.flip(&path, bit);
        Some((path, bit))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a disk whose user panicked is not used again")
    }

    /// Counts a call, and decides what happens to it.
    fn call(&self, call: Call) -> Result<(MutexGuard<'_, State>, Option<Fault>), Cause> {
        let mut state = self.state();
        let State { faults, rng, .. } = &mut *state;
        let fault = faults.on_call(call, rng)?;
        if fault == Some(Fault::Fail) {
            return Err(faults::broken());
        }
        Ok((state, fault))
    }

    /// Changes names. If the power fails during the call, the change may survive all the same.
    fn change(
        &self,
        call: Call,
        change: impl FnOnce(&mut Files) -> Result<(), Cause>,
    ) -> Result<(), Cause> {
        let (mut state, _) = self.call(call)?;
        change(&mut state.files)?;
        state.faults.end_of_call()
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.change(Call::CreateDir, |files| files.create_dir(path))
            .map_err(|cause| DiskError::new(Action::CreateDir, path, cause))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn DiskFile>, DiskError> {
        let action = match mode {
            OpenMode::Read | OpenMode::Write | OpenMode::WriteSectors => Action::Open,
            OpenMode::CreateNew => Action::Create,
        };
        let open = || {
            let (mut state, _) = self.call(Call::Open)?;
            let inode = state.files.open(path, mode)?;
            state.faults.end_of_call()?;
            Ok(SimFile { disk: self.clone(), path: path.to_owned(), inode, boot: state.boot })
        };
        match open() {
            Ok(file) => Ok(Box::new(file)),
            Err(cause) => Err(DiskError::new(action, path, cause)),
        }
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>, DiskError> {
        let list = || {
            let (mut state, _) = self.call(Call::List)?;
            state.faults.end_of_call()?;
            state.files.list(dir)
        };
        list().map_err(|cause| DiskError::new(Action::List, dir, cause))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.change(Call::Rename, |files| files.rename(from, to))
            .map_err(|cause| DiskError::new(Action::Rename { to: to.to_owned() }, from, cause))
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.change(Call::Remove, |files| files.remove(path))
            .map_err(|cause| DiskError::new(Action::Remove, path, cause))
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        let sync = || {
            let (mut state, _) = self.call(Call::SyncDir)?;
            // Power that fails during a sync finds all of it still under way.
            state.faults.end_of_call()?;
            state.files.sync_dir(dir)
        };
        sync().map_err(|cause| DiskError::new(Action::SyncDir, dir, cause))
    }

    fn lock(&self, dir: &Path) -> Result<DirLock, DiskError> {
        let lock = || {
            let (mut state, _) = self.call(Call::Lock)?;
            state.faults.end_of_call()?;
            if state.locked.iter().any(|locked| locked == dir) {
                return Err(Cause::Locked);
            }
            state.locked.push(dir.to_owned());
            Ok(SimLock { disk: self.clone(), dir: dir.to_owned(), boot: state.boot })
        };
        match lock() {
            Ok(held) => Ok(DirLock::new(held)),
            Err(cause) => Err(DiskError::new(Action::Lock, dir, cause)),
        }
    }
}

impl SimFile {
    /// Counts a call to this file, if it is still open.
    fn call(&self, call: Call) -> Result<(MutexGuard<'_, State>, Option<Fault>), Cause> {
        let (state, fault) = self.disk.call(call)?;
        if state.boot != self.boot {
            return Err(Cause::PowerOff);
        }
        Ok((state, fault))
    }

    fn sync(&self, call: Call) -> Result<(), DiskError> {
        let sync = || {
            let (mut state, fault) = self.call(call)?;
            state.faults.end_of_call()?;
            if fault == Some(Fault::FailAndForget) {
                state.files.inode(self.inode).forget();
                return Err(faults::broken());
            }
            state.files.inode(self.inode).sync();
            Ok(())
        };
        sync().map_err(|cause| DiskError::new(Action::Sync, &self.path, cause))
    }
}

/// How much of a write a kernel does that is interrupted: it copies whole pages, so that no sector
/// is left in half.
fn cut_short(offset: u64, bytes: usize) -> usize {
    let sector = crate::SECTOR_BYTES as u64;
    let end = (offset + bytes.div_ceil(2) as u64) / sector * sector;
    end.checked_sub(offset)
        .and_then(|cut| usize::try_from(cut).ok())
        .filter(|cut| 0 < *cut)
        .unwrap_or(bytes)
}

impl DiskFile for SimFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let bytes = buffer.len();
        let mut read = || {
            let (mut state, fault) = self.call(Call::Read)?;
            state.faults.end_of_call()?;
            let wanted = if fault == Some(Fault::Short) { bytes.div_ceil(2) } else { bytes };
            Ok(state.files.inode(self.inode).read(offset, &mut buffer[..wanted]))
        };
        read().map_err(|cause| DiskError::new(Action::Read { offset, bytes }, &self.path, cause))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<usize, DiskError> {
        let write = || {
            let (mut state, fault) = self.call(Call::Write)?;
            let wanted = match fault {
                Some(Fault::Short) => cut_short(offset, bytes.len()),
                Some(_) | None => bytes.len(),
            };
            let fits = state.files.fits(self.inode, offset, wanted);
            if fits == 0 && wanted != 0 {
                return Err(Cause::Full);
            }
            state.files.inode(self.inode).write(offset, &bytes[..fits], fault);
            state.faults.end_of_call()?;
            Ok(fits)
        };
        write().map_err(|cause| {
            DiskError::new(Action::Write { offset, bytes: bytes.len() }, &self.path, cause)
        })
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.sync(Call::SyncData)
    }

    fn sync_all(&self) -> Result<(), DiskError> {
        self.sync(Call::SyncAll)
    }

    fn set_len(&self, bytes: u64) -> Result<(), DiskError> {
        let set = || {
            let (mut state, _) = self.call(Call::SetLen)?;
            if !state.files.has_room_for(self.inode, bytes) {
                return Err(Cause::Full);
            }
            state.files.inode(self.inode).set_len(bytes);
            state.faults.end_of_call()
        };
        set().map_err(|cause| DiskError::new(Action::SetLen { bytes }, &self.path, cause))
    }

    fn size(&self) -> Result<u64, DiskError> {
        let size = || {
            let (mut state, _) = self.call(Call::Size)?;
            state.faults.end_of_call()?;
            Ok(state.files.inode(self.inode).size())
        };
        size().map_err(|cause| DiskError::new(Action::Size, &self.path, cause))
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        // A test that panics drops its files with the lock held by nobody who cares.
        if let Ok(mut state) = self.disk.state.lock()
            && state.boot == self.boot
        {
            state.files.close(self.inode);
        }
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        if let Ok(mut state) = self.disk.state.lock()
            && state.boot == self.boot
        {
            state.locked.retain(|locked| *locked != self.dir);
        }
    }
}
