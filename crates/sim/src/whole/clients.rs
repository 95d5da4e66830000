//! Clients: each asks for one thing at a time, and waits for the answer, but not for ever.
//!
//! Every value is written once in a run, so that what a read returns tells which write it saw.

use std::collections::BTreeMap;

use bytes::Bytes;
use replica::{Event, Ticket};
use store::{Command, Compare, CompareResult, CompareWith, Operation as StoreOperation, Put, Txn};

use super::options::WorkloadOptions;
use super::oracle::history::{History, value_of};
use crate::linearizability::{Op, Operation};
use crate::rng::Random;

/// A lease that nobody is granted.
const NO_LEASE: i64 = i64::MAX;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// To read a key.
    Get { key: u64 },
    /// To write a key.
    Put { key: u64 },
    /// To write a key if it holds what an operation has written, or nothing.
    Swap { key: u64, expect: Option<u64> },
    /// To write a key, and another under a lease that there never was, in one transaction.
    Doomed { key: u64 },
    /// A lease of so many seconds.
    Grant { id: i64, seconds: i64 },
    /// To write a key that lives as long as the lease.
    Attach { id: i64 },
    /// To keep a lease alive.
    Renew { id: i64 },
    /// How long a lease lives.
    Left { id: i64 },
    /// To end a lease.
    Revoke { id: i64 },
    /// To compact the history.
    Compact { revision: u64 },
    /// Whether the cluster executes anything.
    Nothing,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was done; a swap also if the key held something else.
    Done { succeeded: bool },
    /// A read returned what an operation has written, or nothing.
    Read(Option<u64>),
    /// Nothing was done, and never will be.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// Whose it is; zero for the operator's.
    pub(crate) client: usize,
    pub(crate) call: u64,
    pub(crate) question: Question,
    /// When and how it ended; `None` while it waits.
    pub(crate) ended: Option<(u64, Ending)>,
}

/// A client's lease.
#[derive(Clone, Copy, Debug)]
struct Held {
    id: i64,
    is_attached: bool,
    /// How often it is kept alive before its client loses interest.
    renewals: u64,
}

#[derive(Clone, Debug)]
struct Client {
    /// The member that it asks.
    favourite: u64,
    is_pinned: bool,
    waits_for: Option<u64>,
    lease: Option<Held>,
}

/// All clients, and the history of what they asked for.
#[derive(Debug)]
pub(crate) struct Clients {
    options: WorkloadOptions,
    random: Random,
    clients: Vec<Client>,
    records: Vec<Record>,
    /// The latest value of each key that somebody knows of.
    seen: BTreeMap<u64, u64>,
}

