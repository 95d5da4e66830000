//! Going back to the version before.

use etcd_api::etcdserverpb as api;
use etcd_api::etcdserverpb::downgrade_request::DowngradeAction as Action;
use replica::Published;
use store::Command;
use tonic::{Request, Status};

use super::MaintenanceService;
use crate::service::door::Learner;
use crate::status::{Refusal, refused};

/// A version of the cluster: the patch plays no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ClusterVersion {
    major: u64,
    minor: u64,
}

impl ClusterVersion {
    /// Reads `X.Y` or `X.Y.Z`; behind the latter may be what semantic versioning allows.
    fn parse(text: &str) -> Option<ClusterVersion> {
        let (core, _build) = text.split_once('+').unwrap_or((text, ""));
        let (core, _pre_release) = core.split_once('-').unwrap_or((core, ""));
        let numbers: Vec<u64> = core.split('.').map(number).collect::<Option<_>>()?;
        match numbers[..] {
            [major, minor] if core == text => Some(ClusterVersion { major, minor }),
            [major, minor, _patch] => Some(ClusterVersion { major, minor }),
            _ => None,
        }
    }

    /// Returns the one version to which the cluster may go back.
    fn before(self) -> Option<ClusterVersion> {
        Some(ClusterVersion { minor: self.minor.checked_sub(1)?, ..self })
    }

    fn to_command(self) -> String {
        format!("{}.{}.0", self.major, self.minor)
    }

    fn to_answer(self) -> String {
        format!("{}.{}", self.major, self.minor)
    }
}

fn number(text: &str) -> Option<u64> {
    let is_canonical = text == "0" || !text.starts_with('0');
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_canonical && is_digits).then(|| text.parse().ok())?
}

impl MaintenanceService {
    pub(super) async fn change_version(
        &self,
        request: Request<api::DowngradeRequest>,
    ) -> Result<api::DowngradeResponse, Status> {
        self.door.enter(request.metadata(), Learner::Refuses).await?;
        let api::DowngradeRequest { action, version } = request.into_inner();
        let version = match Action::try_from(action) {
            Ok(Action::Validate) => self.validate(&version).await?.0,
            Ok(Action::Enable) => {
                let (version, target) = self.validate(&version).await?;
                self.propose_downgrade(Some(target.to_command())).await?;
                version
            }
            Ok(Action::Cancel) => {
                let published = self.door.handle().read_index().await.map_err(refused)?;
                // Where there is nothing to take back, etcd says nothing.
                if published.downgrade.is_some() {
                    self.propose_downgrade(None).await?;
                }
                version_of(&published)?
            }
            Err(_) => return Err(Refusal::UnknownMethod.into()),
        };
        let header = self.door.header(&self.door.handle().published());
        let version = version.to_answer();
        Ok(api::DowngradeResponse { header: Some(header.message()), version })
    }

    /// Looks whether the cluster could go back, and returns from where and to where.
    async fn validate(&self, text: &str) -> Result<(ClusterVersion, ClusterVersion), Status> {
        let target = ClusterVersion::parse(text).ok_or(Refusal::WrongDowngradeVersion)?;
        let published = self.door.handle().read_index().await.map_err(refused)?;
        let version = version_of(&published)?;
        if Some(target) != version.before() {
            return Err(Refusal::InvalidDowngradeTarget.into());
        }
        if published.downgrade.is_some() {
            return Err(Refusal::DowngradeInProgress.into());
        }
        Ok((version, target))
    }

    async fn propose_downgrade(&self, target: Option<String>) -> Result<(), Status> {
        let command = Command::Downgrade { target };
        let done = self.door.handle().propose(command).await.map_err(refused)?;
        done.applied.result.map(|_| ()).map_err(refused)
    }
}

fn version_of(published: &Published) -> Result<ClusterVersion, Status> {
    let version = ClusterVersion::parse(&published.cluster_version);
    version.ok_or_else(|| Refusal::ClusterVersionUnavailable.into())
}

/// Returns the version that reads what is stored: that of the cluster, without its patch.
pub(super) fn storage_version(published: &Published) -> String {
    version_of(published).map_or(String::new(), ClusterVersion::to_command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_has_two_or_three_numbers() {
        for text in ["3.6", "3.6.0", "3.6.7", "3.6.0-alpha.1", "3.6.1+build"] {
            let version = ClusterVersion::parse(text);
            assert_eq!(version, Some(ClusterVersion { major: 3, minor: 6 }), "{text}");
        }
        for text in ["", "3", "3.", "3.6.", "v3.6", "3.06", "3.6.0.1", "3.6-alpha", "a.b"] {
            assert_eq!(ClusterVersion::parse(text), None, "{text}");
        }
    }

    #[test]
    fn cluster_goes_back_one_minor_version() {
        let version = ClusterVersion { major: 3, minor: 7 };
        assert_eq!(version.before().unwrap().to_answer(), "3.6");
        assert_eq!(ClusterVersion { major: 4, minor: 0 }.before(), None);
    }
}
