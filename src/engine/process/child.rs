//! Attempts in child processes of the same binary, as the parent sees them.
//!
//! Each attempt gets a process group of its own (`group`), an empty environment except for what programs need, and its
//! [`Order`] through a pipe. Its log is the attempt's own file, which the child writes itself, so that it survives this
//! process; its outcome is a file that is verified. Whatever the child does (allocate without end, kill itself, hang),
//! only that attempt ends, in an error that says what happened.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::cgroup::MemoryMeans;
use super::group::{Group, Rules};
use super::memory::{MemoryExceeded, MemoryLimit};
use super::output::Lines;
use super::protocol::{self, Ended, Order, Report, ToChild, ToParent, Wrong};
use super::survivors;
use crate::domain::ids::KindName;
use crate::domain::outcome::{JobError, Outcome};
use crate::engine::runner::{Assignment, Done, Isolation, Parts};
use crate::telemetry::{self, AttemptLog};

/// How children are started.
pub struct ProcessSettings {
    /// The program: this one.
    pub program: PathBuf,
    /// Its arguments: the hidden subcommand.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// What the child rebuilds the environment of job bodies from; it contains secrets.
    pub setup: serde_json::Value,
    /// The folder for scratch files.
    pub scratch: PathBuf,
    /// The folder of the attempts' logs.
    pub logs: PathBuf,
    /// How long an attempt's log may get, in bytes.
    pub log_bytes: u64,
    /// Returns the memory limit of a kind.
    pub limit: Box<dyn Fn(&KindName) -> MemoryLimit + Send + Sync>,
    /// Returns how memory is limited.
    pub means: fn() -> MemoryMeans,
}

/// Carries attempts out in child processes.
pub struct ProcessIsolation {
    settings: ProcessSettings,
}

/// How long to wait after a child's end for what it has written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the standard library prints when memory is refused, before it ends the process.
const REFUSED_MEMORY: &str = "memory allocation of ";

impl ProcessIsolation {
    /// Returns the isolation with these settings.
    pub fn new(settings: ProcessSettings) -> Self {
        Self { settings }
    }

    fn order(&self, assignment: Assignment, limit: &MemoryLimit) -> Order {
        let input = &assignment.input;
        let log = telemetry::attempt_log(
            &self.settings.logs,
            input.run_id.as_str(),
            input.job.as_str(),
            &input.attempt.to_string(),
        );
        Order {
            setup: self.settings.setup.clone(),
            log,
            log_bytes: self.settings.log_bytes,
            // Not all address space is used (stacks, the allocator's arenas): sampling usually reports first what was
            // exceeded, and this stops what allocates too fast to be sampled.
            data_bytes: limit.bytes + limit.bytes / 4 + (256 << 20),
            results: survivors::results(&self.settings.scratch).join(&assignment.fence),
            assignment,
        }
    }

    fn start(&self, order: &Order, limit: MemoryLimit) -> anyhow::Result<(Group, Child)> {
        let log = AttemptLog::open(&order.log, order.log_bytes)
            .and_then(|log| log.file())
            .with_context(|| format!("opening the attempt's log {}", order.log.display()))?;
        let mut command = Command::new(&self.settings.program);
        command
            .arg0("nocturne")
            .args(&self.settings.arguments)
            .env_clear()
            .envs(&self.settings.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let rules = Rules {
            fence: order.assignment.fence.clone(),
            scratch: self.settings.scratch.clone(),
            memory: Some(limit),
            means: (self.settings.means)(),
        };
        Group::start(&mut command, &rules)
            .with_context(|| format!("starting a process for the attempt ({})", self.settings.program.display()))
    }
}

#[async_trait]
impl Isolation for ProcessIsolation {
    async fn carry_out(
        &self,
        assignment: Assignment,
        parts: Arc<dyn Parts>,
        cancel: CancellationToken,
    ) -> Result<Done, JobError> {
        let limit = (self.settings.limit)(&assignment.input.kind);
        let order = self.order(assignment, &limit);
        // Removed when everything below, the group included, no longer needs it.
        let _results = Results::make(&order.results).map_err(JobError::Retry)?;
        let (group, child) = self.start(&order, limit.clone()).map_err(JobError::Retry)?;
        let status = tokio::select! {
            exceeded = group.exceeds() => return Err(JobError::Fail(anyhow::anyhow!("{exceeded}"))),
            status = follow(child, &order, &*parts, &cancel) => status.map_err(JobError::Retry)?,
        };
        let report = protocol::take::<Report>(&protocol::outcome_file(&order.results));
        if let Ok(Some(Report { peak_bytes: Some(peak), .. })) = &report {
            telemetry::note_peak_memory(*peak);
        }
        match report.map(|report| report.map(|report| report.ended)) {
            Ok(Some(Ended::Done(done))) => Ok(*done),
            Ok(Some(Ended::Wrong(wrong))) => Err(wrong.into()),
            Ok(None) if cancel.is_cancelled() => Err(JobError::Cancelled),
            Ok(None) => Err(without_outcome(status, &group, &order.log, limit)),
            Err(torn) => Err(JobError::Lost(format!("{}, and its outcome {torn}", how_it_ended(status)))),
        }
    }
}

/// The folder through which an attempt's results are passed.
struct Results(PathBuf);

impl Results {
    fn make(path: &Path) -> anyhow::Result<Self> {
        let made = || format!("making the folder {} for the attempt's outcome", path.display());
        if path.exists() {
            // Files of an earlier attempt of the same name are not this one's.
            std::fs::remove_dir_all(path).with_context(made)?;
        }
        std::fs::create_dir_all(path).with_context(made)?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            warn!(path = %self.0.display(), %error, "Cannot remove the folder of an attempt's outcome");
        }
    }
}

