//! One operation of a sequence, and how it is drawn.

use etcd_api::etcdserverpb as pb;
use pb::request_op::Request;

/// A revision at or above half of this is relative: so far from the newest that was seen.
const RELATIVE: i64 = 1 << 40;

/// What a client does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    /// Reads.
    Range(pb::RangeRequest),
    /// Reads by a stream, the parts of which are put together.
    RangeStream(pb::RangeRequest),
    /// Writes.
    Put(pb::PutRequest),
    /// Deletes.
    Delete(pb::DeleteRangeRequest),
    /// Compares, and does one or the other.
    Txn(pb::TxnRequest),
    /// Forgets old revisions, after all watchers have caught up.
    Compact(pb::CompactionRequest),
    /// Makes a lease.
    Grant(pb::LeaseGrantRequest),
    /// Ends a lease.
    Revoke(pb::LeaseRevokeRequest),
    /// Keeps a lease alive.
    KeepAlive(pb::LeaseKeepAliveRequest),
    /// Asks how long a lease lives.
    TimeToLive(pb::LeaseTimeToLiveRequest),
    /// Lists leases.
    Leases,
    /// Begins to watch.
    Watch(Stream, pb::WatchCreateRequest),
    /// Ends a watch, after it has caught up.
    Cancel(Stream, i64),
    /// Waits until all watchers of a stream have caught up, and tells what they were told.
    Sync(Stream),
    /// Waits as `Sync` does, and closes the stream.
    Close(Stream),
    /// Lists members.
    Members,
    /// Asks the member how it is.
    Status,
    /// Asks for alarms.
    Alarms,
}

/// A stream of watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stream {
    /// For watchers of what was or is, which progress requests can synchronise.
    Past(usize),
    /// For watchers of what is to come: while they wait, no progress is reported.
    Future,
}

/// Returns the revision that is `offset` after the newest, whatever that is then.
pub(crate) fn relative(offset: i64) -> i64 {
    RELATIVE + offset
}

/// Returns `revision` as it is meant when `newest` is the newest.
fn resolve(revision: &mut i64, newest: i64) {
    if *revision >= RELATIVE / 2 {
        *revision = (newest + (*revision - RELATIVE)).max(0);
    }
}

impl Op {
    /// Returns the operation with revisions that count from zero.
    pub(crate) fn resolved(&self, newest: i64) -> Op {
        let mut op = self.clone();
        match &mut op {
            Op::Range(request) | Op::RangeStream(request) => resolve_range(request, newest),
            Op::Txn(request) => resolve_txn(request, newest),
            Op::Compact(request) => resolve(&mut request.revision, newest),
            Op::Watch(_, request) => resolve(&mut request.start_revision, newest),
            Op::Put(_)
            | Op::Delete(_)
            | Op::Grant(_)
            | Op::Revoke(_)
            | Op::KeepAlive(_)
            | Op::TimeToLive(_)
            | Op::Leases
            | Op::Cancel(..)
            | Op::Sync(_)
            | Op::Close(_)
            | Op::Members
            | Op::Status
            | Op::Alarms => {}
        }
        op
    }

    /// Draws the operation: what is not said is zero, empty or false. A revision is drawn as
    /// `now-3` if it is relative.
    pub(crate) fn draw(&self) -> String {
        short(&format!("{self:?}"))
    }
}

fn resolve_range(request: &mut pb::RangeRequest, newest: i64) {
    resolve(&mut request.revision, newest);
    resolve(&mut request.min_mod_revision, newest);
    resolve(&mut request.max_mod_revision, newest);
    resolve(&mut request.min_create_revision, newest);
    resolve(&mut request.max_create_revision, newest);
}

fn resolve_txn(request: &mut pb::TxnRequest, newest: i64) {
    use pb::compare::TargetUnion;
    for compare in &mut request.compare {
        if let Some(TargetUnion::ModRevision(revision) | TargetUnion::CreateRevision(revision)) =
            &mut compare.target_union
        {
            resolve(revision, newest);
        }
    }
    for part in request.success.iter_mut().chain(&mut request.failure) {
        match &mut part.request {
            Some(Request::RequestRange(range)) => resolve_range(range, newest),
            Some(Request::RequestTxn(txn)) => resolve_txn(txn, newest),
            Some(Request::RequestPut(_) | Request::RequestDeleteRange(_)) | None => {}
        }
    }
}

/// Shortens what `Debug` says of a message: fields at their default go, relative revisions are
/// drawn as such.
fn short(debug: &str) -> String {
    const DEFAULTS: [&str; 6] = ["0", "false", "[]", "b\"\"", "None", "Key"];
    let mut text = debug.to_owned();
    for default in DEFAULTS {
        for end in [",", " }"] {
            let pattern = format!(": {default}{end}");
            while let Some(at) = text.find(&pattern) {
                let name = text[..at].rfind([' ', '{']).map_or(0, |blank| blank + 1);
                let after = at + pattern.len() - if end == "," { 0 } else { end.len() };
                let blank = usize::from(text[after..].starts_with(' ') && end == ",");
                text.replace_range(name..after + blank, "");
            }
        }
    }
    let words = text.split_inclusive(|c: char| !c.is_ascii_digit());
    let drawn: String = words.map(relative_drawn).collect();
    drawn.replace(",  }", " }").replace(", }", " }").replace("{  }", "{}")
}

/// Draws a number with what follows it; a relative one as its distance from now.
fn relative_drawn(word: &str) -> String {
    let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
    match digits.parse::<i64>() {
        Ok(number) if number >= RELATIVE / 2 => {
            format!("now{:+}{}", number - RELATIVE, &word[digits.len()..])
        }
        Ok(_) | Err(_) => word.to_owned(),
    }
}

#[test]
fn operation_is_drawn_without_what_is_not_said() {
    let request = pb::RangeRequest {
        key: "a".into(),
        range_end: "b".into(),
        revision: relative(-3),
        limit: 10,
        ..Default::default()
    };
    let drawn = Op::Range(request).draw();
    assert_eq!(
        drawn, "Range(RangeRequest { key: b\"a\", range_end: b\"b\", limit: 10, revision: now-3 })",
        "only four fields are said"
    );
    assert_eq!(Op::Range(pb::RangeRequest::default()).draw(), "Range(RangeRequest {})", "nothing");
}
