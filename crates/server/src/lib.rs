//! The process: services, peers, TLS, flags, metrics. Asynchronous code begins here.

mod addresses;
pub mod alone;
pub mod bootstrap;
pub mod cli;
pub mod config;
pub mod convert;
mod dice;
pub mod http;
pub mod layout;
pub mod log;
pub mod member;
pub mod metrics;
mod peer;
mod run;
pub mod service;
pub mod spans;
pub mod status;
pub mod tls;
pub mod transport;

pub use run::run;
