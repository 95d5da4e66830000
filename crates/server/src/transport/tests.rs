//! The layer, asked over real sockets.
