//! Logs made equal: Figure 2 (AppendEntries RPC, Leaders), §5.3, §5.5, §5.6.

use bytes::Bytes;
use raft::{Body, Config, EntryId, Index, MemberId, Message, Payload, ProgressKind, ProposeError};
use sim::stage::{Stage, any, link, to};

use super::one::{One, accepted, append, disk, entries, id, rejected, stale_term, voters};

/// The appends among messages: to whom, after which entry, which terms, and the commit index.
fn appends(said: &[Message]) -> Vec<(u64, EntryId, Vec<u64>, u64)> {
    let parts = said.iter().filter_map(|message| match &message.body {
        Body::AppendEntries { prev, entries, commit, .. } => {
            let terms = entries.iter().map(|entry| entry.term.0).collect();
            Some((message.to.0, *prev, terms, commit.0))
        }
        Body::PreVote { .. }
        | Body::PreVoteResponse { .. }
        | Body::RequestVote { .. }
        | Body::VoteResponse { .. }
        | Body::AppendResponse { .. }
        | Body::InstallSnapshot { .. }
        | Body::TimeoutNow
        | Body::ReadIndex { .. }
        | Body::ReadIndexResponse { .. } => None,
    });
    parts.collect()
}

/// Figure 2, AppendEntries receiver 1: a leader of a past term is told so, and nothing is taken.
#[test]
fn append_of_a_past_term_is_refused() {
    let mut one = One::new(3, &[1]);
    assert_eq!(one.answer(2, 2, append(id(1, 1), &[2], 2)), stale_term());
    assert_eq!((one.log(), one.committed()), (vec![1], 0));
}

/// Figure 2, AppendEntries receiver 2: without the entry before the new ones they are refused.
#[test]
fn append_after_a_missing_entry_is_refused() {
    let mut one = One::new(2, &[1, 1]);
    assert_eq!(one.answer(2, 2, append(id(4, 1), &[2], 0)), rejected(4, id(2, 1)));
    assert_eq!(one.log(), [1, 1]);
}

/// Figure 2, AppendEntries receiver 2: so they are if the entry before them has another term.
#[test]
fn append_after_an_entry_of_another_term_is_refused() {
    let mut one = One::new(3, &[1, 2, 2]);
    assert_eq!(one.answer(2, 3, append(id(3, 1), &[3], 0)), rejected(3, id(1, 1)));
    assert_eq!(one.log(), [1, 2, 2], "a refusal removes nothing");
}

/// Figure 2, AppendEntries receiver 3: a conflicting entry is removed, and all that follow it.
#[test]
fn conflicting_entry_is_removed_with_all_that_follow() {
    let mut one = One::new(3, &[1, 2, 2, 2]);
    assert_eq!(one.answer(2, 3, append(id(1, 1), &[3], 0)), accepted(2));
    assert_eq!(one.log(), [1, 3]);
}

/// Figure 2, AppendEntries receiver 3: without a conflict nothing is removed, so that an old append
/// which arrives late does no harm.
#[test]
fn late_append_removes_nothing() {
    let mut one = One::new(2, &[1, 2, 2, 2]);
    assert_eq!(one.answer(2, 2, append(id(1, 1), &[2], 0)), accepted(2));
    assert_eq!(one.answer(2, 2, append(EntryId::ZERO, &[], 0)), accepted(0));
    assert_eq!(one.log(), [1, 2, 2, 2]);
}

/// Figure 2, AppendEntries receiver 4: only the entries that are not there are appended.
#[test]
fn only_new_entries_are_appended() {
    let mut one = One::new(2, &[1, 2]);
    assert_eq!(one.answer(2, 2, append(EntryId::ZERO, &[1, 2, 2, 2], 0)), accepted(4));
    assert_eq!(one.log(), [1, 2, 2, 2]);
    assert_eq!(one.written.last().expect("it writes").entries, entries(2, &[2, 2]));
}

