//! Wall clocks that jump: nothing in a cluster may depend on them.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use etcd_api::etcdserverpb as pb;
use tests::programs::or_skip;
use tests::{Cluster, Options, wait};

use super::{Scene, WRITES, run, server};

/// Where Debian's package `libfaketime` puts the library.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
/// How long a lease lives, in seconds.
const TTL: i64 = 4;

fn library() -> Result<PathBuf> {
    let path = PathBuf::from(LIBRARY);
    ensure!(path.is_file(), "there is no {LIBRARY}; install the package libfaketime");
    Ok(path)
}

#[test]
fn clocks_that_jump_change_nothing() {
    let Some(library) = or_skip("clocks_that_jump_change_nothing", library()) else { return };
    run(async {
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), "+0")?;
        let variables = [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", file.path().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        let mut options = Options::new(server(), 3);
        options.variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let scene = Scene::start(options).await?;
        let before = term(&scene.cluster).await?;
        for jump in ["+1h", "-1h", "+10y", "+0"] {
            let granted = Instant::now();
            grant(&scene.cluster).await?;
            fs::write(file.path(), jump)?;
            scene.work.progress(WRITES).await.with_context(|| format!("at {jump}"))?;
            let lived = lease_ends(&scene.cluster, granted).await?;
            println!("at {jump} a lease of {TTL} s ended after {lived:.1?}");
            ensure!(lived.as_secs() + 1 >= TTL.unsigned_abs(), "at {jump} it lived for {lived:?}");
        }
        let after = term(&scene.cluster).await?;
        ensure!(before == after, "the term went from {before} to {after}");
        scene.finish().await
    });
}

async fn term(cluster: &Cluster) -> Result<u64> {
    let leader = cluster.leader().await?;
    Ok(cluster.client(leader)?.status().await?.raft_term)
}

async fn grant(cluster: &Cluster) -> Result<()> {
    let request = pb::LeaseGrantRequest { id: 1, ttl: TTL };
    cluster.client(0)?.lease().lease_grant(request).await?;
    Ok(())
}

async fn lease_ends(cluster: &Cluster, granted: Instant) -> Result<Duration> {
    let client = cluster.client(0)?;
    wait::until_async("a lease to end", Duration::from_secs(15), async || {
        let request = pb::LeaseTimeToLiveRequest { id: 1, keys: false };
        let answer = client.lease().lease_time_to_live(request).await.ok()?;
        (answer.get_ref().ttl == -1).then(|| granted.elapsed())
    })
    .await
}
