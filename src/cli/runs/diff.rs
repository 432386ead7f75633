//! `nocturne runs diff`: what differs between two runs.

use super::named::find;
use crate::app::{App, Comparison};
use crate::cli::{ExitCode, Failure, Global, output};
use crate::domain::run::JobState;

/// Compare two runs: rows, shares of nulls, figures and predictions that changed.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The earlier run.
    before: String,
    /// The later run.
    #[arg(default_value = "last")]
    after: String,
}

pub(super) async fn run(app: &App, args: &Args, global: &Global) -> Result<ExitCode, Failure> {
    let (before, after) = (find(app, &args.before).await?, find(app, &args.after).await?);
    let compared = app.compare(&before.run_id, &after.run_id).await;
    let found = compared.map_err(|error| Failure::new(ExitCode::Unreachable, error))?;
    if global.json {
        let shown = serde_json::json!({ "before": before.run_id, "after": after.run_id, "changes": found });
        output::json(&shown)?;
        return Ok(ExitCode::Done);
    }
    output::line(&format!("{} → {}", before.run_id, after.run_id))?;
    show(&found)?;
    Ok(ExitCode::Done)
}

fn show(found: &Comparison) -> Result<(), Failure> {
    let mut has_shown = false;
    let mut section = |header: [&str; 3], rows: Vec<Vec<String>>| {
        if rows.is_empty() {
            return Ok(());
        }
        has_shown = true;
        output::line("")?;
        output::table(&header, &[1, 2], rows)
    };
    let state = |state: Option<JobState>| state.map_or_else(|| "not there".to_owned(), |state| state.to_string());
    section(
        ["job", "before", "after"],
        found.jobs.iter().map(|one| vec![one.job.to_string(), state(one.before), state(one.after)]).collect(),
    )?;
    let rows = |rows: Option<u64>| rows.map_or_else(|| "not there".to_owned(), output::thousands);
    let dataset_rows = found.datasets.iter();
    section(
        ["rows of", "before", "after"],
        dataset_rows.map(|one| vec![one.dataset.clone(), rows(one.rows_before), rows(one.rows_after)]).collect(),
    )?;
    let share =
        |share: Option<f64>| share.map_or_else(|| "not there".to_owned(), |share| format!("{:.2} %", share * 100.0));
    let nulls = found.datasets.iter().flat_map(|one| one.nulls.iter().map(move |null| (one, null)));
    let nulls = nulls
        .map(|(one, null)| vec![format!("{} {}", one.dataset, null.column), share(null.before), share(null.after)]);
    section(["nulls in", "before", "after"], nulls.collect())?;
    let value = |value: Option<f64>| value.map_or_else(|| "not there".to_owned(), figure);
    let figures = found.figures.iter();
    section(
        ["figure", "before", "after"],
        figures.map(|one| vec![one.figure.clone(), value(one.before), value(one.after)]).collect(),
    )?;
    let people = |count: Option<u64>| count.map_or_else(|| "fewer than 10".to_owned(), output::thousands);
    let predictions = found.predictions.iter();
    section(
        ["predictions", "in both", "in another band"],
        predictions.map(|one| vec![one.dataset.clone(), people(one.in_both), people(one.other_band)]).collect(),
    )?;
    if !has_shown {
        output::line("Nothing differs: the same jobs ended alike, on the same snapshots.")?;
    }
    Ok(())
}

/// Returns a figure with as many digits as are meaningful.
fn figure(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.0}") } else { format!("{value:.4}") }
}
