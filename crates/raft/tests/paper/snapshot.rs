//! Images instead of old log: §7 and Figure 13, without the rules about pieces: an image is one
//! message, and how its bytes travel is the driver's business.

use bytes::Bytes;
use raft::membership::Change;
use raft::{
    Body, Campaign, Config, Entry, EntryId, Index, Input, MemberId, Membership, MembershipChange,
    Payload, ProgressKind, RoleKind, Round, SnapshotRequest, Term,
};
use sim::stage::{Kind, Stage, any, kind, link};

use super::one::{
    One, accepted, append, disk, entries, granted, id, image, install, message, refused, rejected,
    stale_term, voters,
};

/// A stage of three whose logs keep nothing from before the latest image.
fn stage_without_tail() -> Stage {
    Stage::builder(3).configure(|config| config.catch_up_entries = 0).build()
}

/// The leader m1 has made an image at `a=1`, `b=2`, trimmed its log, and m3 has heard of nothing.
fn leader_with_an_image() -> Stage {
    let mut stage = stage_without_tail();
    stage.elect(1);
    stage.isolate(3);
    for command in ["a=1", "b=2"] {
        stage.propose(1, command).expect("m1 leads");
        stage.stabilize();
    }
    stage.snapshot(1);
    stage
}

/// §7: when an image is made, the log up to its last entry may go.
#[test]
fn log_before_an_image_is_dropped() {
    let stage = leader_with_an_image();
    assert_eq!(stage.status(1).base, id(3, 1));
    assert_eq!(stage.log(1), []);
    assert_eq!(stage.durable(1).base, id(3, 1));
}

/// §7: nothing that is not applied may go into an image.
#[test]
fn image_of_what_is_not_committed_cannot_be_described() {
    let mut one = One::new(1, &[]);
    one.hear(2, 1, append(EntryId::ZERO, &[1, 1, 1], 2));
    assert!(one.raft.snapshot_meta(Index(2)).is_some(), "what is committed can be");
    assert_eq!(one.raft.snapshot_meta(Index(3)), None);
}

/// §7: an image carries the configuration, so that a member which joined a cluster makes none from
/// before the first configuration that the log has told it.
#[test]
fn image_from_before_the_first_known_configuration_cannot_be_described() {
    let config = Config::new(MemberId(1), 1);
    let mut one = One::start(config, disk(&Membership::default(), 0, &[]));
    one.hear(2, 1, append(EntryId::ZERO, &[1, 1], 2));
    assert_eq!(one.raft.snapshot_meta(Index(2)), None);
    let change = MembershipChange { membership: voters(3), context: Bytes::new() };
    let joined = Entry { index: Index(3), term: Term(1), payload: Payload::Membership(change) };
    let (prev, commit, round) = (id(2, 1), Index(3), Round::ZERO);
    one.hear(2, 1, Body::AppendEntries { prev, entries: vec![joined], commit, round });
    let meta = one.raft.snapshot_meta(Index(3)).expect("it knows the cluster now");
    assert_eq!(meta.membership, voters(3));
    assert_eq!(one.raft.snapshot_meta(Index(2)), None);
}

/// §7: an image carries index and term of its last entry, and the configuration as of that entry.
#[test]
fn image_carries_its_last_entry_and_the_configuration_there() {
    let mut stage = stage_without_tail();
    stage.elect(1);
    stage.propose(1, "a=1").expect("m1 leads");
    stage.stabilize();
    stage.change(1, &[Change::Remove(MemberId(3))]).expect("one change");
    let before = stage.raft(1).snapshot_meta(Index(2)).expect("it is committed");
    assert_eq!((before.id, before.membership), (id(2, 1), voters(3)));
    stage.stabilize();
    let after = stage.raft(1).snapshot_meta(Index(3)).expect("it is committed");
    assert_eq!((after.id, after.membership), (id(3, 1), voters(2)));
}

/// §7: every member makes images by itself; a follower asks no leader.
#[test]
fn follower_makes_images_by_itself() {
    let mut stage = stage_without_tail();
    stage.elect(1);
    stage.propose(1, "a=1").expect("m1 leads");
    stage.stabilize();
    stage.snapshot(2);
    assert_eq!((stage.status(2).base, stage.status(1).base), (id(2, 1), EntryId::ZERO));
    assert_eq!(stage.in_flight().count(), 0);
}

