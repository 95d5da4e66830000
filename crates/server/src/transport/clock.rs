//! The time, read once a turn.
//!
//! hyper notes the time of everything that it reads, to know when a connection has been silent for
//! long. That is three readings of the clock for each call, and they show. All that is read in one
//! turn is read at the same time as far as anybody here cares.

use std::cell::Cell;
use std::pin::Pin;
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use hyper_util::rt::TokioTimer;

thread_local! {
    /// When the last turn on this thread began.
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The clock and the alarms of one connection's hyper.
#[derive(Clone, Debug)]
pub(super) struct TurnClock {
    alarms: TokioTimer,
}

impl TurnClock {
    /// A clock.
    pub(super) fn new() -> TurnClock {
        TurnClock { alarms: TokioTimer::new() }
    }

    /// A turn begins.
    pub(super) fn on_turn() {
        NOW.set(Some(tokio::time::Instant::now().into_std()));
    }
}

impl Timer for TurnClock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.alarms.sleep(duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.alarms.sleep_until(deadline)
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        self.alarms.reset(sleep, deadline);
    }

    fn now(&self) -> Instant {
        NOW.get().unwrap_or_else(|| self.alarms.now())
    }
}
