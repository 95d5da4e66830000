//! What is sent to a watcher, encoded once for all who are sent the same.
//!
//! ```text
//! WatchResponse   1 header   3 created   4 canceled   5 compact_revision   6 cancel_reason
//!                 7 fragment   11 events …                                  2 watch_id
//!                 └──────────── shared by all who are told the same ──────┘ └ its own ┘
//! Event           1 type (0 put, 1 delete)   2 kv   3 prev_kv
//! ```
//!
//! Protobuf lets fields come in any order. So what differs between watchers comes last, and before
//! it the same bytes are copied for all of them.

use bytes::{BufMut, Bytes};
use etcd_api::Encode;
use mvcc::{Kind, Revision, Version};

use crate::convert::{Header, wire};

const WATCH_ID: u8 = wire::number_tag(2);
const CREATED: u8 = wire::number_tag(3);
const CANCELED: u8 = wire::number_tag(4);
const COMPACT_REVISION: u8 = wire::number_tag(5);
const CANCEL_REASON: u8 = wire::length_tag(6);
const FRAGMENT: u8 = wire::number_tag(7);
const EVENTS: u8 = wire::length_tag(11);

const EVENT_TYPE: u8 = wire::number_tag(1);
const EVENT_KV: u8 = wire::length_tag(2);
const EVENT_PREV_KV: u8 = wire::length_tag(3);

/// The most that the fields take that are not shared, or not in every part.
const OWN_FIELDS_BYTES: usize = 11 + 2;

/// What a message costs in memory beyond what it shares.
const OVERHEAD_BYTES: usize = 64;

/// One answer to one watcher.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    /// Everything but the watch's number.
    shared: Bytes,
    /// The watch's number.
    watch_id: i64,
    /// How many events there are in it.
    events_len: u32,
}

/// What a watcher is told beside events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// It is watching.
    Created,
    /// It is not, for this reason.
    Refused(&'static str),
    /// It was, and does so no more, because the client wants it so.
    Canceled,
    /// It cannot go on, because what it wants next is compacted up to this revision.
    Compacted(Revision),
    /// Everything up to the revision in the header has been sent.
    Progress,
}

/// One change as it is shown: the change, and the version before if that is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'v> {
    /// What was written, or a tombstone.
    pub(super) version: &'v Version,
    /// What was there before.
    pub(super) previous: Option<&'v Version>,
}

/// Some events, encoded.
#[derive(Clone, Debug)]
pub(super) struct Message {
    bytes: Bytes,
    events_len: u32,
}

impl Outgoing {
    /// Tells a watcher something.
    pub(super) fn notice(header: Header, watch_id: i64, notice: Notice) -> Outgoing {
        let (created, compacted, reason) = match notice {
            Notice::Created => (true, 0, ""),
            Notice::Refused(reason) => (true, 0, reason),
            Notice::Compacted(revision) => (false, revision.0, ""),
            Notice::Canceled | Notice::Progress => (false, 0, ""),
        };
        let canceled = match notice {
            Notice::Refused(_) | Notice::Canceled | Notice::Compacted(_) => true,
            Notice::Created | Notice::Progress => false,
        };
        let mut bytes = Vec::with_capacity(header.field_len() + 16 + reason.len());
        header.encode_field(&mut bytes);
        wire::put_flag(&mut bytes, CREATED, created);
        wire::put_flag(&mut bytes, CANCELED, canceled);
        wire::put_number(&mut bytes, COMPACT_REVISION, compacted);
        if !reason.is_empty() {
            wire::put_bytes(&mut bytes, CANCEL_REASON, reason.as_bytes());
        }
        Outgoing { shared: bytes.into(), watch_id, events_len: 0 }
    }

    /// Sends events to a watcher.
    pub(super) fn events(watch_id: i64, message: &Message) -> Outgoing {
        Outgoing { shared: message.bytes.clone(), watch_id, events_len: message.events_len }
    }

    /// How many events there are in it.
    pub(super) fn events_len(&self) -> usize {
        self.events_len as usize
    }

    /// What it takes in memory, beside `last`, which is kept already.
    pub(super) fn memory_bytes(&self, last: Option<&Outgoing>) -> usize {
        let is_shared = last.is_some_and(|last| last.shared.as_ptr() == self.shared.as_ptr());
        OVERHEAD_BYTES + if is_shared { 0 } else { self.shared.len() }
    }
}

impl Encode for Outgoing {
    fn encoded_len(&self) -> usize {
        self.shared.len() + wire::number_len(self.watch_id.cast_unsigned())
    }

    fn encode(&self, buffer: &mut dyn BufMut) {
        buffer.put_slice(&self.shared);
        wire::put_number(buffer, WATCH_ID, self.watch_id.cast_unsigned());
    }
}