impl Clients {
    pub(crate) fn new(options: WorkloadOptions, members: u64, mut random: Random) -> Clients {
        let clients = (0..options.clients)
            .map(|_| Client {
                favourite: random.between(1, members),
                is_pinned: random.chance(options.pinned),
                waits_for: None,
                lease: None,
            })
            .collect();
        Clients { options, random, clients, records: Vec::new(), seen: BTreeMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// How long a client waits before it asks for the next thing.
    pub(crate) fn pause(&mut self) -> u64 {
        1 + self.random.exponential(self.options.think_mean)
    }

    /// Tells whether who asks is gone before the answer comes.
    pub(crate) fn forgets(&mut self) -> bool {
        self.random.chance(self.options.forgetful)
    }

    pub(crate) fn record(&self, operation: u64) -> &Record {
        &self.records[usize::try_from(operation).expect("operations are few")]
    }

    /// The number of the next operation.
    pub(crate) fn next_number(&self) -> u64 {
        self.records.len() as u64
    }

    /// Somebody asks for something at `now`; returns the number of the operation.
    pub(crate) fn begin(&mut self, client: usize, now: u64, question: Question) -> u64 {
        let number = self.next_number();
        self.records.push(Record { client, call: now, question, ended: None });
        number
    }

    /// A client asks for something at `now`, when the history is at `revision`; returns the number
    /// of the operation, and which of the members is asked.
    pub(crate) fn ask(
        &mut self,
        client: usize,
        now: u64,
        revision: u64,
        members: &[u64],
    ) -> (u64, u64) {
        let [get, put, swap, lease, compact] = self.options.mix;
        let choices = [(get, 0), (put, 1), (swap, 2), (lease, 3), (compact, 4)];
        let key = self.random.below(self.options.keys);
        let question = match self.random.weighted(&choices) {
            0 => Question::Get { key },
            1 => Question::Put { key },
            2 if self.random.chance(100) => Question::Doomed { key },
            2 => {
                let known = self.seen.get(&key).copied();
                Question::Swap { key, expect: known.filter(|_| self.random.chance(850)) }
            }
            3 => self.ask_about_lease(client),
            _ => Question::Compact { revision: revision.saturating_sub(self.random.below(8)) },
        };
        if !self.clients[client].is_pinned && self.random.chance(300) {
            self.clients[client].favourite = self.random.pick(members).expect("there are some");
        }
        let member = self.clients[client].favourite;
        let operation = self.begin(client + 1, now, question);
        self.clients[client].waits_for = Some(operation);
        (operation, member)
    }

    /// The next step in the life of a client's lease.
    fn ask_about_lease(&mut self, client: usize) -> Question {
        let number = i64::try_from(self.next_number()).expect("operations are few");
        let Some(held) = &mut self.clients[client].lease else {
            let seconds = self.random.between(1, self.options.ttl_max);
            let seconds = i64::try_from(seconds).expect("a few");
            let renewals = self.random.below(10);
            let id = number + 1;
            self.clients[client].lease = Some(Held { id, is_attached: false, renewals });
            return Question::Grant { id, seconds };
        };
        let id = held.id;
        if !held.is_attached {
            return Question::Attach { id };
        }
        if let Some(left) = held.renewals.checked_sub(1) {
            held.renewals = left;
            return if self.random.chance(200) {
                Question::Left { id }
            } else {
                Question::Renew { id }
            };
        }
        self.clients[client].lease = None;
        if self.random.chance(300) { Question::Revoke { id } } else { Question::Left { id } }
    }

    /// The event by which an operation is asked of a member.
    pub(crate) fn event(&self, operation: u64) -> Event {
        let ticket = Ticket(operation);
        let command = match self.record(operation).question {
            Question::Get { .. } => return Event::Read(ticket),
            Question::Renew { id } => return Event::LeaseRenew { ticket, id },
            Question::Left { id } => return Event::LeaseTimeToLive { ticket, id },
            Question::Put { key } => Command::Put(self.put(operation, key_of(key), 0)),
            Question::Swap { key, expect } => {
                let with = match expect {
                    Some(before) => CompareWith::Value(self.value(before)),
                    None => CompareWith::Version(0),
                };
                let (key, result) = (Bytes::from(key_of(key)), CompareResult::Equal);
                let compare = Compare { key: key.clone(), range_end: Bytes::new(), result, with };
                let put = StoreOperation::Put(self.put(operation, key_of_bytes(&key), 0));
                let (compare, success) = (vec![compare], vec![put]);
                Command::Txn(Txn { compare, success, failure: Vec::new() })
            }
            Question::Doomed { key } => {
                let first = self.put(operation, key_of(key), 0);
                let second = self.put(operation, key_of(key + 1), NO_LEASE);
                let success = [first, second].map(StoreOperation::Put).into();
                Command::Txn(Txn { compare: Vec::new(), success, failure: Vec::new() })
            }
            Question::Grant { id, seconds } => Command::LeaseGrant { id, ttl: seconds },
            Question::Attach { id } => Command::Put(self.put(operation, lease_key(id), id)),
            Question::Revoke { id } => Command::LeaseRevoke { id },
            Question::Nothing => Command::Nothing,
            Question::Compact { revision } => {
                Command::Compact { revision: i64::try_from(revision).expect("revisions are few") }
            }
        };
        Event::Propose { ticket, command }
    }

    fn put(&self, operation: u64, key: String, lease: i64) -> Put {
        Put { key: key.into(), value: self.value(operation), lease, ..Put::default() }
    }

    fn value(&self, operation: u64) -> Bytes {
        value_of(operation, self.options.padding).into()
    }

    /// An operation has ended at `now`. Returns the client that waited for it.
    pub(crate) fn end(&mut self, operation: u64, now: u64, ending: Ending) -> Option<usize> {
        let at = usize::try_from(operation).expect("operations are few");
        let record = &mut self.records[at];
        if record.ended.is_some() {
            return None;
        }
        record.ended = Some((now, ending));
        let Record { question, client, .. } = *record;
        match (question, ending) {
            (Question::Get { key }, Ending::Read(Some(value))) => {
                self.seen.insert(key, value);
            }
            (
                Question::Put { key } | Question::Swap { key, .. },
                Ending::Done { succeeded: true },
            ) => {
                self.seen.insert(key, operation);
            }
            _ => {}
        }
        let client = client.checked_sub(1)?;
        self.follow_lease(client, question, ending);
        let waits_for = &mut self.clients[client].waits_for;
        if *waits_for != Some(operation) {
            return None;
        }
        *waits_for = None;
        Some(client)
    }

    fn follow_lease(&mut self, client: usize, question: Question, ending: Ending) {
        let lease = &mut self.clients[client].lease;
        let succeeded = ending == Ending::Done { succeeded: true };
        match (question, lease) {
            // Whether there is such a lease nobody knows: another is asked for.
            (Question::Grant { .. }, lease) if !succeeded => *lease = None,
            (Question::Attach { id }, Some(held)) if id == held.id => held.is_attached |= succeeded,
            _ => {}
        }
    }

    /// A client has lost its lease.
    pub(crate) fn lose_lease(&mut self, operation: u64) {
        if let Some(client) = self.record(operation).client.checked_sub(1) {
            self.clients[client].lease = None;
        }
    }

    /// Whether an operation has ended as its client wanted.
    pub(crate) fn is_answered(&self, operation: u64) -> bool {
        matches!(self.record(operation).ended, Some((_, Ending::Done { .. } | Ending::Read(_))))
    }

    pub(crate) fn is_waiting(&self, operation: u64) -> bool {
        self.record(operation).ended.is_none()
    }

    /// Tells whether something was written of which its client does not know.
    pub(crate) fn has_unknown_written(&self, history: &History) -> bool {
        let is_unknown =
            |record: &Record| matches!(record.ended, None | Some((_, Ending::Unknown)));
        let mut records = (0..).zip(&self.records);
        records.any(|(number, record)| is_unknown(record) && history.revision_of(number).is_some())
    }

    /// What clients saw of keys; and what became of the writes whose clients do not know, for the
    /// history does. `shown` tells when a revision was first shown.
    ///
    /// # Errors
    ///
    /// If a write happened of which its client was told that it did not.
    pub(crate) fn history(
        &self,
        history: &History,
        shown: &BTreeMap<u64, u64>,
    ) -> Result<Vec<Operation>, String> {
        let mut operations = Vec::new();
        for (number, record) in self.records.iter().enumerate() {
            let written = history.revision_of(number as u64);
            if let (Some(revision), Some((at, Ending::Refused))) = (written, record.ended) {
                return Err(format!(
                    "operation {number} was refused for good at {at}, and has written {revision}"
                ));
            }
            if let (Some(revision), Question::Doomed { .. }) = (written, record.question) {
                return Err(format!("operation {number} must fail, and has written {revision}"));
            }
            operations.extend(record.operation(number as u64, written, shown));
        }
        Ok(operations)
    }
}

impl Record {
    /// The operation on a register that this is; `None` if it is none, or never took effect.
    fn operation(
        &self,
        number: u64,
        written: Option<u64>,
        shown: &BTreeMap<u64, u64>,
    ) -> Option<Operation> {
        let (client, call) = (self.client as u64, self.call);
        let ended = self.ended;
        let (key, op, ret) = match self.question {
            Question::Get { key } => {
                let Some((at, Ending::Read(value))) = ended else { return None };
                (key, Op::Read { value }, at)
            }
            Question::Put { key } => {
                let at = written.map(|revision| shown[&revision]);
                let ret = match ended {
                    Some((at, Ending::Done { .. })) => at,
                    Some(_) | None => at?,
                };
                (key, Op::Write { value: number }, ret)
            }
            Question::Swap { key, expect } => {
                let at = written.map(|revision| shown[&revision]);
                let (succeeded, ret) = match ended {
                    Some((at, Ending::Done { succeeded })) => (succeeded, at),
                    Some(_) | None => (true, at?),
                };
                let succeeded = Some(succeeded);
                (key, Op::Cas { expect, value: number, succeeded }, ret)
            }
            Question::Doomed { .. }
            | Question::Grant { .. }
            | Question::Attach { .. }
            | Question::Renew { .. }
            | Question::Left { .. }
            | Question::Revoke { .. }
            | Question::Compact { .. }
            | Question::Nothing => return None,
        };
        Some(Operation { client, call, ret: Some(ret), key, op })
    }
}

/// The key of a register.
pub(crate) fn key_of(key: u64) -> String {
    format!("register{key}")
}

fn key_of_bytes(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

/// The key that is attached to a lease.
pub(crate) fn lease_key(id: i64) -> String {
    format!("lease{id}")
}

/// The lease that a key is attached to.
pub(crate) fn lease_of(key: &str) -> Option<i64> {
    key.strip_prefix("lease")?.parse().ok()
}
