//! What may differ between etcd and Holdfast, and why.
//!
//! What makes etcd panic is not asked of it: see `generate`.

use etcd_api::etcdserverpb as pb;
use pb::range_request::SortTarget;

use super::op::Op;

/// A difference that is meant to be.
struct Known {
    /// Why it is right.
    _reason: &'static str,
    /// Tells whether it explains the two answers, etcd's first.
    explains: fn(op: &Op, left: &str, right: &str) -> bool,
}

const KNOWN: &[Known] = &[SEVERAL_FAULTS, STREAM_SORTED_IN_PARTS, EQUALS_IN_ANY_ORDER];

const SEVERAL_FAULTS: Known = Known {
    _reason: "A transaction with several faults is refused for one of them, and which one we find \
              first is not always the one that etcd finds first.",
    explains: |op, left, right| {
        let is_refused = |drawn: &str| drawn.starts_with("InvalidArgument: etcdserver: ");
        let in_whole = |drawn: &str| {
            drawn.ends_with("duplicate key given in txn request")
                || drawn.ends_with("too many operations in txn request")
        };
        let Op::Txn(txn) = op else { return false };
        let faults = faults(txn) + usize::from(in_whole(left) || in_whole(right));
        is_refused(left) && is_refused(right) && faults > 1
    },
};

/// Counts the operations for which alone a transaction would be refused.
fn faults(txn: &pb::TxnRequest) -> usize {
    use pb::request_op::Request;
    let compares = txn.compare.iter().filter(|compare| compare.key.is_empty()).count();
    let parts = txn.success.iter().chain(&txn.failure).map(|part| match &part.request {
        Some(Request::RequestRange(range)) => {
            usize::from(range.key.is_empty() || range.sort_target > 4)
        }
        Some(Request::RequestPut(put)) => usize::from(
            put.key.is_empty()
                || put.ignore_value && !put.value.is_empty()
                || put.ignore_lease && put.lease != 0,
        ),
        Some(Request::RequestDeleteRange(delete)) => usize::from(delete.key.is_empty()),
        Some(Request::RequestTxn(txn)) => faults(txn),
        None => 1,
    });
    compares + parts.sum::<usize>()
}

const STREAM_SORTED_IN_PARTS: Known = Known {
    _reason: "A stream with a target to sort by, but no order, is sorted by etcd part by part: \
              keys come twice, and others never. We ignore the target.",
    explains: |op, _, _| {
        let Op::RangeStream(request) = op else { return false };
        request.sort_target != 0 && request.sort_order == 0
    },
};

const EQUALS_IN_ANY_ORDER: Known = Known {
    _reason: "etcd's way of sorting leaves more than twelve keys that are equal by the target in \
              any order. We leave them in the order of keys.",
    explains: |op, left, right| {
        if let Op::Range(request) = op {
            let target = request.sort_target();
            return sorted_by(left, target) == sorted_by(right, target);
        }
        matches!(op, Op::Txn(_))
            && op.draw().contains("sort_target: ")
            && outside_lists(left) == outside_lists(right)
    },
};

/// Returns what is said outside the list of keys, and of each key what it was sorted by: its
/// version, revision of creation, revision of change or value.
fn sorted_by(drawn: &str, target: SortTarget) -> (String, Vec<String>) {
    let keys = drawn.split_once('[').map_or("", |(_, keys)| keys).trim_end_matches(']');
    let field = |key: &str| {
        // From the end: the checksum of a long value may begin with a `c` as well.
        let (value, rest) = key.split_once('=').map_or("", |(_, rest)| rest).rsplit_once(" c")?;
        let mut numbers = rest.split(' ');
        let (create, change, version) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let by = match target {
            SortTarget::Key => key,
            SortTarget::Version => version,
            SortTarget::Create => create,
            SortTarget::Mod => change,
            SortTarget::Value => value,
        };
        Some(by.to_owned())
    };
    (outside_lists(drawn), keys.split(", ").filter_map(field).collect())
}

/// Returns what is said outside lists of keys, and how long these are.
fn outside_lists(drawn: &str) -> String {
    let parts = drawn.split(['[', ']']).enumerate();
    parts
        .map(|(at, part)| match at % 2 {
            0 => part.to_owned(),
            _ => part.split(", ").count().to_string(),
        })
        .collect()
}

/// Tells whether two different answers, etcd's first, are as they are meant to be.
pub(crate) fn is_known(op: &Op, left: &str, right: &str) -> bool {
    KNOWN.iter().any(|known| (known.explains)(op, left, right))
}
