//! The log: one line for each event, in the form of etcd's, wherever the settings say.
//!
//! ```text
//! {"level":"info","ts":"2026-01-31T12:00:00.000001Z","caller":"src/run.rs:7","msg":"…","term":3}
//! 2026-01-31T12:00:00.000001Z  info  src/run.rs:7  …  {"term":3}
//! ```
//!
//! Lines are written at once and whole. Whoever reads them through a pipe and stops reading stops
//! the process, as with etcd.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::panic;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogConfig, LogFormat, LogLevel, LogOutput};

/// Whose details are worth seeing. What other crates say is left out one level earlier.
const OUR_CRATES: [&str; 8] =
    ["disk", "holdfast", "mvcc", "raft", "replica", "server", "store", "wal"];

/// Why there can be no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file cannot be appended to.
    #[error("the log file {path} of --log-outputs cannot be opened")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is a log already.
    #[error("the log is already set up")]
    Twice,
}

/// Whose log it is; nothing before that is known.
static MEMBER: OnceLock<String> = OnceLock::new();

/// Every line says from now on which member it is from, so that the logs of several can be read
/// together.
pub fn set_member(id: u64) {
    // One process is one member; if it is told again, nothing changes.
    let _ = MEMBER.set(format!("{id:x}"));
}

/// Sends events to the log from now on, and panics of any thread as well.
///
/// # Errors
///
/// If a file cannot be opened.
pub fn init(config: &LogConfig) -> Result<(), LogError> {
    let outputs = Outputs::open(&config.outputs)?;
    tracing_subscriber::registry()
        .with(filter(config.level))
        .with(
            tracing_subscriber::fmt::layer()
                .event_format(Line { format: config.format, clock: SystemTime })
                .with_ansi(false)
                .with_writer(outputs),
        )
        .try_init()
        .map_err(|_| LogError::Twice)?;
    log_panics();
    Ok(())
}

fn filter(level: LogLevel) -> Targets {
    let (ours, others) = match level {
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::INFO),
        LogLevel::Info => (LevelFilter::INFO, LevelFilter::WARN),
        LogLevel::Warn => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
    };
    Targets::new().with_default(others).with_targets(OUR_CRATES.map(|name| (name, ours)))
}

/// A panic is a line like any other, and then what it was before.
fn log_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let text = info.payload_as_str().unwrap_or("a panic that says nothing");
        tracing::error!(place, "panic: {text}");
        before(info);
    }));
}

/// Everything that lines go to.
#[derive(Clone, Debug)]
struct Outputs(Arc<[Output]>);

#[derive(Debug)]
enum Output {
    Stderr,
    Stdout,
    File(File),
}

impl Outputs {
    fn open(outputs: &[LogOutput]) -> Result<Outputs, LogError> {
        let open = |output: &LogOutput| match output {
            LogOutput::Stderr => Ok(Output::Stderr),
            LogOutput::Stdout => Ok(Output::Stdout),
            LogOutput::File(path) => OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map(Output::File)
                .map_err(|source| LogError::File { path: path.clone(), source }),
        };
        Ok(Outputs(outputs.iter().map(open).collect::<Result<_, _>>()?))
    }
}

