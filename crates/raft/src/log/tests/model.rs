//! A log that keeps everything and looks everything up anew, a disk that may crash, and a leader.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::log::{Log, Mismatch};
use crate::membership::Membership;
use crate::timer::Random;
use crate::types::{
    DurableState, Entry, EntryId, HardState, Index, MemberId, MembershipChange, Payload, Snapshot,
    SnapshotMeta, Term,
};

/// An index as a place in a list.
pub(super) fn place(index: u64) -> usize {
    usize::try_from(index).expect("a small number")
}

/// The log, and what it should be.
pub(super) struct Bench {
    pub(super) log: Log,
    /// All entries from the first on, trimmed or not.
    pub(super) full: Vec<Entry>,
    pub(super) base: u64,
    pub(super) trimmed: u64,
    pub(super) committed: u64,
    handed_out: u64,
    pub(super) applied: u64,
    pub(super) image: u64,
    /// At the last start or image from a leader: up to here, configurations came with it.
    floor: u64,
    unwritten: u64,
    unwritten_snapshot: Option<Snapshot>,
    pub(super) disk: Disk,
    /// What was handed out to be written, and is not on the disk.
    pub(super) writing: VecDeque<Write>,
    /// What is on the disk, and not acknowledged.
    written: VecDeque<(u64, EntryId)>,
    /// Counts leaders. Within the time of one leader the log is rewritten at most once.
    era: u64,
    /// The leader's log. Holds all that is committed.
    leader: Vec<Entry>,
}

/// What was handed out to be written.
#[derive(Clone, Debug)]
pub(super) struct Write {
    snapshot: Option<Snapshot>,
    entries: Vec<Entry>,
    commit: u64,
    era: u64,
    last: EntryId,
}

/// What survives a crash.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    image: SnapshotMeta,
    base: EntryId,
    entries: Vec<Entry>,
    commit: u64,
}

impl Disk {
    /// Takes a write.
    pub(super) fn write(&mut self, write: &Write) {
        if let Some(snapshot) = &write.snapshot {
            self.image = snapshot.meta.clone();
            self.base = snapshot.meta.id;
            self.entries.clear();
        }
        for entry in &write.entries {
            // Entries that the image covers already were never missed.
            if entry.index > self.base.index {
                self.entries.truncate(place(entry.index.0 - self.base.index.0 - 1));
                self.entries.push(entry.clone());
            }
        }
        self.commit = self.commit.max(write.commit);
    }

    /// Tells whether the entry, or an image that includes it, is here.
    pub(super) fn holds(&self, entry: &Entry) -> bool {
        entry.index <= self.image.id.index || self.entries.contains(entry)
    }
}

fn first_membership() -> Membership {
    Membership::of_voters([1, 2, 3].map(MemberId))
}

fn draw_payload(random: &mut Random) -> Payload {
    match random.draw_below(8) {
        0 => Payload::Noop,
        1 => {
            let voters = (1..=4).filter(|_| random.draw_below(2) == 0).chain([1]).map(MemberId);
            let membership = Membership::of_voters(voters);
            Payload::Membership(MembershipChange { membership, context: Bytes::new() })
        }
        _ => Payload::Command(Bytes::from(vec![0; place(random.draw_below(30).into())])),
    }
}

impl Bench {
    /// A log without entries.
    pub(super) fn new() -> Bench {
        let durable = DurableState::bootstrap(first_membership());
        let disk = Disk {
            image: durable.snapshot.clone(),
            base: durable.base,
            entries: Vec::new(),
            commit: 0,
        };
        Bench {
            log: Log::restore(durable),
            full: Vec::new(),
            base: 0,
            trimmed: 0,
            committed: 0,
            handed_out: 0,
            applied: 0,
            image: 0,
            floor: 0,
            unwritten: 1,
            unwritten_snapshot: None,
            disk,
            writing: VecDeque::new(),
            written: VecDeque::new(),
            era: 0,
            leader: Vec::new(),
        }
    }

    pub(super) fn draw(&self) -> String {
        let ids = |entries: &[Entry]| {
            entries.iter().map(|entry| entry.id().to_string()).collect::<Vec<_>>().join(" ")
        };
        format!(
            "[{}] base {} committed {} handed out {} applied {} image {}, leader [{}]",
            ids(&self.full),
            self.base,
            self.committed,
            self.handed_out,
            self.applied,
            self.image,
            ids(&self.leader),
        )
    }

