//! Single calls, one after the other: what a harness needs to know and to do around a run.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::call::Call;
use crate::connection::{Bodies, Connection, Outcome};
use crate::message::{self, Message, RangeOptions};
use crate::poller::Poller;

/// A defragmentation takes its time.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// What a member says of itself.
#[derive(Debug, Serialize)]
pub(crate) struct MemberStatus {
    pub(crate) endpoint: SocketAddr,
    pub(crate) is_leader: bool,
    pub(crate) revision: u64,
    pub(crate) version: String,
}

/// Asks each member for its status, in order.
pub(crate) fn status(endpoints: &[SocketAddr]) -> Result<Vec<MemberStatus>> {
    let mut members = Vec::new();
    for endpoint in endpoints {
        let body = call(*endpoint, Call::Status, Message::default())?;
        let status = message::read_status(&body)
            .with_context(|| format!("cannot read the status of {endpoint}"))?;
        members.push(MemberStatus {
            endpoint: *endpoint,
            is_leader: status.leader != 0 && status.leader == status.member,
            revision: status.revision,
            version: status.version,
        });
    }
    Ok(members)
}

/// Puts a value of `value_bytes` under `key`.
pub(crate) fn put(endpoint: SocketAddr, key: &str, value_bytes: usize) -> Result<()> {
    call(endpoint, Call::Put, message::put(key.as_bytes(), &vec![b'v'; value_bytes])).map(drop)
}

/// Drops all revisions before `revision`.
pub(crate) fn compact(endpoint: SocketAddr, revision: u64) -> Result<()> {
    call(endpoint, Call::Compact, message::compact(revision)).map(drop)
}

/// Has a member tidy its storage: etcd copies its database, and answers nobody meanwhile.
pub(crate) fn defragment(endpoint: SocketAddr) -> Result<()> {
    call(endpoint, Call::Defragment, Message::default()).map(drop)
}

/// How many keys a member knows.
#[derive(Debug, Serialize)]
pub(crate) struct Count {
    pub(crate) keys: u64,
}

/// Asks a member for the number of its keys.
pub(crate) fn count(endpoint: SocketAddr) -> Result<Count> {
    let options = RangeOptions { count_only: true, ..RangeOptions::default() };
    let body = call(endpoint, Call::Range, message::range(&[0], &[0], options))?;
    let keys = message::read_count(&body)
        .with_context(|| format!("cannot read the count of {endpoint}"))?;
    Ok(Count { keys })
}

/// Makes one call and returns the body of its answer.
fn call(endpoint: SocketAddr, call: Call, request: Message) -> Result<Vec<u8>> {
    let mut poller = Poller::new()?;
    let mut connection = Connection::open(endpoint, Bodies::Keep)?;
    poller.add(connection.socket(), 0)?;
    connection.send(call, &request.into_body(), 0)?;
    let began = Instant::now();
    let mut completions = Vec::new();
    let mut ready = Vec::new();
    while began.elapsed() < CALL_TIMEOUT {
        connection.flush()?;
        poller.wait(CALL_TIMEOUT, &mut ready)?;
        connection.receive(&mut completions)?;
        if let Some(completion) = completions.pop() {
            return match completion.outcome {
                Outcome::Answered => Ok(completion.body),
                Outcome::Refused => bail!("{endpoint} refused {call:?}"),
                Outcome::Reset => bail!("{endpoint} broke off {call:?}"),
            };
        }
    }
    bail!("{endpoint} did not answer {call:?} within {} s", CALL_TIMEOUT.as_secs())
}
