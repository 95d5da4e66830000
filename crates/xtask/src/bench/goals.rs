//! What must be reached, as a ratio to etcd or by itself.

use crate::bench::metric;
use crate::bench::samples::Samples;

/// A goal.
pub(super) struct Goal {
    pub(super) title: &'static str,
    pub(super) case: &'static str,
    pub(super) metric: &'static str,
    pub(super) must: Must,
}

/// How a figure is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Must {
    /// The second side's median divided by the first's.
    RatioAtLeast(f64),
    RatioAtMost(f64),
    /// The second side's worst round.
    AtMost(f64),
}

/// How a goal came out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    Met,
    /// The figure that was found would have to change by this factor.
    Missed(f64),
    /// There are no figures.
    NotMeasured,
}

/// All goals.
pub(super) const GOALS: &[Goal] = &[
    at_least("put, 3 members, 100 clients", "put-3-100", metric::RATE, 3.0),
    at_least("put, 3 members, 1000 clients", "put-3-1000", metric::RATE, 2.5),
    at_least("put, 3 members, 1 client", "put-3-1", metric::RATE, 1.7),
    at_least("put, 1 member, 1 client", "put-1-1", metric::RATE, 1.6),
    at_least("put, 1 member, 100 clients", "put-1-100", metric::RATE, 2.5),
    at_least("put, 1 member, 1000 clients", "put-1-1000", metric::RATE, 2.5),
    at_most("server CPU per put, 3 members", "put-3-100", metric::SERVER_CPU, 0.25),
    at_least("serializable range, 1 member", "ser-1-100", metric::RATE, 1.8),
    at_least("serializable range, 3 members", "ser-3-100", metric::RATE, 1.8),
    at_most("server CPU per serializable range", "ser-1-100", metric::SERVER_CPU, 0.25),
    at_least("linearizable range, 3 members", "lin-3-100", metric::RATE, 2.2),
    at_most("range limit=100 over 1 M keys", "large", "limit100_ms", 0.01),
    at_most("range count-only over 1 M keys", "large", "count_ms", 0.01),
    at_least("txn of 1 put, 3 members", "txn-put-3-100", metric::RATE, 3.0),
    at_least("watch, 1000 watchers, events", "watch-1", metric::RATE, 1.4),
    at_most("server CPU per event", "watch-1", metric::SERVER_CPU, 0.25),
    at_least("lease keepalive, 1 member", "keepalive-1", metric::RATE, 1.6),
    at_least("lease keepalive, 3 members", "keepalive-3", metric::RATE, 1.6),
    at_most("server CPU per keepalive", "keepalive-1", metric::SERVER_CPU, 1.0 / 3.0),
    at_most("RSS at 1 M keys", "large", metric::RSS, 0.9),
    at_most("device bytes per put, 3 members", "put-3-100", metric::DEVICE_BYTES, 0.6),
    at_most("device bytes per put, 1 member", "put-1-100", metric::DEVICE_BYTES, 0.6),
    at_most("restart with 1 M keys", "large", "restart_s", 1.0 / 3.0),
    at_most("restart with 1 M keys after kill -9", "large", "crash_restart_s", 1.0 / 3.0),
    Goal {
        title: "outage after kill -9 of the leader, p99",
        case: "failover",
        metric: "outage_p99_ms",
        must: Must::AtMost(500.0),
    },
    Goal {
        title: "outage after SIGSTOP of the leader, p99",
        case: "silence",
        metric: "outage_p99_ms",
        must: Must::AtMost(1000.0),
    },
    Goal {
        title: "p99.9 of put during compactions / quiet",
        case: "disturbed",
        metric: "compaction_factor",
        must: Must::AtMost(2.0),
    },
    Goal {
        title: "memory per idle connection that watches",
        case: "idle",
        metric: "connection_kb",
        must: Must::AtMost(12.0),
    },
];

const fn at_least(
    title: &'static str,
    case: &'static str,
    metric: &'static str,
    ratio: f64,
) -> Goal {
    Goal { title, case, metric, must: Must::RatioAtLeast(ratio) }
}

const fn at_most(
    title: &'static str,
    case: &'static str,
    metric: &'static str,
    ratio: f64,
) -> Goal {
    Goal { title, case, metric, must: Must::RatioAtMost(ratio) }
}

impl Goal {
    /// Judges what the second of `sides` did beside the first.
    pub(super) fn judge(&self, samples: &Samples, sides: [&str; 2]) -> Verdict {
        let ratio = samples.ratio(self.case, sides, self.metric).map(|ratio| ratio.median);
        let worst = samples.spread(self.case, sides[1], self.metric).map(|spread| spread.max);
        let (factor, is_met) = match (self.must, ratio, worst) {
            (Must::RatioAtLeast(must), Some(ratio), _) => (must / ratio, ratio >= must),
            (Must::RatioAtMost(must), Some(ratio), _) => (must / ratio, ratio <= must),
            (Must::AtMost(must), _, Some(worst)) => (must / worst, worst <= must),
            (Must::RatioAtLeast(_) | Must::RatioAtMost(_), None, _)
            | (Must::AtMost(_), _, None) => return Verdict::NotMeasured,
        };
        if is_met { Verdict::Met } else { Verdict::Missed(factor) }
    }

    /// The goal as a person reads it.
    pub(super) fn shown(&self) -> String {
        let unit = metric::find(self.metric).map_or(metric::Unit::Count, |metric| metric.unit);
        match self.must {
            Must::RatioAtLeast(must) => format!("≥ {}x", metric::significant(must)),
            Must::RatioAtMost(must) => format!("≤ {}x", metric::significant(must)),
            Must::AtMost(must) => format!("≤ {}", unit.show(must)),
        }
    }
}

impl Verdict {
    /// The verdict as a person reads it.
    pub(super) fn shown(self) -> String {
        match self {
            Verdict::Met => "met".to_owned(),
            Verdict::Missed(factor) => {
                format!(
                    "**missed**, by a factor of {}",
                    metric::significant(factor.max(1.0 / factor))
                )
            }
            Verdict::NotMeasured => "not measured".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::cases;
    use crate::bench::samples::tests::sample;

    #[test]
    fn goals_name_cases_and_metrics_that_exist() {
        for goal in GOALS {
            assert!(cases::find(goal.case).is_some(), "{} names no case", goal.title);
            assert!(metric::find(goal.metric).is_some(), "{} names no metric", goal.title);
        }
    }

    #[test]
    fn goal_is_judged_by_the_ratio_or_by_the_worst_round() {
        let mut samples = Samples::default();
        for (round, outage) in [(1, 300.0), (2, 1000.0)] {
            samples.add(sample("put-3-100", "etcd", round, &[("rate", 10.0)]));
            samples.add(sample("put-3-100", "ours", round, &[("rate", 20.0)]));
            samples.add(sample("failover", "ours", round, &[("outage_p99_ms", outage)]));
        }
        let judged = |title: &str| {
            let goal = GOALS.iter().find(|goal| goal.title.starts_with(title)).unwrap();
            goal.judge(&samples, ["etcd", "ours"])
        };
        assert_eq!(judged("put, 3 members, 100"), Verdict::Missed(1.5));
        assert_eq!(judged("outage"), Verdict::Missed(0.5));
        assert_eq!(judged("txn"), Verdict::NotMeasured);
        assert_eq!(Verdict::Missed(0.5).shown(), "**missed**, by a factor of 2.00");
    }
}
