//! How a member without data comes to know who it is.
//!
//! ```text
//!   new       compute all IDs ─► has a peer that runs met me before? ─ none ───► found the cluster
//!   existing  ask peers for the members ─► find myself ─► claim the ID ────────► wait for an image
//!   join      the same, but ask for ever, until I am admitted, or told to found
//! ```
//!
//! An ID is held once. A member whose data was lost may have voted or acknowledged under
//! its old ID; it never starts under it again. To join, the cluster must have written down that the
//! ID is held before the first byte is stored here; if that succeeds and the answer is lost, the ID
//! is wasted, and the member is removed and added again. To found, every peer that runs must have
//! said that it has not met this member, however long that takes; a peer that does not run is not
//! waited for, and refuses a second life when it runs (module `peer::lives`).

use std::io;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use etcd_api::holdfast::{FormRequest, FormResponse};
use raft::{MemberId, Membership};
use replica::Genesis;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tonic::Status;
use tracing::{info, warn};

use super::admission::{Orders, first_members};
use crate::bootstrap::{
    Admission, RemoteCluster, RemoteMember, admission, find_by_peer_urls, founding, resolve,
};
use crate::config::{ClusterStart, Config, Url, joined};
use crate::dice::jitter;
use crate::peer::{CallError, ClientTls, Hello, Purpose, Roster, Verdict, call};

/// Between two rounds of asking peers.
const ROUND_PAUSE: Duration = Duration::from_millis(300);

/// Before a member that founds a cluster asks a peer for the second time; the pause doubles, up to
/// that between rounds.
const FOUNDING_PAUSE: Duration = Duration::from_millis(20);

/// How often a member that founds a cluster tries to reach a peer that seems to be cut off.
const FOUNDING_ATTEMPTS_MAX: u32 = 3;

/// What is to be done with a member whose data was lost.
pub(super) const REPLACE: &str = "start it with its data, or remove it from the cluster, add it \
                                  again, and start it with --initial-cluster-state=existing";

/// How many rounds a member that was added may ask in vain before it gives up.
const ROUNDS_MAX: u32 = 60;

/// Who a member is, and how its state begins.
#[derive(Debug)]
pub(crate) struct Birth {
    pub(crate) member_id: u64,
    pub(crate) genesis: Genesis,
    /// Whoever ordered it, and waits to hear that it is done.
    pub(crate) order: Option<oneshot::Sender<Result<FormResponse, Status>>>,
}

/// Finds out who this member is. One that joins hears `orders` meanwhile.
///
/// # Errors
///
/// If it cannot start; the text says what to do.
pub(crate) async fn birth(
    config: &Config,
    tls: Option<&ClientTls>,
    orders: Option<Orders>,
) -> Result<Birth> {
    match &config.cluster.start {
        ClusterStart::New => found(config, tls).await,
        ClusterStart::Existing => {
            let others = config.cluster.initial.peer_urls_of_others(&config.name);
            let others: Vec<Url> = others.cloned().collect();
            existing(config, tls, &others).await
        }
        ClusterStart::Join(peers) => {
            let orders = orders.expect("who joins can be ordered to found");
            join(config, tls, peers, orders).await
        }
    }
}

async fn found(config: &Config, tls: Option<&ClientTls>) -> Result<Birth> {
    let founding = founding(config, &mut resolve)?;
    let others = config.cluster.initial.peer_urls_of_others(&config.name);
    let (cluster_id, member_id) = (founding.cluster_id, founding.member_id);
    let hello = Hello::to_member(Purpose::Founding, cluster_id, member_id, 0);
    let mut asked = JoinSet::new();
    for url in others.cloned() {
        let (tls, hello) = (tls.cloned(), hello.clone());
        asked.spawn(async move { (has_met(&url, tls.as_ref(), &hello).await, url) });
    }
    while let Some(answered) = asked.join_next().await {
        let (has_met, url) = answered?;
        if has_met {
            bail!(
                "member {member_id:x} has already been bootstrapped, says {url}, and its data is \
                 not in {}: {REPLACE}",
                config.data_dir.display()
            );
        }
    }
    let voters = founding.members.keys().map(|id| MemberId(*id));
    let genesis = Genesis::Founded {
        cluster_id: founding.cluster_id,
        membership: Membership::of_voters(voters),
        members: founding.members,
    };
    Ok(Birth { member_id: founding.member_id, genesis, order: None })
}

