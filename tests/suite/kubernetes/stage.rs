//! The commands of the scripts: what somebody does to clusters by kubectl, and what is answered.

use std::error::Error;

use anyhow::{Context as _, Result, ensure};
use goldenscript::{Command, Context, Runner};
use tests::programs;

use super::control_plane::{ControlPlane, Programs};

/// Where the definition of our kind lies, seen from the root of the workspace.
const DEFINITIONS: &str = "manifests/crd";

/// An API server that knows our kind.
pub(super) struct Stage<'a> {
    programs: &'a Programs,
    plane: ControlPlane,
}

impl Stage<'_> {
    /// Starts the server, and tells it of our kind as `kubectl apply` does.
    pub(super) fn new(programs: &Programs) -> Result<Stage<'_>> {
        let plane = ControlPlane::start(programs)?;
        let definitions = programs::workspace().join(DEFINITIONS);
        let definitions = definitions.to_str().context("paths are text")?;
        plane.must(programs, &["apply", "--filename", definitions], "")?;
        let wait = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"];
        plane.must(programs, &wait, "")?;
        Ok(Stage { programs, plane })
    }

    /// Removes what a script has left.
    fn clear(&self) -> Result<()> {
        self.plane.must(self.programs, &["delete", "raftclusters", "--all"], "").map(drop)
    }

    fn apply(&self, cluster: &str) -> Result<()> {
        let said = self.plane.must(self.programs, &["apply", "--filename=-"], cluster)?;
        ensure!(said.starts_with("raftcluster"), "kubectl said: {said}");
        Ok(())
    }

    /// What is said to somebody who would like to know whether a cluster is accepted.
    fn try_apply(&self, cluster: &str) -> Result<String> {
        self.ask(&["apply", "--dry-run=server", "--filename=-"], cluster)
    }

    fn ask(&self, arguments: &[&str], input: &str) -> Result<String> {
        let output = self.plane.kubectl(self.programs, arguments, input)?;
        let (said, failed) = (&output.stdout, &output.stderr);
        let answers = [said, failed].map(|text| String::from_utf8_lossy(text));
        Ok(without_ages(&answers.concat()))
    }

    fn play(&self, command: &Command) -> Result<String> {
        let mut arguments = command.consume_args();
        let name = arguments.take_key("name").unwrap_or("demo").to_owned();
        let mut texts = Vec::new();
        while let Some(text) = arguments.next_pos() {
            texts.push(text.to_owned());
        }
        arguments.reject_next().map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut texts = texts.into_iter();
        let mut next = || texts.next();
        match command.name.as_str() {
            // Would a cluster of this specification be made?
            "create" => self.try_apply(&cluster(&name, next().as_deref())),
            // There is one of the first; might it be changed to the second?
            "change" => {
                let (from, to) = (next(), next());
                self.apply(&cluster(&name, from.as_deref()))?;
                let said = self.try_apply(&cluster(&name, to.as_deref()));
                self.clear()?;
                said
            }
            // There is one of this specification from now on.
            "apply" => self.apply(&cluster(&name, next().as_deref())).map(|()| String::new()),
            // As the operator would.
            "status" => {
                let patch = format!("{{\"status\": {}}}", next().context("what status?")?);
                let arguments = ["patch", "raft", &name, "--subresource=status", "--type=merge"];
                let patch = ["--patch", &patch];
                self.ask(&[&arguments[..], &patch[..]].concat(), "").map(|_| String::new())
            }
            // Everything else is kubectl's.
            "kubectl" => {
                let words: Vec<String> = std::iter::from_fn(next).collect();
                self.ask(&words.iter().map(String::as_str).collect::<Vec<_>>(), "")
            }
            other => anyhow::bail!(
                "`{other}` is no command; there are apply, change, create, kubectl, status"
            ),
        }
    }
}

impl Runner for Stage<'_> {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        Ok(self.play(command)?)
    }

    fn end_script(&mut self) -> Result<(), Box<dyn Error>> {
        Ok(self.clear()?)
    }
}

/// Takes out of an answer what is never the same: how old something is.
fn without_ages(answer: &str) -> String {
    let lines = answer.lines().map(|line| match line.rsplit_once(' ') {
        Some((before, age)) if is_age(age) => format!("{before} 0s\n"),
        Some(_) | None => format!("{line}\n"),
    });
    lines.collect()
}

/// Whether a word is like `7s`.
fn is_age(word: &str) -> bool {
    word.strip_suffix('s').is_some_and(|number| number.parse::<u32>().is_ok())
}

/// A cluster whose specification is given as YAML in one line; none at all if it is not given.
fn cluster(name: &str, spec: Option<&str>) -> String {
    let spec = spec.map(|spec| format!("spec: {{{spec}}}\n")).unwrap_or_default();
    format!(
        "apiVersion: raft.holdfast.dev/v1alpha1\nkind: RaftCluster\nmetadata:\n  name: \
         {name:?}\n{spec}"
    )
}
