//! What clients and the operator ask of members, and how they are answered.

use std::collections::BTreeMap;

use raft::membership::Change;
use raft::{MemberId, RoleKind};
use replica::{Event, Genesis, LeaseLife, Reply, Ticket, Unavailable};
use store::{Applied, MemberAttributes, MembershipContext, Rejection, Response};

use super::{CLUSTER_ID, Cluster, attributes, place};
use crate::checker::{Verdict, violation};
use crate::trace::What;
use crate::whole::clients::{Ending, Question, key_of};
use crate::whole::happening::Happening;
use crate::whole::member::Standing;
use crate::whole::oracle::history::operation_of;
use crate::whole::probe::Probe;

/// The operator's questions are numbered from here on.
const OPERATOR: u64 = 1 << 40;
/// There are never more members than this, dead ones included.
const MEMBERS_MAX: usize = 8;

/// Who changes the members and hands leadership over.
#[derive(Debug, Default)]
pub(super) struct Operator {
    asked: u64,
    waiting: BTreeMap<u64, Deed>,
}

/// What the operator waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Change,
    Transfer,
}

impl Cluster {
    /// A client asks for something, unless the rescue has begun.
    pub(super) fn on_client(&mut self, client: usize) -> Verdict {
        if self.rescue.is_some() {
            return Ok(());
        }
        let (ids, revision) = (self.ids(), self.history.last());
        let (operation, member) = self.clients.ask(client, self.now, revision, &ids);
        self.request(place(member), operation)
    }

    /// Brings an operation to a member.
    pub(super) fn request(&mut self, at: usize, operation: u64) -> Verdict {
        let record = *self.clients.record(operation);
        let ticks = u64::from(self.options.member.request_ticks_max) + 20;
        let deadline = self.now + 2 * ticks * self.options.tick;
        self.queue.push(deadline, Happening::Deadline { operation });
        let id = self.members[at].id;
        self.trace_client(operation, id, format!("{:?}", record.question));
        match record.question {
            Question::Grant { id, seconds } => {
                let ttl = u64::try_from(seconds).expect("it is positive") * 1_000_000;
                self.leases.asked(id, ttl);
            }
            Question::Revoke { id } => self.leases.revoking(id),
            Question::Get { .. }
            | Question::Put { .. }
            | Question::Swap { .. }
            | Question::Doomed { .. }
            | Question::Attach { .. }
            | Question::Renew { .. }
            | Question::Left { .. }
            | Question::Compact { .. }
            | Question::Nothing => {}
        }
        if !self.members[at].is_up() {
            return self.end(operation, Ending::Refused);
        }
        let event = self.clients.event(operation);
        self.give(at, event)?;
        if self.clients.is_waiting(operation) && self.clients.forgets() {
            self.probes.hit(Probe::AnswerForgotten);
            self.give(at, Event::Forget(Ticket(operation)))?;
            return self.end(operation, Ending::Unknown);
        }
        Ok(())
    }

    /// An operation has ended; its client asks for the next one after a while.
    fn end(&mut self, operation: u64, ending: Ending) -> Verdict {
        self.trace_client(operation, 0, format!("{ending:?}"));
        self.probes.hit_if(Probe::CommandUnknown, ending == Ending::Unknown);
        if let Some(client) = self.clients.end(operation, self.now, ending) {
            let at = self.now + self.clients.pause();
            self.queue.push(at, Happening::Client { client });
        }
        Ok(())
    }

    pub(super) fn on_deadline(&mut self, operation: u64) -> Verdict {
        if self.clients.is_waiting(operation) {
            self.end(operation, Ending::Unknown)
        } else {
            Ok(())
        }
    }

    fn trace_client(&mut self, operation: u64, member: u64, text: String) {
        self.event(|_| What::Client { client: operation, member, text });
    }

    // === Answers ===

    pub(super) fn on_reply(&mut self, at: usize, ticket: Ticket, reply: Reply) -> Verdict {
        if OPERATOR <= ticket.0 {
            return self.on_operator_reply(ticket.0, &reply);
        }
        let operation = ticket.0;
        if !self.clients.is_waiting(operation) {
            // Its client has gone, but the member must not have answered before.
            return Ok(());
        }
        let record = *self.clients.record(operation);
        let ending = match reply {
            Reply::Applied { applied, .. } => {
                return self.on_applied(at, operation, record.question, &applied);
            }
            Reply::ReadReady => {
                let Question::Get { key } = record.question else {
                    return violation("answers", format!("operation {operation} may read"));
                };
                Ending::Read(self.value_at(at, key))
            }
            Reply::LeaseRenewed(life) => {
                return self.on_lease_told(at, operation, record.call, life, Told::Renewed);
            }
            Reply::LeaseTimeToLive(life) => {
                return self.on_lease_told(at, operation, record.call, life, Told::Left);
            }
            Reply::Unavailable(why) => self.on_unavailable(why),
            Reply::Membership(_) | Reply::Transferred(_) => {
                return violation("answers", format!("operation {operation} gets {reply:?}"));
            }
        };
        self.end(operation, ending)
    }

