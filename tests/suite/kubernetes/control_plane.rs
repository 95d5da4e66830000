//! The API server of a real Kubernetes with a store, and nothing else of it: what is applied is
//! checked, kept and shown, and nobody acts on it.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tests::address::Loopback;
use tests::process::Process;
use tests::programs;
use tests::wait;

/// How long the server may take to start: it makes certificates, and fills its store.
const START_LIMIT: Duration = Duration::from_secs(60);
/// The port of the API server.
const API_PORT: u16 = 25443;
/// The ports of its store.
const STORE_PORTS: [u16; 2] = [25379, 25380];
/// What a proxy says before its address when it listens.
const PROXY_READY: &str = "Starting to serve on ";
/// Who shows this may do everything.
const TOKEN: &str = "administrator";

/// An API server that runs. Dropped, it is killed and its data removed.
#[derive(Debug)]
pub(super) struct ControlPlane {
    // Killed in this order.
    server: Process,
    _store: Option<Process>,
    directory: TempDir,
    _network: Loopback,
}

/// The programs that it consists of, and the one that asks it.
#[derive(Debug)]
pub(super) struct Programs {
    store: PathBuf,
    server: PathBuf,
    kubectl: PathBuf,
}

impl Programs {
    /// Finds them.
    pub(super) fn find() -> Result<Programs> {
        Ok(Programs {
            store: programs::etcd()?,
            server: programs::kube_apiserver()?,
            kubectl: programs::kubectl()?,
        })
    }
}

impl ControlPlane {
    /// Starts it with a store of its own, and waits until it serves.
    pub(super) fn start(programs: &Programs) -> Result<ControlPlane> {
        Self::start_with(programs, None)
    }

    /// Starts it with a store that is there, which is reached at these endpoints, and waits until
    /// it serves.
    pub(super) fn start_on(programs: &Programs, endpoints: &[String]) -> Result<ControlPlane> {
        Self::start_with(programs, Some(endpoints.join(",")))
    }

    fn start_with(programs: &Programs, endpoints: Option<String>) -> Result<ControlPlane> {
        let network = Loopback::claim()?;
        let directory = tempfile::tempdir().context("no directory can be made")?;
        let address = network.member(0).to_string();
        let (store, endpoints) = match endpoints {
            Some(endpoints) => (None, endpoints),
            None => {
                let store = start_store(&programs.store, &address, directory.path())?;
                (Some(store), format!("http://{address}:{}", STORE_PORTS[0]))
            }
        };
        let server = start_server(&programs.server, &address, &endpoints, directory.path())?;
        let mut plane = ControlPlane { server, _store: store, directory, _network: network };
        plane.write_config(&address)?;
        wait::until("the API server", START_LIMIT, || {
            if plane.server.ended().is_some() {
                return Some(false);
            }
            let asked = plane.kubectl(programs, &["get", "--raw", "/readyz"], "").ok()?;
            asked.status.success().then_some(true)
        })
        .and_then(|is_up| if is_up { Ok(()) } else { bail!("it ended") })
        .with_context(|| format!("the API server said:\n{}", plane.server.last_words()))?;
        Ok(plane)
    }

    /// Starts a proxy, by which it can be asked in plain HTTP. Returns where that listens.
    pub(super) fn proxy(&self, programs: &Programs) -> Result<(Process, String)> {
        let arguments = arguments(&[
            ("kubeconfig", &self.config().display().to_string()),
            ("port", "0"),
            ("address", "127.0.0.1"),
        ]);
        let arguments: Vec<OsString> = std::iter::once("proxy".into()).chain(arguments).collect();
        let log = self.directory.path().join("proxy.log");
        let mut proxy = Process::start(&programs.kubectl, &arguments, &[], &log)?;
        proxy.wait_for(PROXY_READY, START_LIMIT)?;
        let address = wait::until("the whole line", START_LIMIT, || {
            let said = proxy.said();
            let (line, _) = said.split_once('\n')?;
            line.strip_prefix(PROXY_READY).map(str::to_owned)
        });
        Ok((proxy, address?))
    }

