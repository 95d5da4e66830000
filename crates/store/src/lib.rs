//! The replicated machine: takes commands in order, and gives the same answers on every member.

mod codec;
mod command;
mod members;
mod response;

pub use codec::DecodeError;
pub use command::{
    AlarmAction, AlarmKind, Command, CommandId, Compare, CompareResult, CompareWith, DeleteRange,
    MembershipContext, Operation, Order, Put, Range, Target, Txn,
};
pub use members::MemberAttributes;
pub use response::{
    Applied, DeletedRange, OperationResponse, RangeAnswer, Rejection, Response, TxnResponse,
};
