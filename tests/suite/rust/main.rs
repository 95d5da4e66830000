//! Uses a cluster of three as programs in Rust do, by the crate `etcd-client`: every call of the
//! services that are served, and then writes and a watch that go on while a member is killed.
//!
//! Says `half` when a member is to be killed, learns by the file that is its second argument that
//! it was, and says `passed` at the end. The cluster must be empty.

use std::env;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use etcd_client::{
    AlarmAction, AlarmType, Client, CompactionOptions, Compare, CompareOp, ConnectOptions,
    DeleteOptions, EventType, GetOptions, LeaseTimeToLiveOptions, MemberAddOptions, PutOptions,
    SortOrder, SortTarget, Txn, TxnOp, TxnOpResponse, WatchOptions, WatchStream,
};
use tokio::time::{sleep, timeout};

/// How long one attempt may take.
const ATTEMPT_MAX: Duration = Duration::from_secs(5);
/// How long it may take until an attempt succeeds.
const SUCCESS_MAX: Duration = Duration::from_secs(30);
/// Between two attempts.
const REST: Duration = Duration::from_millis(20);
/// How many keys are written after a member was killed.
const KEYS: u64 = 200;

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [endpoints, file] = &words[..] else { bail!("usage: program ENDPOINT,… FILE") };
    let endpoints: Vec<&str> = endpoints.split(',').collect();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().context("there are no threads")?;
    runtime.block_on(run(&endpoints, Path::new(file)))?;
    println!("passed");
    Ok(())
}

async fn run(endpoints: &[&str], file: &Path) -> Result<()> {
    let options = ConnectOptions::new().with_connect_timeout(ATTEMPT_MAX);
    let mut client = Client::connect(endpoints, Some(options)).await?;
    keys(&mut client).await.context("keys")?;
    transactions(&mut client).await.context("transactions")?;
    watches(&mut client).await.context("watches")?;
    leases(&mut client).await.context("leases")?;
    members(&mut client, endpoints).await.context("members")?;
    maintenance(&mut client, endpoints).await.context("maintenance")?;
    goes_on(&mut client, file).await.context("while a member is killed")
}

/// Tries until it succeeds, or for too long.
async fn until<T>(what: &str, mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    for attempts in 1.. {
        let tried = timeout(ATTEMPT_MAX, attempt()).await;
        match tried.context("no answer").and_then(|answer| answer) {
            Ok(done) => return Ok(done),
            Err(error) if SUCCESS_MAX < began.elapsed() => {
                return Err(error.context(format!("{what}, after {attempts} attempts")));
            }
            Err(error) if attempts == 1 => println!("{what}, again after: {error:#}"),
            Err(_) => {}
        }
        sleep(REST).await;
    }
    bail!("{what}: was tried for ever")
}

async fn keys(client: &mut Client) -> Result<()> {
    for key in ["k/a", "k/b", "k/c"] {
        client.put(key, "1", None).await?;
    }
    let put = client.put("k/a", "2", Some(PutOptions::new().with_prev_key())).await?;
    let before = put.prev_key().context("it was there")?;
    ensure!(before.value() == b"1", "{before:?} was there");
    let options = GetOptions::new().with_prefix().with_limit(2);
    let options = options.with_sort(SortTarget::Key, SortOrder::Descend);
    let got = client.get("k/", Some(options)).await?;
    let found: Vec<&[u8]> = got.kvs().iter().map(etcd_client::KeyValue::key).collect();
    ensure!(found == [b"k/c", b"k/b"] && got.more() && got.count() == 3, "{got:?}");
    let options = GetOptions::new().with_revision(before.mod_revision()).with_serializable();
    let past = client.get("k/a", Some(options)).await?;
    ensure!(past.kvs().len() == 1 && past.kvs()[0].value() == b"1", "{past:?}");
    let counted = GetOptions::new().with_from_key().with_count_only();
    ensure!(client.get("k/b", Some(counted)).await?.count() == 2, "two keys follow");
    let options = DeleteOptions::new().with_prefix().with_prev_key();
    let deleted = client.delete("k/", Some(options)).await?;
    ensure!(deleted.deleted() == 3 && deleted.prev_kvs().len() == 3, "{deleted:?}");
    let revision = deleted.header().context("answers have headers")?.revision();
    let options = CompactionOptions::new().with_physical();
    client.compact(revision, Some(options)).await?;
    let refused = client.compact(revision, None).await;
    ensure!(
        refused.is_err_and(|error| error.to_string().contains("has been compacted")),
        "what was compacted can be compacted"
    );
    Ok(())
}

