//! Answers that hold versions of keys, written from the versions as the store has them.
//!
//! ```text
//! PutResponse           1 header   2 prev_kv
//! RangeResponse         1 header   2 kvs …        3 more     4 count
//! RangeStreamResponse   1 range_response
//! DeleteRangeResponse   1 header   2 deleted      3 prev_kvs …
//! TxnResponse           1 header   2 succeeded    3 responses …
//! ResponseOp            1 range    2 put   3 delete range   4 txn
//! ```

mod txn;

use bytes::BufMut;
use etcd_api::Encode;
use mvcc::Version;
use store::Target;

use super::header::Header;
use super::wire;

pub use txn::TxnAnswer;

/// What of a version is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// All of it.
    Whole,
    /// Neither value nor lease.
    KeyOnly,
    /// No value. So does etcd where it had to look at the values to sort by them.
    KeyAndLease,
}

impl KeyForm {
    /// What is sent of the versions of a range. To sort by values etcd fetches the whole versions,
    /// and forgets to take the lease away again.
    #[must_use]
    pub fn of(keys_only: bool, target: Target) -> KeyForm {
        match target {
            _ if !keys_only => KeyForm::Whole,
            Target::Value => KeyForm::KeyAndLease,
            Target::Key | Target::Version | Target::CreateRevision | Target::ModRevision => {
                KeyForm::KeyOnly
            }
        }
    }

    fn encoded_len(self, version: &Version) -> usize {
        match self {
            KeyForm::Whole => version.encoded().bytes().len(),
            KeyForm::KeyOnly => version.encoded_key_only().len(),
            KeyForm::KeyAndLease => {
                version.encoded_key_only().len() + wire::number_len(lease_of(version))
            }
        }
    }

    fn encode(self, version: &Version, buffer: &mut dyn BufMut) {
        match self {
            KeyForm::Whole => buffer.put_slice(version.encoded().bytes()),
            KeyForm::KeyOnly => buffer.put_slice(version.encoded_key_only()),
            KeyForm::KeyAndLease => {
                buffer.put_slice(version.encoded_key_only());
                wire::put_number(buffer, wire::number_tag(6), lease_of(version));
            }
        }
    }
}

fn lease_of(version: &Version) -> u64 {
    version.lease().unwrap_or(0).cast_unsigned()
}

/// The answer to a put.
#[derive(Clone, Debug)]
pub struct PutAnswer {
    /// The header.
    pub header: Header,
    /// The version before, if it was wanted and there was one.
    pub previous: Option<Version>,
}

impl Encode for PutAnswer {
    fn encoded_len(&self) -> usize {
        put_len(self.header, self.previous.as_ref())
    }

    fn encode(&self, buffer: &mut dyn BufMut) {
        encode_put(self.header, self.previous.as_ref(), buffer);
    }
}

fn put_len(header: Header, previous: Option<&Version>) -> usize {
    let previous = previous.map_or(0, |version| wire::field_len(version.encoded().bytes().len()));
    header.field_len() + previous
}

fn encode_put(header: Header, previous: Option<&Version>, buffer: &mut dyn BufMut) {
    header.encode_field(buffer);
    if let Some(version) = previous {
        wire::put_bytes(buffer, wire::length_tag(2), version.encoded().bytes());
    }
}

/// The answer to a range, or a part of it.
#[derive(Clone, Debug)]
pub struct RangeAnswer {
    /// The header; only the last part of several has one.
    pub header: Option<Header>,
    /// The versions, sorted.
    pub versions: Vec<Version>,
    /// What of them is sent.
    pub form: KeyForm,
    /// Whether a limit cut some off.
    pub more: bool,
    /// How many keys the range has; zero in all parts but the last.
    pub count: u64,
}

impl RangeAnswer {
    fn fields(&self) -> RangeFields<'_> {
        let RangeAnswer { header, ref versions, form, more, count } = *self;
        RangeFields { header, versions, form, more, count }
    }
}

impl Encode for RangeAnswer {
    fn encoded_len(&self) -> usize {
        self.fields().encoded_len()
    }

    fn encode(&self, buffer: &mut dyn BufMut) {
        self.fields().encode(buffer);
    }
}

/// The fields of a range's answer, alone or in a transaction.
struct RangeFields<'a> {
    header: Option<Header>,
    versions: &'a [Version],
    form: KeyForm,
    more: bool,
    count: u64,
}

impl RangeFields<'_> {
    fn encoded_len(&self) -> usize {
        let versions = self.versions.iter();
        let versions = versions.map(|version| wire::field_len(self.form.encoded_len(version)));
        self.header.map_or(0, Header::field_len)
            + versions.sum::<usize>()
            + wire::number_len(u64::from(self.more))
            + wire::number_len(self.count)
    }

    fn encode(&self, buffer: &mut dyn BufMut) {
        if let Some(header) = self.header {
            header.encode_field(buffer);
        }
        for version in self.versions {
            wire::put_field(buffer, wire::length_tag(2), self.form.encoded_len(version));
            self.form.encode(version, buffer);
        }
        wire::put_flag(buffer, wire::number_tag(3), self.more);
        wire::put_number(buffer, wire::number_tag(4), self.count);
    }
}

/// A part of a range as a stream sends it.
#[derive(Clone, Debug)]
pub struct Part {
    answer: RangeAnswer,
    answer_len: usize,
}

impl Part {
    /// Wraps a part.
    #[must_use]
    pub fn of(answer: RangeAnswer) -> Part {
        let answer_len = answer.encoded_len();
        Part { answer, answer_len }
    }

    /// Returns how many bytes the part takes, without what it is wrapped in.
    #[must_use]
    pub fn answer_len(&self) -> usize {
        self.answer_len
    }
}

impl Encode for Part {
    fn encoded_len(&self) -> usize {
        wire::field_len(self.answer_len)
    }

    fn encode(&self, buffer: &mut dyn BufMut) {
        wire::put_field(buffer, wire::length_tag(1), self.answer_len);
        self.answer.encode(buffer);
    }
}

/// The answer to a deletion.
#[derive(Clone, Debug)]
pub struct DeleteRangeAnswer {
    /// The header.
    pub header: Header,
    /// How many keys were deleted.
    pub deleted: u64,
    /// Their last versions, if they were wanted.
    pub previous: Vec<Version>,
}

impl Encode for DeleteRangeAnswer {
    fn encoded_len(&self) -> usize {
        delete_range_len(self.header, self.deleted, &self.previous)
    }

    fn encode(&self, buffer: &mut dyn BufMut) {
        encode_delete_range(self.header, self.deleted, &self.previous, buffer);
    }
}

fn delete_range_len(header: Header, deleted: u64, previous: &[Version]) -> usize {
    let previous = previous.iter().map(|version| version.encoded().bytes().len());
    header.field_len() + wire::number_len(deleted) + previous.map(wire::field_len).sum::<usize>()
}

fn encode_delete_range(
    header: Header,
    deleted: u64,
    previous: &[Version],
    buffer: &mut dyn BufMut,
) {
    header.encode_field(buffer);
    wire::put_number(buffer, wire::number_tag(2), deleted);
    for version in previous {
        wire::put_bytes(buffer, wire::length_tag(3), version.encoded().bytes());
    }
}
