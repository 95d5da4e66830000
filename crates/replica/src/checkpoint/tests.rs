//! Tests of the format of checkpoints.