/// Follows a child to its end: hands its order over, takes its parts, tells it when to stop.
async fn follow(
    mut child: Child,
    order: &Order,
    parts: &dyn Parts,
    cancel: &CancellationToken,
) -> anyhow::Result<ExitStatus> {
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        anyhow::bail!("the process of the attempt has no pipes");
    };
    let mut line = serde_json::to_vec(order).context("writing the attempt's order")?;
    line.push(b'\n');
    let talk = Conversation { stdin, stdout, results: &order.results, parts }.hold(&line, cancel);
    tokio::pin!(talk);
    let waiting = |error: std::io::Error| anyhow::Error::new(error).context("waiting for the process of the attempt");
    tokio::select! {
        () = &mut talk => child.wait().await.map_err(waiting),
        status = child.wait() => {
            let status = status.map_err(waiting)?;
            // Do not wait for a pipe that another process holds open.
            timeout(LAST_WORDS, talk).await.unwrap_or_default();
            Ok(status)
        }
    }
}

/// The pipes of a child process, and where the parts go that it hands over through them.
struct Conversation<'a> {
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// The folder in which it leaves its parts.
    results: &'a Path,
    /// Who commits them.
    parts: &'a dyn Parts,
}

impl Conversation<'_> {
    /// Talks with the child until it sends no more. A broken pipe means that the child has ended, as its status says.
    async fn hold(self, order: &[u8], cancel: &CancellationToken) {
        let Self { mut stdin, mut stdout, results, parts } = self;
        if stdin.write_all(order).await.is_err() {
            return;
        }
        let (mut lines, mut buffer) = (Lines::default(), vec![0; 8 * 1024]);
        let mut is_told = false;
        loop {
            let mut said = Vec::new();
            tokio::select! {
                () = cancel.cancelled(), if !is_told => {
                    is_told = true;
                    answer(&mut stdin, &ToChild::Cancel).await;
                }
                read = stdout.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(read) => lines.take(&buffer[..read], |line| said.push(line)),
                }
            }
            for line in said {
                match serde_json::from_str(&line) {
                    Ok(ToParent::Why(why)) => parts.note_why(why),
                    Ok(ToParent::Part { number, name }) => {
                        let taken = take_part(&protocol::part_file(results, number), &name, parts).await;
                        answer(&mut stdin, &taken).await;
                    }
                    Err(_) => warn!("A job printed to its standard output, which is not its own: {line}"),
                }
            }
        }
    }
}

async fn take_part(file: &Path, name: &str, parts: &dyn Parts) -> ToChild {
    let part = match protocol::take::<Outcome>(file) {
        Ok(Some(part)) => part,
        Ok(None) => return ToChild::PartRefused(Wrong::Fail(format!("{} is not there", file.display()))),
        Err(torn) => return ToChild::PartRefused(Wrong::Retry(torn)),
    };
    match parts.commit(name, part).await {
        Ok(()) => ToChild::PartTaken,
        Err(error) => ToChild::PartRefused(error.into()),
    }
}

async fn answer(stdin: &mut ChildStdin, answer: &ToChild) {
    let Ok(mut line) = serde_json::to_vec(answer) else { return };
    line.push(b'\n');
    // A child that no longer reads has ended; its status says how.
    stdin.write_all(&line).await.unwrap_or_default();
}

/// Why a child has left no outcome.
fn without_outcome(status: ExitStatus, group: &Group, log: &Path, limit: MemoryLimit) -> JobError {
    let refused = || {
        let is_refused = status.signal().is_some() && end_of(log).is_ok_and(|end| end.contains(REFUSED_MEMORY));
        is_refused.then_some(MemoryExceeded { limit, used_bytes: None })
    };
    match group.was_out_of_memory().or_else(refused) {
        // The same inputs need the same memory: another try would meet the same limit.
        Some(exceeded) => JobError::Fail(anyhow::anyhow!("{exceeded}")),
        None => JobError::Lost(format!("{} before it handed its outcome over", how_it_ended(status))),
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("the process of the attempt ended with exit code {code}"),
        (None, Some(9)) => {
            "the process of the attempt was killed by signal 9 (by a person, or by the system when memory \
             ran out)"
                .to_owned()
        }
        (None, signal) => {
            format!(
                "the process of the attempt was killed by signal {}",
                signal.map_or_else(|| "?".to_owned(), |n| n.to_string())
            )
        }
    }
}

/// The last lines of a log.
fn end_of(log: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(4096)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

#[cfg(test)]
mod tests;
