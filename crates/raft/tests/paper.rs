//! The rules of the Raft paper and of the thesis, one test for each sentence.
//!
//! Each test says in our words what the sentence asks, and where it stands: "Figure 2", or a "§"
//! without another source, is of the paper. Where Holdfast does otherwise on purpose, the test says
//! so and shows what it does instead.

mod client;
mod durability;
mod election;
mod foreign;
mod membership;
mod one;
mod prevote;
mod read;
mod replication;
mod safety;
mod snapshot;
mod transfer;
