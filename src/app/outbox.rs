//! Sends e-mails: one loop per process, only in the owner of the state store.
//!
//! Each recipient has a separate envelope, and a few are sent at a time, so that one that is refused or slow does not
//! delay the others. An e-mail is marked as taken in the store before the conversation begins. If this process dies
//! between the server's answer and recording it, the next owner releases the e-mail, and it is sent again with the same
//! Message-ID: the one case in which a reader may get it twice, and mail programs show it once.
//!
//! `domain::delivery` decides whether an e-mail is tried, tried again, given up, or overtaken by a later night's. Of each
//! that is given up the operators are told at once (`undelivered`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::AppError;
use super::channels::Channels;
use super::undelivered::{SHOWN, Undelivered};
use crate::config::{Config, Environment as Variables, Mail, MailTransport, Security};
use crate::domain::clock::Clock;
use crate::domain::delivery::{MailState, NextTry, Turn, next_try, turn};
use crate::report::mail::masked;
use crate::report::transport::{
    EmlFolder, Login, LoginBy, Proxy, ReadSecret, Smtp, SmtpSecurity, SmtpSettings, Transport,
};
use crate::store::{DueMail, MailRow, StateStore, StoreError};

/// How often the outbox is checked without being woken.
const LOOK: Duration = Duration::from_secs(30);

/// How many conversations are held at once.
const AT_ONCE: usize = 4;

/// How long each step of a conversation may take (RFC 5321 4.5.3.2.1 to 3), and how long the answer to the message
/// (4.5.3.2.6).
const STEP: Duration = Duration::from_secs(300);
const REPLY: Duration = Duration::from_secs(600);

/// A conversation that began this long ago is over, whichever process held it: seven steps and the answer.
const LONGEST_CONVERSATION: SignedDuration = SignedDuration::from_mins(45);

/// What the outbox's sender is made with, besides the configuration.
pub(super) struct OutboxParts {
    /// The state store, which holds the e-mails.
    pub(super) store: Arc<dyn StateStore>,
    /// The clock.
    pub(super) clock: Arc<dyn Clock>,
    /// Who takes e-mails.
    pub(super) owner: String,
}

/// The outbox's sender.
pub(super) struct Outbox {
    store: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
    channels: Channels,
    /// The owner under which e-mails are taken.
    owner: String,
    /// Whether an owner of the store knows that its predecessor's conversations are over: it holds a lock that ends
    /// with the process, or a conversation only writes a file.
    predecessor_is_dead: bool,
    wake: Notify,
    /// Tells operators what was given up.
    undelivered: Undelivered,
    /// Whether something was given up of which operators may not know: at first, because an earlier process may have
    /// died before it could tell them.
    has_given_up: AtomicBool,
    /// Held while e-mails are sent, so that nothing else in this process sends them too.
    sending: tokio::sync::Mutex<()>,
}

impl Outbox {
    pub(super) fn new(config: &Config, variables: &Variables, parts: OutboxParts) -> Result<Self, AppError> {
        let OutboxParts { store, clock, owner } = parts;
        let predecessor_is_dead =
            config.mail.transport == MailTransport::Eml || config.state.url.starts_with("sqlite:");
        let channels = Channels::new(transport(config, variables)?, config, variables);
        Ok(Self {
            store,
            clock,
            channels,
            owner,
            predecessor_is_dead,
            wake: Notify::new(),
            undelivered: Undelivered::new(config)?,
            has_given_up: AtomicBool::new(true),
            sending: tokio::sync::Mutex::new(()),
        })
    }

    /// Makes the loop check at once.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Releases what an earlier owner had taken for sending. A new owner must call this before it sends.
    pub(super) async fn take_over(&self) {
        let now = self.clock.now();
        let before = if self.predecessor_is_dead { Some(now) } else { now.checked_sub(LONGEST_CONVERSATION).ok() };
        match self.store.mail_release(before.unwrap_or(Timestamp::MIN)).await {
            Ok(0) => {}
            Ok(n) => {
                warn!(
                    "{n} e-mails were being sent when an earlier process ended; they go again by the same Message-ID"
                );
            }
            Err(error) => error!("{:#}", anyhow::Error::new(error)),
        }
    }