/// Figure 2, AppendEntries receiver 5: a follower commits what the leader has committed.
#[test]
fn follower_takes_over_the_commit_index() {
    let mut one = One::new(1, &[]);
    one.hear(2, 1, append(EntryId::ZERO, &[1, 1, 1], 2));
    assert_eq!(one.committed(), 2);
}

/// Figure 2, AppendEntries receiver 5: but not beyond the last entry that came with the message,
/// for what follows in its log may not be the leader's.
#[test]
fn follower_commits_only_what_it_knows_to_be_the_leaders() {
    let mut one = One::new(3, &[1, 2, 2, 2]);
    one.hear(2, 3, append(id(1, 1), &[], 4));
    assert_eq!(one.committed(), 1);
    one.hear(2, 3, append(id(1, 1), &[2], 4));
    assert_eq!(one.committed(), 2);
}

/// Figure 2, State: the commit index never goes back.
#[test]
fn commit_index_of_a_late_append_is_ignored() {
    let mut one = One::new(1, &[]);
    one.hear(2, 1, append(EntryId::ZERO, &[1, 1, 1], 3));
    one.hear(2, 1, append(EntryId::ZERO, &[1], 1));
    assert_eq!(one.committed(), 3);
}

/// Figure 2, All Servers: what is committed is applied, in order and each entry once.
#[test]
fn committed_entries_are_applied_in_order_and_once() {
    let mut one = One::new(1, &[]);
    for commit in [0, 1, 1, 3, 2, 4] {
        one.hear(2, 1, append(EntryId::ZERO, &[1, 1, 1, 1], commit));
        assert!(one.applied.len() as u64 <= commit.max(3), "nothing is applied before its commit");
    }
    assert_eq!(one.applied, entries(0, &[1, 1, 1, 1]));
}

/// Figure 2, Leaders: a command is appended to the leader's log first, and sent.
#[test]
fn command_is_appended_by_the_leader_and_sent() {
    let mut one = One::leading(2, &[1]);
    one.hear(2, 2, accepted(2));
    let proposed = one.raft.propose(Bytes::from_static(b"a=1"));
    assert_eq!(proposed, Ok(id(3, 2)));
    assert_eq!(appends(&one.settle()), [(2, id(2, 2), vec![2], 2)], "m3 is still being probed");
    assert_eq!(one.last(), id(3, 2));
}

/// Figure 2, Leaders, and §5.3: success is told when the command is applied, which is when it is
/// committed.
#[test]
fn command_is_applied_only_once_a_majority_holds_it() {
    let mut one = One::leading(1, &[]);
    one.hear(2, 1, accepted(1));
    one.raft.propose(Bytes::from_static(b"a=1")).expect("it leads");
    one.settle();
    assert_eq!(one.applied.len(), 1, "the no-op alone is applied");
    one.hear(2, 1, accepted(2));
    assert_eq!(one.applied[1].payload, Payload::Command(Bytes::from_static(b"a=1")));
}

/// Figure 2, Leaders: a follower that lacks entries is sent those from its next index on.
#[test]
fn leader_sends_everything_from_the_next_index_on() {
    let mut one = One::leading(3, &[1, 1, 2]);
    let said = one.hear(2, 3, rejected(3, id(1, 1)));
    assert_eq!(appends(&said), [(2, id(1, 1), vec![1, 2, 3], 0)]);
}

/// Figure 2, Leaders: success moves the follower's match and next index on.
#[test]
fn success_moves_match_and_next_index() {
    let mut one = One::leading(2, &[1, 1]);
    one.hear(2, 2, accepted(3));
    let member = one.raft.status().members[0];
    assert_eq!((member.matched, member.next), (Index(3), Index(4)));
    one.hear(2, 2, accepted(2));
    assert_eq!(one.raft.status().members[0].matched, Index(3), "a late answer takes nothing back");
}

/// Figure 2, Leaders: after a refusal the next index goes down, and the append is tried again.
#[test]
fn refusal_moves_the_next_index_down_and_is_followed_by_another_append() {
    let mut one = One::leading(5, &[1, 1, 1]);
    let said = one.hear(2, 5, rejected(3, id(2, 1)));
    assert_eq!(one.raft.status().members[0].next, Index(3));
    assert_eq!(appends(&said), [(2, id(2, 1), vec![1, 5], 0)]);
}

