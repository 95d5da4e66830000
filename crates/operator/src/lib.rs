//! The operator.
pub mod crd;
pub mod plan;
pub mod trial;
