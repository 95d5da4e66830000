//! Changes against a model that knows only what each member is, for all configurations of up to
//! five members.

use super::*;
use crate::quorum::VoteResult;

/// What one member is in a configuration that is not joint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Absent,
    Voter,
    Learner,
}

use Standing::{Absent, Learner, Voter};

/// What each member is, from `m0` on.
type Standings = Vec<Standing>;

/// All ways in which `len` members can stand, with or without somebody who votes.
fn all_standings(len: usize) -> Vec<Standings> {
    let mut all = vec![Vec::new()];
    for _ in 0..len {
        all = all
            .iter()
            .flat_map(|before: &Standings| {
                [Absent, Voter, Learner].map(|standing| [before.as_slice(), &[standing]].concat())
            })
            .collect();
    }
    all
}

fn has_voter(standings: &Standings) -> bool {
    standings.contains(&Voter)
}

fn standing_as(standings: &Standings, standing: Standing) -> BTreeSet<MemberId> {
    (0..).map(MemberId).zip(standings).filter(|(_, own)| **own == standing).map(|at| at.0).collect()
}

fn simple(standings: &Standings) -> Membership {
    Membership::from_parts(
        standing_as(standings, Voter),
        BTreeSet::new(),
        standing_as(standings, Learner),
        BTreeSet::new(),
    )
    .expect("each member stands in one way")
}

/// The changes that lead from one configuration to another, one for each member that differs.
fn path(before: &Standings, after: &Standings) -> Vec<Change> {
    let step = |(id, (from, to))| match (from, to) {
        (Absent, Voter) => Some(Change::AddVoter(id)),
        (Absent, Learner) => Some(Change::AddLearner(id)),
        (Learner, Voter) => Some(Change::Promote(id)),
        (Voter, Learner) => Some(Change::Demote(id)),
        (Voter | Learner, Absent) => Some(Change::Remove(id)),
        (Absent, Absent) | (Voter, Voter) | (Learner, Learner) => None,
    };
    (0..)
        .map(MemberId)
        .zip(before.iter().copied().zip(after.iter().copied()))
        .filter_map(step)
        .collect()
}

/// What the definition says about a list of changes.
fn change_by_definition(before: &Standings, changes: &[Change]) -> Result<Standings, ChangeError> {
    let mut after = before.clone();
    let mut named = Vec::new();
    for change in changes {
        let id = change.member();
        let own = &mut after[usize::try_from(id.0).expect("a small number")];
        if named.contains(&id) {
            return Err(ChangeError::Twice(id));
        }
        named.push(id);
        *own = match (*change, *own) {
            (Change::AddVoter(_), Absent) | (Change::Promote(_), Learner) => Voter,
            (Change::AddLearner(_), Absent) | (Change::Demote(_), Voter) => Learner,
            (Change::Remove(_), Voter | Learner) => Absent,
            (Change::AddVoter(_) | Change::AddLearner(_), Voter | Learner) => {
                return Err(ChangeError::Exists(id));
            }
            (Change::Promote(_), Voter) => return Err(ChangeError::Votes(id)),
            (Change::Demote(_), Learner) => return Err(ChangeError::Learns(id)),
            (Change::Promote(_) | Change::Demote(_) | Change::Remove(_), Absent) => {
                return Err(ChangeError::Unknown(id));
            }
        };
    }
    if has_voter(&after) { Ok(after) } else { Err(ChangeError::NoVoters) }
}

/// Checks the configuration that leads from one to another.
fn check_step(before: &Standings, after: &Standings, step: &Membership) {
    let [old, new] = [before, after].map(|standings| standing_as(standings, Voter));
    let is_joint = old.symmetric_difference(&new).count() > 1 && !old.is_empty();
    assert_eq!(step.is_joint(), is_joint, "{before:?} to {after:?} by {step}");
    assert_eq!(*step.incoming(), new, "{before:?} to {after:?} by {step}");
    assert_eq!(step.leave(), simple(after), "{before:?} to {after:?} by {step}");
    if is_joint {
        assert_eq!(*step.outgoing(), old, "{before:?} to {after:?} by {step}");
        assert_eq!(step.change(&[Change::Remove(MemberId(0))]), Err(ChangeError::Joint));
        assert_eq!(step.change(&[]), Err(ChangeError::Empty));
    }
    for (id, (from, to)) in (0..).map(MemberId).zip(before.iter().zip(after)) {
        let votes = *to == Voter || is_joint && *from == Voter;
        assert_eq!(step.is_voter(id), votes, "{id} in {step}");
        assert_eq!(step.voters().any(|voter| voter == id), votes, "{id} in {step}");
        assert_eq!(step.will_vote(id), *to == Voter, "{id} in {step}");
        let learns = *to == Learner && !votes;
        assert_eq!(step.learners().contains(&id), learns, "{id} in {step}");
        assert_eq!(step.demoted().contains(&id), *to == Learner && votes, "{id} in {step}");
        assert_eq!(step.contains(id), votes || learns, "{id} in {step}");
        assert_eq!(step.members().contains(&id), votes || learns, "{id} in {step}");
    }
}