/// §5.3: a refusal may name where the logs can agree at best, so that it takes one round trip for
/// each term that differs and not for each entry. Both sides leave out whole terms.
#[test]
fn whole_terms_are_left_out_when_logs_are_compared() {
    let mut stage = Stage::builder(3)
        .log(1, 6, &[1, 1, 4, 4, 4, 4, 4, 6, 6])
        .log(2, 6, &[1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 3])
        .log(3, 6, &[1, 1, 4, 4, 4, 4, 4, 6, 6])
        .build();
    stage.elect(1);
    let is_refusal = |line: &String| line.contains("Rejected");
    let refusals = stage.take_lines().into_iter().filter(is_refusal).count();
    assert!(refusals <= 2, "{refusals} refusals are too many for two terms that differ");
    assert_eq!(stage.log_terms(2), stage.log_terms(1));
}

/// Figure 2, Leaders: an index that a majority matches is committed, if its entry is of the term.
#[test]
fn entry_on_a_majority_is_committed() {
    let mut stage = Stage::new(5);
    stage.elect(1);
    stage.propose(1, "a=1").expect("m1 leads");
    stage.deliver(to(2));
    stage.stabilize_only(link(2, 1));
    assert_eq!(stage.committed(1), 1, "two of five are no majority");
    stage.deliver(to(3));
    stage.stabilize_only(link(3, 1));
    assert_eq!(stage.committed(1), 2, "three of five are one");
}

/// §5.3: the leader tells its commit index in later appends, and followers then apply.
#[test]
fn commit_index_rides_on_the_next_append() {
    let mut one = One::leading(1, &[]);
    one.hear(3, 1, accepted(1));
    one.raft.propose(Bytes::from_static(b"a=1")).expect("it leads");
    one.settle();
    one.hear(2, 1, accepted(2));
    assert_eq!(one.committed(), 2);
    one.raft.propose(Bytes::from_static(b"b=2")).expect("it leads");
    assert_eq!(
        appends(&one.settle()),
        [(2, id(2, 1), vec![1], 2), (3, id(2, 1), vec![1], 2)],
        "both are told of the commit"
    );
}

/// §5.3: appends go on until every follower holds all entries, also after the client was answered.
#[test]
fn lost_appends_are_sent_again_until_all_hold_them() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.block(1, 3);
    stage.propose(1, "a=1").expect("m1 leads");
    stage.run(3);
    assert_eq!((stage.applied(1).len(), stage.applied(3).len()), (1, 0));
    stage.heal();
    stage.run(3);
    assert_eq!(stage.applied(3), ["a=1"]);
}

/// §5.3: Leader Append-Only: a leader takes no append in its own term, and keeps its entries.
#[test]
fn leader_never_overwrites_its_own_log() {
    let mut one = One::leading(2, &[1, 1]);
    one.hear(3, 2, append(id(1, 1), &[2, 2, 2], 3));
    assert_eq!((one.log(), one.committed()), (vec![1, 1, 2], 0));
    assert_eq!(one.dropped, [raft::DropReason::SecondLeader]);
}

/// §5.3, Figure 7: whatever entries followers lack or have too much, the leader's log prevails.
#[test]
fn leader_makes_all_logs_of_figure_7_equal_to_its_own() {
    let mut stage = Stage::builder(7)
        .log(1, 7, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6])
        .log(2, 7, &[1, 1, 1, 4, 4, 5, 5, 6, 6])
        .log(3, 7, &[1, 1, 1, 4])
        .log(4, 7, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6])
        .log(5, 7, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7])
        .log(6, 7, &[1, 1, 1, 4, 4, 4, 4])
        .log(7, 7, &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3])
        .build();
    stage.elect(1);
    stage.run(3);
    for member in 2..=7 {
        assert_eq!(stage.log_ids(member), stage.log_ids(1), "m{member}");
    }
}

