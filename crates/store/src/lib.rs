//! The replicated machine: takes commands in order, and gives the same answers on every member.

mod backup;
mod check;
mod cluster;
mod codec;
mod command;
mod deleted;
mod image;
mod leases;
mod machine;
mod members;
mod range;
mod response;
mod space;
mod txn;

pub use backup::History;
pub use check::{check_delete_range, check_put, check_range, check_txn};
pub use codec::DecodeError;
pub use command::{
    AlarmAction, AlarmKind, Command, CommandId, Compare, CompareResult, CompareWith, DeleteRange,
    MembershipContext, Operation, Order, Put, Range, Target, Txn,
};
pub use image::{CHUNK_HEADER_BYTES, Chunks, Image, LoadError, MachineLoader, chunk_bytes};
pub use leases::{Lease, LeaseChange, LeaseTable};
pub use machine::Machine;
pub use members::MemberAttributes;
pub use range::{hash_kv, range, range_borrowed};
pub use response::{
    Applied, DeletedRange, OperationResponse, RangeAnswer, Rejection, Response, TxnResponse,
};
pub use space::SpaceVerdict;
pub use txn::read_txn;
