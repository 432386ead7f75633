//! Logs, the system clock, and blocking work that keeps its span.
//!
//! Log lines are readable on a terminal and JSON on request; each carries the run and the job of its span. Lines inside
//! an attempt also go to that attempt's own file, which `nocturne runs logs` shows.
//!
//! Field names: `run.id`, `dag`, `job.name`, `kind`, `attempt`, `logical_date`, `rows`, `size_bytes`, `duration_ms`,
//! `dataset`, `table`, `source`. Nothing about a person is ever a field or part of a message.

mod attempt_log;
mod clock;
pub mod progress;

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::domain::printable;
use attempt_log::eprint_once;

pub use attempt_log::{AttemptLog, line};
pub use clock::SystemClock;

/// The name of the span around one attempt; its fields are `run.id`, `job.name` and `attempt`.
pub const ATTEMPT_SPAN: &str = "attempt";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Where the attempts' logs are.
#[derive(Debug, Clone)]
pub struct AttemptLogs {
    /// Their folder.
    pub folder: PathBuf,
    /// How long each may get, in bytes.
    pub bytes: u64,
}

/// Starts logging to standard error and, if this process carries attempts out, to their files.
///
/// # Errors
/// When the filter does not parse, or logging has been started before.
pub fn init(
    format: LogFormat,
    filter: &str,
    attempts: Option<AttemptLogs>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::try_new(filter)?;
    let console = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let console = match format {
        LogFormat::Text => {
            console.with_ansi(std::io::stderr().is_terminal()).fmt_fields(debug_fn(write_field).delimited(" ")).boxed()
        }
        LogFormat::Json => console.json().flatten_event(true).with_ansi(false).boxed(),
    };
    let attempts = attempts.map(|logs| AttemptFiles { folder: logs.folder, limit: logs.bytes }.with_filter(ours()));
    tracing_subscriber::registry().with(console.with_filter(filter)).with(attempts).try_init()?;
    Ok(())
}

/// Writes a field of a log line for people. What would steer a terminal is shown, and what follows a line break is set
/// in, so that no value looks like a line of its own.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn std::fmt::Debug) -> std::fmt::Result {
    let text = format!("{value:?}");
    let text = printable::lines(&text).replace('\n', "\n    ");
    match field.name() {
        "message" => write!(writer, "{text}"),
        name => write!(writer, "{name}={text}"),
    }
}

/// Starts logging to one attempt's file alone: what a child process does.
///
/// # Errors
/// When logging has been started before.
pub fn init_attempt(log: AttemptLog) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    tracing_subscriber::registry().with(OneFile(Mutex::new(log)).with_filter(ours())).try_init()?;
    Ok(())
}

/// Which events an attempt's log contains.
fn ours() -> tracing_subscriber::filter::Targets {
    tracing_subscriber::filter::Targets::new().with_target("nocturne", tracing::Level::DEBUG)
}

/// Returns the path of an attempt's log below the logs' folder.
pub fn attempt_log(logs: &Path, run_id: &str, job: &str, attempt: &str) -> PathBuf {
    logs.join(run_id).join(format!("{job}.{attempt}.log"))
}

/// Runs blocking work (polars, models, templates, files) off the async threads, within the current span.
///
/// A panic in `work` continues in the caller, which the engine turns into a failed attempt.
pub async fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let span = tracing::Span::current();
    #[expect(clippy::disallowed_methods, reason = "this is the wrapper that the ban points to")]
    let joined = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    match joined {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(match error.try_into_panic() {
            Ok(panic) => panic,
            Err(_) => Box::new("the runtime is shutting down"),
        }),
    }
}

/// Returns an error with its chain of causes, as log lines show it. A cause that its error has quoted already is left
/// out.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

/// The most memory that a child process has used at once, as reported so far.
static PEAK_BYTES: AtomicU64 = AtomicU64::new(0);

/// Records the most memory that a child process has used at once.
pub fn note_peak_memory(bytes: u64) {
    PEAK_BYTES.fetch_max(bytes, Ordering::Relaxed);
}

/// Returns the most memory that this process, or one of the recorded children, has used at once, in bytes, if the
/// system reports it.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = procfs::process::Process::myself().ok()?.status().ok()?;
    let own = status.vmhwm.map(|kibibytes| kibibytes * 1024)?;
    Some(own.max(PEAK_BYTES.load(Ordering::Relaxed)))
}

/// Writes the events inside an attempt's span to that attempt's file.
struct AttemptFiles {
    folder: PathBuf,
    limit: u64,
}

/// The open file of an attempt, kept in its span.
struct AttemptFile(Arc<Mutex<AttemptLog>>);

impl<S> Layer<S> for AttemptFiles
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() != ATTEMPT_SPAN {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let path = attempt_log(&self.folder, &fields.take("run.id"), &fields.take("job.name"), &fields.take("attempt"));
        match AttemptLog::open(&path, self.limit) {
            Ok(log) => span.extensions_mut().insert(AttemptFile(Arc::new(Mutex::new(log)))),
            // The console still has the lines; a log that cannot be written must not stop a night.
            Err(error) => tracing::warn!(path = %path.display(), %error, "Cannot write the attempt's log"),
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(scope) = context.event_scope(event) else { return };
        for span in scope {
            let extensions = span.extensions();
            let Some(AttemptFile(log)) = extensions.get::<AttemptFile>() else { continue };
            write_event(log, event);
            return;
        }
    }
}

/// Writes every event to one file.
struct OneFile(Mutex<AttemptLog>);

impl<S: Subscriber> Layer<S> for OneFile {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        write_event(&self.0, event);
    }
}

fn write_event(log: &Mutex<AttemptLog>, event: &Event<'_>) {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let Ok(mut log) = log.lock() else { return };
    if let Err(error) = log.write(&line(*event.metadata().level(), &fields.text())) {
        eprint_once(&error);
    }
}

/// The fields of a span or event, as text.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn take(&self, name: &str) -> String {
        self.0.iter().find(|(field, _)| *field == name).map_or_else(String::new, |(_, value)| value.clone())
    }

    fn text(&self) -> String {
        let mut text = self.take("message");
        for (name, value) in self.0.iter().filter(|(name, _)| *name != "message") {
            // Writing to a String cannot fail.
            write!(text, " {name}={value}").unwrap_or_default();
        }
        text
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push((field.name(), format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }
}