    // === What the log should tell ===

    pub(super) fn last(&self) -> u64 {
        self.full.len() as u64
    }

    pub(super) fn id(&self, index: u64) -> EntryId {
        if index == 0 { EntryId::ZERO } else { self.full[place(index - 1)].id() }
    }

    /// The last configuration at or before `index`, and where it stands.
    fn configuration(&self, index: u64) -> (u64, Membership) {
        let entries = self.full[..place(index)].iter().rev();
        let change = |entry: &Entry| match &entry.payload {
            Payload::Membership(change) => Some((entry.index.0, change.membership.clone())),
            Payload::Noop | Payload::Command(_) => None,
        };
        entries.clone().find_map(change).unwrap_or((0, first_membership()))
    }

    pub(super) fn membership(&self, index: u64) -> Membership {
        self.configuration(index).1
    }

    pub(super) fn membership_index(&self) -> u64 {
        self.configuration(self.last()).0.max(self.floor)
    }

    pub(super) fn is_all_acknowledged(&self) -> bool {
        let is_idle = self.writing.is_empty() && self.written.is_empty();
        is_idle && self.unwritten > self.last() && self.unwritten_snapshot.is_none()
    }

    // === What happens ===

    /// Lets something happen, and tells what kind of thing; `None` if it could not.
    pub(super) fn act(&mut self, random: &mut Random) -> Option<usize> {
        let kind = place(random.draw_below(12).into());
        let done = match kind {
            0 => self.elect(random),
            1 => self.append(random),
            2 | 3 => self.replicate(random),
            4 => self.replicate_lies(random),
            5 => self.commit(random),
            6 => self.hand_out_writes(),
            7 => self.write_and_acknowledge(random),
            8 => self.apply(random),
            9 => self.make_image(random),
            10 => self.install(random),
            _ => random.draw_below(4) == 0 && self.restart(random),
        };
        done.then_some(kind)
    }

    fn draw_between(random: &mut Random, low: u64, high: u64) -> u64 {
        low + u64::from(random.draw_below(u32::try_from(high - low + 1).expect("small numbers")))
    }

    /// Another member leads, whose log may differ from ours in what is not committed.
    fn elect(&mut self, random: &mut Random) -> bool {
        let shared = Bench::draw_between(random, self.committed, self.last());
        self.leader = self.full[..place(shared)].to_vec();
        self.era += 1;
        // Other members may have taken entries of terms of which we have heard nothing.
        let others = random.draw_below(4);
        for _ in 0..=others {
            let last = self.leader.last().map_or(Term(1), |entry| entry.term);
            let term = Term(Bench::draw_between(random, last.0, self.era.max(last.0)));
            self.grow(term, random);
        }
        self.grow(Term(self.era.max(self.leader.last().map_or(1, |entry| entry.term.0))), random);
        true
    }

    fn grow(&mut self, term: Term, random: &mut Random) {
        let index = Index(self.leader.len() as u64 + 1);
        self.leader.push(Entry { index, term, payload: draw_payload(random) });
    }

    /// This member leads and appends.
    fn append(&mut self, random: &mut Random) -> bool {
        if self.leader.len() > self.full.len() || !self.full.starts_with(&self.leader) {
            self.leader = self.full.clone();
            self.era += 1;
        }
        let term = Term(self.era.max(self.id(self.last()).term.0).max(1));
        self.grow(term, random);
        let entry = self.leader.last().expect("it has just grown").clone();
        let id = self.log.append(term, entry.payload.clone());
        assert_eq!(id, entry.id(), "the name of what was appended");
        self.full.push(entry);
        true
    }

    /// Some of what the leader's log holds arrives.
    fn replicate(&mut self, random: &mut Random) -> bool {
        let leader = self.leader.clone();
        self.take_part_of(&leader, random)
    }

    /// The same, of a log that contradicts what is committed.
    fn replicate_lies(&mut self, random: &mut Random) -> bool {
        if self.committed == 0 {
            return false;
        }
        let mut lies = self.leader.clone();
        let first = Bench::draw_between(random, 1, self.committed);
        for entry in &mut lies[place(first - 1)..] {
            entry.term = entry.term.next();
        }
        self.take_part_of(&lies, random)
    }

