//! Sending: the outbox's bytes go to a folder of `.eml` files or to an SMTP server, unchanged.
//!
//! TLS is required or the connection is to this machine itself; it is never tried and given up silently. An
//! error names host, port and stage and says whether another try may help; neither errors nor logs hold an
//! address that was not masked. It does not decide when to send or to try again: the outbox does.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::address::{Address, Envelope};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncWriteExt;
use tracing::{debug, info};

use super::browser_page::browser_page;
use super::mail::masked;
use crate::domain::outcome::MailRecord;

/// Where e-mails go.
#[derive(Debug)]
pub enum Transport {
    /// Into a folder, as `.eml` files; nothing leaves the machine.
    EmlFolder(EmlFolder),
    /// To an SMTP server.
    Smtp(Box<Smtp>),
}

/// What the receiving side said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The server's words, or the path of the file.
    pub words: String,
}

/// A folder of `.eml` files, each with its page for a browser beside it.
#[derive(Debug, Clone)]
pub struct EmlFolder {
    folder: PathBuf,
}

/// How to reach an SMTP server.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// The server's name; its certificate must be for it.
    pub host: String,
    /// Its port: 587 for STARTTLS, 465 for TLS.
    pub port: u16,
    /// How the connection is kept private.
    pub security: SmtpSecurity,
    /// User and password, where the server asks for them.
    pub login: Option<(String, SecretString)>,
    /// A PEM file with the authority that signed the server's certificate, beside the well-known ones.
    pub ca_file: Option<PathBuf>,
    /// How long each stage of a conversation may take.
    pub timeout: Duration,
    /// The name by which we greet; usually this machine's.
    pub hello_name: String,
}

/// How a connection to an SMTP server is kept private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SmtpSecurity {
    /// It begins in the clear and must be upgraded before anything is said.
    StartTls,
    /// It is TLS from the first byte.
    Tls,
    /// In the clear, which is allowed to this machine only: a local relay.
    PlainToThisMachine,
}

/// An SMTP server.
pub struct Smtp {
    settings: SmtpSettings,
    tls: TlsParameters,
    hello: ClientId,
}

/// A stage of an SMTP conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Reaching the server, its greeting, and TLS where it comes first.
    Connect,
    /// Upgrading to TLS.
    StartTls,
    /// User and password.
    LogIn,
    /// Sender, recipients and the message.
    Send,
}

/// An e-mail that was not sent.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The folder or a file in it could not be written.
    #[error("writing the e-mail to `{}`; check that the folder exists and may be written", .path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The certificate file could not be used.
    #[error("reading the certificate file `{}`: {why}; it must hold one certificate in PEM form", .path.display())]
    Certificate {
        /// The path.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The connection would not be private.
    #[error(
        "the SMTP server `{host}` is not this machine, so it must be reached by `starttls` or `tls`, not in the clear"
    )]
    NotPrivate {
        /// The server.
        host: String,
    },
    /// The record names an address that is none.
    #[error(
        "the e-mail `{message_id}` names an address that is not one: correct `mail.to`, `mail.from` and `mail.reply_to`"
    )]
    Envelope {
        /// The e-mail.
        message_id: String,
    },
    /// The server could not be reached, or said no.
    #[error("{} at the SMTP server {host}:{port}: {reply}; {}", .stage.words(), .stage.advice())]
    Smtp {
        /// The server.
        host: String,
        /// Its port.
        port: u16,
        /// How far the conversation came.
        stage: Stage,
        /// Whether another try may help.
        is_transient: bool,
        /// What went wrong, in the server's words where it said something; addresses are masked.
        reply: String,
    },
}

impl TransportError {
    /// Returns whether another try may help.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Smtp { is_transient, .. } => *is_transient,
            Self::Write { .. } => true,
            Self::Certificate { .. } | Self::NotPrivate { .. } | Self::Envelope { .. } => false,
        }
    }
}

