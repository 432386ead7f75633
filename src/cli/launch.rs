//! Gets a run carried out and follows it to its end: in this process, or by the daemon that owns the state store.
//!
//! Without a daemon this process owns the state store: it continues what a process that died or was told to stop has
//! left, then does what was requested. With a daemon it enqueues the run there; if another command is running, it waits
//! for that to end. A run never depends on who watches it: closed output, a lost terminal, or no longer following a
//! daemon's run ends nothing.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::follow::{self, Strict};
use super::output::Listener;
use super::progress::Talk;
use super::{ExitCode, Failure, mails, values};
use crate::app::{App, Interrupt, Signals};
use crate::domain::dag::OverlapPolicy;
use crate::domain::job::JobView;
use crate::domain::run::{RunState, Trigger};
use crate::engine::{Stop, tick};
use crate::store::{MailRow, NewRun, Role, RunFilter, RunRecord, Tenure, ToSettle};

/// How often a follower of a daemon's run checks that the daemon is running, and after how many checks without one it
/// stops waiting: longer than the service manager takes to restart it.
const OWNER_LOOK: Duration = Duration::from_secs(3);
const ABSENT_LOOKS: u32 = 5;

/// How runs are launched: the arguments shared by all commands that request a run.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Launch {
    /// With a daemon: enqueue and return at once.
    #[arg(long)]
    detach: bool,
    /// With a daemon: wait at most this long (`30m`); the run goes on (exit code 7).
    #[arg(long, value_name = "DURATION", value_parser = values::parse_wait, conflicts_with = "detach")]
    wait: Option<Duration>,
    /// Make warnings fail the command (exit code 1 instead of 9).
    #[arg(long)]
    strict: bool,
}

impl Launch {
    pub(super) fn strict(&self) -> Strict {
        if self.strict { Strict::Yes } else { Strict::No }
    }
}

/// Gets `new` carried out, as `launch` says, and returns how it ended.
pub(super) async fn launch(app: &App, new: NewRun, launch: &Launch, talk: Talk) -> Result<ExitCode, Failure> {
    let launching = Launching { app, talk, strict: launch.strict() };
    if launch.detach {
        refuse_without_daemon(app).await?;
        let (run, _) = create(app, new).await?;
        let mut listener = Listener::default();
        match talk {
            Talk::Lines => listener.line(run.run_id.as_str()),
            Talk::Nothing => listener.json(&serde_json::json!({ "run": run }))?,
        }
        return Ok(ExitCode::Done);
    }
    let stop = Stop::default();
    let signals = app.listen(&stop, Interrupt::Leaves);
    let limit = Limit::starting_now(launch.wait);
    let site = tokio::select! {
        site = find_site(app, talk, &limit) => site?,
        code = left(&stop, &signals) => return Ok(code),
    };
    match site {
        Site::Here(tenure) => app.as_owner(&tenure, launching.here(&tenure, new, &stop, &signals)).await,
        Site::Daemon => launching.there(new, &stop, &signals, &limit).await,
    }
}

/// What carries out a run.
pub(super) enum Site {
    /// This process, which owns the state store.
    Here(Tenure),
    /// The daemon.
    Daemon,
}