    /// Sends what is due, repeatedly, until it is cancelled.
    pub(super) async fn run(&self, cancel: &CancellationToken) {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let next = async {
                tokio::select! {
                    _ = tick.tick() => {}
                    () = self.wake.notified() => {}
                }
            };
            if cancel.run_until_cancelled(next).await.is_none() {
                return;
            }
            if !self.predecessor_is_dead {
                self.take_over().await;
            }
            // A conversation under way finishes first: if cut off, it might still have been accepted.
            self.send_due().await;
        }
    }

    /// Sends the e-mails that are due; one that is refused stays with the reason and its next try, or is given up.
    pub(super) async fn send_due(&self) {
        let _sending = self.sending.lock().await;
        self.send_once().await;
        if self.has_given_up.swap(false, Ordering::Relaxed) {
            match self.undelivered.tell(&*self.store, self.clock.now()).await {
                Ok(0) => {}
                Ok(_) => self.send_once().await,
                Err(error) => {
                    error!("The operators could not be told of undelivered e-mails: {error:#}");
                    self.has_given_up.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    async fn send_once(&self) {
        match self.store.mail_due(self.clock.now()).await {
            Ok(due) => futures::stream::iter(due).for_each_concurrent(AT_ONCE, |mail| self.send(mail)).await,
            Err(error) => error!("{:#}", anyhow::Error::new(error)),
        }
    }

    async fn send(&self, mail: DueMail) {
        let id = mail.outgoing.message_id.clone();
        if let Err(error) = self.try_once(mail).await {
            error!(mail.id = %id, "{:#}", anyhow::Error::new(error));
        }
    }

    async fn try_once(&self, mail: DueMail) -> Result<(), StoreError> {
        let DueMail { id, outgoing, since, tries, word, newer } = mail;
        let now = self.clock.now();
        if !self.store.mail_begin(&id, &self.owner, now).await? {
            return Ok(());
        }
        let (message_id, to) = (&outgoing.message_id, masked(&outgoing.to));
        match turn(word, newer, since, now) {
            Turn::Try => {}
            Turn::GiveUp => {
                let why = "it waited for two days, and later nights have their own";
                warn!(mail.id = %message_id, mail.to = %to, "Gave up an e-mail: {why}");
                self.has_given_up.store(true, Ordering::Relaxed);
                return self.store.mail_ended(&id, MailState::GivenUp, why, now).await;
            }
            Turn::Overtaken(date) => {
                let why = format!("the e-mail of {date} says how things stand now");
                warn!(mail.id = %message_id, mail.to = %to, "Does not send an e-mail that waited: {why}");
                return self.store.mail_ended(&id, MailState::Replaced, &why, now).await;
            }
        }
        match self.channels.send(&outgoing, now).await {
            Ok(_) => self.store.mail_sent(&id, self.clock.now()).await,
            Err(error) => {
                let now = self.clock.now();
                let next = next_try(tries + 1, error.refusal(), since, now);
                let why = format!("{:#}", anyhow::Error::new(error));
                match next {
                    NextTry::At(at) => warn!(mail.id = %message_id, mail.to = %to, "An e-mail waits until {at}: {why}"),
                    NextTry::GiveUp => {
                        error!(mail.id = %message_id, mail.to = %to, "Gave up an e-mail: {why}");
                        self.has_given_up.store(true, Ordering::Relaxed);
                    }
                }
                self.store.mail_failed(&id, &why, next, now).await
            }
        }
    }

    /// Returns the e-mails that were tried and are waiting, and those recently given up and not made up for.
    pub(super) async fn unsent(&self) -> Result<Vec<MailRow>, StoreError> {
        let since = self.clock.now().checked_sub(SHOWN).unwrap_or(Timestamp::MIN);
        let open = self.store.mails_open(since).await?;
        let is_unsent = |mail: &MailRow| match mail.state {
            MailState::Waiting => mail.tries > 0,
            MailState::GivenUp => true,
            MailState::Expected | MailState::Sent | MailState::Replaced => false,
        };
        Ok(open.into_iter().filter(is_unsent).collect())
    }
}

/// Returns the transport that the configuration asks for.
pub(super) fn transport(config: &Config, variables: &Variables) -> Result<Transport, AppError> {
    if config.mail.transport == MailTransport::Eml {
        return Ok(Transport::EmlFolder(EmlFolder::new(&config.mail.folder)));
    }
    let smtp = Smtp::new(smtp_settings(config, variables)?);
    Ok(Transport::Smtp(Box::new(smtp.map_err(|error| AppError::Mail(error.into()))?)))
}

/// Returns how the configured SMTP server is reached.
pub(super) fn smtp_settings(config: &Config, variables: &Variables) -> Result<SmtpSettings, AppError> {
    let mail = &config.mail;
    let login = mail.user.as_ref().and_then(|user| login(mail, user, variables));
    if let Some(reference) = &mail.password {
        // What is missing is said at once, and not when the night is over. A token may be written later.
        reference.resolve(variables)?;
    }
    let security = match mail.security {
        Security::Starttls => SmtpSecurity::StartTls,
        Security::Tls => SmtpSecurity::Tls,
    };
    let proxy = mail.proxy.as_ref().map(|url| {
        let wrong =
            || AppError::Mail(anyhow::anyhow!("`mail.proxy` is not `http://HOST:PORT` or `socks5://HOST:PORT`"));
        Proxy::parse(url).ok_or_else(wrong)
    });
    let proxy = proxy.transpose()?;
    let standard_port = if mail.security == Security::Tls { 465 } else { 587 };
    Ok(SmtpSettings {
        host: mail.host.clone().unwrap_or_default(),
        port: mail.port.unwrap_or(standard_port),
        security,
        login,
        ca_file: mail.ca_file.clone(),
        proxy,
        timeout: STEP,
        reply_timeout: REPLY,
        hello_name: mail.hello_name.clone(),
    })
}

/// Returns how `user` logs in, if the configuration says by what.
fn login(mail: &Mail, user: &str, variables: &Variables) -> Option<Login> {
    let (by, reference) = match (&mail.oauth_token, &mail.password) {
        (Some(token), _) => (LoginBy::Token, token.clone()),
        (None, Some(password)) => (LoginBy::Password, password.clone()),
        (None, None) => return None,
    };
    let variables = variables.clone();
    Some(Login { user: user.to_owned(), by, secret: ReadSecret::by(move || reference.resolve(&variables)) })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::Layers;

    fn settings(mail: &str) -> SmtpSettings {
        let text = format!("[mail]\ntransport = 'smtp'\nhost = 'mail.example.edu'\n{mail}");
        let config = Layers::from_texts(vec![(PathBuf::from("site.toml"), text)], Variables::new()).config().unwrap();
        let variables = [("PASSWORD".to_owned(), "open sesame".to_owned())];
        smtp_settings(&config, &variables.into()).unwrap()
    }

    #[test]
    fn a_server_has_the_time_that_rfc_5321_gives_it() {
        let settings = settings("");

        assert_eq!((settings.timeout.as_secs(), settings.reply_timeout.as_secs()), (300, 600));
        let steps = 7 * settings.timeout + settings.reply_timeout;
        assert!(steps <= LONGEST_CONVERSATION.unsigned_abs(), "a conversation under way is not taken for a dead one");
    }

    #[test]
    fn a_token_that_is_not_there_yet_keeps_nothing_from_starting() {
        let by = |mail: &str| settings(mail).login.map(|login| login.by);

        assert_eq!(by(""), None);
        assert_eq!(by("user = 'night'\npassword = 'env:PASSWORD'\n"), Some(LoginBy::Password));
        assert_eq!(by("user = 'night'\noauth_token = 'file:/nowhere/token'\n"), Some(LoginBy::Token));
    }
}
