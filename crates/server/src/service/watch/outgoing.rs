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
//! it the same bytes are copied for all of them. And events that follow while an answer waits to be
//! sent are put behind it, so that a client which is slow gets few answers, and large ones:
//!
//! ```text
//!                 11 events …  11 events …  1 header   11 events …             2 watch_id
//!                 └── earlier, of which the header was cut ─┘ └ the latest ┘
//! ```

use bytes::{Buf, BufMut, Bytes};
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
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Events of which the header was cut, because later ones follow.
    earlier: Vec<Bytes>,
    /// Everything else but the watch's number.
    latest: Bytes,
    /// How much of `latest` is cut if more follow. Zero if none may.
    header_len: usize,
    /// The watch's number.
    watch_id: i64,
    /// How many events there are in it.
    events_len: usize,
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
    /// As in [`Outgoing`].
    header_len: usize,
    events_len: usize,
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
        let latest = bytes.into();
        Outgoing { earlier: Vec::new(), latest, header_len: 0, watch_id, events_len: 0 }
    }

    /// Sends events to a watcher.
    pub(super) fn events(watch_id: i64, message: &Message) -> Outgoing {
        let Message { bytes, header_len, events_len } = message.clone();
        Outgoing { earlier: Vec::new(), latest: bytes, header_len, watch_id, events_len }
    }

    /// Adds later events, if the answer then still has no more than `bytes_max`.
    pub(super) fn add(&mut self, later: &Message, bytes_max: usize) -> bool {
        let may_follow = 0 < self.header_len && 0 < later.header_len;
        if !may_follow || bytes_max < self.encoded_len() + later.bytes.len() {
            return false;
        }
        self.latest.advance(self.header_len);
        self.earlier.push(std::mem::replace(&mut self.latest, later.bytes.clone()));
        self.header_len = later.header_len;
        self.events_len += later.events_len;
        true
    }

    /// How many events there are in it.
    pub(super) fn events_len(&self) -> usize {
        self.events_len
    }

    /// What it counts in a queue: what is sent, and what it takes to keep it until then.
    pub(super) fn weight(&self) -> usize {
        OVERHEAD_BYTES + self.latest.len()
    }
}

impl Encode for Outgoing {
    fn encoded_len(&self) -> usize {
        let earlier: usize = self.earlier.iter().map(Bytes::len).sum();
        earlier + self.latest.len() + wire::number_len(self.watch_id.cast_unsigned())
    }

    fn encode(&self, buffer: &mut dyn BufMut) {
        for bytes in &self.earlier {
            buffer.put_slice(bytes);
        }
        buffer.put_slice(&self.latest);
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
    if let [_, _, ..] = &mut *messages {
        for message in &mut messages {
            message.header_len = 0;
        }
    }
    messages
}

impl Message {
    /// How many events there are in it.
    pub(super) fn events_len(&self) -> usize {
        self.events_len
    }

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
        Message { bytes: bytes.into(), header_len: header.field_len(), events_len: events.len() }
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
    fn answer_that_waits_takes_later_events_and_their_header() {
        let mut store = Store::new();
        let mut outgoing = None;
        for number in 1..=3 {
            let mut transaction = store.write();
            transaction.put(b"k", &[b'0', number], None);
            let version = &transaction.commit().events[0];
            let header = HEADER.at(version.mod_revision());
            let message = messages(header, &[Shown { version, previous: None }], None).remove(0);
            let Some(waiting) = &mut outgoing else {
                outgoing = Some(Outgoing::events(5, &message));
                continue;
            };
            assert!(!waiting.add(&message, waiting.encoded_len()), "there was no room");
            assert!(waiting.add(&message, 1_000), "there was room");
        }
        let outgoing = outgoing.unwrap();
        let response = decoded(&outgoing);
        assert_eq!((response.watch_id, outgoing.events_len()), (5, 3));
        assert_eq!(response.header, Some(HEADER.at(Revision(4)).message()));
        let values = response.events.iter().map(|event| event.kv.as_ref().unwrap().value[1]);
        assert_eq!(values.collect::<Vec<_>>(), [1, 2, 3]);
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
            let mut first = Outgoing::events(7, &messages[0]);
            assert_eq!(first.add(&messages[0], 100_000), parts == 1, "added to a part");
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
