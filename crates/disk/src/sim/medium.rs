//! One file: what reads see, what a crash leaves, and what is on its way from one to the other.

use super::faults::{Fault, Rng};
use crate::SECTOR_BYTES;

/// What of the writes and changed names that were not synced survives a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Survivors {
    /// Nothing.
    None,
    /// All.
    All,
    /// A beginning: of each file, sectors in the order in which they were written; of all changes
    /// of names, in the order in which they were made.
    InOrder,
    /// Any, independently: the disk reorders, and one sector may survive in any of the states it
    /// had.
    Any,
}

impl Survivors {
    /// All of them.
    pub const EACH: [Survivors; 4] =
        [Survivors::None, Survivors::All, Survivors::InOrder, Survivors::Any];

    /// Draws which of `len` things survive.
    pub(super) fn draw(self, len: usize, rng: &mut Rng) -> Vec<bool> {
        let cut = rng.below(len as u64 + 1);
        (0..len as u64)
            .map(|place| match self {
                Survivors::None => false,
                Survivors::All => true,
                Survivors::InOrder => place < cut,
                Survivors::Any => rng.below(2) == 0,
            })
            .collect()
    }
}

/// A file without its name.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// What reads see.
    pub(super) cached: Vec<u8>,
    /// What is certain to survive.
    stored: Vec<u8>,
    /// What is on its way, in the order in which it was written.
    pending: Vec<Pending>,
    /// How many have the file open.
    pub(super) open: u64,
}

#[derive(Clone, Debug)]
enum Pending {
    /// One sector; shorter if the file ends in it.
    Sector { offset: usize, bytes: Vec<u8> },
    /// The file was cut or lengthened.
    Len(usize),
}

impl Inode {
    /// A file that holds this, durably.
    pub(super) fn of(contents: &[u8]) -> Inode {
        Inode { cached: contents.to_vec(), stored: contents.to_vec(), pending: Vec::new(), open: 0 }
    }

    pub(super) fn size(&self) -> u64 {
        self.cached.len() as u64
    }

    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let from = place(offset).min(self.cached.len());
        let len = buffer.len().min(self.cached.len() - from);
        buffer[..len].copy_from_slice(&self.cached[from..from + len]);
        len
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8], fault: Option<Fault>) {
        let from = place(offset);
        let to = from + bytes.len();
        if self.cached.len() < to {
            self.cached.resize(to, 0);
        }
        self.cached[from..to].copy_from_slice(bytes);
        let displaced_bytes = match fault {
            Some(Fault::Lose) => return,
            Some(Fault::Misdirect { sectors }) => place(sectors) * SECTOR_BYTES,
            Some(Fault::Fail | Fault::FailAndForget | Fault::Short | Fault::Stall { .. })
            | None => 0,
        };
        let first = from - from % SECTOR_BYTES;
        for offset in (first..to).step_by(SECTOR_BYTES) {
            let end = (offset + SECTOR_BYTES).min(self.cached.len());
            let bytes = self.cached[offset..end].to_vec();
            self.pending.push(Pending::Sector { offset: offset + displaced_bytes, bytes });
        }
    }

    pub(super) fn set_len(&mut self, bytes: u64) {
        self.cached.resize(place(bytes), 0);
        self.pending.push(Pending::Len(place(bytes)));
    }

    /// Stores all that is on its way.
    pub(super) fn sync(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            self.store(pending);
        }
    }

    /// Takes all that is on its way for stored, as kernels do after a sync that failed.
    pub(super) fn forget(&mut self) {
        self.pending.clear();
    }

    pub(super) fn crash(&mut self, survivors: Survivors, rng: &mut Rng) {
        let pending = std::mem::take(&mut self.pending);
        let survives = survivors.draw(pending.len(), rng);
        for (pending, survives) in pending.into_iter().zip(survives) {
            if survives {
                self.store(pending);
            }
        }
        self.cached.clone_from(&self.stored);
        self.open = 0;
    }

    pub(super) fn flip(&mut self, bit: u64) {
        let (byte, mask) = (place(bit / 8), 1 << (bit % 8));
        self.cached[byte] ^= mask;
        if let Some(byte) = self.stored.get_mut(byte) {
            *byte ^= mask;
        }
    }

    fn store(&mut self, pending: Pending) {
        match pending {
            Pending::Sector { offset, bytes } => {
                let end = offset + bytes.len();
                if self.stored.len() < end {
                    self.stored.resize(end, 0);
                }
                self.stored[offset..end].copy_from_slice(&bytes);
            }
            Pending::Len(bytes) => self.stored.resize(bytes, 0),
        }
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).expect("a simulated file fits into memory")
}
