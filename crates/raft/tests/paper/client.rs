//! Clients: §8. What a client is told, and when. Numbering commands so that none is executed twice
//! is the service's business (thesis §6.3) and no part of the core.

use raft::{MemberId, Payload, ProposeError, ReadError, ReadId, ReadOutcome};
use sim::stage::{Kind, Stage, any, kind, to};

use super::one::{One, accepted, append, id};

/// §8: whichever member a client asks first, that one refuses and names the leader.
#[test]
fn any_member_names_the_leader() {
    let mut stage = Stage::new(3);
    stage.elect(2);
    for member in [1, 3] {
        let refused = stage.propose(member, "a=1");
        assert_eq!(refused, Err(ProposeError::NotLeader { leader: Some(MemberId(2)) }));
    }
    assert!(stage.propose(2, "a=1").is_ok(), "the leader takes it");
}

/// §8: a member that knows no leader says so; the client tries another or waits.
#[test]
fn member_without_a_leader_names_none() {
    let mut one = One::new(1, &[]);
    assert_eq!(one.raft.propose("a=1".into()), Err(ProposeError::NotLeader { leader: None }));
    assert_eq!(one.raft.read(ReadId(1)), Err(ReadError::NoLeader));
}

/// §8: if the leader dies, the name it left behind is soon replaced by the new one.
#[test]
fn new_leader_is_named_after_the_old_one_has_died() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.crash(1);
    stage.run(60);
    let leader = stage.leader().expect("the others elect one");
    let other = if leader == 2 { 3 } else { 2 };
    let refused = stage.propose(other, "a=1");
    assert_eq!(refused, Err(ProposeError::NotLeader { leader: Some(MemberId(leader)) }));
}

/// §8: a leader begins its term with an entry that does nothing.
#[test]
fn term_begins_with_a_noop() {
    let one = One::leading(3, &[1, 2]);
    let last = one.raft.entries().last().expect("the log is not empty");
    assert_eq!((last.id(), &last.payload), (id(3, 3), &Payload::Noop));
}

/// §8: a new leader does not know what is committed before that entry is.
#[test]
fn leader_knows_what_is_committed_once_its_noop_is() {
    let mut one = One::leading(3, &[1, 2]);
    assert_eq!(one.committed(), 0);
    one.hear(2, 3, accepted(3));
    assert_eq!((one.committed(), one.applied.len()), (3, 3));
}

/// §8: a leader exchanges messages with a majority before it answers a read.
#[test]
fn read_is_answered_after_a_majority_has_answered_the_leader() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.read(1, 7).expect("there is room");
    assert_eq!(stage.read_outcome(1, 7), None);
    stage.deliver(to(2));
    assert_eq!(stage.read_outcome(1, 7), None);
    stage.deliver(to(1));
    let ready = ReadOutcome::Ready { id: ReadId(7), index: raft::Index(1) };
    assert_eq!(stage.read_outcome(1, 7), Some(ready));
}

/// §8: a leader that was replaced without knowing it answers no read from its old state.
#[test]
fn leader_that_is_cut_off_answers_no_read() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.isolate(1);
    stage.read(1, 7).expect("it still believes that it leads");
    stage.run(60);
    let leader = stage.leader().expect("the others elect one");
    assert_ne!(leader, 1);
    assert!(matches!(stage.read_outcome(1, 7), Some(ReadOutcome::Failed { .. })), "it fails");
}

/// §8: a command whose answer was lost may be sent again, and is then a second entry: the core does
/// not look into commands.
#[test]
fn command_that_is_sent_twice_is_two_entries() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    for _ in 0..2 {
        stage.propose(1, "add 1").expect("m1 leads");
    }
    stage.run(1);
    assert_eq!(stage.applied(3), ["add 1", "add 1"]);
}

/// §8: a client learns that its command has failed when another entry stands in its place: the term
/// tells them apart.
#[test]
fn replaced_command_is_known_by_the_other_term_at_its_index() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.isolate(1);
    let proposed = stage.propose(1, "a=1").expect("m1 believes that it leads");
    stage.run(60);
    stage.heal();
    stage.run(20);
    let applied = stage.applied_entries(1).iter().find(|entry| entry.index == proposed.index);
    let applied = applied.expect("something is applied in its place");
    assert_ne!(applied.id(), proposed);
}

/// A leader that cannot commit refuses commands once too many bytes wait, and takes them again when
/// they are committed. It takes one at least, however long.
#[test]
fn commands_are_refused_while_too_many_bytes_wait_to_be_committed() {
    let mut stage =
        Stage::builder(3).configure(|config| config.uncommitted_bytes_max = 100).build();
    stage.elect(1);
    for _ in 0..3 {
        stage.propose(1, &"x".repeat(200)).expect("nothing waits");
        assert_eq!(stage.propose(1, "y"), Err(ProposeError::Busy));
        stage.stabilize();
    }
    assert_eq!(stage.committed(1), 4);
}

/// §8: of a command that has not come back nobody knows whether it will be executed: it may be the
/// next leader that commits it.
#[test]
fn command_of_a_crashed_leader_may_still_be_executed() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.propose(1, "a=1").expect("m1 leads");
    stage.deliver(to(2));
    stage.crash(1);
    stage.discard(any);
    assert_eq!(stage.committed(2), 1, "nobody has committed it");
    stage.run(60);
    assert_eq!(stage.applied(3), ["a=1"], "only m2 could win, and it holds the command");
}

/// §8: a member that is asked to read but follows asks its leader, and appends nothing for it.
#[test]
fn read_writes_nothing() {
    let mut one = One::new(1, &[]);
    one.hear(2, 1, append(raft::EntryId::ZERO, &[1], 1));
    let before = one.written.len();
    one.raft.read(ReadId(1)).expect("the leader is known");
    let said = one.settle();
    assert!(said.iter().all(kind(Kind::ReadIndex)), "{said:?}");
    assert_eq!((said.len(), one.written.len(), one.last()), (1, before, id(1, 1)));
}
