//! The running member: what drives the replica, and the door to it.

pub(crate) mod admission;
mod birth;
pub(crate) mod chores;
mod driver;
mod fitness;
mod handle;
mod inbox;

pub(crate) use admission::Admitted;
pub(crate) use birth::{Birth, birth};
pub(crate) use driver::{Driver, Exit};
pub(crate) use fitness::Fitness;
pub(crate) use handle::Shared;
pub use handle::{Executed, Handle, Identity};
