//! What may differ between etcd and Holdfast, and why.

/// A difference that is meant to be.
struct Known {
    /// Why it is right.
    _reason: &'static str,
    /// Tells whether it explains the two answers, etcd's first.
    explains: fn(op: &str, left: &str, right: &str) -> bool,
}

const KNOWN: &[Known] = &[Known {
    _reason: "A transaction with several faults is refused for one of them. We find an operation that \
              is none, or a way of sorting that is none, before we look at anything else; etcd goes \
              from the first operation to the last.",
    explains: |op, left, right| {
        let is_malformed = op.contains("RequestOp {}") || op.contains("sort_target: 7");
        let found = ["key not found", "invalid sort option"]
            .iter()
            .any(|text| right == format!("InvalidArgument: etcdserver: {text}"));
        op.starts_with("Txn(") && is_malformed && found && left.starts_with("InvalidArgument: ")
    },
}];

/// Tells whether two different answers, etcd's first, are as they are meant to be.
pub(crate) fn is_known(op: &str, left: &str, right: &str) -> bool {
    KNOWN.iter().any(|known| (known.explains)(op, left, right))
}