/// Encodes events into one message, or into several if one would have `divide_at` bytes or more.
/// Each has at least one event.
pub(super) fn messages(
    header: Header,
    events: &[Shown<'_>],
    divide_at: Option<usize>,
) -> Vec<Message> {
    let divide_at = divide_at.unwrap_or(usize::MAX);
    let frame = header.field_len() + OWN_FIELDS_BYTES;
    let mut messages = Vec::with_capacity(1);
    let mut rest = events;
    while !rest.is_empty() {
        let mut bytes = frame;
        let is_over = |event: &Shown<'_>| {
            bytes += wire::field_len(event.encoded_len());
            divide_at <= bytes
        };
        let fitting = rest.iter().position(is_over).unwrap_or(rest.len()).max(1);
        let (part, behind) = rest.split_at(fitting);
        messages.push(Message::new(header, part, !behind.is_empty()));
        rest = behind;
    }
    messages
}

impl Message {
    fn new(header: Header, events: &[Shown<'_>], more_follows: bool) -> Message {
        let lens = events.iter().map(|event| wire::field_len(event.encoded_len()));
        let len = header.field_len() + 2 * usize::from(more_follows) + lens.sum::<usize>();
        let mut bytes = Vec::with_capacity(len);
        header.encode_field(&mut bytes);
        wire::put_flag(&mut bytes, FRAGMENT, more_follows);
        for event in events {
            wire::put_field(&mut bytes, EVENTS, event.encoded_len());
            event.encode(&mut bytes);
        }
        assert!(bytes.len() == len, "a message of {} bytes was to have {len}", bytes.len());
        let events_len = u32::try_from(events.len()).expect("a message has fewer than 2^32 events");
        Message { bytes: bytes.into(), events_len }
    }
}

impl Shown<'_> {
    fn encoded_len(&self) -> usize {
        let len = |version: &Version| wire::field_len(version.encoded().bytes().len());
        wire::number_len(self.event_type()) + len(self.version) + self.previous.map_or(0, len)
    }

    fn encode(&self, buffer: &mut dyn BufMut) {
        wire::put_number(buffer, EVENT_TYPE, self.event_type());
        wire::put_bytes(buffer, EVENT_KV, self.version.encoded().bytes());
        if let Some(previous) = self.previous {
            wire::put_bytes(buffer, EVENT_PREV_KV, previous.encoded().bytes());
        }
    }

    fn event_type(&self) -> u64 {
        match self.version.kind() {
            Kind::Put => 0,
            Kind::Delete => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use etcd_api::etcdserverpb::WatchResponse;
    use mvcc::{KeyRange, Store};
    use prost::Message as _;

    use super::*;

    const HEADER: Header = Header { cluster_id: 7, member_id: 300, revision: 9, raft_term: 2 };

    fn decoded(outgoing: &Outgoing) -> WatchResponse {
        let mut bytes = Vec::new();
        outgoing.encode(&mut bytes);
        assert_eq!(bytes.len(), outgoing.encoded_len(), "{outgoing:?}");
        WatchResponse::decode(&*bytes).unwrap()
    }

    #[test]
    fn notices_are_what_prost_reads() {
        let header = Some(HEADER.message());
        let blank = WatchResponse { header, watch_id: -1, ..WatchResponse::default() };
        let canceled = WatchResponse { canceled: true, ..blank.clone() };
        let refused =
            WatchResponse { created: true, cancel_reason: "why".into(), ..canceled.clone() };
        for (notice, wanted) in [
            (Notice::Created, WatchResponse { created: true, ..blank.clone() }),
            (Notice::Refused("why"), refused),
            (Notice::Canceled, canceled.clone()),
            (Notice::Compacted(Revision(5)), WatchResponse { compact_revision: 5, ..canceled }),
            (Notice::Progress, blank),
        ] {
            assert_eq!(decoded(&Outgoing::notice(HEADER, -1, notice)), wanted, "{notice:?}");
        }
    }

    #[test]
    fn events_are_divided_below_the_limit_and_only_the_last_part_says_that_it_is() {
        let mut store = Store::new();
        let mut transaction = store.write();
        for number in 0..10 {
            transaction.put(&[b'k', number], &[0; 100], None);
        }
        let mut events = transaction.commit().events;
        let mut transaction = store.write();
        transaction.delete(KeyRange::Single(&[b'k', 0]));
        events.extend(transaction.commit().events);
        let shown: Vec<_> =
            events.iter().map(|version| Shown { version, previous: events.first() }).collect();
        for (divide_at, parts) in [(None, 1), (Some(100_000), 1), (Some(800), 4), (Some(1), 11)] {
            let messages = messages(HEADER, &shown, divide_at);
            assert_eq!(messages.len(), parts, "divided at {divide_at:?}");
            let mut seen = Vec::new();
            for (number, message) in (1..).zip(&messages) {
                let outgoing = Outgoing::events(7, message);
                let response = decoded(&outgoing);
                assert_eq!(response.fragment, number < parts);
                assert_eq!(response.events.len(), outgoing.events_len());
                assert_eq!(response.watch_id, 7);
                assert!(outgoing.encoded_len() < 800 || divide_at != Some(800));
                seen.extend(response.events);
            }
            assert_eq!(seen.len(), 11);
            assert_eq!(seen[10].r#type, 1);
            assert_eq!(seen[9].kv.as_ref().unwrap().key, &[b'k', 9][..]);
            assert_eq!(seen[3].prev_kv.as_ref().unwrap().key, &[b'k', 0][..]);
        }
    }
}
