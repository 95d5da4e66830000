//! The process: services, peers, TLS, flags, metrics. Asynchronous code begins here.

pub mod bootstrap;
pub mod config;
mod dice;
pub mod http;
pub mod member;
mod peer;
pub mod tls;
pub mod transport;
