//! Clients: each asks for one thing at a time, and waits for the answer, but not for ever.
//!
//! Every value is written once in a run, so that what a read returns tells which write it saw. A
//! client that gets no answer in time does not know what became of its request, and goes on.

use std::collections::BTreeMap;

use crate::linearizability::{Op, Operation};
use crate::machine::{Action, Applied, Command};
use crate::options::WorkloadOptions;
use crate::rng::Random;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Read { key: u64 },
    Write(Command),
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A write was applied.
    Applied(Applied),
    /// A read returned this value.
    Read(Option<u64>),
    /// It was not carried out, and never will be.
    Refused,
}

/// What has become of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// The client waits no longer, and does not know.
    Unknown,
    Ended {
        at: u64,
        ending: Ending,
    },
}

#[derive(Clone, Copy, Debug)]
struct Record {
    client: u64,
    call: u64,
    request: Request,
    state: State,
}

/// Whom a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loyalty {
    /// Whoever leads, as far as it knows.
    ToLeader,
    /// One member, whoever leads.
    ToMember,
}

/// One client.
#[derive(Clone, Debug)]
struct Client {
    /// The member that it asks first, unless it wanders.
    favourite: u64,
    /// Whether it asks that one whoever leads.
    loyalty: Loyalty,
    waits_for: Option<u64>,
}

/// All clients, and the history of what they asked for.
#[derive(Debug)]
pub(crate) struct Workload {
    options: WorkloadOptions,
    random: Random,
    clients: Vec<Client>,
    /// By the number of the operation.
    history: Vec<Record>,
    /// The latest value of each key that somebody knows of.
    seen: BTreeMap<u64, u64>,
    /// The writes that a service has applied: when the first did, and what came of it.
    applied: BTreeMap<u64, (u64, Applied)>,
    /// Operations that ended, by how.
    pub(crate) answered: u64,
    pub(crate) unknown: u64,
}

impl Workload {
    /// The clients of a cluster with so many voters.
    pub(crate) fn new(options: WorkloadOptions, voters: u64, mut random: Random) -> Workload {
        let clients = (0..options.clients)
            .map(|_| {
                let is_pinned = random.chance(options.pinned);
                let loyalty = if is_pinned { Loyalty::ToMember } else { Loyalty::ToLeader };
                Client { favourite: random.between(1, voters), loyalty, waits_for: None }
            })
            .collect();
        Workload {
            options,
            random,
            clients,
            history: Vec::new(),
            seen: BTreeMap::new(),
            applied: BTreeMap::new(),
            answered: 0,
            unknown: 0,
        }
    }

    pub(crate) fn clients(&self) -> usize {
        self.clients.len()
    }

    /// How long a client waits for an answer.
    pub(crate) fn timeout(&self) -> u64 {
        self.options.timeout
    }

    /// How long a client waits before it asks for the next thing.
    pub(crate) fn pause(&mut self) -> u64 {
        1 + self.random.exponential(self.options.think_mean)
    }

    /// A client asks for something at `now`; returns the number of the operation and the member
    /// asked, one of those numbered up to `members`.
    pub(crate) fn ask(&mut self, client: usize, now: u64, members: u64) -> (u64, u64) {
        let [read, put, swap] = self.options.mix;
        let key = self.random.below(self.options.keys);
        let number = self.history.len() as u64;
        let write = |action| Request::Write(Command { operation: number, key, action });
        let request = match self.random.weighted(&[(read, 0), (put, 1), (swap, 2)]) {
            0 => Request::Read { key },
            1 => write(Action::Put { value: number }),
            _ => {
                let known = self.seen.get(&key).copied();
                let expect = if self.random.chance(850) { known } else { None };
                write(Action::Swap { expect, value: number })
            }
        };
        let wanders = self.random.chance(self.options.wandering);
        let favourite = self.clients[client].favourite;
        let member = if wanders { self.random.between(1, members) } else { favourite };
        self.clients[client].waits_for = Some(number);
        (self.begin(client as u64 + 1, now, request), member)
    }

    /// Somebody asks for something at `now`; returns the number of the operation.
    pub(crate) fn begin(&mut self, client: u64, now: u64, request: Request) -> u64 {
        let number = self.history.len() as u64;
        self.history.push(Record { client, call: now, request, state: State::Waiting });
        number
    }

    /// The number of the next operation.
    pub(crate) fn next_number(&self) -> u64 {
        self.history.len() as u64
    }

    pub(crate) fn request(&self, operation: u64) -> Request {
        self.record(operation).request
    }

    fn record(&self, operation: u64) -> &Record {
        &self.history[usize::try_from(operation).expect("operations are few")]
    }

    /// How many bytes are added to a command.
    pub(crate) fn padding(&self) -> usize {
        self.options.padding
    }

    /// A client has learnt who leads.
    pub(crate) fn learn_leader(&mut self, operation: u64, leader: Option<u64>, members: u64) {
        let client = self.record(operation).client;
        let Some(client) = client.checked_sub(1) else { return };
        let client = &mut self.clients[usize::try_from(client).expect("few clients")];
        if client.loyalty == Loyalty::ToLeader {
            client.favourite = leader.unwrap_or_else(|| self.random.between(1, members));
        }
    }