impl Transport {
    /// Sends `mail`. Sending the same e-mail to a folder twice leaves one file.
    ///
    /// # Errors
    /// When it was not, or not surely, accepted.
    pub async fn send(&self, mail: &MailRecord) -> Result<Receipt, TransportError> {
        let receipt = match self {
            Self::EmlFolder(folder) => folder.send(mail).await?,
            Self::Smtp(smtp) => smtp.send(mail).await?,
        };
        let to = mail.to.iter().map(|address| masked(address)).collect::<Vec<_>>().join(", ");
        info!(mail.id = %mail.message_id, mail.to = %to, "Sent the e-mail `{}`", mail.message_id);
        Ok(receipt)
    }
}

impl EmlFolder {
    /// Returns the folder at that path; it is made when the first e-mail is written.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    async fn send(&self, mail: &MailRecord) -> Result<Receipt, TransportError> {
        let write = |path: &Path, source| TransportError::Write { path: path.to_owned(), source };
        tokio::fs::create_dir_all(&self.folder).await.map_err(|source| write(&self.folder, source))?;
        if let Some(page) = browser_page(&mail.message) {
            self.write_aside(&format!("{}.html", template_of(&mail.message_id)), page.as_bytes()).await?;
        }
        let path = self.write_aside(&format!("{}.eml", file_stem(&mail.message_id)), mail.message.as_bytes()).await?;
        Ok(Receipt { words: path.display().to_string() })
    }

    /// Writes the bytes under another name, then renames: a reader never sees half a file.
    async fn write_aside(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, TransportError> {
        let (path, aside) = (self.folder.join(name), self.folder.join(format!(".{name}.part")));
        let written = async {
            let mut file = tokio::fs::File::create(&aside).await?;
            file.write_all(bytes).await?;
            file.sync_all().await?;
            tokio::fs::rename(&aside, &path).await
        };
        written.await.map_err(|source| TransportError::Write { path: path.clone(), source })?;
        Ok(path)
    }
}

impl Smtp {
    /// Returns the server of those settings; it is not spoken to yet.
    ///
    /// # Errors
    /// When the certificate file cannot be read, or the connection would not be private.
    pub fn new(settings: SmtpSettings) -> Result<Self, TransportError> {
        if settings.security == SmtpSecurity::PlainToThisMachine && !is_this_machine(&settings.host) {
            return Err(TransportError::NotPrivate { host: settings.host });
        }
        let mut tls = TlsParameters::builder(settings.host.clone());
        let refused = |path: &Path, why: String| TransportError::Certificate { path: path.to_owned(), why };
        if let Some(path) = &settings.ca_file {
            let pem = std::fs::read(path).map_err(|error| refused(path, error.to_string()))?;
            let certificate = Certificate::from_pem(&pem).map_err(|error| refused(path, error.to_string()))?;
            tls = tls.add_root_certificate(certificate);
        }
        let ca_file = settings.ca_file.clone().unwrap_or_default();
        let tls = tls.build().map_err(|error| refused(&ca_file, error.to_string()))?;
        Ok(Self { tls, hello: ClientId::Domain(settings.hello_name.clone()), settings })
    }

    /// Reaches the server, upgrades and logs in, and sends nothing.
    ///
    /// # Errors
    /// When one of these fails.
    pub async fn check(&self) -> Result<(), TransportError> {
        let connection = self.open(&[]).await?;
        self.close(connection).await;
        Ok(())
    }

    async fn send(&self, mail: &MailRecord) -> Result<Receipt, TransportError> {
        let envelope = envelope(mail)?;
        let mut connection = self.open(&mail.to).await?;
        // The protocol ends a message with a line break of its own.
        let message = mail.message.strip_suffix("\r\n").unwrap_or(&mail.message);
        let sending = connection.send(&envelope, message.as_bytes());
        let response = self.stage(Stage::Send, &mail.to, sending).await?;
        self.close(connection).await;
        Ok(Receipt { words: hide(&response.message().collect::<Vec<_>>().join(" "), &mail.to) })
    }

