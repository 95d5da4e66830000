//! `cargo xtask demo`: the whole story on one page, from nothing to a cluster that heals itself.

use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::args::Args;
use crate::cluster::layout::State;
use crate::cluster::plane::Store;
use crate::cluster::programs;
use crate::cluster::run::{Kubectl, must, step, wait_for};
use crate::cluster::{self, Cluster};
use crate::image::{self, Speed};
use crate::tools;
use crate::workspace::Workspace;

const HELP: &str = "\
usage: cargo xtask demo [OPTION…]

From nothing to a RaftCluster: a Kubernetes, the operator by Helm, ten lines of YAML, keys written
and read, the leader's pod deleted, three members made five and three again. All of it stays for you
to try.

  --context NAME      use the Kubernetes of this context of kubectl instead of starting a local one;
                      it has to have the two images (`cargo xtask image`, then `kind load
                      image-archive` or the like)
  --down              remove everything that the demo has made
  --state DIRECTORY   where the local Kubernetes is (CACHE/cluster)
";
/// Where the RaftCluster of `manifests/examples/minimal.yaml` is made, and what it is called.
const NAMESPACE: &str = "default";
const NAME: &str = "demo";
/// The kind that the operator looks after, as Kubernetes calls it.
const KIND: &str = "raftclusters.raft.holdfast.dev";
/// Where the operator is installed, and under which name.
const RELEASE: &str = "holdfast-operator";
const RELEASE_NAMESPACE: &str = "holdfast-system";
/// How long the cluster may take to be as asked for.
const LIMIT: Duration = Duration::from_secs(300);
/// The port on this machine by which members are reached.
const PORT: u16 = 23790;

