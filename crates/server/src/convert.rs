//! Between etcd's messages and what our own crates speak: the one place that knows both.
//!
//! Requests become commands and questions. Answers are written by hand, field by field, because the
//! store has every version encoded already: an answer is put together by copying. Where nothing is
//! to be gained, services build the messages of `etcd_api` themselves.

mod answer;
mod header;
mod request;
#[cfg(test)]
mod tests;
pub mod wire;

pub use answer::{DeleteRangeAnswer, KeyForm, Part, PutAnswer, RangeAnswer, TxnAnswer};
pub use header::Header;
pub use request::{alarm_kind, delete_range, is_serializable, put, range, txn};
