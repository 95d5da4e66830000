//! The `holdfast` binary.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use server::config::{self, ConfigError, Loaded, Notice};
use server::{cli, log};

/// Requests are many small allocations, made and freed on few threads. It is version 2 of mimalloc:
/// with version 3 a million keys were measured to take 60 MB more.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match start() {
        Ok(code) => code,
        Err(error) => {
            // There is nobody else to tell if this fails.
            drop(writeln!(io::stderr(), "holdfast: {error:#}"));
            error.downcast_ref().map_or(ExitCode::FAILURE, |error: &ConfigError| {
                ExitCode::from(error.exit_status())
            })
        }
    }
}

fn start() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    if let Some(done) = cli::run(&arguments, &environment) {
        return done;
    }
    let (config, notices) = match config::load(&arguments, &environment)? {
        Loaded::Help => {
            config::print_help(&mut io::stdout().lock())?;
            return Ok(ExitCode::SUCCESS);
        }
        Loaded::Version => {
            config::print_version(&mut io::stdout().lock())?;
            return Ok(ExitCode::SUCCESS);
        }
        Loaded::Member(config, notices) => (*config, notices),
    };
    log::init(&config.log)?;
    notices.iter().for_each(Notice::log);
    // One thread: connections, the driver and peers share it where processors are few. Blocking
    // work has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime can be made")?;
    let code = runtime.block_on(server::run(config));
    runtime.shutdown_background();
    code
}
