//! Members that come and go while clients write: grown and shrunk, replaced, and never mistaken.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use etcd_api::etcdserverpb as pb;
use tests::cluster::READY;
use tests::{Client, Cluster, Options, Server, wait};

use super::crashes::FEW_ENTRIES;
use super::history;
use super::observer::Observer;
use super::workload::Workload;
use super::{CLIENTS, WRITES, run, same};

/// How long a change of the members may take, with everything that it waits for.
const CHANGE_MAX: Duration = Duration::from_secs(60);

/// A cluster whose members change, and clients that write to all who are or ever will be members.
pub(super) struct Changing {
    pub(super) cluster: Cluster,
    /// Who is a member now.
    members: Vec<usize>,
    work: Workload,
    observer: Observer,
}

impl Changing {
    /// Starts the first members. Places that were made before belong to those who come.
    async fn start(mut cluster: Cluster, members: usize) -> Result<Changing> {
        (0..members).try_for_each(|at| cluster.launch(at))?;
        Self::started(cluster, members).await
    }

    /// As `start`, if the first members were started already.
    pub(super) async fn started(mut cluster: Cluster, members: usize) -> Result<Changing> {
        let members: Vec<usize> = (0..members).collect();
        members.iter().try_for_each(|at| cluster.await_ready(*at))?;
        let leader = cluster.leader_among(&members).await?;
        let urls = cluster.client_urls();
        let observer = Observer::start(&urls, leader)?;
        let work = Workload::start(&urls, CLIENTS)?;
        work.progress(WRITES).await.context("before anything was changed")?;
        Ok(Changing { cluster, members, work, observer })
    }

    /// Does something to the members until they agree to it.
    async fn change<T>(
        &self,
        what: String,
        mut ask: impl AsyncFnMut(Client) -> Result<T, tonic::Status>,
    ) -> Result<T> {
        let mut refusal = None;
        let mut turn = 0;
        let changed = wait::until_async(&what, CHANGE_MAX, async || {
            // Whoever is asked may be the one that has just been lost.
            turn += 1;
            let client = self.cluster.client(self.members[turn % self.members.len()]).ok()?;
            match ask(client).await {
                Ok(done) => Some(done),
                Err(status) => {
                    refusal = Some(status);
                    None
                }
            }
        });
        changed.await.with_context(|| format!("the last answer was {refusal:?}"))
    }

    /// Adds a learner, whose number the cluster chooses.
    pub(super) async fn add_learner(&self, at: usize) -> Result<u64> {
        let url = self.cluster.peer_url(at);
        let added = self.change(format!("{at} to be added"), async |client| {
            let listed = client.members().await?;
            if let Some(there) = listed.iter().find(|member| member.peer_ur_ls == [url.clone()]) {
                // An answer was lost.
                return Ok(there.id);
            }
            let request = pb::MemberAddRequest { peer_ur_ls: vec![url.clone()], is_learner: true };
            let answer = client.cluster().member_add(request).await?.into_inner();
            Ok(answer.member.map_or(0, |member| member.id))
        });
        added.await
    }

    /// Makes a learner a voter, when it has caught up.
    pub(super) async fn promote(&mut self, at: usize, id: u64) -> Result<()> {
        let promoted = self.change(format!("{at} to be promoted"), async |client| {
            let listed = client.members().await?;
            if listed.iter().any(|member| member.id == id && !member.is_learner) {
                return Ok(());
            }
            client.cluster().member_promote(pb::MemberPromoteRequest { id }).await.map(|_| ())
        });
        promoted.await?;
        self.members.push(at);
        self.agree().await
    }

    /// Adds a learner, starts it, and makes it a voter.
    async fn grow(&mut self, at: usize) -> Result<()> {
        let id = self.add_learner(at).await?;
        self.cluster.start_member(at)?;
        self.promote(at, id).await?;
        let took = self.work.progress(WRITES).await.with_context(|| format!("with {at}"))?;
        println!("{WRITES} writes took {took:.1?} among {:?}", self.members);
        Ok(())
    }

