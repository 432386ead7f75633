//! E-mail: the server greets, upgrades to TLS and accepts the login, without an e-mail; or the folder is writable.

use std::path::Path;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rustix::fs::{Access, access};

use super::checked::{Checked, Subject};
use super::site::{Site, nearest};
use crate::app::AppError;
use crate::app::outbox::smtp_settings;
use crate::config::MailTransport;
use crate::report::transport::Smtp;
use crate::telemetry::{chain, spawn_blocking};

pub(super) const THIS: Subject = Subject("e-mail");

/// How long each step of the conversation may take. A night waits longer.
const STEP: Duration = Duration::from_secs(8);

/// Checks how e-mail is sent.
pub(super) fn check(site: &Site) -> BoxFuture<'_, Vec<Checked>> {
    async move {
        vec![match site.config.mail.transport {
            MailTransport::Eml => {
                let path = site.config.mail.folder.clone();
                spawn_blocking(move || folder(&path)).await
            }
            MailTransport::Smtp => server(site).await,
        }]
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
