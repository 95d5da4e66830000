//! Runs scripts: plain files of commands that move a [`Stage`] by hand, each with the output that
//! was recorded and read (the format is goldenscript's).
//!
//! | command | what it does |
//! | --- | --- |
//! | `cluster members=3 leader=1 …` | founds a cluster, and elects; other keys are settings |
//! | `join 4` | starts a member that was added, or will be |
//! | `tick 1 3`, `tick all 3`, `run 3` | ticks; `run` delivers everything after each |
//! | `elect 1` | lets the member campaign and win |
//! | `put 1 a=1 b=2 lease=7`, `fill 1 a 1000 3` | proposes; `fill` so long a value, thrice |
//! | `delete 1 a`, `compact 1 5`, `nothing 1` | proposes that |
//! | `grant 1 7 10`, `revoke 1 7` | proposes that a lease is granted for so long, or revoked |
//! | `read 1 a`, `renew 1 7`, `left 1 7` | asks; `left` asks how long a lease lives |
//! | `add-voter 1 4`, `add-learner`, `promote`, `remove` | changes members, asked at the first |
//! | `add 1 4` | the same: adds a learner that becomes a voter |
//! | `transfer 1 2`, `forget 1 3` | hands leadership over; lets client t3 go |
//! | `deliver`, `drop`, `stabilize` | that with messages under way; `1 2`, `1 any`, `any 2` pick |
//! | `hold 1 2`, `let-go` | takes messages under way aside, and puts them back |
//! | `block 1 2`, `isolate 1`, `heal` | breaks links and makes them whole |
//! | `unreachable 1 2`, `leader-gone 1`, `paused 1` | gives the member that event |
//! | `crash 1 none`, `close 1`, `restart 1` | ends a process and starts it; `none`, `all`, `any` |
//! | `hold-disk`, `release-disk`, `hold-jobs`, `release-jobs` | lets syncs, or jobs, wait |
//! | `capacity 1 100000` | how much fits on a disk; `capacity 1` for everything |
//! | `flip 1 checkpoint-… 100` | flips a bit of a byte of a file |
//! | `loud yes` | draws Raft's own messages, too |
//! | `keys`, `status`, `members`, `leases`, `files`, `in-flight`, `digests` | shows that |

use std::error::Error;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use disk::Survivors;
use goldenscript::{Command as Line, Context, Runner};
use raft::MemberId;
use raft::membership::Change;
use replica::{Event, Genesis, LeaseQuestionKind, Ticket};
use store::{Command, DeleteRange, MembershipContext, Put};

use crate::args::Args;
use crate::draw;
use crate::stage::{CLUSTER_ID, DIR, Flying, Settings, Stage, attributes};

