//! `nocturne run DAG`: one run, followed to its end.

use jiff::civil::Date;

use super::launch::{Launch, launch};
use super::progress::Talk;
use super::wanted::wanted;
use super::{ExitCode, Failure, Global, dry_run, values};
use crate::app::App;
use crate::config::Use;
use crate::domain::dag::Dag;
use crate::domain::ids::JobName;
use crate::domain::job::Force;
use crate::domain::manual::{Asked, Manual};
use crate::store::{NewRun, Pause};

/// How far ahead of today a run's date may be.
const MOST_DAYS_AHEAD: i32 = 31;

/// Run a DAG once and follow it to its end.
///
/// Without a daemon this command carries out the run; with one it hands the run over. While an earlier run of the DAG
/// is open, the new one waits for it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The DAG: the name of a file in the jobs folder.
    dag: String,
    /// The logical date (the run covers through the end of the day before); today in the DAG's zone if not given.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = values::parse_date)]
    date: Option<Date>,
    /// Only this job; may be given several times.
    #[arg(long, value_name = "JOB", conflicts_with = "from")]
    job: Vec<JobName>,
    /// Only this job and all that need it.
    #[arg(long, value_name = "JOB")]
    from: Option<JobName>,
    /// Also rebuild what is up to date; no e-mail is sent twice.
    #[arg(long)]
    force: bool,
    /// Set a parameter: `JOB.KEY=VALUE`, the value as TOML.
    #[arg(long = "set", value_name = "JOB.KEY=VALUE")]
    set: Vec<String>,
    /// Show what each job would do and why, and run nothing.
    #[arg(long)]
    dry_run: bool,
    /// Run it even though its schedule is paused.
    #[arg(long)]
    even_if_paused: bool,
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    launch: Launch,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let purpose = if args.dry_run { Use::Looking } else { Use::Nights };
    if args.dry_run {
        return dry_run::run(&args.into(), global).await;
    }
    let app = App::open(&global.config, purpose).await?;
    let dag = app.dag_with(&args.dag, &args.set)?;
    if !args.even_if_paused {
        refuse_while_paused(&app, &dag).await?;
    }
    let date = match args.date {
        Some(date) => date,
        None => app.today_in(&dag.timezone)?,
    };
    refuse_far_ahead(&app, &dag, date)?;
    let only = wanted(&dag, &args.job, args.from.as_ref())?;
    let talk = Talk::of(global);
    let new = NewRun {
        logical_date: date,
        asked: Asked::by_command(Manual { by: app.account.clone(), why: args.why }),
        slot: None,
        only,
        expected: Vec::new(),
        force: if args.force { Force::Rebuild } else { Force::No },
        now: app.clock.now(),
        dag,
    };
    launch(&app, new, &args.launch, talk).await
}

/// A date in the future is more likely a slip than a wish: until that day every night would be one for an earlier date,
/// and leave tables, features and models as they are.
fn refuse_far_ahead(app: &App, dag: &Dag, date: Date) -> Result<(), Failure> {
    let today = app.today_in(&dag.timezone)?;
    let days = date.since(today).map_or(0, |span| span.get_days());
    if days > MOST_DAYS_AHEAD {
        let why = format!(
            "{date} is {days} days ahead of {today} in {}: after such a run the nights before that date would leave \
             tables, features and models as it made them; the latest date possible is {MOST_DAYS_AHEAD} days ahead",
            dag.timezone
        );
        return Err(Failure::new(ExitCode::Refused, anyhow::anyhow!(why)));
    }
    if days > 0 {
        tracing::warn!(
            "{date} is {days} days ahead: until then nights are for earlier dates, and leave what this run makes"
        );
    }
    Ok(())
}

impl From<Args> for dry_run::Wanted {
    fn from(args: Args) -> Self {
        let Args { dag, date, job, from, force, set, .. } = args;
        Self { dag, date, job, from, force: if force { Force::Rebuild } else { Force::No }, set }
    }
}

/// Fails while the DAG's schedule is paused.
async fn refuse_while_paused(app: &App, dag: &Dag) -> Result<(), Failure> {
    let pauses = app.store.pauses().await.map_err(super::follow::unreachable)?;
    let Some(Pause { since, manual, .. }) = pauses.into_iter().find(|pause| pause.dag == dag.name) else {
        return Ok(());
    };
    let why = manual.why.map_or_else(String::new, |why| format!(" ({why})"));
    let error = anyhow::anyhow!(
        "{0} paused `{1}` on {2}{why}: resume it with `nocturne dags resume {1}`, or run it once with --even-if-paused",
        manual.by,
        dag.name,
        super::values::time_in(since, &dag.timezone)
    );
    Err(Failure::new(ExitCode::Refused, error))
}
