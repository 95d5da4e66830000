//! Runs scripts: plain files of commands that move a [`Stage`] by hand, each with the output that
//! was recorded and read (the format is goldenscript's).
//!
//! ```text
//! # A leader that is cut off cannot commit.
//!
//! cluster voters=3 leader=1
//! isolate 1
//! propose 1 a=1
//! ---
//! m1 appends 2@1 a=1
//! m1@1 ⇥ m2 Append prev=1@1 [2@1] commit=1 round=1
//! m1@1 ⇥ m3 Append prev=1@1 [2@1] commit=1 round=1
//! ```
//!
//! # Commands
//!
//! | command | what it does |
//! | --- | --- |
//! | `given 1 term=3 vote=2 commit=1 log="1 1 3"` | before `cluster`: what the member's disk holds
//! | | `cluster voters=3 learners=1 leader=1 …` | starts the members, and elects; see below |
//! | `add 4` | starts a member that is in no configuration yet |
//! | `tick 1 3`, `tick all 3`, `run 3` | ticks; `run` delivers everything after each |
//! | `timeout 1` | ticks the member until it campaigns by itself |
//! | `campaign 1`, `forget-leader 1`, `paused 1`, `unreachable 1 2` | gives the member that input |
//! | `propose 1 a=1 b=2`, `propose 1 bytes=100` | proposes each command, or one of that size |
//! | `read 1 r1`, `transfer 1 2`, `snapshot 1` | asks the member for that |
//! | `change 1 add-learner=4 promote=4 …` | `add-voter`, `add-learner`, `promote`, `demote`,
//! `remove` | | `deliver`, `drop`, `duplicate`, `delay`, `hold` | does that to messages under way;
//! see below | | `stabilize` | delivers until no such message is under way |
//! | `let-go`, `reverse` | puts held messages under way again; turns the order around |
//! | `partition "1 2" "3 4 5"`, `isolate 1`, `block 1 2`, `heal` | breaks links and makes them
//! whole | | `crash 1`, `restart 1` | kills a process; starts it from what is durable |
//! | `hold-disk 1`, `release-disk 1 [writes]` | lets writes queue up; lets all, or some, be done |
//! | `hold-service 1`, `release-service 1` | lets committed entries wait for the service |
//! | `hold-images 1`, `release-images 1`, `fail-images 1` | the same for images that are asked for
//! | | `raw Append from=1 to=2 term=1 …` | puts a message under way that nobody has sent |
//! | `status`, `log`, `applied`, `progress`, `durable` | shows members: those named, or all |
//! | `in-flight` | shows the messages under way |
//!
//! The commands about messages mean all that are under way; `2` or `to=2` restricts them to those
//! to a member, `from=1` to those of a member, `Append` to those of a kind, `count=1` to the first
//! so many. `cluster` takes settings by their names, with hyphens: `election-ticks=20`;
//! `lease-drift=2` turns leader leases on and `unchecked=yes` the checks off.

mod args;
mod look;
mod raw;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use goldenscript::{Command, Context as Position, Runner};
use raft::membership::Change;
use raft::{Config, DurableState, Index, Input, MemberId, ReadConfirmation, Term};

use self::args::Args;
use crate::stage::Stage;
use crate::trace::Trace;

/// Runs the script at `path` and compares what it prints with what was recorded. If the environment
/// variable `UPDATE_GOLDENFILES` is 1, it is recorded anew instead.
///
/// # Errors
///
/// If the script cannot be read or run, a check fails on the way, or the output differs.
pub fn run(path: &Path) -> Result<()> {
    let name = path.display();
    let recorded = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let printed = play(&recorded).with_context(|| format!("cannot run {name}"))?.0;
    if printed == recorded {
        return Ok(());
    }
    if std::env::var("UPDATE_GOLDENFILES").is_ok_and(|value| value == "1") {
        return std::fs::write(path, printed).with_context(|| format!("cannot write {name}"));
    }
    let (mut old, mut new) = (recorded.lines(), printed.lines());
    for line in 1.. {
        let (old, new) = (old.next(), new.next());
        if old != new || old.is_none() {
            let [old, new] = [old, new].map(|line| line.unwrap_or("(the end)"));
            bail!("{name} prints something else from line {line} on:\n  was {old}\n  now {new}");
        }
    }
    unreachable!("the loop ends at the end of the longer text");
}

/// Runs the script at `path` and returns what happened, titled by the script's first line.
///
/// # Errors
///
/// If the script cannot be read or run, or a check fails on the way.
pub fn trace(path: &Path) -> Result<Trace> {
    let name = path.display();
    let script = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let mut trace = play(&script).with_context(|| format!("cannot run {name}"))?.1;
    let title = script.lines().next().unwrap_or_default();
    trace.title = title.trim_start_matches(['#', ' ']).to_owned();
    Ok(trace)
}

