//! The log while it is open: batches in, durable batches out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{DirLock, Disk, OpenMode};
use raft::Index;

use crate::active::{Active, footer, write_footer};
use crate::batch::{Batch, BatchNumber, Committed, Options, Queue};
use crate::error::WalError;
use crate::outline::{Outline, Step};
use crate::record::{self, Ending};
use crate::recovery::{Recovered, Replay, Start, replay};
use crate::sector::{self, Position, Salt, offset_of, sectors_for};
use crate::segment::{BEGINNING_SECTORS_MAX, Header};
use crate::spare::{Leftover, Preparation, Released, Spare};

/// The log, open to be written. One at a time has it.
///
/// Invariant: what `durable` says is on the disk; `queued` is what it will say.
/// Invariant: after a write or sync failed, nothing is written any more.
#[derive(Debug)]
pub struct Wal {
    disk: Arc<dyn Disk>,
    options: Options,
    _lock: DirLock,
    id: u64,
    active: Active,
    /// The segments before, the oldest first, with the highest index of an entry in each.
    sealed: Vec<(PathBuf, Index)>,
    released: Arc<Released>,
    spares: Vec<Spare>,
    next_spare: u64,
    durable: Outline,
    queued: Outline,
    queue: Queue,
    committed: BatchNumber,
    health: Health,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Sound,
    Poisoned,
}

impl Wal {
    /// Opens the log, or creates it, and returns what it holds.
    ///
    /// What was written last before the log was left is written again, into a new segment, before
    /// this returns: that it could be read does not prove that it is on the disk.
    pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<(Wal, Recovered), WalError> {
        disk.create_dir(&options.dir)?;
        disk.sync_dir(parent_of(&options.dir))?;
        let lock = disk.lock(&options.dir)?;
        let names = disk.list(&options.dir)?;
        let replayed = match replay(&*disk, &options.dir, &names)? {
            Some(replayed) => replayed,
            None => Replay::of_nothing(options.new_id),
        };
        let rewritten = replayed.rewrite.as_ref().map_or(0, |unit| sectors_for(unit.len()));
        if options.unit_sectors_max() < rewritten {
            let sectors_max = options.unit_sectors_max();
            return Err(WalError::BatchTooLarge { sectors: rewritten, sectors_max });
        }
        let (spares, next_spare) = usable_spares(&disk, &options, &names, replayed.start)?;
        let wal = Wal::continued(disk, options, lock, &replayed, spares, next_spare)?;
        let Replay { outline, entries, start, .. } = replayed;
        let Outline { hard_state, mark, base, .. } = outline;
        Ok((wal, Recovered { hard_state, mark, base, entries, start }))
    }

    /// Begins the segment after those that were read, with what must be written again.
    fn continued(
        disk: Arc<dyn Disk>,
        options: Options,
        lock: DirLock,
        replayed: &Replay,
        mut spares: Vec<Spare>,
        next_spare: u64,
    ) -> Result<Wal, WalError> {
        let header = Header {
            id: replayed.id,
            sectors: options.sectors(),
            previous: replayed.trusted_end,
            last: replayed.trusted.last,
        };
        let spare = spares.pop().expect("there is one to begin with");
        let rewrite = replayed.rewrite.as_deref();
        let active =
            Active::begin(&*disk, &options.dir, spare, header, &replayed.trusted, rewrite)?;
        if let Some(last) = replayed.segments.last() {
            let file = disk.open(&last.path, OpenMode::Write)?;
            let footer = footer(Ending::Continued, replayed.trusted.last, last.contents);
            write_footer(&*file, replayed.trusted_end, Salt::of(replayed.id), &footer)?;
        }
        let sealed = replayed.segments.iter();
        let mut wal = Wal {
            disk,
            options,
            _lock: lock,
            id: replayed.id,
            active,
            sealed: sealed.map(|read| (read.path.clone(), read.contents.indexes.1)).collect(),
            released: Arc::default(),
            spares,
            next_spare,
            durable: replayed.outline.clone(),
            queued: replayed.outline.clone(),
            queue: Queue::default(),
            committed: BatchNumber(0),
            health: Health::Sound,
        };
        wal.release_segments();
        Ok(wal)
    }

