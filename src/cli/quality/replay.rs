//! `nocturne quality replay`: judges again the rows of a table that wait, and takes in those that pass.
//!
//! Taking them in is what `canvas_pull` does at its beginning; so a replay is a run of that job alone, which also takes in
//! what the source has delivered meanwhile. If no row would pass, there is no run.

use std::collections::BTreeMap;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Serialize;

use super::quarantine::find_table;
use crate::app::App;
use crate::cli::follow::unreachable;
use crate::cli::launch::{Launch, launch};
use crate::cli::progress::Talk;
use crate::cli::{ExitCode, Failure, Global, output, values};
use crate::config::Use;
use crate::domain::dag::{Dag, Job};
use crate::domain::job::Force;
use crate::domain::manual::{Asked, Manual};
use crate::jobs::{Replayed, foresee_replay, pulls_table};
use crate::lake::Dataset;
use crate::store::NewRun;

/// Judge again the rows of a table that wait, and take in those that pass.
///
/// Every pull does so before it takes deliveries in: after a rule was mended, the next night needs no command. This one
/// carries out the job that pulls the table now, alone; what is made from the table follows with the next night.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Replay {
    /// The table.
    table: String,
    /// Only if rows that wait under this rule would pass, such as `submissions.in_the_future`.
    #[arg(long)]
    rule: Option<String>,
    /// The DAG whose job pulls the table; the first that has one if not given.
    #[arg(long)]
    dag: Option<String>,
    /// The logical date of the run; today in the DAG's zone if not given.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = values::parse_date)]
    date: Option<Date>,
    /// Show how many rows would pass, and run nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    launch: Launch,
}

/// What a replay would make of what waits, as `--json` shows it.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct ReplayShape<'a> {
    table: &'a str,
    /// By rule.
    rules: &'a BTreeMap<String, Replayed>,
}

impl Replay {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let purpose = if self.dry_run { Use::Looking } else { Use::Nights };
        let app = App::open(&global.config, purpose).await?;
        find_table(&app, &self.table)?;
        let found = self.foreseen(&app).await?;
        let talk = Talk::of(global);
        let passes = found.values().any(|replayed| replayed.would_pass > 0);
        if self.dry_run || !passes {
            return self.show(&found, talk);
        }
        if talk == Talk::Lines {
            self.show(&found, talk)?;
        }
        let (dag, job) = self.job(&app)?;
        let date = match self.date {
            Some(date) => date,
            None => app.today_in(&dag.timezone)?,
        };
        let why = format!("replay of what waits of {}", self.table);
        let new = NewRun {
            logical_date: date,
            asked: Asked::by_command(Manual { by: app.account.clone(), why: Some(why) }),
            slot: None,
            only: Some(vec![job.name]),
            expected: Vec::new(),
            force: Force::No,
            now: app.clock.now(),
            dag,
        };
        launch(&app, new, &self.launch, talk).await
    }

    /// What a replay would make of what waits, by rule.
    async fn foreseen(&self, app: &App) -> Result<BTreeMap<String, Replayed>, Failure> {
        let snapshots = app.store.snapshots().await.map_err(unreachable)?;
        let table = self.table.parse().map_err(|error| Failure::new(ExitCode::Usage, error))?;
        let mut found = match snapshots.get(Dataset::waiting(&table).as_str()) {
            Some(reference) => foresee_replay(&app.config, &app.lake, (&self.table, reference))
                .await
                .map_err(|error| Failure::new(ExitCode::RunFailed, error))?,
            None => BTreeMap::new(),
        };
        if let Some(rule) = &self.rule {
            found.retain(|known, _| known == rule);
            if found.is_empty() {
                let error = anyhow::anyhow!(
                    "no row of `{0}` waits under a rule `{rule}`: `nocturne quality quarantine {0}` shows the ledger",
                    self.table
                );
                return Err(Failure::new(ExitCode::NotFound, error));
            }
        }
        Ok(found)
    }

    fn show(&self, found: &BTreeMap<String, Replayed>, talk: Talk) -> Result<ExitCode, Failure> {
        if talk == Talk::Nothing {
            output::json(&ReplayShape { table: &self.table, rules: found })?;
            return Ok(ExitCode::Done);
        }
        if found.is_empty() {
            return output::line(&format!("No row of `{}` waits.", self.table)).map(|()| ExitCode::Done);
        }
        let rows = found.iter().map(|(rule, Replayed { waiting, would_pass })| {
            vec![rule.clone(), output::thousands(*waiting), output::thousands(*would_pass)]
        });
        output::table(&["rule", "waiting", "would pass"], &[1, 2], rows.collect())?;
        if found.values().all(|replayed| replayed.would_pass == 0) {
            output::line("No row would pass: correct the rule or the source first.")?;
        }
        Ok(ExitCode::Done)
    }

    fn job(&self, app: &App) -> Result<(Dag, Job), Failure> {
        let dags = match &self.dag {
            Some(name) => vec![app.dag_with(name, &[])?],
            None => app.dags.all()?,
        };
        let found = dags.into_iter().find_map(|dag| {
            let job = dag.jobs.values().find(|job| pulls_table(job, &app.config, &self.table))?.clone();
            Some((dag, job))
        });
        found.ok_or_else(|| {
            let error = anyhow::anyhow!(
                "no DAG has a job that pulls `{}`: `nocturne dags list` shows the DAGs, `nocturne kinds show canvas_pull` \
                 such a job",
                self.table
            );
            Failure::new(ExitCode::NotFound, error)
        })
    }
}