    /// The file by which clients find it.
    pub(super) fn config(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    /// Runs kubectl with `input`.
    pub(super) fn kubectl(
        &self,
        programs: &Programs,
        arguments: &[&str],
        input: &str,
    ) -> Result<Output> {
        let mut child = Command::new(&programs.kubectl)
            .arg("--kubeconfig")
            .arg(self.config())
            .arg("--cache-dir")
            .arg(self.directory.path().join("cache"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("kubectl cannot be started")?;
        let mut stdin = child.stdin.take().context("its input was asked for")?;
        // One that reads nothing may have ended already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().context("kubectl cannot be waited for")
    }

    /// Runs kubectl, which must succeed, and returns what it prints.
    pub(super) fn must(
        &self,
        programs: &Programs,
        arguments: &[&str],
        input: &str,
    ) -> Result<String> {
        let output = self.kubectl(programs, arguments, input)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl {} said: {said}", arguments.join(" "));
        String::from_utf8(output.stdout).context("kubectl prints text")
    }

    fn write_config(&self, address: &str) -> Result<()> {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters: [{{name: test, cluster: {{server: 'https://{address}:{API_PORT}', \
             insecure-skip-tls-verify: true}}}}]\n\
             users: [{{name: test, user: {{token: {TOKEN}}}}}]\n\
             contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n"
        );
        fs::write(self.config(), text).context("the configuration of clients cannot be written")
    }
}

fn start_store(program: &Path, address: &str, directory: &Path) -> Result<Process> {
    let [client, peer] = STORE_PORTS.map(|port| format!("http://{address}:{port}"));
    let arguments = arguments(&[
        ("data-dir", &path(directory, "store")),
        ("listen-client-urls", &client),
        ("advertise-client-urls", &client),
        ("listen-peer-urls", &peer),
        ("initial-advertise-peer-urls", &peer),
        ("initial-cluster", &format!("default={peer}")),
        // It holds nothing that is to outlive the test.
        ("unsafe-no-fsync", "true"),
    ]);
    Process::start(program, &arguments, &[], &directory.join("store.log"))
}

fn start_server(
    program: &Path,
    address: &str,
    endpoints: &str,
    directory: &Path,
) -> Result<Process> {
    let key = rcgen::KeyPair::generate().context("no key can be made")?;
    fs::write(directory.join("accounts.key"), key.serialize_pem())?;
    fs::write(directory.join("accounts.pub"), key.public_key_pem())?;
    let groups = format!("{TOKEN},administrator,administrator,system:masters\n");
    fs::write(directory.join("tokens.csv"), groups)?;
    let port = API_PORT.to_string();
    let arguments = arguments(&[
        ("etcd-servers", endpoints),
        ("bind-address", address),
        ("secure-port", &port),
        ("cert-dir", &path(directory, "certificates")),
        ("token-auth-file", &path(directory, "tokens.csv")),
        ("authorization-mode", "RBAC"),
        ("service-cluster-ip-range", "10.0.0.0/24"),
        ("service-account-issuer", "https://kubernetes.default.svc"),
        ("service-account-key-file", &path(directory, "accounts.pub")),
        ("service-account-signing-key-file", &path(directory, "accounts.key")),
        // Nobody makes accounts, and nobody follows endpoints.
        ("disable-admission-plugins", "ServiceAccount"),
        ("endpoint-reconciler-type", "none"),
    ]);
    Process::start(program, &arguments, &[], &directory.join("server.log"))
}

fn path(directory: &Path, name: &str) -> String {
    directory.join(name).display().to_string()
}

fn arguments(flags: &[(&str, &str)]) -> Vec<OsString> {
    flags.iter().map(|(name, value)| format!("--{name}={value}").into()).collect()
}
