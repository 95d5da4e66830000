//! Messages that a script makes up.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use raft::{
    AppendOutcome, Ballot, Body, Campaign, Entry, EntryId, Index, MemberId, Membership, Message,
    Payload, Round, Snapshot, SnapshotMeta, Term,
};

use super::args::{Args, parse};

/// Reads a message, such as `Append from=1 to=2 term=1 prev=0@0 entries="1@1 2@1" commit=1
/// round=1`.
pub(super) fn message(args: &mut Args) -> Result<Message> {
    let kind = args.number::<String>()?.context("a kind of message must be named")?;
    let from = MemberId(args.key("from")?.context("from= is missing")?);
    let to = MemberId(args.key("to")?.context("to= is missing")?);
    let term = Term(args.key("term")?.context("term= is missing")?);
    let round = Round(args.key_or("round", 0)?);
    let body = match kind.as_str() {
        "PreVote" => Body::PreVote { last: id(args, "last")? },
        "PreVoteResponse" => Body::PreVoteResponse { ballot: ballot(args)? },
        "RequestVote" => {
            let campaign =
                if args.word("transfer") { Campaign::Transfer } else { Campaign::Timeout };
            Body::RequestVote { last: id(args, "last")?, campaign }
        }
        "VoteResponse" => Body::VoteResponse { ballot: ballot(args)? },
        "Append" | "Heartbeat" => Body::AppendEntries {
            prev: id(args, "prev")?,
            entries: entries(args)?,
            commit: Index(args.key_or("commit", 0)?),
            round,
        },
        "Accepted" => {
            let matched = Index(args.key_or("matched", 0)?);
            Body::AppendResponse { round, outcome: AppendOutcome::Accepted { matched } }
        }
        "Rejected" => {
            let prev = Index(args.key_or("prev", 0)?);
            let hint = id(args, "hint")?;
            Body::AppendResponse { round, outcome: AppendOutcome::Rejected { prev, hint } }
        }
        "StaleTerm" => Body::AppendResponse { round, outcome: AppendOutcome::StaleTerm },
        "InstallSnapshot" => {
            let voters = args.numbers("voters")?.into_iter().map(MemberId);
            let meta =
                SnapshotMeta { id: id(args, "last")?, membership: Membership::of_voters(voters) };
            let data = Bytes::from(args.key_or("image", String::new())?);
            Body::InstallSnapshot { snapshot: Snapshot { meta, data } }
        }
        "TimeoutNow" => Body::TimeoutNow,
        "ReadIndex" => Body::ReadIndex { nonce: args.key_or("nonce", 0)? },
        "ReadIndexResponse" => Body::ReadIndexResponse {
            nonce: args.key_or("nonce", 0)?,
            index: Index(args.key_or("index", 0)?),
        },
        _ => bail!("no kind of message is called {kind}"),
    };
    Ok(Message { from, to, term, body })
}

fn id(args: &mut Args, key: &str) -> Result<EntryId> {
    parse_id(&args.key_or(key, "0@0".to_owned())?)
}

fn parse_id(text: &str) -> Result<EntryId> {
    let (index, term) = text.split_once('@').with_context(|| format!("{text} is not like 2@1"))?;
    Ok(EntryId::new(Index(parse(index)?), Term(parse(term)?)))
}

/// Entries by their names; each is a command that says its own name.
fn entries(args: &mut Args) -> Result<Vec<Entry>> {
    let text: String = args.key_or("entries", String::new())?;
    let entries = text.split_whitespace().map(|word| {
        let EntryId { index, term } = parse_id(word)?;
        let payload = Payload::Command(Bytes::from(word.to_owned()));
        Ok(Entry { index, term, payload })
    });
    entries.collect()
}

fn ballot(args: &mut Args) -> Result<Ballot> {
    Ok(if args.word("granted") { Ballot::Granted } else { Ballot::Refused })
}
