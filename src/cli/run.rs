//! `nocturne run DAG`: one run, followed to its end.
//!
//! Without a daemon this process owns the state store and carries the run out: it goes on with what a process that died
//! or was told to end has left, then does what is asked. With a daemon alive it enqueues the run there and follows it.
//! A run never depends on who watches it: closed output and a lost terminal end nothing.

use std::time::Duration;

use jiff::civil::Date;

use super::follow::{self, Strict, Talk};
use super::output::{self, Listener};
use super::{ExitCode, Failure, Global};
use crate::app::{App, Interrupt};
use crate::config::Use;
use crate::domain::dag::{Dag, OverlapPolicy};
use crate::domain::ids::JobName;
use crate::domain::job::{Force, JobView};
use crate::domain::run::RunState;
use crate::engine::{Stop, tick};
use crate::report::mail::masked;
use crate::store::{MailRow, NewRun, Role, RunFilter, RunRecord, Tenure, ToSettle};

/// How often whoever follows a daemon's run looks whether the daemon lives, and after how many looks without one it
/// stops waiting: longer than the service manager takes to start it again.
const OWNER_LOOK: Duration = Duration::from_secs(3);
const ABSENT_LOOKS: u32 = 5;

/// Run a DAG once and follow it to its end.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The DAG: the name of a file in the jobs folder.
    dag: String,
    /// The logical date (the run covers through the end of the day before); today in the DAG's zone if not given.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = super::values::parse_date)]
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
    match app.own(Role::Command).await? {
        Some(tenure) => app.as_owner(&tenure, here(&app, &tenure, new, talk, strict)).await,
        None => there(&app, new, talk, strict, Detach::No).await,
    }
}

/// Carries the run out in this process.
async fn here(app: &App, tenure: &Tenure, new: NewRun, talk: Talk, strict: Strict) -> Result<ExitCode, Failure> {
    let stop = Stop::default();
    let signals = app.listen(&stop, Interrupt::Cancels);
    let mut listener = Listener::default();
    app.begin_tenure().await?;
    let same = go_on_with_what_was_left(app, tenure, &new, &stop, talk, &mut listener).await?;
    if stop.drain.is_cancelled() || stop.cancel.is_cancelled() {
        return Ok(signal_code(&signals, ExitCode::Terminated));
    }
    let (dag, date) = (new.dag.clone(), new.logical_date);
    let run = match same {
        Some(run) => run,
        None => create(app, new).await?,
    };
    if talk == Talk::Lines {
        listener.line(&app.banner(&dag, date));
    }
    let (run, jobs) = carry_out(app, tenure, &run, &stop, talk, &mut listener).await?;
    let waiting = app.send_due_mail().await.map_err(follow::unreachable)?;
    let unsettled = app.settle_all().await.map_err(follow::unreachable)?;
    app.keep_within_limits().await;
    app.store.resign_ownership(tenure).await.map_err(follow::unreachable)?;
    let code = follow::exit_code(&run, &jobs, &waiting, strict);
    finish(app, &run, &jobs, &Left { waiting, unsettled }, talk, &mut listener).await?;
    Ok(signal_code(&signals, code))
}

/// Goes on with the runs that a process has left; returns the one that is the run asked for, not yet carried out.
async fn go_on_with_what_was_left(
    app: &App,
    tenure: &Tenure,
    new: &NewRun,
    stop: &Stop,
    talk: Talk,
    listener: &mut Listener,
) -> Result<Option<RunRecord>, Failure> {
    let filter = RunFilter { open: true, ..RunFilter::default() };
    let open = app.store.runs(&filter).await.map_err(follow::unreachable)?;
    let mut same = None;
    for run in &open {
        let dag = app.store.dag_of(&run.run_id).await.map_err(follow::unreachable)?;
        if run.logical_date == new.logical_date && run.only == new.only && run.force == new.force && dag == new.dag {
            same = Some(run.clone());
        }
    }
    let none = std::collections::BTreeSet::new();
    let all = open.iter().map(|run| (run.run_id.clone(), true)).collect();
    for run_id in tick::to_take_up(tick::Runs { open: &open, taken_up: &none }, &all) {
        if stop.drain.is_cancelled() || stop.cancel.is_cancelled() {
            break;
        }
        if same.as_ref().is_none_or(|run| run.run_id != run_id) {
            if talk == Talk::Lines {
                listener.line(&format!("Going on with {run_id}, which was left open"));
            }
            // One that cannot be carried out keeps nobody from the run that was asked for.
            if let Err(failure) = app.engine.execute(tenure, &run_id, stop).await {
                tracing::error!(run.id = %run_id, "It stays open: {:#}", anyhow::Error::new(failure));
            }
        }
    }
    Ok(same)
}

/// Carries a run out and follows it meanwhile.
async fn carry_out(
    app: &App,
    tenure: &Tenure,
    run: &RunRecord,
    stop: &Stop,
    talk: Talk,
    listener: &mut Listener,
) -> Result<(RunRecord, Vec<JobView>), Failure> {
    let ended = tokio_util::sync::CancellationToken::new();
    let execution = async {
        let executed = app.engine.execute(tenure, &run.run_id, stop).await;
        // A run that was left open, or could not be carried out, never says that it is done.
        if !executed.as_ref().is_ok_and(|run| run.state.is_done()) {
            ended.cancel();
        }
        executed
    };
    let following = ended.run_until_cancelled(follow::follow(app, &run.run_id, talk, listener));
    let (executed, followed) = tokio::join!(execution, following);
    let run = executed.map_err(follow::unreachable)?;
    match followed {
        Some(followed) => followed,
        None => {
            let jobs = app.store.jobs(&run.run_id).await.map_err(follow::unreachable)?;
            Ok((run, jobs))
        }
    }
}

