//! The control plane, on the host: the store, and Kubernetes' own programs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cluster::files;
use crate::cluster::layout::{API_PORT, HOST_ADDRESS, Node, POD_NETWORK, SERVICE_NETWORK, State};
use crate::cluster::process::{self, Program};
use crate::cluster::programs::Programs;
use crate::cluster::run::{Kubectl, wait_for};

/// The client port of the first member of the store; its peers call one higher.
const STORE_PORT: u16 = 12379;
/// How far apart the ports of members are.
const PORTS_PER_MEMBER: u16 = 10;
/// How long the API server may take to serve: it makes its first objects.
const API_LIMIT: Duration = Duration::from_secs(90);
const API_SERVER: &str = "kube-apiserver";

/// What keeps Kubernetes' own state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Store {
    /// One etcd.
    Etcd,
    /// Three members of Holdfast.
    Holdfast,
}

impl Store {
    fn members(self) -> u16 {
        match self {
            Store::Etcd => 1,
            Store::Holdfast => 3,
        }
    }

    fn client_url(member: u16) -> String {
        format!("http://127.0.0.1:{}", STORE_PORT + member * PORTS_PER_MEMBER)
    }

    fn peer_url(member: u16) -> String {
        format!("http://127.0.0.1:{}", STORE_PORT + member * PORTS_PER_MEMBER + 1)
    }

    /// Where the API server finds it.
    fn endpoints(self) -> String {
        (0..self.members()).map(Store::client_url).collect::<Vec<_>>().join(",")
    }

    fn arguments(self, state: &State, member: u16) -> Vec<String> {
        let (client, peer) = (Store::client_url(member), Store::peer_url(member));
        let peers: Vec<String> = (0..self.members())
            .map(|other| format!("store-{other}={}", Store::peer_url(other)))
            .collect();
        let data = state.path("store").join(member.to_string());
        let mut arguments = vec![
            format!("--name=store-{member}"),
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster={}", peers.join(",")),
        ];
        if self == Store::Etcd {
            // It is gone with the cluster, and nobody measures it.
            arguments.push("--unsafe-no-fsync".to_owned());
        }
        arguments
    }
}

/// Starts the store and the API server, which is then still getting ready.
pub(super) fn start_api(
    state: &State,
    programs: &Programs,
    store: Store,
    holdfast: Option<&Path>,
) -> Result<()> {
    let directory = state.path("store");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make the directory {}", directory.display()))?;
    for member in 0..store.members() {
        let program = Program {
            name: format!("store-{member}"),
            path: holdfast.unwrap_or(&programs.etcd),
            arguments: store.arguments(state, member),
            node: None,
        };
        process::start(state, &program)?;
    }
    let program = Program {
        name: API_SERVER.to_owned(),
        path: &programs.api_server,
        arguments: api_server_arguments(state, store),
        node: None,
    };
    process::start(state, &program)
}

fn api_server_arguments(state: &State, store: Store) -> Vec<String> {
    let [authority, server, client] =
        ["ca", "apiserver", "kubelet-client"].map(|name| state.certificate(name, "crt"));
    let [server_key, client_key, accounts] =
        ["apiserver", "kubelet-client", "accounts"].map(|name| state.certificate(name, "key"));
    vec![
        format!("--etcd-servers={}", store.endpoints()),
        format!("--secure-port={API_PORT}"),
        "--bind-address=0.0.0.0".to_owned(),
        format!("--advertise-address={HOST_ADDRESS}"),
        // Names of nodes do not resolve on the host.
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        format!("--tls-cert-file={server}"),
        format!("--tls-private-key-file={server_key}"),
        format!("--client-ca-file={authority}"),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        format!("--service-cluster-ip-range={SERVICE_NETWORK}"),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", state.certificate("accounts", "crt")),
        format!("--service-account-signing-key-file={accounts}"),
        format!("--kubelet-client-certificate={client}"),
        format!("--kubelet-client-key={client_key}"),
        format!("--kubelet-certificate-authority={authority}"),
    ]
}

