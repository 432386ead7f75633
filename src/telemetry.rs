//! Logs, the system's clock, and blocking work that keeps its span.
//!
//! Log lines are readable on a terminal and JSON when asked; each carries the run and the job of its span. Lines
//! inside an attempt also go to that attempt's own file, which `nocturne runs logs` shows.
//!
//! Field names: `run.id`, `dag`, `job.name`, `kind`, `attempt`, `logical_date`, `rows`, `size_bytes`, `duration_ms`,
//! `dataset`, `table`, `source`. Nothing about a person is ever a field or part of a message.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::domain::clock::Clock;

/// The name of the span around one attempt; its fields are `run.id`, `job.name` and `attempt`.
pub const ATTEMPT_SPAN: &str = "attempt";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging to standard error and to the attempts' files below `logs`.
///
/// # Errors
/// When the filter does not parse, or logging has been started before.
pub fn init(format: LogFormat, filter: &str, logs: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::try_new(filter)?;
    let console = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let console = match format {
        LogFormat::Text => console.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => console.json().flatten_event(true).with_ansi(false).boxed(),
    };
    let attempts = AttemptFiles { folder: logs.to_owned() }
        .with_filter(tracing_subscriber::filter::Targets::new().with_target("nocturne", tracing::Level::DEBUG));
    tracing_subscriber::registry().with(console.with_filter(filter)).with(attempts).try_init()?;
    Ok(())
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

/// Returns an error with its chain of causes, as log lines show it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The clock of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the system's clock that the ban points to")]
        Timestamp::now()
    }
}

/// Returns the most memory that this process has held at once, in bytes, where the system tells.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = procfs::process::Process::myself().ok()?.status().ok()?;
    status.vmhwm.map(|kibibytes| kibibytes * 1024)
}

/// Writes the events inside an attempt's span to that attempt's file.
struct AttemptFiles {
    folder: PathBuf,
}

/// The open file of an attempt, kept in its span.
struct AttemptFile(Arc<Mutex<File>>);

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
        let opened = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| OpenOptions::new().create(true).append(true).open(&path));
        match opened {
            Ok(file) => span.extensions_mut().insert(AttemptFile(Arc::new(Mutex::new(file)))),
            // The console still has the lines; a log that cannot be written must not stop a night.
            Err(error) => tracing::warn!(path = %path.display(), %error, "Cannot write the attempt's log"),
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(scope) = context.event_scope(event) else { return };
        for span in scope {
            let extensions = span.extensions();
            let Some(AttemptFile(file)) = extensions.get::<AttemptFile>() else { continue };
            let mut fields = Fields::default();
            event.record(&mut fields);
            let line = fields.line(event.metadata().level());
            let Ok(mut file) = file.lock() else { return };
            if let Err(error) = file.write_all(line.as_bytes()) {
                eprint_once(&error);
            }
            return;
        }
    }
}

/// Says once that an attempt's log cannot be written (a full disk): inside a log layer nothing can be logged.
fn eprint_once(error: &std::io::Error) {
    static SAID: std::sync::Once = std::sync::Once::new();
    SAID.call_once(|| {
        let said = writeln!(std::io::stderr(), "writing an attempt's log: {error}");
        drop(said);
    });
}

/// The fields of a span or event, as text.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn take(&self, name: &str) -> String {
        self.0.iter().find(|(field, _)| *field == name).map_or_else(String::new, |(_, value)| value.clone())
    }

    fn line(&self, level: &tracing::Level) -> String {
        let mut line = format!("{} {level:<5} {}", SystemClock.now(), self.take("message"));
        for (name, value) in self.0.iter().filter(|(name, _)| *name != "message") {
            // Writing to a String cannot fail.
            write!(line, " {name}={value}").unwrap_or_default();
        }
        line.push('\n');
        line
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
