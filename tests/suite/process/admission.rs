//! Members that were started with `--join`: they wait until they are added to a cluster, or told to
//! found one.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use etcd_api::holdfast::admission_client::AdmissionClient;
use etcd_api::holdfast::{FirstMember, FormRequest, StateRequest};
use tests::{Cluster, Options, Server, wait};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::membership::Changing;
use super::run;

/// How long a member may take to say what it waits for.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// What members of tests are started with.
const TOKEN: &str = "tests";

fn client(cluster: &Cluster, at: usize) -> Result<AdmissionClient<Channel>> {
    let endpoint = Endpoint::from_shared(cluster.client_url(at)).context("a URL")?;
    Ok(AdmissionClient::new(endpoint.connect_lazy()))
}

/// Waits until a member that runs says that it awaits something of which `why` is a part.
pub(super) async fn awaits(cluster: &Cluster, at: usize, why: &str) -> Result<()> {
    let mut client = client(cluster, at)?;
    let mut last = None;
    let awaited = wait::until_async(format!("{at} to await `{why}`"), ANSWER_MAX, async || {
        let state = client.state(StateRequest {}).await.ok()?.into_inner();
        let is_it = state.awaiting.contains(why) && state.cluster_id == 0 && state.member_id == 0;
        last = Some(state);
        is_it.then_some(())
    });
    awaited.await.with_context(|| format!("its last state is {last:?}"))
}

fn order(cluster: &Cluster, members: usize, token: &str) -> FormRequest {
    let first = |at| FirstMember { name: format!("m{at}"), peer_urls: vec![cluster.peer_url(at)] };
    FormRequest { token: token.to_owned(), members: (0..members).map(first).collect() }
}

#[test]
fn members_that_await_admission_found_a_cluster_and_are_added_to_one() {
    run(async {
        let mut cluster = Cluster::prepare(Options::new(Server::Holdfast, 0))?;
        (0..4).try_for_each(|_| cluster.ask_for_admission(&[0, 1, 2]).map(|_| ()))?;
        (0..4).try_for_each(|at| cluster.launch(at))?;
        for at in 0..4 {
            awaits(&cluster, at, "no peer answers").await?;
        }

        let refused = client(&cluster, 0)?.form(order(&cluster, 3, "nobody's")).await;
        let code = refused.map(|_| ()).map_err(|status| status.code());
        ensure!(code == Err(Code::PermissionDenied), "a wrong token is answered with {code:?}");
        awaits(&cluster, 0, "no peer answers").await?;

        let mut clusters = Vec::new();
        for at in 0..3 {
            let formed = client(&cluster, at)?.form(order(&cluster, 3, TOKEN)).await?.into_inner();
            clusters.push(formed.cluster_id);
        }
        ensure!(clusters.iter().all(|id| *id == clusters[0]), "{clusters:x?} were founded");
        let mut scene = Changing::started(cluster, 3).await?;
        // Told again, nothing changes; told to found another, it refuses.
        let again = client(&scene.cluster, 0)?.form(order(&scene.cluster, 3, TOKEN)).await?;
        ensure!(again.get_ref().cluster_id == clusters[0], "{again:?} after {clusters:x?}");
        let other = client(&scene.cluster, 0)?.form(order(&scene.cluster, 2, TOKEN)).await;
        let code = other.map(|_| ()).map_err(|status| status.code());
        ensure!(code == Err(Code::FailedPrecondition), "another cluster is answered with {code:?}");

        awaits(&scene.cluster, 3, "add it").await?;
        let id = scene.add_learner(3).await?;
        scene.cluster.await_ready(3)?;
        scene.promote(3, id).await?;
        let state = client(&scene.cluster, 3)?.state(StateRequest {}).await?.into_inner();
        ensure!(
            (state.cluster_id, state.member_id) == (clusters[0], id) && state.awaiting.is_empty(),
            "{state:?} instead of member {id:x} of {:x}",
            clusters[0]
        );
        scene.finish().await
    });
}
