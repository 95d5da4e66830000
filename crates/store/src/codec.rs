//! Commands as bytes: what stands in the log, and what members forward to each other.
//!
//! ```text
//! command  0           1           2              10               18
//!          format = 2  kind (u8)   origin (u64)   sequence (u64)   body
//!
//! kind  body
//!  1    put
//!  2    deletion
//!  3    transaction
//!  4    compact     revision (i64)
//!  5    grant       lease (i64), time to live in seconds (i64)
//!  6    revoke      lease (i64)
//!  7    expire      list of: lease (i64)
//!  8    checkpoint  list of: lease (i64), remaining seconds (i64)
//!  9    alarm       action (u8: 1 activate, 2 deactivate), kind (u8), member (u64)
//! 10    publish     member (u64), name, client URLs (texts)
//! 11    update      member (u64), peer URLs (texts)
//! 12    version     text
//! 13    downgrade   0 (u8) to take it back, or 1 and the version as text
//! 14    nothing
//!
//! put          flags (u8)          1 previous, 2 keep value, 4 keep lease, 8 has a lease
//!              lease (i64), if it has one; key; value
//! deletion     flags (u8)          1 previous
//!              key; range end
//! range        flags (u16)         bits 0–1 order, 2–4 target, 5 keys only, 6 count only;
//!                                  from bit 7 on, one for each number that follows
//!              limit, revision, bounds of mod revision (min, max) and of create revision (min,
//!              max), each an i64, if it is not zero; key; range end
//! comparison   with (u8)           1 version, 2 create revision, 3 mod revision, 4 value, 5 lease
//!              result (u8)         1 equal, 2 greater, 3 less, 4 not equal
//!              key; range end; value as bytes or number as i64
//! transaction  list of comparisons; lists of operations for success and for failure
//! operation    kind (u8)           1 range, 2 put, 3 deletion, 4 transaction
//!              its body
//!
//! key, value   length (count), bytes
//! list         number of items (count), items
//! count        7 bits in each byte, the lowest first; the highest bit of all but the last is set;
//!              below 2^32
//! text         length (u32), UTF-8
//! texts        their number (u32), texts: such are the lists of URLs
//! ```
//!
//! Numbers are little-endian, but for the sequence: with its highest byte first, commands that one
//! member sends in a row begin alike up to the last byte of it, and the log leaves out what the
//! command before begins with as well.
//!
//! What is zero where a flag could leave it out, a count with a byte too many, a flag that is not
//! known, or anything behind the body is refused: so one command has one encoding. A number that
//! stands for a kind is never given to another.
//!
//! The context of a change of the configuration has a similar form, without an ID:
//!
//! ```text
//! context  0           1           2              10
//!          format = 1  kind (u8)   member (u64)   body
//!
//! kind  body
//!  1    added       name; peer URLs (texts); client URLs (texts); whether it becomes a voter (u8)
//!  2    promoted
//!  3    removed
//! ```

mod read;
#[cfg(test)]
mod tests;
mod write;

use bytes::Bytes;
use thiserror::Error;

use self::read::Envelope;
pub(crate) use self::read::{PutRef, Reader};
pub(crate) use self::write::{alarm_kind, attributes, bytes, length};
use crate::command::{Command, CommandId, MembershipContext};

/// The format of commands that is written, and the only one that is known.
const COMMAND_FORMAT: u8 = 2;

/// The same of contexts.
const CONTEXT_FORMAT: u8 = 1;

/// A count is written in groups of so many bits, the lowest first.
const GROUP_BITS: u32 = 7;

/// Set in every group of a count but the last.
const MORE: u8 = 1 << GROUP_BITS;

/// How deeply transactions may be nested, the outermost counted.
pub(crate) const TXN_DEPTH_MAX: usize = 64;

/// The kinds of commands as numbers. They are in logs, and never change.
mod kind {
    pub(super) const PUT: u8 = 1;
    pub(super) const DELETE_RANGE: u8 = 2;
    pub(super) const TXN: u8 = 3;
    pub(super) const COMPACT: u8 = 4;
    pub(super) const LEASE_GRANT: u8 = 5;
    pub(super) const LEASE_REVOKE: u8 = 6;
    pub(super) const LEASE_EXPIRE: u8 = 7;
    pub(super) const LEASE_CHECKPOINT: u8 = 8;
    pub(super) const ALARM: u8 = 9;
    pub(super) const PUBLISH: u8 = 10;
    pub(super) const MEMBER_UPDATE: u8 = 11;
    pub(super) const CLUSTER_VERSION: u8 = 12;
    pub(super) const DOWNGRADE: u8 = 13;
    pub(super) const NOTHING: u8 = 14;
}

/// The kinds of operations in a transaction.
mod operation {
    pub(super) const RANGE: u8 = 1;
    pub(super) const PUT: u8 = 2;
    pub(super) const DELETE_RANGE: u8 = 3;
    pub(super) const TXN: u8 = 4;
}