/// Asks a peer whether it has met the member that founds, until it says so, or evidently does not
/// run: nobody but it may know what this member has promised.
async fn has_met(url: &Url, tls: Option<&ClientTls>, hello: &Hello) -> bool {
    let (mut failures, mut pause) = (0, FOUNDING_PAUSE);
    for attempt in 1_u32.. {
        match call(url, tls, hello).await {
            Ok((_, Verdict::NotYours | Verdict::Removed)) => return true,
            Ok((_, Verdict::NotReady)) | Err(CallError::Timeout { .. }) => {}
            Ok((_, _)) | Err(CallError::Foreign { .. }) => return false,
            Err(CallError::Unreachable { source, .. }) if is_nobody(&source) => return false,
            Err(error) => {
                failures += 1;
                if failures == FOUNDING_ATTEMPTS_MAX {
                    warn!(%error, "a peer cannot be asked whether this member has run before");
                    return false;
                }
            }
        }
        if attempt.is_power_of_two() {
            let peer = url.as_str();
            info!(peer, attempt, "waits for a peer to say whether this member has run before");
        }
        sleep(jitter(pause)).await;
        pause = (pause * 2).min(ROUND_PAUSE);
    }
    false
}

/// Tells whether a call failed because nobody listens there.
fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
}

/// Founds a cluster as an order says.
async fn found_by_order(
    config: &Config,
    tls: Option<&ClientTls>,
    request: &FormRequest,
) -> Result<Birth, Status> {
    if request.token != config.cluster.token {
        return Err(Status::permission_denied(
            "the token is not this member's: give what it has as --initial-cluster-token",
        ));
    }
    let mut config = config.clone();
    config.cluster.initial = first_members(request)?;
    config.cluster.start = ClusterStart::New;
    found(&config, tls).await.map_err(|error| Status::failed_precondition(format!("{error:#}")))
}

async fn existing(config: &Config, tls: Option<&ClientTls>, others: &[Url]) -> Result<Birth> {
    for round in 1..=ROUNDS_MAX {
        for url in others {
            let Some(roster) = ask(url, tls).await else { continue };
            let admission = admission(config, &remote_cluster(&roster), &mut resolve)?;
            match claim(config, tls, url, admission).await? {
                Claimed::Held => return Ok(joining(admission)),
                Claimed::Refused => bail!(
                    "member {:x} has run before, says {url}, and its data is not in {}: start it \
                     with its data, or remove it from the cluster and add it again",
                    admission.member_id,
                    config.data_dir.display()
                ),
                Claimed::Later => {}
            }
        }
        if round == 1 {
            info!(peers = joined(others), "waits for a member of the cluster to answer");
        }
        sleep(jitter(ROUND_PAUSE)).await;
    }
    bail!(
        "could not retrieve cluster information from the given URLs {}: none of them answers as a \
         member of a cluster with a leader; check --initial-cluster",
        joined(others)
    )
}

async fn join(
    config: &Config,
    tls: Option<&ClientTls>,
    peers: &[String],
    mut orders: Orders,
) -> Result<Birth> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let urls = peers.iter().map(|peer| {
        let text = if peer.contains("://") { peer.clone() } else { format!("{scheme}://{peer}") };
        Url::parse(&text).map_err(|error| anyhow!("--join wants addresses of peers: {error}"))
    });
    let urls = urls.collect::<Result<Vec<Url>>>()?;
    loop {
        let why = match join_round(config, tls, &urls).await? {
            Ok(birth) => return Ok(birth),
            Err(why) => why,
        };
        if orders.wait_for(&why) {
            info!(why, "awaiting admission");
        }
        let order = tokio::select! {
            () = sleep(jitter(ROUND_PAUSE)) => continue,
            order = orders.next() => order,
        };
        match found_by_order(config, tls, &order.request).await {
            Ok(birth) => return Ok(Birth { order: Some(order.outcome), ..birth }),
            Err(status) => {
                warn!(error = status.message(), "was told to found a cluster, and cannot");
                // Whoever has gone does not want it any more.
                drop(order.outcome.send(Err(status)));
            }
        }
    }
}