/// All sets of voters that decide, as the quorum itself says; of up to five members.
fn quorums(membership: &Membership) -> Vec<u32> {
    let says_yes = |yes: u32| move |id: MemberId| Some(yes >> id.0 & 1 == 1);
    (0..1 << 5)
        .filter(|yes| membership.quorum().vote_result(says_yes(*yes)) == VoteResult::Won)
        .collect()
}

fn always_share_a_member(one: &[u32], other: &[u32]) -> bool {
    one.iter().all(|some| other.iter().all(|others| some & others != 0))
}

#[test]
fn every_configuration_is_reached_from_every_other() {
    let all = all_standings(5);
    for before in &all {
        for after in all.iter().filter(|after| *after != before && has_voter(after)) {
            let mut changes = path(before, after);
            let step = simple(before).change(&changes).expect("the changes fit");
            check_step(before, after, &step);
            changes.reverse();
            assert_eq!(simple(before).change(&changes), Ok(step), "the order does not matter");
        }
    }
}

#[test]
fn every_list_of_changes_does_what_the_definition_says() {
    let kinds = [
        |_| None,
        |id| Some(Change::AddVoter(id)),
        |id| Some(Change::AddLearner(id)),
        |id| Some(Change::Promote(id)),
        |id| Some(Change::Demote(id)),
        |id| Some(Change::Remove(id)),
    ];
    let mut lists: Vec<Vec<Change>> = vec![Vec::new()];
    for id in (0..4).map(MemberId) {
        lists = lists
            .iter()
            .flat_map(|before| kinds.map(|kind| before.iter().copied().chain(kind(id)).collect()))
            .collect();
    }
    for before in all_standings(4) {
        let membership = simple(&before);
        for changes in lists.iter().filter(|changes| !changes.is_empty()) {
            let result = membership.change(changes);
            match change_by_definition(&before, changes) {
                Ok(after) => check_step(&before, &after, &result.expect("the changes fit")),
                Err(error) => assert_eq!(result, Err(error), "{membership} by {changes:?}"),
            }
        }
    }
}

#[test]
fn member_named_twice_is_refused() {
    let of = |id| {
        [
            Change::AddVoter(id),
            Change::AddLearner(id),
            Change::Promote(id),
            Change::Demote(id),
            Change::Remove(id),
        ]
    };
    let mut refused = 0;
    for before in all_standings(2) {
        let changes = [of(MemberId(0)), of(MemberId(1))].concat();
        for [first, second, third] in changes.iter().flat_map(|first| {
            changes.iter().flat_map(|second| changes.iter().map(|third| [*first, *second, *third]))
        }) {
            let list = [first, second, third];
            // Two members are named three times.
            let error = change_by_definition(&before, &list).expect_err("one is named twice");
            assert_eq!(simple(&before).change(&list), Err(error), "{before:?} by {list:?}");
            refused += u32::from(matches!(error, ChangeError::Twice(_)));
        }
    }
    assert!(refused > 100, "only {refused} lists got as far as the second mention");
}

#[test]
fn empty_list_is_refused() {
    assert_eq!(simple(&vec![Voter]).change(&[]), Err(ChangeError::Empty));
}

#[test]
fn quorums_before_and_after_each_step_share_a_member() {
    let all = all_standings(5);
    let (mut simple_steps, mut joint_steps) = (0, 0);
    let mut seen = BTreeSet::new();
    for before in all.iter().filter(|before| has_voter(before)) {
        for after in all.iter().filter(|after| *after != before && has_voter(after)) {
            if !seen.insert((standing_as(before, Voter), standing_as(after, Voter))) {
                continue;
            }
            let step = simple(before).change(&path(before, after)).expect("the changes fit");
            let [old, middle, new] = [&simple(before), &step, &step.leave()].map(quorums);
            assert!(always_share_a_member(&old, &middle), "{} to {step}", simple(before));
            assert!(always_share_a_member(&middle, &new), "{step} to {}", step.leave());
            assert!(!old.is_empty() && !middle.is_empty() && !new.is_empty(), "{step}");
            *(if step.is_joint() { &mut joint_steps } else { &mut simple_steps }) += 1;
        }
    }
    assert!(simple_steps > 50 && joint_steps > 500, "{simple_steps} and {joint_steps} steps");
}

