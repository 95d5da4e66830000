//! Messages that no member which keeps the protocol can have sent: they are answered, or dropped
//! with a reason, and never cause a panic. Raft does not ask for that (§2 leaves out members that
//! lie), but a member that halts at one bad message would be easy to bring down.

mod dice;
mod target;

use raft::{
    AppendOutcome, Ballot, Body, Campaign, Config, DropReason, DurableState, Entry, EntryId, Index,
    Input, MemberId, Membership, Message, Payload, ProgressKind, RoleKind, Round, Snapshot,
    SnapshotMeta, Term,
};

use self::dice::Dice;
use self::target::Target;
use super::one::{
    One, accepted, accepted_in, append, entries, granted, id, install, message, pre_refused,
    rejected, request_vote, voters,
};

/// How many random inputs each role is given; all roles together get four times as many.
const STEPS: u32 = if cfg!(debug_assertions) { 20_000 } else { 300_000 };

/// How many of them one member is given before the next one takes its place.
const STEPS_OF_ONE: u32 = 120;

const ROLES: [RoleKind; 4] =
    [RoleKind::Follower, RoleKind::PreCandidate, RoleKind::Candidate, RoleKind::Leader];

/// Numbers at the edges, and next to the term and the log of [`in_role`].
const NUMBERS: [u64; 12] = [0, 1, 2, 3, 4, 5, 6, 7, (1 << 62) - 1, 1 << 62, u64::MAX - 1, u64::MAX];

/// A member of three in this role, in term 5, with four or five entries, two of them committed.
fn in_role(role: RoleKind) -> One {
    let mut one = One::new(4, &[1, 1, 2, 4]);
    one.hear(2, 4, append(id(2, 1), &[], 2));
    match role {
        RoleKind::Follower => {
            one.hear(3, 5, append(id(2, 1), &[], 2));
        }
        RoleKind::PreCandidate => {
            one.hear(3, 5, rejected(1, EntryId::ZERO));
            one.give(Input::Campaign);
        }
        RoleKind::Candidate => {
            one.campaign();
        }
        RoleKind::Leader => one = one.lead(),
    }
    assert_eq!(one.raft.role(), role, "it has come to its role");
    assert_eq!((one.raft.term(), one.committed()), (Term(5), 2), "{role}");
    one
}

/// Every kind of message, with these two numbers wherever one has room for them.
fn bodies(index: u64, term: u64) -> Vec<Body> {
    let last = id(index, term);
    let entry = Entry { index: Index(index), term: Term(term), payload: Payload::Noop };
    let append = |prev, entries| Body::AppendEntries {
        prev,
        entries,
        commit: Index(index),
        round: Round(term),
    };
    let respond = |outcome| Body::AppendResponse { round: Round(term), outcome };
    let meta = SnapshotMeta { id: last, membership: voters(3) };
    vec![
        Body::PreVote { last },
        Body::PreVoteResponse { ballot: Ballot::Granted },
        Body::PreVoteResponse { ballot: Ballot::Refused },
        Body::RequestVote { last, campaign: Campaign::Timeout },
        Body::RequestVote { last, campaign: Campaign::Transfer },
        Body::VoteResponse { ballot: Ballot::Granted },
        Body::VoteResponse { ballot: Ballot::Refused },
        append(last, Vec::new()),
        append(last, vec![entry.clone()]),
        append(EntryId::ZERO, vec![entry.clone(), entry]),
        append(id(index.wrapping_sub(1), term), entries(index.wrapping_sub(1) >> 2, &[term, 1])),
        respond(AppendOutcome::Accepted { matched: Index(index) }),
        respond(AppendOutcome::Rejected { prev: Index(index), hint: last }),
        respond(AppendOutcome::Rejected { prev: Index(2), hint: last }),
        respond(AppendOutcome::StaleTerm),
        accepted_in(0, index),
        rejected(index, id(1, term)),
        Body::InstallSnapshot { snapshot: Snapshot { meta, data: "image".into() } },
        Body::TimeoutNow,
        Body::ReadIndex { nonce: term },
        Body::ReadIndexResponse { nonce: term, index: Index(index) },
    ]
}

/// Every kind of message, in every role, with every number at the edge, causes no panic, moves
/// neither term nor commit index back, and is accounted for.
#[test]
fn every_message_is_survived_in_every_role() {
    for role in ROLES {
        for term in NUMBERS {
            for index in NUMBERS {
                for inner in [0, 1, 5, (1 << 62) - 1, u64::MAX] {
                    for body in bodies(index, inner) {
                        survive(in_role(role), message(2, term, body));
                    }
                }
            }
        }
    }
}

