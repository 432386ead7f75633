//! `nocturne backfill`: a DAG's runs for a range of dates, requested together.
//!
//! All runs are made in one transaction, so an interrupted backfill is complete: the same command continues it, and so
//! does a daemon. Its runs wait for scheduled ones and send no e-mail.

mod plan;

use jiff::Timestamp;
use jiff::civil::Date;
use tokio_util::sync::CancellationToken;

use self::plan::Plan;
use super::follow::{self, Strict, unreachable};
use super::launch::{self, Site};
use super::output::{self, Listener};
use super::progress::Talk;
use super::{ExitCode, Failure, Global, values};
use crate::app::{App, Interrupt};
use crate::config::Use;
use crate::domain::dag::Dag;
use crate::domain::ids::RunId;
use crate::domain::job::Force;
use crate::domain::manual::{Asked, Manual};
use crate::domain::run::{RunState, Trigger};
use crate::engine::repair::{self, Does, Order, PlannedDate, Reprocess};
use crate::engine::{Stop, tick};
use crate::store::{Backfill, NewRun, RunFilter, RunRecord, Tenure};

/// Run a DAG for each date in a range.
///
/// The dates are those on which the DAG's schedule has a slot. For dates before the newest run's, each run makes the
/// report of its own date and leaves what is current: tables, features, models and cursors. No e-mail is sent. The same
/// command continues a backfill that was interrupted.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The DAG.
    dag: String,
    /// The first date.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = values::parse_date)]
    from: Date,
    /// The last date, inclusive.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = values::parse_date)]
    to: Date,
    /// Which dates that already have a run are run again.
    #[arg(long, value_enum, default_value_t = Again::None)]
    reprocess: Again,
    /// Begin with the newest date.
    #[arg(long)]
    newest_first: bool,
    /// How many runs may be carried out at the same time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    parallel: u32,
    /// Also rebuild what is up to date.
    #[arg(long)]
    force: bool,
    /// Show what would be run, and run nothing.
    #[arg(long)]
    dry_run: bool,
    /// With a daemon: enqueue and return at once.
    #[arg(long)]
    detach: bool,
    /// Make warnings fail the command (exit code 1 instead of 9).
    #[arg(long)]
    strict: bool,
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

/// Which dates are run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Again {
    /// Only dates without a run.
    None,
    /// Also those whose last run failed or was cancelled.
    Failed,
    /// All dates.
    All,
}

impl From<Again> for Reprocess {
    fn from(again: Again) -> Self {
        match again {
            Again::None => Self::None,
            Again::Failed => Self::Failed,
            Again::All => Self::All,
        }
    }
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let purpose = if args.dry_run { Use::Looking } else { Use::Nights };
    let app = App::open(&global.config, purpose).await?;
    let dag = app.dag_with(&args.dag, &[])?;
    refuse_range(&app, &dag, &args)?;
    let asked_at = app.clock.now();
    let planned = plan(&app, &dag, &args).await?;
    let known = find_open(&app, &dag, &args).await?;
    if args.dry_run {
        return Plan { dag: &dag, planned: &planned, known: known.as_ref() }.show(&app, global).await;
    }
    let (backfill, runs) = match known {
        Some(backfill) => {
            let runs = app.store.runs_of_backfill(&backfill.id).await.map_err(unreachable)?;
            (backfill, runs)
        }
        None => make(&app, &dag, &args, (&planned, asked_at)).await?,
    };
    if runs.is_empty() {
        return nothing_to_do(&planned, global);
    }
    warn_of_what_is_left_out(&planned, &backfill, &runs, &args);
    let work = Work { app: &app, backfill: &backfill, args: &args, global };
    work.do_all(&dag, runs).await
}

fn refuse_range(app: &App, dag: &Dag, args: &Args) -> Result<(), Failure> {
    let today = app.today_in(&dag.timezone)?;
    let why = if args.from > args.to {
        format!("--from {} is after --to {}", args.from, args.to)
    } else if args.to > today {
        format!("--to {} is in the future: today is {today} in {}", args.to, dag.timezone)
    } else {
        return Ok(());
    };
    Err(Failure::new(ExitCode::Usage, anyhow::anyhow!(why)))
}

