//! `nocturne dags list|show|check|next|schema`: what is there to run, and when.

use super::{ExitCode, Failure, Global, output};
use crate::app::{App, Dags};
use crate::config::Use;
use crate::domain::dag::Dag;
use crate::domain::ids::JobName;
use crate::domain::schedule;
use crate::jobs::KindNames;

/// List, show and check the DAGs.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// List the DAGs with their schedules.
    List,
    /// Show a DAG: its jobs, what they need and what they do.
    Show {
        /// The DAG.
        dag: String,
    },
    /// Check one DAG, or all: every mistake at once.
    Check {
        /// The DAG; without it all.
        dag: Option<String>,
    },
    /// Show when a DAG runs next.
    Next {
        /// The DAG.
        dag: String,
        /// How many times to show.
        #[arg(long, default_value_t = 5)]
        count: usize,
    },
    /// Print the JSON schema of a DAG file, for editors.
    Schema,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let (config, _) = super::config::load(&global.config)?;
    let dags = Dags::of(&config);
    match args {
        Args::List => list(&dags.all()?, global),
        Args::Show { dag } => show(&dags.one(&dag)?, global),
        Args::Check { dag } => {
            let checked = match dag {
                Some(dag) => vec![dags.one(&dag)?],
                None => dags.all()?,
            };
            output::line(&format!(
                "{} in order",
                checked.iter().map(|d| d.name.as_str()).collect::<Vec<_>>().join(", ")
            ))?;
            Ok(ExitCode::Done)
        }
        Args::Next { dag, count } => {
            let app = App::open(&global.config, Use::Looking).await?;
            next(&app, &dags.one(&dag)?, count, global)
        }
        Args::Schema => {
            output::json(&crate::domain::spec::dag_schema(&KindNames))?;
            Ok(ExitCode::Done)
        }
    }
}

fn list(dags: &[Dag], global: &Global) -> Result<ExitCode, Failure> {
    if global.json {
        output::json(&dags)?;
        return Ok(ExitCode::Done);
    }
    let rows = dags.iter().map(|dag| {
        let schedule = dag.schedule.as_ref().map_or("when asked", |schedule| schedule.cron.as_str());
        vec![
            dag.name.to_string(),
            schedule.to_owned(),
            dag.timezone.clone(),
            dag.jobs.len().to_string(),
            dag.description.clone(),
        ]
    });
    output::table(&["dag", "schedule", "zone", "jobs", "what it is for"], &[3], rows.collect())?;
    Ok(ExitCode::Done)
}

fn show(dag: &Dag, global: &Global) -> Result<ExitCode, Failure> {
    if global.json {
        output::json(dag)?;
        return Ok(ExitCode::Done);
    }
    output::line(&format!("{} · {}\n", dag.name, dag.description))?;
    let rows = dag.jobs.values().map(|job| {
        let needs: Vec<&str> = job.needs.iter().map(JobName::as_str).collect();
        vec![
            job.name.to_string(),
            job.kind.to_string(),
            needs.join(", "),
            job.params.to_string(),
            format!("{} × {} s", job.retry.attempts, job.timeout.as_secs()),
        ]
    });
    output::table(&["job", "kind", "needs", "with", "tries"], &[], rows.collect())?;
    Ok(ExitCode::Done)
}

fn next(app: &App, dag: &Dag, count: usize, global: &Global) -> Result<ExitCode, Failure> {
    let Some(schedule) = &dag.schedule else {
        let error = anyhow::anyhow!("`{}` has no schedule: it runs when asked", dag.name);
        return Err(Failure::new(ExitCode::NotFound, error));
    };
    let mut after = app.clock.now();
    let mut slots = Vec::new();
    while slots.len() < count {
        let found = schedule::next_after(schedule, &dag.timezone, after);
        let Some(slot) = found.map_err(|error| Failure::new(ExitCode::Invalid, error))? else { break };
        after = slot.at;
        slots.push(slot);
    }
    if global.json {
        let slots: Vec<_> = slots.iter().map(|s| serde_json::json!({ "at": s.at, "logical_date": s.date })).collect();
        output::json(&slots)?;
        return Ok(ExitCode::Done);
    }
    let zone = schedule::parse_zone(&dag.timezone).map_err(|error| Failure::new(ExitCode::Invalid, error))?;
    for slot in slots {
        output::line(&format!("{}  {}", slot.date, slot.at.to_zoned(zone.clone()).strftime("%a %d %b %Y %H:%M %Z")))?;
    }
    Ok(ExitCode::Done)
}