async fn transactions(client: &mut Client) -> Result<()> {
    let txn = || {
        Txn::new()
            .when([Compare::version("t", CompareOp::Equal, 0)])
            .and_then([TxnOp::put("t", "1", None), TxnOp::get("t", None)])
            .or_else([TxnOp::txn(Txn::new().and_then([TxnOp::delete("t", None)]))])
    };
    let made = client.txn(txn()).await?;
    ensure!(made.succeeded() && made.op_responses().len() == 2, "{made:?}");
    let TxnOpResponse::Get(got) = &made.op_responses()[1] else { bail!("{made:?}") };
    ensure!(got.kvs()[0].value() == b"1", "{got:?}");
    let removed = client.txn(txn()).await?;
    let TxnOpResponse::Txn(inner) = &removed.op_responses()[0] else { bail!("{removed:?}") };
    ensure!(!removed.succeeded() && inner.succeeded(), "{removed:?}");
    ensure!(client.get("t", None).await?.count() == 0, "it was deleted");
    Ok(())
}

async fn watches(client: &mut Client) -> Result<()> {
    let first = client.put("w/a", "1", None).await?;
    let first = first.header().context("answers have headers")?.revision();
    client.delete("w/a", None).await?;
    let options = WatchOptions::new().with_prefix().with_prev_key().with_start_revision(first);
    let mut stream = client.watch("w/", Some(options)).await?;
    let mut told = Vec::new();
    let mut id = None;
    while told.len() < 2 {
        let answer = next(&mut stream).await?;
        id = Some(answer.watch_id());
        told.extend(
            answer.events().iter().map(|event| (event.event_type(), event.prev_kv().is_some())),
        );
    }
    ensure!(told == [(EventType::Put, false), (EventType::Delete, true)], "{told:?}");
    stream.request_progress().await?;
    ensure!(next(&mut stream).await?.events().is_empty(), "nothing more was changed");
    stream.cancel(id.context("the watcher has a number")?).await?;
    ensure!(next(&mut stream).await?.canceled(), "it was cancelled");
    Ok(())
}

async fn next(stream: &mut WatchStream) -> Result<etcd_client::WatchResponse> {
    let answer = timeout(SUCCESS_MAX, stream.message()).await.context("nothing is told")??;
    answer.context("the watch ended")
}

async fn leases(client: &mut Client) -> Result<()> {
    let id = client.lease_grant(1000, None).await?.id();
    client.put("l", "1", Some(PutOptions::new().with_lease(id))).await?;
    let options = LeaseTimeToLiveOptions::new().with_keys();
    let left = client.lease_time_to_live(id, Some(options)).await?;
    ensure!(left.granted_ttl() == 1000 && left.keys() == [b"l".to_vec()], "{left:?}");
    let (mut keeper, mut answers) = client.lease_keep_alive(id).await?;
    keeper.keep_alive().await?;
    let kept = answers.message().await?.context("it is kept alive")?;
    ensure!(kept.ttl() == 1000, "{kept:?}");
    ensure!(client.leases().await?.leases().iter().any(|lease| lease.id() == id), "it is listed");
    client.lease_revoke(id).await?;
    ensure!(client.get("l", None).await?.count() == 0, "the key goes with its lease");
    let refused = client.lease_revoke(id).await;
    ensure!(
        refused.is_err_and(|error| error.to_string().contains("requested lease not found")),
        "what was revoked can be revoked"
    );
    Ok(())
}

async fn members(client: &mut Client, endpoints: &[&str]) -> Result<()> {
    let listed = client.member_list().await?;
    ensure!(listed.members().len() == endpoints.len(), "{listed:?}");
    for member in listed.members() {
        ensure!(endpoints.contains(&member.client_urls()[0].as_str()), "{member:?}");
    }
    let added = until("a member is added", async || {
        let options = MemberAddOptions::new().with_is_learner();
        Ok(client.member_add(["http://127.0.0.9:1"], Some(options)).await?)
    });
    let id = added.await?.member().context("it was added")?.id();
    let updated = client.member_update(id, ["http://127.0.0.9:2".to_owned()]).await?;
    let member = updated.members().iter().find(|member| member.id() == id);
    ensure!(member.is_some_and(|it| it.is_learner() && it.name().is_empty()), "{updated:?}");
    let refused = client.member_promote(id).await;
    ensure!(refused.is_err(), "who never started can be promoted");
    let removed = client.member_remove(id).await?;
    ensure!(removed.members().len() == endpoints.len(), "{removed:?}");
    Ok(())
}