fn signal_code(signals: &crate::app::Signals, otherwise: ExitCode) -> ExitCode {
    match signals.code() {
        Some(143) => ExitCode::Terminated,
        Some(_) => ExitCode::Interrupted,
        None => otherwise,
    }
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
    match app.owner().await.map_err(follow::unreachable)? {
        Some(Role::Daemon) => {}
        Some(Role::Command) => {
            return Err(Failure::new(
                ExitCode::Owned,
                anyhow::anyhow!(
                    "another `nocturne run` owns the data folder {}: wait for it to end, or stop it",
                    app.config.paths.state.display()
                ),
            ));
        }
        None => {
            let error = anyhow::anyhow!(
                "no daemon is running that could carry the run out: start one with `nocturne daemon`, or run without --detach"
            );
            return Err(Failure::new(ExitCode::Unreachable, error));
        }
    }
    let (dag, date) = (new.dag.clone(), new.logical_date);
    let run = create(app, new).await?;
    let mut listener = Listener::default();
    if detach == Detach::Yes {
        listener.line(run.run_id.as_str());
        return Ok(ExitCode::Done);
    }
    if talk == Talk::Lines {
        listener.line(&app.banner(&dag, date));
    }
    let followed = tokio::select! {
        followed = follow::follow(app, &run.run_id, talk, &mut listener) => followed,
        () = until_nobody_owns(app) => {
            let error = anyhow::anyhow!(
                "the daemon that carries {} out is gone, and none has come back; the run stays open: the next `nocturne daemon` or `nocturne run` goes on with it",
                run.run_id
            );
            return Err(Failure::new(ExitCode::Unreachable, error));
        }
    };
    let (run, jobs) = followed?;
    let waiting = app.waiting_mail().await.map_err(follow::unreachable)?;
    let code = follow::exit_code(&run, &jobs, &waiting, strict);
    finish(app, &run, &jobs, &Left { waiting, unsettled: Vec::new() }, talk, &mut listener).await?;
    Ok(code)
}

/// Waits until nobody has owned the state store for a while: a daemon that is started again comes back sooner.
async fn until_nobody_owns(app: &App) {
    let mut absent = 0;
    while absent < ABSENT_LOOKS {
        tokio::time::sleep(OWNER_LOOK).await;
        // A store that does not answer is told by whoever follows the run.
        match app.owner().await {
            Ok(None) => absent += 1,
            Ok(Some(_)) | Err(_) => absent = 0,
        }
    }
}

/// Makes the run. One that is made by hand waits for an earlier one of its DAG, or replaces it where the DAG says so.
async fn create(app: &App, new: NewRun) -> Result<RunRecord, Failure> {
    let filter = RunFilter { open: true, dag: Some(new.dag.name.clone()), ..RunFilter::default() };
    let open = app.store.runs(&filter).await.map_err(follow::unreachable)?;
    let policy = new.dag.schedule.as_ref().map_or_else(Default::default, |schedule| schedule.overlap);
    match policy {
        OverlapPolicy::Skip if !open.is_empty() => {
            return Err(Failure::new(
                ExitCode::Refused,
                anyhow::anyhow!(
                    "a run of `{}` is still open (`overlap = \"skip\"`): see `nocturne runs list`, or stop it with `nocturne runs cancel`",
                    new.dag.name
                ),
            ));
        }
        OverlapPolicy::Replace => {
            for run in open.iter().filter(|run| run.state != RunState::Cancelled) {
                app.store.request_cancel(&run.run_id, app.clock.now()).await.map_err(follow::unreachable)?;
            }
        }
        OverlapPolicy::Skip | OverlapPolicy::Queue | OverlapPolicy::Allow => {}
    }
    let run = app.store.create_run(new).await.map_err(follow::unreachable)?;
    run.ok_or_else(|| Failure::new(ExitCode::Refused, anyhow::anyhow!("there is a run for this slot already")))
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

/// What a run leaves to be done.
struct Left {
    waiting: Vec<MailRow>,
    unsettled: Vec<ToSettle>,
}

async fn finish(
    app: &App,
    run: &RunRecord,
    jobs: &[JobView],
    left: &Left,
    talk: Talk,
    listener: &mut Listener,
) -> Result<(), Failure> {
    if talk == Talk::Nothing {
        let waiting = left.waiting.iter().map(|mail| {
            let to = masked(&mail.recipient.address);
            serde_json::json!({
                "message_id": mail.message_id, "to": to, "state": mail.state, "tries": mail.tries, "why": mail.last_error
            })
        });
        let waiting: Vec<_> = waiting.collect();
        let unsettled: Vec<_> = left.unsettled.iter().map(|row| &row.target).collect();
        return listener
            .json(&serde_json::json!({ "run": run, "jobs": jobs, "outbox": waiting, "to_settle": unsettled }));
    }
    let mails = app.store.mails_of(&run.dag, run.logical_date).await.map_err(follow::unreachable)?;
    for line in app.closing_lines(run, jobs, &mails, &left.waiting) {
        listener.line(&line);
    }
    if let Some(row) = left.unsettled.first() {
        let why = row.last_error.as_deref().unwrap_or("no answer");
        let more = match left.unsettled.len() {
            1 => String::new(),
            all => format!(", and {} more", all - 1),
        };
        listener.line(&format!(
            "Committed, and still to be put in place: {}{more}; the next run tries again ({why})",
            row.target
        ));
    }
    Ok(())
}
