//! What a script plays on: a cluster, and the clients of its members.

use std::collections::BTreeMap;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use etcd_api::etcdserverpb as pb;
use goldenscript::{Command, Context, Runner};
use tests::{Client, Cluster, Options, Server};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tonic::metadata::MetadataValue;

use super::words::{self, Words, parse_number};
use super::{admin, outside};
use crate::watchers::Watchers;
use crate::{calls, draw};

/// No command takes longer.
const COMMAND_MAX: Duration = Duration::from_secs(40);

/// A cluster, and who talks to it.
pub(super) struct Stage {
    server: Server,
    runtime: Rc<Runtime>,
    pub(super) cluster: Option<Cluster>,
    clients: Vec<Client>,
    streams: BTreeMap<String, Watchers>,
    transactions: BTreeMap<String, pb::TxnRequest>,
    /// The newest revision that was drawn.
    revision: i64,
}

impl Stage {
    /// A stage for a script; its cluster starts with the first command.
    pub(super) fn new(server: Server) -> Result<Stage> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Stage {
            server,
            runtime: Rc::new(runtime),
            cluster: None,
            clients: Vec::new(),
            streams: BTreeMap::new(),
            transactions: BTreeMap::new(),
            revision: 1,
        })
    }

    /// `cluster [MEMBERS] [FLAG…]`
    fn set_up(&mut self, words: &mut Words) -> Result<()> {
        ensure!(self.cluster.is_none(), "the cluster comes first, and once");
        let members = words.next().map_or(Ok(1), |word| parse_number(&word))?;
        let mut options = Options::new(self.server, usize::try_from(members)?).in_memory();
        while let Some(flag) = words.next() {
            options.flags.push(flag);
        }
        let cluster = Cluster::start(options)?;
        let _guard = self.runtime.enter();
        self.clients =
            (0..cluster.members_len()).map(|at| cluster.client(at)).collect::<Result<_>>()?;
        self.cluster = Some(cluster);
        Ok(())
    }

    fn cluster(&mut self) -> Result<&mut Cluster> {
        self.cluster.as_mut().context("there is a cluster before the first command")
    }

    /// Executes a command, and draws what came of it.
    fn play(&mut self, command: &Command) -> Result<String> {
        let mut words = Words::of(command);
        if command.name == "cluster" {
            self.set_up(&mut words)?;
            return Ok(String::new());
        }
        if self.cluster.is_none() {
            self.set_up(&mut Words::default())?;
        }
        match command.name.as_str() {
            "etcdctl" => {
                let runtime = Rc::clone(&self.runtime);
                let cluster = self.cluster()?;
                let named = runtime.block_on(admin::identities(cluster))?;
                return outside::etcdctl(cluster, &named, &mut words);
            }
            "http" => return outside::http(self.cluster()?, &mut words),
            "kill" | "start" | "launch" | "join" => return self.process(&command.name, &mut words),
            _ => {}
        }
        let runtime = Rc::clone(&self.runtime);
        let cluster = self.cluster.as_ref().context("there is a cluster")?;
        let at = match words.named("at").as_deref() {
            None => 0,
            Some("leader") => runtime.block_on(cluster.leader())?,
            Some("follower") => runtime.block_on(admin::follower(cluster))?,
            Some(at) => usize::try_from(parse_number(at)?)?,
        };
        let client = self.clients.get(at).with_context(|| format!("no member {at}"))?.clone();
        let played = runtime.block_on(async {
            timeout(COMMAND_MAX, self.request(&command.name, &mut words, &client)).await
        });
        let drawn = played.with_context(|| format!("no answer within {COMMAND_MAX:?}"))??;
        words.finish()?;
        Ok(drawn)
    }

    async fn request(&mut self, name: &str, words: &mut Words, client: &Client) -> Result<String> {
        match name {
            "range" | "stream" | "put" | "delete" | "txn" | "define" | "compact" | "fill" => {
                self.keys(name, words, client).await
            }
            "watch" | "told" | "cancel" | "progress" => self.watches(name, words, client).await,
            "grant" | "revoke" | "keepalive" | "ttl" | "leases" | "expire" => {
                leases(name, words, client).await
            }
            _ => {
                let cluster = self.cluster.as_ref().context("there is a cluster")?;
                admin::request(cluster, name, words, client).await
            }
        }
    }

    async fn keys(&mut self, name: &str, words: &mut Words, client: &Client) -> Result<String> {
        let mut kv = client.kv();
        if words.has("require_leader") {
            return self.keys_with_leader(name, words, client).await;
        }
        let drawn = match name {
            "range" => {
                draw::result(&kv.range(words::range(words)?).await, |r| draw::range(r.get_ref()))
            }
            "stream" => calls::range_stream(client, words::range(words)?).await,
            "put" => draw::result(&kv.put(words::put(words)?).await, |r| draw::put(r.get_ref())),
            "delete" => draw::result(&kv.delete_range(words::delete(words)).await, |r| {
                draw::delete(r.get_ref())
            }),
            "txn" => {
                let request = words::txn(words, &self.transactions)?;
                draw::result(&kv.txn(request).await, |r| draw::txn(r.get_ref()))
            }
            "define" => {
                let name = words.need("a name")?;
                let request = words::txn(words, &self.transactions)?;
                self.transactions.insert(name, request);
                String::new()
            }
            "fill" => return self.fill(words, client).await,
            _ => {
                let physical = words.has("physical");
                let revision = parse_number(&words.need("a revision")?)?;
                let result = kv.compact(pb::CompactionRequest { revision, physical }).await;
                draw::result(&result, |r| draw::only_header(r.get_ref().header.as_ref()))
            }
        };
        self.saw(&drawn);
        Ok(drawn)
    }

    /// Does what only who knows a leader may answer.
    async fn keys_with_leader(
        &mut self,
        name: &str,
        words: &mut Words,
        client: &Client,
    ) -> Result<String> {
        let required = MetadataValue::from_static("true");
        Ok(if name == "range" {
            let mut request = tonic::Request::new(words::range(words)?);
            request.metadata_mut().insert("hasleader", required);
            draw::result(&client.kv().range(request).await, |r| draw::range(r.get_ref()))
        } else {
            let mut request = tonic::Request::new(words::put(words)?);
            request.metadata_mut().insert("hasleader", required);
            draw::result(&client.kv().put(request).await, |r| draw::put(r.get_ref()))
        })
    }

    /// Notes the revision of an answer that was drawn.
    fn saw(&mut self, drawn: &str) {
        let revision = drawn.strip_prefix('@').and_then(|rest| rest.split(' ').next());
        let revision = revision.and_then(|word| word.parse().ok()).unwrap_or(0);
        self.revision = self.revision.max(revision);
    }

    /// `fill PREFIX COUNT [size=N]`: writes keys with five digits.
    async fn fill(&mut self, words: &mut Words, client: &Client) -> Result<String> {
        let prefix = words.need("a prefix")?;
        let count = parse_number(&words.need("a count")?)?;
        let size = usize::try_from(words.number("size")?)?;
        let until_error = words.has("until_error");
        for number in 0..count {
            let result = client.put(&format!("{prefix}{number:05}"), &"x".repeat(size)).await;
            match result {
                Ok(revision) => self.revision = revision,
                Err(status) if until_error => return Ok(draw::status(&status)),
                Err(status) => return Ok(format!("after {number}: {}", draw::status(&status))),
            }
        }
        Ok(format!("@{}", self.revision))
    }

    async fn watches(&mut self, name: &str, words: &mut Words, client: &Client) -> Result<String> {
        let stream = words.named("on").unwrap_or_default();
        if !self.streams.contains_key(&stream) {
            self.streams.insert(stream.clone(), Watchers::open(client).await?);
        }
        let watchers = self.streams.get_mut(&stream).context("it was just made")?;
        match name {
            "watch" => Ok(watchers.create(words::watch(words)?).await),
            "cancel" => Ok(watchers.cancel(parse_number(&words.need("a watcher")?)?).await),
            "told" if words.has("future") => {
                let synced = client.put(crate::watchers::SENTINEL_KEY, "").await?;
                self.revision = self.revision.max(synced);
                watchers.sync_by_sentinel(synced).await.map_err(anyhow::Error::msg)?;
                Ok(watchers.take_told())
            }
            _ => {
                watchers.sync_by_progress(self.revision).await.map_err(anyhow::Error::msg)?;
                Ok(watchers.take_told())
            }
        }
    }

    fn process(&mut self, what: &str, words: &mut Words) -> Result<String> {
        let cluster = self.cluster.as_mut().context("there is a cluster")?;
        if what == "join" {
            let at = cluster.join()?;
            let _guard = self.runtime.enter();
            self.clients.push(cluster.client(at)?);
            return Ok(format!("member {at}"));
        }
        let at = usize::try_from(parse_number(&words.need("a member")?)?)?;
        match what {
            "kill" => cluster.kill(at),
            "start" => cluster.start_member(at)?,
            "launch" => cluster.launch(at)?,
            other => bail!("`{other}` is not kill, start, launch or join"),
        }
        Ok(String::new())
    }
}

