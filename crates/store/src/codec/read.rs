//! Bytes into commands. The bytes come from outside: everything that they say is checked.

use std::str;

use bytes::Bytes;

use super::{
    COMMAND_FORMAT, CONTEXT_FORMAT, DecodeError, GROUP_BITS, MORE, TXN_DEPTH_MAX, change, kind,
    operation, put_flag, range_flag,
};
use crate::command::{
    AlarmAction, AlarmKind, Command, CommandId, Compare, CompareResult, CompareWith, DeleteRange,
    MembershipContext, Operation, Order, Put, Range, Target, Txn,
};
use crate::members::MemberAttributes;

/// The least that an operation takes: the kind, and a deletion with empty keys.
const OPERATION_BYTES_MIN: usize = 4;
/// The least that a comparison takes.
const COMPARE_BYTES_MIN: usize = 5;
/// What the length of a text takes.
const LENGTH_BYTES: usize = 4;

/// What stands before the body of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope {
    pub(crate) id: CommandId,
    pub(crate) kind: u8,
}

/// A put that borrows key and value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PutRef<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) lease: i64,
    pub(crate) previous: bool,
    pub(crate) ignore_value: bool,
    pub(crate) ignore_lease: bool,
}

impl<'a> From<&'a Put> for PutRef<'a> {
    fn from(put: &'a Put) -> PutRef<'a> {
        PutRef {
            key: &put.key,
            value: &put.value,
            lease: put.lease,
            previous: put.previous,
            ignore_value: put.ignore_value,
            ignore_lease: put.ignore_lease,
        }
    }
}