/// Asks everybody once. The inner error says what is waited for.
async fn join_round(
    config: &Config,
    tls: Option<&ClientTls>,
    urls: &[Url],
) -> Result<Result<Birth, String>> {
    let mut why = "no peer answers as a member of a cluster with a leader".to_owned();
    for url in urls {
        let Some(roster) = ask(url, tls).await else { continue };
        let cluster = remote_cluster(&roster);
        let own = &config.urls.advertise_peer;
        let Some(me) = find_by_peer_urls(&cluster, own, &mut resolve) else {
            why = format!(
                "cluster {:x} has no member at {}: add it",
                cluster.cluster_id,
                joined(own)
            );
            continue;
        };
        let admission = Admission { cluster_id: cluster.cluster_id, member_id: me.id };
        match claim(config, tls, url, admission).await? {
            Claimed::Held => return Ok(Ok(joining(admission))),
            Claimed::Refused => {
                why = format!(
                    "member {:x} has run before and its data is not here: remove it from the \
                     cluster, and add it again; or it is one of the first members: tell it to \
                     found the cluster, as the others were told",
                    me.id
                );
            }
            Claimed::Later => {}
        }
    }
    Ok(Err(why))
}

fn joining(admission: Admission) -> Birth {
    let genesis = Genesis::Joining { cluster_id: admission.cluster_id };
    Birth { member_id: admission.member_id, genesis, order: None }
}

/// Asks one address for the members of its cluster; `None` if it does not tell.
async fn ask(url: &Url, tls: Option<&ClientTls>) -> Option<Roster> {
    match call(url, tls, &Hello::who_is_there()).await {
        Ok((_, Verdict::Members(roster))) => Some(roster),
        Ok((_, _)) => None,
        Err(error) => {
            tracing::debug!(%error, "a peer was asked for the members and does not answer");
            None
        }
    }
}

enum Claimed {
    /// The cluster has written down that this member runs now.
    Held,
    /// The ID was held before.
    Refused,
    /// It could not be written down, or it is not known whether it was.
    Later,
}

async fn claim(
    config: &Config,
    tls: Option<&ClientTls>,
    url: &Url,
    admission: Admission,
) -> Result<Claimed> {
    let mut hello = Hello::to_member(Purpose::Claim, admission.cluster_id, admission.member_id, 0);
    hello.name = config.name.clone();
    hello.urls = config.urls.advertise_client.iter().map(Url::to_string).collect();
    Ok(match call(url, tls, &hello).await {
        Ok((_, Verdict::Welcome)) => Claimed::Held,
        Ok((_, Verdict::NotYours | Verdict::Removed)) => Claimed::Refused,
        Ok((_, Verdict::OtherCluster { cluster_id })) => {
            bail!("{url} has become a member of another cluster, {cluster_id:x}")
        }
        Ok((
            _,
            Verdict::OtherMember { .. }
            | Verdict::Members(_)
            | Verdict::NotReady
            | Verdict::Stranger,
        )) => Claimed::Later,
        Err(error) => {
            warn!(%error, "a claim was not answered");
            Claimed::Later
        }
    })
}

fn remote_cluster(roster: &Roster) -> RemoteCluster {
    let members = roster.members.iter().map(|member| RemoteMember {
        id: member.id,
        name: member.attributes.name.clone(),
        peer_urls: member.attributes.peer_urls.clone(),
        is_learner: member.is_learner,
    });
    RemoteCluster { cluster_id: roster.cluster_id, members: members.collect() }
}
