//! What happens on the stage, as lines.

use raft::Message;
use replica::{Fault, LeaseLife, LeaseQuestionKind, PeerMessage, Published, Reply};
use store::{Applied, OperationResponse, Response};

/// The texts of a fault and of what it comes from.
pub(crate) fn fault(fault: &Fault) -> String {
    let mut text = fault.to_string();
    let mut source = std::error::Error::source(fault);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

pub(crate) fn message(message: &PeerMessage) -> String {
    match message {
        PeerMessage::Raft(Message { term, body, .. }) => format!("{body} (term {term})"),
        PeerMessage::Forward { term, commands } => {
            format!("Forward {} in term {term}", count(commands.len(), "command"))
        }
        PeerMessage::ForwardChange { term, changes, .. } => {
            format!("ForwardChange {changes:?} in term {term}")
        }
        PeerMessage::ForwardRefused { term, sequences, reason } => {
            let commands = count(sequences.len(), "command");
            format!("ForwardRefused {commands} in term {term}: {reason:?}")
        }
        PeerMessage::LeaseQuestion { ids, kind, .. } => match kind {
            LeaseQuestionKind::Renew => format!("LeaseQuestion renew {ids:?}"),
            LeaseQuestionKind::Tell => format!("LeaseQuestion tell {ids:?}"),
        },
        PeerMessage::LeaseAnswer { leases, applied, .. } => {
            let leases: Vec<String> = leases.iter().map(life).collect();
            format!("LeaseAnswer [{}] applied={applied}", leases.join(", "))
        }
        PeerMessage::LeaseRefused { .. } => "LeaseRefused".to_owned(),
    }
}

fn count(len: usize, what: &str) -> String {
    if len == 1 { format!("1 {what}") } else { format!("{len} {what}s") }
}

fn life(life: &LeaseLife) -> String {
    match life.granted {
        Some(granted) => format!("{}: {} s of {granted} s", life.id, life.remaining),
        None => format!("{}: gone", life.id),
    }
}

pub(crate) fn reply(reply: &Reply) -> String {
    match reply {
        Reply::Applied { applied: Applied { revision, result }, at } => match result {
            Ok(response) => {
                format!("{} at {at}, revision {}", self::response(response), revision.0)
            }
            Err(rejection) => format!("refused at {at}: {rejection}"),
        },
        Reply::ReadReady => "may read".to_owned(),
        Reply::Membership(Ok(())) => "changed the members".to_owned(),
        Reply::Membership(Err(refusal)) => format!("refused: {refusal}"),
        Reply::Transferred(Ok(())) => "has another leader".to_owned(),
        Reply::Transferred(Err(refusal)) => format!("refused: {refusal}"),
        Reply::LeaseRenewed(renewed) => format!("renewed {}", life(renewed)),
        Reply::LeaseTimeToLive(told) => format!("is told {}", life(told)),
        Reply::Unavailable(why) => format!("gave up: {why}"),
    }
}

fn response(response: &Response) -> String {
    match response {
        Response::Put(_) => "put".to_owned(),
        Response::DeleteRange(deleted) => format!("deleted {}", deleted.deleted),
        Response::Txn(txn) => {
            let puts =
                |response: &&OperationResponse| matches!(response, OperationResponse::Put(_));
            let puts = txn.responses.iter().filter(puts).count();
            format!("txn {} with {}", txn.succeeded, count(puts, "put"))
        }
        Response::Compact => "compacted".to_owned(),
        Response::LeaseGrant { ttl } => format!("granted {ttl} s"),
        Response::Done => "done".to_owned(),
        Response::Alarm(alarms) => format!("alarms {alarms:?}"),
    }
}

/// Role, term and leader.
pub(crate) fn role(published: &Published) -> String {
    let leader = match published.leader {
        Some(leader) => format!(" of {leader}"),
        None => String::new(),
    };
    format!("{}@{}{leader}", published.role, published.term)
}
