//! Attempts in this process: the work inside a child process, and for tests and debugging the whole attempt.
//!
//! [`work`] is the only way in which an assignment becomes an outcome: the kind's fingerprint, then either the facts of
//! the last success (the job is up to date) or its body. A panic becomes a failure whose text quotes nothing. A thread
//! cannot be stopped from outside: a body that does not check whether it must stop continues after its time limit,
//! which is why `process` is the default.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::runner::{Assignment, Done, Isolation, JobRunner, Parts, Runners};
use crate::domain::fingerprint::{self, Earlier, Fingerprint, Why};
use crate::domain::ids::KindName;
use crate::domain::job::{Force, JobInput};
use crate::domain::measurement::HistoryWanted;
use crate::domain::outcome::{JobError, Outcome, Reason};

/// Carries attempts out in this process.
pub struct ThreadIsolation {
    runners: Arc<dyn Runners>,
}

impl ThreadIsolation {
    /// Returns the isolation over these kinds.
    pub fn new(runners: Arc<dyn Runners>) -> Self {
        Self { runners }
    }
}

#[async_trait]
impl Isolation for ThreadIsolation {
    fn history(&self, kind: &KindName) -> HistoryWanted {
        self.runners.runner(kind).map_or(HistoryWanted::NONE, |runner| runner.history())
    }

    async fn carry_out(
        &self,
        assignment: Assignment,
        parts: Arc<dyn Parts>,
        cancel: CancellationToken,
    ) -> Result<Done, JobError> {
        work(&*self.runners, assignment, parts, cancel).await
    }
}

/// Does what an assignment says, in this process.
///
/// # Errors
/// As the body says; a panic is a failure that is not retried.
pub async fn work(
    runners: &dyn Runners,
    assignment: Assignment,
    parts: Arc<dyn Parts>,
    cancel: CancellationToken,
) -> Result<Done, JobError> {
    let runner = runners.runner(&assignment.input.kind).ok_or_else(|| {
        JobError::Fail(anyhow::anyhow!(
            "the kind `{}` is not in this program; `nocturne kinds list` shows those there are",
            assignment.input.kind
        ))
    })?;
    let (run_id, job) = (assignment.input.run_id.clone(), assignment.input.job.clone());
    match AssertUnwindSafe(attempt(&*runner, assignment, parts, cancel)).catch_unwind().await {
        Ok(ended) => ended,
        Err(panic) => {
            // The text of a panic may quote a row: it belongs only in the attempt's log, never in an e-mail.
            error!("The job panicked: {}", panic_text(&*panic));
            Err(JobError::Fail(anyhow::anyhow!(
                "the job panicked, which is a mistake in the program: what it said is in this attempt's log \
                 (`nocturne runs logs {run_id} {job}`); please report it"
            )))
        }
    }
}

async fn attempt(
    runner: &dyn JobRunner,
    assignment: Assignment,
    parts: Arc<dyn Parts>,
    cancel: CancellationToken,
) -> Result<Done, JobError> {
    let Assignment { input, earlier, .. } = assignment;
    let fingerprint = runner.fingerprint(&input, &cancel).await?;
    let why = why_of(&input, fingerprint.as_ref(), earlier.as_ref());
    parts.note_why(why.clone());
    if matches!(why, Why::Unchanged { .. })
        && let Some(outcome) = up_to_date(&input)
    {
        return Ok(Done { outcome, fingerprint });
    }
    info!("It runs because {why}");
    let made_for = Some(input.logical_date);
    if runner.runs_in_parent() {
        // It stops its program itself; dropping it would leave the program no grace.
        let outcome = runner.run(input, parts, cancel).await?;
        return Ok(Done { outcome: Outcome { made_for, ..outcome }, fingerprint });
    }
    let outcome = tokio::select! {
        // A body that has just ended wins over the request to stop it: its work is done.
        biased;
        outcome = runner.run(input, parts, cancel.clone()) => outcome?,
        () = cancel.cancelled() => return Err(JobError::Cancelled),
    };
    Ok(Done { outcome: Outcome { made_for, ..outcome }, fingerprint })
}

/// Returns why a job with this input runs, or that it need not.
pub fn why_of(input: &JobInput, present: Option<&Fingerprint>, earlier: Option<&Earlier>) -> Why {
    match input.force {
        Force::Rebuild => Why::Forced,
        Force::No => fingerprint::why(present, earlier),
    }
}

/// Returns the facts of the last success, without its effects; `None` when there is none.
pub fn up_to_date(input: &JobInput) -> Option<Outcome> {
    let last = input.last_success.clone()?;
    Some(Outcome {
        reason: last.reason.or(Some(Reason::UpToDate)),
        snapshots: Vec::new(),
        cursors: BTreeMap::new(),
        files: Vec::new(),
        models: Vec::new(),
        mails: Vec::new(),
        alerts: Vec::new(),
        audit: Vec::new(),
        identities: None,
        ..last
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned());
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use tracing::instrument::WithSubscriber as _;

    use super::*;
    use crate::domain::ids::KindName;

    struct Panics;

    #[async_trait]
    impl JobRunner for Panics {
        async fn fingerprint(&self, _: &JobInput, _: &CancellationToken) -> Result<Option<Fingerprint>, JobError> {
            Ok(None)
        }

        async fn run(&self, _: JobInput, _: Arc<dyn Parts>, _: CancellationToken) -> Result<Outcome, JobError> {
            panic!("cannot cast `Ada Lovelace` to a number")
        }
    }

    impl Runners for Panics {
        fn runner(&self, _: &KindName) -> Option<Arc<dyn JobRunner>> {
            Some(Arc::new(Self))
        }
    }

    #[async_trait]
    impl Parts for Panics {
        fn note_why(&self, _: Why) {}

        async fn commit(&self, _: &str, _: Outcome) -> Result<(), JobError> {
            Ok(())
        }
    }

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn assignment() -> Assignment {
        let input = serde_json::json!({
            "run_id": "night.2026-11-20.1", "dag": "night", "job": "pull", "kind": "canvas_pull", "params": {},
            "logical_date": "2026-11-20", "timezone": "UTC", "attempt": 1, "force": "no", "snapshots": {},
            "cursors": {}, "models": [], "jobs": [], "last_success": null
        });
        Assignment { input: serde_json::from_value(input).unwrap(), earlier: None, fence: "f".to_owned() }
    }

    #[tokio::test]
    async fn what_a_panic_says_goes_to_the_log_alone() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();

        let ended = work(&Panics, assignment(), Arc::new(Panics), CancellationToken::new());
        let error = ended.with_subscriber(subscriber).await.unwrap_err().to_string();

        assert!(error.contains("`nocturne runs logs night.2026-11-20.1 pull`"), "{error}");
        assert!(!error.contains("Lovelace"), "{error}");
        let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(logged.contains("cannot cast `Ada Lovelace`"), "{logged}");
    }
}