async fn leases(name: &str, words: &mut Words, client: &Client) -> Result<String> {
    let mut lease = client.lease();
    if name == "leases" {
        let result = lease.lease_leases(pb::LeaseLeasesRequest {}).await;
        return Ok(draw::result(&result, |r| draw::leases(r.get_ref())));
    }
    let keys = words.has("keys");
    let id = parse_number(&words.need("a lease")?)?;
    Ok(match name {
        "grant" => {
            let ttl = parse_number(&words.need("a time to live")?)?;
            let result = lease.lease_grant(pb::LeaseGrantRequest { ttl, id }).await;
            draw::result(&result, |r| draw::grant(r.get_ref()))
        }
        "revoke" => draw::result(&lease.lease_revoke(pb::LeaseRevokeRequest { id }).await, |r| {
            draw::only_header(r.get_ref().header.as_ref())
        }),
        "keepalive" => calls::keep_alive(client, id).await,
        "ttl" => {
            let result = lease.lease_time_to_live(pb::LeaseTimeToLiveRequest { id, keys }).await;
            draw::result(&result, |r| draw::time_to_live(r.get_ref()))
        }
        _ => {
            let gone = tests::wait::until_async("a lease to end", COMMAND_MAX, async || {
                let request = pb::LeaseTimeToLiveRequest { id, keys: false };
                let answer = client.lease().lease_time_to_live(request).await.ok()?;
                (answer.get_ref().ttl == -1).then_some(())
            });
            gone.await?;
            "expired".to_owned()
        }
    })
}

impl Runner for Stage {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        Ok(self.play(command)?)
    }
}
