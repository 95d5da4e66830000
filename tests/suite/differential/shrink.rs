//! Shortens a sequence that shows a difference (delta debugging).

use std::time::{Duration, Instant};

use etcd_api::etcdserverpb as pb;

use super::op::Op;

/// How long to go on shortening.
const TIME_MAX: Duration = Duration::from_secs(60);

/// Removes whatever can be removed such that the rest still `differs`; the shortest that was found
/// within the time is returned.
pub(crate) fn shrink<T: Clone>(whole: &[T], mut differs: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let deadline = Instant::now() + TIME_MAX;
    let mut best = whole.to_vec();
    let mut chunk = best.len().div_ceil(2);
    while chunk > 0 && Instant::now() < deadline {
        let mut at = 0;
        let mut has_shrunk = false;
        while at < best.len() && Instant::now() < deadline {
            let end = best.len().min(at + chunk);
            let rest = [&best[..at], &best[end..]].concat();
            if differs(&rest) {
                best = rest;
                has_shrunk = true;
            } else {
                at = end;
            }
        }
        if !has_shrunk || chunk > 1 {
            chunk /= 2;
        }
    }
    best
}

/// Removes whatever can be removed from the transaction at a place of a sequence such that the
/// whole still `differs`.
pub(crate) fn shrink_parts(whole: &[Op], at: usize, differs: impl Fn(&[Op]) -> bool) -> Vec<Op> {
    let Op::Txn(request) = &whole[at] else { return whole.to_vec() };
    let with = |request: &pb::TxnRequest| {
        let mut ops = whole.to_vec();
        ops[at] = Op::Txn(request.clone());
        ops
    };
    let mut best = request.clone();
    best.compare = shrink(&best.compare, |compare| {
        differs(&with(&pb::TxnRequest { compare: compare.to_vec(), ..best.clone() }))
    });
    best.success = shrink(&best.success, |success| {
        differs(&with(&pb::TxnRequest { success: success.to_vec(), ..best.clone() }))
    });
    best.failure = shrink(&best.failure, |failure| {
        differs(&with(&pb::TxnRequest { failure: failure.to_vec(), ..best.clone() }))
    });
    with(&best)
}

#[test]
fn what_matters_is_all_that_is_left() {
    let whole: Vec<u32> = (0..200).collect();
    let kept = shrink(&whole, |rest| rest.contains(&17) && rest.contains(&150));
    assert_eq!(kept, [17, 150], "both are needed, and nothing else");
}