/// §7: a leader sends an image when it has dropped the next entry that a follower needs.
#[test]
fn leader_sends_an_image_if_the_next_entry_is_gone() {
    let mut stage = leader_with_an_image();
    stage.heal();
    stage.run(2);
    let lines = stage.take_lines();
    assert!(lines.iter().any(|line| line.contains("InstallSnapshot 3@1")), "{lines:?}");
    assert_eq!(stage.applied(3), ["a=1", "b=2"]);
    assert_eq!(stage.status(3).base, id(3, 1));
}

/// §7: entries are sent rather than an image wherever they are still there.
#[test]
fn tail_before_an_image_spares_slow_followers_the_image() {
    let mut stage = Stage::builder(3).configure(|config| config.catch_up_entries = 2).build();
    stage.elect(1);
    stage.isolate(3);
    for command in ["a=1", "b=2"] {
        stage.propose(1, command).expect("m1 leads");
        stage.stabilize();
    }
    stage.snapshot(1);
    assert_eq!(stage.status(1).base, id(1, 1), "two entries stay");
    stage.heal();
    stage.run(2);
    assert_eq!(stage.status(3).base, EntryId::ZERO, "m3 was sent entries");
    assert_eq!(stage.applied(3), ["a=1", "b=2"]);
}

/// §7, and ours: entries that are applied and durable leave memory before an image covers them. The
/// disk has them still; a member that needs them gets an image of now.
#[test]
fn what_left_memory_stays_on_the_disk_and_reaches_others_as_an_image() {
    let mut stage = Stage::builder(3).configure(|config| config.catch_up_bytes = 0).build();
    stage.elect(1);
    stage.isolate(3);
    for command in ["a=1", "b=2"] {
        stage.propose(1, command).expect("m1 leads");
        stage.stabilize();
    }
    let status = stage.status(1);
    assert_eq!((status.base, status.evicted), (EntryId::ZERO, id(3, 1)));
    assert_eq!(stage.log(1), []);
    assert_eq!(stage.durable(1).entries.len(), 3, "a restart needs them");
    stage.heal();
    stage.run(2);
    assert_eq!(stage.applied(3), ["a=1", "b=2"]);
    assert_eq!(stage.status(3).base, id(3, 1), "m3 was sent an image");
    assert_eq!(stage.status(1).base, EntryId::ZERO, "m1 has not trimmed for it");
}

/// Figure 13, receiver 1: an image of a leader of the past is refused, with the newer term.
#[test]
fn image_of_a_past_term_is_refused() {
    let mut one = One::new(3, &[1]);
    assert_eq!(one.answer(2, 2, install(id(5, 1))), stale_term());
    assert_eq!(one.last(), id(1, 1));
}

/// Figure 13, receiver 2 to 5: the image is saved before it is acknowledged; it comes whole.
#[test]
fn image_is_saved_before_it_is_acknowledged() {
    let mut one = One::new(2, &[1]);
    let effects = one.raft.step(Input::Message(message(2, 2, install(id(5, 1)))));
    let persist = effects.persist.expect("the image is written");
    assert_eq!(persist.snapshot, Some(image(id(5, 1), &voters(3))));
    assert_eq!(effects.send_now, []);
    assert_eq!(effects.send_when_durable[0].body, accepted(5));
}

/// Figure 13, receiver 5: an image that ends before what is known to be committed is of no use.
#[test]
fn image_of_what_is_committed_here_changes_nothing() {
    let mut one = One::new(2, &[1, 1, 1]);
    one.hear(2, 2, append(id(3, 1), &[2], 3));
    for last in [id(1, 1), id(3, 1)] {
        assert_eq!(one.answer(2, 2, install(last)), accepted(3), "image at {last}");
    }
    assert_eq!((one.log(), one.committed()), (vec![1, 1, 1, 2], 3));
    assert!(one.written.iter().all(|persist| persist.snapshot.is_none()), "it is not written");
}

/// Figure 13, receiver 6: a log that holds the image's last entry keeps what follows it; the image
/// only tells that the entry is committed.
#[test]
fn log_that_holds_the_images_last_entry_is_kept() {
    let mut one = One::new(2, &[1, 1, 1, 2]);
    assert_eq!(one.answer(2, 2, install(id(3, 1))), accepted(3));
    assert_eq!((one.log(), one.committed()), (vec![1, 1, 1, 2], 3));
    assert_eq!(one.applied.len(), 3, "the service applies the entries itself");
}

/// Figure 13, receiver 7: otherwise the whole log is dropped, also what lies beyond the image.
#[test]
fn log_that_differs_from_the_image_is_dropped() {
    let mut one = One::new(5, &[1, 1, 2, 2, 2]);
    assert_eq!(one.answer(2, 5, install(id(4, 3))), accepted(4));
    assert_eq!((one.log(), one.last(), one.committed()), (vec![], id(4, 3), 4));
}

