//! `holdfast status`: members as they answer.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use etcd_api::etcdserverpb::maintenance_client::MaintenanceClient;
use etcd_api::etcdserverpb::{StatusRequest, StatusResponse};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::channel::Channel;
use super::options::{CALLING, Endpoint, Options, Output};
use super::{block_on, table};
use crate::tls::CallerTls;

const USAGE: &str = "status --endpoints URLS [-w table|json|simple]\n    Show the members at these \
                     addresses.";

const HEADINGS: [&str; 12] = [
    "ENDPOINT", "ID", "VERSION", "DB SIZE", "IN USE", "LEADER", "LEARNER", "TERM", "INDEX",
    "APPLIED", "REVISION", "ERRORS",
];

/// Asks each member, and prints what they say. It has failed if one of them has not answered.
pub(super) fn run(
    arguments: &[String],
    environment: &BTreeMap<String, String>,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let Some(options) = Options::read(USAGE, CALLING, arguments, environment, out)? else {
        return Ok(ExitCode::SUCCESS);
    };
    super::no_words(&options)?;
    let endpoints = options.endpoints()?;
    let tls = options.tls(&endpoints)?;
    let timeouts = options.timeouts();
    let answers = block_on(async {
        let mut answers = Vec::new();
        for endpoint in &endpoints {
            let answer = ask(endpoint, tls.as_ref(), timeouts).await;
            answers.push((endpoint.text.as_str(), answer));
        }
        Ok(answers)
    })?;
    print(&answers, options.output(Output::Table), out)?;
    let all_answered = answers.iter().all(|(_, answer)| answer.is_ok());
    Ok(if all_answered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn ask(
    endpoint: &Endpoint,
    tls: Option<&CallerTls>,
    (dial, command): (Duration, Duration),
) -> Result<StatusResponse> {
    let connected = timeout(dial, Channel::connect(endpoint, tls)).await;
    let (channel, origin) = connected.context("there was no connection in time")??;
    let mut client = MaintenanceClient::with_origin(channel, origin);
    let answered = timeout(command, client.status(StatusRequest {})).await;
    Ok(answered.context("there was no answer in time")??.into_inner())
}

fn print(
    answers: &[(&str, Result<StatusResponse>)],
    output: Output,
    out: &mut dyn Write,
) -> Result<()> {
    match output {
        Output::Json => {
            let all: Vec<Value> =
                answers.iter().map(|(endpoint, answer)| to_json(endpoint, answer)).collect();
            writeln!(out, "{}", Value::from(all))?;
        }
        Output::Table => {
            let rows: Vec<_> = answers.iter().map(|(of, answer)| row(of, answer)).collect();
            table::print(out, &HEADINGS, &rows)?;
        }
        Output::Simple => {
            for (endpoint, answer) in answers {
                writeln!(out, "{}", row(endpoint, answer).join(", "))?;
            }
        }
    }
    Ok(())
}

fn row(endpoint: &str, answer: &Result<StatusResponse>) -> Vec<String> {
    let status = match answer {
        Ok(status) => status,
        Err(error) => {
            let mut row = vec![String::new(); HEADINGS.len()];
            endpoint.clone_into(&mut row[0]);
            row[HEADINGS.len() - 1] = format!("{error:#}");
            return row;
        }
    };
    let header = status.header.unwrap_or_default();
    let bytes = |number: i64| table::size(u64::try_from(number).unwrap_or(0));
    vec![
        endpoint.to_owned(),
        format!("{:x}", header.member_id),
        status.version.clone(),
        bytes(status.db_size),
        bytes(status.db_size_in_use),
        (status.leader == header.member_id).to_string(),
        status.is_learner.to_string(),
        status.raft_term.to_string(),
        status.raft_index.to_string(),
        status.raft_applied_index.to_string(),
        header.revision.to_string(),
        status.errors.join("; "),
    ]
}

/// The form of etcdctl's `endpoint status`, and the error of who has not answered.
fn to_json(endpoint: &str, answer: &Result<StatusResponse>) -> Value {
    match answer {
        Ok(status) => {
            let header = status.header.unwrap_or_default();
            json!({
                "Endpoint": endpoint,
                "Status": {
                    "header": {
                        "cluster_id": header.cluster_id,
                        "member_id": header.member_id,
                        "revision": header.revision,
                        "raft_term": header.raft_term,
                    },
                    "version": status.version,
                    "dbSize": status.db_size,
                    "leader": status.leader,
                    "raftIndex": status.raft_index,
                    "raftTerm": status.raft_term,
                    "raftAppliedIndex": status.raft_applied_index,
                    "errors": status.errors,
                    "dbSizeInUse": status.db_size_in_use,
                    "isLearner": status.is_learner,
                },
            })
        }
        Err(error) => json!({ "Endpoint": endpoint, "Error": format!("{error:#}") }),
    }
}