    fn take_part_of(&mut self, sender: &[Entry], random: &mut Random) -> bool {
        let after = Bench::draw_between(random, 0, sender.len() as u64);
        let through = Bench::draw_between(random, after, (after + 4).min(sender.len() as u64));
        let entries = sender[place(after)..place(through)].to_vec();
        let prev = if after == 0 { EntryId::ZERO } else { sender[place(after - 1)].id() };
        let expected = self.replicate_by_definition(prev, &entries);
        assert_eq!(self.log.replicate(prev, entries), expected, "appending after {prev}");
        true
    }

    /// What follows from the rule that only a conflict truncates, and never what is committed.
    fn replicate_by_definition(
        &mut self,
        prev: EntryId,
        entries: &[Entry],
    ) -> Result<Index, Mismatch> {
        let held = |index: Index| (index.0 <= self.last()).then(|| self.id(index.0));
        if prev.index.0 >= self.base && held(prev.index) != Some(prev) {
            let is_committed = prev.index.0 <= self.committed;
            return Err(if is_committed { Mismatch::Committed } else { Mismatch::Conflict });
        }
        // What was trimmed is not looked at any more.
        let known = |entry: &&Entry| entry.index.0 >= self.base;
        let news = entries.iter().filter(known).position(|e| held(e.index) != Some(e.id()));
        if let Some(first) = news {
            let news: Vec<Entry> = entries.iter().filter(known).skip(first).cloned().collect();
            let kept = news[0].index.0 - 1;
            if kept < self.committed {
                return Err(Mismatch::Committed);
            }
            self.unwritten = self.unwritten.min(kept + 1);
            self.full.truncate(place(kept));
            self.full.extend(news);
        }
        Ok(Index(prev.index.0 + entries.len() as u64))
    }

    fn commit(&mut self, random: &mut Random) -> bool {
        // Only what the leader holds too can be committed.
        let agrees = |(ours, theirs): &(&Entry, &Entry)| ours == theirs;
        let common = self.full.iter().zip(&self.leader).take_while(agrees).count() as u64;
        let index = Bench::draw_between(random, 0, common.max(self.committed));
        self.log.commit_to(Index(index));
        self.committed = self.committed.max(index);
        true
    }

    fn hand_out_writes(&mut self) -> bool {
        let (snapshot, entries) = self.log.take_unwritten();
        assert_eq!(snapshot, self.unwritten_snapshot.take(), "the image to write");
        assert_eq!(entries, self.full[place(self.unwritten - 1)..], "the entries to write");
        self.unwritten = self.last() + 1;
        let (commit, era, last) = (self.committed, self.era, self.id(self.last()));
        self.writing.push_back(Write { snapshot, entries, commit, era, last });
        true
    }

    /// The disk takes some of what it was given, and acknowledges some of what it has taken.
    fn write_and_acknowledge(&mut self, random: &mut Random) -> bool {
        for _ in 0..Bench::draw_between(random, 0, self.writing.len() as u64) {
            let write = self.writing.pop_front().expect("no more than there are");
            self.disk.write(&write);
            self.written.push_back((write.era, write.last));
        }
        for _ in 0..Bench::draw_between(random, 0, self.written.len() as u64) {
            let (era, last) = self.written.pop_front().expect("no more than there are");
            // The core drops those of earlier terms, and has every term itself written.
            if era == self.era {
                self.log.acknowledge(last);
            } else if self.writing.is_empty() && self.written.is_empty() {
                self.hand_out_writes();
            }
        }
        true
    }

    fn apply(&mut self, random: &mut Random) -> bool {
        // Both are handed out together, so that nothing is applied that was not given to the disk.
        self.hand_out_writes();
        let entries = self.log.take_committed();
        let expected = &self.full[place(self.handed_out)..place(self.committed)];
        assert_eq!(entries, expected, "the entries to apply");
        self.handed_out = self.committed;
        let index = Bench::draw_between(random, 0, self.handed_out);
        self.log.applied_to(Index(index));
        self.applied = self.applied.max(index);
        self.evict(random);
        true
    }

