//! What is written is read back, and whatever else arrives is refused without harm.

use store::MemberAttributes;

use super::*;

fn body(message: &PeerMessage) -> Bytes {
    let mut frame = Vec::new();
    put_message(&mut frame, message);
    let (len, checksum) = frame_head(*frame.first_chunk().expect("a frame has a head")).unwrap();
    assert_eq!(len, frame.len() - FRAME_HEAD_BYTES, "the head tells the length of the body");
    let body = Bytes::from(frame).slice(FRAME_HEAD_BYTES..);
    check_body(&body, checksum).expect("the head tells the checksum of the body");
    body
}

fn raft_bodies() -> Vec<Body> {
    let last = EntryId::new(Index(7), Term(3));
    let set = |ids: &[u64]| ids.iter().copied().map(MemberId).collect::<BTreeSet<_>>();
    let membership = Membership::from_parts(set(&[1, 2]), set(&[2, 3]), set(&[4]), set(&[3]));
    let membership = membership.expect("a joint configuration with a learner and a demoted voter");
    let payloads = [
        Payload::Noop,
        Payload::Command(Bytes::from_static(b"put")),
        Payload::Membership(MembershipChange {
            membership: membership.clone(),
            context: Bytes::from_static(b"who"),
        }),
    ];
    let entries = (8..).zip(payloads).map(|(index, payload)| Entry {
        index: Index(index),
        term: Term(3),
        payload,
    });
    let round = Round(11);
    vec![
        Body::PreVote { last },
        Body::PreVoteResponse { ballot: Ballot::Granted },
        Body::PreVoteResponse { ballot: Ballot::Refused },
        Body::RequestVote { last, campaign: Campaign::Timeout },
        Body::RequestVote { last, campaign: Campaign::Transfer },
        Body::VoteResponse { ballot: Ballot::Granted },
        Body::AppendEntries { prev: last, entries: entries.collect(), commit: Index(6), round },
        Body::AppendResponse { round, outcome: AppendOutcome::Accepted { matched: Index(9) } },
        Body::AppendResponse {
            round,
            outcome: AppendOutcome::Rejected { prev: Index(9), hint: last },
        },
        Body::AppendResponse { round: Round::ZERO, outcome: AppendOutcome::StaleTerm },
        Body::InstallSnapshot {
            snapshot: Snapshot {
                meta: SnapshotMeta { id: last, membership },
                data: Bytes::from_static(b"name"),
            },
        },
        Body::TimeoutNow,
        Body::ReadIndex { nonce: 5 },
        Body::ReadIndexResponse { nonce: 5, index: Index(9) },
    ]
}

fn messages() -> Vec<PeerMessage> {
    let raft = raft_bodies().into_iter().map(|body| {
        PeerMessage::Raft(Message { from: MemberId(1), to: MemberId(2), term: Term(3), body })
    });
    let id = CommandId { origin: 2, sequence: 77 };
    let changes = vec![
        Change::AddVoter(MemberId(1)),
        Change::AddLearner(MemberId(2)),
        Change::Promote(MemberId(3)),
        Change::Demote(MemberId(4)),
        Change::Remove(MemberId(5)),
    ];
    let attributes = MemberAttributes { name: "n".into(), ..MemberAttributes::default() };
    let context = MembershipContext::Added { member: 9, attributes };
    let reasons = [ForwardRefusal::NotLeader, ForwardRefusal::Busy]
        .into_iter()
        .chain(MEMBERSHIP_REFUSALS.map(ForwardRefusal::Membership));
    let refused = reasons.map(|reason| PeerMessage::ForwardRefused {
        term: Term(3),
        sequences: vec![1, 2],
        reason,
    });
    let lives = vec![
        LeaseLife { id: 1, granted: Some(60), remaining: 59 },
        LeaseLife { id: 2, granted: None, remaining: -1 },
    ];
    let mut all: Vec<PeerMessage> = raft.chain(refused).collect();
    all.extend([
        PeerMessage::Forward {
            term: Term(3),
            commands: vec![Bytes::from_static(b"a"), Bytes::new()],
        },
        PeerMessage::ForwardChange { term: Term(3), id, changes, context },
        PeerMessage::LeaseQuestion { nonce: 1, ids: vec![1, -2], kind: LeaseQuestionKind::Renew },
        PeerMessage::LeaseQuestion { nonce: 1, ids: vec![], kind: LeaseQuestionKind::Tell },
        PeerMessage::LeaseAnswer { nonce: 1, leases: lives, applied: Index(4) },
        PeerMessage::LeaseRefused { nonce: 1 },
    ]);
    all
}

#[test]
fn every_message_is_read_back_as_it_was_written() {
    for said in messages() {
        assert_eq!(message(body(&said)).as_ref(), Ok(&said));
        assert_eq!(arrival(body(&said)), Ok(Arrival::Message(said)));
    }
}

#[test]
fn message_that_is_cut_short_is_refused() {
    for said in messages() {
        let whole = body(&said);
        for len in 0..whole.len() {
            assert!(message(whole.slice(..len)).is_err(), "{said:?} cut to {len} bytes");
        }
    }
}

#[test]
fn message_with_something_left_over_is_refused() {
    for said in messages() {
        let mut longer = body(&said).to_vec();
        longer.push(0);
        assert_eq!(message(longer.into()), Err(WireError::Long(1)), "{said:?} and a byte more");
    }
}

#[test]
fn changed_bytes_never_do_harm() {
    for said in messages() {
        let whole = body(&said);
        for at in 0..whole.len() {
            for flip in [1, 0x80, 0xff] {
                let mut changed = whole.to_vec();
                changed[at] ^= flip;
                // It may be another message, or none; either is fine.
                drop(arrival(changed.into()));
            }
        }
    }
}

#[test]
fn list_that_lies_about_its_length_takes_no_memory() {
    let mut lie = vec![5];
    put_u64(&mut lie, 1);
    lie.extend_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(message(lie.into()), Err(WireError::Short { .. })));
}

#[test]
fn frame_that_is_too_long_is_refused_before_it_is_read() {
    let mut head = [0xff; FRAME_HEAD_BYTES];
    head[4..].fill(0);
    assert!(matches!(frame_head(head), Err(WireError::TooLong { .. })));
}

#[test]
fn damaged_body_is_found_by_its_checksum() {
    let mut frame = Vec::new();
    put_ping(&mut frame, 7);
    let (_, checksum) = frame_head(*frame.first_chunk().unwrap()).unwrap();
    frame[FRAME_HEAD_BYTES + 1] ^= 1;
    assert!(matches!(
        check_body(&frame[FRAME_HEAD_BYTES..], checksum),
        Err(WireError::Checksum { .. })
    ));
}

#[test]
fn ping_and_its_answer_carry_their_number() {
    let body = |put: fn(&mut Vec<u8>, u64)| {
        let mut frame = Vec::new();
        put(&mut frame, 42);
        Bytes::from(frame).slice(FRAME_HEAD_BYTES..)
    };
    assert_eq!(arrival(body(put_ping)), Ok(Arrival::Ping(42)));
    assert_eq!(read_pong(body(put_pong)), Ok(42));
    assert!(read_pong(body(put_ping)).is_err(), "a ping is no answer");
}