    /// Queues a batch, which the next [`Wal::commit`] makes durable, whole.
    ///
    /// # Errors
    ///
    /// [`WalError::BatchTooLarge`], and nothing is queued.
    ///
    /// # Panics
    ///
    /// If the entries do not follow the log.
    pub fn append(&mut self, batch: &Batch<'_>) -> Result<BatchNumber, WalError> {
        self.check_health()?;
        let (payload_len, steps_len) = (self.queue.payload.len(), self.queue.steps.len());
        self.queue.put(batch);
        assert!(steps_len < self.queue.steps.len(), "a batch holds something");
        let beginning = batch.installed.or(batch.mark).map_or(0, |mark| {
            let mut out = Vec::new();
            Outline::of_mark(mark).put_beginning(&mut out);
            // A vote may come later.
            sectors_for(out.len() + 8)
        });
        let sectors = sectors_for(self.queue.payload.len() - payload_len);
        let sectors_max = self.options.unit_sectors_max();
        if sectors_max < sectors || BEGINNING_SECTORS_MAX < beginning {
            self.queue.payload.truncate(payload_len);
            self.queue.steps.truncate(steps_len);
            return Err(WalError::BatchTooLarge { sectors, sectors_max });
        }
        Ok(self.end_batch(steps_len))
    }

    /// Queues the trim of all entries before `before`. Once it is durable, the segments that hold
    /// nothing else are used again.
    ///
    /// # Panics
    ///
    /// If the entries are not included in the newest image that the log knows of, or the log does
    /// not reach that far.
    pub fn release(&mut self, before: Index) -> Result<(), WalError> {
        self.check_health()?;
        let index = before.previous();
        if index <= self.queued.base.index {
            return Ok(());
        }
        let image = self.queued.mark.as_ref().map_or(Index::ZERO, |mark| mark.id.index);
        assert!(index <= image, "entries to {index} released, and the image is at {image}");
        let id = self.queued.id_at(index).expect("what an image includes stands in the log");
        let steps_len = self.queue.steps.len();
        record::put_trim(&mut self.queue.payload, id);
        self.queue.steps.push(Step::Trim(id));
        self.end_batch(steps_len);
        Ok(())
    }

    /// Makes all that is queued durable, by one write and one sync unless the segment ends, and
    /// returns what is durable then.
    ///
    /// # Errors
    ///
    /// If [`WalError::is_full`], what is left of the queue stays, and it may be tried again. After
    /// any other error the log refuses everything: a sync is never repeated.
    pub fn commit(&mut self) -> Result<Committed, WalError> {
        self.check_health()?;
        while !self.queue.ends.is_empty() {
            let free = self.active.sectors - 1 - self.active.at.sector;
            let batches_len = self.queue.fitting(free.min(self.options.unit_sectors_max()));
            if batches_len == 0 {
                // Only this may fail without harm: nothing of the log is touched.
                if self.spares.is_empty() {
                    let made = self.preparation().run();
                    if made.as_ref().is_err_and(|error| !error.is_full()) {
                        self.health = Health::Poisoned;
                    }
                    self.spares.push(made?);
                }
                self.poisoning(Wal::rotate)?;
                continue;
            }
            self.poisoning(|wal| wal.write(batches_len))?;
        }
        assert!(self.durable == self.queued, "all that was queued is durable");
        self.release_segments();
        Ok(self.committed())
    }

    /// Commits what is queued and marks the log as closed, which spares the next start the doubt
    /// about the last write.
    pub fn close(mut self) -> Result<Committed, WalError> {
        let committed = self.commit()?;
        let footer = footer(Ending::Closed, self.durable.last, self.active.contents);
        write_footer(&*self.active.file, self.active.at, Salt::of(self.id), &footer)?;
        Ok(committed)
    }