async fn maintenance(client: &mut Client, endpoints: &[&str]) -> Result<()> {
    let status = client.status().await?;
    ensure!(status.leader() != 0 && status.version().starts_with("3."), "{status:?}");
    let alarms = client.alarm(AlarmAction::Get, AlarmType::None, None).await?;
    ensure!(alarms.alarms().is_empty(), "{alarms:?}");
    let mut hashes = Vec::new();
    let mut moved = None;
    for endpoint in endpoints {
        let mut member = Client::connect([endpoint], None).await?;
        // Who answers a read that is linearizable has applied all.
        member.get("any", None).await?;
        member.defragment().await?;
        member.hash().await?;
        let answer = member.hash_kv(0).await?;
        hashes.push((answer.hash(), answer.compact_version()));
        let status = member.status().await?;
        let own = status.header().context("answers have headers")?.member_id();
        if own == status.leader() {
            moved = Some(member);
        }
        let mut snapshot = client.snapshot().await?;
        let mut bytes = 0;
        while let Some(part) = snapshot.message().await? {
            bytes += part.blob().len();
        }
        ensure!(0 < bytes, "a snapshot has bytes");
    }
    ensure!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?} are the members' hashes");
    let mut leader = moved.context("one of them leads")?;
    let old = leader.status().await?.leader();
    let listed = client.member_list().await?;
    let next = listed.members().iter().map(etcd_client::Member::id).find(|id| *id != old);
    let next = next.context("there is another member")?;
    leader.move_leader(next).await?;
    until("another leads", async || {
        let leads = leader.status().await?.leader();
        ensure!(leads == next, "{leads:x} leads, and not {next:x}");
        Ok(())
    })
    .await
}

/// Writes until a member was killed, and some more; a watch tells each write once.
async fn goes_on(client: &mut Client, file: &Path) -> Result<()> {
    let (mut written, mut since) = (0, 0);
    println!("half");
    let began = client.put("start", "", None).await?;
    let first = began.header().context("answers have headers")?.revision();
    let mut told = Told { next: 0, revision: first + 1 };
    let mut watch_client = client.clone();
    let mut stream = told.watch(&mut watch_client).await?;
    while since < KEYS {
        since += u64::from(file.exists());
        let key = format!("on/{written:06}");
        until("a key is made", async || {
            let absent = Compare::create_revision(key.as_str(), CompareOp::Equal, 0);
            let made = Txn::new().when([absent]).and_then([TxnOp::put(key.as_str(), "", None)]);
            Ok(client.txn(made).await?)
        })
        .await?;
        written += 1;
    }
    let deadline = Instant::now() + SUCCESS_MAX;
    while told.next < written {
        ensure!(Instant::now() < deadline, "{} of {written} keys were told", told.next);
        // This client leaves it to programs to go on elsewhere.
        if !matches!(timeout(ATTEMPT_MAX, told.follow(&mut stream)).await, Ok(Ok(()))) {
            println!("watches again from {}", told.revision);
            stream = until("a watch", async || told.watch(&mut watch_client).await).await?;
        }
        ensure!(told.next <= written, "{} keys were told, {written} written", told.next);
    }
    Ok(())
}

/// How far a watch has come.
struct Told {
    /// Which key comes next.
    next: u64,
    /// From where to watch.
    revision: i64,
}

impl Told {
    async fn watch(&self, client: &mut Client) -> Result<WatchStream> {
        let options = WatchOptions::new().with_prefix().with_start_revision(self.revision);
        Ok(client.watch("on/", Some(options)).await?)
    }

    /// Reads one answer. What is told out of order ends the program.
    async fn follow(&mut self, stream: &mut WatchStream) -> Result<()> {
        let answer = stream.message().await?.context("the watch ended")?;
        for event in answer.events() {
            let kv = event.kv().context("an event has a key")?;
            let expected = format!("on/{:06}", self.next);
            assert!(kv.key() == expected.as_bytes(), "{kv:?} is told, and {expected} was next");
            self.next += 1;
            self.revision = kv.mod_revision() + 1;
        }
        Ok(())
    }
}
