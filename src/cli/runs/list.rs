//! `nocturne runs list`: runs and the slots without one, newest first, each in its DAG's time zone.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::named::took;
use crate::app::App;
use crate::cli::follow::unreachable;
use crate::cli::values::{Since, time_in};
use crate::cli::{ExitCode, Failure, Global, output};
use crate::domain::ids::{DagName, JobName};
use crate::domain::job::SkippedSlot;
use crate::domain::run::RunState;
use crate::store::{RunFilter, RunRecord};

/// List runs and skipped slots, newest first.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Only of this DAG.
    #[arg(long)]
    dag: Option<DagName>,
    /// Only in this state: queued, running, succeeded, failed, cancelled; or skipped, for slots without a run.
    #[arg(long, value_parser = parse_state)]
    state: Option<Listed>,
    /// Requested since a date (`2026-11-01`) or within a period (`7d`, `36h`).
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,
    /// Show at most this many.
    #[arg(long, default_value_t = 20)]
    limit: u32,
}

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Runs(RunState),
    SkippedSlots,
}

fn parse_state(text: &str) -> Result<Listed, String> {
    if text == "skipped" {
        return Ok(Listed::SkippedSlots);
    }
    text.parse().map(Listed::Runs).map_err(|error: crate::domain::run::UnknownWord| format!("{error}, skipped"))
}

pub(super) async fn run(app: &App, args: &Args, global: &Global) -> Result<ExitCode, Failure> {
    let since = args.since.as_ref().map(|since| since.before(app.clock.now(), &app.config.institution.timezone));
    let filter = RunFilter { dag: args.dag.clone(), since, limit: Some(args.limit), ..RunFilter::default() };
    let runs = match args.state {
        Some(Listed::SkippedSlots) => Vec::new(),
        Some(Listed::Runs(state)) => {
            let filter = RunFilter { state: Some(state), ..filter.clone() };
            app.store.runs(&filter).await.map_err(unreachable)?
        }
        None => app.store.runs(&filter).await.map_err(unreachable)?,
    };
    let mut skipped = match args.state {
        Some(Listed::Runs(_)) => Vec::new(),
        _ => app.store.skipped_slots(&filter).await.map_err(unreachable)?,
    };
    // When the list of runs is full, slots older than its last run would appear without their neighbouring runs.
    let is_full = u32::try_from(runs.len()).is_ok_and(|listed| listed == args.limit);
    let oldest = runs.last().filter(|_| is_full).map(|run| run.queued_at).max(since);
    skipped.retain(|slot| oldest.is_none_or(|oldest| slot.at >= oldest));
    let pauses = app.store.pauses().await.map_err(unreachable)?;
    if global.json {
        output::json(&serde_json::json!({ "runs": runs, "skipped": skipped, "paused": pauses }))?;
        return Ok(ExitCode::Done);
    }
    let zones = zones(app, &runs, &skipped).await?;
    let zone = |dag: &DagName| zones.get(dag).map_or("UTC", String::as_str);
    let mut rows: Vec<(Timestamp, Vec<String>)> =
        runs.iter().map(|run| (run.queued_at, run_row(run, zone(&run.dag)))).collect();
    rows.extend(skipped.iter().map(|slot| (slot.at, slot_row(slot, zone(&slot.dag)))));
    rows.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let rows = rows.into_iter().take(args.limit as usize).map(|(_, row)| row).collect();
    output::table(&["run", "state", "asked by", "when", "took", "note"], &[4], rows)?;
    for pause in pauses.iter().filter(|pause| args.dag.as_ref().is_none_or(|dag| *dag == pause.dag)) {
        output::line(&crate::cli::dags::paused_words(pause, zone(&pause.dag)))?;
    }
    Ok(ExitCode::Done)
}

fn run_row(run: &RunRecord, zone: &str) -> Vec<String> {
    let by = run
        .manual
        .as_ref()
        .map_or_else(|| run.trigger.to_string(), |manual| format!("{} ({})", manual.by, run.trigger));
    let at = time_in(run.queued_at, zone);
    vec![run.run_id.to_string(), run.state.to_string(), by, at, took(run.started_at, run.finished_at), note(run)]
}

fn note(run: &RunRecord) -> String {
    let mut notes = Vec::new();
    notes.extend(run.repairs.as_ref().map(|repaired| format!("repairs {repaired}")));
    notes.extend(run.only.as_ref().map(|only| {
        let names: Vec<&str> = only.iter().map(JobName::as_str).collect();
        format!("only {}", names.join(", "))
    }));
    if run.cancel_requested && !run.state.is_done() {
        notes.push("is being cancelled".to_owned());
    }
    notes.extend(run.manual.as_ref().and_then(|manual| manual.why.clone()));
    notes.join("; ")
}

fn slot_row(slot: &SkippedSlot, zone: &str) -> Vec<String> {
    let at = time_in(slot.at, zone);
    vec![slot.dag.to_string(), "skipped".to_owned(), "schedule".to_owned(), at, String::new(), slot.why.clone()]
}

/// Returns the zones of the DAGs: from their files, or from the runs if a file is gone or broken.
async fn zones(app: &App, runs: &[RunRecord], skipped: &[SkippedSlot]) -> Result<BTreeMap<DagName, String>, Failure> {
    let mut zones = BTreeMap::new();
    for dag in runs.iter().map(|run| &run.dag).chain(skipped.iter().map(|slot| &slot.dag)) {
        if !zones.contains_key(dag)
            && let Ok(found) = app.dags.one(dag.as_str())
        {
            zones.insert(dag.clone(), found.timezone);
        }
    }
    for run in runs {
        if !zones.contains_key(&run.dag) {
            let zone = app.store.dag_of(&run.run_id).await.map_err(unreachable)?.timezone;
            zones.insert(run.dag.clone(), zone);
        }
    }
    Ok(zones)
}