    /// An operation has ended at `now`. Returns the client to which that is news.
    pub(crate) fn end(&mut self, operation: u64, now: u64, ending: Ending) -> Option<usize> {
        let at = usize::try_from(operation).expect("operations are few");
        let record = &mut self.history[at];
        if record.state != State::Waiting {
            return None;
        }
        record.state = State::Ended { at: now, ending };
        match (record.request, ending) {
            (Request::Read { key }, Ending::Read(Some(value))) => {
                self.seen.insert(key, value);
            }
            (Request::Write(command), Ending::Applied(Applied::Done)) => {
                self.seen.insert(command.key, operation);
            }
            (Request::Read { .. } | Request::Write(_), _) => {}
        }
        self.answered += u64::from(ending != Ending::Refused);
        self.idle(operation)
    }

    /// A client waits no longer for an operation. Returns the client if it had.
    pub(crate) fn give_up(&mut self, operation: u64) -> Option<usize> {
        let at = usize::try_from(operation).expect("operations are few");
        let record = &mut self.history[at];
        if record.state != State::Waiting {
            return None;
        }
        record.state = State::Unknown;
        self.unknown += 1;
        self.idle(operation)
    }

    fn idle(&mut self, operation: u64) -> Option<usize> {
        let client = usize::try_from(self.record(operation).client.checked_sub(1)?).ok()?;
        let waits_for = &mut self.clients[client].waits_for;
        if *waits_for != Some(operation) {
            return None;
        }
        *waits_for = None;
        Some(client)
    }

    /// Whether an operation has ended with an answer.
    pub(crate) fn is_answered(&self, operation: u64) -> bool {
        match self.record(operation).state {
            State::Ended { ending, .. } => ending != Ending::Refused,
            State::Waiting | State::Unknown => false,
        }
    }

    /// Whether an operation has not ended.
    pub(crate) fn is_waiting(&self, operation: u64) -> bool {
        self.record(operation).state == State::Waiting
    }

    /// A service has applied a write at `now`.
    pub(crate) fn applied(&mut self, operation: u64, now: u64, applied: Applied) {
        self.applied.entry(operation).or_insert((now, applied));
    }

    /// What clients saw; and what became of the writes whose clients do not know, for the services
    /// do: what was applied has happened by then, and what never was has not.
    ///
    /// # Errors
    ///
    /// If a write was applied of which its client was told that it never would be.
    pub(crate) fn history(&self) -> Result<Vec<Operation>, String> {
        let mut operations = Vec::new();
        for (number, record) in self.history.iter().enumerate() {
            let applied = self.applied.get(&(number as u64)).copied();
            if let Some((at, _)) = applied
                && let State::Ended { at: refused_at, ending: Ending::Refused } = record.state
            {
                return Err(format!(
                    "write {number} was refused for good at {refused_at}, and applied at {at}"
                ));
            }
            operations.extend(record.operation(applied));
        }
        Ok(operations)
    }
}

impl Record {
    fn operation(&self, applied: Option<(u64, Applied)>) -> Option<Operation> {
        let (client, call) = (self.client, self.call);
        match self.request {
            Request::Read { key } => {
                let State::Ended { at, ending: Ending::Read(value) } = self.state else {
                    return None;
                };
                Some(Operation { client, call, ret: Some(at), key, op: Op::Read { value } })
            }
            Request::Write(Command { key, action, .. }) => {
                let (at, applied) = match self.state {
                    State::Ended { at, ending: Ending::Applied(applied) } => (at, applied),
                    State::Ended { .. } | State::Waiting | State::Unknown => applied?,
                };
                let op = match action {
                    Action::Put { value } => Op::Write { value },
                    Action::Swap { expect, value } => {
                        let succeeded = Some(applied == Applied::Done);
                        Op::Cas { expect, value, succeeded }
                    }
                };
                Some(Operation { client, call, ret: Some(at), key, op })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn workload() -> Workload {
        let options = WorkloadOptions { mix: [0, 1, 0], ..Options::draw(1).workload };
        Workload::new(options, 3, Random::new(1))
    }

    #[test]
    fn write_without_answer_ended_when_it_was_applied() {
        let mut workload = workload();
        let (operation, _) = workload.ask(0, 5, 3);
        assert_eq!(workload.give_up(operation), Some(0));
        assert_eq!(workload.end(operation, 9, Ending::Applied(Applied::Done)), None, "too late");
        assert_eq!(workload.history(), Ok(Vec::new()), "it was never applied");
        workload.applied(operation, 7, Applied::Done);
        workload.applied(operation, 8, Applied::Done);
        let history = workload.history().expect("nothing was refused");
        assert_eq!(history.len(), 1);
        assert_eq!((history[0].call, history[0].ret), (5, Some(7)));
    }

    #[test]
    fn refused_operation_is_not_in_the_history_and_must_not_be_applied() {
        let mut workload = workload();
        let (operation, _) = workload.ask(0, 5, 3);
        assert_eq!(workload.end(operation, 9, Ending::Refused), Some(0));
        assert_eq!(workload.history(), Ok(Vec::new()));
        workload.applied(operation, 12, Applied::Done);
        assert!(workload.history().is_err(), "it was applied all the same");
    }
}
