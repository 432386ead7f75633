//! `nocturne report send --waiting`: hands over what waits in the outbox now.
//!
//! Only the owner of the state store sends. Without one this command owns it for as long as that takes; with a daemon it
//! makes the e-mails due, which the daemon sees within half a minute, and says what became of them. It continues no run
//! and settles nothing: the next night does.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::{App, Interrupt};
use crate::cli::follow::unreachable;
use crate::cli::launch::{Limit, Site, find_site, signal_code};
use crate::cli::mails::{self, MailShape};
use crate::cli::progress::Talk;
use crate::cli::{ExitCode, Failure, Global, output, values};
use crate::config::Use;
use crate::domain::delivery::{MailId, MailState};
use crate::engine::Stop;
use crate::store::{MailRow, StoreError};

/// How often the state store is read while a daemon sends.
const POLL: Duration = Duration::from_millis(500);

/// How long a daemon may take by default: its outbox looks every 30 s.
const PATIENCE: Duration = Duration::from_secs(120);

/// Hand over the e-mails that wait in the outbox now.
///
/// Exits with 0 when all of them were handed over, with 9 when some still wait or were refused.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The e-mails that wait.
    #[arg(long, required = true)]
    waiting: bool,
    /// How long to wait at most for the daemon, or for another command, to be done; two minutes if not given.
    #[arg(long, value_name = "DURATION", value_parser = values::parse_wait)]
    wait: Option<Duration>,
}

/// What became of the e-mails that waited, as `--json` shows it.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct SentShape {
    sent_by: Sender,
    e_mails: Vec<MailShape>,
}

/// Who hands e-mails over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
enum Sender {
    #[serde(rename = "this command")]
    Here,
    #[serde(rename = "daemon")]
    Daemon,
}

pub(super) async fn run(args: &Args, global: &Global) -> Result<ExitCode, Failure> {
    let app = App::open(&global.config, Use::Acting).await?;
    let before = waiting(&app).await.map_err(unreachable)?;
    if before.is_empty() {
        show(&[], Sender::Here, global)?;
        return Ok(ExitCode::Done);
    }
    let stop = Stop::default();
    let signals = app.listen(&stop, Interrupt::Leaves);
    let limit = Limit::starting_now(Some(args.wait.unwrap_or(PATIENCE)));
    let talk = Talk::of(global);
    let sender = tokio::select! {
        site = find_site(&app, talk, &limit) => match site? {
            Site::Here(tenure) => {
                app.send_waiting(&tenure).await.map_err(unreachable)?;
                Sender::Here
            }
            Site::Daemon => Sender::Daemon,
        },
        () = stop.cancel.cancelled() => return Ok(signal_code(&signals, ExitCode::Interrupted)),
        () = stop.drain.cancelled() => return Ok(signal_code(&signals, ExitCode::Terminated)),
    };
    if sender == Sender::Daemon {
        app.store.mail_hurry(app.clock.now()).await.map_err(unreachable)?;
        if talk == Talk::Lines {
            tracing::warn!("A daemon is running, and hands over within half a minute what waits");
        }
        tokio::select! {
            tried = until_tried(&app, &before) => tried.map_err(unreachable)?,
            () = limit.passes() => {}
            () = stop.cancel.cancelled() => {}
            () = stop.drain.cancelled() => {}
        }
    }
    let after = now_of(&app, &before).await.map_err(unreachable)?;
    show(&after, sender, global)?;
    let is_done = |mail: &MailRow| matches!(mail.state, MailState::Sent | MailState::Replaced);
    let code = if after.iter().all(is_done) { ExitCode::Done } else { ExitCode::Warnings };
    Ok(signal_code(&signals, code))
}

/// Returns the e-mails that wait.
async fn waiting(app: &App) -> Result<Vec<MailRow>, StoreError> {
    let open = app.store.mails_open(app.clock.now()).await?;
    Ok(open.into_iter().filter(|mail| mail.state == MailState::Waiting).collect())
}

/// Waits until each of these e-mails was tried once more, or ended.
async fn until_tried(app: &App, before: &[MailRow]) -> Result<(), StoreError> {
    loop {
        let now = now_of(app, before).await?;
        let is_tried = |mail: &MailRow| {
            let was = before.iter().find(|was| was.id == mail.id);
            mail.state != MailState::Waiting || was.is_some_and(|was| was.tries < mail.tries)
        };
        if now.iter().all(is_tried) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Returns these e-mails as they stand now.
async fn now_of(app: &App, before: &[MailRow]) -> Result<Vec<MailRow>, StoreError> {
    let ids: Vec<&MailId> = before.iter().map(|mail| &mail.id).collect();
    let mut nights: Vec<_> = ids.iter().map(|id| (&id.key.dag, id.key.logical_date)).collect();
    nights.sort();
    nights.dedup();
    let mut now = Vec::with_capacity(before.len());
    for (dag, date) in nights {
        let mails = app.store.mails_of(dag, date).await?;
        now.extend(mails.into_iter().filter(|mail| ids.contains(&&mail.id)));
    }
    Ok(now)
}

fn show(after: &[MailRow], sender: Sender, global: &Global) -> Result<(), Failure> {
    if global.json {
        return output::json(&SentShape { sent_by: sender, e_mails: after.iter().map(MailShape::of).collect() });
    }
    if after.is_empty() {
        return output::line("No e-mail waits.");
    }
    output::table(&mails::HEADER, &[], after.iter().map(mails::cells).collect())?;
    let waiting = after.iter().filter(|mail| mail.state == MailState::Waiting).count();
    if waiting > 0 {
        let those = if waiting == 1 { "One still waits".to_owned() } else { format!("{waiting} still wait") };
        output::line(&format!(
            "{those}: the daemon, the next run or this command tries again; `nocturne doctor` checks the server."
        ))?;
    }
    Ok(())
}
