//! `nocturne sim generate`: writes the simulated institution as an export.

use std::path::PathBuf;

use jiff::civil::Date;

use super::progress::while_working;
use super::{ExitCode, Failure, Global, output};
use crate::canvas::sim;
use crate::telemetry;

/// Generate the data of the simulated institution.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// Write an export of Canvas Data 2 as it would look on a date; the same seed and date give the same bytes.
    Generate {
        /// The folder to write to.
        out: PathBuf,
        /// The date: the export covers through the end of the day before.
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = super::values::parse_date)]
        date: Date,
        /// The seed; the configured one if not given.
        #[arg(long)]
        seed: Option<u64>,
        /// How many students; the configured number if not given.
        #[arg(long)]
        students: Option<u32>,
    },
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let Args::Generate { out, date, seed, students } = args;
    let (config, _) = super::layers::load(&global.config)?;
    let mut options = crate::jobs::simulation_options(&config.simulation);
    options.seed = seed.unwrap_or(options.seed);
    options.students = students.unwrap_or(options.students);
    let shown = out.display().to_string();
    let generating = telemetry::spawn_blocking(move || sim::generate(&options, date, &out));
    let summary = while_working(global, generating).await.map_err(|error| Failure::new(ExitCode::RunFailed, error))?;
    if global.json {
        let tables: Vec<_> = summary
            .tables
            .iter()
            .map(|table| serde_json::json!({ "name": table.name, "file": table.file, "rows": table.rows, "sha256": table.sha256 }))
            .collect();
        output::json(&serde_json::json!({ "as_of": summary.as_of, "at": summary.at, "tables": tables }))?;
    } else {
        output::line(&format!(
            "{shown}: {} rows in {} tables, invented",
            output::thousands(summary.rows()),
            summary.tables.len()
        ))?;
    }
    Ok(ExitCode::Done)
}
