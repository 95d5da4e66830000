//! The flags of subcommands.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::config::flag::{Flag, Kind, flag, path, switch};
use crate::config::settings::{Settings, Source};
use crate::config::{CertificateFiles, Group, Scheme, Url, parse_arguments, print_flags};
use crate::tls::{CallerTls, Tool};

/// The flags of a subcommand that calls members: those of etcdctl.
pub(super) const CALLING: &[Group] = &[Group { title: "Members", flags: CALLING_FLAGS }, OUTPUT];

/// The flags of a subcommand that only prints something.
pub(super) const PRINTING: &[Group] = &[OUTPUT];

const OUTPUT: Group = Group {
    title: "Output",
    flags: &[
        flag("write-out", OUTPUT_KIND, "", "How to print: table, json, or simple."),
        flag("w", OUTPUT_KIND, "", "The same."),
    ],
};

const OUTPUT_KIND: Kind = Kind::Choice(&["", "simple", "table", "json"]);

const CALLING_FLAGS: &[Flag] = &[
    flag("endpoints", Kind::List, "127.0.0.1:2379", "Client addresses of members."),
    path("cacert", "Who may have signed the certificates of members."),
    path("cert", "The certificate to show to members."),
    path("key", "Its key."),
    switch("insecure-skip-tls-verify", "Take any member for the right one."),
    flag("dial-timeout", Kind::Duration, "2s", "How long to wait for a connection."),
    flag("command-timeout", Kind::Duration, "5s", "How long to wait for an answer."),
];

/// The beginning of environment variables for flags of tools.
const PREFIX: &str = "ETCDCTL";

/// What a subcommand was told.
#[derive(Debug)]
pub(super) struct Options {
    settings: Settings,
    words: Vec<String>,
}

/// How something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Lines.
    Simple,
    /// A table.
    Table,
    /// JSON.
    Json,
}

/// A member's client address, and how it is called.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// As it was given.
    pub(super) text: String,
    /// Where it is.
    pub(super) url: Url,
}

impl Options {
    /// Reads the words after a subcommand; `None` if help was asked for, which is then printed.
    pub(super) fn read(
        usage: &str,
        groups: &'static [Group],
        arguments: &[String],
        environment: &BTreeMap<String, String>,
        out: &mut dyn Write,
    ) -> Result<Option<Options>> {
        let parsed = parse_arguments(arguments, groups)?;
        if parsed.wants_help {
            writeln!(out, "Usage:\n\n  holdfast {usage}\n")?;
            print_flags(out, groups)?;
            return Ok(None);
        }
        if let Some(notice) = parsed.notices.first() {
            bail!("{}", notice.text.replace(" and is passed over", ""));
        }
        let mut settings = Settings::new(groups);
        for flag in groups.iter().flat_map(|group| group.flags) {
            let variable = flag.variable(PREFIX);
            if let Some(value) = environment.get(&variable).filter(|value| !value.is_empty()) {
                settings.set(flag, value, Source::Environment(variable))?;
            }
        }
        for (flag, value) in parsed.flags {
            settings.set(flag, &value, Source::Arguments)?;
        }
        Ok(Some(Options { settings, words: parsed.words }))
    }

    /// What stands beside flags.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// The values of flags.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How to print.
    pub(super) fn output(&self, unless_given: Output) -> Output {
        let given = ["w", "write-out"].map(|name| self.settings.text(name));
        match given.iter().find(|text| !text.is_empty()).map(String::as_str) {
            Some("json") => Output::Json,
            Some("table") => Output::Table,
            Some(_) => Output::Simple,
            None => unless_given,
        }
    }

    /// The members to call. An address without a scheme is called with TLS if there are flags of
    /// TLS.
    pub(super) fn endpoints(&self) -> Result<Vec<Endpoint>> {
        let scheme = if self.speaks_tls() { "https" } else { "http" };
        let mut endpoints = Vec::new();
        for text in self.settings.list("endpoints") {
            let full =
                if text.contains("://") { text.clone() } else { format!("{scheme}://{text}") };
            let url = Url::parse(full.trim_end_matches('/'))
                .with_context(|| format!("--endpoints holds `{text}`"))?;
            endpoints.push(Endpoint { text, url });
        }
        if endpoints.is_empty() {
            bail!("--endpoints wants the client address of a member, and is empty");
        }
        Ok(endpoints)
    }

    fn speaks_tls(&self) -> bool {
        ["cacert", "cert", "key"].iter().any(|name| self.settings.path(name).is_some())
            || self.settings.switch("insecure-skip-tls-verify")
    }

    /// How endpoints with TLS are called; `None` if there is none.
    pub(super) fn tls(&self, endpoints: &[Endpoint]) -> Result<Option<CallerTls>> {
        let is_tls = |endpoint: &Endpoint| match endpoint.url.scheme() {
            Scheme::Https | Scheme::Unixs => true,
            Scheme::Http | Scheme::Unix => false,
        };
        if !endpoints.iter().any(is_tls) {
            return Ok(None);
        }
        let identity = match (self.settings.path("cert"), self.settings.path("key")) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(CertificateFiles { certificate, key }),
            (Some(_), None) => bail!("--cert is given without --key: give both or none"),
            (None, Some(_)) => bail!("--key is given without --cert: give both or none"),
        };
        let tool = Tool {
            identity,
            trusted_ca: self.settings.path("cacert"),
            is_unverified: self.settings.switch("insecure-skip-tls-verify"),
        };
        Ok(Some(CallerTls::of_tool(tool)?))
    }

    /// How long to wait for a connection, and how long for an answer.
    pub(super) fn timeouts(&self) -> (Duration, Duration) {
        (self.settings.duration("dial-timeout"), self.settings.duration("command-timeout"))
    }

    /// The path of a flag.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.settings.path(name)
    }
}
