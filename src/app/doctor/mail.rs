//! E-mail: the server greets, upgrades to TLS and accepts the login, without an e-mail; or the folder is writable. And who
//! has no e-mail: what waits in the outbox, and what was given up.

use std::path::Path;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use rustix::fs::{Access, access};

use super::checked::{Checked, Subject};
use super::site::{Site, nearest};
use crate::app::AppError;
use crate::app::outbox::smtp_settings;
use crate::app::undelivered::SHOWN;
use crate::config::MailTransport;
use crate::domain::delivery::MailState;
use crate::report::mail::masked;
use crate::report::transport::Smtp;
use crate::store::{self, MailRow};
use crate::telemetry::{chain, spawn_blocking};

pub(super) const THIS: Subject = Subject("e-mail");

/// How long each step of the conversation may take. A night waits longer.
const STEP: Duration = Duration::from_secs(8);

/// Checks how e-mail is sent.
pub(super) fn check(site: &Site) -> BoxFuture<'_, Vec<Checked>> {
    async move {
        let way = match site.config.mail.transport {
            MailTransport::Eml => {
                let path = site.config.mail.folder.clone();
                spawn_blocking(move || folder(&path)).await
            }
            MailTransport::Smtp => server(site).await,
        };
        let mut checks = vec![way];
        checks.extend(outbox(site).await);
        checks
    }
    .boxed()
}

/// Returns the configured server, with short timeouts.
pub(super) fn smtp(site: &Site) -> Result<Smtp, AppError> {
    let mut settings = smtp_settings(&site.config, &site.variables)?;
    settings.timeout = STEP;
    Smtp::new(settings).map_err(|error| AppError::Mail(error.into()))
}

fn folder(folder: &Path) -> Checked {
    let there = nearest(folder);
    if access(&there, Access::WRITE_OK).is_ok() {
        return THIS.ok("folder", format!("e-mails are written to {}; nothing leaves the machine", folder.display()));
    }
    let found =
        format!("e-mails are to be written to {}, and {} may not be written", folder.display(), there.display());
    THIS.fail("folder", found, "give the folder to the user that runs nocturne, or correct `mail.folder`")
}

/// Checks the outbox; nothing if there is no state store yet, or if it cannot be read, which its own check reports.
async fn outbox(site: &Site) -> Option<Checked> {
    site.health().await.as_ref().ok()?.as_ref().filter(|health| health.schema == health.known)?;
    let store = store::look(&site.config.state.url).await.ok()?;
    let since = site.clock.now().checked_sub(SHOWN).unwrap_or(Timestamp::MIN);
    Some(undelivered(&store.mails_open(since).await.ok()?))
}

/// Returns the result for what is in the outbox.
fn undelivered(open: &[MailRow]) -> Checked {
    let of = |state: MailState| open.iter().filter(move |mail| mail.state == state);
    let line = |mail: &MailRow| {
        let key = &mail.id.key;
        let why = mail.last_error.as_deref().unwrap_or("it was not tried yet");
        let to = masked(&mail.recipient.address);
        format!("{} {} {}, {} to {to}: {why}", key.dag, key.logical_date, key.audience, mail.state.as_str())
    };
    let details = || of(MailState::GivenUp).chain(of(MailState::Waiting)).map(line).collect();
    let (given_up, waiting) = (of(MailState::GivenUp).count(), of(MailState::Waiting).count());
    if given_up > 0 {
        let found = format!("{given_up} e-mails of the last seven days were refused or given up; {waiting} wait");
        let advice = "correct each address or take it out: it stands in `mail.to`, `mail.readers` or `to` of the job; then \
                      `nocturne run DAG --date DATE --job JOB --force` sends that night's e-mail to those who have none";
        return THIS.warn("outbox", found, advice).with_details(details());
    }
    if of(MailState::Waiting).any(|mail| mail.tries > 0) {
        let found = format!("{waiting} e-mails wait in the outbox");
        let advice = "they are tried for two days; `nocturne report send --waiting` hands them over now";
        return THIS.warn("outbox", found, advice).with_details(details());
    }
    THIS.ok("outbox", "nothing was refused, and nothing waits for another try")
}

async fn server(site: &Site) -> Checked {
    let advice = "until it is put right, e-mails wait in the outbox and are tried again";
    let smtp = match smtp(site) {
        Ok(smtp) => smtp,
        Err(error) => return THIS.fail("server", format!("{:#}", anyhow::Error::new(error)), advice),
    };
    match smtp.check().await {
        Ok(()) => {
            let login = if site.config.mail.user.is_some() {
                ", upgrades to TLS and accepts the login"
            } else {
                " and upgrades to TLS"
            };
            THIS.ok("server", format!("{} greets{login}", site.config.mail.host.as_deref().unwrap_or_default()))
        }
        Err(error) => THIS.fail("server", chain(&error), advice),
    }
}
