//! The planner in a model of its world: Kubernetes, members, and an operator that fails.
//!
//! Every transition is run once without faults, and then once more for every write of that run and
//! every fault there.

mod faults;
mod transitions;
mod world;
