//! How all logs become equal, and how members learn what is committed.

use sim::stage::{Stage, from, link};

use super::{cluster, under_way};

/// Followers learn what is committed from the leader's next AppendEntries, with entries or without:
/// that carries the commit index. Holding an entry is not knowing that it is committed.
#[test]
fn the_commit_index_rides_on_append_entries() {
    let mut stage = cluster(3);
    stage.elect(1);
    stage.propose(1, "a=1").expect("m1 leads");
    stage.deliver(link(1, 2));
    stage.deliver(link(2, 1));
    assert_eq!(stage.applied(1), ["a=1"], "two of three hold the entry");
    assert!(stage.applied(2).is_empty(), "m2 holds the entry, and nobody told it more");
    assert_eq!(under_way(&stage, link(1, 2)), ["m1@1 → m2 Heartbeat prev=2@1 commit=2"]);

    stage.discard(from(1));
    stage.propose(1, "b=2").expect("m1 leads");
    assert_eq!(under_way(&stage, link(1, 2)), ["m1@1 → m2 Append prev=2@1 [3@1] commit=2"]);
    stage.deliver(link(1, 2));
    assert_eq!(stage.applied(2), ["a=1"], "m2 knows of the first entry, and only of that");
    assert_eq!(stage.log_ids(2), stage.log_ids(1), "m2 holds the second entry too");
}

/// A leader forces the logs of all followers to be equal to its own, whatever they lack and
/// whatever they have too much, and never changes its own. These are the six followers of the
/// paper's Figure 7, all in one cluster.
#[test]
fn all_logs_are_forced_equal_to_the_leaders() {
    const LEADER: &[u64] = &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    const FOLLOWERS: [(&str, u64, &[u64]); 6] = [
        ("(a) lacks one entry", 2, &[1, 1, 1, 4, 4, 5, 5, 6, 6]),
        ("(b) lacks many entries", 3, &[1, 1, 1, 4]),
        ("(c) has one too many", 4, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]),
        ("(d) has a term too many", 5, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]),
        ("(e) lacks some and has others", 6, &[1, 1, 1, 4, 4, 4, 4]),
        ("(f) has other terms", 7, &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]),
    ];
    let mut builder = Stage::builder(7).log(1, 7, LEADER);
    for (_, member, log) in FOLLOWERS {
        builder = builder.log(member, 7, log);
    }
    let mut stage = builder.build();
    for (case, member, _) in FOLLOWERS {
        assert_ne!(stage.log_terms(member), LEADER, "{case}");
    }

    stage.elect(1);
    let mut expected = LEADER.to_vec();
    expected.push(8);
    assert_eq!(stage.log_terms(1), expected, "the leader changed its own log");
    for (case, member, _) in FOLLOWERS {
        assert_eq!(stage.log(member), stage.log(1), "{case}: the logs differ");
        assert_eq!(stage.durable(member).entries, stage.log(1), "{case}: the disk differs");
        assert_eq!(stage.applied(member), stage.applied(1), "{case}: other commands were executed");
    }
    let surplus = ["11@6", "12@7", "6@4", "4@2", "11@3"];
    let executed = stage.applied(1);
    assert_eq!(executed.len(), LEADER.len(), "all commands of the leader's log are executed");
    assert!(surplus.iter().all(|id| !executed.iter().any(|done| done == id)), "{executed:?}");
}