/// The same for a member that starts for the first time, and for one that knows of no cluster.
#[test]
fn every_message_is_survived_by_new_members() {
    for term in NUMBERS {
        for number in NUMBERS {
            for body in bodies(number, number).into_iter().chain(bodies(number, 0)) {
                survive(One::new(0, &[]), message(2, term, body.clone()));
                let disk = DurableState::bootstrap(Membership::default());
                let waiting = One::start(Config::new(MemberId(1), 1), disk);
                survive(waiting, message(2, term, body));
            }
        }
    }
}

/// Hands a message over twice, with a write and a tick between.
fn survive(one: One, message: Message) {
    let mut target = Target::new(one.raft);
    target.hear(message.clone());
    target.give(Input::Tick);
    target.finish_writes();
    target.hear(message);
}

/// A million random inputs, most of them messages of strangers, to members in every role: no panic,
/// and what Raft promises of one member alone holds all the time.
#[test]
fn random_messages_are_survived_by_followers() {
    survive_random(RoleKind::Follower);
}

/// The same, to members that ask whether they could win.
#[test]
fn random_messages_are_survived_by_pre_candidates() {
    survive_random(RoleKind::PreCandidate);
}

/// The same, to members that campaign.
#[test]
fn random_messages_are_survived_by_candidates() {
    survive_random(RoleKind::Candidate);
}

/// The same, to members that lead.
#[test]
fn random_messages_are_survived_by_leaders() {
    survive_random(RoleKind::Leader);
}

fn survive_random(role: RoleKind) {
    let mut reached = 0;
    let members = STEPS / STEPS_OF_ONE;
    for seed in 0..u64::from(members) {
        let mut dice = Dice::new(seed);
        let mut target = Target::random(&mut dice, seed);
        target.make(role);
        reached += u32::from(target.raft.role() == role);
        for _ in 0..STEPS_OF_ONE {
            target.step(&mut dice);
            if target.raft.role() != role && dice.once_in(10) {
                target.make(role);
            }
        }
    }
    assert!(reached > members / 2, "only {reached} of {members} began as {role}");
}

// === Reasons ===

/// A message for another member, or that claims to come from the receiver, is dropped.
#[test]
fn misaddressed_message_is_dropped() {
    let mut one = in_role(RoleKind::Follower);
    let mut other = message(3, 9, append(EntryId::ZERO, &[], 0));
    other.to = MemberId(2);
    one.give(Input::Message(other));
    one.hear(1, 9, append(EntryId::ZERO, &[], 0));
    assert_eq!(one.dropped, [DropReason::Misaddressed; 2]);
    assert_eq!(one.raft.term(), Term(5), "nor is its term taken over");
}

/// Entries with gaps, with falling terms or from the future are dropped, and nothing is taken.
#[test]
fn entries_that_do_not_follow_each_other_are_dropped() {
    let mut gap = entries(4, &[5, 5, 5]);
    gap.remove(1);
    let lists = [gap, entries(4, &[5, 4]), entries(4, &[5, 6]), entries(5, &[5]), entries(4, &[3])];
    for entries in lists {
        let mut one = in_role(RoleKind::Follower);
        let (commit, round) = (Index(9), Round::ZERO);
        let body = Body::AppendEntries { prev: id(4, 4), entries, commit, round };
        assert_eq!(one.hear(3, 5, body), []);
        assert_eq!(one.dropped, [DropReason::Malformed]);
        assert_eq!((one.log(), one.committed()), (vec![1, 1, 2, 4], 2));
    }
}

/// Entries that contradict what is committed are dropped, also where the log before them is gone.
#[test]
fn entries_that_contradict_what_is_committed_are_dropped() {
    for body in [append(EntryId::ZERO, &[1, 3], 0), append(id(2, 2), &[3], 0)] {
        let mut one = in_role(RoleKind::Follower);
        assert_eq!(one.hear(3, 5, body), []);
        assert_eq!(one.dropped, [DropReason::ContradictsCommitted]);
        assert_eq!((one.log(), one.committed()), (vec![1, 1, 2, 4], 2));
    }
    let mut one = One::new(5, &[]);
    one.hear(3, 5, install(id(4, 4)));
    assert_eq!(one.hear(3, 5, append(EntryId::ZERO, &[1, 1, 1, 1, 1], 0)), []);
    assert_eq!(one.dropped, [DropReason::ContradictsCommitted], "entry 4 is of term 4");
    assert_eq!(one.last(), id(4, 4));
}

/// The first leader of a term is the only one: what another says in that term is dropped.
#[test]
fn second_leader_of_a_term_is_dropped() {
    for role in [RoleKind::Follower, RoleKind::Leader] {
        let mut one = in_role(role);
        let log = one.log();
        for body in [append(id(2, 1), &[5], 3), install(id(9, 5))] {
            assert_eq!(one.hear(2, 5, body), []);
        }
        assert_eq!(one.dropped, [DropReason::SecondLeader; 2], "{role}");
        assert_eq!((one.log(), one.committed()), (log, 2));
    }
}

