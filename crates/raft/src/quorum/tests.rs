//! Majorities against their definition, for all sets of up to five voters.
//!
//! A set of members is a bit mask here, so that the definitions share nothing with the code.

use super::*;

const MEMBERS: u64 = 5;
const SETS: usize = 1 << MEMBERS;

fn set(mask: usize) -> BTreeSet<MemberId> {
    (0..MEMBERS).filter(|member| mask >> member & 1 == 1).map(MemberId).collect()
}

fn sets() -> Vec<BTreeSet<MemberId>> {
    (0..SETS).map(set).collect()
}

fn joint<'a>(incoming: &'a BTreeSet<MemberId>, outgoing: &'a BTreeSet<MemberId>) -> Joint<'a> {
    Joint { incoming: Majority(incoming), outgoing: Majority(outgoing) }
}

fn bit(member: MemberId) -> usize {
    1 << member.0
}

/// All subsets of `mask` that hold more than half of its members; of nobody, nobody is enough.
fn majorities(mask: usize) -> Vec<usize> {
    (0..SETS)
        .filter(|part| part & !mask == 0)
        .filter(|part| mask == 0 || 2 * part.count_ones() > mask.count_ones())
        .collect()
}

/// For each set of voters, whether those who agree hold a majority of it, by who agrees.
fn agreements() -> Vec<Vec<bool>> {
    (0..SETS)
        .map(|voters| {
            let majorities = majorities(voters);
            let agrees = |who: usize| majorities.iter().any(|majority| majority & !who == 0);
            (0..SETS).map(agrees).collect()
        })
        .collect()
}

/// All ways to give each member one of `values`.
fn assignments<T: Copy>(values: &[T]) -> Vec<Vec<T>> {
    let mut all = vec![Vec::new()];
    for _ in 0..MEMBERS {
        all = all
            .iter()
            .flat_map(|before: &Vec<T>| {
                values.iter().map(|value| [before.as_slice(), &[*value]].concat())
            })
            .collect();
    }
    all
}

fn of<T: Copy>(assignment: &[T]) -> impl Fn(MemberId) -> T {
    |member| assignment[usize::try_from(member.0).expect("a small number")]
}

/// Who has a value that fits.
fn who<T: Copy>(assignment: &[T], fits: impl Fn(T) -> bool) -> usize {
    let fitting = (0..MEMBERS).map(MemberId).filter(|member| fits(of(assignment)(*member)));
    fitting.map(bit).sum()
}

/// More than any number that is assigned.
const EVERYTHING: u64 = 9;

#[test]
fn number_is_reached_when_a_majority_has_reached_it() {
    let (sets, agreements) = (sets(), agreements());
    let numbers = [None, Some(1), Some(2), Some(3)];
    for assignment in assignments(&numbers) {
        for (voters, agrees) in sets.iter().zip(&agreements) {
            let reached = |number| agrees[who(&assignment, |own| own >= Some(number))];
            let expected = [EVERYTHING, 3, 2, 1].into_iter().find(|number| reached(*number));
            let result = Majority(voters).reached(EVERYTHING, of(&assignment));
            assert_eq!(result, expected, "of {voters:?} with {assignment:?}");
        }
    }
}

#[test]
fn joint_number_is_reached_when_majorities_of_both_sets_have_reached_it() {
    let (sets, agreements) = (sets(), agreements());
    for assignment in assignments(&[None, Some(1), Some(2)]) {
        let reached: Vec<usize> = [EVERYTHING, 2, 1]
            .into_iter()
            .map(|number| who(&assignment, |own| own >= Some(number)))
            .collect();
        for (incoming, agrees_in) in sets.iter().zip(&agreements) {
            for (outgoing, agrees_out) in sets.iter().zip(&agreements) {
                let by_both = |who: &usize| agrees_in[*who] && agrees_out[*who];
                let expected = reached.iter().position(by_both).map(|at| [EVERYTHING, 2, 1][at]);
                let result = joint(incoming, outgoing).reached(EVERYTHING, of(&assignment));
                assert_eq!(result, expected, "{incoming:?} & {outgoing:?}, {assignment:?}");
            }
        }
    }
}

#[test]
fn vote_is_decided_when_silent_voters_cannot_change_it() {
    let (sets, agreements) = (sets(), agreements());
    for ballots in assignments(&[None, Some(false), Some(true)]) {
        let yes = who(&ballots, |ballot| ballot == Some(true));
        let no = who(&ballots, |ballot| ballot == Some(false));
        // Who may in the end have said yes.
        let outcomes: Vec<usize> =
            (0..SETS).filter(|end| yes & !end == 0 && end & no == 0).collect();
        for (incoming, agrees_in) in sets.iter().zip(&agreements) {
            for (outgoing, agrees_out) in sets.iter().zip(&agreements) {
                let wins = |end: &usize| agrees_in[*end] && agrees_out[*end];
                let expected = if wins(&yes) {
                    VoteResult::Won
                } else if !outcomes.iter().any(wins) {
                    VoteResult::Lost
                } else {
                    VoteResult::Pending
                };
                let result = joint(incoming, outgoing).vote_result(of(&ballots));
                assert_eq!(result, expected, "{incoming:?} & {outgoing:?}, {ballots:?}");
                if outgoing.is_empty() {
                    let alone = Majority(incoming).vote_result(of(&ballots));
                    assert_eq!(alone, expected, "{incoming:?}, {ballots:?}");
                }
            }
        }
    }
}

