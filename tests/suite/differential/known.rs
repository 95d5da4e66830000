//! What may differ between etcd and Holdfast, and why.

/// A difference that is meant to be.
struct Known {
    /// Why it is right.
    _reason: &'static str,
    /// Tells whether it explains the two answers, etcd's first.
    explains: fn(op: &str, left: &str, right: &str) -> bool,
}

const KNOWN: &[Known] = &[SEVERAL_FAULTS, STREAM_SORTED_IN_PARTS, EQUALS_IN_ANY_ORDER];

const SEVERAL_FAULTS: Known = Known {
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
};

const STREAM_SORTED_IN_PARTS: Known = Known {
    _reason: "A stream with a target to sort by, but no order, is sorted by etcd part by part: keys \
              come twice, and others never. We ignore the target.",
    explains: |op, _, _| {
        op.starts_with("RangeStream(") && op.contains("sort_target") && !op.contains("sort_order")
    },
};

const EQUALS_IN_ANY_ORDER: Known = Known {
    _reason: "etcd's way of sorting leaves more than twelve keys that are equal by the target in any \
              order. We leave them in the order of keys.",
    explains: |op, left, right| {
        let target = |name: &str| op.contains(&format!("sort_target: {name}"));
        let targets = ["Version", "Create", "Mod", "Value"].map(target);
        if op.starts_with("Range(") {
            let place = targets.iter().position(|sorts| *sorts);
            return place.is_some_and(|place| sorted_by(left, place) == sorted_by(right, place));
        }
        let is_sorted = op.starts_with("Txn(") && targets.contains(&true);
        is_sorted && outside_lists(left) == outside_lists(right)
    },
};

/// Returns what is said outside the list of keys, and of each key what it was sorted by: its version,
/// revision of creation, revision of change or value.
fn sorted_by(drawn: &str, place: usize) -> (String, Vec<String>) {
    let keys = drawn.split_once('[').map_or("", |(_, keys)| keys).trim_end_matches(']');
    let field = |key: &str| {
        let (value, rest) = key.split_once('=').map_or("", |(_, rest)| rest).split_once(" c")?;
        let mut numbers = rest.split(' ');
        let (create, change, version) = (numbers.next()?, numbers.next()?, numbers.next()?);
        Some([version, create, change, value][place].to_owned())
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
pub(crate) fn is_known(op: &str, left: &str, right: &str) -> bool {
    KNOWN.iter().any(|known| (known.explains)(op, left, right))
}