/// Reads on from a place in the bytes.
pub(crate) struct Reader<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a Bytes) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    /// Tells whether everything was read.
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        match self.left() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing { at: self.at, left }),
        }
    }

    // === Commands ===

    pub(super) fn envelope(&mut self) -> Result<Envelope, DecodeError> {
        self.format(COMMAND_FORMAT)?;
        let kind = self.byte()?;
        let id = CommandId { origin: self.unsigned()?, sequence: self.sequence()? };
        Ok(Envelope { id, kind })
    }

    pub(super) fn command(&mut self, kind: u8) -> Result<Command, DecodeError> {
        Ok(match kind {
            kind::PUT => Command::Put(self.put()?),
            kind::DELETE_RANGE => Command::DeleteRange(self.delete_range()?),
            kind::TXN => Command::Txn(self.txn(TXN_DEPTH_MAX)?),
            kind::COMPACT => Command::Compact { revision: self.signed()? },
            kind::LEASE_GRANT => Command::LeaseGrant { id: self.signed()?, ttl: self.signed()? },
            kind::LEASE_REVOKE => Command::LeaseRevoke { id: self.signed()? },
            kind::LEASE_EXPIRE => Command::LeaseExpire { ids: self.items(8, Reader::signed)? },
            kind::LEASE_CHECKPOINT => Command::LeaseCheckpoint {
                remaining: self.items(16, |reader| Ok((reader.signed()?, reader.signed()?)))?,
            },
            kind::ALARM => {
                let action = match self.byte()? {
                    1 => AlarmAction::Activate,
                    2 => AlarmAction::Deactivate,
                    other => return Err(self.unknown("action on an alarm", other)),
                };
                Command::Alarm { action, kind: self.alarm_kind()?, member: self.unsigned()? }
            }
            kind::PUBLISH => Command::Publish {
                member: self.unsigned()?,
                name: self.text()?,
                client_urls: self.texts()?,
            },
            kind::MEMBER_UPDATE => {
                Command::MemberUpdate { member: self.unsigned()?, peer_urls: self.texts()? }
            }
            kind::CLUSTER_VERSION => Command::ClusterVersion { version: self.text()? },
            kind::DOWNGRADE => {
                let target = match self.byte()? {
                    0 => None,
                    1 => Some(self.text()?),
                    other => return Err(self.unknown("mark of a downgrade", other)),
                };
                Command::Downgrade { target }
            }
            kind::NOTHING => Command::Nothing,
            other => return Err(self.unknown("kind of a command", other)),
        })
    }

    pub(super) fn membership(&mut self) -> Result<MembershipContext, DecodeError> {
        self.format(CONTEXT_FORMAT)?;
        let kind = self.byte()?;
        let member = self.unsigned()?;
        match kind {
            change::ADDED => {
                let attributes = self.attributes()?;
                Ok(MembershipContext::Added { member, attributes })
            }
            change::PROMOTED => Ok(MembershipContext::Promoted { member }),
            change::REMOVED => Ok(MembershipContext::Removed { member }),
            other => Err(self.unknown("kind of a change", other)),
        }
    }

    // === Their parts ===

    pub(super) fn put_ref(&mut self) -> Result<PutRef<'a>, DecodeError> {
        use put_flag::{IGNORE_LEASE, IGNORE_VALUE, LEASE, PREVIOUS};
        let flags = self.byte()?;
        if flags & !(PREVIOUS | IGNORE_VALUE | IGNORE_LEASE | LEASE) != 0 {
            return Err(self.unknown("flags of a put", flags));
        }
        let lease = if flags & LEASE == 0 { 0 } else { self.nonzero()? };
        Ok(PutRef {
            key: self.borrowed()?,
            value: self.borrowed()?,
            lease,
            previous: flags & PREVIOUS != 0,
            ignore_value: flags & IGNORE_VALUE != 0,
            ignore_lease: flags & IGNORE_LEASE != 0,
        })
    }

    fn put(&mut self) -> Result<Put, DecodeError> {
        let put = self.put_ref()?;
        Ok(Put {
            key: self.bytes.slice_ref(put.key),
            value: self.bytes.slice_ref(put.value),
            lease: put.lease,
            previous: put.previous,
            ignore_value: put.ignore_value,
            ignore_lease: put.ignore_lease,
        })
    }

    fn delete_range(&mut self) -> Result<DeleteRange, DecodeError> {
        let flags = self.byte()?;
        if flags & !put_flag::PREVIOUS != 0 {
            return Err(self.unknown("flags of a deletion", flags));
        }
        let (key, range_end) = (self.shared()?, self.shared()?);
        Ok(DeleteRange { key, range_end, previous: flags != 0 })
    }

    fn range(&mut self) -> Result<Range, DecodeError> {
        let flags = u16::from_le_bytes(self.array()?);
        if flags >> range_flag::END != 0 {
            return Err(self.unknown("flags of a range", flags));
        }
        let order = match flags & range_flag::ORDER_MASK {
            0 => Order::None,
            1 => Order::Ascending,
            2 => Order::Descending,
            other => return Err(self.unknown("order of a range", other)),
        };
        let target = match (flags >> range_flag::TARGET_SHIFT) & range_flag::TARGET_MASK {
            0 => Target::Key,
            1 => Target::Version,
            2 => Target::CreateRevision,
            3 => Target::ModRevision,
            4 => Target::Value,
            other => return Err(self.unknown("target of a range", other)),
        };
        let mut numbers = [0; 6];
        for (number, place) in numbers.iter_mut().zip(range_flag::FIRST_NUMBER..) {
            if flags & (1 << place) != 0 {
                *number = self.nonzero()?;
            }
        }
        let [limit, revision, mod_min, mod_max, create_min, create_max] = numbers;
        Ok(Range {
            key: self.shared()?,
            range_end: self.shared()?,
            limit,
            revision,
            order,
            target,
            keys_only: flags & range_flag::KEYS_ONLY != 0,
            count_only: flags & range_flag::COUNT_ONLY != 0,
            mod_revision_min: mod_min,
            mod_revision_max: mod_max,
            create_revision_min: create_min,
            create_revision_max: create_max,
        })
    }

    fn compare(&mut self) -> Result<Compare, DecodeError> {
        let with = self.byte()?;
        let result = match self.byte()? {
            1 => CompareResult::Equal,
            2 => CompareResult::Greater,
            3 => CompareResult::Less,
            4 => CompareResult::NotEqual,
            other => return Err(self.unknown("result of a comparison", other)),
        };
        let (key, range_end) = (self.shared()?, self.shared()?);
        let with = match with {
            1 => CompareWith::Version(self.signed()?),
            2 => CompareWith::CreateRevision(self.signed()?),
            3 => CompareWith::ModRevision(self.signed()?),
            4 => CompareWith::Value(self.shared()?),
            5 => CompareWith::Lease(self.signed()?),
            other => return Err(self.unknown("target of a comparison", other)),
        };
        Ok(Compare { key, range_end, result, with })
    }

    /// Reads a transaction in which others may be nested `depth_max` deep, itself counted.
    fn txn(&mut self, depth_max: usize) -> Result<Txn, DecodeError> {
        let Some(below) = depth_max.checked_sub(1) else {
            return Err(DecodeError::Depth { at: self.at });
        };
        Ok(Txn {
            compare: self.items(COMPARE_BYTES_MIN, Reader::compare)?,
            success: self.items(OPERATION_BYTES_MIN, |reader| reader.operation(below))?,
            failure: self.items(OPERATION_BYTES_MIN, |reader| reader.operation(below))?,
        })
    }

    fn operation(&mut self, depth_max: usize) -> Result<Operation, DecodeError> {
        Ok(match self.byte()? {
            operation::RANGE => Operation::Range(self.range()?),
            operation::PUT => Operation::Put(self.put()?),
            operation::DELETE_RANGE => Operation::DeleteRange(self.delete_range()?),
            operation::TXN => Operation::Txn(self.txn(depth_max)?),
            other => return Err(self.unknown("kind of an operation", other)),
        })
    }

    pub(crate) fn attributes(&mut self) -> Result<MemberAttributes, DecodeError> {
        Ok(MemberAttributes {
            name: self.text()?,
            peer_urls: self.texts()?,
            client_urls: self.texts()?,
            becomes_voter: match self.byte()? {
                0 => false,
                1 => true,
                other => return Err(self.unknown("mark of one that becomes a voter", other)),
            },
        })
    }

    pub(crate) fn alarm_kind(&mut self) -> Result<AlarmKind, DecodeError> {
        match self.byte()? {
            0 => Ok(AlarmKind::None),
            1 => Ok(AlarmKind::NoSpace),
            2 => Ok(AlarmKind::Corrupt),
            other => Err(self.unknown("kind of an alarm", other)),
        }
    }

    // === Numbers, bytes, texts, lists ===

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(crate) fn signed(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    #[expect(clippy::big_endian_bytes, reason = "so that commands in a row begin alike")]
    fn sequence(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn word(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn text(&mut self) -> Result<String, DecodeError> {
        let len = self.word()? as usize;
        let bytes = self.take(len)?;
        let text = str::from_utf8(bytes).map_err(|_| DecodeError::Text { at: self.at })?;
        Ok(text.to_owned())
    }

    pub(crate) fn texts(&mut self) -> Result<Vec<String>, DecodeError> {
        self.list(LENGTH_BYTES, Reader::text)
    }

    /// Reads a list as texts have it, here and in images: its items take at least `bytes_min` each.
    pub(crate) fn list<T>(
        &mut self,
        bytes_min: usize,
        item: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.word()? as usize;
        self.so_many(count, bytes_min, item)
    }

    /// Reads a list as commands have it.
    fn items<T>(
        &mut self,
        bytes_min: usize,
        item: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.count()?;
        self.so_many(count, bytes_min, item)
    }

    fn so_many<T>(
        &mut self,
        count: usize,
        bytes_min: usize,
        mut item: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.has(count.saturating_mul(bytes_min))?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn format(&mut self, expected: u8) -> Result<(), DecodeError> {
        match self.byte()? {
            found if found == expected => Ok(()),
            found => Err(DecodeError::Format { found, expected }),
        }
    }

    fn nonzero(&mut self) -> Result<i64, DecodeError> {
        match self.signed()? {
            0 => Err(DecodeError::Zero { at: self.at }),
            number => Ok(number),
        }
    }

    fn borrowed(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.count()?;
        self.take(len)
    }

    /// Reads a number of bytes or of items, which is written in as few bytes as it takes.
    fn count(&mut self) -> Result<usize, DecodeError> {
        let mut count = 0;
        for shift in (0..u32::BITS).step_by(GROUP_BITS as usize) {
            let group = self.byte()?;
            count |= u64::from(group & !MORE) << shift;
            if group & MORE == 0 {
                let is_shortest = group != 0 || shift == 0;
                let count = u32::try_from(count).ok().filter(|_| is_shortest);
                return count.map(|count| count as usize).ok_or(self.no_count());
            }
        }
        Err(self.no_count())
    }

    fn no_count(&self) -> DecodeError {
        DecodeError::Count { at: self.at }
    }

    fn shared(&mut self) -> Result<Bytes, DecodeError> {
        let bytes = self.borrowed()?;
        Ok(self.bytes.slice_ref(bytes))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("as many bytes were taken as the array has"))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        self.has(len)?;
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    fn has(&self, wanted: usize) -> Result<(), DecodeError> {
        let left = self.left();
        if left < wanted {
            return Err(DecodeError::Truncated { at: self.at, wanted, left });
        }
        Ok(())
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn unknown(&self, what: &'static str, found: impl Into<u64>) -> DecodeError {
        DecodeError::Unknown { what, found: found.into(), at: self.at }
    }
}