#[test]
fn further_acknowledgement_never_lowers_what_is_reached() {
    let sets = sets();
    for before in assignments(&[None, Some(1), Some(2)]) {
        for (member, number) in before.iter().enumerate() {
            let mut after = before.clone();
            after[member] = Some(number.map_or(1, |number| number + 1));
            for incoming in &sets {
                for outgoing in [0, 0b111, 0b11110].map(set) {
                    let quorum = joint(incoming, &outgoing);
                    let reached = quorum.reached(EVERYTHING, of(&before));
                    assert!(
                        quorum.reached(EVERYTHING, of(&after)) >= reached,
                        "{incoming:?} & {outgoing:?}: from {before:?} to {after:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn further_answer_never_changes_a_decision() {
    let sets = sets();
    for before in assignments(&[None, Some(false), Some(true)]) {
        for (member, answer) in before.iter().enumerate() {
            for further in [false, true] {
                let mut after = before.clone();
                after[member] = Some(further);
                for incoming in &sets {
                    for outgoing in [0, 0b111, 0b11110].map(set) {
                        let quorum = joint(incoming, &outgoing);
                        let stood = quorum.vote_result(of(&before));
                        let stands = quorum.vote_result(of(&after));
                        if answer.is_none() && stood != VoteResult::Pending {
                            assert_eq!(stands, stood, "{before:?} then {after:?}");
                        }
                        if further && stood == VoteResult::Won {
                            assert_eq!(stands, VoteResult::Won, "{before:?} then {after:?}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn any_two_quorums_of_a_configuration_share_a_voter() {
    let sets = sets();
    for incoming in &sets[1..] {
        for outgoing in &sets {
            let quorum = joint(incoming, outgoing);
            let wins = |yes: &usize| {
                quorum.vote_result(|member| Some(bit(member) & yes != 0)) == VoteResult::Won
            };
            let quorums: Vec<usize> = (0..SETS).filter(wins).collect();
            assert!(quorums.contains(&(SETS - 1)), "all together must be a quorum");
            for one in &quorums {
                for other in &quorums {
                    let shared = set(one & other);
                    assert!(
                        shared.iter().any(|id| incoming.contains(id) || outgoing.contains(id)),
                        "{incoming:?} & {outgoing:?}: {one:05b} and {other:05b} share nobody"
                    );
                }
            }
        }
    }
}

#[test]
fn what_needs_a_majority_is_reached_by_a_vote_for_it() {
    let sets = sets();
    for numbers in assignments(&[None, Some(1), Some(2)]) {
        for incoming in &sets {
            for outgoing in [0, 0b11, 0b1110].map(set) {
                let quorum = joint(incoming, &outgoing);
                let reached = quorum.reached(EVERYTHING, of(&numbers));
                for number in [1, 2, EVERYTHING] {
                    let ballot = |member| Some(of(&numbers)(member) >= Some(number));
                    let won = quorum.vote_result(ballot) == VoteResult::Won;
                    assert_eq!(won, reached >= Some(number), "{number} of {numbers:?}");
                }
            }
        }
    }
}

#[test]
fn more_voters_than_fit_on_the_stack_are_counted_too() {
    for voters_len in 8..=21 {
        let voters: BTreeSet<MemberId> = (1..=voters_len).map(MemberId).collect();
        let needed = Majority(&voters).needed() as u64;
        assert!(2 * needed > voters_len && 2 * (needed - 1) <= voters_len, "of {voters_len}");
        // Member n has reached n, so that the last members are the ones that have come furthest.
        let reached = Majority(&voters).reached(u64::MAX, |member| Some(member.0));
        assert_eq!(reached, Some(voters_len - needed + 1), "of {voters_len}");
        let few = Majority(&voters).reached(u64::MAX, |member| (member.0 < needed).then_some(7));
        assert_eq!(few, None, "one less than a majority of {voters_len} is none");
    }
}

#[test]
fn description_draws_each_voter() {
    let [three, two] = [0b111, 0b11000].map(set);
    let reached = of(&[Some(12), None, Some(5), Some(12), Some(7)]);
    assert_eq!(joint(&three, &set(0)).describe(&reached), "==> m0 12\n> m1 ?\n=> m2 5\nquorum: 5");
    assert_eq!(
        joint(&three, &two).describe(&reached),
        "===> m0 12 incoming\n> m1 ? incoming\n=> m2 5 incoming\n\
         ===> m3 12 outgoing\n==> m4 7 outgoing\nquorum: 5"
    );
    assert_eq!(
        joint(&set(0b10), &set(0b11)).describe(&reached),
        "=> m0 12 outgoing\n> m1 ? both\nquorum: nothing"
    );
    assert_eq!(joint(&set(0), &set(0)).describe(&reached), "quorum: everything");
}
