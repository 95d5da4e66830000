//! Waiting for sockets and for a moment, to the microsecond.
//!
//! An epoll set waits in whole milliseconds, which is as long as the latencies that are measured.
//! The set is itself a descriptor, and `ppoll` on that one takes nanoseconds.

use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, epoll};
use rustix::io::Errno;

const EVENTS_MAX: usize = 256;

/// A set of sockets.
pub(crate) struct Poller {
    set: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poller {
    /// An empty set. From here on the thread is woken as soon as its time has come.
    pub(crate) fn new() -> Result<Poller> {
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))
            .context("cannot make the thread's timers exact")?;
        let set = epoll::create(epoll::CreateFlags::CLOEXEC).context("cannot make an epoll set")?;
        Ok(Poller { set, events: Vec::with_capacity(EVENTS_MAX) })
    }

    /// Adds a socket, which is `number` from then on. It is reported each time that there is
    /// something new to read, or room to write after there was none.
    pub(crate) fn add(&self, socket: impl AsFd, number: usize) -> Result<()> {
        let interest = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&self.set, socket, epoll::EventData::new_u64(number as u64), interest)
            .context("cannot add a socket to the epoll set")
    }

    /// Waits until a socket is ready or the time has passed, and appends the numbers of those that
    /// are ready to `ready`.
    pub(crate) fn wait(&mut self, time: Duration, ready: &mut Vec<usize>) -> Result<()> {
        if !time.is_zero() {
            let timeout = Timespec::try_from(time).context("cannot wait for so long")?;
            let mut sets = [PollFd::new(&self.set, PollFlags::IN)];
            match rustix::event::poll(&mut sets, Some(&timeout)) {
                Ok(0) | Err(Errno::INTR) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error).context("cannot wait for the epoll set"),
            }
        }
        self.events.clear();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match epoll::wait(&self.set, rustix::buffer::spare_capacity(&mut self.events), Some(&now)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot read the epoll set"),
        }
        for event in &self.events {
            let number = event.data.u64();
            ready.push(usize::try_from(number).expect("it was given by us"));
        }
        Ok(())
    }
}