/// A follower cannot hold what was never sent, refuse what was never asked, or answer a round that
/// never began.
#[test]
fn impossible_answers_are_dropped() {
    let bodies = [
        accepted(6),
        accepted(u64::MAX),
        accepted_in(1, 5),
        rejected(6, EntryId::ZERO),
        rejected(3, id(4, 4)),
    ];
    for body in bodies {
        let mut one = in_role(RoleKind::Leader);
        one.hear(2, 5, body.clone());
        assert_eq!(one.dropped, [DropReason::ImpossibleAck], "{body}");
        let member = one.raft.status().members[0];
        assert_eq!((member.matched, member.progress), (Index::ZERO, ProgressKind::Probe), "{body}");
    }
}

/// A leader counts nobody who is not in its configuration.
#[test]
fn answer_of_a_stranger_is_dropped() {
    let mut one = in_role(RoleKind::Leader);
    for stranger in [4, 5, u64::MAX] {
        one.hear(stranger, 5, accepted(5));
    }
    assert_eq!(one.dropped, [DropReason::NotMember; 3]);
    assert_eq!(one.committed(), 2);
}

/// Numbers that nobody can have counted up to are dropped before they are taken over.
#[test]
fn numbers_out_of_reach_are_dropped() {
    for role in ROLES {
        let mut one = in_role(role);
        one.hear(2, 1 << 62, append(EntryId::ZERO, &[], 0));
        one.hear(2, u64::MAX, Body::TimeoutNow);
        one.hear(2, 6, append(id(u64::MAX, 1), &[], 0));
        one.hear(2, 6, install(id(1 << 62, 1)));
        one.hear(2, 6, install(id(9, 7)));
        assert_eq!(one.dropped, [DropReason::Malformed; 5]);
        assert_eq!((one.raft.role(), one.raft.term()), (role, Term(5)));
    }
}

/// Nobody leads or campaigns in term zero: a message that claims so is dropped.
#[test]
fn message_of_term_zero_is_dropped() {
    let bodies = [
        request_vote(EntryId::ZERO),
        append(EntryId::ZERO, &[], 0),
        install(id(3, 0)),
        Body::TimeoutNow,
    ];
    for body in bodies {
        let mut one = One::new(0, &[]);
        assert_eq!(one.hear(2, 0, body.clone()), [], "{body}");
        assert_eq!(one.dropped.len(), 1, "{body}");
        assert_eq!((one.raft.status().vote, one.raft.leader()), (None, None), "{body}");
    }
}

/// A leader that lies may replace an entry of its own term and bring it back. The acknowledgement
/// of the first write is then ignored: the entry that stands there now was not even handed out.
#[test]
fn acknowledgement_of_what_a_lying_leader_replaced_is_ignored() {
    let mut one = One::new(2, &[]);
    let effects = one.raft.step(Input::Message(message(2, 2, append(EntryId::ZERO, &[2], 0))));
    let ack = effects.persist.expect("the entry is written").ack;
    for terms in [[1], [2]] {
        one.raft.feed(Input::Message(message(2, 2, append(EntryId::ZERO, &terms, 0))));
    }
    one.raft.feed(Input::Durable(ack));
    assert_eq!((one.last(), one.raft.status().durable), (id(1, 2), Index::ZERO));
}

/// Messages for another role are dropped.
#[test]
fn messages_for_another_role_are_dropped() {
    let messages = [
        (RoleKind::Candidate, granted()),
        (RoleKind::PreCandidate, pre_refused()),
        (RoleKind::Leader, accepted(1)),
    ];
    for role in ROLES {
        for (meant_for, body) in &messages {
            let mut one = in_role(role);
            one.hear(2, 5, body.clone());
            let expected = if role == *meant_for { vec![] } else { vec![DropReason::WrongRole] };
            assert_eq!(one.dropped, expected, "{role} that hears {body}");
        }
    }
}

/// Everyday reasons are told apart from those that ask for an alert.
#[test]
fn only_what_no_network_can_do_is_a_violation() {
    use DropReason::{
        ContradictsCommitted, ImpossibleAck, LeaderAlive, Malformed, Misaddressed, NotMember,
        SecondLeader, StaleTerm, Unexpected, WrongRole,
    };
    for reason in [StaleTerm, LeaderAlive, WrongRole, NotMember, Unexpected] {
        assert!(!reason.is_violation(), "{reason:?} is everyday life");
    }
    for reason in [Misaddressed, SecondLeader, Malformed, ContradictsCommitted, ImpossibleAck] {
        assert!(reason.is_violation(), "{reason:?} asks for an alert");
    }
}
