//! One member without a network: core, log and store driven by one queue of events.
