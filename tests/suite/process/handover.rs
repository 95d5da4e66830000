//! A leader that is asked to stop: another leads before it goes, so that nobody waits for an
//! election timeout.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::Options;

use super::history::{Did, Done};
use super::{Scene, WRITES, rounds, run, server};

/// How long a member may take to end.
const END_MAX: Duration = Duration::from_secs(30);
/// What a leader says when another has taken over.
const HANDED_OVER: &str = "handed leadership over";

/// Returns the longest time without an acknowledged write.
fn longest_gap(history: &[Done]) -> Duration {
    let is_acknowledged = |did: &Did| match did {
        Did::Put { revision, .. } => revision.is_some(),
        Did::Cas { answer, .. } => answer.is_some_and(|answer| answer.succeeded),
        Did::Read { .. } => false,
    };
    let writes = history.iter().filter(|done| is_acknowledged(&done.did));
    let mut ended: Vec<Duration> = writes.map(|done| done.ended).collect();
    ended.sort();
    let gaps = ended.iter().zip(ended.iter().skip(1)).map(|(before, after)| *after - *before);
    gaps.max().unwrap_or_default()
}

async fn term(scene: &Scene, among: &[usize]) -> Result<(usize, u64)> {
    let leader = scene.cluster.leader_among(among).await?;
    Ok((leader, scene.cluster.client(leader)?.status().await?.raft_term))
}

#[test]
fn leader_that_is_asked_to_stop_hands_over_first() {
    run(async {
        let mut scene = Scene::start(Options::new(server(), 3)).await?;
        for _ in 0..rounds(3) {
            let (leader, before) = term(&scene, &[0, 1, 2]).await?;
            let asked = Instant::now();
            let process = scene.cluster.process_mut(leader)?;
            process.terminate(END_MAX)?;
            let (took, said) = (asked.elapsed(), process.said());
            scene.cluster.kill(leader);
            let others: Vec<usize> = (0..3).filter(|at| *at != leader).collect();
            let (next, after) = term(&scene, &others).await?;
            println!("{leader} ended after {took:.1?}; {next} leads, term {before} to {after}");
            ensure!(before < after, "the term was {before}, and is {after} under another leader");
            ensure!(said.contains(HANDED_OVER), "{leader} did not hand over:\n{said}");
            scene.work.progress(WRITES).await.with_context(|| format!("without {leader}"))?;
            scene.cluster.start_member(leader)?;
            scene.work.progress(WRITES).await.with_context(|| format!("again with {leader}"))?;
        }
        let history = scene.history().await?;
        println!("the longest time without a write was {:.0?}", longest_gap(&history));
        Ok(())
    });
}
