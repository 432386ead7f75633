//! `nocturne quality run`: the rules evaluated on the tables as they stand, by the job's own code. Nothing is recorded.

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::App;
use crate::cli::follow::unreachable;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::domain::check::{CheckOutcome, CheckStatus};
use crate::domain::dag::{Dag, Job};
use crate::domain::job::Force;
use crate::engine::foresee;
use crate::jobs::{checks_of, is_quality_check};
use crate::report::view::QualityView;

/// Evaluate the rules on the tables as they stand; nothing is recorded.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Run {
    /// The DAG whose quality job is carried out; the first that has one if not given.
    #[arg(long)]
    dag: Option<String>,
    /// The night as which it is done; today in the DAG's zone if not given.
    #[arg(long)]
    date: Option<Date>,
    /// Only rules about this table.
    #[arg(long)]
    table: Option<String>,
    /// Show the rules that passed and those that were skipped as well.
    #[arg(long)]
    all: bool,
}

/// The evaluated rules as `--json` shows them.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct RunShape {
    dag: String,
    logical_date: String,
    rules: Vec<CheckOutcome>,
}

impl Run {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let scratch = tempfile::Builder::new().prefix("nocturne-").tempdir();
        let scratch = scratch.map_err(|error| Failure::new(ExitCode::Unreachable, error))?;
        let app = App::foreseeing(&global.config, scratch.path()).await?;
        let (dag, job) = self.job(&app)?;
        let date = match self.date {
            Some(date) => date,
            None => app.today_in(&dag.timezone)?,
        };
        let wanted = foresee::Wanted { dag: &dag, date, only: None, force: Force::No };
        let ended = app.rehearse(&wanted, &job).await.map_err(unreachable)?;
        let outcome = ended.map_err(|error| Failure::new(ExitCode::RunFailed, error))?;
        let mut checks = checks_of(&outcome).unwrap_or_default();
        if let Some(table) = &self.table {
            let of_table = format!("{table}.");
            checks.retain(|check| check.check.starts_with(&of_table));
            if checks.is_empty() {
                let error = anyhow::anyhow!("no rule is about a table `{table}`: `nocturne quality list` shows all");
                return Err(Failure::new(ExitCode::NotFound, error));
            }
        }
        let found = checks.iter().any(|check| is_trouble(check.status));
        let code = if found { ExitCode::Warnings } else { ExitCode::Done };
        if global.json {
            let shape = RunShape { dag: dag.name.to_string(), logical_date: date.to_string(), rules: checks };
            output::json(&shape)?;
            return Ok(code);
        }
        output::line(&QualityView::of(&checks).words())?;
        let shown = checks.iter().filter(|check| self.all || is_trouble(check.status));
        let rows: Vec<_> = shown.map(row).collect();
        if !rows.is_empty() {
            output::table(&["rule", "", "found", "expected"], &[], rows)?;
        }
        Ok(code)
    }

    fn job(&self, app: &App) -> Result<(Dag, Job), Failure> {
        let dags = match &self.dag {
            Some(name) => vec![app.dag_with(name, &[])?],
            None => app.dags.all()?,
        };
        let found = dags.into_iter().find_map(|dag| {
            let job = dag.jobs.values().find(|job| is_quality_check(&job.kind))?.clone();
            Some((dag, job))
        });
        found.ok_or_else(|| {
            let error = anyhow::anyhow!(
                "no DAG has a job of the kind `quality_check`: add one, see `nocturne kinds show quality_check`"
            );
            Failure::new(ExitCode::NotFound, error)
        })
    }
}

const fn is_trouble(status: CheckStatus) -> bool {
    matches!(status, CheckStatus::Warn | CheckStatus::Fail | CheckStatus::Error)
}

fn row(check: &CheckOutcome) -> Vec<String> {
    let word = match check.status {
        CheckStatus::Pass => "passed",
        CheckStatus::Warn => "warned",
        CheckStatus::Fail => "failed",
        CheckStatus::Error => "not evaluated",
        CheckStatus::Skipped => "skipped",
    };
    vec![check.check.clone(), word.to_owned(), check.observed.clone(), check.expected.clone()]
}