    /// Returns the number by which the cluster knows a member.
    async fn identity(&self, at: usize) -> Result<u64> {
        let url = self.cluster.peer_url(at);
        let listed = self.change("the members".to_owned(), async |client| client.members().await);
        let listed = listed.await?;
        let found = listed.iter().find(|member| member.peer_ur_ls.contains(&url));
        found.map(|member| member.id).with_context(|| format!("{at} is not among {listed:?}"))
    }

    /// Removes a member, whether it runs or not. Returns the number by which it was known.
    async fn remove(&mut self, at: usize) -> Result<u64> {
        let id = self.identity(at).await?;
        self.members.retain(|member| *member != at);
        let removed = self.change(format!("{at} to be removed"), async |client| {
            let listed = client.members().await?;
            if listed.iter().all(|member| member.id != id) {
                return Ok(());
            }
            client.cluster().member_remove(pb::MemberRemoveRequest { id }).await.map(|_| ())
        });
        removed.await?;
        self.agree().await?;
        Ok(id)
    }

    /// Checks that those who are members, and nobody else, are listed as voters.
    async fn agree(&self) -> Result<()> {
        self.cluster.leader_among(&self.members).await?;
        let listed = self.change("the members".to_owned(), async |client| client.members().await);
        let mut listed: Vec<String> = listed
            .await?
            .into_iter()
            .filter(|member| !member.is_learner)
            .flat_map(|member| member.peer_ur_ls)
            .collect();
        let mut expected: Vec<String> =
            self.members.iter().map(|at| self.cluster.peer_url(*at)).collect();
        listed.sort();
        expected.sort();
        ensure!(listed == expected, "{listed:?} are listed as voters, {expected:?} are");
        Ok(())
    }

    /// Removes a member that runs: it ends, and does not come back with the data that it has.
    async fn shrink(&mut self, at: usize) -> Result<()> {
        self.remove(at).await?;
        let said = self.cluster.await_end(at).context("after it was removed")?;
        ensure!(said.contains("removed"), "{at} does not say that it was removed:\n{said}");
        self.work.progress(WRITES).await.with_context(|| format!("without {at}"))?;
        self.refuses_to_return(at)
    }

    /// Starts who was removed: it must end by itself, and may never serve.
    fn refuses_to_return(&mut self, at: usize) -> Result<()> {
        self.cluster.launch(at)?;
        let said = self.cluster.await_end(at).context("it was removed, and started again")?;
        ensure!(!said.contains(READY), "{at} was removed, and serves:\n{said}");
        Ok(())
    }

    /// Stops the clients, and checks everything that they and the watcher saw.
    pub(super) async fn finish(self) -> Result<()> {
        self.work.progress(WRITES).await.context("after everything was changed")?;
        let history = self.work.finish().await;
        let leader = self.cluster.leader_among(&self.members).await?;
        let last = self.cluster.client(leader)?.put("end", "").await?;
        let mut truth = None;
        for at in self.members {
            let told = Observer::start(&[self.cluster.client_url(at)], 0)?.finish(last).await?;
            match &truth {
                None => truth = Some(told),
                Some(truth) => same(&told, truth).with_context(|| format!("what {at} tells"))?,
            }
        }
        let truth = truth.context("there are members")?;
        history::check(&truth, &history)?;
        same(&self.observer.finish(last).await?, &truth).context("the watcher")
    }
}

fn options(members: usize) -> Options {
    // Those who come are sent a checkpoint.
    Options::new(Server::Holdfast, members).flags(&FEW_ENTRIES)
}

#[test]
fn cluster_grows_to_five_and_shrinks_to_one_under_writes() {
    run(async {
        let mut cluster = Cluster::prepare(options(1))?;
        (1..5).try_for_each(|_| cluster.join().map(|_| ()))?;
        let mut scene = Changing::start(cluster, 1).await?;
        for at in 1..5 {
            scene.grow(at).await.with_context(|| format!("member {at} comes"))?;
        }
        for round in 0..4 {
            let leader = scene.cluster.leader_among(&scene.members).await?;
            let other = scene.members.iter().find(|at| **at != leader);
            let other = *other.context("there is a follower")?;
            let at = if round % 2 == 0 { leader } else { other };
            let shrunk = scene.shrink(at).await;
            shrunk.with_context(|| format!("{at} goes, and {leader} leads"))?;
        }
        scene.finish().await
    });
}

