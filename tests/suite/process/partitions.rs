//! Members that are cut off from each other, in network namespaces.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::network::Network;
use tests::programs::or_skip;
use tests::{Client, Cluster, Options};
use tokio::time::{Instant, timeout};

use super::{Scene, WRITES, rounds, run, server};

/// For how long a leader without a majority is asked to acknowledge something.
const ASKED: Duration = Duration::from_secs(3);

/// Returns the other two of three.
fn others(at: usize) -> Vec<usize> {
    (0..3).filter(|other| *other != at).collect()
}

async fn scene() -> Result<Scene> {
    Scene::start(Options::new(server(), 3).in_namespaces()).await
}

fn network(cluster: &Cluster) -> Result<&Network> {
    cluster.network()
}

/// Asks a member for writes and reads that began after it was cut off from the majority.
async fn acknowledges_nothing(client: &Client) -> Result<()> {
    let end = Instant::now() + ASKED;
    let mut number = 0;
    while Instant::now() < end {
        number += 1;
        let (key, left) = (format!("minority/{number}"), end - Instant::now());
        let wrote = timeout(left, client.put(&key, "")).await;
        ensure!(!matches!(wrote, Ok(Ok(_))), "a write was acknowledged by a minority: {wrote:?}");
        let left = end.saturating_duration_since(Instant::now());
        let read = timeout(left, client.range("work/0")).await;
        ensure!(!matches!(read, Ok(Ok(_))), "a read was answered by a minority: {read:?}");
        tokio::time::sleep(tests::wait::PAUSE).await;
    }
    Ok(())
}

#[test]
fn leader_in_a_minority_acknowledges_nothing() {
    let name = "leader_in_a_minority_acknowledges_nothing";
    let Some(()) = or_skip(name, Network::check()) else { return };
    run(async {
        let scene = scene().await?;
        for _ in 0..rounds(1) {
            let leader = scene.cluster.leader().await?;
            network(&scene.cluster)?.cut(&[leader], &others(leader))?;
            acknowledges_nothing(&scene.cluster.client(leader)?).await?;
            scene.work.progress(WRITES).await.context("among the majority")?;
            network(&scene.cluster)?.heal()?;
            scene.work.progress(WRITES).await.context("when the leader was back")?;
        }
        scene.finish().await
    });
}

#[test]
fn follower_that_is_cut_off_disturbs_nobody() {
    let name = "follower_that_is_cut_off_disturbs_nobody";
    let Some(()) = or_skip(name, Network::check()) else { return };
    run(async {
        let scene = scene().await?;
        for _ in 0..rounds(1) {
            let leader = scene.cluster.leader().await?;
            let before = scene.cluster.client(leader)?.status().await?.raft_term;
            let follower = others(leader)[0];
            network(&scene.cluster)?.cut(&[follower], &others(follower))?;
            acknowledges_nothing(&scene.cluster.client(follower)?).await?;
            scene.work.progress(WRITES).await.context("without the follower")?;
            network(&scene.cluster)?.heal()?;
            scene.work.progress(WRITES).await.context("with the follower")?;
            scene.cluster.leader().await?;
            let after = scene.cluster.client(leader)?.status().await?.raft_term;
            ensure!(before == after, "the term went from {before} to {after}");
        }
        scene.finish().await
    });
}

#[test]
fn leader_that_can_only_speak_or_only_hear_is_replaced() {
    let name = "leader_that_can_only_speak_or_only_hear_is_replaced";
    let Some(()) = or_skip(name, Network::check()) else { return };
    run(async {
        let scene = scene().await?;
        for round in 0..2 * rounds(1) {
            let leader = scene.cluster.leader().await?;
            for other in others(leader) {
                let (from, to) = if round % 2 == 0 { (leader, other) } else { (other, leader) };
                network(&scene.cluster)?.cut_one_way(from, to)?;
            }
            acknowledges_nothing(&scene.cluster.client(leader)?).await?;
            scene.work.progress(WRITES).await.context("among the others")?;
            network(&scene.cluster)?.heal()?;
            scene.work.progress(WRITES).await.context("when all was well")?;
        }
        scene.finish().await
    });
}

#[test]
fn one_link_that_fails_stops_nobody() {
    let name = "one_link_that_fails_stops_nobody";
    let Some(()) = or_skip(name, Network::check()) else { return };
    run(async {
        let scene = scene().await?;
        for round in 0..2 * rounds(1) {
            let leader = scene.cluster.leader().await?;
            // The bridge: one member reaches both others, which do not reach each other.
            let (a, b) = match round % 2 {
                0 => (leader, others(leader)[0]),
                _ => (others(leader)[0], others(leader)[1]),
            };
            network(&scene.cluster)?.cut(&[a], &[b])?;
            scene.work.progress(5 * WRITES).await.context("over the bridge")?;
            network(&scene.cluster)?.heal()?;
            scene.work.progress(WRITES).await.context("when all was well")?;
        }
        scene.finish().await
    });
}
