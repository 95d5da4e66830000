//! A cluster whose members and clients know each other by certificates, and the client that reads
//! and writes there with the certificates that lie in its Secret at the time.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cluster::Cluster;
use crate::cluster::layout::State;
use crate::cluster::run::wait_for;
use crate::e2e::behaviour::LIMIT;
use crate::e2e::subject::{NAME, NAMESPACE, Subject};
use crate::e2e::witness::{Seen, Witness};
use crate::workspace::Workspace;

/// Within this time, every node has shown every pod a changed Secret, and every pod has read it.
const SPREAD_LIMIT: Duration = Duration::from_secs(150);
/// What a Secret with a certificate holds.
const FILES: [&str; 3] = ["ca.crt", "tls.crt", "tls.key"];

/// Where a behaviour makes a cluster of its own.
pub(super) struct Scene<'a> {
    /// The cluster that others share, which is not there now.
    pub(super) subject: &'a Subject,
    pub(super) workspace: &'a Workspace,
    pub(super) state: &'a State,
    pub(super) cluster: &'a Cluster,
    /// The witness.
    pub(super) program: &'a std::path::Path,
    /// Where the certificates of clients are put.
    pub(super) directory: PathBuf,
}

impl Scene<'_> {
    /// A cluster with this `spec.tls`, which is not made yet.
    pub(super) fn subject(&self, tls: String) -> Subject {
        Subject { tls: Some(tls), ..self.subject.clone() }
    }
}

/// A cluster, and a client that writes and reads there.
pub(super) struct Certified<'a> {
    subject: &'a Subject,
    /// The Secrets by the port on which what is in them is shown.
    secrets: BTreeMap<u16, String>,
    witness: Witness,
    papers: Papers,
    /// The pods, and how often each was started.
    pods: String,
}

impl<'a> Certified<'a> {
    /// Waits until the cluster is whole, and starts the client.
    pub(super) fn begin(
        scene: &Scene<'_>,
        subject: &'a Subject,
        client_secret: &str,
        peer_secret: &str,
    ) -> Result<Certified<'a>> {
        subject.wait_until_whole(3, &BTreeMap::new(), LIMIT)?;
        let mut papers = Papers::new(scene.directory.clone(), client_secret)?;
        papers.refresh(subject)?;
        let urls = subject.urls(3);
        let mut witness =
            Witness::start(scene.program, scene.state, &urls, Some(&papers.current()))?;
        std::thread::sleep(Duration::from_secs(2));
        witness.mark("started")?;
        let secrets = [(2379, client_secret), (2380, peer_secret)];
        let secrets = secrets.map(|(port, secret)| (port, secret.to_owned())).into();
        Ok(Certified { subject, secrets, witness, papers, pods: processes(subject)? })
    }

    /// Waits until every member shows on both ports what the Secrets hold.
    pub(super) fn wait_until_shown(&mut self) -> Result<()> {
        wait_for("the certificates to be shown", SPREAD_LIMIT, || {
            self.papers.refresh(self.subject)?;
            std::thread::sleep(Duration::from_secs(1));
            self.are_shown().map(|are_shown| are_shown.then_some(()))
        })
    }

    fn are_shown(&self) -> Result<bool> {
        let format = "jsonpath={range .items[*]}{.metadata.name} {.status.podIP}{\"\\n\"}{end}";
        let pods = self.subject.ask(&["get", "pods", "-o", format])?;
        for (port, secret) in &self.secrets {
            let wanted = field(self.subject, secret, "tls.crt")?;
            for (pod, address) in pods.lines().filter_map(|line| line.split_once(' ')) {
                let host = format!("{pod}.{NAME}-peers.{NAMESPACE}.svc");
                if shown(&format!("{address}:{port}"), &host)? != first(&wanted) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Makes sure that no process was started since the beginning.
    pub(super) fn ensure_not_restarted(&self) -> Result<()> {
        let now = processes(self.subject)?;
        ensure!(now == self.pods, "pods were restarted; there were {}, now {now}", self.pods);
        Ok(())
    }

    /// Has the leader's process start anew, with what is there now, and looks for every write.
    /// Returns what the client saw in all this time.
    pub(super) fn end(mut self) -> Result<Seen> {
        let path = "jsonpath={.status.leader.name}";
        let leader = self.subject.ask(&["get", "raftcluster", NAME, "-o", path])?;
        let mut gone = self.subject.pods()?;
        gone.retain(|pod, _| *pod == leader);
        self.subject.ask(&["delete", "pod", &leader, "--wait=false"])?;
        self.subject.wait_until_whole(3, &gone, LIMIT)?;
        let mut seen = self.witness.mark("all")?;
        let end = self.witness.end()?;
        seen.lost += end.lost;
        seen.disordered += end.disordered;
        Ok(seen)
    }
}

/// Which processes run: the pods, and how often each was started.
fn processes(subject: &Subject) -> Result<String> {
    let format = "jsonpath={range .items[*]}{.metadata.uid} \
                  {.status.containerStatuses[0].restartCount}{\"\\n\"}{end}";
    subject.ask(&["get", "pods", "-o", format])
}

/// A field of a Secret.
pub(super) fn field(subject: &Subject, secret: &str, key: &str) -> Result<String> {
    let format = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
    subject.ask(&["get", "secret", secret, "-o", &format])
}

/// The certificate that is shown at an address, as PEM; empty if there is none.
fn shown(address: &str, host: &str) -> Result<String> {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", address, "-servername", host])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .context("cannot run openssl; the Debian package openssl has it")?;
    // It fails for having no certificate of its own, after it has seen that of the other.
    Ok(first(&String::from_utf8_lossy(&output.stdout)))
}

/// The first certificate in a text, without its frame and its line ends.
fn first(text: &str) -> String {
    let lines = text.lines().skip_while(|line| !line.starts_with("-----BEGIN CERTIFICATE"));
    lines.skip(1).take_while(|line| !line.starts_with("-----END")).map(str::trim).collect()
}

/// What a client has of its Secret: a directory for each version, and a link to the newest, as a
/// pod would have it.
struct Papers {
    directory: PathBuf,
    secret: String,
    texts: Vec<String>,
    version: u32,
}

impl Papers {
    fn new(directory: PathBuf, secret: &str) -> Result<Papers> {
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
        Ok(Papers { directory, secret: secret.to_owned(), texts: Vec::new(), version: 0 })
    }

    fn current(&self) -> PathBuf {
        self.directory.join("current")
    }

    /// Reads the Secret. One that is not there leaves what there was.
    fn refresh(&mut self, subject: &Subject) -> Result<()> {
        let text = |key: &&str| field(subject, &self.secret, key);
        let Ok(texts) = FILES.iter().map(text).collect::<Result<Vec<String>>>() else {
            return Ok(());
        };
        if texts == self.texts {
            return Ok(());
        }
        self.version += 1;
        let version = self.directory.join(self.version.to_string());
        fs::create_dir_all(&version).context("cannot make a directory for certificates")?;
        for (name, text) in FILES.iter().zip(&texts) {
            fs::write(version.join(name), text).context("cannot write certificates")?;
        }
        let link = self.directory.join("next");
        std::os::unix::fs::symlink(&version, &link).context("cannot make a link")?;
        fs::rename(&link, self.current()).context("cannot turn the link")?;
        self.texts = texts;
        Ok(())
    }
}

impl Drop for Papers {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