#[test]
fn dead_member_is_replaced_by_one_without_data() {
    run(async {
        let mut cluster = Cluster::prepare(options(3))?;
        cluster.join_these(&[1, 2])?;
        let mut scene = Changing::start(cluster, 3).await?;
        scene.cluster.wipe(0)?;
        scene.work.progress(WRITES).await.context("without 0")?;
        scene.remove(0).await?;
        scene.grow(3).await?;
        // Who was replaced starts as it did the first time, and knows nothing.
        scene.refuses_to_return(0)?;
        scene.finish().await
    });
}

#[test]
fn wiped_member_never_returns_under_its_old_identity() {
    run(async {
        let mut scene = Changing::start(Cluster::prepare(options(3))?, 3).await?;
        let before = scene.identity(1).await?;
        scene.cluster.wipe(1)?;
        scene.cluster.launch(1)?;
        let said = scene.cluster.await_end(1).context("it was wiped, and founds again")?;
        ensure!(said.contains("has already been bootstrapped"), "it said:\n{said}");
        ensure!(!said.contains(READY), "it was wiped, and serves:\n{said}");

        scene.cluster.turn_to(1, &[0, 2]);
        scene.cluster.launch(1)?;
        super::admission::awaits(&scene.cluster, 1, "has run before").await?;
        scene.work.progress(WRITES).await.context("while it awaits admission")?;

        scene.remove(1).await?;
        super::admission::awaits(&scene.cluster, 1, "add it").await?;
        let id = scene.add_learner(1).await?;
        scene.cluster.await_ready(1)?;
        scene.promote(1, id).await?;
        ensure!(id != before, "it came back under its old number {before:x}");
        scene.finish().await
    });
}

#[test]
fn wiped_member_waits_for_peers_that_run_and_do_not_answer() {
    run(async {
        let mut cluster = Cluster::start(options(3))?;
        cluster.wipe(1)?;
        [0, 2].into_iter().try_for_each(|at| cluster.process_mut(at)?.pause())?;
        cluster.launch(1)?;
        let asked = "waits for a peer to say whether this member has run before";
        cluster.process_mut(1)?.wait_for(asked, CHANGE_MAX)?;
        cluster.process_mut(0)?.resume()?;
        let said = cluster.await_end(1)?;
        ensure!(said.contains("has already been bootstrapped"), "it said:\n{said}");
        ensure!(!said.contains("begins its life"), "nobody had told it that it may:\n{said}");
        Ok(())
    });
}

#[test]
fn wiped_member_that_nobody_could_warn_is_refused_by_those_whom_it_met() {
    run(async {
        let mut scene = Changing::start(Cluster::prepare(options(3))?, 3).await?;
        (0..3).for_each(|at| scene.cluster.kill(at));
        scene.cluster.wipe(1)?;
        scene.cluster.launch(1)?;
        scene.cluster.process_mut(1)?.wait_for("begins its life", CHANGE_MAX)?;

        [0, 2].into_iter().try_for_each(|at| scene.cluster.launch(at))?;
        let said = scene.cluster.await_end(1).context("those who have met it run again")?;
        ensure!(said.contains("has already been bootstrapped"), "it said:\n{said}");
        ensure!(!said.contains(READY), "it was wiped, and serves:\n{said}");
        [0, 2].into_iter().try_for_each(|at| scene.cluster.await_ready(at))?;
        scene.work.progress(WRITES).await.context("without the one that was wiped")?;
        scene.remove(1).await?;
        scene.finish().await
    });
}

#[test]
fn newcomer_gets_on_with_a_leader_that_came_after_the_image() {
    run(async {
        // No image is made after the first, in which the founder is alone.
        let mut cluster = Cluster::prepare(Options::new(Server::Holdfast, 1))?;
        (1..4).try_for_each(|_| cluster.join().map(|_| ()))?;
        let mut scene = Changing::start(cluster, 1).await?;
        scene.grow(1).await?;
        scene.grow(2).await?;
        let target = scene.identity(1).await?;
        let founder = scene.cluster.client(0)?;
        let request = pb::MoveLeaderRequest { target_id: target };
        founder.maintenance().move_leader(request).await?;
        scene.grow(3).await.context("the newcomer, of which the leader knows more than it")?;
        scene.finish().await
    });
}
