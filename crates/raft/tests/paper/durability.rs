//! Disks that take their time: §5.1–§5.4 hold with writes that finish late (thesis §10.2.1), and an
//! acknowledgement names what it acknowledges by term and last entry.

use bytes::Bytes;
use raft::{
    Body, Campaign, Durable, Effects, EntryId, Index, Input, MemberId, Message, RoleKind, Term,
};
use sim::stage::{Kind, Stage, kind};

use super::one::{One, accepted, append, granted, id, message, pre_granted, request_vote};

/// Hands a message to a member whose disk has not finished anything.
fn hear(one: &mut One, from: u64, term: u64, body: Body) -> Effects {
    one.raft.step(Input::Message(message(from, term, body)))
}

/// The acknowledgement of a write.
fn ack(effects: Effects) -> Durable {
    effects.persist.expect("something is written").ack
}

fn bodies(messages: &[Message]) -> Vec<&Body> {
    messages.iter().map(|message| &message.body).collect()
}

/// The commit index, and up to where the log is durable.
fn cursors(one: &One) -> (u64, u64) {
    let status = one.raft.status();
    (status.committed.0, status.durable.0)
}

/// Figure 2, State: entries reach stable storage before they are acknowledged.
#[test]
fn entries_are_acknowledged_only_when_durable() {
    let mut one = One::new(1, &[]);
    let effects = hear(&mut one, 2, 1, append(EntryId::ZERO, &[1, 1], 0));
    assert_eq!(effects.send_now, []);
    assert_eq!(bodies(&effects.send_when_durable), [&accepted(2)]);
    assert_eq!(ack(effects).last, id(2, 1), "the write is what the answer waits for");
}

/// A heartbeat is answered at once, for what is durable already: a slow disk does not look like a
/// dead member (thesis §6.2).
#[test]
fn heartbeat_is_answered_at_once_for_what_is_durable() {
    let mut one = One::new(1, &[1]);
    hear(&mut one, 2, 1, append(id(1, 1), &[1, 1], 0));
    let effects = hear(&mut one, 2, 1, append(id(3, 1), &[], 0));
    assert_eq!(bodies(&effects.send_now), [&accepted(1)]);
}

/// Thesis §10.2.1: a leader sends entries to the others while its own disk still writes them.
#[test]
fn leader_sends_entries_while_it_writes_them() {
    let mut one = One::leading(1, &[]);
    one.hear(2, 1, accepted(1));
    one.raft.propose(Bytes::from_static(b"a=1")).expect("it leads");
    let effects = one.raft.flush();
    assert_eq!(effects.send_now.len(), 1, "m2 is sent the entry at once");
    assert_eq!(ack(effects).last, id(2, 1));
}

/// Thesis §10.2.1: the leader counts itself only once its own write is finished.
#[test]
fn leader_counts_itself_only_when_durable() {
    let mut five = Stage::new(5);
    five.elect(1);
    five.hold_disk(1);
    five.propose(1, "a=1").expect("m1 leads");
    five.block(1, 4);
    five.block(1, 5);
    five.stabilize_only(|m| m.to.0 <= 3);
    assert_eq!(five.committed(1), 1, "two followers and a leader that has not written");
    five.release_disk(1);
    assert_eq!(five.committed(1), 2, "now it is three of five");
}

/// Thesis §10.2.1: an entry may be committed before the leader's own write is finished, if a
/// majority of the others has it.
#[test]
fn entry_is_committed_without_the_leaders_disk() {
    let mut one = One::leading(1, &[]);
    one.hear(2, 1, accepted(1));
    one.hear(3, 1, accepted(1));
    one.raft.propose(Bytes::from_static(b"a=1")).expect("it leads");
    one.raft.flush();
    hear(&mut one, 2, 1, accepted(2));
    assert_eq!(cursors(&one), (1, 1));
    let effects = hear(&mut one, 3, 1, accepted(2));
    assert_eq!(cursors(&one), (2, 1));
    assert_eq!(effects.apply.len(), 1, "it is applied too: a majority holds it");
}

