//! Deterministic simulation of Holdfast.

pub mod html;
pub mod script;
pub mod stage;
pub mod trace;
