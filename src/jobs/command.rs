//! `command`: runs any program, with the run's facts in its environment.
//!
//! Reads nothing of the lake; writes only what the program writes. The program gets `NOCTURNE_RUN_ID`,
//! `NOCTURNE_DAG`, `NOCTURNE_JOB`, `NOCTURNE_ATTEMPT`, `NOCTURNE_LOGICAL_DATE`, `NOCTURNE_TIMEZONE` and, of the
//! daemon's own environment, only `PATH`, `HOME`, `LANG` and `TZ`, so that no secret leaks into it. What it prints goes
//! to the attempt's log. Exit code 0 is success, 75 (a temporary failure, as in `sysexits.h`) asks for another try,
//! any other fails. With its time limit, or when the run is cancelled, it is killed and all that it has started.
//!
//! ```toml
//! [jobs.sync]
//! kind = "command"
//! with = { program = "rsync", args = ["-a", "exports/", "var/exports/"] }
//! ```

use std::collections::BTreeMap;
use std::process::Stdio;

use anyhow::Context as _;
use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tracing::{info, warn};

use super::kind::{JobContext, JobKind};
use crate::domain::measurement::Measurement;
use crate::domain::outcome::{JobError, Outcome};

/// The kind.
pub(super) struct Command;

/// The parameters of `command`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// The program: a path, or a name to look up in `PATH`.
    program: String,
    /// Its arguments.
    #[serde(default)]
    args: Vec<String>,
    /// More environment variables.
    #[serde(default)]
    env: BTreeMap<String, String>,
}

/// The exit code by which a program asks for another try (`EX_TEMPFAIL`).
const TRY_AGAIN: i32 = 75;

#[async_trait]
impl JobKind for Command {
    const NAME: &'static str = "command";
    const SUMMARY: &'static str = "Runs any program, with the run's facts in its environment.";
    const EXAMPLE: &'static str = r#"
        [jobs.sync]
        kind = "command"
        with = { program = "rsync", args = ["-a", "exports/", "var/exports/"] }
    "#;
    type Params = Params;

    async fn inputs(_: &Params, _: &JobContext) -> Result<Option<String>, JobError> {
        // What a program reads is not known, so it is never up to date.
        Ok(None)
    }

    async fn run(params: Params, cx: &JobContext) -> Result<Outcome, JobError> {
        let input = &cx.input;
        let mut command = tokio::process::Command::new(&params.program);
        command
            .args(&params.args)
            .env_clear()
            .envs(cx.environment.inherited.iter())
            .env("NOCTURNE_RUN_ID", input.run_id.as_str())
            .env("NOCTURNE_DAG", input.dag.as_str())
            .env("NOCTURNE_JOB", input.job.as_str())
            .env("NOCTURNE_ATTEMPT", input.attempt.to_string())
            .env("NOCTURNE_LOGICAL_DATE", input.logical_date.to_string())
            .env("NOCTURNE_TIMEZONE", &input.timezone)
            .envs(&params.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child =
            command.spawn().with_context(|| format!("starting `{}`: is it installed, and in PATH?", params.program))?;
        let group = Group::of(&child);

        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (lines, warnings, status) =
            tokio::join!(log_lines(out, Stream::Out), log_lines(err, Stream::Err), child.wait());
        let status = status.with_context(|| format!("waiting for `{}`", params.program))?;
        group.has_ended();
        let (lines, warnings) = (lines?, warnings?);

        match status.code() {
            Some(0) => Ok(Outcome {
                summary: format!("`{}` ended well, {} lines", params.program, lines + warnings),
                measurements: vec![Measurement::new("command.lines", count(lines + warnings)).unit("lines")],
                ..Outcome::default()
            }),
            Some(TRY_AGAIN) => {
                Err(JobError::Retry(anyhow::anyhow!("`{}` asked for another try (exit code 75)", params.program)))
            }
            Some(code) => Err(JobError::Fail(anyhow::anyhow!(
                "`{}` ended with exit code {code}; what it printed is in this attempt's log (`nocturne runs logs`)",
                params.program
            ))),
            None => Err(JobError::Retry(anyhow::anyhow!("`{}` was killed by a signal ({status})", params.program))),
        }
    }
}

/// The process group of a program: whatever it has started is killed with it.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// The program ended by itself; what it left running on purpose goes on.
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0
            && let Err(error) = kill_process_group(group, Signal::KILL)
        {
            warn!(%error, "Could not kill what the program had started");
        }
    }
}

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

/// Logs a program's lines as they come and returns how many there were.
async fn log_lines(stream: Option<impl AsyncRead + Unpin>, which: Stream) -> Result<u64, JobError> {
    let Some(stream) = stream else { return Ok(0) };
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    let mut lines = 0;
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).await.context("reading what the program prints")?;
        if read == 0 {
            return Ok(lines);
        }
        lines += 1;
        let text = String::from_utf8_lossy(&line);
        match which {
            Stream::Out => info!(stream = "out", "{}", text.trim_end()),
            Stream::Err => warn!(stream = "err", "{}", text.trim_end()),
        }
    }
}

fn count(n: u64) -> f64 {
    n as f64
}
