//! Progress against a follower that is played here, over a link that loses, repeats and reorders.

use super::*;
use crate::timer::Random;

const WINDOW: Window = Window { messages_max: 3, bytes_max: 100 };
const SNAPSHOT_TICKS: u32 = 5;

/// What goes over the link.
#[derive(Clone, Copy, Debug)]
enum Said {
    /// To the follower: entries after `prev` up to `last`.
    Append { prev: Index, last: Index },
    /// To the follower: an image that ends here.
    Image(Index),
    /// From the follower.
    Accepted(Index),
    /// From the follower: it does not hold the entry at `prev`, and may agree at `agreement`.
    Rejected { prev: Index, agreement: Index },
}

/// A leader with one follower.
#[derive(Debug)]
struct Pair {
    progress: Progress,
    /// Where the leader's log begins and ends.
    base: Index,
    last: Index,
    /// Up to where the follower's log is equal to the leader's. Only grows: it accepts from no one
    /// else.
    agreed: Index,
    link: Vec<Said>,
}

impl Pair {
    fn draw(random: &mut Random) -> Pair {
        let last = Index(u64::from(random.draw_below(30)));
        let agreed = Index(u64::from(random.draw_below(30)).min(last.0));
        let base = Index(u64::from(random.draw_below(10)).min(last.0));
        Pair { progress: Progress::new(last), base, last, agreed, link: Vec::new() }
    }

    /// Sends all that may be sent, as a leader does.
    fn send(&mut self, random: &mut Random) {
        let is_behind = self.progress.next().previous() < self.base;
        if is_behind && self.progress.kind() == ProgressKind::Replicate {
            self.progress.become_probe();
        }
        while self.progress.may_send(WINDOW) {
            let prev = self.progress.next().previous();
            if prev < self.base {
                return self.progress.become_snapshot(self.base);
            }
            if prev == self.last {
                return;
            }
            let count = u64::from(1 + random.draw_below(4));
            let last = Index((prev.0 + count).min(self.last.0));
            let before = self.progress.kind();
            self.progress.on_sent(last, usize::try_from(10 * count).unwrap());
            self.link.push(Said::Append { prev, last });
            assert_eq!(self.progress.kind(), before, "to send is no reason to send otherwise");
            if before == ProgressKind::Probe {
                assert!(!self.progress.may_send(WINDOW), "a probe goes alone");
            }
        }
    }

    /// Sends an append without entries, as a leader does from time to time.
    fn heartbeat(&mut self) {
        let prev = match self.progress.kind() {
            ProgressKind::Probe | ProgressKind::Replicate => self.progress.next().previous(),
            ProgressKind::Snapshot => self.progress.snapshot_sent().unwrap_or_default(),
        };
        // All logs agree before their first entry.
        let prev = if prev < self.base { Index::ZERO } else { prev };
        self.link.push(Said::Append { prev, last: prev });
    }

    /// Lets something arrive.
    fn deliver(&mut self, said: Said, random: &mut Random) {
        let matched = self.progress.matched();
        match said {
            Said::Append { prev, last } if prev <= self.agreed => {
                self.agreed = self.agreed.max(last);
                self.link.push(Said::Accepted(last));
            }
            Said::Append { prev, .. } => {
                // The hint may be too low, if terms do not tell better, but never below what
                // agrees.
                let above = u32::try_from(prev.0 - self.agreed.0).unwrap();
                let agreement = Index(self.agreed.0 + u64::from(random.draw_below(above)));
                self.link.push(Said::Rejected { prev, agreement });
            }
            Said::Image(end) => {
                self.agreed = self.agreed.max(end);
                self.link.push(Said::Accepted(self.agreed));
            }
            Said::Accepted(index) => {
                let news = self.progress.on_accepted(index, self.base);
                assert_eq!(news, self.progress.matched() > matched, "news is what was not known");
                assert!(self.progress.matched() >= index, "what is acknowledged is matched");
                if self.progress.kind() == ProgressKind::Probe {
                    panic!("an accepted append ends the probing");
                }
            }
            Said::Rejected { prev, agreement } => {
                self.progress.on_rejected(prev, agreement);
                assert_eq!(self.progress.matched(), matched, "a rejection acknowledges nothing");
            }
        }
    }

