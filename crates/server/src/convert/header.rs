//! What stands at the head of every answer.

use bytes::BufMut;
use etcd_api::etcdserverpb::ResponseHeader;
use mvcc::Revision;
use raft::Term;

use super::wire;

const CLUSTER_ID: u8 = wire::number_tag(1);
const MEMBER_ID: u8 = wire::number_tag(2);
const REVISION: u8 = wire::number_tag(3);
const RAFT_TERM: u8 = wire::number_tag(4);

/// Who answered, and when. In the answers inside of a transaction only the revision is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The cluster's ID.
    pub cluster_id: u64,
    /// The answering member's ID.
    pub member_id: u64,
    /// The revision; zero where the store was not asked.
    pub revision: u64,
    /// The term.
    pub raft_term: u64,
}

impl Header {
    /// Returns the header of an answer that has a revision.
    #[must_use]
    pub fn at(self, revision: Revision) -> Header {
        Header { revision: revision.0, ..self }
    }

    /// Returns the header of an answer of a certain term.
    #[must_use]
    pub fn in_term(self, term: Term) -> Header {
        Header { raft_term: term.0, ..self }
    }

    /// Returns the header of an answer inside of a transaction.
    #[must_use]
    pub fn inside(revision: u64) -> Header {
        Header { revision, ..Header::default() }
    }

    /// Returns the message.
    #[must_use]
    pub fn message(self) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.cluster_id,
            member_id: self.member_id,
            revision: self.revision.cast_signed(),
            raft_term: self.raft_term,
        }
    }

    /// Returns how many bytes [`Header::encode`] appends.
    #[must_use]
    pub fn encoded_len(self) -> usize {
        [self.cluster_id, self.member_id, self.revision, self.raft_term]
            .map(wire::number_len)
            .into_iter()
            .sum()
    }

    /// Appends the message, without tag and length.
    pub fn encode(self, buffer: &mut dyn BufMut) {
        wire::put_number(buffer, CLUSTER_ID, self.cluster_id);
        wire::put_number(buffer, MEMBER_ID, self.member_id);
        wire::put_number(buffer, REVISION, self.revision);
        wire::put_number(buffer, RAFT_TERM, self.raft_term);
    }

    /// Returns how many bytes [`Header::encode_field`] appends.
    #[must_use]
    pub fn field_len(self) -> usize {
        wire::field_len(self.encoded_len())
    }

    /// Appends the message as field 1, which it is in every answer.
    pub fn encode_field(self, buffer: &mut dyn BufMut) {
        wire::put_field(buffer, wire::length_tag(1), self.encoded_len());
        self.encode(buffer);
    }
}
