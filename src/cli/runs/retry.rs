//! `nocturne runs retry`: a new run for the same date that redoes what failed, and all that needs it.

use super::named::{find, manual};
use crate::app::App;
use crate::cli::follow::unreachable;
use crate::cli::launch::{Launch, launch};
use crate::cli::progress::Talk;
use crate::cli::wanted::wanted;
use crate::cli::{ExitCode, Failure, Global};
use crate::domain::ids::JobName;
use crate::domain::job::Force;
use crate::domain::manual::Asked;
use crate::engine::repair::to_retry;
use crate::store::NewRun;

/// Redo what failed in a run, or a job and all that need it.
///
/// It makes a new run for the same date with the DAG file as it is now; the other jobs remain as they ended. A run for
/// the newest date makes what is current; one for an earlier date makes the report of that date and leaves tables,
/// features and models as they are. Those who had an e-mail for the date get a correction if the verdict or the failed
/// jobs differ.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The run.
    run: String,
    /// What failed, was cancelled or therefore did not begin, and all that need it (this is the default).
    #[arg(long, conflicts_with = "from")]
    failed: bool,
    /// This job and all that need it, however they ended.
    #[arg(long, value_name = "JOB")]
    from: Option<JobName>,
    /// Also rebuild what is up to date.
    #[arg(long)]
    force: bool,
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    launch: Launch,
}

pub(super) async fn run(app: &App, args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let run = find(app, &args.run).await?;
    let refused = |why: String| Err(Failure::new(ExitCode::Refused, anyhow::anyhow!(why)));
    if !run.state.is_done() {
        let is_left = app.owner().await.map_err(unreachable)?.is_none();
        return match run.repairs.clone() {
            // A retry that was interrupted: the same command goes on with it.
            Some(repaired) if is_left => {
                let dag = app.store.dag_of(&run.run_id).await.map_err(unreachable)?;
                let asked = Asked::as_retry(manual(app, args.why), repaired);
                let (only, force, logical_date) = (run.only.clone(), run.force, run.logical_date);
                let (expected, now) = (Vec::new(), app.clock.now());
                let new = NewRun { dag, asked, only, force, logical_date, expected, now, slot: None };
                launch(app, new, &args.launch, Talk::of(global)).await
            }
            _ if is_left => refused(format!(
                "{0} is {1}, and nothing carries it out: `nocturne run {2} --date {3}` goes on with it, `nocturne runs cancel {0}` ends it",
                run.run_id, run.state, run.dag, run.logical_date
            )),
            _ => refused(format!(
                "{0} is {1}: wait for its end (`nocturne runs logs {0} --follow`), or stop it with `nocturne runs cancel {0}`",
                run.run_id, run.state
            )),
        };
    }
    let dag = app.dag_with(run.dag.as_str(), &[])?;
    let only = match &args.from {
        Some(job) => wanted(&dag, &[], Some(job))?,
        None => {
            let jobs = app.store.jobs(&run.run_id).await.map_err(unreachable)?;
            Some(to_retry(&dag, &jobs))
        }
    };
    if only.as_ref().is_some_and(Vec::is_empty) {
        return refused(format!("nothing failed in {}; to do a job of it again, name it with --from JOB", run.run_id));
    }
    let new = NewRun {
        logical_date: run.logical_date,
        asked: Asked::as_retry(manual(app, args.why), run.run_id),
        slot: None,
        only,
        expected: Vec::new(),
        force: if args.force { Force::Rebuild } else { Force::No },
        now: app.clock.now(),
        dag,
    };
    let talk = Talk::of(global);
    launch(app, new, &args.launch, talk).await
}