    /// Something happens.
    fn act(&mut self, random: &mut Random) {
        match random.draw_below(16) {
            0 => self.last = self.last.next(),
            1 => self.base = Index((self.base.0 + 2).min(self.last.0)),
            2 => self.heartbeat(),
            3 if self.progress.kind() == ProgressKind::Replicate => self.progress.become_probe(),
            4 if self.progress.kind() == ProgressKind::Snapshot => {
                self.progress.on_snapshot_sent(self.base);
                assert_eq!(self.progress.snapshot_sent(), Some(self.base));
                self.link.push(Said::Image(self.base));
            }
            5 => self.progress.on_snapshot_failed(),
            6 => self.progress.tick(SNAPSHOT_TICKS),
            7 => self.send(random),
            _ if self.link.is_empty() => self.send(random),
            choice => {
                let place = random.draw_below(u32::try_from(self.link.len()).unwrap());
                let place = usize::try_from(place).unwrap();
                let said = self.link[place];
                // One in eight is lost, and one in eight comes again.
                if choice != 8 {
                    self.link.remove(place);
                }
                if choice != 9 {
                    self.deliver(said, random);
                }
            }
        }
        self.check();
    }

    fn check(&self) {
        let Progress { matched, next, state } = &self.progress;
        assert!(matched <= &self.agreed, "matched what is not agreed: {self:?}");
        assert!(matched < next, "next is matched already: {self:?}");
        if self.progress.kind() == ProgressKind::Probe {
            assert!(*next <= self.last.next(), "probes beyond the log: {self:?}");
        }
        if let State::Replicate { in_flight, bytes } = state {
            assert!(in_flight.len() <= WINDOW.messages_max, "too many under way: {self:?}");
            assert_eq!(*bytes, in_flight.iter().map(|sent| sent.1).sum::<usize>(), "{self:?}");
            let ends: Vec<Index> = in_flight.iter().map(|sent| sent.0).collect();
            assert!(ends.is_sorted(), "the oldest goes first: {self:?}");
            assert!(ends.first().is_none_or(|first| first > matched), "answered: {self:?}");
            assert!(ends.last().is_none_or(|last| last.next() == *next), "gap: {self:?}");
        }
    }
}

#[test]
fn progress_never_claims_more_than_the_follower_holds() {
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        let mut pair = Pair::draw(&mut random);
        let mut matched = pair.progress.matched();
        for _ in 0..200 {
            pair.act(&mut random);
            assert!(pair.progress.matched() >= matched, "seed {seed}: {matched} was matched");
            matched = pair.progress.matched();
            kinds.insert(pair.progress.kind());
        }
    }
    assert_eq!(kinds.len(), 3, "all ways to send were seen, and not only {kinds:?}");
}

/// Whatever happened before, heartbeats and a link that carries everything bring the follower up to
/// date.
#[test]
fn follower_catches_up_over_a_link_that_is_whole_again() {
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        let mut pair = Pair::draw(&mut random);
        for _ in 0..random.draw_below(100) {
            pair.act(&mut random);
        }
        pair.link.clear();
        let mut rounds = 0;
        while pair.progress.matched() < pair.last {
            rounds += 1;
            assert!(rounds < 100, "seed {seed}: no progress in {rounds} rounds: {pair:?}");
            pair.heartbeat();
            pair.progress.tick(SNAPSHOT_TICKS);
            if pair.progress.kind() == ProgressKind::Snapshot {
                pair.progress.on_snapshot_sent(pair.base);
                pair.link.push(Said::Image(pair.base));
            }
            pair.send(&mut random);
            while !pair.link.is_empty() {
                let said = pair.link.remove(0);
                pair.deliver(said, &mut random);
                pair.check();
            }
        }
    }
}

#[test]
fn new_leader_guesses_that_the_logs_are_equal() {
    let progress = Progress::new(Index(7));
    assert_eq!((progress.matched(), progress.next()), (Index::ZERO, Index(8)));
    assert_eq!(progress.kind(), ProgressKind::Probe);
    assert!(progress.may_send(WINDOW), "nothing is under way");
}

