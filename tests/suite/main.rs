//! Tests of whole processes: what only a real kernel, a real network and real clients can show.
//!
//! Tests that need etcd, Go or root say so, and are skipped where these are missing;
//! `TESTS_SKIP_NOTHING=1` makes that a failure.

mod calls;
mod clients;
mod conformance;
mod differential;

mod draw;
mod kubernetes;
mod process;
mod watchers;
