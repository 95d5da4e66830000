//! The log against a model, under random operations.

use super::*;
use crate::timer::Random;
use crate::types::MembershipChange;

mod model;

use model::{Bench, place};

/// Checks everything that the log tells about itself against the model.
fn check(bench: &Bench, random: &mut Random) {
    let Bench { log, full, .. } = bench;
    assert_eq!(log.base(), bench.id(bench.base), "the base");
    assert_eq!(log.trimmed(), bench.id(bench.trimmed), "where the stored log begins");
    assert_eq!(log.last(), bench.id(bench.last()), "the end");
    assert_eq!(log.committed().0, bench.committed, "the commit index");
    assert_eq!(log.applied().0, bench.applied, "what is applied");
    assert_eq!(log.image().0, bench.image, "the image");
    assert!(log.iter().eq(&full[place(bench.base)..]), "the entries");
    for index in 0..bench.last() + 3 {
        let term = (index >= bench.base && index <= bench.last()).then(|| bench.id(index).term);
        assert_eq!(log.term_at(Index(index)), term, "the term at {index}");
        let id = EntryId::new(Index(index), term.unwrap_or(Term(1)));
        assert_eq!(log.holds(id), term.is_some(), "whether {id} is here");
        let other = EntryId { term: id.term.next(), ..id };
        assert!(!log.holds(other), "{other} is not here");
    }
    check_configurations(bench);
    check_copies(bench, random);
    check_disk(bench);
}

fn check_configurations(bench: &Bench) {
    let Bench { log, .. } = bench;
    assert_eq!(*log.membership(), bench.membership(bench.last()), "the configuration");
    assert_eq!(log.membership_index().0, bench.membership_index(), "from where it is in force");
    for id in (1..=4).map(MemberId) {
        let expected =
            (bench.committed..=bench.last()).any(|index| bench.membership(index).is_voter(id));
        assert_eq!(log.may_campaign(id), expected, "whether {id} may campaign");
    }
    for index in 0..bench.last() + 2 {
        let expected = (index <= bench.committed)
            .then(|| SnapshotMeta { id: bench.id(index), membership: bench.membership(index) });
        let meta = log.snapshot_meta(Index(index));
        if index >= bench.image.max(bench.base) || meta.is_some() {
            assert_eq!(meta, expected, "what an image at {index} must carry");
        }
    }
}

fn check_copies(bench: &Bench, random: &mut Random) {
    let Bench { log, full, .. } = bench;
    let mut below = |end: u64| u64::from(random.draw_below(u32::try_from(end).unwrap()));
    let from = below(bench.last() + 3);
    let (entries_max, bytes_max) = (place(below(5)), place(below(150)));
    let mut expected: Vec<Entry> = Vec::new();
    for entry in full.iter().filter(|entry| entry.index.0 >= from && from > bench.base) {
        let bytes: usize = expected.iter().map(Entry::size).sum();
        let fits = expected.is_empty() || bytes + entry.size() <= bytes_max;
        if expected.len() == entries_max || !fits {
            break;
        }
        expected.push(entry.clone());
    }
    assert_eq!(log.slice(Index(from), entries_max, bytes_max), expected, "a copy from {from}");

    let after = bench.base + below(bench.last() - bench.base + 1);
    let through = after + below(bench.last() - after + 1);
    let between: usize = full[place(after)..place(through)].iter().map(Entry::size).sum();
    let counted = log.bytes_between(Index(after), Index(through));
    assert_eq!(counted, between, "the bytes after {after} and through {through}");

    let asked = EntryId::new(Index(below(bench.last() + 3)), Term(below(8)));
    let may_agree = |index: &u64| bench.id(*index).term <= asked.term;
    let latest = (bench.base..=bench.last().min(asked.index.0)).rev().find(may_agree);
    let expected = match latest {
        _ if asked.index.0 < bench.base => asked,
        Some(index) => bench.id(index),
        None => log.base(),
    };
    assert_eq!(log.agreement_hint(asked), expected, "where a log with {asked} may agree");
}

/// Checks that what counts as durable is on the disk, and stays there whatever of what is being
/// written gets there too.
fn check_disk(bench: &Bench) {
    let durable = bench.log.durable().0;
    let mut disk = bench.disk.clone();
    let mut later = bench.writing.iter();
    loop {
        for index in bench.trimmed + 1..=durable {
            let held = disk.holds(&bench.full[place(index - 1)]);
            assert!(held, "{index} counts as durable, and may be lost");
        }
        let Some(write) = later.next() else { break };
        disk.write(write);
    }
    if bench.is_all_acknowledged() {
        assert_eq!(durable, bench.last(), "everything is written and acknowledged");
        assert!(!bench.log.is_being_written(), "everything is written and acknowledged");
    }
}

#[test]
fn log_behaves_as_its_model() {
    let mut seen = [0; 12];
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let mut bench = Bench::new();
        let mut steps = 0;
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..120 {
                steps += 1;
                if let Some(kind) = bench.act(&mut random) {
                    seen[kind] += 1;
                }
                check(&bench, &mut random);
            }
        }));
        assert!(run.is_ok(), "seed {seed}, step {steps}: {}", bench.draw());
    }
    assert!(seen.iter().all(|count| *count > 200), "some operations hardly happened: {seen:?}");
}

/// A log of entries with these terms, all of them written and nothing committed.
fn log_of(terms: &[u64]) -> Log {
    let mut log = Log::restore(DurableState::bootstrap(Membership::of_voters([MemberId(1)])));
    for term in terms {
        log.append(Term(*term), Payload::Noop);
    }
    log.take_unwritten();
    log
}