    async fn open(&self, recipients: &[String]) -> Result<AsyncSmtpConnection, TransportError> {
        let SmtpSettings { host, port, security, timeout, .. } = &self.settings;
        let first_tls = (*security == SmtpSecurity::Tls).then(|| self.tls.clone());
        let connecting =
            AsyncSmtpConnection::connect_tokio1((host.as_str(), *port), Some(*timeout), &self.hello, first_tls, None);
        let mut connection = self.stage(Stage::Connect, recipients, connecting).await?;
        if *security == SmtpSecurity::StartTls {
            let upgrading = connection.starttls(self.tls.clone(), &self.hello);
            self.stage(Stage::StartTls, recipients, upgrading).await?;
        }
        if let Some((user, password)) = &self.settings.login {
            let credentials = Credentials::new(user.clone(), password.expose_secret().to_owned());
            let logging_in = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials);
            self.stage(Stage::LogIn, recipients, logging_in).await?;
        }
        Ok(connection)
    }

    /// Says goodbye. The message is accepted by now, so a failure here changes nothing.
    async fn close(&self, mut connection: AsyncSmtpConnection) {
        if tokio::time::timeout(self.settings.timeout, connection.quit()).await.is_err() {
            debug!(smtp.host = %self.settings.host, "The SMTP server did not say goodbye");
        }
    }

    async fn stage<T>(
        &self,
        stage: Stage,
        recipients: &[String],
        work: impl Future<Output = Result<T, SmtpError>>,
    ) -> Result<T, TransportError> {
        let failed = |is_transient, reply| TransportError::Smtp {
            host: self.settings.host.clone(),
            port: self.settings.port,
            stage,
            is_transient,
            reply,
        };
        match tokio::time::timeout(self.settings.timeout, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(failed(may_pass(&error), hide(&error.to_string(), recipients))),
            Err(_) => Err(failed(true, format!("no answer within {} s", self.settings.timeout.as_secs_f64()))),
        }
    }
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Stage {
    const fn words(self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::StartTls => "upgrading to TLS",
            Self::LogIn => "logging in",
            Self::Send => "handing over the e-mail",
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::Connect => "check host and port, and that this machine may reach them",
            Self::StartTls => "check that the server offers STARTTLS on this port and that its certificate is trusted",
            Self::LogIn => "check user and password",
            Self::Send => "check that the server accepts this sender and these recipients",
        }
    }
}

fn envelope(mail: &MailRecord) -> Result<Envelope, TransportError> {
    let parse = |text: &String| text.parse::<Address>();
    let refused = || TransportError::Envelope { message_id: mail.message_id.clone() };
    let from = parse(&mail.from).map_err(|_| refused())?;
    let to = mail.to.iter().map(parse).collect::<Result<Vec<_>, _>>().map_err(|_| refused())?;
    Envelope::new(Some(from), to).map_err(|_| refused())
}

/// Says whether another try may help: not after a refusal (5xx), a missing ability or a certificate that is not trusted.
fn may_pass(error: &SmtpError) -> bool {
    !(error.is_permanent() || error.is_client() || error.is_tls() || is_about_certificate(error))
}

fn is_about_certificate(error: &SmtpError) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return true;
        }
        // An `io::Error` hides the error it wraps from `source`.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}

/// Returns `text` on one line, with every recipient in it masked.
fn hide(text: &str, recipients: &[String]) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for recipient in recipients {
        text = text.replace(recipient.as_str(), &masked(recipient));
    }
    text
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Returns the template's name in a Message-ID of ours, `<dag>.<date>.<template>.<hash>@<domain>`.
fn template_of(message_id: &str) -> String {
    let name = message_id.split('.').nth(2).unwrap_or("mail");
    file_stem(name)
}

/// Returns the part of a Message-ID before the `@`, with only what is safe in a file's name.
fn file_stem(message_id: &str) -> String {
    let local = message_id.split_once('@').map_or(message_id, |(local, _)| local);
    local.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}
