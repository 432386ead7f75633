//! What follows a commit: the lake's pointers, files under their names, folder pages, and e-mail.
//!
//! All of it is derived from what is committed, and may be done again at any time: a crash between a commit and its
//! pointers is repaired at the next start. What cannot be done now is logged and stays to be done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use tracing::{error, info, warn};

use super::AppError;
use crate::config::{Config, Environment as Variables, MailTransport, Security};
use crate::domain::clock::Clock;
use crate::domain::outcome::Outcome;
use crate::engine::AfterCommit;
use crate::lake::{Lake, LakeError, keys};
use crate::report::Renderer;
use crate::report::transport::{EmlFolder, Smtp, SmtpSecurity, SmtpSettings, Transport};
use crate::report::view::{FolderEntry, FolderView};
use crate::store::StateStore;

/// Does what follows a commit.
pub(super) struct Settle {
    lake: Lake,
    store: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
    transport: Transport,
    renderer: Renderer,
    /// Held while e-mails are sent, so that nobody else in this process sends them too.
    sending: tokio::sync::Mutex<()>,
}

/// What a repair found in the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// What is current, as far as could be seen.
    Snapshots,
    /// Less than what is current.
    LostSnapshots,
}

/// How long an e-mail that was refused waits for its second try; each further wait is twice the one before, to 5 hours.
const MAIL_WAIT: SignedDuration = SignedDuration::from_mins(10);
const MAIL_WAIT_DOUBLINGS: u32 = 5;

impl Settle {
    pub(super) fn new(
        config: &Config,
        variables: &Variables,
        lake: Lake,
        store: Arc<dyn StateStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AppError> {
        let renderer = Renderer::new().map_err(|error| AppError::Mail(error.into()))?;
        let (transport, sending) = (transport(config, variables)?, tokio::sync::Mutex::new(()));
        Ok(Self { lake, store, clock, transport, renderer, sending })
    }

    /// Brings every committed snapshot's pointers in line. A lake that has lost a snapshot is told of once: whatever
    /// else is missing has the same cause and the same remedy.
    pub(super) async fn repair(&self) -> Found {
        match self.store.snapshots().await {
            Ok(snapshots) => {
                for snapshot in snapshots.values() {
                    if let Err(error) = self.lake.settle(snapshot).await {
                        let is_lost = matches!(error, LakeError::Lost { .. });
                        error!(dataset = %snapshot.dataset, "{:#}", anyhow::Error::new(error));
                        if is_lost {
                            return Found::LostSnapshots;
                        }
                    }
                }
            }
            Err(error) => error!("{:#}", anyhow::Error::new(error)),
        }
        Found::Snapshots
    }

    /// Sends the e-mails that are due; one that is refused stays in the outbox with the reason and its next try.
    pub(super) async fn send_due_mail(&self) {
        let _sending = self.sending.lock().await;
        let due = match self.store.outbox_due(self.clock.now()).await {
            Ok(due) => due,
            Err(error) => {
                error!("{:#}", anyhow::Error::new(error));
                return;
            }
        };
        for waiting in due {
            let id = &waiting.mail.message_id;
            let noted = match self.transport.send(&waiting.mail).await {
                Ok(_) => {
                    info!(message_id = %id, "Sent an e-mail");
                    self.store.outbox_sent(id, self.clock.now()).await
                }
                Err(error) => {
                    let why = format!("{:#}", anyhow::Error::new(error));
                    warn!(message_id = %id, "An e-mail stays in the outbox: {why}");
                    let wait = MAIL_WAIT * (1 << waiting.tries.min(MAIL_WAIT_DOUBLINGS));
                    let next = self.clock.now().checked_add(wait).unwrap_or(self.clock.now());
                    self.store.outbox_failed(id, &why, next).await
                }
            };
            if let Err(error) = noted {
                error!(message_id = %id, "{:#}", anyhow::Error::new(error));
            }
        }
    }

    pub(super) async fn files(&self, outcome: &Outcome) {
        let mut folders = BTreeSet::new();
        for file in &outcome.files {
            if let Err(error) = self.lake.put_in_place(file).await {
                error!(key = %file.key, "{:#}", anyhow::Error::new(error));
                continue;
            }
            let mut folder = file.key.as_str();
            while let Some((above, _)) = folder.rsplit_once('/') {
                folders.insert(above.to_owned());
                folder = above;
            }
        }
        for folder in folders.iter().filter(|folder| folder.starts_with(keys::PUBLISHED)) {
            self.folder_page(folder, outcome).await;
        }
    }

    /// Writes a published folder's page, unless the folder has a page of its own.
    async fn folder_page(&self, folder: &str, outcome: &Outcome) {
        let page = keys::folder_index(folder);
        if outcome.files.iter().any(|file| file.key == page) {
            return;
        }
        let written = async {
            let entries = self.lake.ls(folder).await?;
            if folder.matches('/').count() >= 3 {
                return Ok(());
            }
            let entries = entries
                .into_iter()
                .filter(|entry| entry.name != "index.html")
                .map(|entry| FolderEntry {
                    size_bytes: (!entry.name.ends_with('/')).then_some(entry.size_bytes),
                    about: String::new(),
                    name: entry.name,
                })
                .collect();
            let view = FolderView { path: folder.to_owned(), about: String::new(), entries };
            let html = self.renderer.folder_index(&view)?;
            self.lake.put_pointer(&keys::browsed(&page)?, html.into()).await?;
            Ok::<_, anyhow::Error>(())
        };
        if let Err(error) = written.await {
            error!(key = %page, "{error:#}");
        }
    }
}

#[async_trait]
impl AfterCommit for Settle {
    async fn settle(&self, outcome: &Outcome) {
        for snapshot in &outcome.snapshots {
            if let Err(error) = self.lake.settle(snapshot).await {
                error!(dataset = %snapshot.dataset, "{:#}", anyhow::Error::new(error));
            }
        }
        self.files(outcome).await;
        if !outcome.mails.is_empty() {
            self.send_due_mail().await;
        }
    }
}

fn transport(config: &Config, variables: &Variables) -> Result<Transport, AppError> {
    let mail = &config.mail;
    if mail.transport == MailTransport::Eml {
        return Ok(Transport::EmlFolder(EmlFolder::new(&mail.folder)));
    }
    let password = mail.password.as_ref().map(|reference| reference.resolve(variables)).transpose()?;
    let security = match mail.security {
        Security::Starttls => SmtpSecurity::StartTls,
        Security::Tls => SmtpSecurity::Tls,
    };
    let standard_port = if mail.security == Security::Tls { 465 } else { 587 };
    let smtp = Smtp::new(SmtpSettings {
        host: mail.host.clone().unwrap_or_default(),
        port: mail.port.unwrap_or(standard_port),
        security,
        login: mail.user.clone().zip(password),
        ca_file: mail.ca_file.clone(),
        timeout: Duration::from_secs(30),
        hello_name: "nocturne".to_owned(),
    });
    Ok(Transport::Smtp(Box::new(smtp.map_err(|error| AppError::Mail(error.into()))?)))
}
