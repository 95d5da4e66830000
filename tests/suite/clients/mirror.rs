//! `etcdctl make-mirror`: one cluster is copied to another, and followed.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use etcd_api::etcdserverpb as pb;
use tests::process::Process;
use tests::programs::{self, or_skip};
use tests::{Client, Cluster, Options, Server, wait};

use crate::process::run;

/// How long it may take until what was written here is there.
const COPIED_MAX: Duration = Duration::from_secs(60);
/// How many keys are there at first.
const KEYS: usize = 300;

/// Returns how many keys begin with `from`.
async fn count(client: &Client) -> Option<i64> {
    let request = pb::RangeRequest {
        key: "from".into(),
        range_end: "fron".into(),
        count_only: true,
        ..Default::default()
    };
    client.kv().range(request).await.ok().map(|answer| answer.get_ref().count)
}

async fn copied(there: &Client, keys: usize) -> Result<()> {
    let mut last = None;
    let all = wait::until_async(format!("{keys} keys to be copied"), COPIED_MAX, async || {
        last = count(there).await;
        (last == i64::try_from(keys).ok()).then_some(())
    });
    all.await.with_context(|| format!("{last:?} are there"))
}

#[test]
fn mirror_follows_a_cluster() {
    let Some(etcdctl) = or_skip("mirror_follows_a_cluster", programs::etcdctl()) else { return };
    run(async {
        let from = Cluster::start(Options::new(Server::Holdfast, 3).in_memory())?;
        let to = Cluster::start(Options::new(Server::Holdfast, 1).in_memory())?;
        let (here, there) = (from.client(0)?, to.client(0)?);
        for key in 0..KEYS {
            here.put(&format!("from/{key}"), "").await?;
        }
        let words = [
            format!("--endpoints={}", from.client_urls().join(",")),
            "make-mirror".to_owned(),
            to.client_url(0).trim_start_matches("http://").to_owned(),
        ];
        let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
        let log = from.directory().join("mirror.log");
        let mut mirror = Process::start(&etcdctl, &words, &[], &log)?;
        let result = async {
            copied(&there, KEYS).await?;
            here.put("from/last", "").await?;
            copied(&there, KEYS + 1).await?;
            let request = pb::DeleteRangeRequest {
                key: "from/".into(),
                range_end: "from/2".into(),
                ..Default::default()
            };
            let deleted = here.kv().delete_range(request).await?.into_inner().deleted;
            copied(&there, KEYS + 1 - usize::try_from(deleted)?).await
        };
        let result: Result<()> = result.await;
        result.with_context(|| format!("it said:\n{}", mirror.last_words()))?;
        ensure!(mirror.ended().is_none(), "the mirror ended: {}", mirror.last_words());
        Ok(())
    });
}
