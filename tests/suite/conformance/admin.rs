//! Commands of scripts that are about members, and about the state of one.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use etcd_api::etcdserverpb as pb;
use etcd_api::health::HealthCheckRequest;
use pb::alarm_request::AlarmAction;
use pb::downgrade_request::DowngradeAction;
use tests::{Client, Cluster, wait};

use super::words::{Words, parse_number};
use crate::draw;

/// How long a change of leaders or members may take to be seen.
const CHANGE_MAX: Duration = Duration::from_secs(20);
/// What is said of a cluster whose members were not connected for long enough.
const UNHEALTHY: &str = "etcdserver: unhealthy cluster";
/// A snapshot ends with a SHA-256 sum.
const SUM_LEN: usize = 32;

/// Executes a command, and draws what came of it.
pub(super) async fn request(
    cluster: &Cluster,
    name: &str,
    words: &mut Words,
    client: &Client,
) -> Result<String> {
    match name {
        "members" | "member-add" | "member-remove" | "member-update" | "member-promote" => {
            members(cluster, name, words, client).await
        }
        "move-leader" => {
            let target_id = identity(cluster, client, &words.need("a member")?).await?;
            let result =
                client.maintenance().move_leader(pb::MoveLeaderRequest { target_id }).await;
            Ok(draw::result(&result, |_| "moved".to_owned()))
        }
        "settled" => {
            let settled = wait::until_async("a leader that is known", CHANGE_MAX, async || {
                client.range("settled").await.ok().map(|_| ())
            });
            settled.await.map(|()| String::new())
        }
        "leaderless" => {
            let lost = wait::until_async("a leader that is gone", CHANGE_MAX, async || {
                client.status().await.ok().filter(|status| status.leader == 0).map(|_| ())
            });
            lost.await.map(|()| String::new())
        }
        "leader" => Ok(format!("member {}", cluster.leader().await?)),
        "alarm" => alarm(cluster, words, client).await,
        "downgrade" => downgrade(words, client).await,
        "status" => Ok(draw::result(&client.status().await, draw::member_status)),
        "hashkv" => hash_kv(cluster, words).await,
        "hash" => {
            let result = client.maintenance().hash(pb::HashRequest {}).await;
            Ok(draw::result(&result, |_| "a hash".to_owned()))
        }
        "defragment" => {
            let result = client.maintenance().defragment(pb::DefragmentRequest {}).await;
            Ok(draw::result(&result, |_| "done".to_owned()))
        }
        "snapshot" => snapshot(client).await,
        "health" => {
            let service = words.next().unwrap_or_default();
            let result = client.health().check(HealthCheckRequest { service }).await;
            Ok(draw::result(&result, |r| format!("status {}", r.get_ref().status)))
        }
        other => bail!("nobody knows the command `{other}`"),
    }
}

/// Returns a member that does not lead.
pub(super) async fn follower(cluster: &Cluster) -> Result<usize> {
    let leader = cluster.leader().await?;
    (0..cluster.members_len()).find(|at| *at != leader).context("a cluster of one has no followers")
}

/// Returns the number by which a cluster knows a member: that of `m1`, of `leader` or `follower`,
/// of the one with this peer URL, or the number itself.
async fn identity(cluster: &Cluster, client: &Client, word: &str) -> Result<u64> {
    let word = match word {
        "leader" => &format!("m{}", cluster.leader().await?),
        "follower" => &format!("m{}", follower(cluster).await?),
        other => other,
    };
    if let Ok(number) = word.parse() {
        return Ok(number);
    }
    let url = match word.strip_prefix('m').and_then(|at| at.parse().ok()) {
        Some(at) if at < cluster.members_len() => cluster.peer_url(at),
        _ => word.to_owned(),
    };
    let members = client.members().await?;
    let found =
        members.iter().find(|member| member.name == word || member.peer_ur_ls.contains(&url));
    found.map(|member| member.id).with_context(|| format!("no member is called {word}"))
}

/// Returns the numbers that stand for the words `$m0`, `$leader`, `$follower` and so on, as far as
/// the first member knows of them.
pub(super) async fn identities(cluster: &Cluster) -> Result<Vec<(String, String)>> {
    let client = cluster.client(0)?;
    // Not by a quorum, which there may be none of.
    let request = pb::MemberListRequest { linearizable: false };
    let Ok(listed) = client.cluster().member_list(request).await else { return Ok(Vec::new()) };
    let listed = listed.into_inner().members;
    let leader = client.status().await.map_or(0, |status| status.leader);
    let follower = listed.iter().find(|member| member.id != leader && !member.is_learner);
    let mut named = vec![("$leader".to_owned(), format!("{leader:x}"))];
    named.extend(follower.map(|member| ("$follower".to_owned(), format!("{:x}", member.id))));
    for at in 0..cluster.members_len() {
        let url = cluster.peer_url(at);
        let name = format!("m{at}");
        let is_it = |it: &&pb::Member| it.name == name || it.peer_ur_ls.contains(&url);
        let member = listed.iter().find(is_it);
        named.extend(member.map(|member| (format!("${name}"), format!("{:x}", member.id))));
        named.push((format!("$peer{at}"), url));
    }
    Ok(named)
}

/// Returns the peer URL of member `m1`, or the word itself; `-` is none.
fn urls(cluster: &Cluster, word: &str) -> Vec<String> {
    match word.strip_prefix('m').and_then(|at| at.parse().ok()) {
        Some(at) if at < cluster.members_len() => vec![cluster.peer_url(at)],
        _ if word == "-" => vec![],
        _ => vec![word.to_owned()],
    }
}

