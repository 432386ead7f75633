//! `nocturne run DAG`: one run, followed to its end.
//!
//! Without a daemon this process carries the run out: it takes the data folder's lock, resumes what a dead process
//! left, then does what is asked. With a daemon alive it enqueues the run there and follows it.

use jiff::civil::Date;
use tokio_util::sync::CancellationToken;

use super::follow::{self, Strict, Talk};
use super::output;
use super::{ExitCode, Failure, Global};
use crate::app::{App, SchedulerLock};
use crate::config::Use;
use crate::domain::dag::Dag;
use crate::domain::ids::JobName;
use crate::domain::job::{Force, JobView};
use crate::engine::recovery::{self, Overlap};
use crate::report::mail::masked;
use crate::store::{MailRow, NewRun, RunFilter, RunRecord};

/// Run a DAG once and follow it to its end.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The DAG: the name of a file in the jobs folder.
    dag: String,
    /// The logical date (the run covers through the end of the day before); today in the DAG's zone if not given.
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<Date>,
    /// Only this job; may be given several times.
    #[arg(long, value_name = "JOB", conflicts_with = "from")]
    job: Vec<JobName>,
    /// Only this job and all that need it.
    #[arg(long, value_name = "JOB")]
    from: Option<JobName>,
    /// Rebuild also what is up to date; no e-mail goes out twice.
    #[arg(long)]
    force: bool,
    /// Set a parameter: `JOB.KEY=VALUE`, the value as TOML.
    #[arg(long = "set", value_name = "JOB.KEY=VALUE")]
    set: Vec<String>,
    /// Show what would run, and run nothing.
    #[arg(long)]
    dry_run: bool,
    /// With a daemon: enqueue and return at once.
    #[arg(long)]
    detach: bool,
    /// Warnings fail the command (exit code 1 in place of 9).
    #[arg(long)]
    strict: bool,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let app = App::open(&global.config, Use::Nights).await?;
    let dag = app.dag_with(&args.dag, &args.set)?;
    let date = match args.date {
        Some(date) => date,
        None => app.today_in(&dag.timezone)?,
    };
    let only = wanted(&dag, &args)?;
    if args.dry_run {
        return dry_run(&dag, date, only.as_deref(), global);
    }

    let strict = if args.strict { Strict::Yes } else { Strict::No };
    let talk = if global.json { Talk::Nothing } else { Talk::Lines };
    let new = NewRun {
        logical_date: date,
        trigger: "command".to_owned(),
        slot: None,
        only,
        expected: Vec::new(),
        force: if args.force { Force::Rebuild } else { Force::No },
        now: app.clock.now(),
        dag,
    };
    if args.detach {
        return there(&app, new, talk, strict, Detach::Yes).await;
    }
    match app.lock()? {
        Some(lock) => here(&app, new, talk, strict, lock).await,
        None => there(&app, new, talk, strict, Detach::No).await,
    }
}

/// Carries the run out in this process.
async fn here(app: &App, new: NewRun, talk: Talk, strict: Strict, lock: SchedulerLock) -> Result<ExitCode, Failure> {
    let cancel = CancellationToken::new();
    let signal = app.cancel_on_signal(&cancel);
    let (dag, date) = (new.dag.clone(), new.logical_date);

    app.repair(std::slice::from_ref(&new.dag)).await.map_err(follow::unreachable)?;
    let open = app.store.runs(&RunFilter { open: true, ..RunFilter::default() }).await.map_err(follow::unreachable)?;
    let same = open.iter().find(|run| is_same(run, &new)).cloned();
    for run_id in recovery::to_take_up(&open) {
        if same.as_ref().is_none_or(|run| run.run_id != run_id) {
            tracing::info!(run.id = %run_id, "Resuming a run that was cut off");
            app.engine.execute(&run_id, &cancel).await.map_err(follow::unreachable)?;
        }
    }
    let run = match same {
        Some(run) => run,
        None => create(app, new).await?,
    };
    if talk == Talk::Lines {
        output::line(&app.banner(&dag, date))?;
    }
    // A run that cannot be carried out (a full disk, a lost database) never says that it is done.
    let given_up = CancellationToken::new();
    let execution = async {
        let executed = app.engine.execute(&run.run_id, &cancel).await;
        if executed.is_err() {
            given_up.cancel();
        }
        executed
    };
    let following = stop_with(follow::follow(app, &run.run_id, talk), &cancel, app, &run);
    let both = async { tokio::join!(execution, given_up.run_until_cancelled(following)) };
    let (executed, followed) = app.beside(both).await;
    let run = executed.map_err(follow::unreachable)?;
    let (run, jobs) = match followed {
        Some(followed) => followed?,
        None => (run, Vec::new()),
    };
    let waiting = app.send_due_mail().await.map_err(follow::unreachable)?;
    drop(lock);
    let code = follow::exit_code(&run, &jobs, &waiting, strict);
    finish(app, &run, &jobs, &waiting, talk).await?;
    Ok(match signal.code() {
        Some(143) => ExitCode::Terminated,
        Some(_) => ExitCode::Interrupted,
        None => code,
    })
}

/// Follows until the run is done; the executor marks it done in every case.
async fn stop_with<T>(
    following: impl Future<Output = Result<T, Failure>>,
    cancel: &CancellationToken,
    app: &App,
    run: &RunRecord,
) -> Result<T, Failure> {
    let followed = following.await;
    if followed.is_err() {
        // Nobody sees the run any more (a closed pipe, a lost database): it is stopped, not left to itself.
        cancel.cancel();
        app.store.request_cancel(&run.run_id, app.clock.now()).await.map_err(follow::unreachable)?;
    }
    followed
}

