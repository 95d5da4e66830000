//! A machine that scripts move, and what it shows of it.
//!
//! # Commands
//!
//! | command | what it does |
//! | --- | --- |
//! | `put a 1 lease=7 previous keep-value keep-lease` | puts; without a value, an empty one |
//! | `delete a previous` | deletes; `a..c` is a range, `a..` all from `a` on |
//! | `get a at=3 limit=1 sort=mod order=desc keys-only count-only mod-min=2 …` | reads; bounds: |
//! | | `mod-min`, `mod-max`, `create-min`, `create-max` |
//! | `txn`, `if …`, `then …`, `else …`, `end` | a transaction: `if mod a is 3` compares one of |
//! | | `version`, `create`, `mod`, `value`, `lease` by `is`, `is-not`, `above` or `below`; |
//! | | `then` and `else` take `put`, `delete`, `get`, or `txn`, which lasts until its own `end` |
//! | `check-txn MAX … end` | the same, but it is only checked |
//! | `compact 5`, `compact-all` | compacts; takes away what can be taken away |
//! | `grant 7 60`, `revoke 7`, `expire 7 8`, `checkpoint 7=30` | leases |
//! | `raise 1 no-space`, `lower 0 none`, `space 1 quota=100` | alarms, and whether one is due |
//! | `add 1 URL…`, `promote 1`, `remove 1` | what comes with changes of the configuration; |
//! | | `add_voter 1 URL…` adds one that becomes a voter |
//! | `publish 1 NAME URL…`, `update 1 URL…`, `version V`, `downgrade [V]` | the cluster |
//! | `nothing` | does nothing |
//! | `reload` | goes on with a machine that was loaded from the image |
//! | `show` | everything that is not a key |

use std::error::Error;
use std::fmt::Write;
use std::num::NonZeroUsize;

use goldenscript::{Command as Line, Context, Runner};
use mvcc::{Progress, Version};
use store::{
    AlarmAction, AlarmKind, Applied, Command, DeletedRange, Machine, MemberAttributes,
    MembershipContext, OperationResponse, RangeAnswer, Rejection, Response, SpaceVerdict, Txn,
    TxnResponse, check_delete_range, check_put, check_txn, range, read_txn,
};

use crate::random::load;
use crate::words::{Branch, Words, alarm_kind, text};

type Said = Result<String, Box<dyn Error>>;

/// A machine, and a transaction that is being written.
pub(crate) struct Stage {
    machine: Machine,
    /// Open transactions, the outermost first, each with where it belongs in the one around it.
    open: Vec<(Txn, Branch)>,
    /// How many operations there may be, if the transaction is only to be checked.
    check: Option<usize>,
}

impl Runner for Stage {
    type Command = Line;

    fn run(&mut self, line: &Line, _: &Context) -> Said {
        let mut words = Words::new(line);
        let said = match self.open.is_empty() {
            true => self.line(&line.name, &mut words)?,
            false => self.line_of_txn(&line.name, &mut words)?,
        };
        words.finish()?;
        Ok(said)
    }
}

impl Stage {
    pub(crate) fn new() -> Stage {
        Stage { machine: Machine::new(), open: Vec::new(), check: None }
    }

    fn line(&mut self, name: &str, words: &mut Words<'_>) -> Said {
        let command = match name {
            "put" => {
                let put = words.put()?;
                match check_put(&put) {
                    Ok(()) => Command::Put(put),
                    Err(rejection) => return Ok(format!("not proposed: {rejection}")),
                }
            }
            "delete" => {
                let delete = words.delete_range()?;
                check_delete_range(&delete)?;
                Command::DeleteRange(delete)
            }
            "get" => return self.get(words),
            "txn" | "check-txn" => {
                self.check = if name == "txn" { None } else { Some(words.number()?) };
                self.open.push((Txn::default(), Branch::Success));
                return Ok(String::new());
            }
            "compact" => Command::Compact { revision: words.number()? },
            "grant" => Command::LeaseGrant { id: words.number()?, ttl: words.number()? },
            "revoke" => Command::LeaseRevoke { id: words.number()? },
            "expire" => Command::LeaseExpire { ids: words.numbers()? },
            "checkpoint" => Command::LeaseCheckpoint { remaining: words.pairs()? },
            "raise" => words.alarm(AlarmAction::Activate)?,
            "lower" => words.alarm(AlarmAction::Deactivate)?,
            "publish" => Command::Publish {
                member: words.number()?,
                name: words.next()?.to_owned(),
                client_urls: words.texts(),
            },
            "update" => Command::MemberUpdate { member: words.number()?, peer_urls: words.texts() },
            "version" => Command::ClusterVersion { version: words.next()?.to_owned() },
            "downgrade" => Command::Downgrade { target: words.next().ok().map(str::to_owned) },
            "nothing" => Command::Nothing,
            _ => return self.line_without_entry(name, words),
        };
        Ok(say_applied(&self.machine.apply(&command)))
    }

