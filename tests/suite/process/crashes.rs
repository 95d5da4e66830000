//! Processes that are killed, paused and restarted.

use anyhow::{Context, Result};
use tests::{Options, Random};

use super::{Scene, WRITES, rounds, run, server};

/// Snapshots are taken and sent early, so that crashes meet them.
pub(super) const FEW_ENTRIES: [&str; 2] = ["--snapshot-count=300", "--snapshot-catchup-entries=50"];

/// Kills whom `choose` says, again and again, and starts them when the others have gone on.
async fn kill_and_restart(
    members: usize,
    choose: impl Fn(usize, &mut Random) -> Vec<usize>,
) -> Result<()> {
    let mut scene = Scene::start(Options::new(server(), members).flags(&FEW_ENTRIES)).await?;
    let mut random = Random::new(1);
    for round in 0..rounds(3) {
        let leader = scene.cluster.leader().await?;
        let chosen = choose(leader, &mut random);
        chosen.iter().for_each(|at| scene.cluster.kill(*at));
        if chosen.len() * 2 < members {
            let took = scene.work.progress(WRITES).await;
            let took = took.with_context(|| format!("round {round}, without {chosen:?}"))?;
            println!("{WRITES} writes took {took:.1?} after {chosen:?} of {members} were killed");
        }
        chosen.iter().try_for_each(|at| scene.cluster.launch(*at))?;
        chosen.iter().try_for_each(|at| scene.cluster.await_ready(*at))?;
        scene.work.progress(WRITES).await.with_context(|| format!("round {round}, restarted"))?;
    }
    scene.finish().await
}

#[test]
fn single_member_that_is_killed_loses_nothing() {
    run(kill_and_restart(1, |leader, _| vec![leader]));
}

#[test]
fn leader_that_is_killed_takes_nothing_with_it() {
    run(kill_and_restart(3, |leader, _| vec![leader]));
}

#[test]
fn follower_that_is_killed_takes_nothing_with_it() {
    run(kill_and_restart(3, |leader, _| vec![(leader + 1) % 3]));
}

#[test]
fn members_that_are_all_killed_lose_nothing() {
    run(kill_and_restart(3, |_, _| vec![0, 1, 2]));
}

#[test]
fn two_of_five_may_be_killed() {
    run(kill_and_restart(5, |leader, random| {
        let other = usize::try_from(1 + random.below(4)).expect("small");
        vec![leader, (leader + other) % 5]
    }));
}

#[test]
fn leader_that_is_paused_sees_no_past_when_it_returns() {
    run(async {
        let mut scene = Scene::start(Options::new(server(), 3)).await?;
        for _ in 0..rounds(2) {
            let leader = scene.cluster.leader().await?;
            scene.cluster.process_mut(leader)?.pause()?;
            scene.work.progress(WRITES).await.context("while the leader was paused")?;
            scene.cluster.process_mut(leader)?.resume()?;
            scene.work.progress(WRITES).await.context("when it went on")?;
        }
        scene.finish().await
    });
}

#[test]
fn members_that_are_restarted_in_turn_lose_nothing() {
    run(async {
        let mut scene = Scene::start(Options::new(server(), 3).flags(&FEW_ENTRIES)).await?;
        for at in (0..3).cycle().take(usize::try_from(3 * rounds(1))?) {
            scene.cluster.stop(at)?;
            scene.work.progress(WRITES).await.with_context(|| format!("without {at}"))?;
            scene.cluster.start_member(at)?;
            scene.work.progress(WRITES).await.with_context(|| format!("again with {at}"))?;
        }
        scene.finish().await
    });
}
