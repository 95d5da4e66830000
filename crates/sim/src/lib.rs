//! Deterministic simulation of Holdfast.

mod checker;
mod clock;
mod cluster;
mod disk;
mod event;
pub mod html;
pub mod linearizability;
mod machine;
mod member;
mod network;
pub mod options;
pub mod probe;
mod rng;
pub mod run;
pub mod script;
pub mod shrink;
pub mod stage;
pub mod trace;
mod workload;

pub use checker::Violation;
pub use clock::Shape;
