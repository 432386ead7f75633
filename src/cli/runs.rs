//! `nocturne runs list|show|logs|cancel`: what ran, and why it ended as it did.

use super::follow::unreachable;
use super::{ExitCode, Failure, Global, output};
use crate::app::App;
use crate::config::Use;
use crate::domain::ids::{DagName, JobName, RunId};
use crate::domain::job::JobView;
use crate::store::{RunFilter, RunRecord};
use crate::telemetry;

/// List and show runs, their logs; cancel one.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// List runs, newest first.
    List {
        /// Of this DAG only.
        #[arg(long)]
        dag: Option<DagName>,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Show a run: its jobs, findings and errors.
    Show {
        /// The run's id, or `last`.
        run: String,
    },
    /// Show the log of a job's attempts.
    Logs {
        /// The run's id, or `last`.
        run: String,
        /// Only this job.
        job: Option<JobName>,
    },
    /// Ask to stop a run.
    Cancel {
        /// The run's id, or `last`.
        run: String,
    },
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let app = App::open(&global.config, Use::Looking).await?;
    match args {
        Args::List { dag, limit } => list(&app, dag, limit, global).await,
        Args::Show { run } => show(&app, &find(&app, &run).await?, global).await,
        Args::Logs { run, job } => logs(&app, &find(&app, &run).await?, job.as_ref()).await,
        Args::Cancel { run } => cancel(&app, &find(&app, &run).await?).await,
    }
}

/// Returns the run that `text` names: an id, or `last`.
async fn find(app: &App, text: &str) -> Result<RunRecord, Failure> {
    let found = if text == "last" {
        let filter = RunFilter { limit: Some(1), ..RunFilter::default() };
        app.store.runs(&filter).await.map_err(unreachable)?.into_iter().next()
    } else {
        app.store.run(&RunId::from_stored(text.to_owned())).await.map_err(unreachable)?
    };
    found.ok_or_else(|| {
        let error = anyhow::anyhow!("there is no run `{text}`; `nocturne runs list` shows those there are");
        Failure::new(ExitCode::NotFound, error)
    })
}

async fn list(app: &App, dag: Option<DagName>, limit: u32, global: &Global) -> Result<ExitCode, Failure> {
    let filter = RunFilter { dag, limit: Some(limit), ..RunFilter::default() };
    let runs = app.store.runs(&filter).await.map_err(unreachable)?;
    if global.json {
        output::json(&runs)?;
        return Ok(ExitCode::Done);
    }
    let rows = runs.iter().map(|run| {
        let took = run.started_at.zip(run.finished_at).map(|(from, to)| to.duration_since(from).as_secs_f64());
        vec![
            run.run_id.to_string(),
            run.state.to_string(),
            run.trigger.clone(),
            run.queued_at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            took.map_or_else(String::new, |seconds| format!("{seconds:.1} s")),
        ]
    });
    output::table(&["run", "state", "asked by", "queued", "took"], &[4], rows.collect())?;
    let skipped = app.store.skipped_slots(&filter).await.map_err(unreachable)?;
    let oldest = runs.last().map(|run| run.queued_at);
    for slot in skipped.iter().filter(|slot| oldest.is_none_or(|oldest| slot.at >= oldest)) {
        output::line(&format!("Skipped the slot {} of {}: {}", slot.at, slot.dag, slot.why))?;
    }
    Ok(ExitCode::Done)
}

async fn show(app: &App, run: &RunRecord, global: &Global) -> Result<ExitCode, Failure> {
    let jobs = app.store.jobs(&run.run_id).await.map_err(unreachable)?;
    if global.json {
        output::json(&serde_json::json!({ "run": run, "jobs": jobs }))?;
        return Ok(ExitCode::Done);
    }
    output::line(&format!("{}  {}  asked by {}\n", run.run_id, run.state, run.trigger))?;
    output::table(&["job", "kind", "state", "attempts", "what"], &[3], jobs.iter().map(row).collect())?;
    for job in &jobs {
        for finding in job.outcome.iter().flat_map(|outcome| &outcome.findings) {
            output::line(&format!(
                "\n{:?} · {} · {} ({})\n  {}\n  {}",
                finding.severity, job.name, finding.subject, finding.check, finding.message, finding.advice
            ))?;
        }
        if let Some(error) = &job.error {
            output::line(&format!("\n{} · {}\n  {error}", job.state, job.name))?;
        }
    }
    Ok(ExitCode::Done)
}

fn row(job: &JobView) -> Vec<String> {
    let what = job.outcome.as_ref().map(|outcome| match outcome.reason {
        Some(reason) => format!("{}: {}", reason.words(), outcome.summary),
        None => outcome.summary.clone(),
    });
    vec![
        job.name.to_string(),
        job.kind.to_string(),
        job.state.to_string(),
        job.attempts.to_string(),
        what.unwrap_or_default(),
    ]
}

async fn logs(app: &App, run: &RunRecord, only: Option<&JobName>) -> Result<ExitCode, Failure> {
    let jobs = app.store.jobs(&run.run_id).await.map_err(unreachable)?;
    let mut shown = false;
    for job in jobs.iter().filter(|job| only.is_none_or(|only| job.name == *only)) {
        for attempt in 1..=job.attempts {
            let path = telemetry::attempt_log(
                &app.config.paths.logs,
                run.run_id.as_str(),
                job.name.as_str(),
                &attempt.to_string(),
            );
            let text = match std::fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) => format!("{}: {error}\n", path.display()),
            };
            output::line(&format!("== {} attempt {attempt}\n{}", job.name, text.trim_end()))?;
            shown = true;
        }
    }
    if !shown {
        let error = anyhow::anyhow!("no attempt of that job has begun in {}", run.run_id);
        return Err(Failure::new(ExitCode::NotFound, error));
    }
    Ok(ExitCode::Done)
}

async fn cancel(app: &App, run: &RunRecord) -> Result<ExitCode, Failure> {
    if app.store.request_cancel(&run.run_id, app.clock.now()).await.map_err(unreachable)? {
        output::line(&format!("{} is asked to stop", run.run_id))?;
        return Ok(ExitCode::Done);
    }
    let error = anyhow::anyhow!("{} is {} already", run.run_id, run.state);
    Err(Failure::new(ExitCode::Refused, error))
}
