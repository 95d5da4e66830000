//! Which call fails, and how.

use std::collections::BTreeMap;
use std::io;

use crate::error::Cause;

/// The kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// [`crate::Disk::create_dir`].
    CreateDir,
    /// [`crate::Disk::open`], in any mode.
    Open,
    /// [`crate::Disk::list`].
    List,
    /// [`crate::Disk::rename`].
    Rename,
    /// [`crate::Disk::remove`].
    Remove,
    /// [`crate::Disk::sync_dir`].
    SyncDir,
    /// [`crate::Disk::lock`].
    Lock,
    /// [`crate::DiskFile::read_at`].
    Read,
    /// [`crate::DiskFile::write_at`].
    Write,
    /// [`crate::DiskFile::sync_data`].
    SyncData,
    /// [`crate::DiskFile::sync_all`].
    SyncAll,
    /// [`crate::DiskFile::set_len`].
    SetLen,
    /// [`crate::DiskFile::size`].
    Size,
}

/// How a call goes wrong. One that makes no sense for a kind of call does nothing to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An I/O error; nothing was done.
    Fail,
    /// A sync fails, and the kernel counts the pages as clean from then on: reads see them, later
    /// syncs succeed, and they never reach the disk.
    FailAndForget,
    /// A read or a write does half of what it was asked to; a write, up to the end of a sector.
    Short,
    /// A write reports success, reads see it, and it never reaches the disk.
    Lose,
    /// A write reports success, reads see it, and on the disk it lands this many sectors further
    /// back in the file.
    Misdirect {
        /// How many sectors; one or more.
        sectors: u64,
    },
    /// The call takes this long.
    Stall {
        /// How long, in ticks.
        ticks: u64,
    },
}

/// How likely faults are, each in calls of a million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chances {
    /// [`Fault::Fail`], in all kinds of calls, and [`Fault::FailAndForget`] in syncs.
    pub fail: u64,
    /// [`Fault::Short`], in reads and writes.
    pub short: u64,
    /// [`Fault::Lose`], in writes.
    pub lose: u64,
    /// [`Fault::Misdirect`] by one sector to eight, in writes.
    pub misdirect: u64,
    /// [`Fault::Stall`], in all kinds of calls.
    pub stall: u64,
    /// The longest stall, in ticks.
    pub stall_ticks_max: u64,
}

/// What is planned, what is left to chance, and what has happened.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    calls: BTreeMap<Call, u64>,
    planned: Vec<(Call, u64, Fault)>,
    pub(super) chances: Chances,
    pub(super) cut_power_at: Option<u64>,
    pub(super) is_off: bool,
    pub(super) stalled_ticks: u64,
}

impl Faults {
    pub(super) fn calls(&self) -> u64 {
        self.calls.values().sum()
    }

    pub(super) fn calls_of(&self, call: Call) -> u64 {
        self.calls.get(&call).copied().unwrap_or(0)
    }

    pub(super) fn plan(&mut self, call: Call, nth: u64, fault: Fault) {
        self.planned.push((call, self.calls_of(call) + nth, fault));
    }

    /// Counts a call, and decides what happens to it.
    pub(super) fn on_call(&mut self, call: Call, rng: &mut Rng) -> Result<Option<Fault>, Cause> {
        if self.is_off {
            return Err(Cause::PowerOff);
        }
        *self.calls.entry(call).or_default() += 1;
        let nth = self.calls_of(call);
        let planned = self.planned.iter().position(|(on, at, _)| *on == call && *at == nth);
        let fault = match planned {
            Some(place) => Some(self.planned.swap_remove(place).2),
            None => self.draw(call, rng),
        };
        if let Some(Fault::Stall { ticks }) = fault {
            self.stalled_ticks += ticks;
        }
        Ok(fault)
    }

    /// Switches the power off if this was the call to do it in.
    pub(super) fn end_of_call(&mut self) -> Result<(), Cause> {
        if self.cut_power_at.is_some_and(|at| at <= self.calls()) {
            self.is_off = true;
            return Err(Cause::PowerOff);
        }
        Ok(())
    }

    fn draw(&self, call: Call, rng: &mut Rng) -> Option<Fault> {
        let chances = self.chances;
        if chances == Chances::default() {
            return None;
        }
        let mut hit = |per_million: u64| rng.below(1_000_000) < per_million;
        if hit(chances.fail) {
            let forgets = matches!(call, Call::SyncData | Call::SyncAll) && hit(500_000);
            return Some(if forgets { Fault::FailAndForget } else { Fault::Fail });
        }
        if matches!(call, Call::Read | Call::Write) && hit(chances.short) {
            return Some(Fault::Short);
        }
        if call == Call::Write && hit(chances.lose) {
            return Some(Fault::Lose);
        }
        if call == Call::Write && hit(chances.misdirect) {
            return Some(Fault::Misdirect { sectors: 1 + rng.below(8) });
        }
        if hit(chances.stall) {
            return Some(Fault::Stall { ticks: rng.below(chances.stall_ticks_max + 1) });
        }
        None
    }
}

/// An error of the medium.
pub(super) fn broken() -> Cause {
    Cause::Io(io::Error::other("input/output error (simulated)"))
}

/// Numbers that follow from a seed (splitmix64).
#[derive(Clone, Debug)]
pub(super) struct Rng(pub(super) u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is one or more.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        assert!(0 < limit, "no number is below zero");
        self.next() % limit
    }
}
