//! Everything that can happen in a small scope, looked at whole.

use sim::explore::{Scope, explore};

fn search(scope: &Scope) {
    sim::run::catch_panics();
    let outcome = explore(scope, &mut |_| {});
    assert_eq!(outcome.violation, None, "after {:?}", outcome.progress);
    assert!(outcome.is_complete, "the scope was not looked at whole: {:?}", outcome.progress);
}

#[test]
fn one_term_and_one_command_hold_nothing_that_must_not_happen() {
    let scope = Scope { terms: 1, entries: 1, changes_len: 0, crashes: 0, ..Scope::default() };
    search(&scope);
}