/// Whether the command returns as soon as the daemon has the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detach {
    /// It does.
    Yes,
    /// It follows the run to its end.
    No,
}

/// Enqueues the run with the daemon and follows it.
async fn there(app: &App, new: NewRun, talk: Talk, strict: Strict, detach: Detach) -> Result<ExitCode, Failure> {
    if !app.store.is_scheduler_alive(app.clock.now()).await.map_err(follow::unreachable)? {
        if detach == Detach::Yes {
            let error =
                anyhow::anyhow!("no daemon lives that could take the run over: start one, or run without --detach");
            return Err(Failure::new(ExitCode::Unreachable, error));
        }
        return Err(Failure::new(
            ExitCode::Owned,
            anyhow::anyhow!(
                "another `nocturne run` owns the data folder {}: wait for it to end, or stop it",
                app.config.paths.state.display()
            ),
        ));
    }
    let (dag, date) = (new.dag.clone(), new.logical_date);
    let run = create(app, new).await?;
    if detach == Detach::Yes {
        output::line(run.run_id.as_str())?;
        return Ok(ExitCode::Done);
    }
    if talk == Talk::Lines {
        output::line(&app.banner(&dag, date))?;
    }
    let (run, jobs) = follow::follow(app, &run.run_id, talk).await?;
    let waiting = app.waiting_mail().await.map_err(follow::unreachable)?;
    finish(app, &run, &jobs, &waiting, talk).await?;
    Ok(follow::exit_code(&run, &jobs, &waiting, strict))
}

async fn create(app: &App, new: NewRun) -> Result<RunRecord, Failure> {
    let open = app.store.runs(&RunFilter { open: true, ..RunFilter::default() }).await.map_err(follow::unreachable)?;
    let policy = new.dag.schedule.as_ref().map_or_else(Default::default, |schedule| schedule.overlap);
    match recovery::overlap(policy, &new.dag.name, &open) {
        Overlap::Begin | Overlap::Wait => {}
        Overlap::Skip => {
            return Err(Failure::new(
                ExitCode::Refused,
                anyhow::anyhow!(
                    "a run of `{}` is still open (`overlap = \"skip\"`): see `nocturne runs list`, or stop it with `nocturne runs cancel`",
                    new.dag.name
                ),
            ));
        }
        Overlap::Replace(runs) => {
            for run_id in runs {
                app.store.request_cancel(&run_id, app.clock.now()).await.map_err(follow::unreachable)?;
            }
        }
    }
    let run = app.store.create_run(new).await.map_err(follow::unreachable)?;
    run.ok_or_else(|| Failure::new(ExitCode::Refused, anyhow::anyhow!("there is a run for this slot already")))
}

fn is_same(run: &RunRecord, new: &NewRun) -> bool {
    run.dag == new.dag.name && run.logical_date == new.logical_date && run.only == new.only && run.force == new.force
}

fn wanted(dag: &Dag, args: &Args) -> Result<Option<Vec<JobName>>, Failure> {
    for job in args.job.iter().chain(&args.from) {
        if !dag.jobs.contains_key(job) {
            let jobs: Vec<&str> = dag.jobs.keys().map(JobName::as_str).collect();
            let error = anyhow::anyhow!("`{}` has no job `{job}`; it has {}", dag.name, jobs.join(", "));
            return Err(Failure::new(ExitCode::NotFound, error));
        }
    }
    Ok(match &args.from {
        Some(job) => Some(dag.with_dependents(job)),
        None if args.job.is_empty() => None,
        None => Some(args.job.clone()),
    })
}

fn dry_run(dag: &Dag, date: Date, only: Option<&[JobName]>, global: &Global) -> Result<ExitCode, Failure> {
    let is_wanted = |job: &JobName| only.is_none_or(|only| only.contains(job));
    if global.json {
        let jobs: Vec<&JobName> = dag.jobs.keys().filter(|job| is_wanted(job)).collect();
        output::json(&serde_json::json!({ "dag": dag.name, "logical_date": date, "jobs": jobs }))?;
        return Ok(ExitCode::Done);
    }
    output::line(&format!("{} {date} ({}): nothing is run", dag.name, dag.timezone))?;
    let rows = dag.jobs.values().map(|job| {
        let needs: Vec<&str> = job.needs.iter().map(JobName::as_str).collect();
        let does = if is_wanted(&job.name) { "runs" } else { "skipped: not asked for" };
        vec![job.name.to_string(), job.kind.to_string(), needs.join(", "), does.to_owned()]
    });
    output::table(&["job", "kind", "needs", "this run"], &[], rows.collect())?;
    Ok(ExitCode::Done)
}

async fn finish(app: &App, run: &RunRecord, jobs: &[JobView], waiting: &[MailRow], talk: Talk) -> Result<(), Failure> {
    if talk == Talk::Nothing {
        let waiting = waiting.iter().map(|mail| {
            let to = masked(&mail.recipient.address);
            serde_json::json!({
                "message_id": mail.message_id, "to": to, "state": mail.state, "tries": mail.tries, "why": mail.last_error
            })
        });
        let waiting: Vec<_> = waiting.collect();
        return output::json(&serde_json::json!({ "run": run, "jobs": jobs, "outbox": waiting }));
    }
    let mails = app.store.mails_of(&run.dag, run.logical_date).await.map_err(follow::unreachable)?;
    for line in app.closing_lines(run, jobs, &mails, waiting) {
        output::line(&line)?;
    }
    Ok(())
}