/// Runs the script at `path` and compares what it prints with what was recorded. If the environment
/// variable `UPDATE_GOLDENFILES` is 1, it is recorded anew instead.
pub(crate) fn run(path: &Path) -> Result<()> {
    let name = path.display();
    let recorded = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let mut theatre = Theatre::default();
    let printed = goldenscript::generate(&mut theatre, &recorded);
    let printed = printed.with_context(|| format!("cannot run {name}"))?;
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

/// Where one script is played.
#[derive(Default)]
struct Theatre {
    stage: Option<Stage>,
}

impl Runner for Theatre {
    type Command = Line;

    fn run(&mut self, line: &Line, _: &Context) -> Result<String, Box<dyn Error>> {
        let mut args = Args::new(line);
        let output = self.command(&line.name, &mut args)?;
        args.finish()?;
        Ok(output)
    }
}

impl Theatre {
    fn command(&mut self, name: &str, args: &mut Args) -> Result<String> {
        if name == "cluster" {
            self.stage = Some(cluster(args)?);
            return Ok(String::new());
        }
        let stage = self.stage.as_mut().ok_or_else(|| anyhow!("there is no cluster yet"))?;
        if let Some(output) = look(stage, name, args)? {
            return Ok(output);
        }
        let done = ask(stage, name, args)?
            || change(stage, name, args)?
            || drive(stage, name, args)?
            || network(stage, name, args)?
            || break_things(stage, name, args)?;
        if !done {
            bail!("there is no command {name}");
        }
        Ok(stage.take_lines().join("\n"))
    }
}

fn cluster(args: &mut Args) -> Result<Stage> {
    let mut settings = Settings::default();
    if let Some(ticks) = args.key("election-ticks")? {
        settings.election_ticks = ticks;
    }
    if let Some(entries) = args.key("catch-up-entries")? {
        settings.catch_up_entries = entries;
    }
    if let Some(bytes) = args.key("checkpoint-bytes")? {
        settings.checkpoint_log_bytes_min = bytes;
    }
    if let Some(ticks) = args.key("request-ticks")? {
        settings.request_ticks_max = ticks;
    }
    settings.quota_bytes = args.key("quota-bytes")?;
    if let Some(bytes) = args.key("uncommitted-bytes")? {
        settings.uncommitted_bytes_max = bytes;
    }
    let mut stage = Stage::new(settings);
    stage.found(args.key("members")?.context("a cluster has members")?);
    if let Some(leader) = args.key("leader")? {
        stage.elect(leader);
        // One heartbeat tells everybody what is committed.
        stage.tick(leader);
        stage.stabilize();
    }
    stage.take_lines();
    Ok(stage)
}

/// Commands that ask a member something, as clients do.
fn ask(stage: &mut Stage, name: &str, args: &mut Args) -> Result<bool> {
    match name {
        "put" => {
            let member = args.member()?;
            let lease = args.key("lease")?.unwrap_or(0);
            for (key, value) in args.pairs() {
                stage.propose(member, put(&key, &value, lease));
            }
        }
        "fill" => {
            let (member, key) = (args.member()?, args.need::<String>("a key")?);
            let value = "x".repeat(args.need("a size")?);
            for _ in 0..args.maybe()?.unwrap_or(1) {
                stage.propose(member, put(&key, &value, 0));
            }
        }
        "delete" => {
            let (member, key) = (args.member()?, args.need::<String>("a key")?);
            let delete = DeleteRange { key: key.into(), ..DeleteRange::default() };
            stage.propose(member, Command::DeleteRange(delete));
        }
        "compact" => {
            let (member, revision) = (args.member()?, args.need("a revision")?);
            stage.propose(member, Command::Compact { revision });
        }
        "nothing" => {
            stage.propose(args.member()?, Command::Nothing);
        }
        "grant" => {
            let (member, id, ttl) = (args.member()?, args.need("a lease")?, args.need("a time")?);
            stage.propose(member, Command::LeaseGrant { id, ttl });
        }
        "revoke" => {
            let (member, id) = (args.member()?, args.need("a lease")?);
            stage.propose(member, Command::LeaseRevoke { id });
        }
        "read" => {
            let (member, key) = (args.member()?, args.need::<String>("a key")?);
            stage.read(member, &key);
        }
        "renew" | "left" => {
            let (member, id) = (args.member()?, args.need("a lease")?);
            let kind = match name {
                "renew" => LeaseQuestionKind::Renew,
                _ => LeaseQuestionKind::Tell,
            };
            stage.ask(member, |ticket| match kind {
                LeaseQuestionKind::Renew => Event::LeaseRenew { ticket, id },
                LeaseQuestionKind::Tell => Event::LeaseTimeToLive { ticket, id },
            });
        }
        "forget" => {
            let (member, ticket) = (args.member()?, args.need("a client")?);
            stage.feed(member, Event::Forget(Ticket(ticket)));
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn put(key: &str, value: &str, lease: i64) -> Command {
    let (key, value) = (key.to_owned().into(), value.to_owned().into());
    Command::Put(Put { key, value, lease, ..Put::default() })
}

/// Commands that change the members, or the leader.
fn change(stage: &mut Stage, name: &str, args: &mut Args) -> Result<bool> {
    let asked = match name {
        "add" | "add-voter" | "add-learner" | "promote" | "remove" => args.member()?,
        "transfer" => {
            let member = args.member()?;
            let to = args.maybe()?.map(MemberId);
            stage.ask(member, |ticket| Event::Transfer { ticket, to });
            return Ok(true);
        }
        _ => return Ok(false),
    };
    let member: u64 = args.member()?;
    let id = MemberId(member);
    let mut attributes = attributes(member);
    attributes.becomes_voter = name == "add";
    let added = MembershipContext::Added { member, attributes };
    let (change, context) = match name {
        "add-voter" => (Change::AddVoter(id), added),
        "add" | "add-learner" => (Change::AddLearner(id), added),
        "promote" => (Change::Promote(id), MembershipContext::Promoted { member }),
        _ => (Change::Remove(id), MembershipContext::Removed { member }),
    };
    let changes = vec![change];
    stage.ask(asked, |ticket| Event::ChangeMembership { ticket, changes, context });
    Ok(true)
}

/// Commands that let time pass, or give a member an event.
fn drive(stage: &mut Stage, name: &str, args: &mut Args) -> Result<bool> {
    match name {
        "tick" => {
            let member = args.need::<String>("a member")?;
            let ticks = args.maybe()?.unwrap_or(1);
            if member == "all" {
                stage.tick_all(ticks);
            } else {
                let member = member.parse()?;
                (0..ticks).for_each(|_| stage.tick(member));
            }
        }
        "run" => stage.run(args.maybe()?.unwrap_or(1)),
        "elect" => stage.elect(args.member()?),
        "unreachable" => {
            let (member, other) = (args.member()?, args.member()?);
            stage.feed(member, Event::Unreachable(MemberId(other)));
        }
        "leader-gone" => stage.feed(args.member()?, Event::LeaderGone),
        "paused" => stage.feed(args.member()?, Event::Paused),
        "join" => stage.create(args.member()?, Genesis::Joining { cluster_id: CLUSTER_ID }),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Commands about messages under way.
fn network(stage: &mut Stage, name: &str, args: &mut Args) -> Result<bool> {
    match name {
        "deliver" => {
            let pick = pick(args)?;
            stage.deliver(pick);
        }
        "drop" => {
            let pick = pick(args)?;
            stage.discard(pick);
        }
        "hold" => {
            let pick = pick(args)?;
            stage.hold(pick);
        }
        "let-go" => stage.let_go(),
        "stabilize" => stage.stabilize(),
        "block" => stage.block(args.member()?, args.member()?),
        "isolate" => stage.isolate(args.member()?),
        "heal" => stage.heal(),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Which messages are meant: from whom, and to whom.
fn pick(args: &mut Args) -> Result<impl Fn(&Flying) -> bool + use<>> {
    let mut end = || match args.next().as_deref() {
        None | Some("any") => Ok(None),
        Some(member) => member.parse::<u64>().map(Some),
    };
    let (from, to) = (end()?, end()?);
    Ok(move |flying: &Flying| {
        from.is_none_or(|from| from == flying.from) && to.is_none_or(|to| to == flying.to)
    })
}

/// Commands about processes and disks.
fn break_things(stage: &mut Stage, name: &str, args: &mut Args) -> Result<bool> {
    let member = args.member()?;
    match name {
        "crash" => {
            let survivors = match args.next().as_deref() {
                Some("all") => Survivors::All,
                Some("any") => Survivors::Any,
                None | Some(_) => Survivors::None,
            };
            stage.crash(member, survivors);
        }
        "close" => stage.close(member),
        "restart" => stage.restart(member),
        "hold-disk" => stage.hold_disk(member),
        "release-disk" => stage.release_disk(member),
        "hold-jobs" => stage.hold_jobs(member),
        "release-jobs" => stage.release_jobs(member),
        "capacity" => stage.disk(member).set_capacity(args.maybe()?),
        "flip" => {
            let path = Path::new(DIR).join(args.need::<String>("a file")?);
            let byte: usize = args.need("a byte")?;
            let disk = stage.disk(member);
            let mut contents = disk.contents(&path).context("there is no such file")?;
            contents[byte] ^= 1;
            disk.put(&path, &contents);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Commands that only show something.
fn look(stage: &mut Stage, name: &str, args: &mut Args) -> Result<Option<String>> {
    let mut lines = Vec::new();
    match name {
        "keys" => {
            for member in args.members(stage.up())? {
                lines.push(format!("m{member} {}", stage.contents(member).join(" ")));
            }
        }
        "status" => {
            for member in args.members(stage.up())? {
                lines.push(status(stage, member));
            }
        }
        "members" => {
            for member in args.members(stage.up())? {
                let published = stage.published(member);
                let urls = published.members.iter().map(|(id, known)| {
                    let becomes = if known.becomes_voter { " becomes a voter" } else { "" };
                    format!("{id:x} at {}{becomes}", known.peer_urls.join(","))
                });
                let urls: Vec<String> = urls.collect();
                let removed: Vec<u64> = published.removed.iter().copied().collect();
                let membership = &published.membership;
                lines.push(format!("m{member} {membership} {urls:?} removed={removed:?}"));
            }
        }
        "leases" => {
            for member in args.members(stage.up())? {
                lines.push(format!("m{member} {:?}", stage.replica(member).leases()));
            }
        }
        "files" => {
            let paths = stage.disk(args.member()?).paths();
            let own = paths.iter().filter(|path| path.parent() == Some(Path::new(DIR)));
            let names = own.filter_map(|path| path.file_name());
            lines.extend(names.map(|name| name.to_string_lossy().into_owned()));
        }
        "digests" => {
            let up = stage.up();
            let digests = up.iter().map(|member| stage.replica(*member).digest());
            let digests: Vec<_> = digests.collect();
            let is_equal = digests.windows(2).all(|pair| pair[0] == pair[1]);
            lines.push(if is_equal { "equal" } else { "different" }.to_owned());
        }
        "in-flight" => {
            for Flying { from, to, message } in stage.in_flight() {
                lines.push(format!("m{from} → m{to} {}", draw::message(message)));
            }
        }
        "loud" => stage.is_loud = args.next().as_deref() == Some("yes"),
        _ => return Ok(None),
    }
    Ok(Some(lines.join("\n")))
}

fn status(stage: &Stage, member: u64) -> String {
    let (status, published) = (stage.status(member), stage.published(member));
    let core = &status.core;
    let mut line = format!(
        "m{member} {} applied={} committed={} log={}..{} checkpoint={} revision={}",
        draw::role(&published),
        status.applied,
        core.committed,
        core.base,
        core.last,
        status.checkpoint,
        published.view.revision().0
    );
    if status.disk_full {
        line.push_str(" disk-full");
    }
    if status.checkpoint_under_way {
        line.push_str(" writes-checkpoint");
    }
    if 0 < status.proposals_len {
        line.push_str(&format!(" waiting={}", status.proposals_len));
    }
    if !published.alarms.is_empty() {
        line.push_str(&format!(" alarms={:?}", published.alarms));
    }
    line
}
