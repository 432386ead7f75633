//! `nocturne runs mark`: a person decides how a job of a run counts.

use super::named::{find, manual};
use crate::app::App;
use crate::cli::follow::unreachable;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::domain::ids::JobName;
use crate::domain::run::JobState;
use crate::store::{JobMark, StoreError};

/// Set how a job of a finished run counts.
///
/// A job that failed and was corrected by hand can count as succeeded; one that succeeded with a wrong result can count
/// as failed, and is no longer up to date: the next run does it again. What it has committed stays until then, and no
/// e-mail is sent.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The run.
    run: String,
    /// The job.
    job: JobName,
    /// What it counts as.
    #[arg(value_enum)]
    r#as: As,
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT")]
    why: String,
}

/// What a job counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum As {
    Succeeded,
    Failed,
}

pub(super) async fn run(app: &App, args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let run = find(app, &args.run).await?;
    let state = match args.r#as {
        As::Succeeded => JobState::Succeeded,
        As::Failed => JobState::Failed,
    };
    let manual = manual(app, Some(args.why));
    let mark = JobMark { run_id: &run.run_id, job: &args.job, state };
    let marked = app.store.mark_job(mark, &manual, app.clock.now()).await;
    let counts = marked.map_err(|error| match error {
        StoreError::StillOpen { .. } | StoreError::Illegal(_) => Failure::new(ExitCode::Refused, error),
        StoreError::NoSuchJob { .. } => Failure::new(ExitCode::NotFound, error),
        other => unreachable(other),
    })?;
    if global.json {
        output::json(&serde_json::json!({ "run": run.run_id, "job": args.job, "as": state, "run_state": counts }))?;
    } else {
        output::line(&format!("{} of {} counts as {state}; the run counts as {counts}", args.job, run.run_id))?;
    }
    Ok(ExitCode::Done)
}
