//! `nocturne dags show`: a DAG's schedule, zone, next run and deadline, and its jobs in the order of execution.

use super::list::next;
use super::paused_words;
use crate::app::Dags;
use crate::cli::values::time_in;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::domain::dag::{Dag, Job};
use crate::domain::ids::JobName;
use crate::store::Pause;

/// Show a DAG: its schedule, its jobs, what they need and what they do.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The DAG.
    dag: String,
}

pub(super) fn run(dags: &Dags, pauses: &[Pause], args: &Args, global: &Global) -> Result<ExitCode, Failure> {
    let dag = dags.one(&args.dag)?;
    let pause = pauses.iter().find(|pause| pause.dag == dag.name);
    if global.json {
        output::json(&serde_json::json!({ "dag": dag, "next_run": next(&dag), "paused": pause }))?;
        return Ok(ExitCode::Done);
    }
    output::line(&format!("{} · {}\n", dag.name, dag.description))?;
    for line in schedule_lines(&dag, pause) {
        output::line(&line)?;
    }
    output::line("")?;
    let rows = dag.in_order().into_iter().map(row).collect();
    output::table(&["job", "kind", "needs", "when", "tries", "time limit", "with"], &[4], rows)?;
    Ok(ExitCode::Done)
}

fn schedule_lines(dag: &Dag, pause: Option<&Pause>) -> Vec<String> {
    let mut lines = Vec::new();
    match &dag.schedule {
        None => lines.push("schedule   none: it runs when asked".to_owned()),
        Some(schedule) => {
            lines.push(format!("schedule   {} in {}", schedule.cron, dag.timezone));
            let next = match (pause, next(dag)) {
                (Some(pause), _) => paused_words(pause, &dag.timezone),
                (None, Some(at)) => time_in(at, &dag.timezone),
                (None, None) => "never: no date matches the schedule".to_owned(),
            };
            lines.push(format!("next run   {next}"));
            let (catch_up, overlap) = (word(&schedule.catch_up), word(&schedule.overlap));
            lines.push(format!("missed     catch_up = {catch_up}, overlap = {overlap}"));
        }
    }
    let deadline = dag.deadline.map_or_else(|| "none".to_owned(), |at| at.strftime("%H:%M").to_string());
    lines.push(format!("deadline   {deadline}"));
    lines.push(format!("at once    {} jobs at most", dag.max_parallel));
    lines
}

fn row(job: &Job) -> Vec<String> {
    let needs: Vec<&str> = job.needs.iter().map(JobName::as_str).collect();
    let limit =
        jiff::SignedDuration::try_from(job.timeout).map_or_else(|_| String::new(), |limit| format!("{limit:#}"));
    vec![
        job.name.to_string(),
        job.kind.to_string(),
        needs.join(", "),
        word(&job.when),
        job.retry.attempts.to_string(),
        limit,
        job.params.to_string(),
    ]
}

/// Returns a word as a DAG file spells it.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}