    /// Some of what is applied and durable leaves memory.
    fn evict(&mut self, random: &mut Random) {
        let bytes_max = place(Bench::draw_between(random, 0, 400));
        let limit = Bench::draw_between(random, 0, self.last() + 1);
        let may_go = limit.min(self.applied).min(self.log.durable().0);
        let bytes_after =
            |base: u64| -> usize { self.full[place(base)..].iter().map(Entry::size).sum() };
        while self.base < may_go && bytes_max < bytes_after(self.base) {
            self.base += 1;
        }
        self.log.evict(bytes_max, Index(limit));
    }

    /// The service makes an image, and some of the log before it is dropped.
    fn make_image(&mut self, random: &mut Random) -> bool {
        if self.writing.iter().any(|write| write.snapshot.is_some())
            || self.unwritten_snapshot.is_some()
        {
            return false;
        }
        let index = Bench::draw_between(random, 0, self.applied);
        let through = Bench::draw_between(random, 0, self.last() + 1);
        self.log.image_at(Index(index));
        if index > self.image {
            self.image = index;
            let membership = self.membership(index);
            self.disk.image = SnapshotMeta { id: self.id(index), membership };
        }
        let base = through.min(self.image).min(self.log.durable().0);
        let expected = (base > self.trimmed).then(|| self.id(base));
        assert_eq!(self.log.trim(Index(through)), expected, "trimming through {through}");
        self.trimmed = self.trimmed.max(base);
        self.base = self.base.max(base);
        if self.writing.is_empty() {
            let is_trimmed = |entry: &&Entry| entry.index.0 <= self.trimmed;
            let trimmed = self.disk.entries.iter().filter(is_trimmed).count();
            if let Some(last) = self.disk.entries.drain(..trimmed).next_back() {
                self.disk.base = last.id();
            }
        }
        true
    }

    /// The leader sends an image of what it has committed, which is more than we have.
    fn install(&mut self, random: &mut Random) -> bool {
        if self.leader.len() as u64 <= self.committed {
            return false;
        }
        let index = Bench::draw_between(random, self.committed + 1, self.leader.len() as u64);
        let id = self.leader[place(index - 1)].id();
        if self.log.holds(id) {
            return false;
        }
        self.full = self.leader[..place(index)].to_vec();
        let meta = SnapshotMeta { id, membership: self.membership(index) };
        let snapshot = Snapshot { meta, data: Bytes::new() };
        self.log.install(snapshot.clone());
        self.unwritten_snapshot = Some(snapshot);
        self.unwritten = index + 1;
        for cursor in [
            &mut self.base,
            &mut self.trimmed,
            &mut self.committed,
            &mut self.handed_out,
            &mut self.applied,
            &mut self.image,
            &mut self.floor,
        ] {
            *cursor = index;
        }
        true
    }

    /// The member crashes, and finds again what is on its disk.
    fn restart(&mut self, random: &mut Random) -> bool {
        let Disk { image, base, entries, commit } = self.disk.clone();
        let image_index = image.id.index.0;
        let mut found = self.full_up_to(base);
        found.extend(entries.clone());
        let hard_state = HardState { commit: Index(commit), ..HardState::default() };
        self.log =
            Log::restore(DurableState { hard_state, snapshot: image.clone(), base, entries });
        let holds_image = found.get(place(image_index).wrapping_sub(1)).map(Entry::id);
        self.base = base.index.0;
        if image_index > 0 && holds_image != Some(image.id) {
            found = self.full_up_to(image.id);
            self.base = image_index;
            self.disk.base = image.id;
            self.disk.entries.clear();
        }
        self.full = found;
        self.trimmed = self.base;
        self.committed = image_index.max(commit);
        [self.handed_out, self.applied, self.image, self.floor] = [image_index; 4];
        self.unwritten = self.last() + 1;
        self.unwritten_snapshot = None;
        self.writing.clear();
        self.written.clear();
        self.elect(random)
    }

    /// All entries up to one that is committed.
    fn full_up_to(&self, id: EntryId) -> Vec<Entry> {
        let committed = self.full[..place(id.index.0)].to_vec();
        assert_eq!(committed.last().map_or(EntryId::ZERO, Entry::id), id, "committed differently");
        committed
    }
}
