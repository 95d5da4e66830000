//! Shortens a sequence that shows a difference (delta debugging).

use std::time::{Duration, Instant};

/// How long to go on shortening.
const TIME_MAX: Duration = Duration::from_secs(120);

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

#[test]
fn what_matters_is_all_that_is_left() {
    let whole: Vec<u32> = (0..200).collect();
    let kept = shrink(&whole, |rest| rest.contains(&17) && rest.contains(&150));
    assert_eq!(kept, [17, 150], "both are needed, and nothing else");
}
