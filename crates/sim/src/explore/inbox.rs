//! Sets of messages.

/// A set of messages to one member, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Inbox {
    /// One bit for each message, up to the last one that is here.
    words: Box<[u64]>,
}

const BITS: u32 = u64::BITS;

impl Inbox {
    fn of(words: Vec<u64>) -> Inbox {
        let len = words.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
        Inbox { words: words[..len].into() }
    }

    /// The set and one more.
    pub(super) fn with(&self, message: u32) -> Inbox {
        let place = (message / BITS) as usize;
        let mut words = self.words.to_vec();
        words.resize(words.len().max(place + 1), 0);
        words[place] |= 1 << (message % BITS);
        Inbox::of(words)
    }

    /// The messages that `keep` holds for.
    pub(super) fn filter(&self, keep: impl Fn(u32) -> bool) -> Inbox {
        let mut words = self.words.to_vec();
        for message in self.messages().filter(|message| !keep(*message)) {
            words[(message / BITS) as usize] &= !(1 << (message % BITS));
        }
        Inbox::of(words)
    }

    /// All messages, by rising numbers.
    pub(super) fn messages(&self) -> impl Iterator<Item = u32> + use<> {
        let words = self.words.clone();
        (0..BITS * u32::try_from(words.len()).expect("a small set"))
            .filter(move |message| words[(message / BITS) as usize] >> (message % BITS) & 1 == 1)
    }

    /// Tells whether all of this set is in the other.
    pub(super) fn is_within(&self, other: &Inbox) -> bool {
        self.words.len() <= other.words.len()
            && self.words.iter().zip(&other.words).all(|(own, others)| own & !others == 0)
    }
}