async fn plan(app: &App, dag: &Dag, args: &Args) -> Result<Vec<PlannedDate>, Failure> {
    let dates = repair::dates_of(dag, args.from, args.to).map_err(|error| Failure::new(ExitCode::Invalid, error))?;
    let mut runs = Vec::new();
    for date in &dates {
        let filter = RunFilter { dag: Some(dag.name.clone()), logical_date: Some(*date), ..RunFilter::default() };
        runs.extend(app.store.runs(&filter).await.map_err(unreachable)?);
    }
    let order = if args.newest_first { Order::NewestFirst } else { Order::OldestFirst };
    Ok(repair::plan_backfill(&dates, &runs, args.reprocess.into(), order))
}

/// Returns an earlier backfill with the same request that still has runs to do.
async fn find_open(app: &App, dag: &Dag, args: &Args) -> Result<Option<Backfill>, Failure> {
    let open = app.store.open_backfills().await.map_err(unreachable)?;
    let reprocess = Reprocess::from(args.reprocess).as_str();
    Ok(open.into_iter().find(|one| {
        (&one.dag, one.first, one.last, one.reprocess.as_str()) == (&dag.name, args.from, args.to, reprocess)
    }))
}

async fn make(
    app: &App,
    dag: &Dag,
    args: &Args,
    (planned, now): (&[PlannedDate], Timestamp),
) -> Result<(Backfill, Vec<RunRecord>), Failure> {
    let backfill = Backfill {
        id: format!("{}.{}.{}.{}", dag.name, args.from, args.to, now.as_microsecond()),
        dag: dag.name.clone(),
        first: args.from,
        last: args.to,
        reprocess: Reprocess::from(args.reprocess).as_str().to_owned(),
        parallel: args.parallel,
        asked_at: now,
    };
    let dates = planned.iter().filter(|one| matches!(one.does, Does::Run(_)));
    // A microsecond apart, in the order in which they are to be done.
    let new = |(n, one): (i64, &PlannedDate)| NewRun {
        dag: dag.clone(),
        logical_date: one.date,
        asked: Asked::as_backfill(Manual { by: app.account.clone(), why: args.why.clone() }, backfill.id.clone()),
        slot: None,
        only: None,
        expected: Vec::new(),
        force: if args.force { Force::Rebuild } else { Force::No },
        now: now.checked_add(jiff::Span::new().microseconds(n)).unwrap_or(now),
    };
    let news: Vec<NewRun> = (0..).zip(dates).map(new).collect();
    if news.is_empty() {
        return Ok((backfill, Vec::new()));
    }
    let backfill = app.store.create_backfill(&backfill, news).await.map_err(unreachable)?;
    let runs = app.store.runs_of_backfill(&backfill.id).await.map_err(unreachable)?;
    Ok((backfill, runs))
}

/// Says which dates are left to a run that is open, and which options of a backfill under way are not changed.
fn warn_of_what_is_left_out(planned: &[PlannedDate], backfill: &Backfill, runs: &[RunRecord], args: &Args) {
    let is_ours = |run: &RunId| runs.iter().any(|one| one.run_id == *run);
    for one in planned {
        if let Does::Wait(run) = &one.does
            && !is_ours(run)
        {
            tracing::warn!(
                "{} is left out: {run} of that date is still open; `nocturne runs cancel {run}` ends it, `nocturne runs show {run}` says what it waits for",
                one.date
            );
        }
    }
    let was_begun = runs.iter().any(|run| run.state.is_done());
    if was_begun && (args.force || args.newest_first || args.parallel != backfill.parallel) {
        tracing::warn!(
            "It goes on as it was begun: --force, --newest-first and --parallel are those of the first call"
        );
    }
}

