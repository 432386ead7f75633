//! `nocturne dags next`: when a DAG's schedule runs it, and how clock changes affect those times.

use super::paused_words;
use crate::app::Dags;
use crate::cli::values::time_in;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::domain::clock::Clock as _;
use crate::domain::schedule::shift::planned_after;
use crate::store::Pause;
use crate::telemetry::SystemClock;

/// Show when a DAG runs next, and how clock changes affect it.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The DAG.
    dag: String,
    /// How many times to show.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
}

pub(super) fn run(dags: &Dags, pauses: &[Pause], args: &Args, global: &Global) -> Result<ExitCode, Failure> {
    let dag = dags.one(&args.dag)?;
    let pause = pauses.iter().find(|pause| pause.dag == dag.name);
    let Some(schedule) = &dag.schedule else {
        let error = anyhow::anyhow!("`{}` has no schedule: it runs when asked", dag.name);
        return Err(Failure::new(ExitCode::NotFound, error));
    };
    let planned = planned_after(schedule, &dag.timezone, SystemClock.now(), usize::from(args.count));
    let planned = planned.map_err(|error| Failure::new(ExitCode::Invalid, error))?;
    if global.json {
        output::json(&serde_json::json!({ "dag": dag.name, "paused": pause, "next": planned }))?;
        return Ok(ExitCode::Done);
    }
    if let Some(pause) = pause {
        output::line(&paused_words(pause, &dag.timezone))?;
    }
    for one in planned {
        let at = one.at.map_or_else(|| "does not run".to_owned(), |at| time_in(at, &dag.timezone));
        let shift = one.shift.map_or_else(String::new, |shift| format!("\n            {shift}"));
        output::line(&format!("{}  {at}{shift}", one.logical_date))?;
    }
    Ok(ExitCode::Done)
}