/// Runs a script, and returns it with its output and what happened. A panic is returned as an
/// error, so that one broken script does not hide the others.
fn play(script: &str) -> Result<(String, Trace)> {
    let mut theatre = Theatre::default();
    let run = AssertUnwindSafe(|| goldenscript::generate(&mut theatre, script));
    let printed = match catch_unwind(run) {
        Ok(printed) => printed?,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            bail!("it panics: {}", text.unwrap_or_default());
        }
    };
    let trace = theatre.stage.map(Stage::into_trace).unwrap_or_default();
    Ok((printed, trace))
}

/// Where one script is played.
#[derive(Default)]
struct Theatre {
    given: BTreeMap<u64, Given>,
    stage: Option<Stage>,
}

/// What a member's disk holds before the first start.
#[derive(Default)]
struct Given {
    term: u64,
    vote: Option<MemberId>,
    commit: u64,
    log: Vec<u64>,
}

impl Runner for Theatre {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Position) -> Result<String, Box<dyn Error>> {
        let mut args = Args::new(command);
        let output = self.command(&command.name, &mut args)?;
        args.finish()?;
        Ok(output)
    }
}

impl Theatre {
    fn command(&mut self, name: &str, args: &mut Args) -> Result<String> {
        match name {
            "given" => {
                self.given(args)?;
                return Ok(String::new());
            }
            "cluster" => {
                self.cluster(args)?;
                return Ok(String::new());
            }
            _ => {}
        }
        let stage = self.stage.as_mut().ok_or_else(|| anyhow!("there is no cluster yet"))?;
        if let Some(output) = look::look(stage, name, args)? {
            return Ok(output);
        }
        let done = drive(stage, name, args)?
            || request(stage, name, args)?
            || handle_messages(stage, name, args)?
            || break_things(stage, name, args)?;
        if !done {
            bail!("there is no command {name}");
        }
        Ok(stage.take_lines().join("\n"))
    }

    fn given(&mut self, args: &mut Args) -> Result<()> {
        let member = args.member()?;
        let given = Given {
            term: args.key_or("term", 0)?,
            vote: args.key("vote")?.map(MemberId),
            commit: args.key_or("commit", 0)?,
            log: args.numbers("log")?,
        };
        self.given.insert(member, given);
        Ok(())
    }

    fn cluster(&mut self, args: &mut Args) -> Result<()> {
        if self.stage.is_some() {
            bail!("a script has one cluster");
        }
        let settings = Settings::parse(args)?;
        let mut builder = Stage::builder(args.key_or("voters", 0)?)
            .learners(args.key_or("learners", 0)?)
            .configure(move |config| settings.apply(config));
        for (member, given) in std::mem::take(&mut self.given) {
            builder = builder.log(member, given.term, &given.log);
            let hard_state = |durable: &mut DurableState| {
                durable.hard_state.term = Term(given.term);
                durable.hard_state.vote = given.vote;
                durable.hard_state.commit = Index(given.commit);
            };
            builder = builder.adjust(member, hard_state);
        }
        if args.key::<String>("unchecked")?.is_some() {
            builder = builder.unchecked();
        }
        let mut stage = builder.build();
        if let Some(leader) = args.key("leader")? {
            stage.elect(leader);
        }
        stage.take_lines();
        self.stage = Some(stage);
        Ok(())
    }
}