fn id(index: u64, term: u64) -> EntryId {
    EntryId::new(Index(index), Term(term))
}

fn entry(index: u64, term: u64) -> Entry {
    Entry { index: Index(index), term: Term(term), payload: Payload::Noop }
}

#[test]
fn older_append_does_not_shorten_the_log() {
    let mut log = log_of(&[1, 1, 1]);
    assert_eq!(log.replicate(id(1, 1), vec![entry(2, 1)]), Ok(Index(2)));
    assert_eq!(log.last(), id(3, 1));
}

#[test]
fn only_a_conflict_truncates() {
    let mut log = log_of(&[1, 1, 1]);
    let matched = log.replicate(id(1, 1), vec![entry(2, 1), entry(3, 2), entry(4, 2)]);
    assert_eq!(matched, Ok(Index(4)));
    assert_eq!(
        log.iter().map(Entry::id).collect::<Vec<_>>(),
        [id(1, 1), id(2, 1), id(3, 2), id(4, 2)]
    );
}

#[test]
fn what_is_committed_is_never_truncated() {
    let mut log = log_of(&[1, 1, 1]);
    log.commit_to(Index(2));
    assert_eq!(log.replicate(id(1, 1), vec![entry(2, 2)]), Err(Mismatch::Committed));
    assert_eq!(log.replicate(id(2, 2), vec![]), Err(Mismatch::Committed));
    assert_eq!(log.replicate(id(3, 2), vec![]), Err(Mismatch::Conflict));
    assert_eq!(log.last(), id(3, 1), "nothing has changed");
}

#[test]
fn acknowledgement_of_what_was_overwritten_counts_for_nothing() {
    let mut log = log_of(&[1, 1, 1]);
    log.replicate(id(1, 1), vec![entry(2, 2)]).expect("the logs agree at 1");
    log.acknowledge(id(3, 1));
    assert_eq!(log.durable(), Index::ZERO);
    log.acknowledge(id(2, 2));
    assert_eq!(log.durable(), Index::ZERO, "it was not handed out to be written yet");
    log.take_unwritten();
    log.acknowledge(id(2, 2));
    assert_eq!(log.durable(), Index(2));
}

#[test]
fn configuration_leaves_with_a_truncated_log() {
    let mut log = log_of(&[1]);
    let membership = Membership::of_voters([1, 2].map(MemberId));
    let change = MembershipChange { membership: membership.clone(), context: bytes::Bytes::new() };
    log.append(Term(1), Payload::Membership(change));
    assert_eq!((log.membership(), log.membership_index()), (&membership, Index(2)));
    log.replicate(id(1, 1), vec![entry(2, 2)]).expect("the logs agree at 1");
    assert_eq!(log.membership(), &Membership::of_voters([MemberId(1)]));
    assert_eq!(log.membership_index(), Index::ZERO);
}

#[test]
fn whole_terms_are_skipped_when_logs_disagree() {
    let log = log_of(&[1, 1, 4, 4, 4, 6]);
    assert_eq!(log.agreement_hint(id(6, 5)), id(5, 4), "6@6 is too new");
    assert_eq!(log.agreement_hint(id(5, 3)), id(2, 1), "all of term 4 is too new");
    assert_eq!(log.agreement_hint(id(9, 7)), id(6, 6), "the log ends before");
    assert_eq!(log.agreement_hint(id(2, 0)), EntryId::ZERO, "all logs agree before the first");
}

#[test]
fn what_left_memory_stays_stored_until_an_image_covers_it() {
    let mut log = log_of(&[1, 1, 2, 3, 3]);
    log.acknowledge(id(5, 3));
    log.commit_to(Index(5));
    log.take_committed();
    log.evict(0, Index(u64::MAX));
    assert_eq!(log.base(), EntryId::ZERO, "nothing is applied");
    log.applied_to(Index(5));
    log.evict(0, Index(4));
    assert_eq!((log.trimmed(), log.base()), (EntryId::ZERO, id(4, 3)), "as far as the limit");
    assert_eq!(log.trim(Index(3)), None, "no image covers anything");
    log.image_at(Index(5));
    assert_eq!(log.trim(Index(3)), Some(id(3, 2)));
    assert_eq!((log.trimmed(), log.base()), (id(3, 2), id(4, 3)));
    assert_eq!(log.trim(Index(5)), Some(id(5, 3)));
    assert_eq!((log.trimmed(), log.base()), (id(5, 3), id(5, 3)));
}

#[test]
#[should_panic(expected = "commit index 2 lies beyond the last entry 1@1")]
fn nothing_beyond_the_log_is_committed() {
    log_of(&[1]).commit_to(Index(2));
}

#[test]
#[should_panic(expected = "the service has applied 1, and was only given 0")]
fn service_applies_only_what_it_was_given() {
    let mut log = log_of(&[1]);
    log.commit_to(Index(1));
    log.applied_to(Index(1));
}

#[test]
#[should_panic(expected = "the service has an image at 1, and has only applied 0")]
fn image_holds_only_what_is_applied() {
    let mut log = log_of(&[1]);
    log.commit_to(Index(1));
    log.take_committed();
    log.image_at(Index(1));
}

#[test]
#[should_panic(expected = "appending 2@1 after 1@2 goes back")]
fn terms_of_entries_never_decrease() {
    log_of(&[2]).append(Term(1), Payload::Noop);
}
