//! Draws commands: mostly such as clients send, some that a server would have refused.

use bytes::Bytes;
use store::{
    AlarmAction, AlarmKind, Command, CommandId, Compare, CompareResult, CompareWith, DeleteRange,
    MemberAttributes, MembershipContext, Operation, Order, Put, Range, Target, Txn,
};

use crate::dice::Dice;

const KEYS: [&str; 12] =
    ["a", "a\0", "ab", "abcdefghi", "b", "c", "d", "e/1", "e/2", "f", "z", "\0"];
const ENDS: [&str; 6] = ["", "", "\0", "b", "e/3", "zz"];
const VALUES: [&str; 5] = ["", "1", "2", "10", "a longer value"];
const URLS: [&str; 4] = ["http://m1:2380", "http://m2:2380", "http://m3:2380", "http://m4:2380"];
const LEASES: [i64; 6] = [1, 2, 3, i64::MAX, i64::MIN, -7];

/// What is drawn lies around this revision.
pub(crate) struct Draw<'d> {
    pub(crate) dice: &'d mut Dice,
    pub(crate) revision: i64,
}

impl Draw<'_> {
    fn key(&mut self) -> Bytes {
        Bytes::from_static(self.dice.pick(&KEYS).as_bytes())
    }

    fn end(&mut self) -> Bytes {
        Bytes::from_static(self.dice.pick(&ENDS).as_bytes())
    }

    fn value(&mut self) -> Bytes {
        Bytes::from_static(self.dice.pick(&VALUES).as_bytes())
    }

    fn url(&mut self) -> String {
        self.dice.pick(&URLS).to_owned()
    }

    fn flag(&mut self) -> bool {
        self.dice.one_in(5)
    }

    /// Draws one of a few small numbers, mostly zero.
    fn small(&mut self) -> i64 {
        if self.dice.one_in(4) { self.dice.pick(&[1, 2, 3, 7, -1, -2, i64::MAX]) } else { 0 }
    }

    /// Draws a revision near the current one, mostly one that can be read.
    pub(crate) fn near(&mut self) -> i64 {
        self.revision + 1 - i64::try_from(self.dice.below(10)).unwrap()
    }

    fn near_or_zero(&mut self) -> i64 {
        if self.dice.one_in(6) { self.near() } else { 0 }
    }

    pub(crate) fn put(&mut self) -> Put {
        let ignore_value = self.dice.one_in(12);
        let ignore_lease = self.dice.one_in(12);
        let lease = if self.dice.one_in(3) { self.dice.pick(&LEASES) } else { 0 };
        Put {
            key: if self.dice.one_in(100) { Bytes::new() } else { self.key() },
            value: if ignore_value { Bytes::new() } else { self.value() },
            lease: if ignore_lease { 0 } else { lease },
            previous: self.flag(),
            ignore_value,
            ignore_lease,
        }
    }

    pub(crate) fn delete_range(&mut self) -> DeleteRange {
        let range_end = if self.dice.one_in(3) { self.end() } else { Bytes::new() };
        DeleteRange { key: self.key(), range_end, previous: self.flag() }
    }

    pub(crate) fn range(&mut self) -> Range {
        let dice = &mut *self.dice;
        let orders = [Order::None, Order::None, Order::Ascending, Order::Descending];
        let targets = [Target::Version, Target::CreateRevision, Target::ModRevision, Target::Value];
        let order = dice.pick(&orders);
        let target = if dice.one_in(2) { Target::Key } else { dice.pick(&targets) };
        Range {
            key: self.key(),
            range_end: self.end(),
            limit: self.small(),
            revision: if self.dice.one_in(3) { self.near() } else { 0 },
            order,
            target,
            keys_only: self.flag(),
            count_only: self.flag(),
            mod_revision_min: self.near_or_zero(),
            mod_revision_max: self.near_or_zero(),
            create_revision_min: self.near_or_zero(),
            create_revision_max: self.near_or_zero(),
        }
    }

    fn compare(&mut self) -> Compare {
        use CompareResult::{Equal, Greater, Less, NotEqual};
        let with = match self.dice.below(5) {
            0 => CompareWith::Version(self.small()),
            1 => CompareWith::CreateRevision(self.near_or_zero()),
            2 => CompareWith::ModRevision(self.near_or_zero()),
            3 => CompareWith::Value(self.value()),
            _ => CompareWith::Lease(self.dice.pick(&LEASES)),
        };
        let range_end = if self.dice.one_in(4) { self.end() } else { Bytes::new() };
        let result = self.dice.pick(&[Equal, Greater, Less, NotEqual]);
        Compare { key: self.key(), range_end, result, with }
    }

    pub(crate) fn read_txn(&mut self, depth: u32) -> Txn {
        self.txn_of(depth, &mut |draw, depth| {
            if depth > 0 && draw.dice.one_in(4) {
                Operation::Txn(draw.read_txn(depth - 1))
            } else {
                Operation::Range(draw.range())
            }
        })
    }

    pub(crate) fn txn(&mut self, depth: u32) -> Txn {
        self.txn_of(depth, &mut |draw, depth| match draw.dice.below(8) {
            0 | 1 => Operation::Range(draw.range()),
            2..=4 => Operation::Put(draw.put()),
            5 if depth > 0 => Operation::Txn(draw.txn(depth - 1)),
            _ => Operation::DeleteRange(draw.delete_range()),
        })
    }

    fn txn_of(
        &mut self,
        depth: u32,
        operation: &mut dyn FnMut(&mut Self, u32) -> Operation,
    ) -> Txn {
        let compare = (0..self.dice.below(3)).map(|_| self.compare()).collect();
        let success = (0..self.dice.below(4)).map(|_| operation(self, depth)).collect();
        let failure = (0..self.dice.below(3)).map(|_| operation(self, depth)).collect();
        Txn { compare, success, failure }
    }

    fn alarm(&mut self) -> Command {
        use AlarmKind::{Corrupt, NoSpace, None};
        // Most alarms are lowered soon, so that there is something to see beside them.
        let action =
            if self.dice.one_in(8) { AlarmAction::Activate } else { AlarmAction::Deactivate };
        Command::Alarm {
            action,
            member: self.dice.below(4),
            kind: self.dice.pick(&[NoSpace, Corrupt, None]),
        }
    }

    /// Draws a command of any kind.
    pub(crate) fn command(&mut self) -> Command {
        match self.dice.below(100) {
            0..30 => Command::Put(self.put()),
            30..40 => Command::DeleteRange(self.delete_range()),
            40..70 => Command::Txn(self.txn(3)),
            70..73 => Command::Compact { revision: self.near() - 4 },
            73..80 => Command::LeaseGrant {
                id: if self.dice.one_in(20) { 0 } else { self.dice.pick(&LEASES) },
                ttl: self.dice.pick(&[2, 60, 9_000_000_000, 9_000_000_001]),
            },
            80..83 => Command::LeaseRevoke { id: self.dice.pick(&LEASES) },
            83..84 => {
                let ids = (0..self.dice.below(3)).map(|_| self.dice.pick(&LEASES)).collect();
                Command::LeaseExpire { ids }
            }
            84..86 => {
                let count = self.dice.below(3);
                let remaining = (0..count).map(|_| (self.dice.pick(&LEASES), self.small()));
                Command::LeaseCheckpoint { remaining: remaining.collect() }
            }
            86..92 => self.alarm(),
            92..94 => Command::Publish {
                member: self.dice.below(6),
                name: self.dice.pick(&["one", "two", "drei ä"]).to_owned(),
                client_urls: vec![self.url()],
            },
            94..96 => Command::MemberUpdate {
                member: self.dice.below(6),
                peer_urls: vec![self.url(), self.url()],
            },
            96 => Command::ClusterVersion { version: "3.7.0".to_owned() },
            97 => Command::Downgrade { target: Some("3.6.0".to_owned()) },
            98 => Command::Downgrade { target: None },
            _ => Command::Nothing,
        }
    }

    pub(crate) fn membership(&mut self) -> MembershipContext {
        let member = self.dice.below(6);
        match self.dice.below(10) {
            0 => MembershipContext::Removed { member },
            1 => MembershipContext::Promoted { member },
            _ => MembershipContext::Added {
                member,
                attributes: MemberAttributes {
                    name: String::new(),
                    peer_urls: vec![self.url()],
                    client_urls: Vec::new(),
                    becomes_voter: self.dice.below(2) == 0,
                },
            },
        }
    }

    pub(crate) fn id(&mut self) -> CommandId {
        CommandId { origin: self.dice.below(u64::MAX), sequence: self.dice.below(1 << 40) }
    }
}
