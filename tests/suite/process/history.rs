//! What clients did and saw, and whether that can be explained.
//!
//! Every write has a revision, and revisions are an order of all writes. So nothing has to be
//! searched for: a history is linearizable if the order of revisions explains what every client
//! saw, and if what ended before something else began has no later revision (Herlihy and Wing).
//! That is looked at in one pass.
//!
//! The truth is what the cluster tells of itself at the end: every change, in order. Values are
//! unique, so that each change shows who made it. A write of which its client never learned the
//! outcome may be among them, or not.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Result, bail, ensure};

/// A change that the cluster tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) revision: i64,
    pub(crate) key: String,
    /// `None` if the key was deleted.
    pub(crate) value: Option<String>,
    /// The value before, if it was asked for and there was one.
    pub(crate) before: Option<String>,
}

/// What a client did, and what it saw.
#[derive(Clone, Debug)]
pub(crate) enum Did {
    /// Wrote a value that nobody else writes; at this revision, or it never knew.
    Put { value: String, revision: Option<i64> },
    /// Wrote a value if the key had last been changed at a revision.
    Cas { expected: i64, value: String, answer: Option<Compared> },
    /// Read what a quorum knew.
    Read { found: Option<(String, i64)>, revision: i64 },
}

/// What came of a comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compared {
    pub(crate) succeeded: bool,
    /// That of the write if it succeeded, otherwise that at which it was compared.
    pub(crate) revision: i64,
}

/// One operation of one client.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) key: String,
    /// When it was called.
    pub(crate) began: Duration,
    /// When it was answered, or given up.
    pub(crate) ended: Duration,
    pub(crate) did: Did,
}

impl Done {
    /// Returns the revision at which it happened, and whether it changed something; `None` if
    /// nobody knows, or if it never happened.
    fn happened(&self, written: &HashMap<&str, i64>) -> Option<(i64, bool)> {
        match &self.did {
            Did::Put { value, revision } => {
                revision.or_else(|| written.get(value.as_str()).copied()).map(|at| (at, true))
            }
            Did::Cas { value, answer: None, .. } => {
                written.get(value.as_str()).map(|at| (*at, true))
            }
            Did::Cas { answer: Some(answer), .. } => Some((answer.revision, answer.succeeded)),
            Did::Read { revision, .. } => Some((*revision, false)),
        }
    }

    fn is_answered(&self) -> bool {
        match &self.did {
            Did::Put { revision, .. } => revision.is_some(),
            Did::Cas { answer, .. } => answer.is_some(),
            Did::Read { .. } => true,
        }
    }
}

/// The truth: all changes, by key and revision.
struct Truth<'t> {
    keys: BTreeMap<&'t str, BTreeMap<i64, Option<&'t str>>>,
    written: HashMap<&'t str, i64>,
}