    /// Runs what is not a command of the log.
    fn line_without_entry(&mut self, name: &str, words: &mut Words<'_>) -> Said {
        match name {
            "add" | "add_voter" | "promote" | "remove" => {
                let member = words.number()?;
                let context = match name {
                    "add" | "add_voter" => MembershipContext::Added {
                        member,
                        attributes: MemberAttributes {
                            peer_urls: words.texts(),
                            becomes_voter: name == "add_voter",
                            ..MemberAttributes::default()
                        },
                    },
                    "promote" => MembershipContext::Promoted { member },
                    _ => MembershipContext::Removed { member },
                };
                if let Err(rejection) = self.machine.check_membership(&context) {
                    return Ok(format!("not proposed: {rejection}"));
                }
                self.machine.apply_membership(&context);
                Ok(String::new())
            }
            "space" => {
                let member = words.number()?;
                let quota = words.key("quota")?;
                let verdict = match self.machine.space_verdict(member, quota) {
                    SpaceVerdict::Fine => "fine",
                    SpaceVerdict::Raise => "raise the alarm",
                    SpaceVerdict::Lower => "lower the alarm",
                };
                Ok(format!("{} bytes live: {verdict}", self.machine.live_bytes()))
            }
            "compact-all" => {
                let before = self.machine.view_now().sizes().past_versions;
                let steps = NonZeroUsize::new(1_000).unwrap();
                while self.machine.compact_step(steps) == Progress::Unfinished {}
                let after = self.machine.view_now().sizes().past_versions;
                Ok(format!("{before} past versions, then {after}"))
            }
            "reload" => {
                let digest = self.machine.digest();
                self.machine = load(self.machine.image());
                assert_eq!(self.machine.digest(), digest);
                Ok(String::new())
            }
            "show" => Ok(self.show()),
            other => Err(format!("{other} is no command").into()),
        }
    }

    fn get(&self, words: &mut Words<'_>) -> Said {
        let view = self.machine.view_now();
        let revision = view.revision();
        Ok(match range(view, None, &words.range()?) {
            Ok(answer) => format!("r{revision} {}", say_range(&answer)),
            Err(rejection) => format!("r{revision} refused: {rejection}"),
        })
    }

    fn line_of_txn(&mut self, name: &str, words: &mut Words<'_>) -> Said {
        let depth = self.open.len();
        let (txn, _) = &mut self.open[depth - 1];
        match name {
            "if" => txn.compare.push(words.compare()?),
            "then" | "else" => {
                let branch = if name == "then" { Branch::Success } else { Branch::Failure };
                match words.operation()? {
                    Some(operation) => branch.of(txn).push(operation),
                    None => self.open.push((Txn::default(), branch)),
                }
            }
            "end" => {
                let (txn, branch) = self.open.pop().unwrap();
                match self.open.last_mut() {
                    Some((around, _)) => branch.of(around).push(store::Operation::Txn(txn)),
                    None => return Ok(self.end(txn)),
                }
            }
            other => return Err(format!("{other} is no line of a transaction").into()),
        }
        Ok(String::new())
    }

    fn end(&mut self, txn: Txn) -> String {
        if let Some(ops_max) = self.check {
            return match check_txn(&txn, ops_max) {
                Ok(()) => "proposed".to_owned(),
                Err(rejection) => format!("not proposed: {rejection}"),
            };
        }
        let view = self.machine.view();
        let read = txn.is_read_only().then(|| read_txn(&view, &txn).map(Response::Txn));
        let applied = self.machine.apply(&Command::Txn(txn));
        // What only reads says the same on a view, and says it in spite of alarms.
        let is_refused = applied.result == Err(Rejection::Corrupt);
        assert!(is_refused || read.is_none_or(|read| read == applied.result));
        say_applied(&applied)
    }

