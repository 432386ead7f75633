//! `nocturne runs …`: what ran, why it ended as it did, and what to do about it. One file per action.

mod cancel;
mod diff;
mod list;
mod logs;
mod mark;
mod retry;
mod show;

use super::follow::unreachable;
use super::{ExitCode, Failure, Global};
use crate::app::App;
use crate::config::Use;
use crate::domain::ids::{DagName, RunId};
use crate::domain::manual::Manual;
use crate::store::{RunFilter, RunRecord};

/// List and show runs and their logs; retry, mark, cancel and compare them.
///
/// A run is named by its id (`nightly.2026-11-20.1`), by its DAG and date (`nightly.2026-11-20`, the newest one), by its
/// DAG (`nightly`, the newest one), or as `last`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// List runs and skipped slots, newest first.
    List(list::Args),
    /// Show a run: its jobs, why each of them ran, findings and errors.
    Show(show::Args),
    /// Show the log of a run's attempts.
    Logs(logs::Args),
    /// Redo what failed in a run, or a job and all that need it.
    Retry(retry::Args),
    /// Set how a job of a finished run counts.
    Mark(mark::Args),
    /// Stop a run.
    Cancel(cancel::Args),
    /// Compare two runs: rows, shares of nulls, figures and predictions that changed.
    Diff(diff::Args),
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let purpose = match &args {
        Args::List(_) | Args::Show(_) | Args::Logs(_) | Args::Diff(_) => Use::Looking,
        Args::Mark(_) | Args::Cancel(_) => Use::Acting,
        Args::Retry(_) => Use::Nights,
    };
    let app = App::open(&global.config, purpose).await?;
    match args {
        Args::List(args) => list::run(&app, &args, global).await,
        Args::Show(args) => show::run(&app, &args, global).await,
        Args::Logs(args) => logs::run(&app, &args, global).await,
        Args::Retry(args) => retry::run(&app, args, global).await,
        Args::Mark(args) => mark::run(&app, args, global).await,
        Args::Cancel(args) => cancel::run(&app, args, global).await,
        Args::Diff(args) => diff::run(&app, &args, global).await,
    }
}

/// Returns the run that `text` names.
async fn find(app: &App, text: &str) -> Result<RunRecord, Failure> {
    if let Some(run) = app.store.run(&RunId::from_stored(text.to_owned())).await.map_err(unreachable)? {
        return Ok(run);
    }
    let newest = |filter: RunFilter| async move {
        let filter = RunFilter { limit: Some(1), ..filter };
        Ok::<_, Failure>(app.store.runs(&filter).await.map_err(unreachable)?.into_iter().next())
    };
    let (dag, date) = match text.rsplit_once('.') {
        Some((dag, date)) => (dag, date.parse().ok()),
        None => (text, None),
    };
    let found = match dag.parse::<DagName>() {
        _ if text == "last" => newest(RunFilter::default()).await?,
        Ok(dag) if date.is_some() || !text.contains('.') => {
            newest(RunFilter { dag: Some(dag), logical_date: date, ..RunFilter::default() }).await?
        }
        _ => None,
    };
    found.ok_or_else(|| {
        let error = anyhow::anyhow!("there is no run `{text}`; `nocturne runs list` shows those there are");
        Failure::new(ExitCode::NotFound, error)
    })
}

/// Returns who asks, and why.
fn manual(app: &App, why: Option<String>) -> Manual {
    Manual { by: app.account.clone(), why }
}

/// Returns how long a run or a job took, for people.
fn took(from: Option<jiff::Timestamp>, to: Option<jiff::Timestamp>) -> String {
    let took = from.zip(to).map(|(from, to)| to.duration_since(from).as_secs_f64().max(0.0));
    took.map_or_else(String::new, |seconds| format!("{seconds:.1} s"))
}