fn nothing_to_do(planned: &[PlannedDate], global: &Global) -> Result<ExitCode, Failure> {
    if global.json {
        output::json(&serde_json::json!({ "backfill": null, "runs": [] }))?;
    } else {
        let open = planned.iter().filter(|one| matches!(one.does, Does::Wait(_))).count();
        let also = if open > 0 { format!(", {open} of them still open") } else { String::new() };
        output::line(&match planned.len() {
            0 => "Nothing to do: the schedule has no slot in this range".to_owned(),
            dates => {
                format!("Nothing to do: all {dates} dates have a run{also}; --reprocess failed or all runs them again")
            }
        })?;
    }
    Ok(ExitCode::Done)
}

/// A backfill at work.
struct Work<'a> {
    app: &'a App,
    backfill: &'a Backfill,
    args: &'a Args,
    global: &'a Global,
}

impl Work<'_> {
    async fn do_all(&self, dag: &Dag, runs: Vec<RunRecord>) -> Result<ExitCode, Failure> {
        let app = self.app;
        let stop = Stop::default();
        let signals = app.listen(&stop, Interrupt::Leaves);
        let done = runs.iter().filter(|run| run.state.is_done()).count();
        let mut listener = Listener::default();
        if !self.global.json {
            let again = if done > 0 { format!(", {done} of them done before") } else { String::new() };
            listener.line(&format!(
                "Backfill of {}: {} runs for {} to {}{again}",
                dag.name,
                runs.len(),
                self.args.from,
                self.args.to
            ));
        }
        let talk = Talk::of(self.global);
        let limit = launch::Limit::starting_now(None);
        let site = tokio::select! {
            site = launch::find_site(app, talk, &limit) => site?,
            () = stop.drain.cancelled() => return Ok(launch::signal_code(&signals, ExitCode::Interrupted)),
        };
        if self.args.detach && matches!(site, Site::Daemon) {
            match talk {
                Talk::Lines => listener.line(&self.backfill.id),
                Talk::Nothing => listener.json(&serde_json::json!({ "backfill": self.backfill, "runs": runs }))?,
            }
            return Ok(ExitCode::Done);
        }
        let ended = match site {
            Site::Here(tenure) => {
                signals.mean(Interrupt::Drains);
                app.as_owner(&tenure, self.here(&tenure, &stop, &mut listener)).await
            }
            Site::Daemon => tokio::select! {
                followed = self.follow_all(&stop.drain, &mut listener) => followed,
                () = launch::until_nobody_owns(app) => Err(self.daemon_is_gone()),
            },
        };
        ended?;
        let code = self.close(&mut listener).await?;
        Ok(launch::signal_code(&signals, code))
    }

    fn daemon_is_gone(&self) -> Failure {
        let error = anyhow::anyhow!(
            "the daemon that carries {} out is gone, and none has come back; the same command goes on with it, and so does the next `nocturne daemon`",
            self.backfill.id
        );
        Failure::new(ExitCode::Unreachable, error)
    }

    /// Carries out the runs in this process, no more at a time than requested.
    async fn here(&self, tenure: &Tenure, stop: &Stop, listener: &mut Listener) -> Result<(), Failure> {
        let app = self.app;
        app.begin_tenure().await?;
        let ended = CancellationToken::new();
        let carry_out = async {
            let carried = self.carry_out(tenure, stop).await;
            ended.cancel();
            carried
        };
        let (carried, followed) = tokio::join!(carry_out, self.follow_all(&ended, listener));
        carried?;
        followed?;
        launch::end_tenure(app, tenure).await?;
        Ok(())
    }

    async fn carry_out(&self, tenure: &Tenure, stop: &Stop) -> Result<(), Failure> {
        let app = self.app;
        let mut at_work = tokio::task::JoinSet::new();
        let mut taken_up = std::collections::BTreeSet::new();
        loop {
            let filter = RunFilter { open: true, dag: Some(self.backfill.dag.clone()), ..RunFilter::default() };
            let open = app.store.runs(&filter).await.map_err(unreachable)?;
            // Runs that others carry out are left to them; those left running come first.
            let is_ours =
                |run: &&RunRecord| run.backfill.as_deref() == Some(&self.backfill.id) || run.state == RunState::Running;
            let open: Vec<RunRecord> = open.iter().filter(is_ours).cloned().collect();
            let beside = |run: &RunRecord| match run.trigger {
                Trigger::Backfill => tick::Beside::OfBackfill(self.backfill.parallel),
                _ => tick::Beside::None,
            };
            let beside = open.iter().map(|run| (run.run_id.clone(), beside(run))).collect();
            let next = tick::to_take_up(tick::Runs { open: &open, taken_up: &taken_up }, &beside);
            for run_id in next.into_iter().filter(|_| !stop.drain.is_cancelled() && !stop.cancel.is_cancelled()) {
                taken_up.insert(run_id.clone());
                let (engine, tenure, stop) = (app.engine.clone(), tenure.clone(), stop.clone());
                at_work.spawn(async move {
                    let executed = engine.execute(&tenure, &run_id, &stop).await;
                    (run_id, executed)
                });
            }
            let Some(joined) = at_work.join_next().await else { return Ok(()) };
            let (run_id, executed) = joined.map_err(unreachable)?;
            taken_up.remove(&run_id);
            executed.map_err(unreachable)?;
        }
    }

    /// Prints a line for each run as it ends, until all have, or `enough`.
    async fn follow_all(&self, enough: &CancellationToken, listener: &mut Listener) -> Result<(), Failure> {
        let mut said = std::collections::BTreeSet::new();
        loop {
            // Asked before the runs are read, so that what ended before it is printed.
            let is_enough = enough.is_cancelled();
            let runs = self.app.store.runs_of_backfill(&self.backfill.id).await.map_err(unreachable)?;
            for run in runs.iter().filter(|run| run.state.is_done()) {
                if said.insert(run.run_id.clone()) && !self.global.json {
                    let took = run.started_at.zip(run.finished_at);
                    let took = took.map_or(0.0, |(from, to)| to.duration_since(from).as_secs_f64());
                    let progress = format!("{}/{}", said.len(), runs.len());
                    listener.line(&format!("{progress:>7}  {}  {:<9} {took:>7.1} s", run.run_id, run.state.as_str()));
                }
            }
            if is_enough || runs.iter().all(|run| run.state.is_done()) {
                return Ok(());
            }
            if enough.run_until_cancelled(tokio::time::sleep(follow::POLL)).await.is_none() {
                continue;
            }
        }
    }

    async fn close(&self, listener: &mut Listener) -> Result<ExitCode, Failure> {
        let app = self.app;
        let runs = app.store.runs_of_backfill(&self.backfill.id).await.map_err(unreachable)?;
        if self.global.json {
            listener.json(&serde_json::json!({ "backfill": self.backfill, "runs": runs }))?;
        }
        let mut worst = ExitCode::Done;
        for run in &runs {
            let jobs = app.store.jobs(&run.run_id).await.map_err(unreachable)?;
            let strict = if self.args.strict { Strict::Yes } else { Strict::No };
            let code = follow::exit_code(run, &jobs, &[], strict);
            worst = match (worst, code) {
                (_, ExitCode::RunFailed) | (ExitCode::RunFailed, _) => ExitCode::RunFailed,
                (ExitCode::Done, code) => code,
                (worst, _) => worst,
            };
        }
        if !self.global.json {
            listener.line(&summary(&runs));
            if runs.iter().any(|run| !run.state.is_done()) {
                listener.line(&format!(
                    "The same command goes on with them, and so does a daemon; `nocturne runs cancel {}` ends them",
                    self.backfill.id
                ));
            }
        }
        Ok(worst)
    }
}

fn summary(runs: &[RunRecord]) -> String {
    let count = |state| runs.iter().filter(|run| run.state == state).count();
    let open = runs.iter().filter(|run| !run.state.is_done()).count();
    let parts = [
        (count(RunState::Succeeded), "succeeded"),
        (count(RunState::Failed), "failed"),
        (count(RunState::Cancelled), "cancelled"),
        (open, "still to do"),
    ];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    format!("{}.", parts.join(", "))
}