/// The kinds of changes of the configuration.
mod change {
    pub(super) const ADDED: u8 = 1;
    pub(super) const PROMOTED: u8 = 2;
    pub(super) const REMOVED: u8 = 3;
}

/// What puts and deletions want.
mod put_flag {
    pub(super) const PREVIOUS: u8 = 1;
    pub(super) const IGNORE_VALUE: u8 = 2;
    pub(super) const IGNORE_LEASE: u8 = 4;
    pub(super) const LEASE: u8 = 8;
}

/// The flags of a range behind order and target.
mod range_flag {
    pub(super) const ORDER_MASK: u16 = 0b11;
    pub(super) const TARGET_SHIFT: u32 = 2;
    pub(super) const TARGET_MASK: u16 = 0b111;
    pub(super) const KEYS_ONLY: u16 = 1 << 5;
    pub(super) const COUNT_ONLY: u16 = 1 << 6;
    /// That of the limit; the other five numbers have the flags above it.
    pub(super) const FIRST_NUMBER: u32 = 7;
    pub(super) const END: u32 = 13;
}

/// Why bytes are no command. Places are in bytes from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("{wanted} bytes are wanted at byte {at}, and {left} are left")]
    Truncated {
        /// Where something begins that is not all there.
        at: usize,
        /// How long it is, or the least that it can be.
        wanted: usize,
        /// What is left.
        left: usize,
    },
    /// The command or context is of a format that this program does not know.
    #[error("the bytes have format {found}, and only {expected} is known")]
    Format {
        /// The format.
        found: u8,
        /// The one that is known.
        expected: u8,
    },
    /// A number stands for nothing that is known.
    #[error("the {what} at byte {at} is {found}, which stands for nothing")]
    Unknown {
        /// What the number should stand for.
        what: &'static str,
        /// The number.
        found: u64,
        /// Where it ends.
        at: usize,
    },
    /// A count has more bytes than it takes, or is too great.
    #[error("the count that ends at byte {at} is not the shortest of a number below 2^32")]
    Count {
        /// Where it ends.
        at: usize,
    },
    /// A number is written out that is to be left out.
    #[error("the number that ends at byte {at} is zero, and should have been left out")]
    Zero {
        /// Where it ends.
        at: usize,
    },
    /// A text is not UTF-8.
    #[error("the text that ends at byte {at} is not UTF-8")]
    Text {
        /// Where it ends.
        at: usize,
    },
    /// Transactions are nested too deeply.
    #[error("transactions are nested more than {TXN_DEPTH_MAX} deep at byte {at}")]
    Depth {
        /// Where the one begins that is too deep.
        at: usize,
    },
    /// Something stands behind the command.
    #[error("{left} bytes are left behind the command, which ends at byte {at}")]
    Trailing {
        /// Where the command ends.
        at: usize,
        /// What is left.
        left: usize,
    },
}

impl Command {
    /// Encodes the command with its ID.
    pub fn encode(&self, id: CommandId) -> Bytes {
        let mut out = Vec::with_capacity(write::len_hint(self));
        self.encode_into(id, &mut out);
        Bytes::from(out)
    }

    /// Appends the encoding to a buffer.
    pub fn encode_into(&self, id: CommandId, out: &mut Vec<u8>) {
        write::command(self, id, out);
    }

    /// Decodes a command. Its keys and values share the allocation of `bytes`.
    ///
    /// # Errors
    ///
    /// The bytes are not what [`Command::encode`] writes.
    pub fn decode(bytes: &Bytes) -> Result<(CommandId, Command), DecodeError> {
        let mut reader = Reader::new(bytes);
        let envelope = reader.envelope()?;
        let command = reader.command(envelope.kind)?;
        reader.finish()?;
        Ok((envelope.id, command))
    }
}

impl CommandId {
    /// Reads the ID of an encoded command, and no more of it.
    ///
    /// # Errors
    ///
    /// The bytes are too few, or of another format.
    pub fn of_encoded(bytes: &Bytes) -> Result<CommandId, DecodeError> {
        Ok(Reader::new(bytes).envelope()?.id)
    }
}

impl MembershipContext {
    /// Encodes the context.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        write::membership(self, &mut out);
        Bytes::from(out)
    }

    /// Decodes a context.
    ///
    /// # Errors
    ///
    /// The bytes are not what [`MembershipContext::encode`] writes.
    pub fn decode(bytes: &Bytes) -> Result<MembershipContext, DecodeError> {
        let mut reader = Reader::new(bytes);
        let context = reader.membership()?;
        reader.finish()?;
        Ok(context)
    }
}

/// Reads a put without taking hold of its bytes, or nothing if the command is another.
pub(crate) fn decode_put(bytes: &Bytes) -> Result<Option<(CommandId, PutRef<'_>)>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let Envelope { id, kind } = reader.envelope()?;
    if kind != kind::PUT {
        return Ok(None);
    }
    let put = reader.put_ref()?;
    reader.finish()?;
    Ok(Some((id, put)))
}