    fn on_unavailable(&mut self, why: Unavailable) -> Ending {
        let probes = &mut self.probes;
        probes.hit_if(Probe::CommandNoLeader, why == Unavailable::NoLeader);
        probes.hit_if(Probe::CommandBusy, why == Unavailable::Busy);
        probes.hit_if(Probe::ConnectionLostTold, why == Unavailable::TimeoutConnectionLost);
        match why {
            Unavailable::NoLeader | Unavailable::Busy | Unavailable::TooLarge => Ending::Refused,
            Unavailable::Timeout
            | Unavailable::TimeoutLeaderLost
            | Unavailable::TimeoutConnectionLost
            | Unavailable::Stopped => Ending::Unknown,
        }
    }

    /// What a member shows of a register, right after it said that it may be read.
    fn value_at(&mut self, at: usize, key: u64) -> Option<u64> {
        let published = self.members[at].process().published.clone();
        let leads = published.role == RoleKind::Leader;
        self.probes.hit(if leads { Probe::ReadAtLeader } else { Probe::ReadAtFollower });
        let version = published.view.get(key_of(key).as_bytes())?;
        let text = String::from_utf8_lossy(version.value().bytes()).into_owned();
        Some(operation_of(&text).expect("only operations write"))
    }

    /// A command was executed, or refused by all members alike.
    fn on_applied(
        &mut self,
        at: usize,
        operation: u64,
        question: Question,
        applied: &Applied,
    ) -> Verdict {
        let call = self.clients.record(operation).call;
        let response = match &applied.result {
            Ok(response) => response,
            Err(rejection) => return self.on_rejected(operation, question, *rejection),
        };
        let succeeded = if let Response::Txn(txn) = response { txn.succeeded } else { true };
        self.probes.hit_if(Probe::SwapFailed, !succeeded);
        let writes = matches!(
            question,
            Question::Put { .. } | Question::Swap { .. } | Question::Attach { .. }
        );
        if writes && succeeded {
            // Answers come after what they speak of is published.
            let revision = applied.revision.0;
            if self.history.revision_of(operation) != Some(revision) {
                let found = self.history.revision_of(operation);
                let text = format!(
                    "operation {operation} is said to have written {revision}, and has {found:?}"
                );
                return violation("answers", text);
            }
        }
        if let Question::Doomed { .. } = question {
            return violation("answers", format!("operation {operation} must fail, and is done"));
        }
        if let Question::Grant { id, .. } = question {
            let leader = self.members[at].process().published.leader;
            self.leases.is_of_another(id, leader);
            self.leases.confirmed(id, call)?;
        }
        self.end(operation, Ending::Done { succeeded })
    }

    fn on_rejected(&mut self, operation: u64, question: Question, rejection: Rejection) -> Verdict {
        self.probes.hit_if(Probe::WriteRefusedForSpace, rejection == Rejection::NoSpace);
        match (question, rejection) {
            (Question::Compact { .. }, Rejection::Compacted | Rejection::FutureRevision) => {
                self.probes.hit(Probe::CompactionRefused);
            }
            (Question::Attach { id } | Question::Revoke { id }, Rejection::LeaseNotFound) => {
                self.leases.gone(id, self.now)?;
                self.clients.lose_lease(operation);
            }
            (Question::Doomed { .. }, Rejection::LeaseNotFound) => {
                self.probes.hit(Probe::TransactionRefused);
            }
            (_, Rejection::NoSpace) => self.clients.lose_lease(operation),
            (question, rejection) => {
                let text = format!("operation {operation}, {question:?}, gets {rejection:?}");
                return violation("answers", text);
            }
        }
        self.end(operation, Ending::Refused)
    }

