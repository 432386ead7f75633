//! Follows a run to its end, whether this process or a daemon carries it out.
//!
//! It reads the state store and prints one line per job that is done; on a terminal a status line shows what is
//! running.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::output::Listener;
use super::progress::{PlainProgress, Talk, status_line};
use super::{ExitCode, Failure};
use crate::app::App;
use crate::domain::check::Severity;
use crate::domain::delivery::MailState;
use crate::domain::ids::{JobName, RunId};
use crate::domain::job::JobView;
use crate::domain::outcome::Reason;
use crate::domain::run::{JobState, RunState};
use crate::jobs::night_verdict;
use crate::report::view::Verdict;
use crate::store::{MailRow, RunRecord, StoreError};
use crate::telemetry::{attempt_log, progress};

/// How often the state store is read: a job that takes a second is shown within a fifth of it.
pub(super) const POLL: Duration = Duration::from_millis(150);

/// How long a state store that does not answer is asked again by whoever only watches.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prints the jobs of a run as they end, and returns the final state of the run and its jobs.
pub(super) async fn follow(
    app: &App,
    run_id: &RunId,
    how: Talk,
    listener: &mut Listener,
) -> Result<(RunRecord, Vec<JobView>), Failure> {
    let mut said: BTreeSet<JobName> = BTreeSet::new();
    let bar = status_line(how, " {spinner} {pos}/{len} {msg} {elapsed}");
    let mut plain = PlainProgress::new(how);
    let mut silent_since: Option<Instant> = None;
    loop {
        let (run, jobs) = match look(app, run_id).await {
            Ok(found) => found,
            // The process that carries out the run retries as well; a brief outage of the store ends nothing.
            Err(error) if error.is_transient() && silent_since.is_none_or(|since| since.elapsed() < PATIENCE) => {
                silent_since = silent_since.or_else(|| Some(Instant::now()));
                tokio::time::sleep(POLL).await;
                continue;
            }
            Err(error) => return Err(unreachable(error)),
        };
        silent_since = None;
        let run = run.ok_or_else(|| Failure::new(ExitCode::NotFound, anyhow::anyhow!("there is no run {run_id}")))?;
        let width = jobs.iter().map(|job| job.name.as_str().len()).max().unwrap_or(0);
        for job in jobs.iter().filter(|job| job.state.is_done()) {
            if said.insert(job.name.clone()) && how == Talk::Lines {
                bar.suspend(|| listener.line(&job_line(job, width)));
            }
        }
        let running = jobs.iter().filter(|job| job.state == JobState::Running);
        let progress: Vec<String> = running.map(|job| progress_words(app, run_id, job)).collect();
        let progress = progress.join(" · ");
        plain.show(&progress);
        bar.set_message(progress);
        bar.set_length(jobs.len() as u64);
        bar.set_position(said.len() as u64);
        if run.state.is_done() {
            bar.finish_and_clear();
            return Ok((run, jobs));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Returns a running job with how far it is, where it says so.
fn progress_words(app: &App, run_id: &RunId, job: &JobView) -> String {
    let log = attempt_log(&app.config.paths.logs, run_id.as_str(), job.name.as_str(), &job.attempts.to_string());
    match progress::read(&log) {
        Some(progress) => format!("{} {progress}", job.name),
        None => job.name.to_string(),
    }
}

async fn look(app: &App, run_id: &RunId) -> Result<(Option<RunRecord>, Vec<JobView>), StoreError> {
    Ok((app.store.run(run_id).await?, app.store.jobs(run_id).await?))
}

/// Returns the exit code of a run that is done; `unsent` are e-mails of any night that were not handed over. Those of other
/// nights that were given up count no more: nothing that this run could do delivers them.
pub(super) fn exit_code(run: &RunRecord, jobs: &[JobView], unsent: &[MailRow], strict: Strict) -> ExitCode {
    let is_of_the_night = |mail: &MailRow| mail.id.key.dag == run.dag && mail.id.key.logical_date == run.logical_date;
    let lacks_mail = unsent.iter().any(|mail| mail.state == MailState::Waiting || is_of_the_night(mail));
    match run.state {
        RunState::Cancelled => ExitCode::Interrupted,
        // Left for the next start: its process was told to stop.
        RunState::Queued | RunState::Running => ExitCode::Terminated,
        RunState::Failed => ExitCode::RunFailed,
        _ if !lacks_mail && !has_warnings(jobs) => ExitCode::Done,
        _ if strict == Strict::Yes => ExitCode::RunFailed,
        _ => ExitCode::Warnings,
    }
}

/// Whether warnings fail the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strict {
    /// They do.
    Yes,
    /// They give exit code 9.
    No,
}

/// Returns whether a job that did work this time warned of something, or an e-mail that it wrote says LOOK, for what an
/// earlier night found too. The findings of an up-to-date job were reported when it ran.
fn has_warnings(jobs: &[JobView]) -> bool {
    jobs.iter().filter_map(|job| job.outcome.as_ref()).any(|outcome| {
        let warns = || outcome.findings.iter().any(|finding| finding.severity >= Severity::Warning);
        let looks = || night_verdict(outcome).is_some_and(|verdict| verdict != Verdict::Ok);
        outcome.reason != Some(Reason::UpToDate) && (warns() || looks())
    })
}

fn job_line(job: &JobView, width: usize) -> String {
    let word = match job.state {
        JobState::Succeeded => "ok",
        JobState::Failed => "FAIL",
        JobState::Cancelled => "stop",
        JobState::UpstreamFailed => "--",
        _ => "skip",
    };
    let summary = match (&job.outcome, &job.error) {
        (Some(outcome), _) if outcome.reason == Some(Reason::UpToDate) => format!("up to date: {}", outcome.summary),
        (Some(outcome), _) => outcome.summary.clone(),
        (None, Some(error)) => error.clone(),
        (None, None) => job.state.to_string(),
    };
    let seconds = job
        .started_at
        .zip(job.finished_at)
        .map_or_else(String::new, |(from, to)| format!("{:.1} s", to.duration_since(from).as_secs_f64()));
    format!(" {word:<4} {:<width$}  {summary:<60} {seconds:>8}", job.name.as_str()).trim_end().to_owned()
}

pub(super) fn unreachable(error: impl Into<anyhow::Error>) -> Failure {
    let error = error.into();
    let code = match error.downcast_ref() {
        Some(StoreError::EarlierOwner { .. }) => ExitCode::Owned,
        Some(StoreError::Missing { .. }) => ExitCode::NotFound,
        _ => ExitCode::Unreachable,
    };
    Failure::new(code, error)
}