/// Figure 13, receiver 8: the image replaces the service's state and the configuration, and entries
/// are applied from there on.
#[test]
fn image_replaces_state_and_configuration() {
    let mut one = One::new(2, &[1]);
    let membership = Membership::of_voters([1, 2, 4, 5].map(MemberId));
    let body = Body::InstallSnapshot { snapshot: image(id(6, 2), &membership) };
    one.hear(2, 2, body);
    assert_eq!(one.raft.status().membership, membership);
    one.hear(2, 2, append(id(6, 2), &[2], 7));
    assert_eq!(one.applied, entries(6, &[2]));
}

/// §7: the last entry of the image stands for all before it when the next append is compared.
#[test]
fn append_right_after_an_image_is_compared_with_its_last_entry() {
    let mut one = One::new(3, &[]);
    one.hear(2, 3, install(id(4, 2)));
    assert_eq!(one.answer(2, 3, append(id(4, 2), &[3], 0)), accepted(5));
    assert_eq!(one.answer(2, 3, append(id(7, 3), &[3], 0)), rejected(7, id(5, 3)));
    one.hear(2, 3, append(id(4, 1), &[3], 0));
    assert_eq!(one.dropped, [raft::DropReason::ContradictsCommitted]);
}

/// §7: after a crash the member goes on from its image and the entries after it.
#[test]
fn restart_begins_with_the_image() {
    let mut stage = leader_with_an_image();
    stage.propose(1, "c=3").expect("m1 leads");
    stage.stabilize();
    stage.crash(1);
    stage.restart(1);
    assert_eq!((stage.status(1).base, stage.status(1).last), (id(3, 1), id(4, 1)));
    assert_eq!(stage.status(1).membership, voters(3), "the image holds the configuration");
    assert_eq!(stage.applied(1)[..2], ["a=1", "b=2"]);
}

/// §7: a crash between saving an image and dropping the log leaves both; the image prevails.
#[test]
fn restart_drops_a_log_that_the_image_has_replaced() {
    let mut disk = disk(&voters(3), 5, &[1, 1, 2, 2, 2]);
    disk.snapshot = image(id(4, 3), &voters(3)).meta;
    let one = One::start(Config::new(MemberId(1), 1), disk);
    assert_eq!((one.log(), one.last(), one.committed()), (vec![], id(4, 3), 4));
}

/// §7: a member that only has an image votes by its last entry.
#[test]
fn image_counts_when_logs_are_compared_for_a_vote() {
    let mut one = One::new(3, &[]);
    one.hear(2, 3, install(id(4, 2)));
    let ask = |last| Body::RequestVote { last, campaign: Campaign::Transfer };
    assert_eq!(one.answer(3, 4, ask(id(9, 1))), refused());
    assert_eq!(one.answer(3, 5, ask(id(4, 2))), granted());
}

/// §7: an image that is lost is sent again.
#[test]
fn lost_image_is_sent_again() {
    let configure = |config: &mut Config| {
        config.catch_up_entries = 0;
        config.snapshot_ticks = 5;
    };
    let mut stage = Stage::builder(3).configure(configure).build();
    stage.elect(1);
    stage.isolate(3);
    stage.propose(1, "a=1").expect("m1 leads");
    stage.stabilize();
    stage.snapshot(1);
    stage.heal();
    stage.tick(1);
    stage.stabilize_only(|m| !kind(Kind::InstallSnapshot)(m));
    assert_eq!(stage.discard(kind(Kind::InstallSnapshot)), 1);
    stage.run(12);
    assert_eq!(stage.applied(3), ["a=1"]);
}

/// §7: while an image is under way no entries are sent, and afterwards they follow it.
#[test]
fn entries_follow_the_image() {
    let mut stage = leader_with_an_image();
    stage.heal();
    stage.hold_images(1);
    stage.run(2);
    assert_eq!(stage.status(1).members[1].progress, ProgressKind::Snapshot);
    stage.propose(1, "c=3").expect("m1 leads");
    stage.run(2);
    assert_eq!(stage.applied(3), [""; 0]);
    stage.release_images(1);
    stage.stabilize();
    assert_eq!(stage.applied(3), ["a=1", "b=2", "c=3"]);
    assert_eq!(stage.status(1).members[1].progress, ProgressKind::Replicate);
}

