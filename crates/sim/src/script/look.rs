//! The commands of a script that only show something.

use anyhow::Result;
use raft::{Entry, Index};

use super::args::Args;
use crate::stage::{Stage, draw_entry, draw_role};

/// Shows what `name` asks for; `None` if that is another kind of command.
pub(super) fn look(stage: &Stage, name: &str, args: &mut Args) -> Result<Option<String>> {
    let draw: fn(&Stage, u64) -> String = match name {
        "status" => status,
        "log" => log,
        "applied" => applied,
        "progress" => progress,
        "durable" => durable,
        "in-flight" => {
            let lines: Vec<String> = stage.in_flight().map(ToString::to_string).collect();
            return Ok(Some(or_nothing(lines.join("\n"))));
        }
        _ => return Ok(None),
    };
    let all = if name == "durable" { stage.members() } else { stage.up() };
    let members = args.members_or(all)?;
    let lines: Vec<String> = members.into_iter().map(|member| draw(stage, member)).collect();
    Ok(Some(lines.join("\n")))
}

fn or_nothing(text: String) -> String {
    if text.is_empty() { "nothing".to_owned() } else { text }
}

fn status(stage: &Stage, member: u64) -> String {
    let status = stage.status(member);
    let vote = status.vote.map_or(String::new(), |vote| format!(" vote={vote}"));
    let transfer =
        status.transferring_to.map_or(String::new(), |to| format!(" handing over to {to}"));
    format!(
        "m{member} {}{vote} last={} durable={} committed={} applied={} {}{transfer}",
        draw_role(&status),
        status.last,
        status.durable,
        status.committed,
        status.applied,
        status.membership,
    )
}

/// Draws a log; a double bar stands after what is known to be committed.
fn log(stage: &Stage, member: u64) -> String {
    let status = stage.status(member);
    let mut text = format!("m{member}");
    if status.base.index > Index::ZERO {
        text += &format!(" (after {})", status.base);
    }
    let entries = stage.log(member);
    let (committed, rest): (Vec<&Entry>, Vec<&Entry>) =
        entries.iter().partition(|entry| entry.index <= status.committed);
    for entry in committed {
        text += &format!(" [{}]", draw_entry(entry));
    }
    text += " ‖";
    for entry in rest {
        text += &format!(" [{}]", draw_entry(entry));
    }
    text
}

fn applied(stage: &Stage, member: u64) -> String {
    format!("m{member} {}", or_nothing(stage.applied(member).join(" ")))
}

fn progress(stage: &Stage, member: u64) -> String {
    let members = stage.status(member).members;
    let lines = members.iter().map(|other| {
        format!(
            "m{member} sees {} {} matched={} next={} silent={}",
            other.id, other.progress, other.matched, other.next, other.last_contact_ticks
        )
    });
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { format!("m{member} does not lead") } else { lines.join("\n") }
}

fn durable(stage: &Stage, member: u64) -> String {
    let durable = stage.durable(member);
    let vote = durable.hard_state.vote.map_or("none".to_owned(), |vote| vote.to_string());
    let mut text = format!(
        "m{member} term={} vote={vote} commit={}",
        durable.hard_state.term, durable.hard_state.commit
    );
    if durable.snapshot.id.index > Index::ZERO {
        text += &format!(" image={} {}", durable.snapshot.id, durable.snapshot.membership);
    }
    if durable.base.index > Index::ZERO {
        text += &format!(" (after {})", durable.base);
    }
    for entry in &durable.entries {
        text += &format!(" [{}]", draw_entry(entry));
    }
    text
}
