//! A range in parts: all of one revision, whatever is written meanwhile.
//!
//! The first part has ten keys. Each next one has twice or half as many as the one before, so that
//! parts come near the largest request in size.

use std::vec;

use etcd_api::Encoded;
use mvcc::{Revision, Version, View};
use replica::Published;
use store::{Order, Range, RangeAnswer as Found, Target};
use tonic::Status;

use crate::convert::{Header, KeyForm, Part, RangeAnswer};

/// How many keys the first part has.
const FIRST_KEYS: u64 = 10;

/// The parts of one range. Each is made when it is asked for.
#[derive(Debug)]
pub struct Pages {
    keys: Keys,
    /// The header of the last part.
    header: Header,
    form: KeyForm,
    /// How many keys the range has.
    count: u64,
    /// How many of them are sent.
    wanted: u64,
    /// How many have been sent.
    sent: u64,
    /// How many the next part has.
    next_keys: u64,
    /// How large a part is to be, in bytes.
    part_bytes: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There are keys to send.
    Sending,
    /// The last part has been made.
    Finished,
}

/// Where the keys come from.
#[derive(Debug)]
enum Keys {
    /// From a view, which is read on and on: that is cheap at its own revision.
    Read(Box<(View, Range)>),
    /// From a revision before that of the view, where every reading takes as long as the first.
    Held(vec::IntoIter<Version>),
}

/// Refuses what is not served in parts.
pub(super) fn check(range: &Range) -> Result<(), Status> {
    let is_in_order = match (range.order, range.target) {
        (Order::None, _) | (Order::Ascending, Target::Key) => true,
        (Order::Ascending | Order::Descending, _) => false,
    };
    if !is_in_order {
        return Err(Status::unimplemented("RangeStream does not support custom sort orders"));
    }
    let bounds = [
        range.mod_revision_min,
        range.mod_revision_max,
        range.create_revision_min,
        range.create_revision_max,
    ];
    if bounds != [0; 4] {
        return Err(Status::unimplemented("RangeStream does not support revision filters"));
    }
    Ok(())
}

/// Returns what is to be read before the first part: the number of keys, or all of them where they
/// cannot be read on and on.
pub(super) fn first(range: &Range, published: &Published) -> Range {
    let count_only = range.count_only || is_now(range, published);
    Range { target: Target::Key, order: Order::None, count_only, ..range.clone() }
}

fn is_now(range: &Range, published: &Published) -> bool {
    let Revision(now) = published.view.revision();
    match u64::try_from(range.revision) {
        Ok(revision) => revision == 0 || now <= revision,
        Err(_) => true,
    }
}

impl Pages {
    /// Begins with what was read first.
    pub(super) fn new(
        range: Range,
        published: &Published,
        first: Found,
        header: Header,
        part_bytes: usize,
    ) -> Pages {
        let count = first.count.cast_unsigned();
        let limit = u64::try_from(range.limit).ok().filter(|limit| *limit != 0);
        let wanted = if range.count_only { 0 } else { limit.map_or(count, |max| count.min(max)) };
        let form = if range.keys_only { KeyForm::KeyOnly } else { KeyForm::Whole };
        let keys = if is_now(&range, published) {
            let rest = Range { revision: 0, target: Target::Key, order: Order::None, ..range };
            Keys::Read(Box::new((published.view.clone(), rest)))
        } else {
            Keys::Held(first.versions.into_iter())
        };
        Pages {
            keys,
            header,
            form,
            count,
            wanted,
            sent: 0,
            next_keys: FIRST_KEYS,
            part_bytes,
            state: State::Sending,
        }
    }

    fn part(&mut self) -> Part {
        let versions = self.keys.take(self.next_keys.min(self.wanted - self.sent));
        self.sent += versions.len() as u64;
        let is_last = self.sent == self.wanted;
        if is_last {
            self.state = State::Finished;
        }
        let part = Part::of(RangeAnswer {
            header: is_last.then_some(self.header),
            versions,
            form: self.form,
            more: is_last && 0 < self.wanted && self.wanted < self.count,
            count: if is_last { self.count } else { 0 },
        });
        if part.answer_len() < self.part_bytes / 2 {
            self.next_keys = self.next_keys.saturating_mul(2);
        } else if self.part_bytes.saturating_mul(2) < part.answer_len() {
            self.next_keys = (self.next_keys / 2).max(1);
        }
        part
    }
}

impl Keys {
    /// Returns the next keys, of which there are at least `len`.
    fn take(&mut self, len: u64) -> Vec<Version> {
        if len == 0 {
            return Vec::new();
        }
        let versions: Vec<Version> = match self {
            Keys::Held(versions) => {
                versions.by_ref().take(usize::try_from(len).unwrap_or(usize::MAX)).collect()
            }
            Keys::Read(reading) => {
                let (view, rest) = &mut **reading;
                rest.limit = i64::try_from(len).unwrap_or(i64::MAX);
                let found = store::range(view, None, rest).expect("a view shows its own revision");
                if let Some(last) = found.versions.last() {
                    rest.key = [last.key(), &[0]].concat().into();
                }
                found.versions
            }
        };
        assert_eq!(versions.len() as u64, len, "a view does not change while it is read");
        versions
    }
}

impl Iterator for Pages {
    type Item = Result<Encoded, Status>;

    fn next(&mut self) -> Option<Result<Encoded, Status>> {
        match self.state {
            State::Sending => Some(Ok(Encoded::new(self.part()))),
            State::Finished => None,
        }
    }
}