    fn show(&self) -> String {
        let machine = &self.machine;
        let view = machine.view_now();
        let mut said = format!("revision {}", view.revision());
        if let Some(compacted) = view.compacted() {
            write!(said, ", compacted {compacted}").unwrap();
        }
        for lease in machine.leases().iter() {
            write!(said, "\nlease {} of {} s", lease.id, lease.ttl).unwrap();
            if let Some(remaining) = lease.remaining {
                write!(said, ", {remaining} s left").unwrap();
            }
            let keys: Vec<String> = machine.lease_keys(lease.id).map(text).collect();
            write!(said, " [{}]", keys.join(" ")).unwrap();
        }
        for (member, attributes) in &**machine.members() {
            let MemberAttributes { name, peer_urls, client_urls, becomes_voter } = attributes;
            let (peers, clients) = (peer_urls.join(" "), client_urls.join(" "));
            write!(said, "\nmember {member} {name:?} peers [{peers}] clients [{clients}]").unwrap();
            if *becomes_voter {
                said.push_str(", becomes a voter");
            }
        }
        for member in &**machine.removed() {
            write!(said, "\nmember {member} was removed").unwrap();
        }
        for (member, kind) in &**machine.alarms() {
            write!(said, "\nalarm of {member}: {}", alarm_kind(*kind)).unwrap();
        }
        for (what, version) in
            [("version", machine.cluster_version()), ("downgrade to", machine.downgrade())]
        {
            if let Some(version) = version {
                write!(said, "\n{what} {version}").unwrap();
            }
        }
        said
    }
}

fn say_applied(applied: &Applied) -> String {
    let said = match &applied.result {
        Ok(Response::Put(before)) => say_put(before.as_ref()),
        Ok(Response::DeleteRange(deleted)) => say_deleted(deleted),
        Ok(Response::Txn(txn)) => say_txn(txn, 1),
        Ok(Response::Compact) => "compacted".to_owned(),
        Ok(Response::LeaseGrant { ttl }) => format!("granted for {ttl} s"),
        Ok(Response::Done) => "done".to_owned(),
        Ok(Response::Alarm(alarms)) => say_alarms(alarms),
        Err(rejection) => say_rejection(*rejection),
    };
    format!("r{} {said}", applied.revision)
}

fn say_rejection(rejection: Rejection) -> String {
    format!("refused: {rejection}")
}

fn say_alarms(alarms: &[(u64, AlarmKind)]) -> String {
    let said = alarms.iter().map(|(member, kind)| format!("{member} {}", alarm_kind(*kind)));
    format!("alarms [{}]", said.collect::<Vec<_>>().join(", "))
}

fn say_put(before: Option<&Version>) -> String {
    match before {
        Some(version) => format!("put, was {}", say_version(version, false)),
        None => "put".to_owned(),
    }
}

fn say_deleted(range: &DeletedRange) -> String {
    let mut said = format!("deleted {}", range.deleted);
    if !range.previous.is_empty() {
        let were = range.previous.iter().map(|version| say_version(version, false));
        write!(said, ", were {}", were.collect::<Vec<_>>().join("; ")).unwrap();
    }
    said
}

fn say_range(answer: &RangeAnswer) -> String {
    let found = answer.versions.iter().map(|version| say_version(version, answer.keys_only));
    let found = found.collect::<Vec<_>>().join("; ");
    let more = if answer.more { " and more" } else { "" };
    format!("[{found}]{more} of {}", answer.count)
}

fn say_txn(txn: &TxnResponse, depth: usize) -> String {
    let mut said = if txn.succeeded { "succeeded" } else { "failed" }.to_owned();
    for response in &txn.responses {
        let response = match response {
            OperationResponse::Range(answer) => say_range(answer),
            OperationResponse::Put(before) => say_put(before.as_ref()),
            OperationResponse::DeleteRange(deleted) => say_deleted(deleted),
            OperationResponse::Txn(txn) => say_txn(txn, depth + 1),
        };
        write!(said, "\n{:width$}{response}", "", width = 2 * depth).unwrap();
    }
    said
}

/// Shows a version as `key=value` with the revisions of creation and of the last write, the number
/// of writes and the lease.
fn say_version(version: &Version, keys_only: bool) -> String {
    let mut said = text(version.key());
    if !keys_only {
        write!(said, "={}", text(version.value().bytes())).unwrap();
    }
    let (create, modified) = (version.create_revision(), version.mod_revision());
    write!(said, " c{create} m{modified} v{}", version.version()).unwrap();
    if let Some(lease) = version.lease().filter(|_| !keys_only) {
        write!(said, " lease {lease}").unwrap();
    }
    said
}
