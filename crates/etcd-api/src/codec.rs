//! How messages go in and out of a call of tonic.

use std::marker::PhantomData;

use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::encoded::{Encode, Encoded};

/// Bytes that a call takes for each direction before it knows how long its messages are.
const BUFFER_BYTES: usize = 512;

/// Messages are handed to the connection when this many bytes are together, or none is left.
const YIELD_BYTES: usize = 32 * 1024;

fn buffer_settings() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
}

/// What a server sends: messages of prost, and [`Encoded`].
pub trait Outgoing: Send + 'static {
    /// Appends the message to the buffer.
    fn write(&self, buffer: &mut EncodeBuf<'_>);
}

impl<M: Message + 'static> Outgoing for M {
    fn write(&self, buffer: &mut EncodeBuf<'_>) {
        buffer.reserve(self.encoded_len());
        self.encode_raw(buffer);
    }
}

impl Outgoing for Encoded {
    fn write(&self, buffer: &mut EncodeBuf<'_>) {
        buffer.reserve(self.encoded_len());
        self.encode(buffer);
    }
}

/// The codec of all servers: `E` is what is sent, `D` what is received.
#[derive(Debug)]
pub struct Codec<E, D> {
    messages: PhantomData<(E, D)>,
}

impl<E, D> Default for Codec<E, D> {
    fn default() -> Codec<E, D> {
        Codec { messages: PhantomData }
    }
}

impl<E: Outgoing, D: Message + Default + 'static> tonic::codec::Codec for Codec<E, D> {
    type Encode = E;
    type Decode = D;
    type Encoder = Writer<E>;
    type Decoder = Reader<D>;

    fn encoder(&mut self) -> Writer<E> {
        Writer { messages: PhantomData }
    }

    fn decoder(&mut self) -> Reader<D> {
        Reader { messages: PhantomData }
    }
}

/// Writes what is sent.
#[derive(Debug)]
pub struct Writer<E> {
    messages: PhantomData<E>,
}

impl<E: Outgoing> Encoder for Writer<E> {
    type Item = E;
    type Error = Status;

    fn encode(&mut self, item: E, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.write(buffer);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffer_settings()
    }
}

/// Reads what is received.
#[derive(Debug)]
pub struct Reader<D> {
    messages: PhantomData<D>,
}

impl<D: Message + Default> Decoder for Reader<D> {
    type Item = D;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<D>, Status> {
        // The code is that of Go's gRPC, which etcd uses.
        D::decode(buffer).map(Some).map_err(|source| Status::internal(source.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffer_settings()
    }
}
