//! The definition itself: all orders of all operations that may have taken effect.

use crate::linearizability::{Op, Operation};

/// Tells whether some order explains a history of one key.
pub(super) fn has_order(history: &[Operation]) -> bool {
    let mut left = history.to_vec();
    explains(&mut left, None)
}

/// Tells whether what is left can be explained from `value` on.
fn explains(left: &mut Vec<Operation>, value: Option<u64>) -> bool {
    if left.iter().all(|operation| !is_known(operation)) {
        return true;
    }
    for place in 0..left.len() {
        let next = left[place];
        let comes_too_early = left
            .iter()
            .any(|other| is_known(other) && other.ret.is_some_and(|ret| ret < next.call));
        if comes_too_early {
            continue;
        }
        let Some(after) = execute(&next, value) else { continue };
        left.remove(place);
        let found = explains(left, after);
        left.insert(place, next);
        if found {
            return true;
        }
    }
    false
}

fn is_known(operation: &Operation) -> bool {
    let unknown = matches!(operation.op, Op::Cas { succeeded: None, .. });
    operation.ret.is_some() && !unknown
}

/// What the register holds after the operation; `None` if its client cannot have seen what it saw.
fn execute(operation: &Operation, value: Option<u64>) -> Option<Option<u64>> {
    let known = is_known(operation);
    match operation.op {
        Op::Write { value: new } => Some(Some(new)),
        Op::Read { value: seen } => (!known || seen == value).then_some(value),
        Op::Cas { expect, value: new, succeeded } => {
            let succeeds = expect == value;
            let fits = !known || succeeded == Some(succeeds);
            fits.then_some(if succeeds { Some(new) } else { value })
        }
    }
}
