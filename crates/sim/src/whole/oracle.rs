//! The oracles over whole members. They look from outside: at what members publish, send and
//! answer.
//!
//! | oracle | asks whether |
//! | --- | --- |
//! | [`history`] | all show the same changes, in order, without gaps, each command once |
//! | [`ledger`] | all who have executed as much have the same digest, and a term has one leader |
//! | [`promises`] | what a member said was on its disk is there after any crash |
//! | [`leases`] | no lease runs out early, and none that is gone is renewed |
//! | linearizability | what clients saw can be put in one order |
//! | answers | who was told that nothing happened was told the truth, and nobody is told twice |
//! | fault | no member stops without a reason, and what it says of damage is true |
//! | liveness | a healed quorum makes progress in time, and catches up |

pub(crate) mod history;
pub(crate) mod leases;
pub(crate) mod ledger;
pub(crate) mod promises;