#[test]
fn two_voters_in_one_step_would_not_do() {
    let [one, three] = [1, 3].map(|len| Membership::of_voters((1..=len).map(MemberId)));
    assert!(
        !always_share_a_member(&quorums(&one), &quorums(&three)),
        "m2 and m3 decide without m1, and m1 decided alone"
    );
}

#[test]
fn simple_configuration_is_its_own_successor() {
    for standings in all_standings(4) {
        let membership = simple(&standings);
        assert_eq!(membership.leave(), membership);
    }
}

#[test]
fn from_parts_takes_exactly_what_is_consistent() {
    let sets: Vec<BTreeSet<MemberId>> = (0_u64..8)
        .map(|mask| (0..3).filter(|id| mask >> id & 1 == 1).map(MemberId).collect())
        .collect();
    let mut taken = 0;
    for [incoming, outgoing, learners, demoted] in sets.iter().flat_map(|incoming| {
        let sets = &sets;
        sets.iter().flat_map(move |outgoing| {
            sets.iter().flat_map(move |learners| {
                sets.iter().map(move |demoted| [incoming, outgoing, learners, demoted])
            })
        })
    }) {
        let is_consistent = (0..3).map(MemberId).all(|id| {
            let votes = incoming.contains(&id) || outgoing.contains(&id);
            let learns_later = demoted.contains(&id);
            !(votes && learners.contains(&id))
                && (!learns_later || outgoing.contains(&id) && !incoming.contains(&id))
        }) && (outgoing.is_empty() || !incoming.is_empty());
        let parts = [incoming, outgoing, learners, demoted].map(Clone::clone);
        let [one, two, three, four] = parts.clone();
        let built = Membership::from_parts(one, two, three, four);
        assert_eq!(built.is_some(), is_consistent, "{parts:?}");
        if let Some(built) = built {
            let back = [built.incoming(), built.outgoing(), built.learners(), built.demoted()];
            assert_eq!(back.map(Clone::clone), parts, "the parts came back changed");
            taken += 1;
        }
    }
    assert!(taken > 100, "only {taken} were consistent");
}

#[test]
fn configurations_are_drawn() {
    let draw = |standings: Standings, changes: &[Change]| {
        let membership = simple(&standings);
        if changes.is_empty() {
            return membership.to_string();
        }
        membership.change(changes).expect("the changes fit").to_string()
    };
    let [m0, m3, m4] = [0, 3, 4].map(MemberId);
    let three = vec![Voter, Voter, Voter, Absent, Absent];
    assert_eq!(Membership::default().to_string(), "()");
    assert_eq!(draw(three.clone(), &[]), "(m0 m1 m2)");
    assert_eq!(draw(three.clone(), &[Change::AddLearner(m4)]), "(m0 m1 m2) learners(m4)");
    assert_eq!(
        draw(three.clone(), &[Change::AddVoter(m3), Change::Remove(m0)]),
        "(m1 m2 m3)&(m0 m1 m2)"
    );
    let swap = [Change::Demote(m0), Change::AddVoter(m3), Change::AddLearner(m4)];
    assert_eq!(draw(three, &swap), "(m1 m2 m3)&(m0 m1 m2) learners(m4) demoted(m0)");
}

#[test]
fn refusals_say_what_to_do() {
    let m1 = MemberId(1);
    for (error, text) in [
        (ChangeError::Empty, "no change was named: name at least one"),
        (ChangeError::Joint, "a change of several voters is under way: wait until it is left"),
        (ChangeError::Twice(m1), "m1 is named twice: name each member once"),
        (ChangeError::Exists(m1), "m1 is a member already"),
        (ChangeError::Unknown(m1), "m1 is not a member"),
        (ChangeError::Votes(m1), "m1 votes already: only a learner is promoted"),
        (ChangeError::Learns(m1), "m1 is a learner already"),
        (ChangeError::NoVoters, "nobody would be left to vote: keep at least one voter"),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn first_answer_of_a_voter_counts() {
    let membership = Membership::of_voters([1, 2, 3].map(MemberId));
    let mut ballots = Ballots::default();
    assert_eq!(ballots.result(&membership), VoteResult::Pending);
    ballots.record(MemberId(1), true);
    ballots.record(MemberId(1), false);
    ballots.record(MemberId(4), true);
    assert_eq!(ballots.result(&membership), VoteResult::Pending, "m4 does not vote");
    ballots.record(MemberId(2), true);
    assert_eq!(ballots.result(&membership), VoteResult::Won, "m1 said yes first");
    let mut ballots = Ballots::default();
    ballots.record(MemberId(1), false);
    ballots.record(MemberId(1), true);
    ballots.record(MemberId(2), false);
    assert_eq!(ballots.result(&membership), VoteResult::Lost, "m1 said no first");
}