#[test]
fn window_of_messages_is_kept() {
    let mut progress = Progress::new(Index(1));
    progress.on_accepted(Index(1), Index::ZERO);
    for last in 2..=4 {
        assert!(progress.may_send(WINDOW), "{last} fits");
        progress.on_sent(Index(last), 1);
    }
    assert!(!progress.may_send(WINDOW), "three are under way");
    progress.on_accepted(Index(3), Index::ZERO);
    progress.on_sent(Index(5), 1);
    assert!(progress.may_send(WINDOW), "an answer is also one to all before it");
}

#[test]
fn window_of_bytes_is_kept() {
    let mut progress = Progress::new(Index(1));
    progress.on_accepted(Index(1), Index::ZERO);
    progress.on_sent(Index(2), 99);
    assert!(progress.may_send(WINDOW), "99 of 100 bytes are under way");
    progress.on_sent(Index(3), 1);
    assert!(!progress.may_send(WINDOW), "all 100 bytes are under way");
    progress.on_sent(Index(4), 5000);
    progress.on_accepted(Index(3), Index::ZERO);
    assert!(!progress.may_send(WINDOW), "the large one is still under way");
    progress.on_accepted(Index(4), Index::ZERO);
    assert!(progress.may_send(WINDOW), "nothing is under way");
}

#[test]
fn late_rejection_changes_nothing() {
    let mut progress = Progress::new(Index(9));
    progress.on_sent(Index(9).next(), 1);
    progress.on_rejected(Index(9), Index(5));
    assert_eq!(progress.next(), Index(6), "the logs may agree up to 5");
    let before = progress.clone();
    progress.on_rejected(Index(9), Index(2));
    assert_eq!(progress, before, "that probe was answered already");
    progress.on_sent(Index(9), 1);
    progress.on_accepted(Index(9), Index::ZERO);
    let before = progress.clone();
    for prev in [5, 9] {
        progress.on_rejected(Index(prev), Index(2));
        assert_eq!(progress, before, "what has matched since cannot be denied");
    }
}

#[test]
fn rejection_always_goes_back() {
    let mut progress = Progress::new(Index(9));
    progress.on_sent(Index(10), 1);
    progress.on_rejected(Index(9), Index(9));
    assert_eq!(progress.next(), Index(9), "the logs cannot agree at what was just denied");
    assert!(progress.may_send(WINDOW), "the next probe goes at once");
}

#[test]
fn image_that_is_not_acknowledged_is_asked_for_again() {
    let mut progress = Progress::new(Index(9));
    progress.become_snapshot(Index(5));
    assert_eq!(progress.trim_limit(), Some(Index(5)), "the image may end there");
    progress.on_snapshot_sent(Index(9));
    assert_eq!(progress.trim_limit(), Some(Index(9)), "the log must go on from the image");
    for _ in 1..SNAPSHOT_TICKS {
        progress.tick(SNAPSHOT_TICKS);
        assert_eq!(progress.snapshot_sent(), Some(Index(9)), "there is still time");
    }
    progress.tick(SNAPSHOT_TICKS);
    assert_eq!((progress.kind(), progress.trim_limit()), (ProgressKind::Probe, None));
}

#[test]
fn failed_image_waits_for_the_answer_to_a_heartbeat() {
    let mut progress = Progress::new(Index(9));
    progress.become_snapshot(Index(9));
    progress.on_snapshot_failed();
    assert!(!progress.may_send(WINDOW), "to try at once would be to spin");
    progress.on_accepted(Index::ZERO, Index(9));
    assert!(progress.may_send(WINDOW), "somebody is there to take it");
}

#[test]
fn image_that_ends_before_the_log_begins_is_not_enough() {
    let mut progress = Progress::new(Index(9));
    progress.become_snapshot(Index(9));
    progress.on_snapshot_sent(Index(9));
    assert!(progress.on_accepted(Index(9), Index(12)), "it is news all the same");
    assert_eq!(progress.kind(), ProgressKind::Snapshot);
    progress.on_accepted(Index(12), Index(12));
    assert_eq!((progress.kind(), progress.next()), (ProgressKind::Replicate, Index(13)));
}
