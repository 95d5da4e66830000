//! Leases while leaders come and go: none ends early, and each ends.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use etcd_api::etcdserverpb as pb;
use tests::{Client, Cluster, Options, wait};

use super::{run, server};

/// How long a lease lives that nobody keeps alive, in seconds.
const TTL: i64 = 3;
/// How much later than it could a lease may end: after the election of a leader, by which its life
/// begins anew.
const LATE_MAX: Duration = Duration::from_secs(10);
/// How long a client waits for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Grants a lease, and puts a key to it. Returns when the request was sent.
async fn grant(client: &Client, id: i64, key: &str) -> Result<Instant> {
    let began = Instant::now();
    client.lease().lease_grant(pb::LeaseGrantRequest { id, ttl: TTL }).await?;
    let put = pb::PutRequest { key: key.to_owned().into(), lease: id, ..Default::default() };
    client.kv().put(put).await?;
    Ok(began)
}

/// Keeps a lease alive at whichever member answers. Returns when the request was sent.
async fn keep_alive(clients: &[Client], id: i64) -> Option<Instant> {
    for client in clients {
        let began = Instant::now();
        let request = tokio_stream::once(pb::LeaseKeepAliveRequest { id });
        let answer =
            async { client.lease().lease_keep_alive(request).await?.into_inner().message().await };
        if let Ok(Ok(Some(answer))) = tokio::time::timeout(ANSWER_MAX, answer).await
            && answer.ttl > 0
        {
            return Some(began);
        }
    }
    None
}

async fn is_there(clients: &[Client], key: &str) -> Option<bool> {
    for client in clients {
        if let Ok(Ok(found)) = tokio::time::timeout(ANSWER_MAX, client.range(key)).await {
            return Some(found.count > 0);
        }
    }
    None
}

/// Keeps one lease alive and leaves another alone while `disturb` is done to the leader.
async fn leases_while(disturb: impl AsyncFn(&mut Cluster, usize) -> Result<()>) -> Result<()> {
    let mut cluster = Cluster::start(Options::new(server(), 3))?;
    let leader = cluster.leader().await?;
    let clients: Vec<Client> = (0..3).map(|at| cluster.client(at)).collect::<Result<_>>()?;
    grant(&clients[leader], 1, "kept").await?;
    let granted = grant(&clients[leader], 2, "left").await?;
    // The others are asked first: the leader will not answer.
    let mut order = clients.clone();
    order.rotate_left(leader + 1);
    disturb(&mut cluster, leader).await?;
    let ttl = Duration::from_secs(TTL.unsigned_abs());
    let mut kept = Instant::now();
    let end = wait::until_async("a lease to end", ttl + LATE_MAX, async || {
        if let Some(at) = keep_alive(&order, 1).await {
            kept = at;
        }
        match is_there(&order, "left").await? {
            true => None,
            false => Some(Instant::now()),
        }
    });
    let end = end.await?;
    let lived = end.duration_since(granted);
    println!("a lease of {ttl:?} that nobody kept alive ended after {lived:.1?}");
    ensure!(lived >= ttl, "a lease of {ttl:?} ended after {lived:?}");
    let since = kept.elapsed();
    ensure!(since < ttl, "the test was too slow to keep a lease alive: {since:?}");
    let found = is_there(&order, "kept").await.context("somebody answers")?;
    ensure!(found, "a lease that was kept alive {since:?} ago has ended");
    cluster.kill(leader);
    cluster.start_member(leader)?;
    let found = is_there(&clients, "kept").await.context("somebody answers")?;
    ensure!(found || kept.elapsed() > ttl, "a lease that was kept alive ended at a restart");
    let gone = wait::until_async("the last lease to end", ttl + LATE_MAX, async || {
        is_there(&clients, "kept").await.filter(|found| !found).map(|_| ())
    });
    gone.await
}

#[test]
fn leases_end_in_time_under_one_leader() {
    run(leases_while(async |_, _| Ok(())));
}

#[test]
fn leases_survive_a_leader_that_is_killed() {
    run(leases_while(async |cluster, leader| {
        cluster.kill(leader);
        Ok(())
    }));
}

#[test]
fn leases_survive_a_leader_that_is_paused_and_returns() {
    run(leases_while(async |cluster, leader| {
        cluster.process_mut(leader)?.pause()?;
        let others: Vec<usize> = (0..3).filter(|at| *at != leader).collect();
        cluster.leader_among(&others).await?;
        cluster.process_mut(leader)?.resume()
    }));
}
