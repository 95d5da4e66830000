//! The messages and services of etcd's v3 API, generated from `proto/` at the top of the workspace.
//!
//! Messages are those of prost; clients are those of tonic, over any transport. Servers differ from
//! what tonic generates in two ways, which are why this crate has code of its own:
//!
//! ```text
//!   proto/*.proto ─► protox ─► prost: messages
//!                                ├──► tonic: clients    (messages in, messages out)
//!                                └──► tonic: servers    (messages in, Encoded or messages out)
//!                                                            │
//!                                            Codec ◄─────────┘  small buffers, no second copy
//! ```
//!
//! - The methods of `KV` and `Watch` answer with [`Encoded`]: anything that can write itself as a
//!   message. The store keeps every version of a key in that form, so an answer is put together
//!   by copying, straight into the buffer that goes to the connection.
//! - [`Codec`] begins with buffers of a few hundred bytes, where tonic begins with 8 KiB for each
//!   direction of each call. A thousand watches that wait are then a matter of kilobytes.
//!
//! # Decisions
//!
//! - **Our own definitions, in files by service.** What must agree with etcd is the package, the
//!   names and the numbers; `tests/numbers.rs` compares them with a list.
//! - **No installed `protoc`**: protox compiles them, in Rust.
//!
//! # Left out
//!
//! - *The services `Auth`, `Lock` and `Election`, and what the JSON gateway wants.* They come
//!   with the code that serves them. Until then the calls are answered `Unimplemented`, by tonic.
//! - *Messages that etcd writes to its own log.* Ours is a format of our own.
//!
//! References: etcd's `api/etcdserverpb/rpc.proto` and `api/mvccpb/kv.proto` at 3.7 for names and
//! numbers; the gRPC health checking protocol.

mod codec;
mod encoded;

pub use codec::Codec;
pub use encoded::{Encode, Encoded};

/// Keys and what happens to them.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::restriction,
    clippy::pedantic,
    reason = "generated: fields are documented in proto/, the rest is tonic's"
)]
pub mod mvccpb {
    include!(concat!(env!("OUT_DIR"), "/mvccpb.rs"));
}

/// The services of etcd.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::restriction,
    clippy::pedantic,
    reason = "generated: fields are documented in proto/, the rest is tonic's"
)]
pub mod etcdserverpb {
    include!(concat!(env!("OUT_DIR"), "/etcdserverpb.rs"));
}

/// The protocol by which gRPC clients ask whether a server is fit.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::restriction,
    clippy::pedantic,
    reason = "generated: fields are documented in proto/, the rest is tonic's"
)]
pub mod health {
    include!(concat!(env!("OUT_DIR"), "/grpc.health.v1.rs"));
}

/// What Holdfast serves beside etcd's services.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::restriction,
    clippy::pedantic,
    reason = "generated: fields are documented in proto/, the rest is tonic's"
)]
pub mod holdfast {
    include!(concat!(env!("OUT_DIR"), "/holdfast.v1.rs"));
}
