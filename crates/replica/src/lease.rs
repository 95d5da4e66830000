//! The time of leases, and the questions about it.

mod clock;
mod questions;

pub(crate) use clock::LeaseClock;
pub(crate) use questions::{Ask, Questions};