    /// Returns how many bytes wait for [`Wal::commit`].
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queue.payload.len()
    }

    /// Returns what is durable.
    #[must_use]
    pub fn committed(&self) -> Committed {
        Committed {
            batch: self.committed,
            last: self.durable.last,
            hard_state: self.durable.hard_state,
        }
    }

    /// Returns the work that makes the next segment, so that [`Wal::commit`] need not; `None` if
    /// there is one already. Its result is for [`Wal::adopt`].
    pub fn prepare_next(&mut self) -> Option<Preparation> {
        self.spares.is_empty().then(|| self.preparation())
    }

    /// Takes a segment that was made ahead.
    pub fn adopt(&mut self, spare: Spare) {
        self.spares.push(spare);
    }

    fn preparation(&mut self) -> Preparation {
        let number = self.next_spare;
        self.next_spare += 1;
        Preparation::new(
            &self.disk,
            &self.options.dir,
            self.options.segment_bytes,
            number,
            &self.released,
        )
    }

    fn end_batch(&mut self, steps_from: usize) -> BatchNumber {
        for step in &self.queue.steps[steps_from..] {
            if let Err(found) = self.queued.apply(step) {
                panic!("a batch does not follow the log: {found}");
            }
        }
        self.queue.ends.push((self.queue.payload.len(), self.queue.steps.len()));
        BatchNumber(self.committed.0 + self.queue.ends.len() as u64)
    }

    /// Writes the first batches of the queue as one unit.
    fn write(&mut self, batches_len: usize) -> Result<(), WalError> {
        let (payload_len, steps_len) = self.queue.ends[batches_len - 1];
        let mut out = Vec::new();
        let offset = offset_of(self.active.at.sector);
        let payload = &self.queue.payload[..payload_len];
        sector::frame(&mut out, &mut self.active.at, Salt::of(self.id), payload);
        self.active.file.write_all_at(offset, &out)?;
        self.active.file.sync_data()?;
        let steps = &self.queue.steps[..steps_len];
        self.active.contents.add(steps);
        for step in steps {
            self.durable.apply(step).expect("the same steps were queued");
        }
        self.queue.remove(batches_len);
        self.committed.0 += batches_len as u64;
        Ok(())
    }

    /// Continues in a new segment.
    fn rotate(&mut self) -> Result<(), WalError> {
        let spare = self.spares.pop().expect("a spare segment was made");
        let before = self.active.at;
        let header = Header {
            id: self.id,
            sectors: self.options.sectors(),
            previous: before,
            last: self.durable.last,
        };
        let next =
            Active::begin(&*self.disk, &self.options.dir, spare, header, &self.durable, None)?;
        let ended = std::mem::replace(&mut self.active, next);
        let footer = footer(Ending::Continued, self.durable.last, ended.contents);
        write_footer(&*ended.file, before, Salt::of(self.id), &footer)?;
        self.sealed.push((ended.path, ended.contents.indexes.1));
        Ok(())
    }

    /// Gives up the oldest segments that hold nothing which is needed.
    fn release_segments(&mut self) {
        let base = self.durable.base.index;
        let needed = self.sealed.iter().position(|(_, highest)| base < *highest);
        let released = self.sealed.drain(..needed.unwrap_or(self.sealed.len()));
        self.released.extend(released.map(|(path, _)| path));
    }

    fn poisoning(
        &mut self,
        act: impl FnOnce(&mut Wal) -> Result<(), WalError>,
    ) -> Result<(), WalError> {
        assert!(self.health == Health::Sound, "a poisoned log is written");
        self.health = Health::Poisoned;
        act(self)?;
        self.health = Health::Sound;
        Ok(())
    }

    fn check_health(&self) -> Result<(), WalError> {
        match self.health {
            Health::Sound => Ok(()),
            Health::Poisoned => Err(WalError::Poisoned),
        }
    }
}

impl Replay {
    /// The log before its first segment.
    fn of_nothing(id: u64) -> Replay {
        Replay {
            outline: Outline::default(),
            entries: Vec::new(),
            start: Start::Created,
            id,
            segments: Vec::new(),
            trusted: Outline::default(),
            trusted_end: Position { segment: 0, sector: 0, chain: 0 },
            rewrite: None,
        }
    }
}

/// Removes what an earlier run did not finish, and returns the spare segments that can be used, one
/// at least, with the number of the next.
fn usable_spares(
    disk: &Arc<dyn Disk>,
    options: &Options,
    names: &[String],
    start: Start,
) -> Result<(Vec<Spare>, u64), WalError> {
    let mut spares = Vec::new();
    let mut next_spare = 0;
    for name in names {
        let path = options.dir.join(name);
        match Leftover::of(name) {
            None => {}
            Some(Leftover::Unfinished) => disk.remove(&path)?,
            Some(Leftover::Spare(number)) => {
                next_spare = next_spare.max(number + 1);
                let size = disk.open(&path, OpenMode::Read)?.size()?;
                // The sectors of another log could not be told from damaged ones.
                if size == options.segment_bytes && start != Start::Created {
                    spares.push(Spare { path });
                } else {
                    disk.remove(&path)?;
                }
            }
        }
    }
    if spares.is_empty() {
        let (dir, bytes) = (&options.dir, options.segment_bytes);
        let made = Preparation::new(disk, dir, bytes, next_spare, &Arc::default()).run()?;
        spares.push(made);
        next_spare += 1;
    }
    Ok((spares, next_spare))
}

fn parent_of(dir: &Path) -> &Path {
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}