/// Becomes the owner of the state store, or finds the daemon that is; waits while another command is running.
pub(super) async fn find_site(app: &App, talk: Talk, limit: &Limit) -> Result<Site, Failure> {
    let mut has_said = false;
    loop {
        if let Some(tenure) = app.own(Role::Command).await? {
            return Ok(Site::Here(tenure));
        }
        match app.owner().await.map_err(follow::unreachable)? {
            Some(Role::Daemon) => return Ok(Site::Daemon),
            Some(Role::Command) if limit.has_passed() => {
                let error = anyhow::anyhow!(
                    "another nocturne command is still at work on {}, and the time to wait is over: no run was made",
                    app.config.paths.state.display()
                );
                return Err(Failure::new(ExitCode::TimedOut, error));
            }
            Some(Role::Command) if !has_said => {
                has_said = true;
                if talk == Talk::Lines {
                    let folder = app.config.paths.state.display();
                    tracing::warn!(
                        "Another nocturne command is at work on {folder}; this one begins when it has ended"
                    );
                }
            }
            Some(Role::Command) | None => {}
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn refuse_without_daemon(app: &App) -> Result<(), Failure> {
    if app.owner().await.map_err(follow::unreachable)? == Some(Role::Daemon) {
        return Ok(());
    }
    let error = anyhow::anyhow!(
        "no daemon is running that could carry the run out: start one with `nocturne daemon`, or leave out --detach"
    );
    Err(Failure::new(ExitCode::Unreachable, error))
}

/// How long a command waits at most.
pub(super) struct Limit(Option<tokio::time::Instant>);

impl Limit {
    pub(super) fn starting_now(wait: Option<Duration>) -> Self {
        Self(wait.map(|wait| tokio::time::Instant::now() + wait))
    }

    fn has_passed(&self) -> bool {
        self.0.is_some_and(|at| at <= tokio::time::Instant::now())
    }

    pub(super) async fn passes(&self) {
        match self.0 {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

/// Returns the exit code when a person leaves, or the time to wait is over.
async fn left_or_late(stop: &Stop, signals: &Signals, limit: &Limit) -> ExitCode {
    tokio::select! {
        () = limit.passes() => ExitCode::TimedOut,
        code = left(stop, signals) => code,
    }
}

/// Returns the exit code when a person leaves.
async fn left(stop: &Stop, signals: &Signals) -> ExitCode {
    tokio::select! {
        () = stop.cancel.cancelled() => signal_code(signals, ExitCode::Interrupted),
        () = stop.drain.cancelled() => signal_code(signals, ExitCode::Terminated),
    }
}

/// A run being launched.
struct Launching<'a> {
    app: &'a App,
    talk: Talk,
    strict: Strict,
}

impl Launching<'_> {
    /// Carries out the run in this process.
    async fn here(&self, tenure: &Tenure, new: NewRun, stop: &Stop, signals: &Signals) -> Result<ExitCode, Failure> {
        let app = self.app;
        signals.mean(Interrupt::Cancels);
        let mut listener = Listener::default();
        app.begin_tenure().await?;
        let same = self.go_on_with_what_was_left(tenure, &new, stop, &mut listener).await?;
        if stop.drain.is_cancelled() || stop.cancel.is_cancelled() {
            return Ok(signal_code(signals, ExitCode::Terminated));
        }
        let banner = app.banner(&new.dag, new.logical_date);
        let run = match same {
            Some(run) => run,
            None => create(app, new).await?.0,
        };
        if self.talk == Talk::Lines {
            listener.line(&banner);
        }
        let (run, jobs) = self.carry_out(tenure, &run, stop, &mut listener).await?;
        let left = end_tenure(app, tenure).await?;
        let code = follow::exit_code(&run, &jobs, &left.waiting, self.strict);
        self.finish(&run, &jobs, &left, &mut listener).await?;
        Ok(signal_code(signals, code))
    }

    /// Carries out a run and follows it meanwhile.
    async fn carry_out(
        &self,
        tenure: &Tenure,
        run: &RunRecord,
        stop: &Stop,
        listener: &mut Listener,
    ) -> Result<(RunRecord, Vec<JobView>), Failure> {
        let app = self.app;
        let ended = CancellationToken::new();
        let execution = async {
            let executed = app.engine.execute(tenure, &run.run_id, stop).await;
            // A run that was left open, or could not be carried out, will never be reported as done.
            if !executed.as_ref().is_ok_and(|run| run.state.is_done()) {
                ended.cancel();
            }
            executed
        };
        let following = ended.run_until_cancelled(follow::follow(app, &run.run_id, self.talk, listener));
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

    /// Continues the runs that a process has left; returns the one that was requested, not yet carried out.
    async fn go_on_with_what_was_left(
        &self,
        tenure: &Tenure,
        new: &NewRun,
        stop: &Stop,
        listener: &mut Listener,
    ) -> Result<Option<RunRecord>, Failure> {
        let app = self.app;
        let filter = RunFilter { open: true, ..RunFilter::default() };
        let open = app.store.runs(&filter).await.map_err(follow::unreachable)?;
        let mut same = None;
        for run in &open {
            let dag = app.store.dag_of(&run.run_id).await.map_err(follow::unreachable)?;
            let is_same = run.logical_date == new.logical_date && run.only == new.only && run.force == new.force;
            if is_same && dag == new.dag {
                same = Some(run.clone());
            }
        }
        for run_id in left_by_others(&open) {
            if stop.drain.is_cancelled() || stop.cancel.is_cancelled() {
                break;
            }
            if same.as_ref().is_none_or(|run| run.run_id != run_id) {
                if self.talk == Talk::Lines {
                    listener.line(&format!("Going on with {run_id}, which was left open"));
                }
                // One that cannot be carried out must not prevent the run that was requested.
                if let Err(failure) = app.engine.execute(tenure, &run_id, stop).await {
                    tracing::error!(run.id = %run_id, "It stays open: {:#}", anyhow::Error::new(failure));
                }
            }
        }
        let waiting =
            open.iter().filter(|run| run.trigger == Trigger::Backfill && run.state == RunState::Queued).count();
        if waiting > 0 && self.talk == Talk::Lines {
            tracing::warn!(
                "Runs of a backfill wait: {waiting}; `nocturne backfill` with the same dates goes on with them, and so does a daemon"
            );
        }
        Ok(same)
    }

    /// Enqueues the run with the daemon and follows it.
    async fn there(&self, new: NewRun, stop: &Stop, signals: &Signals, limit: &Limit) -> Result<ExitCode, Failure> {
        let app = self.app;
        let banner = app.banner(&new.dag, new.logical_date);
        let (run, waits_for) = create(app, new).await?;
        let mut listener = Listener::default();
        if self.talk == Talk::Lines {
            listener.line(&banner);
            if let Some(earlier) = waits_for {
                tracing::warn!("{} begins when {earlier} has ended", run.run_id);
            }
        }
        let followed = tokio::select! {
            followed = follow::follow(app, &run.run_id, self.talk, &mut listener) => followed,
            () = until_nobody_owns(app) => return Err(daemon_is_gone(&run)),
            code = left_or_late(stop, signals, limit) => {
                tracing::warn!(
                    "{0} goes on with the daemon: watch it with `nocturne runs logs {0} --follow`, stop it with `nocturne runs cancel {0}`",
                    run.run_id
                );
                return Ok(code);
            }
        };
        let (run, jobs) = followed?;
        let waiting = app.waiting_mail().await.map_err(follow::unreachable)?;
        let code = follow::exit_code(&run, &jobs, &waiting, self.strict);
        self.finish(&run, &jobs, &Left { waiting, unsettled: Vec::new() }, &mut listener).await?;
        Ok(code)
    }

    async fn finish(
        &self,
        run: &RunRecord,
        jobs: &[JobView],
        left: &Left,
        listener: &mut Listener,
    ) -> Result<(), Failure> {
        if self.talk == Talk::Nothing {
            return listener.json(&left.with_run(run, jobs));
        }
        let app = self.app;
        let mails = app.store.mails_of(&run.dag, run.logical_date).await.map_err(follow::unreachable)?;
        for line in app.closing_lines(run, jobs, &mails, &left.waiting) {
            listener.line(&line);
        }
        if let Some(line) = left.unsettled_line() {
            listener.line(&line);
        }
        Ok(())
    }
}

fn daemon_is_gone(run: &RunRecord) -> Failure {
    let error = anyhow::anyhow!(
        "the daemon that carries {} out is gone, and none has come back; the run stays open: the next `nocturne daemon` or `nocturne run` goes on with it",
        run.run_id
    );
    Failure::new(ExitCode::Unreachable, error)
}

/// Returns the runs that another process has left and that a command continues: not those of a backfill that have not
/// begun, which would delay tonight's run.
fn left_by_others(open: &[RunRecord]) -> Vec<crate::domain::ids::RunId> {
    let is_left = |run: &&RunRecord| run.trigger != Trigger::Backfill || run.state == RunState::Running;
    let open: Vec<RunRecord> = open.iter().filter(is_left).cloned().collect();
    let none = std::collections::BTreeSet::new();
    let any = open.iter().map(|run| (run.run_id.clone(), tick::Beside::Any)).collect();
    tick::to_take_up(tick::Runs { open: &open, taken_up: &none }, &any)
}

/// Does what an owner must do at its end: sends, settles, keeps within the limits, and releases the state store.
pub(super) async fn end_tenure(app: &App, tenure: &Tenure) -> Result<Left, Failure> {
    let waiting = app.send_due_mail().await.map_err(follow::unreachable)?;
    let unsettled = app.settle_all().await.map_err(follow::unreachable)?;
    app.keep_within_limits().await;
    app.store.resign_ownership(tenure).await.map_err(follow::unreachable)?;
    Ok(Left { waiting, unsettled })
}

/// Returns the exit code of the signal that came, if one did.
pub(super) fn signal_code(signals: &Signals, otherwise: ExitCode) -> ExitCode {
    match signals.code() {
        Some(143) => ExitCode::Terminated,
        Some(_) => ExitCode::Interrupted,
        None => otherwise,
    }
}

/// Waits until nothing has owned the state store for a while: a daemon that is restarted comes back sooner.
pub(super) async fn until_nobody_owns(app: &App) {
    let mut absent = 0;
    while absent < ABSENT_LOOKS {
        tokio::time::sleep(OWNER_LOOK).await;
        // The follower of the run reports a store that does not answer.
        match app.owner().await {
            Ok(None) => absent += 1,
            Ok(Some(_)) | Err(_) => absent = 0,
        }
    }
}

/// Makes the run; returns it with the open run of its DAG for which it waits. If the DAG says so, it replaces open
/// runs, or waits for nothing.
async fn create(app: &App, new: NewRun) -> Result<(RunRecord, Option<crate::domain::ids::RunId>), Failure> {
    let filter = RunFilter { open: true, dag: Some(new.dag.name.clone()), ..RunFilter::default() };
    let open = app.store.runs(&filter).await.map_err(follow::unreachable)?;
    let policy = new.dag.schedule.as_ref().map_or_else(Default::default, |schedule| schedule.overlap);
    let now = app.clock.now();
    let mut waits_for = open.iter().rev().find(|run| run.state == RunState::Running).or(open.last());
    if policy == OverlapPolicy::Replace {
        for run in &open {
            let manual = new.asked.manual.as_ref();
            let act = format!("replaced the run {} (`overlap = \"replace\"`)", run.run_id);
            let said = manual.map_or_else(|| act.clone(), |manual| manual.did(&act));
            app.store.request_cancel(&run.run_id, &said, now).await.map_err(follow::unreachable)?;
        }
    }
    if matches!(policy, OverlapPolicy::Replace | OverlapPolicy::Allow) {
        waits_for = None;
    }
    let waits_for = waits_for.map(|run| run.run_id.clone());
    let run = app.store.create_run(new).await.map_err(follow::unreachable)?;
    let run =
        run.ok_or_else(|| Failure::new(ExitCode::Refused, anyhow::anyhow!("there is a run for this slot already")))?;
    Ok((run, waits_for))
}

/// What remains to be done after a run.
pub(super) struct Left {
    /// E-mails that were not handed over.
    pub(super) waiting: Vec<MailRow>,
    /// What is committed and not yet in place.
    pub(super) unsettled: Vec<ToSettle>,
}

impl Left {
    fn with_run(&self, run: &RunRecord, jobs: &[JobView]) -> serde_json::Value {
        let waiting: Vec<_> = self.waiting.iter().map(mails::MailShape::of).collect();
        let unsettled: Vec<_> = self.unsettled.iter().map(|row| &row.target).collect();
        serde_json::json!({ "run": run, "jobs": jobs, "outbox": waiting, "to_settle": unsettled })
    }

    fn unsettled_line(&self) -> Option<String> {
        let row = self.unsettled.first()?;
        let why = row.last_error.as_deref().unwrap_or("no answer");
        let more = match self.unsettled.len() {
            1 => String::new(),
            all => format!(", and {} more", all - 1),
        };
        Some(format!("Committed, and still to be put in place: {}{more}; the next run tries again ({why})", row.target))
    }
}