/// §5.5: a follower that was down gets what it missed when it is back.
#[test]
fn crashed_follower_catches_up_after_its_restart() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.crash(3);
    for command in ["a=1", "b=2", "c=3"] {
        stage.propose(1, command).expect("m1 leads");
        stage.run(1);
    }
    stage.restart(3);
    stage.run(3);
    assert_eq!(stage.applied(3), ["a=1", "b=2", "c=3"]);
}

/// §5.5: requests are idempotent: a repeated append changes nothing and is answered alike.
#[test]
fn repeated_append_is_answered_alike_and_changes_nothing() {
    let mut one = One::new(2, &[1]);
    let body = append(id(1, 1), &[2, 2], 2);
    assert_eq!(one.answer(2, 2, body.clone()), accepted(3));
    let (log, writes, applied) = (one.log(), one.written.len(), one.applied.len());
    assert_eq!(one.answer(2, 2, body), accepted(3));
    assert_eq!((one.log(), one.written.len(), one.applied.len()), (log, writes, applied));
}

/// §5.5: a crash after the write and before the answer does no harm: the append comes again.
#[test]
fn append_is_repeated_to_a_follower_that_crashed_before_it_answered() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.propose(1, "a=1").expect("m1 leads");
    stage.deliver(to(2));
    stage.discard(any);
    stage.crash(2);
    stage.restart(2);
    stage.run(3);
    assert_eq!(stage.log_ids(2), stage.log_ids(1));
    assert_eq!(stage.applied(2), ["a=1"]);
}

/// §5.3: several appends may be under way to one follower, whose log is known to agree. They may
/// overtake each other: the follower refuses what does not follow, and is sent it again.
#[test]
fn appends_that_overtake_each_other_are_sorted_out() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    for command in ["a=1", "b=2", "c=3"] {
        stage.propose(1, command).expect("m1 leads");
    }
    assert_eq!(stage.in_flight().filter(|m| link(1, 2)(m)).count(), 3, "they are pipelined");
    stage.reverse();
    stage.stabilize();
    stage.run(2);
    assert_eq!(stage.applied(2), ["a=1", "b=2", "c=3"]);
}

/// §5.3: until the logs are known to agree, one append at a time is tried.
#[test]
fn one_append_at_a_time_is_under_way_while_logs_are_compared() {
    let mut one = One::leading(2, &[1]);
    assert_eq!(one.raft.status().members[0].progress, ProgressKind::Probe);
    for _ in 0..3 {
        one.raft.propose(Bytes::from_static(b"a=1")).expect("it leads");
        assert_eq!(appends(&one.settle()), []);
    }
    one.hear(2, 2, accepted(2));
    assert_eq!(one.raft.status().members[0].progress, ProgressKind::Replicate);
}

/// §5.6: as long as messages take less time than the timeout, nobody but the leader campaigns.
#[test]
fn nobody_campaigns_while_messages_take_less_than_the_timeout() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    for _ in 0..50 {
        stage.tick_all(8);
        stage.stabilize();
    }
    assert_eq!((stage.leader(), stage.term(1), stage.term(3)), (Some(1), 1, 1));
}

/// The limit on uncommitted bytes counts what this leader has appended: entries of earlier leaders,
/// committed along with its own, do not free room for more.
#[test]
fn inherited_entries_do_not_widen_the_limit_on_uncommitted_bytes() {
    let config = Config { uncommitted_bytes_max: 100, ..Config::new(MemberId(1), 1) };
    let log = vec![1; 50];
    let mut one = One::start(config, disk(&voters(3), 1, &log)).lead();
    one.raft.propose(Bytes::from(vec![0; 70])).expect("there is room for one");
    one.settle();
    assert_eq!(one.raft.propose("a=1".into()), Err(ProposeError::Busy));
    one.hear(2, 2, accepted(51));
    assert_eq!((one.committed(), one.last().index.0), (51, 52), "the first command still waits");
    assert_eq!(one.raft.propose(Bytes::from(vec![0; 70])), Err(ProposeError::Busy));
}
