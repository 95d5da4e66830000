//! Who of several operators works: the one who holds a Lease.
//!
//! Clocks are not compared. Another's lease has run out when its record was *seen* not to change
//! for as long as it says. Every write names the version that was read, so of two who write at
//! once one is refused. Whoever cannot renew in time must stop: see [`Keeper::hold`].

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

/// How long a lease is good after it was renewed.
const DURATION: Duration = Duration::from_secs(15);

/// Whoever could not renew for this long stops: earlier than anybody else may begin.
const RENEWAL_LIMIT: Duration = Duration::from_secs(10);

/// Between two looks at the lease.
const PERIOD: Duration = Duration::from_secs(2);

/// One who wants to hold a lease.
pub struct Keeper {
    api: Api<Lease>,
    name: String,
    identity: String,
    record: Record,
}

/// What was seen of the lease, and since when it has been so.
#[derive(Debug, Default)]
struct Record {
    seen: Option<(LeaseSpec, Instant)>,
}

/// What is to be done about a lease that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is ours.
    Ours,
    /// It is nobody's, or was not renewed in time.
    Free,
    /// It is another's.
    Taken,
}

impl Record {
    /// Judges what was read at `now`.
    fn judge(&mut self, spec: &LeaseSpec, identity: &str, now: Instant) -> Verdict {
        let since = match &self.seen {
            Some((before, since)) if before == spec => *since,
            Some(_) | None => {
                self.seen = Some((spec.clone(), now));
                now
            }
        };
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = seconds.map_or(DURATION, Duration::from_secs);
        if holder == identity {
            Verdict::Ours
        } else if holder.is_empty() || duration <= now.duration_since(since) {
            Verdict::Free
        } else {
            Verdict::Taken
        }
    }
}

impl Keeper {
    /// One who is called `identity`, which nobody else is.
    #[must_use]
    pub fn new(api: Api<Lease>, name: String, identity: String) -> Keeper {
        Keeper { api, name, identity, record: Record::default() }
    }

    /// Waits until the lease is ours.
    pub async fn acquire(&mut self) {
        loop {
            match self.attempt().await {
                Ok(true) => {
                    info!(lease = self.name, identity = self.identity, "holds the lease");
                    return;
                }
                Ok(false) => {}
                Err(error) => warn!(%error, lease = self.name, "the lease cannot be had"),
            }
            sleep(PERIOD).await;
        }
    }

    /// Renews the lease. Returns when it is lost, whereupon the process must end: somebody else may
    /// be at work.
    pub async fn hold(&mut self) {
        let mut renewed = Instant::now();
        while renewed.elapsed() < RENEWAL_LIMIT {
            sleep(PERIOD).await;
            let left = RENEWAL_LIMIT.saturating_sub(renewed.elapsed());
            let asked = Instant::now();
            match timeout(left, self.attempt()).await {
                Ok(Ok(true)) => renewed = asked,
                Ok(Ok(false)) if self.is_taken() => return,
                // Somebody wrote it between our look and our write: the next look tells who.
                Ok(Ok(false)) => debug!("the lease was written by somebody else meanwhile"),
                Ok(Err(error)) => warn!(%error, "the lease cannot be renewed"),
                Err(_) => return,
            }
        }
    }

    /// Whether it was another's when it was read last.
    fn is_taken(&self) -> bool {
        let holder =
            self.record.seen.as_ref().and_then(|(spec, _)| spec.holder_identity.as_deref());
        holder.is_some_and(|holder| holder != self.identity)
    }

    /// Gives the lease up, so that nobody has to wait for it.
    pub async fn release(&self) {
        let Ok(mut lease) = self.api.get(&self.name).await else { return };
        let Some(spec) = &mut lease.spec else { return };
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            return;
        }
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        let given = self.api.replace(&self.name, &PostParams::default(), &lease).await;
        match given {
            Ok(_) => info!(lease = self.name, "gave up the lease"),
            Err(error) => warn!(%error, "the lease could not be given up"),
        }
    }

    /// Takes or renews the lease if that may be. Returns whether it is ours then.
    async fn attempt(&mut self) -> Result<bool, kube::Error> {
        let now = MicroTime(Timestamp::now());
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            let mut spec = self.renewed(LeaseSpec::default(), &now);
            spec.acquire_time = Some(now);
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(spec) };
            return won(self.api.create(&PostParams::default(), &lease).await);
        };
        let before = lease.spec.take().unwrap_or_default();
        let verdict = self.record.judge(&before, &self.identity, Instant::now());
        let mut spec = self.renewed(before, &now);
        match verdict {
            Verdict::Taken => return Ok(false),
            Verdict::Ours => {}
            Verdict::Free => {
                spec.acquire_time = Some(now);
                spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0) + 1);
            }
        }
        lease.spec = Some(spec);
        won(self.api.replace(&self.name, &PostParams::default(), &lease).await)
    }

    fn renewed(&self, mut spec: LeaseSpec, now: &MicroTime) -> LeaseSpec {
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = Some(15);
        spec.renew_time = Some(now.clone());
        spec
    }
}

/// Somebody else was faster: that is an answer.
fn won<T>(outcome: Result<T, kube::Error>) -> Result<bool, kube::Error> {
    match outcome {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(holder: &str, renewals: i64) -> LeaseSpec {
        let at = Timestamp::from_second(renewals).expect("small");
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(at)),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_has_run_out_when_it_was_seen_not_to_change() {
        let mut record = Record::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        // However old it says it is.
        assert_eq!(record.judge(&spec("other", 0), "me", at(0)), Verdict::Taken);
        assert_eq!(record.judge(&spec("other", 0), "me", at(14)), Verdict::Taken);
        assert_eq!(record.judge(&spec("other", 1), "me", at(14)), Verdict::Taken, "renewed");
        assert_eq!(record.judge(&spec("other", 1), "me", at(28)), Verdict::Taken);
        assert_eq!(record.judge(&spec("other", 1), "me", at(29)), Verdict::Free);
    }

    #[test]
    fn a_lease_that_was_given_up_is_free() {
        let mut record = Record::default();
        assert_eq!(record.judge(&spec("", 0), "me", Instant::now()), Verdict::Free);
        assert_eq!(record.judge(&spec("me", 0), "me", Instant::now()), Verdict::Ours);
    }

    #[test]
    fn who_cannot_renew_stops_before_another_begins() {
        assert!(RENEWAL_LIMIT + PERIOD < DURATION);
    }
}