/// Tells the story, or removes what is left of it.
pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<ExitCode> {
    if args.take_switch("--help") {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    let down = args.take_switch("--down");
    let context = args.take_text("--context")?;
    let state = cluster::state(args.take_text("--state")?)?;
    args.finish()?;
    if down && context.is_none() {
        cluster::down(&state)?;
        return Ok(ExitCode::SUCCESS);
    }
    let demo = match context {
        Some(context) => Demo::elsewhere(&context)?,
        None => {
            offer_context();
            programs::check(true)?;
            Demo::here(workspace, &state)?
        }
    };
    if down {
        demo.remove()?;
    } else {
        demo.tell(workspace)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// If there is a Kubernetes already, tells how to use that.
fn offer_context() {
    let Ok(context) = must(&["kubectl", "config", "current-context"]) else {
        return;
    };
    if must(&["kubectl", "--request-timeout=3s", "get", "--raw", "/readyz"]).is_ok() {
        let context = context.trim();
        eprintln!(
            "demo: your kubectl knows a Kubernetes, `{context}`; to use that, end this and run \
             `cargo xtask demo --context {context}`"
        );
    }
}

/// Where the story takes place.
struct Demo {
    kubectl: Kubectl,
    /// The options that tell Helm which Kubernetes is meant.
    helm_options: Vec<String>,
    /// What the reader has to type before the commands that are shown.
    preamble: String,
    /// What else can be tried there, and how all of it goes away.
    postscript: String,
}

impl Demo {
    /// In a Kubernetes that the reader has.
    fn elsewhere(context: &str) -> Result<Demo> {
        let program = tools::path_or_build("kubectl")?;
        let kubectl = Kubectl::with_context(&program, context);
        kubectl
            .must(&["get", "--raw", "/readyz"])
            .with_context(|| format!("the Kubernetes of the context {context} does not answer"))?;
        Ok(Demo {
            kubectl,
            helm_options: vec!["--kube-context".to_owned(), context.to_owned()],
            preamble: format!("kubectl config use-context {context}"),
            postscript: format!("cargo xtask demo --down --context {context}"),
        })
    }

    /// In the local one, which is started if it is not there.
    fn here(workspace: &Workspace, state: &State) -> Result<Demo> {
        let archives = image::build(workspace, &[], Speed::Fast)?;
        if !cluster::is_up(state) {
            cluster::up(workspace, state, 3, Store::Etcd, true)?;
        }
        let cluster = Cluster::open(state)?;
        step("demo: giving the images to the nodes", || cluster.load(&archives))?;
        let config = state.kubeconfig().display().to_string();
        Ok(Demo {
            kubectl: cluster.kubectl.clone(),
            preamble: format!("export KUBECONFIG={config}"),
            helm_options: vec!["--kubeconfig".to_owned(), config],
            postscript: "cargo xtask cluster lose node-2    # and: cargo xtask cluster return \
                         node-2\n  cargo xtask demo --down"
                .to_owned(),
        })
    }

    fn tell(&self, workspace: &Workspace) -> Result<()> {
        let chart = workspace.root.join("charts/holdfast-operator").display().to_string();
        step("demo: helm install", || {
            self.helm(&["upgrade", "--install", RELEASE, &chart, "--create-namespace", "--wait"])
        })?;
        let example = workspace.root.join("manifests/examples/minimal.yaml");
        let example = example.display().to_string();
        step("demo: kubectl apply -f manifests/examples/minimal.yaml", || {
            self.ask(&["apply", "-f", &example])?;
            self.wait_until_whole(3)
        })?;
        self.show()?;
        step("demo: writing and reading a key", || {
            self.etcdctl(&["put", "greeting", "holds fast"])?;
            self.expect_greeting()
        })?;
        let leader = self.field("{.status.leader.name}")?;
        let term = self.field("{.status.leader.term}")?;
        step(&format!("demo: deleting the leader's pod, {leader}"), || {
            self.ask(&["delete", "pod", &leader, "--wait=false"])?;
            wait_for("a higher term", LIMIT, || {
                let now = self.field("{.status.leader.term}")?;
                Ok((now != term).then_some(()))
            })?;
            self.wait_until_whole(3)
        })?;
        self.show()?;
        step("demo: the key is still there", || self.expect_greeting())?;
        for members in [5, 3] {
            step(&format!("demo: {members} members"), || {
                let replicas = format!("--replicas={members}");
                self.ask(&["scale", "raftcluster", NAME, &replicas])?;
                self.wait_until_whole(members)
            })?;
            self.show()?;
        }
        self.expect_greeting()?;
        println!(
            "\nIt is yours. To try next:\n  {}\n  \
             kubectl get raftcluster {NAME} -o wide --watch\n  kubectl delete pod {NAME}-0\n  \
             kubectl describe raftcluster {NAME}\n  {}",
            self.preamble, self.postscript
        );
        Ok(())
    }

    /// Removes what was installed, from a Kubernetes that stays.
    fn remove(&self) -> Result<()> {
        step("demo: removing the cluster and the operator", || {
            let kind =
                ["get", "customresourcedefinition", KIND, "--ignore-not-found", "-o", "name"];
            let is_there = !self.ask(&kind)?.trim().is_empty();
            if is_there {
                let words = ["delete", "raftcluster", NAME, "--ignore-not-found", "--timeout=120s"];
                self.ask(&words)?;
            }
            let app = format!("raft.holdfast.dev/cluster={NAME}");
            self.ask(&["delete", "persistentvolumeclaims", "-l", &app])?;
            self.helm(&["uninstall", RELEASE, "--wait", "--ignore-not-found"])?;
            self.ask(&["delete", "namespace", RELEASE_NAMESPACE, "--ignore-not-found"])?;
            // Helm keeps the kind, with which all clusters would go; only if there are none, it was
            // for the demo.
            if is_there && self.ask(&["get", "raftclusters", "-A", "-o", "name"])?.trim().is_empty()
            {
                self.ask(&["delete", "customresourcedefinition", KIND])?;
            }
            Ok(())
        })
    }

    fn helm(&self, words: &[&str]) -> Result<()> {
        let program = tools::path_or_build("helm")?.display().to_string();
        let mut line = vec![program.as_str()];
        line.extend(self.helm_options.iter().map(String::as_str));
        line.extend(words);
        line.extend(["-n", RELEASE_NAMESPACE]);
        must(&line).map(drop)
    }

    fn ask(&self, words: &[&str]) -> Result<String> {
        self.kubectl.must(&[&["-n", NAMESPACE], words].concat())
    }

    fn field(&self, path: &str) -> Result<String> {
        self.ask(&["get", "raftcluster", NAME, "-o", &format!("jsonpath={path}")])
    }

    fn show(&self) -> Result<()> {
        println!("\n$ kubectl get raftclusters\n{}", self.ask(&["get", "raftclusters"])?);
        Ok(())
    }

    fn wait_until_whole(&self, members: u32) -> Result<()> {
        let ready = format!("{members}/{members} True");
        let path = "{.status.ready} {.status.conditions[?(@.type==\"Ready\")].status}";
        wait_for(&format!("{members} members"), LIMIT, || {
            Ok((self.field(path)? == ready).then_some(()))
        })
    }

    fn expect_greeting(&self) -> Result<()> {
        let found = self.etcdctl(&["get", "greeting", "--print-value-only"])?;
        ensure!(found.trim() == "holds fast", "the key has the value `{}`", found.trim());
        Ok(())
    }

    /// Runs etcd's own client through a tunnel, with the certificate that the operator has made.
    fn etcdctl(&self, words: &[&str]) -> Result<String> {
        let program = tools::path_or_build("etcdctl")?.display().to_string();
        let files = Certificates::fetch(self)?;
        let endpoint = format!("--endpoints=https://127.0.0.1:{PORT}");
        let mut line = vec![program.as_str(), &endpoint, "--command-timeout=5s"];
        line.extend(files.options.iter().map(String::as_str));
        line.extend(words);
        wait_for("an answer", Duration::from_secs(30), || {
            let _tunnel = Tunnel::open(self)?;
            std::thread::sleep(Duration::from_millis(500));
            Ok(must(&line).ok())
        })
    }
}

/// The certificate by which a client is known. Dropped, its files are removed.
struct Certificates {
    directory: PathBuf,
    options: Vec<String>,
}

impl Certificates {
    fn fetch(demo: &Demo) -> Result<Certificates> {
        use std::os::unix::fs::DirBuilderExt as _;
        let directory = std::env::temp_dir().join(format!("holdfast-demo-{}", std::process::id()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
        let mut files = Certificates { directory, options: Vec::new() };
        let names = [("ca.crt", "cacert"), ("tls.crt", "cert"), ("tls.key", "key")];
        for (name, option) in names {
            let format = format!("go-template={{{{index .data \"{name}\" | base64decode}}}}");
            let secret = format!("{NAME}-client-tls");
            let text = demo.ask(&["get", "secret", &secret, "-o", &format])?;
            let path = files.directory.join(name);
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
            files.options.push(format!("--{option}={}", path.display()));
        }
        Ok(files)
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// `kubectl port-forward` to a member. Dropped, it is closed.
struct Tunnel(Child);

impl Tunnel {
    fn open(demo: &Demo) -> Result<Tunnel> {
        let service = format!("service/{NAME}");
        let port = format!("{PORT}:2379");
        let mut command: Command = demo.kubectl.command();
        command.args(["-n", NAMESPACE, "port-forward", &service, &port]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Tunnel(child.context("cannot run kubectl port-forward")?))
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