/// §7: a late answer that shows how far a follower has come does not end the wait for its image, as
/// long as the entries after that are gone.
#[test]
fn late_acknowledgement_does_not_end_the_wait_for_an_image() {
    let config =
        Config { append_entries_max: 1, catch_up_entries: 0, ..Config::new(MemberId(1), 1) };
    let mut one = One::start(config, disk(&voters(3), 0, &[])).lead();
    for member in [2, 3] {
        one.hear(member, 1, accepted(1));
    }
    for _ in 0..3 {
        one.raft.propose("a=1".into()).expect("it leads");
        one.settle();
    }
    one.hear(3, 1, accepted(4));
    one.give(Input::Unreachable(MemberId(2)));
    one.give(Input::Snapshotted(Index(4)));
    one.tick(1);
    one.hear(2, 1, accepted(1));
    assert_eq!(one.requests, [SnapshotRequest { to: MemberId(2), at_least: Index(4) }]);
    one.hear(2, 1, accepted(2));
    let member = one.raft.status().members[0];
    assert_eq!((member.progress, member.matched), (ProgressKind::Snapshot, Index(2)));
    assert_eq!(one.requests.len(), 1, "the same image is waited for");
    one.hear(2, 1, accepted(4));
    assert_eq!(one.raft.status().members[0].progress, ProgressKind::Replicate);
}

/// §7: a leader keeps the log after an image that is under way, or the image would be of no use.
#[test]
fn log_after_an_image_under_way_is_kept() {
    let mut stage = leader_with_an_image();
    stage.heal();
    stage.tick(1);
    stage.stabilize_only(|m| !kind(Kind::InstallSnapshot)(m));
    stage.propose(1, "c=3").expect("m1 leads");
    stage.stabilize_only(|m| link(1, 2)(m) || link(2, 1)(m));
    assert_eq!(stage.committed(1), 4);
    stage.snapshot(1);
    assert_eq!(stage.status(1).base, id(3, 1));
    stage.stabilize();
    assert_eq!((stage.role(1), stage.applied(3)), (RoleKind::Leader, stage.applied(1)));
    assert!(!stage.log(3).is_empty(), "c=3 came as an entry");
    assert!(stage.log(3).iter().all(|e| e.payload == Payload::Command("c=3".into())), "alone");
    stage.discard(any);
}

/// §7: a follower that was cut off while a full window of appends was under way, and whose next
/// entry was trimmed meanwhile, is sent an image when it answers again, also if nobody reports the
/// broken connection.
#[test]
fn follower_with_a_full_window_is_sent_an_image_when_the_log_is_trimmed() {
    let mut stage = Stage::builder(3)
        .configure(|config| {
            config.catch_up_entries = 0;
            config.inflight_messages_max = 1;
            config.snapshot_ticks = 5;
        })
        .build();
    stage.elect(1);
    stage.isolate(3);
    for command in ["a=1", "b=2", "c=3"] {
        stage.propose(1, command).expect("m1 leads");
        stage.stabilize();
    }
    stage.snapshot(1);
    stage.heal();
    stage.run(20);
    assert_eq!(stage.applied(3), stage.applied(1));
}

/// §7: the log after an image that is being made is kept, or a service that makes images more
/// slowly than it trims would never have one that is of use.
#[test]
fn log_after_an_image_that_is_being_made_is_kept() {
    let mut stage = leader_with_an_image();
    stage.hold_images(1);
    stage.heal();
    stage.run(2);
    stage.propose(1, "c=3").expect("m1 leads");
    stage.stabilize();
    stage.snapshot(1);
    assert_eq!(stage.status(1).base, id(3, 1), "an image at 3 would do");
}

/// An image of no entry at all, or of entries without a term, cannot be.
#[test]
fn image_without_a_term_is_dropped() {
    let mut one = One::new(2, &[1]);
    one.hear(2, 2, install(id(5, 0)));
    assert_eq!(one.dropped.len(), 1);
}

/// §7: the log is trimmed no further than it is durable. Otherwise the stored log, in which another
/// entry may still stand where it is cut off, would go on from an entry that it never held.
#[test]
fn log_is_trimmed_only_as_far_as_it_is_durable() {
    let config = Config { catch_up_entries: 0, ..Config::new(MemberId(1), 1) };
    let mut one = One::start(config, disk(&voters(3), 4, &[1, 2, 4]));
    // The writes of all this are under way.
    for input in [
        Input::Message(message(2, 5, append(id(1, 1), &[3, 5], 3))),
        Input::Applied(Index(2)),
        Input::Snapshotted(Index(2)),
    ] {
        let effects = one.raft.step(input);
        assert_eq!(effects.trim.filter(|base| base.index > Index(1)), None, "3@4 would follow 2@3");
    }
}
