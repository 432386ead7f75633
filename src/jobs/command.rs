//! `command`: runs any program, with the run's facts in its environment.
//!
//! Reads nothing from the lake; writes only what the program writes. The program gets `NOCTURNE_RUN_ID`,
//! `NOCTURNE_DAG`, `NOCTURNE_JOB`, `NOCTURNE_ATTEMPT`, `NOCTURNE_LOGICAL_DATE`, `NOCTURNE_TIMEZONE` and, from the
//! environment of Nocturne itself, only `PATH`, `HOME`, `LANG`, `LC_ALL`, `TZ` and `TMPDIR`, so that it inherits no
//! secret. A secret that it needs goes into `secrets` as a reference (`env:NAME`, `file:PATH`): the DAG, its stored
//! versions and the log hold only the reference. `env` is literal and is shown wherever the DAG is.
//!
//! What it prints goes to the attempt's log, with each line cut after 16 KiB and the whole limited
//! (`log.attempt_bytes`). Exit code 0 is success; 75 (a temporary failure, as in `sysexits.h`) asks for another try, as
//! does death by a signal; any other code fails. At its time limit, or when the run is cancelled, it gets TERM, and
//! KILL before the grace (`engine.stop_grace_secs`) is over. Any processes that it leaves running are ended too: an
//! attempt that is over must do nothing more, or it would work alongside the next. A service that should keep running
//! is for the service manager to start.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::kind::{JobContext, JobKind};
use crate::config::SecretReference;
use crate::domain::fingerprint::DependsOn;
use crate::domain::measurement::Measurement;
use crate::domain::number::count_of;
use crate::domain::outcome::{JobError, Outcome};
use crate::engine::process::program::{self, Program, ProgramEnd};
use crate::engine::process::{MemoryLimit, Rules};
use crate::telemetry::{AttemptLog, attempt_log};

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
    /// More environment variables, as they are written here.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Environment variables whose values are secrets: each is a reference, resolved when the program starts.
    #[serde(default)]
    secrets: BTreeMap<String, SecretReference>,
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
        with = { program = "rsync", args = ["-a", "exports/", "var/exports/"], secrets = { RSYNC_PASSWORD = "env:RSYNC_KEY" } }
    "#;
    const RUNS_IN_PARENT: bool = true;
    type Params = Params;

    async fn inputs(_: &Params, _: &JobContext) -> Result<Option<DependsOn>, JobError> {
        // What a program reads is unknown, so it is never up to date.
        Ok(None)
    }

    async fn run(params: Params, cx: &JobContext) -> Result<Outcome, JobError> {
        let (input, config) = (&cx.input, &cx.environment.config);
        let attempt = input.attempt.to_string();
        let path = attempt_log(&config.paths.logs, input.run_id.as_str(), input.job.as_str(), &attempt);
        let log = AttemptLog::open(&path, config.log.attempt_bytes.bytes())
            .with_context(|| format!("opening the attempt's log {}", path.display()))
            .map_err(JobError::Retry)?;
        let program = program(&params, cx)?;
        let (bytes, key) = config.engine.memory_of(Self::NAME);
        let rules = Rules {
            fence: format!("{}.{}.{attempt}", input.run_id, input.job),
            scratch: cx.environment.scratch()?.to_owned(),
            memory: Some(MemoryLimit { bytes, key }),
            means: (cx.environment.memory_means)(),
        };
        let finished = program::run(&program, &rules, log, &cx.cancel).await?;
        match finished.end {
            ProgramEnd::Exited(status) if status.success() => Ok(Outcome {
                summary: format!("`{}` ended well, {}", params.program, lines_of(finished.lines)),
                measurements: vec![Measurement::new("command.lines", count(finished.lines)).unit("lines")],
                ..Outcome::default()
            }),
            ProgramEnd::Exited(status) => Err(failure(&params.program, status)),
            ProgramEnd::OutOfMemory(exceeded) => {
                Err(JobError::Fail(anyhow::anyhow!("`{}`: {exceeded}", params.program)))
            }
            ProgramEnd::Stopped => Err(JobError::Cancelled),
        }
    }
}

/// What is run, with its whole environment.
fn program(params: &Params, cx: &JobContext) -> Result<Program, JobError> {
    let input = &cx.input;
    let facts = [
        ("NOCTURNE_RUN_ID", input.run_id.to_string()),
        ("NOCTURNE_DAG", input.dag.to_string()),
        ("NOCTURNE_JOB", input.job.to_string()),
        ("NOCTURNE_ATTEMPT", input.attempt.to_string()),
        ("NOCTURNE_LOGICAL_DATE", input.logical_date.to_string()),
        ("NOCTURNE_TIMEZONE", input.timezone.clone()),
    ];
    let mut environment = cx.environment.inherited.clone();
    environment.extend(facts.map(|(name, value)| (name.to_owned(), value)));
    environment.extend(params.env.clone());
    let mut secrets = Vec::new();
    for (name, reference) in &params.secrets {
        let secret = (cx.environment.resolve_secret)(reference)
            .with_context(|| format!("the secret `{name}` of `{}`", input.job))?;
        let secret = secret.expose_secret().to_owned();
        environment.insert(name.clone(), secret.clone());
        secrets.push(secret);
    }
    let engine_grace = Duration::from_secs(cx.environment.config.engine.stop_grace_secs);
    Ok(Program {
        program: params.program.clone(),
        args: params.args.clone(),
        environment,
        secrets,
        // The engine drops what has not ended within its grace; the program is killed earlier, so that its end is
        // reported.
        grace: engine_grace * 4 / 5,
    })
}

/// How many lines a program printed, in words.
fn lines_of(lines: u64) -> String {
    count_of(usize::try_from(lines).unwrap_or(usize::MAX), "line", "lines")
}

fn failure(program: &str, status: ExitStatus) -> JobError {
    let why = match (status.code(), status.signal()) {
        (Some(TRY_AGAIN), _) => anyhow::anyhow!("`{program}` asked for another try (exit code 75)"),
        (Some(code), _) => {
            return JobError::Fail(anyhow::anyhow!(
                "the program `{program}` ended with exit code {code}; what it printed is in this attempt's log"
            ));
        }
        (None, Some(9)) => {
            anyhow::anyhow!(
                "`{program}` was killed by signal 9 (by itself, by a person, or by the system when memory ran out)"
            )
        }
        (None, _) => anyhow::anyhow!("`{program}` was killed ({status})"),
    };
    JobError::Retry(why)
}

fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_says_whether_to_try_again() {
        let ended = |raw: i32| failure("sync", ExitStatus::from_raw(raw));

        assert!(matches!(ended(75 << 8), JobError::Retry(_)));
        assert!(matches!(ended(1 << 8), JobError::Fail(_)));
        assert!(matches!(ended(9), JobError::Retry(_)));
        assert_eq!(ended(11).to_string(), "`sync` was killed (signal: 11 (SIGSEGV))");
    }
}