impl<'t> Truth<'t> {
    fn of(changes: &'t [Change]) -> Result<Truth<'t>> {
        let mut truth = Truth { keys: BTreeMap::new(), written: HashMap::new() };
        let mut latest = 0;
        for Change { revision, key, value, .. } in changes {
            ensure!(*revision >= latest, "revision {revision} is told after {latest}");
            latest = *revision;
            let twice = truth.keys.entry(key).or_default().insert(*revision, value.as_deref());
            ensure!(twice.is_none(), "{key} changes twice at {revision}");
            if let Some(value) = value {
                let twice = truth.written.insert(value, *revision);
                ensure!(twice.is_none(), "{value} was written at {revision} and at {twice:?}");
            }
        }
        Ok(truth)
    }

    /// Returns the value of a key at a revision, and when it came to be.
    fn at(&self, key: &str, revision: i64) -> Option<(&'t str, i64)> {
        let (at, value) = self.keys.get(key)?.range(..=revision).next_back()?;
        value.map(|value| (value, *at))
    }
}

/// Tells whether what clients saw is explained by the changes that the cluster tells of.
pub(crate) fn check(changes: &[Change], history: &[Done]) -> Result<()> {
    let truth = Truth::of(changes)?;
    for done in history {
        check_one(&truth, done)?;
    }
    check_nothing_from_nowhere(&truth, history)?;
    check_real_time(&truth, history)
}

fn check_one(truth: &Truth<'_>, done: &Done) -> Result<()> {
    let key = done.key.as_str();
    let is_there = |value: &str, at: i64| truth.at(key, at) == Some((value, at));
    match &done.did {
        Did::Put { value, revision: Some(revision) } => {
            ensure!(is_there(value, *revision), "an acknowledged write is lost: {done:?}");
        }
        Did::Cas { expected, value, answer: Some(answer) } if answer.succeeded => {
            let Compared { revision, .. } = *answer;
            ensure!(is_there(value, revision), "an acknowledged write is lost: {done:?}");
            let before = truth.at(key, revision - 1).map_or(0, |(_, at)| at);
            ensure!(before == *expected, "compared with {before}, and succeeded: {done:?}");
        }
        Did::Cas { expected, value, answer: Some(answer) } => {
            let before = truth.at(key, answer.revision).map_or(0, |(_, at)| at);
            ensure!(before != *expected, "compared with {before}, and failed: {done:?}");
            let written = truth.written.get(value.as_str());
            ensure!(written.is_none(), "failed, and was written at {written:?}: {done:?}");
        }
        Did::Read { found, revision } => {
            let truly = truth.at(key, *revision);
            let found = found.as_ref().map(|(value, at)| (value.as_str(), *at));
            ensure!(found == truly, "there was {truly:?} to be read: {done:?}");
        }
        Did::Put { revision: None, .. } | Did::Cas { answer: None, .. } => {}
    }
    Ok(())
}

fn check_nothing_from_nowhere(truth: &Truth<'_>, history: &[Done]) -> Result<()> {
    let issued: HashMap<&str, &str> = history
        .iter()
        .filter_map(|done| match &done.did {
            Did::Put { value, .. } | Did::Cas { value, .. } => {
                Some((value.as_str(), done.key.as_str()))
            }
            Did::Read { .. } => None,
        })
        .collect();
    for (key, changes) in &truth.keys {
        for (revision, value) in changes.iter().filter_map(|(at, value)| Some((at, (*value)?))) {
            let by = issued.get(value);
            ensure!(by == Some(key), "{value} is in {key} at {revision}; its writer meant {by:?}");
        }
    }
    Ok(())
}

/// What ended before something else began has no later revision.
fn check_real_time(truth: &Truth<'_>, history: &[Done]) -> Result<()> {
    let mut by_begin: Vec<&Done> = history.iter().collect();
    by_begin.sort_by_key(|done| done.began);
    let mut by_end: Vec<&Done> = history.iter().filter(|done| done.is_answered()).collect();
    by_end.sort_by_key(|done| done.ended);
    let mut ended = by_end.into_iter().peekable();
    let mut latest: Option<(i64, &Done)> = None;
    for done in by_begin {
        while let Some(earlier) = ended.next_if(|earlier| earlier.ended < done.began) {
            if let Some((revision, _)) = earlier.happened(&truth.written)
                && latest.is_none_or(|(latest, _)| revision > latest)
            {
                latest = Some((revision, earlier));
            }
        }
        let (Some((revision, wrote)), Some((latest, earlier))) =
            (done.happened(&truth.written), latest)
        else {
            continue;
        };
        if revision < latest || wrote && revision == latest {
            bail!("went back to {revision}: {done:?}\nalthough {latest} was seen: {earlier:?}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(revision: i64, value: &str) -> Change {
        let key = "k".to_owned();
        Change { revision, key, value: Some(value.to_owned()), before: None }
    }

    fn done(began: u64, ended: u64, did: Did) -> Done {
        let time = Duration::from_millis;
        Done { key: "k".to_owned(), began: time(began), ended: time(ended), did }
    }

    fn put(value: &str, revision: Option<i64>) -> Did {
        Did::Put { value: value.to_owned(), revision }
    }

    fn read(found: Option<(&str, i64)>, revision: i64) -> Did {
        Did::Read { found: found.map(|(value, at)| (value.to_owned(), at)), revision }
    }

    fn cas(expected: i64, value: &str, succeeded: bool, revision: i64) -> Did {
        let answer = Some(Compared { succeeded, revision });
        Did::Cas { expected, value: value.to_owned(), answer }
    }

    fn refused(changes: &[Change], history: &[Done], why: &str) {
        let error = check(changes, history).expect_err("it cannot be explained").to_string();
        assert!(error.contains(why), "it is refused because of `{why}`, not: {error}");
    }

    #[test]
    fn history_that_revisions_explain_is_accepted() {
        let changes = [change(2, "a"), change(3, "b"), change(4, "c")];
        let history = [
            done(0, 5, put("a", Some(2))),
            done(1, 9, put("b", None)),
            done(6, 7, read(Some(("a", 2)), 2)),
            done(6, 8, read(Some(("b", 3)), 3)),
            done(9, 10, cas(3, "c", true, 4)),
            done(11, 12, cas(3, "d", false, 4)),
            done(11, 12, put("e", None)),
        ];
        check(&changes, &history).expect("every answer is explained");
    }

    #[test]
    fn lost_write_is_found() {
        refused(&[change(2, "b")], &[done(0, 1, put("a", Some(2)))], "acknowledged write is lost");
        refused(&[], &[done(0, 1, cas(0, "a", true, 2))], "acknowledged write is lost");
    }

    #[test]
    fn stale_read_is_found() {
        let changes = [change(2, "a"), change(3, "b")];
        let writes = [done(0, 1, put("a", Some(2))), done(2, 3, put("b", Some(3)))];
        let stale = done(4, 5, read(Some(("a", 2)), 2));
        refused(&changes, &[&writes[..], &[stale]].concat(), "went back to 2");
        let wrong = done(4, 5, read(Some(("a", 2)), 3));
        refused(&changes, &[&writes[..], &[wrong]].concat(), "to be read");
    }

    #[test]
    fn write_from_nowhere_or_twice_is_found() {
        refused(&[change(2, "a")], &[], "its writer meant None");
        let write = done(0, 1, put("a", None));
        refused(&[change(2, "a"), change(3, "a")], &[write], "at 3 and at Some(2)");
    }

    #[test]
    fn write_before_its_time_is_found() {
        let changes = [change(2, "late"), change(3, "early")];
        let history = [done(0, 1, put("early", Some(3))), done(2, 3, put("late", None))];
        refused(&changes, &history, "went back to 2");
    }

    #[test]
    fn wrong_comparison_is_found() {
        let changes = [change(2, "a"), change(3, "b")];
        let first = done(0, 1, put("a", Some(2)));
        refused(&changes, &[first.clone(), done(2, 3, cas(9, "b", true, 3))], "and succeeded");
        let changes = &changes[..1];
        refused(changes, &[first, done(2, 3, cas(2, "b", false, 2))], "and failed");
    }
}
