//! A replicated key-value service on the core, small enough to read in one go.
//!
//! Three members are threads, channels are their network. The service hands a client's command to
//! the core, and answers only when that command comes back out of the apply stream; it answers a
//! read once the core says from which index it may. On the way the leader is killed, and nothing
//! that was acknowledged is lost.
//!
//! Run it with `cargo run -p raft --example kv`. There is no disk: who is killed stays dead.
#![expect(
    clippy::disallowed_methods,
    reason = "an example is a driver: threads and clocks are its"
)]

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use raft::{
    Config, DurableState, Effects, EntryId, Index, Input, MemberId, Membership, Message, Payload,
    Raft, ReadId, ReadOutcome, Term,
};

const TICK: Duration = Duration::from_millis(10);

/// What reaches a member.
enum Event {
    Peer(Message),
    Put(String, String, Sender<Answer>),
    Get(String, Sender<Answer>),
    Kill,
}

/// What a client is told.
enum Answer {
    Written(EntryId),
    Value(Option<String>),
    AskElsewhere,
}

/// One member: the core, and the service around it.
struct Member {
    raft: Raft,
    peers: BTreeMap<MemberId, Sender<Event>>,
    data: BTreeMap<String, String>,
    applied: Index,
    /// Clients whose command may come back at an index, if it does so with this term.
    writers: BTreeMap<Index, (Term, Sender<Answer>)>,
    /// Clients that wait to read, by the number under which the core was asked.
    readers: BTreeMap<ReadId, (String, Sender<Answer>)>,
    reads_len: u64,
}

impl Member {
    fn run(mut self, inbox: &Receiver<Event>) {
        let mut next_tick = Instant::now() + TICK;
        loop {
            match inbox.recv_timeout(next_tick.saturating_duration_since(Instant::now())) {
                Ok(Event::Kill) => return,
                Ok(Event::Peer(message)) => self.raft.feed(Input::Message(message)),
                Ok(Event::Put(key, value, client)) => self.put(&key, &value, client),
                Ok(Event::Get(key, client)) => self.get(key, client),
                Err(_) => {
                    next_tick += TICK;
                    self.raft.feed(Input::Tick);
                }
            }
            let effects = self.raft.flush();
            self.execute(effects);
        }
    }

    /// Hands a command to the core, and remembers who waits for it.
    fn put(&mut self, key: &str, value: &str, client: Sender<Answer>) {
        match self.raft.propose(format!("{key}={value}").into()) {
            Ok(id) => drop(self.writers.insert(id.index, (id.term, client))),
            Err(_) => drop(client.send(Answer::AskElsewhere)),
        }
    }

    /// Asks the core from which index the key may be read.
    fn get(&mut self, key: String, client: Sender<Answer>) {
        self.reads_len += 1;
        let id = ReadId(self.reads_len);
        match self.raft.read(id) {
            Ok(()) => drop(self.readers.insert(id, (key, client))),
            Err(_) => drop(client.send(Answer::AskElsewhere)),
        }
    }

    /// Does what the core asks for, in the order in which it must be done.
    fn execute(&mut self, effects: Effects) {
        effects.send_now.into_iter().for_each(|message| self.send(message));
        // Here a real service writes `effects.persist` and waits for the disk.
        let durable = effects.persist.map(|persist| Input::Durable(persist.ack));
        effects.send_when_durable.into_iter().for_each(|message| self.send(message));
        for entry in effects.apply {
            self.applied = entry.index;
            if let Payload::Command(command) = entry.payload {
                let command = String::from_utf8_lossy(&command).into_owned();
                let (key, value) = command.split_once('=').expect("put() wrote it so");
                self.data.insert(key.to_owned(), value.to_owned());
            }
            // If another leader's entry stands there, the command was replaced: ask again.
            if let Some((term, client)) = self.writers.remove(&entry.index) {
                let id = EntryId::new(entry.index, entry.term);
                let written =
                    if term == entry.term { Answer::Written(id) } else { Answer::AskElsewhere };
                drop(client.send(written));
            }
        }
        for outcome in effects.reads {
            let (ReadOutcome::Ready { id, .. } | ReadOutcome::Failed { id, .. }) = outcome;
            let Some((key, client)) = self.readers.remove(&id) else { continue };
            drop(client.send(match outcome {
                ReadOutcome::Ready { index, .. } if index <= self.applied => {
                    Answer::Value(self.data.get(&key).cloned())
                }
                // A larger service would wait until it has applied the index.
                ReadOutcome::Ready { .. } | ReadOutcome::Failed { .. } => Answer::AskElsewhere,
            }));
        }
        self.raft.feed(Input::Applied(self.applied));
        if let Some(durable) = durable {
            let more = self.raft.step(durable);
            self.execute(more);
        }
    }

    fn send(&self, message: Message) {
        // A dead peer does not answer, and Raft expects nothing better of a network.
        drop(self.peers[&message.to].send(Event::Peer(message)));
    }
}

/// Asks one member after another until one has the answer. Putting the same value twice is
/// harmless, or the client would have to stop at the first silence.
fn ask(
    members: &BTreeMap<MemberId, Sender<Event>>,
    event: impl Fn(Sender<Answer>) -> Event,
) -> (MemberId, Answer) {
    loop {
        for (id, member) in members {
            let (answer, answered) = channel();
            drop(member.send(event(answer)));
            match answered.recv_timeout(20 * TICK) {
                Ok(Answer::AskElsewhere) | Err(_) => {}
                Ok(done) => return (*id, done),
            }
        }
    }
}

fn main() {
    let ids = [1, 2, 3].map(MemberId);
    let (members, inboxes): (BTreeMap<_, _>, Vec<_>) = ids
        .map(|id| (id, channel()))
        .into_iter()
        .map(|(id, (sender, receiver))| ((id, sender), (id, receiver)))
        .unzip();
    for (id, inbox) in inboxes {
        let first_start = DurableState::bootstrap(Membership::of_voters(ids));
        let raft =
            Raft::restore(Config::new(id, id.0), first_start).expect("an empty log is sound");
        let member = Member {
            raft,
            peers: members.clone(),
            data: BTreeMap::new(),
            applied: Index::ZERO,
            writers: BTreeMap::new(),
            readers: BTreeMap::new(),
            reads_len: 0,
        };
        thread::spawn(move || member.run(&inbox));
    }

    let put = |key: &'static str, value: &'static str| {
        let (leader, answer) = ask(&members, |client| Event::Put(key.into(), value.into(), client));
        if let Answer::Written(id) = answer {
            println!("{leader} leads, and wrote {key}={value} as entry {id}");
        }
        leader
    };
    let get = |key: &'static str| {
        let (member, answer) = ask(&members, |client| Event::Get(key.into(), client));
        if let Answer::Value(value) = answer {
            println!("{member} reads {key}={}", value.as_deref().unwrap_or("(nothing)"));
        }
    };
    put("fruit", "apple");
    let leader = put("drink", "tea");
    get("fruit");
    println!("killing {leader}");
    drop(members[&leader].send(Event::Kill));
    put("fruit", "pear");
    get("fruit");
    get("drink");
}
