//! Histories drawn from a seed.

use crate::linearizability::{Op, Operation};

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What a history is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mix {
    pub(super) operations: u64,
    /// About how many operations are under way at a time.
    pub(super) overlap: u64,
    /// How many are never answered.
    pub(super) lost_percent: u64,
    /// How many are neither read nor write.
    pub(super) cas_percent: u64,
}

impl Mix {
    pub(super) fn draw(random: &mut Random, operations_max: u64) -> Mix {
        Mix {
            operations: 1 + random.below(operations_max),
            overlap: 1 + random.below(30),
            lost_percent: [0, 10, 30][usize::try_from(random.below(3)).unwrap()],
            cas_percent: [0, 20, 60][usize::try_from(random.below(3)).unwrap()],
        }
    }
}

/// Executes operations on a real register, one every ten units of time, and draws for each a call
/// before and a return after the moment at which it takes effect.
pub(super) fn execute(random: &mut Random, mix: Mix) -> Vec<Operation> {
    let mut value = None;
    let mut seen = vec![None];
    let mut history = Vec::new();
    for number in 1..=mix.operations {
        let effect = number * 10 + mix.overlap * 10;
        let call = effect - random.below(mix.overlap * 10);
        let is_lost = random.percent(mix.lost_percent);
        let takes_effect = !is_lost || random.percent(50);
        let op = if random.percent(mix.cas_percent) {
            let recent = seen.len() - 1 - usize::try_from(random.below(2)).unwrap() % seen.len();
            let expect = if random.percent(70) { value } else { seen[recent] };
            let succeeds = expect == value;
            if takes_effect && succeeds {
                value = Some(number);
            }
            let succeeded = (!is_lost).then_some(succeeds);
            Op::Cas { expect, value: number, succeeded }
        } else if random.percent(50) {
            if takes_effect {
                value = Some(number);
            }
            Op::Write { value: number }
        } else {
            Op::Read { value }
        };
        seen.push(value);
        let ret = (!is_lost).then(|| effect + random.below(mix.overlap * 10));
        history.push(Operation { client: number, call, ret, key: 1, op });
    }
    history
}

/// Lets one client have seen something else.
pub(super) fn mutate(random: &mut Random, history: &[Operation]) -> Vec<Operation> {
    let mut mutated = history.to_vec();
    let values = history.len() as u64;
    let place = usize::try_from(random.below(values)).unwrap();
    let other = Some(1 + random.below(values));
    match &mut mutated[place].op {
        Op::Read { value } => *value = other,
        Op::Cas { expect, succeeded: Some(true), .. } if other.is_some_and(|v| v % 2 == 0) => {
            *expect = other;
        }
        Op::Cas { succeeded: Some(succeeded), .. } => *succeeded = !*succeeded,
        Op::Cas { expect, succeeded: None, .. } => *expect = other,
        Op::Write { .. } => mutated[place].ret = Some(mutated[place].call),
    }
    mutated
}

/// Lets all clients have seen anything.
pub(super) fn scramble(random: &mut Random, history: &[Operation]) -> Vec<Operation> {
    let mut scrambled = history.to_vec();
    for operation in &mut scrambled {
        let any = random.below(history.len() as u64 + 1);
        let any = (any > 0).then_some(any);
        match &mut operation.op {
            Op::Read { value } => *value = any,
            Op::Cas { expect, succeeded, .. } => {
                *expect = any;
                if let Some(succeeded) = succeeded {
                    *succeeded = random.percent(50);
                }
            }
            Op::Write { .. } => {}
        }
    }
    scrambled
}
