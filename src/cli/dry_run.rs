//! `nocturne run DAG --dry-run`: what each job would do and why, in the order of execution. Nothing is made or changed.

use jiff::civil::Date;

use super::follow::unreachable;
use super::wanted::wanted;
use super::{ExitCode, Failure, Global, output};
use crate::app::App;
use crate::domain::ids::JobName;
use crate::domain::job::Force;
use crate::engine::foresee::{self, Foreseen, Will};

/// The run that is only simulated.
pub(super) struct Wanted {
    pub(super) dag: String,
    pub(super) date: Option<Date>,
    pub(super) job: Vec<JobName>,
    pub(super) from: Option<JobName>,
    pub(super) force: Force,
    pub(super) set: Vec<String>,
}

pub(super) async fn run(asked: &Wanted, global: &Global) -> Result<ExitCode, Failure> {
    let scratch = tempfile::Builder::new().prefix("nocturne-").tempdir();
    let scratch = scratch.map_err(|error| Failure::new(ExitCode::Unreachable, error))?;
    let app = App::foreseeing(&global.config, scratch.path()).await?;
    let dag = app.dag_with(&asked.dag, &asked.set)?;
    let date = match asked.date {
        Some(date) => date,
        None => app.today_in(&dag.timezone)?,
    };
    let only = wanted(&dag, &asked.job, asked.from.as_ref())?;
    let thought_of = foresee::Wanted { dag: &dag, date, only: only.as_deref(), force: asked.force };
    let foreseen = app.foresee(&thought_of).await.map_err(unreachable)?;
    if global.json {
        output::json(&serde_json::json!({ "dag": dag.name, "logical_date": date, "jobs": foreseen }))?;
        return Ok(ExitCode::Done);
    }
    output::line(&format!("{} {date} ({}): nothing is run\n", dag.name, dag.timezone))?;
    let rows = foreseen.iter().map(|one| vec![one.job.to_string(), one.kind.to_string(), does(one), because(one)]);
    output::table(&["job", "kind", "this run", "because"], &[], rows.collect())?;
    Ok(ExitCode::Done)
}

fn does(one: &Foreseen) -> String {
    let word = match one.will {
        Will::Run { .. } => "would run",
        Will::Keep { .. } => "is up to date",
        Will::Depend { .. } => "may run",
        Will::Skip { .. } => "is skipped",
        Will::Unknown { .. } => "is not known",
    };
    word.to_owned()
}

fn because(one: &Foreseen) -> String {
    match &one.will {
        Will::Run { because } => because.to_string(),
        Will::Keep { since } => format!("nothing has changed since {since}"),
        Will::Depend { on } => {
            let on: Vec<&str> = on.iter().map(JobName::as_str).collect();
            format!("it is up to date now; it runs if {} brings anything new", on.join(" or "))
        }
        Will::Skip { why } | Will::Unknown { why } => why.clone(),
    }
}