/// The settings that a script gives, by their names.
struct Settings(Vec<(&'static str, u64)>);

impl Settings {
    const NAMES: [&str; 11] = [
        "election-ticks",
        "heartbeat-ticks",
        "append-entries-max",
        "append-bytes-max",
        "inflight-messages-max",
        "inflight-bytes-max",
        "uncommitted-bytes-max",
        "catch-up-entries",
        "catch-up-bytes",
        "snapshot-ticks",
        "lease-drift",
    ];

    fn parse(args: &mut Args) -> Result<Settings> {
        // A stage's images are small and its logs short, so the tail is too, unless asked for.
        let mut settings = vec![("catch-up-entries", 0)];
        for name in Settings::NAMES {
            if let Some(value) = args.key(name)? {
                settings.push((name, value));
            }
        }
        Ok(Settings(settings))
    }

    fn apply(&self, config: &mut Config) {
        let ticks = |value| u32::try_from(value).expect("scripts use small numbers");
        let size = |value| usize::try_from(value).expect("scripts use small numbers");
        for (name, value) in &self.0 {
            let value = *value;
            match *name {
                "election-ticks" => config.election_ticks = ticks(value),
                "heartbeat-ticks" => config.heartbeat_ticks = ticks(value),
                "append-entries-max" => config.append_entries_max = size(value),
                "append-bytes-max" => config.append_bytes_max = size(value),
                "inflight-messages-max" => config.inflight_messages_max = size(value),
                "inflight-bytes-max" => config.inflight_bytes_max = size(value),
                "uncommitted-bytes-max" => config.uncommitted_bytes_max = size(value),
                "catch-up-entries" => config.catch_up_entries = value,
                "catch-up-bytes" => config.catch_up_bytes = size(value),
                "snapshot-ticks" => config.snapshot_ticks = ticks(value),
                "lease-drift" => {
                    let drift_ticks = ticks(value);
                    config.read_confirmation = ReadConfirmation::LeaderLease { drift_ticks };
                }
                name => unreachable!("{name} is not in the list of names"),
            }
        }
    }
}

/// Commands that let time pass, or give a member an input.
fn drive(stage: &mut Stage, name: &str, args: &mut Args) -> Result<bool> {
    match name {
        "tick" if args.word("all") => stage.tick_all(args.number_or(1)?),
        "tick" => {
            let member = args.member()?;
            for _ in 0..args.number_or(1)? {
                stage.tick(member);
            }
        }
        "run" => stage.run(args.number_or(1)?),
        "timeout" => {
            let member = args.member()?;
            let ticks = stage.tick_until_campaign(member);
            stage.say(format!("(m{member} waited for {ticks} ticks)"));
        }
        "campaign" => stage.campaign(args.member()?),
        "forget-leader" => stage.input(args.member()?, Input::ForgetLeader),
        "paused" => stage.input(args.member()?, Input::Paused),
        "unreachable" => {
            let member = args.member()?;
            stage.input(member, Input::Unreachable(MemberId(args.member()?)));
        }
        "snapshot" => stage.snapshot(args.member()?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Commands that a member answers at once, perhaps with a refusal.
fn request(stage: &mut Stage, name: &str, args: &mut Args) -> Result<bool> {
    let refusal: Option<String> = match name {
        "propose" => {
            let member = args.member()?;
            let mut refusal = None;
            for command in args.commands()? {
                refusal = refusal.or(stage.propose(member, &command).err());
            }
            refusal.map(|error| error.to_string())
        }
        "read" => {
            let member = args.member()?;
            let read = args.read()?;
            stage.read(member, read).err().map(|error| error.to_string())
        }
        "transfer" => {
            let member = args.member()?;
            let to = args.optional_member()?;
            stage.transfer(member, to).err().map(|error| error.to_string())
        }
        "change" => {
            let member = args.member()?;
            let changes: Vec<Change> = args.changes()?;
            stage.change(member, &changes).err().map(|error| error.to_string())
        }
        _ => return Ok(false),
    };
    if let Some(refusal) = refusal {
        stage.say(format!("error: {refusal}"));
    }
    Ok(true)
}

/// Commands about messages under way.
fn handle_messages(stage: &mut Stage, name: &str, args: &mut Args) -> Result<bool> {
    match name {
        "let-go" => {
            stage.let_go();
        }
        "reverse" => stage.reverse(),
        "raw" => {
            let message = raw::message(args)?;
            stage.inject(message);
        }
        "deliver" | "drop" | "duplicate" | "delay" | "hold" | "stabilize" => {
            let pick = args.pick()?;
            let picked = match name {
                "deliver" => stage.deliver(pick),
                "drop" => stage.discard(pick),
                "duplicate" => stage.duplicate(pick),
                "delay" => stage.delay(pick),
                "hold" => stage.hold(pick),
                _ => {
                    stage.stabilize_only(pick);
                    return Ok(true);
                }
            };
            if picked == 0 {
                bail!("{name} finds no such message under way");
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Commands that break links, processes, disks and services, and make them whole.
fn break_things(stage: &mut Stage, name: &str, args: &mut Args) -> Result<bool> {
    match name {
        "add" => stage.add(args.member()?),
        "partition" => {
            let groups = args.groups()?;
            let groups: Vec<&[u64]> = groups.iter().map(Vec::as_slice).collect();
            stage.partition(&groups);
        }
        "isolate" => stage.isolate(args.member()?),
        "block" => {
            let from = args.member()?;
            stage.block(from, args.member()?);
        }
        "heal" => stage.heal(),
        "crash" => stage.crash(args.member()?),
        "restart" => stage.restart(args.member()?),
        "hold-disk" => stage.hold_disk(args.member()?),
        "release-disk" => {
            let member = args.member()?;
            match args.number()? {
                Some(writes) => stage.release_writes(member, writes),
                None => stage.release_disk(member),
            }
        }
        "hold-service" => stage.hold_service(args.member()?),
        "release-service" => stage.release_service(args.member()?),
        "hold-images" => stage.hold_images(args.member()?),
        "release-images" => stage.release_images(args.member()?),
        "fail-images" => stage.fail_images(args.member()?),
        _ => return Ok(false),
    }
    Ok(true)
}
