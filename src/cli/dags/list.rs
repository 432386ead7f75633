//! `nocturne dags list`: every DAG file; a broken one is named, and does not hide the others.

use crate::app::{AppError, Dags};
use crate::cli::values::time_in;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::domain::clock::Clock as _;
use crate::domain::dag::Dag;
use crate::domain::schedule;
use crate::store::Pause;
use crate::telemetry::SystemClock;

pub(super) fn run(dags: &Dags, pauses: &[Pause], global: &Global) -> Result<ExitCode, Failure> {
    let found = dags.each()?;
    if global.json {
        let shown: Vec<_> = found.iter().map(|(name, dag)| json(name, dag, pauses)).collect();
        output::json(&shown)?;
        return Ok(ExitCode::Done);
    }
    let mut rows = Vec::new();
    for (name, dag) in &found {
        rows.push(match dag {
            Ok(dag) => row(dag, pauses),
            Err(_) => vec![name.clone(), "broken".to_owned(), String::new(), String::new(), broken(name)],
        });
    }
    output::table(&["dag", "schedule", "next run", "jobs", "what it is for"], &[3], rows)?;
    Ok(ExitCode::Done)
}

fn row(dag: &Dag, pauses: &[Pause]) -> Vec<String> {
    let schedule = dag
        .schedule
        .as_ref()
        .map_or_else(|| "when asked".to_owned(), |schedule| format!("{} ({})", schedule.cron, dag.timezone));
    let next = match pauses.iter().find(|pause| pause.dag == dag.name) {
        Some(pause) => format!("paused by {}", pause.manual.by),
        None => next(dag).map_or_else(String::new, |at| time_in(at, &dag.timezone)),
    };
    vec![dag.name.to_string(), schedule, next, dag.jobs.len().to_string(), dag.description.clone()]
}

/// Returns when a DAG's schedule next runs it.
pub(super) fn next(dag: &Dag) -> Option<jiff::Timestamp> {
    let slot = schedule::next_after(dag.schedule.as_ref()?, &dag.timezone, SystemClock.now()).ok()??;
    Some(slot.at)
}

fn broken(name: &str) -> String {
    format!("its file is not valid: `nocturne dags check {name}`")
}

fn json(name: &str, dag: &Result<Dag, AppError>, pauses: &[Pause]) -> serde_json::Value {
    match dag {
        Ok(dag) => serde_json::json!({
            "name": name, "valid": true, "dag": dag, "next_run": next(dag),
            "paused": pauses.iter().find(|pause| pause.dag == dag.name),
        }),
        Err(error) => {
            let why = crate::telemetry::chain(error);
            serde_json::json!({ "name": name, "valid": false, "why": why })
        }
    }
}
