//! The process: services, peers, TLS, flags, metrics. Asynchronous code begins here.
