//! `nocturne dags check`: every mistake in one DAG file, or in all.

use crate::app::{AppError, Dags};
use crate::cli::{ExitCode, Failure, Global, output};

/// Check one DAG, or all, and report every mistake at once.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The DAG; all if not given.
    dag: Option<String>,
}

pub(super) fn run(dags: &Dags, args: &Args, global: &Global) -> Result<ExitCode, Failure> {
    let checked = match &args.dag {
        Some(dag) => dags.one(dag).map(|dag| vec![dag]),
        None => dags.all(),
    };
    if let (Err(AppError::Dag(mistakes)), true) = (&checked, global.json) {
        return output::mistakes(mistakes);
    }
    let names: Vec<String> = checked?.iter().map(|dag| dag.name.to_string()).collect();
    if global.json {
        output::json(&serde_json::json!({ "valid": true, "dags": names }))?;
    } else if names.is_empty() {
        output::line("There is no DAG file to check.")?;
    } else {
        output::line(&format!("{} in order", names.join(", ")))?;
    }
    Ok(ExitCode::Done)
}