    /// A client was told how long a lease lives.
    fn on_lease_told(
        &mut self,
        at: usize,
        operation: u64,
        call: u64,
        life: LeaseLife,
        told: Told,
    ) -> Verdict {
        let Some(granted) = life.granted else {
            self.probes.hit(Probe::LeaseGone);
            self.leases.gone(life.id, self.now)?;
            self.clients.lose_lease(operation);
            return self.end(operation, Ending::Refused);
        };
        if granted < life.remaining {
            return violation("leases", format!("{life:?} has more left than was granted"));
        }
        if told == Told::Renewed {
            let published = &self.members[at].process().published;
            let (leads, leader) = (published.role == RoleKind::Leader, published.leader);
            let is_of_another = self.leases.is_of_another(life.id, leader);
            self.probes.hit_if(Probe::LeaseOutlivedLeader, is_of_another);
            let probe =
                if leads { Probe::LeaseRenewedAtLeader } else { Probe::LeaseRenewedAtFollower };
            self.probes.hit(probe);
            self.leases.confirmed(life.id, call)?;
        }
        self.end(operation, Ending::Done { succeeded: true })
    }

    // === The operator ===

    fn operator_ticket(&mut self, deed: Deed) -> Ticket {
        let number = OPERATOR + self.operator.asked;
        self.operator.asked += 1;
        self.operator.waiting.insert(number, deed);
        Ticket(number)
    }

    /// The operator hands leadership over, to somebody or to whom the leader chooses.
    pub(super) fn transfer(&mut self) -> Verdict {
        let Some(at) = self.leader() else { return Ok(()) };
        let ids = self.ids();
        let chosen = self.nemesis.random.pick(&ids).filter(|_| self.nemesis.random.chance(600));
        let to = chosen.map(MemberId);
        let ticket = self.operator_ticket(Deed::Transfer);
        self.give(at, Event::Transfer { ticket, to })
    }

    /// The operator adds, promotes or removes somebody.
    pub(super) fn change_members(&mut self) -> Verdict {
        let running: Vec<usize> =
            (0..self.members.len()).filter(|at| self.is_running(*at)).collect();
        let Some(at) = self.nemesis.random.pick(&running) else { return Ok(()) };
        let published = self.members[at].process().published.clone();
        let membership = &published.membership;
        let learners: Vec<MemberId> = membership.learners().iter().copied().collect();
        let broken = self.members.iter().find(|member| {
            member.standing == Standing::Broken && membership.contains(MemberId(member.id))
        });
        let (change, context) = match (self.nemesis.random.below(4), broken) {
            (0, Some(broken)) => removal(broken.id),
            (0 | 1, _) if self.members.len() < MEMBERS_MAX => self.addition(),
            (2, _) if !learners.is_empty() => {
                let id = self.nemesis.random.pick(&learners).expect("there are some");
                (Change::Promote(id), MembershipContext::Promoted { member: id.0 })
            }
            _ => {
                let members: Vec<MemberId> = membership.members().into_iter().collect();
                let Some(id) = self.nemesis.random.pick(&members) else { return Ok(()) };
                removal(id.0)
            }
        };
        let ticket = self.operator_ticket(Deed::Change);
        self.note(|_| format!("the operator wants {change:?}"));
        self.give(at, Event::ChangeMembership { ticket, changes: vec![change], context })
    }

    /// The addition of a member, whose process starts in a while.
    fn addition(&mut self) -> (Change, MembershipContext) {
        let at = self.add_member(Genesis::Joining { cluster_id: CLUSTER_ID });
        let member = self.members[at].id;
        self.restart_later(at);
        let id = MemberId(member);
        let votes = self.nemesis.random.chance(200);
        let change = if votes { Change::AddVoter(id) } else { Change::AddLearner(id) };
        let becomes_voter = !votes && self.nemesis.random.chance(500);
        let attributes = MemberAttributes { becomes_voter, ..attributes(member) };
        (change, MembershipContext::Added { member, attributes })
    }

    fn on_operator_reply(&mut self, number: u64, reply: &Reply) -> Verdict {
        let Some(deed) = self.operator.waiting.remove(&number) else {
            return violation("answers", format!("the operator is answered twice: {reply:?}"));
        };
        self.note(|_| format!("the operator gets {reply:?}"));
        match (deed, reply) {
            (Deed::Change, Reply::Membership(Ok(())) | Reply::Unavailable(_)) => {}
            (Deed::Change, Reply::Membership(Err(_))) => self.probes.hit(Probe::ChangeRefused),
            (Deed::Transfer, Reply::Transferred(Ok(()))) => self.probes.hit(Probe::TransferDone),
            (Deed::Transfer, Reply::Transferred(Err(_))) => {
                self.probes.hit(Probe::TransferRefused);
            }
            (deed, reply) => {
                return violation("answers", format!("the operator's {deed:?} gets {reply:?}"));
            }
        }
        Ok(())
    }
}

/// Which question about a lease was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Renewed,
    Left,
}

fn removal(member: u64) -> (Change, MembershipContext) {
    (Change::Remove(MemberId(member)), MembershipContext::Removed { member })
}