/// Waits until the API server serves.
pub(super) fn wait_until_ready(state: &State, kubectl: &Kubectl) -> Result<()> {
    wait_for("the API server", API_LIMIT, || {
        for name in process::recorded(state).iter().filter(|name| name.starts_with("store-")) {
            process::ensure_running(state, name)?;
        }
        process::ensure_running(state, API_SERVER)?;
        Ok(kubectl.must(&["get", "--raw", "/readyz"]).ok())
    })
    .map(drop)
}

/// Starts what needs the API server, and applies what each cluster has.
pub(super) fn start_controllers(
    state: &State,
    programs: &Programs,
    kubectl: &Kubectl,
    nodes: &[Node],
) -> Result<()> {
    let file = |name: &str| state.path(name).display().to_string();
    let texts = [
        ("controller-manager.kubeconfig", files::kubeconfig(state, "controller-manager")),
        ("scheduler.kubeconfig", files::kubeconfig(state, "scheduler")),
        ("scheduler.yaml", files::scheduler(&file("scheduler.kubeconfig"))),
        ("Corefile", files::corefile(&file("kubeconfig"))),
    ];
    for (name, text) in texts {
        let path = state.path(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let programs = [
        Program {
            name: "kube-controller-manager".to_owned(),
            path: &programs.controller_manager,
            arguments: controller_manager_arguments(state),
            node: None,
        },
        Program {
            name: "kube-scheduler".to_owned(),
            path: &programs.scheduler,
            arguments: vec![format!("--config={}", file("scheduler.yaml"))],
            node: None,
        },
        Program {
            name: "coredns".to_owned(),
            path: &programs.coredns,
            arguments: vec!["-conf".to_owned(), file("Corefile")],
            node: None,
        },
    ];
    for program in &programs {
        process::start(state, program)?;
    }
    let objects = format!("{}{}", files::objects(), files::volumes(state, nodes));
    kubectl.apply(&objects)
}

fn controller_manager_arguments(state: &State) -> Vec<String> {
    let config = state.path("controller-manager.kubeconfig").display().to_string();
    let (authority, key) = (state.certificate("ca", "crt"), state.certificate("ca", "key"));
    vec![
        format!("--kubeconfig={config}"),
        format!("--authentication-kubeconfig={config}"),
        format!("--authorization-kubeconfig={config}"),
        format!("--service-account-private-key-file={}", state.certificate("accounts", "key")),
        format!("--root-ca-file={authority}"),
        format!("--cluster-signing-cert-file={authority}"),
        format!("--cluster-signing-key-file={key}"),
        "--use-service-account-credentials=true".to_owned(),
        "--leader-elect=false".to_owned(),
        "--allocate-node-cidrs=true".to_owned(),
        format!("--cluster-cidr={POD_NETWORK}"),
        "--node-cidr-mask-size=24".to_owned(),
        format!("--service-cluster-ip-range={SERVICE_NETWORK}"),
        // A node that is lost is to be noticed within the patience of a test.
        "--node-monitor-period=2s".to_owned(),
        "--node-monitor-grace-period=12s".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn three_members_of_holdfast_know_each_other() {
        let state = State { directory: PathBuf::from("/state") };
        assert_eq!(
            Store::Holdfast.endpoints(),
            "http://127.0.0.1:12379,http://127.0.0.1:12389,http://127.0.0.1:12399"
        );
        let arguments = Store::Holdfast.arguments(&state, 1);
        assert!(arguments.contains(&"--listen-peer-urls=http://127.0.0.1:12390".to_owned()));
        let all = "--initial-cluster=store-0=http://127.0.0.1:12380,\
                   store-1=http://127.0.0.1:12390,store-2=http://127.0.0.1:12400";
        assert!(arguments.contains(&all.to_owned()), "{arguments:?}");
        assert!(!arguments.iter().any(|one| one.contains("fsync")), "it is to be as in earnest");
    }
}
