//! `nocturne runs cancel`: stops a run, and returns when it has stopped.

use std::time::Duration;

use super::named::{find, manual};
use crate::app::App;
use crate::cli::follow::unreachable;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::domain::run::RunState;
use crate::store::{Role, RunRecord};

/// Stop a run, or all runs of a backfill: their attempts are ended, and what they have not committed is discarded.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The run, or the id of a backfill.
    run: String,
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

/// How often the run is checked.
const LOOK: Duration = Duration::from_millis(100);

/// How much longer than their grace the attempts may take to end.
const MARGIN: Duration = Duration::from_secs(10);

pub(super) async fn run(app: &App, args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let open = app.store.open_backfills().await.map_err(unreachable)?;
    if let Some(backfill) = open.into_iter().find(|backfill| backfill.id == args.run) {
        return cancel_backfill(app, &backfill.id, args.why, global).await;
    }
    let run = find(app, &args.run).await?;
    let run = cancel(app, run, args.why).await?;
    if global.json {
        output::json(&run)?;
    } else {
        output::line(&format!("{} is {}", run.run_id, run.state))?;
    }
    Ok(ExitCode::Done)
}

/// Cancels every run of a backfill that is not done, those that wait first.
async fn cancel_backfill(app: &App, backfill: &str, why: Option<String>, global: &Global) -> Result<ExitCode, Failure> {
    let runs = app.store.runs_of_backfill(backfill).await.map_err(unreachable)?;
    let mut open: Vec<RunRecord> = runs.into_iter().filter(|run| !run.state.is_done()).collect();
    open.sort_by_key(|run| run.state == RunState::Running);
    let mut cancelled = Vec::new();
    for run in open {
        cancelled.push(cancel(app, run, why.clone()).await?);
    }
    if global.json {
        output::json(&cancelled)?;
    } else {
        output::line(&format!("{backfill}: {} runs are cancelled", cancelled.len()))?;
    }
    Ok(ExitCode::Done)
}

/// Cancels a run, and returns it when it has stopped.
async fn cancel(app: &App, run: RunRecord, why: Option<String>) -> Result<RunRecord, Failure> {
    let said = manual(app, why).did(&format!("cancelled the run {}", run.run_id));
    if !app.store.request_cancel(&run.run_id, &said, app.clock.now()).await.map_err(unreachable)? {
        let error = anyhow::anyhow!("{} is {} already", run.run_id, run.state);
        return Err(Failure::new(ExitCode::Refused, error));
    }
    // A run that was only queued has been cancelled by now. If nothing carries out another, nothing else would end it.
    if run.state == RunState::Running
        && let Some(tenure) = app.own(Role::Command).await?
    {
        let end = async {
            let claim = app.store.claim_run(&run.run_id, &tenure, app.clock.now()).await;
            match claim {
                Ok(claim) => app.store.finish_run(&claim, RunState::Cancelled, app.clock.now()).await,
                // It has ended in the meantime.
                Err(crate::store::StoreError::Illegal(_)) => Ok(()),
                Err(error) => Err(error),
            }
        };
        let ended = app.as_owner(&tenure, end).await;
        app.store.resign_ownership(&tenure).await.map_err(unreachable)?;
        ended.map_err(unreachable)?;
    }
    let grace = Duration::from_secs(app.config.engine.stop_grace_secs) + MARGIN;
    match tokio::time::timeout(grace, until_done(app, &run)).await {
        Ok(run) => run,
        Err(_) => {
            let error = anyhow::anyhow!(
                "{} was asked to stop and has not within {} s; the process that carries it out ends it as soon as it can",
                run.run_id,
                grace.as_secs()
            );
            Err(Failure::new(ExitCode::TimedOut, error))
        }
    }
}

async fn until_done(app: &App, run: &RunRecord) -> Result<RunRecord, Failure> {
    loop {
        let run = find(app, run.run_id.as_str()).await?;
        if run.state.is_done() {
            return Ok(run);
        }
        tokio::time::sleep(LOOK).await;
    }
}
