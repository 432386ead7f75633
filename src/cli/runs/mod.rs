//! `nocturne runs …`: what ran, why it ended as it did, and what to do about it. One file per action.

mod cancel;
mod diff;
mod list;
mod logs;
mod mark;
mod named;
mod retry;
mod show;

use super::{ExitCode, Failure, Global};
use crate::app::App;
use crate::config::Use;

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
