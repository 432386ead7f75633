//! `nocturne dags …`: which DAGs there are, when they run, and whether they are paused. One file per action.

mod check;
mod graph;
mod list;
mod next;
mod pause;
mod show;

pub(super) use pause::paused_words;

use super::{ExitCode, Failure, Global, output};
use crate::app::Dags;
use crate::config::Config;
use crate::jobs::KindNames;
use crate::store::{self, Pause, StoreError};

/// List, show and check the DAGs; pause and resume their schedules.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// List the DAGs with their schedules.
    List,
    /// Show a DAG: its schedule, its jobs, what they need and what they do.
    Show(show::Args),
    /// Check one DAG, or all, and report every mistake at once.
    Check(check::Args),
    /// Show when a DAG runs next, and how clock changes affect it.
    Next(next::Args),
    /// Draw a DAG's jobs in the order in which they run.
    Graph(graph::Args),
    /// Pause a DAG's schedule: its slots are skipped, and no e-mail is owed for them.
    Pause(pause::PauseArgs),
    /// Resume a DAG's schedule, from its next slot on.
    Resume(pause::ResumeArgs),
    /// Print the JSON schema of a DAG file, for editors.
    Schema,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let (config, _) = super::layers::load_to_look(&global.config)?;
    let dags = Dags::of(&config);
    match args {
        Args::List => list::run(&dags, &pauses(&config).await?, global),
        Args::Show(args) => show::run(&dags, &pauses(&config).await?, &args, global),
        Args::Check(args) => check::run(&dags, &args, global),
        Args::Next(args) => next::run(&dags, &pauses(&config).await?, &args, global),
        Args::Graph(args) => graph::run(&dags, &args, global),
        Args::Pause(args) => pause::pause(args, global).await,
        Args::Resume(args) => pause::resume(args, global).await,
        Args::Schema => {
            output::json(&crate::domain::spec::dag_schema(&KindNames))?;
            Ok(ExitCode::Done)
        }
    }
}

/// Returns the DAGs that are paused; none if there is no state store yet, or if it is too old to have pauses.
async fn pauses(config: &Config) -> Result<Vec<Pause>, Failure> {
    let found = match store::look(&config.state.url).await {
        Ok(store) => store.pauses().await,
        Err(StoreError::Missing { .. } | StoreError::Older { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    found.map_err(super::follow::unreachable)
}