/// §5.2: unlike the paper, a candidate asks for votes only once its own is durable, and does not
/// count its own before. Otherwise it could crash, return with a shorter log, campaign in the same
/// term and win by votes that were given to the longer log.
#[test]
fn candidate_asks_only_once_its_own_vote_is_durable() {
    let mut one = One::new(1, &[]);
    one.raft.step(Input::Campaign);
    let effects = hear(&mut one, 2, 2, pre_granted());
    assert_eq!(one.raft.role(), RoleKind::Candidate);
    assert_eq!(effects.send_now, []);
    assert_eq!(bodies(&effects.send_when_durable), [&request_vote(EntryId::ZERO); 2]);
    hear(&mut one, 2, 2, granted());
    assert_eq!(one.raft.role(), RoleKind::Candidate, "its own vote does not count yet");
    one.raft.step(Input::Durable(ack(effects)));
    assert_eq!(one.raft.role(), RoleKind::Leader);
}

/// An acknowledgement covers all writes before its own, so that acknowledgements may be skipped.
#[test]
fn acknowledgement_covers_all_writes_before_it() {
    let mut one = One::new(1, &[]);
    hear(&mut one, 2, 1, append(EntryId::ZERO, &[1], 0));
    hear(&mut one, 2, 1, append(id(1, 1), &[1], 0));
    let last = ack(hear(&mut one, 2, 1, append(id(2, 1), &[1], 0)));
    one.raft.step(Input::Durable(last));
    assert_eq!(cursors(&one), (0, 3));
}

/// Acknowledgements may come late: an older one takes nothing back.
#[test]
fn older_acknowledgement_takes_nothing_back() {
    let mut one = One::new(1, &[]);
    let first = ack(hear(&mut one, 2, 1, append(EntryId::ZERO, &[1], 0)));
    let second = ack(hear(&mut one, 2, 1, append(id(1, 1), &[1], 0)));
    for ack in [second, first] {
        one.raft.step(Input::Durable(ack));
        assert_eq!(cursors(&one), (0, 2));
    }
}

/// A late acknowledgement of an entry that was overwritten says nothing about the entry that stands
/// there now.
#[test]
fn late_acknowledgement_of_an_overwritten_entry_changes_nothing() {
    let mut one = One::new(1, &[1]);
    let old = ack(hear(&mut one, 2, 1, append(id(1, 1), &[1, 1], 0)));
    let new = ack(hear(&mut one, 3, 2, append(id(1, 1), &[2, 2], 0)));
    one.raft.step(Input::Durable(old));
    assert_eq!(cursors(&one), (0, 1));
    one.raft.step(Input::Durable(new));
    assert_eq!(cursors(&one), (0, 3));
}

/// The same entry may come, go and come again: an acknowledgement of its first write says nothing
/// about its second, because the write between them has taken it from the disk. Index and term of
/// the entry do not tell the two apart; the term in which it was written does.
#[test]
fn late_acknowledgement_of_an_entry_that_came_back_changes_nothing() {
    let mut one = One::new(1, &[1]);
    let first = ack(hear(&mut one, 2, 1, append(id(1, 1), &[1], 0)));
    hear(&mut one, 3, 2, append(id(1, 1), &[2], 0));
    let effects = hear(&mut one, 2, 3, append(id(1, 1), &[1, 3], 0));
    assert_eq!(first.last, id(2, 1));
    one.raft.step(Input::Durable(first));
    assert_eq!(cursors(&one), (0, 1), "2@1 is overwritten by 2@2 on the disk by now");
    let heartbeat = hear(&mut one, 2, 3, append(id(3, 3), &[], 0));
    assert!(heartbeat.send_now.is_empty(), "the term is not durable: nothing can be said yet");
    one.raft.step(Input::Durable(ack(effects)));
    assert_eq!(cursors(&one), (0, 3));
}

/// Nor does an acknowledgement of the write of a vote, in the same term, say anything of entries
/// that the leader of that term has replaced since.
#[test]
fn acknowledgement_of_a_vote_says_nothing_about_entries_replaced_since() {
    let mut one = One::new(1, &[1]);
    hear(&mut one, 2, 1, append(id(1, 1), &[1], 0));
    let vote = ack(hear(
        &mut one,
        3,
        2,
        Body::RequestVote { last: id(9, 1), campaign: Campaign::Transfer },
    ));
    assert_eq!(vote.last, id(2, 1));
    hear(&mut one, 3, 2, append(id(1, 1), &[2, 2], 0));
    one.raft.step(Input::Durable(vote));
    assert_eq!(cursors(&one), (0, 1), "2@2 is not written yet");
}

