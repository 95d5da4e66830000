//! Numbers, bytes and lists on the wire between members.

use bytes::{Buf, Bytes};
use thiserror::Error;

/// What a peer has sent is not what a member says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum WireError {
    /// It ends too early.
    #[error("the message ends {missing} bytes too early")]
    Short {
        /// How many bytes are missing at least.
        missing: usize,
    },
    /// A tag that no version of ours writes.
    #[error("{found} where {what} was expected")]
    Unknown {
        /// What was expected.
        what: &'static str,
        /// The tag.
        found: u64,
    },
    /// Something is left over.
    #[error("{0} bytes are left over at the end of the message")]
    Long(usize),
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    NotText,
    /// The parts of a configuration contradict each other.
    #[error("the parts of a configuration contradict each other")]
    Contradiction,
    /// The checksum of a frame is wrong.
    #[error("the checksum of a frame is {found:08x} where {expected:08x} was expected")]
    Checksum {
        /// What was computed.
        expected: u32,
        /// What was found.
        found: u32,
    },
    /// A frame is longer than any of ours.
    #[error("a frame of {found} bytes, where at most {max} are sent")]
    TooLong {
        /// Its length.
        found: usize,
        /// The limit.
        max: usize,
    },
}

/// Reads a message from the front.
#[derive(Debug)]
pub(crate) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(crate) fn new(rest: Bytes) -> Reader {
        Reader { rest }
    }

    fn need(&self, bytes: usize) -> Result<(), WireError> {
        match bytes.checked_sub(self.rest.len()) {
            None | Some(0) => Ok(()),
            Some(missing) => Err(WireError::Short { missing }),
        }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        self.need(1)?;
        Ok(self.rest.get_u8())
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.need(4)?;
        Ok(self.rest.get_u32_le())
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        self.need(8)?;
        Ok(self.rest.get_u64_le())
    }

    pub(crate) fn i64(&mut self) -> Result<i64, WireError> {
        self.need(8)?;
        Ok(self.rest.get_i64_le())
    }

    /// Bytes behind their length; they share the message's allocation.
    pub(crate) fn bytes(&mut self) -> Result<Bytes, WireError> {
        let len = self.u32()? as usize;
        self.need(len)?;
        Ok(self.rest.split_to(len))
    }

    pub(crate) fn text(&mut self) -> Result<String, WireError> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| WireError::NotText)
    }

    /// A list behind its length.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Reader) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let len = self.u32()? as usize;
        // No item is shorter than a byte: a length that lies takes no memory.
        self.need(len)?;
        (0..len).map(|_| item(self)).collect()
    }

    /// Nothing may be left.
    pub(crate) fn finish(self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(WireError::Long(left)),
        }
    }
}

pub(crate) fn put_u8(out: &mut Vec<u8>, value: u8) {
    out.push(value);
}

pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_len(out: &mut Vec<u8>, len: usize) {
    put_u32(out, u32::try_from(len).expect("nothing that members send has 4 GiB"));
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

pub(crate) fn put_list<T>(
    out: &mut Vec<u8>,
    items: impl ExactSizeIterator<Item = T>,
    mut item: impl FnMut(&mut Vec<u8>, T),
) {
    put_len(out, items.len());
    for one in items {
        item(out, one);
    }
}
