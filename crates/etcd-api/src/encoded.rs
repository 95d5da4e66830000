//! Answers that write themselves.

use bytes::{BufMut, Bytes};
use prost::Message;

/// What can write itself as one message.
pub trait Encode: Send {
    /// Returns the number of bytes that [`Encode::encode`] will write.
    fn encoded_len(&self) -> usize;

    /// Appends the message, without a length in front, to a buffer that has room for it.
    fn encode(&self, buffer: &mut dyn BufMut);
}

/// One message to be sent, whatever it is made from.
pub struct Encoded(Box<dyn Encode>);

impl Encoded {
    /// Returns an answer that is written when the connection takes it.
    pub fn new(message: impl Encode + 'static) -> Encoded {
        Encoded(Box::new(message))
    }

    /// Returns the answer that a message of prost is.
    pub fn of(message: impl Message + 'static) -> Encoded {
        Encoded::new(Plain(message))
    }
}

impl From<Bytes> for Encoded {
    /// Takes bytes that are a message.
    fn from(bytes: Bytes) -> Encoded {
        Encoded::new(Finished(bytes))
    }
}

impl Encode for Encoded {
    fn encoded_len(&self) -> usize {
        self.0.encoded_len()
    }

    fn encode(&self, buffer: &mut dyn BufMut) {
        self.0.encode(buffer);
    }
}

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Encoded({} bytes)", self.encoded_len())
    }
}

struct Finished(Bytes);

impl Encode for Finished {
    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn encode(&self, buffer: &mut dyn BufMut) {
        buffer.put_slice(&self.0);
    }
}

struct Plain<M>(M);

impl<M: Message> Encode for Plain<M> {
    fn encoded_len(&self) -> usize {
        self.0.encoded_len()
    }

    fn encode(&self, mut buffer: &mut dyn BufMut) {
        self.0.encode_raw(&mut buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcdserverpb::{PutResponse, ResponseHeader};

    #[test]
    fn message_and_its_bytes_write_the_same() {
        let header = ResponseHeader { cluster_id: 7, member_id: 300, revision: 2, raft_term: 1 };
        let message = PutResponse { header: Some(header), prev_kv: None };
        let bytes = Bytes::from(message.encode_to_vec());
        for encoded in [Encoded::of(message), Encoded::from(bytes.clone())] {
            let mut written = Vec::new();
            encoded.encode(&mut written);
            assert_eq!(written, bytes);
            assert_eq!(encoded.encoded_len(), bytes.len());
        }
    }
}