/// A leader that was deposed and elected again does not take its old writes for new ones.
#[test]
fn acknowledgement_of_an_earlier_leadership_commits_nothing() {
    let mut one = One::leading(1, &[]);
    one.raft.propose(Bytes::from_static(b"a=1")).expect("it leads");
    let old = ack(one.raft.flush());
    hear(&mut one, 2, 2, append(EntryId::ZERO, &[2], 0));
    assert_eq!(one.log(), [2]);
    one.raft.step(Input::Durable(old));
    assert_eq!(cursors(&one), (0, 0));
}

/// The commit hint on the disk never points beyond the entries that were written before it or with
/// it; a follower may apply before its own disk has the entries, since a majority has them.
#[test]
fn entries_are_applied_before_the_own_disk_has_them_if_they_are_committed() {
    let mut one = One::new(1, &[]);
    let effects = hear(&mut one, 2, 1, append(EntryId::ZERO, &[1, 1], 2));
    assert_eq!(effects.apply.len(), 2);
    let persist = effects.persist.expect("the entries are written");
    let hint = persist.hard_state.map(|hard_state| hard_state.commit);
    assert_eq!((persist.entries.len(), hint), (2, Some(Index(2))));
}

/// Figure 2, State: the term is durable before anything is said in it.
#[test]
fn nothing_is_said_in_a_term_that_is_not_durable() {
    let mut one = One::new(1, &[1]);
    let effects = hear(&mut one, 2, 5, append(id(1, 1), &[], 0));
    assert_eq!(effects.send_now, []);
    assert_eq!(bodies(&effects.send_when_durable), [&accepted(1)]);
    assert_eq!(ack(effects).written_in, Term(5));
}

/// A leader whose disk is silent for an election timeout makes room: it hands leadership over and
/// follows. So does a member that would campaign: it could promise nothing.
#[test]
fn member_with_a_silent_disk_neither_leads_nor_campaigns() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.hold_disk(1);
    stage.propose(1, "a=1").expect("m1 leads");
    for _ in 0..9 {
        stage.tick_all(1);
        stage.stabilize();
        assert_eq!(stage.role(1), RoleKind::Leader);
    }
    stage.tick(1);
    assert_eq!(stage.role(1), RoleKind::Follower);
    assert!(stage.in_flight().any(kind(Kind::TimeoutNow)), "another is asked to campaign");
    stage.stabilize();
    assert!(stage.leader().is_some_and(|leader| leader != 1), "{:?}", stage.leader());
    stage.campaign(1);
    assert_eq!(stage.role(1), RoleKind::Follower);
}

/// Figure 2, State: a member that crashes before its vote is durable has not voted, and nobody was
/// told that it had.
#[test]
fn vote_that_is_lost_in_a_crash_was_told_to_nobody() {
    let mut stage = Stage::new(3);
    stage.hold_disk(2);
    stage.campaign(1);
    stage.block(1, 3);
    stage.stabilize();
    assert_eq!(stage.status(2).vote, Some(MemberId(1)));
    assert_eq!(stage.role(1), RoleKind::Candidate);
    stage.crash(2);
    stage.restart(2);
    assert_eq!(stage.status(2).vote, None);
}

/// A heartbeat that falls due while a command is sent goes out beside it: the answer to the command
/// waits for a disk, and must not be the only sign that the follower is there.
#[test]
fn followers_with_silent_disks_keep_a_leader_that_is_busy() {
    let mut one = One::leading(1, &[]);
    for _ in 0..15 {
        one.raft.propose("a=1".into()).expect("m1 leads");
        for message in one.give(raft::Input::Tick) {
            // The disks of the others are silent: they answer what needs none.
            if matches!(&message.body, Body::AppendEntries { entries, .. } if entries.is_empty()) {
                one.hear(message.to.0, 1, accepted(0));
            }
        }
        assert_eq!(one.raft.role(), RoleKind::Leader);
    }
}