async fn members(
    cluster: &Cluster,
    name: &str,
    words: &mut Words,
    client: &Client,
) -> Result<String> {
    let mut service = client.cluster();
    if name == "members" {
        return Ok(draw::result(&client.members().await, |list| draw::members(list)));
    }
    let who = words.need("a member")?;
    if name == "member-add" {
        let (is_learner, at_once) = (words.has("learner"), words.has("at_once"));
        let request = pb::MemberAddRequest { peer_ur_ls: urls(cluster, &who), is_learner };
        // etcd calls a cluster unhealthy until its members were connected for five seconds.
        let result = wait::until_async("a cluster that is healthy", CHANGE_MAX, async || {
            let result = service.member_add(request.clone()).await;
            let waits =
                !at_once && result.as_ref().is_err_and(|status| status.message() == UNHEALTHY);
            (!waits).then_some(result)
        });
        let result = result.await?;
        return Ok(draw::result(&result, |r| {
            let added = r.get_ref().member.clone().into_iter().collect::<Vec<_>>();
            format!("added {} to {}", draw::members(&added), draw::members(&r.get_ref().members))
        }));
    }
    let id = identity(cluster, client, &who).await?;
    Ok(match name {
        "member-remove" => {
            let result = service.member_remove(pb::MemberRemoveRequest { id }).await;
            draw::result(&result, |r| draw::members(&r.get_ref().members))
        }
        "member-update" => {
            let peer_ur_ls = urls(cluster, &words.need("a URL")?);
            let result = service.member_update(pb::MemberUpdateRequest { id, peer_ur_ls }).await;
            draw::result(&result, |r| draw::members(&r.get_ref().members))
        }
        _ if words.has("when_ready") => {
            let promoted = wait::until_async("a learner to be ready", CHANGE_MAX, async || {
                service.member_promote(pb::MemberPromoteRequest { id }).await.ok()
            });
            draw::members(&promoted.await?.get_ref().members)
        }
        _ => {
            let result = service.member_promote(pb::MemberPromoteRequest { id }).await;
            draw::result(&result, |r| draw::members(&r.get_ref().members))
        }
    })
}

/// `alarm get|activate|deactivate [NAME] [MEMBER]`
async fn alarm(cluster: &Cluster, words: &mut Words, client: &Client) -> Result<String> {
    let action = match words.need("an action")?.as_str() {
        "get" => AlarmAction::Get,
        "activate" => AlarmAction::Activate,
        "deactivate" => AlarmAction::Deactivate,
        other => bail!("`{other}` is not get, activate or deactivate"),
    };
    let kind = words.next().unwrap_or_else(|| "NONE".to_owned());
    let kind = pb::AlarmType::from_str_name(&kind).context("NONE, NOSPACE or CORRUPT")?;
    let member_id = match words.next() {
        Some(word) => identity(cluster, client, &word).await?,
        None => 0,
    };
    let request = pb::AlarmRequest { action: action.into(), member_id, alarm: kind.into() };
    let result = client.maintenance().alarm(request).await;
    Ok(draw::result(&result, |r| {
        let one = |alarm: &pb::AlarmMember| {
            let whose = if alarm.member_id == 0 { "nobody's " } else { "" };
            format!("{whose}{}", alarm.alarm().as_str_name())
        };
        let alarms: Vec<String> = r.get_ref().alarms.iter().map(one).collect();
        format!("alarms {}", alarms.join(", "))
    }))
}

/// `downgrade validate|enable|cancel [VERSION]`
async fn downgrade(words: &mut Words, client: &Client) -> Result<String> {
    let action = match words.need("an action")?.as_str() {
        "validate" => DowngradeAction::Validate,
        "enable" => DowngradeAction::Enable,
        "cancel" => DowngradeAction::Cancel,
        other => bail!("`{other}` is not validate, enable or cancel"),
    };
    let version = words.next().unwrap_or_default();
    let request = pb::DowngradeRequest { action: action.into(), version };
    let result = client.maintenance().downgrade(request).await;
    Ok(draw::result(&result, |r| format!("version {}", r.get_ref().version)))
}

/// `hashkv REVISION`: the hashes of all members are compared; which hash it is, is nobody's
/// business.
async fn hash_kv(cluster: &Cluster, words: &mut Words) -> Result<String> {
    let revision = parse_number(&words.need("a revision")?)?;
    let mut hashes = Vec::new();
    for at in 0..cluster.members_len() {
        let mut client = cluster.client(at)?.maintenance();
        match client.hash_kv(pb::HashKvRequest { revision }).await {
            Ok(response) => hashes.push(response.into_inner()),
            Err(status) => return Ok(draw::status(&status)),
        }
    }
    let first = hashes.first().context("a cluster has members")?;
    let equal = hashes.iter().all(|hash| hash.hash == first.hash);
    let pb::HashKvResponse { header, compact_revision, hash_revision, .. } = first;
    let headed = draw::only_header(header.as_ref());
    Ok(format!("{headed} equal {equal} compacted {compact_revision} hashed {hash_revision}"))
}

async fn snapshot(client: &Client) -> Result<String> {
    let mut stream = client.maintenance().snapshot(pb::SnapshotRequest {}).await?.into_inner();
    let (mut total, mut last, mut falls) = (0, u64::MAX, true);
    while let Some(part) = stream.message().await? {
        total += part.blob.len();
        falls &= part.remaining_bytes < last || part.remaining_bytes == 0;
        last = part.remaining_bytes;
    }
    let rest = total % 512;
    Ok(format!("remaining falls to {last}: {falls}, ends with a sum: {}", rest == SUM_LEN))
}
