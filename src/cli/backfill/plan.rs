//! What `nocturne backfill --dry-run` shows: the dates that would be run, what that makes current, and what it leaves.

use jiff::civil::Date;

use crate::app::App;
use crate::cli::follow::unreachable;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::domain::dag::Dag;
use crate::engine::repair::{Does, PlannedDate};
use crate::store::{Backfill, RunFilter};

/// What a backfill would do.
pub(super) struct Plan<'a> {
    pub(super) dag: &'a Dag,
    pub(super) planned: &'a [PlannedDate],
    /// The same backfill, where it is under way.
    pub(super) known: Option<&'a Backfill>,
}

impl Plan<'_> {
    /// Shows what would be run, what it would make current, and what it would leave unchanged.
    pub(super) async fn show(&self, app: &App, global: &Global) -> Result<ExitCode, Failure> {
        let &Self { dag, planned, known } = self;
        let newest = newest_date(app, dag).await?;
        if global.json {
            let dates: Vec<_> =
                planned.iter().map(|one| serde_json::json!({ "date": one.date, "does": does(one) })).collect();
            output::json(&serde_json::json!({ "dag": dag.name, "open": known, "newest_run": newest, "dates": dates }))?;
            return Ok(ExitCode::Done);
        }
        if let Some(backfill) = known {
            output::line(&format!("{} is under way: the same command without --dry-run goes on with it", backfill.id))?;
        }
        let rows = planned.iter().map(|one| vec![one.date.to_string(), does(one)]).collect();
        output::table(&["date", "what becomes of it"], &[], rows)?;
        output::line(&format!("\n{}", what_becomes_current(newest, planned)))?;
        Ok(ExitCode::Done)
    }
}

async fn newest_date(app: &App, dag: &Dag) -> Result<Option<Date>, Failure> {
    let filter = RunFilter { dag: Some(dag.name.clone()), ..RunFilter::default() };
    let runs = app.store.runs(&filter).await.map_err(unreachable)?;
    Ok(runs.iter().filter(|run| run.started_at.is_some()).map(|run| run.logical_date).max())
}

fn does(one: &PlannedDate) -> String {
    match &one.does {
        Does::Run(None) => "runs".to_owned(),
        Does::Run(Some((run, state))) => format!("runs again: {run} {state}"),
        Does::Keep(run, state) => format!("stays as it is: {run} {state}"),
        Does::Wait(run) => format!("stays as it is: {run} is still open"),
    }
}

/// Says what a backfill makes current, and what it leaves unchanged.
fn what_becomes_current(newest: Option<Date>, planned: &[PlannedDate]) -> String {
    let runs: Vec<Date> = planned.iter().filter(|one| matches!(one.does, Does::Run(_))).map(|one| one.date).collect();
    let older = runs.iter().filter(|date| newest.is_some_and(|newest| **date < newest)).count();
    let (first, leaves) =
        (format!("Each run makes the report of its own date ({} of them).", runs.len()), "No e-mail goes out.");
    let current = match (newest, runs.len() - older) {
        (Some(newest), 0) => format!(
            "Tables, features, models and cursors stay as the run for {newest} left them: all these dates are earlier."
        ),
        (Some(newest), _) => format!(
            "Runs for {newest} and later make their tables, features and models current; those for earlier dates leave them."
        ),
        (None, _) => "Nothing has run before: the newest of them makes tables, features and models current.".to_owned(),
    };
    format!("{first}\n{current}\n{leaves}")
}