impl Write for &Outputs {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        for output in &*self.0 {
            match output {
                Output::Stderr => io::stderr().write_all(line)?,
                Output::Stdout => io::stdout().write_all(line)?,
                Output::File(file) => (&*file).write_all(line)?,
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Outputs {
    type Writer = &'a Outputs;

    fn make_writer(&'a self) -> &'a Outputs {
        self
    }
}

/// How an event becomes a line.
struct Line<C> {
    format: LogFormat,
    clock: C,
}

impl<S, N, C> FormatEvent<S, N> for Line<C>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    C: FormatTime,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let level = level_name(*metadata.level());
        let mut time = String::new();
        self.clock.format_time(&mut Writer::new(&mut time))?;
        let caller = caller(metadata.file().unwrap_or(metadata.target()), metadata.line());
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(member) = MEMBER.get().filter(|_| metadata.fields().field("member").is_none()) {
            let comma = if fields.rest.is_empty() { "" } else { "," };
            write!(fields.rest, "{comma}\"member\":{}", quoted(member))?;
        }
        match self.format {
            LogFormat::Json => {
                let message = quoted(&fields.message);
                write!(writer, r#"{{"level":"{level}","ts":"{time}","caller":"{caller}","#)?;
                write!(writer, r#""msg":{message}"#)?;
                if !fields.rest.is_empty() {
                    write!(writer, ",{}", fields.rest)?;
                }
                writeln!(writer, "}}")
            }
            LogFormat::Console => {
                write!(writer, "{time}\t{level}\t{caller}\t{}", fields.message)?;
                if !fields.rest.is_empty() {
                    write!(writer, "\t{{{}}}", fields.rest)?;
                }
                writeln!(writer)
            }
        }
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}

/// The file with the directory it is in, and the line.
fn caller(file: &str, line: Option<u32>) -> String {
    let start = file.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at + 1);
    let file = &file[start..];
    line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"))
}

/// The fields of an event: its message, and the rest as members of a JSON object.
#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl fmt::Display) {
        let comma = if self.rest.is_empty() { "" } else { "," };
        write!(self.rest, "{comma}{}:{value}", quoted(field.name()))
            .expect("writing to a string cannot fail");
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, quoted(&text));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, quoted(value));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            write!(text, ": {error}").expect("writing to a string cannot fail");
            source = error.source();
        }
        self.put(field, quoted(&text));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinities.
        if value.is_finite() {
            self.put(field, value);
        } else {
            self.put(field, quoted(&value.to_string()));
        }
    }
}

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A clock that stands still.
    struct Noon;

    impl FormatTime for Noon {
        fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
            writer.write_str("NOON")
        }
    }

    /// What becomes of the events of `work`, with the lines of this file left out.
    fn lines(format: LogFormat, level: LogLevel, work: impl FnOnce()) -> String {
        let path =
            std::env::temp_dir().join(format!("holdfast-log-{:?}", std::thread::current().id()));
        let outputs = Outputs::open(&[LogOutput::File(path.clone())]).unwrap();
        let subscriber = tracing_subscriber::registry().with(filter(level)).with(
            tracing_subscriber::fmt::layer()
                .event_format(Line { format, clock: Noon })
                .with_writer(outputs),
        );
        tracing::subscriber::with_default(subscriber, work);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut masked = String::new();
        for line in text.lines() {
            let (before, after) = line.split_once("src/log.rs:").unwrap();
            let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
            masked += &format!("{before}log{after}\n");
        }
        masked
    }

    #[test]
    fn a_line_of_json_has_the_keys_of_etcd() {
        let text = lines(LogFormat::Json, LogLevel::Info, || {
            tracing::info!(term = 3, ratio = 0.5, leads = true, "says \"{}\"", "yes");
            let error = io::Error::other("no");
            tracing::warn!(error = &error as &dyn std::error::Error, name = "a\nb", "fails");
        });
        assert_eq!(
            text,
            "{\"level\":\"info\",\"ts\":\"NOON\",\"caller\":\"log\",\"msg\":\"says \\\"yes\\\"\",\
             \"term\":3,\"ratio\":0.5,\"leads\":true}\n\
             {\"level\":\"warn\",\"ts\":\"NOON\",\"caller\":\"log\",\"msg\":\"fails\",\
             \"error\":\"no\",\"name\":\"a\\nb\"}\n"
        );
        for line in text.lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }

    #[test]
    fn a_line_for_people_has_columns() {
        let text = lines(LogFormat::Console, LogLevel::Info, || {
            tracing::info!("alone");
            tracing::error!(index = 7, "with a field");
        });
        assert_eq!(text, "NOON\tinfo\tlog\talone\nNOON\terror\tlog\twith a field\t{\"index\":7}\n");
    }

    #[test]
    fn what_is_below_the_level_is_not_logged_and_other_crates_say_less() {
        let text = lines(LogFormat::Console, LogLevel::Info, || {
            tracing::debug!("hidden");
            tracing::info!(target: "hyper", "hidden");
            tracing::warn!(target: "hyper", "shown");
            tracing::info!(target: "wal::log", "shown");
        });
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains("hidden"), "{text}");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let path = Path::new("/no/such/directory/log");
        let error = Outputs::open(&[LogOutput::File(path.to_owned())]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the log file /no/such/directory/log of --log-outputs cannot be opened"
        );
    }

    #[test]
    fn callers_are_a_file_in_its_directory() {
        assert_eq!(caller("crates/server/src/member/driver.rs", Some(7)), "member/driver.rs:7");
        assert_eq!(caller("src/log.rs", None), "src/log.rs");
        assert_eq!(caller("hyper", Some(1)), "hyper:1");
    }
}
