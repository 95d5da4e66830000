//! Looks at everything that can happen in a small cluster: every order in which messages arrive or
//! are lost, members campaign, crash and come back, and commands and configurations are proposed.
//!
//! The cores are the product's. What is small is the scope: members, terms, commands, one change of
//! the configuration, one crash. Within it nothing is left to chance.

mod check;
mod inbox;
mod member;
mod scope;
mod search;
mod state;
mod table;

pub use scope::{Scope, Writes};
pub use search::Progress;

/// What came of a search.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How far it came.
    pub progress: Progress,
    /// Whether everything in the scope was looked at, and the search was not given up before.
    pub is_complete: bool,
    /// What must not have happened, and the steps that lead there; `None` if all is well.
    pub violation: Option<(String, Vec<String>)>,
}

/// Looks at everything in the scope, and tells `watch` from time to time how far it has come. After
/// a violation a second search looks for the shortest way to one.
pub fn explore(scope: &Scope, watch: &mut dyn FnMut(&Progress)) -> Outcome {
    let mut found = search::search(scope.clone(), search::Order::LeastFar, watch);
    if found.path.is_some() {
        found = search::search(scope.clone(), search::Order::FewestSteps, watch);
    }
    let violation = found.path.map(|path| {
        let steps = path.actions.iter().map(|step| format!("{:?}", found.cast.stimulus_of(*step)));
        (path.violation.to_string(), steps.collect())
    });
    Outcome { progress: found.progress, is_complete: found.is_complete, violation }
}
