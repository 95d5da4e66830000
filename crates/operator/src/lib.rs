//! The operator.
pub mod crd;
pub mod plan;
