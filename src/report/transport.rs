//! Sending: the outbox's bytes go to a folder of `.eml` files or to an SMTP server, unchanged.
//!
//! TLS is required or the connection is to this machine itself; it is never tried and given up silently. An
//! error names host, port and stage and says whether another try may help; neither errors nor logs hold an
//! address that was not masked. It does not decide when to send or to try again: the outbox does.

mod certificate;

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::address::Address;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncWriteExt;
use tracing::{debug, info};

use super::browser_page::browser_page;
use super::mail::masked;
use crate::domain::delivery::Refusal;
use crate::store::Outgoing;

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
    /// How long each step of a conversation may take, up to the message's last line.
    pub timeout: Duration,
    /// How long the answer to the message may take: while a server scans it, it has it and has not said so.
    pub reply_timeout: Duration,
    /// The name by which we greet; without it this machine's, if it has a domain, else its address.
    pub hello_name: Option<String>,
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
    /// The sender.
    Sender,
    /// Recipient and message.
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
        "the e-mail `{message_id}` names an address that is not one; correct `mail.to`, `mail.from` or `to` of the job"
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

    /// Returns how the outbox takes it. Only what the server said of this recipient or message, or an address that is
    /// none, is final: a login, a sender or a certificate that is refused is put right by a person, and then all
    /// e-mails must go.
    pub const fn refusal(&self) -> Refusal {
        match self {
            Self::Smtp { stage: Stage::Send, is_transient: false, .. } | Self::Envelope { .. } => Refusal::Permanent,
            _ => Refusal::Transient,
        }
    }
}

impl Transport {
    /// Sends `mail`. Sending the same e-mail to a folder twice leaves one file.
    ///
    /// # Errors
    /// When it was not, or not surely, accepted.
    pub async fn send(&self, mail: &Outgoing) -> Result<Receipt, TransportError> {
        let receipt = match self {
            Self::EmlFolder(folder) => folder.send(mail).await?,
            Self::Smtp(smtp) => smtp.send(mail).await?,
        };
        info!(mail.id = %mail.message_id, mail.to = %masked(&mail.to), "Sent the e-mail `{}`", mail.message_id);
        Ok(receipt)
    }
}

impl EmlFolder {
    /// Returns the folder at that path; it is made when the first e-mail is written.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    async fn send(&self, mail: &Outgoing) -> Result<Receipt, TransportError> {
        let write = |path: &Path, source| TransportError::Write { path: path.to_owned(), source };
        tokio::fs::create_dir_all(&self.folder).await.map_err(|source| write(&self.folder, source))?;
        if let Some(page) = browser_page(&mail.message) {
            self.write_aside(&mail.message_id, &page_name(&mail.message_id), page.as_bytes()).await?;
        }
        let path = self
            .write_aside(&mail.message_id, &format!("{}.eml", file_stem(&mail.message_id)), mail.message.as_bytes())
            .await?;
        Ok(Receipt { words: path.display().to_string() })
    }

    /// Writes the bytes under another name, then renames: a reader never sees half a file.
    async fn write_aside(&self, message_id: &str, name: &str, bytes: &[u8]) -> Result<PathBuf, TransportError> {
        // Several e-mails may be written at once, and the page of one is that of the others.
        let (path, aside) =
            (self.folder.join(name), self.folder.join(format!(".{}.{name}.part", file_stem(message_id))));
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
        Ok(Self { tls, settings })
    }

    /// Reaches the server, upgrades and logs in, and sends nothing: to check the settings.
    ///
    /// # Errors
    /// When one of these fails.
    pub async fn check(&self) -> Result<(), TransportError> {
        let connection = self.open(&[]).await?;
        self.close(connection).await;
        Ok(())
    }

    async fn send(&self, mail: &Outgoing) -> Result<Receipt, TransportError> {
        let (from, to) = envelope(mail)?;
        let recipient = std::slice::from_ref(&mail.to);
        let mut connection = self.open(recipient).await?;
        let sent = self.hand_over(&mut connection, mail, from, to).await;
        self.close(connection).await;
        Ok(Receipt { words: hide(&sent?, recipient) })
    }

    /// Says sender, recipient and message, each within its time, and returns what the server answered to the message.
    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        mail: &Outgoing,
        from: Address,
        to: Address,
    ) -> Result<String, TransportError> {
        let recipient = std::slice::from_ref(&mail.to);
        let mut options = Vec::new();
        let is_ascii = mail.from.is_ascii() && mail.to.is_ascii();
        for (is_needed, extension, option, ability) in [
            (!is_ascii, Extension::SmtpUtfEight, MailParameter::SmtpUtfEight, "SMTPUTF8"),
            (
                !mail.message.is_ascii(),
                Extension::EightBitMime,
                MailParameter::Body(MailBodyParameter::EightBitMime),
                "8BITMIME",
            ),
        ] {
            if is_needed && !connection.server_info().supports_feature(extension) {
                return Err(self.failed(Stage::Send, false, format!("the e-mail needs {ability}, which it lacks")));
            }
            options.extend(is_needed.then_some(option));
        }
        self.stage(Stage::Sender, recipient, connection.command(Mail::new(Some(from), options))).await?;
        self.stage(Stage::Send, recipient, connection.command(Rcpt::new(to, Vec::new()))).await?;
        self.stage(Stage::Send, recipient, connection.command(Data)).await?;
        // The protocol ends a message with a line break of its own.
        let message = mail.message.strip_suffix("\r\n").unwrap_or(&mail.message);
        let telling = connection.message(message.as_bytes());
        let response = self.within(self.settings.reply_timeout, Stage::Send, recipient, telling).await?;
        Ok(response.message().collect::<Vec<_>>().join(" "))
    }

    async fn open(&self, recipients: &[String]) -> Result<AsyncSmtpConnection, TransportError> {
        let SmtpSettings { host, port, security, timeout, .. } = &self.settings;
        let hello = self.hello().await;
        let first_tls = (*security == SmtpSecurity::Tls).then(|| self.tls.clone());
        let connecting =
            AsyncSmtpConnection::connect_tokio1((host.as_str(), *port), Some(*timeout), &hello, first_tls, None);
        let mut connection = self.stage(Stage::Connect, recipients, connecting).await?;
        if *security == SmtpSecurity::StartTls {
            let upgrading = connection.starttls(self.tls.clone(), &hello);
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
        self.within(self.settings.timeout, stage, recipients, work).await
    }

    async fn within<T>(
        &self,
        limit: Duration,
        stage: Stage,
        recipients: &[String],
        work: impl Future<Output = Result<T, SmtpError>>,
    ) -> Result<T, TransportError> {
        match tokio::time::timeout(limit, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(self.failed(stage, may_pass(&error), hide(&error.to_string(), recipients))),
            Err(_) => Err(self.failed(stage, true, format!("no answer within {} s", limit.as_secs_f64()))),
        }
    }

    fn failed(&self, stage: Stage, is_transient: bool, reply: String) -> TransportError {
        TransportError::Smtp { host: self.settings.host.clone(), port: self.settings.port, stage, is_transient, reply }
    }

    /// Returns how this machine greets: the configured name, its own if that has a domain, else the address from
    /// which it reaches the server (RFC 5321 4.1.4).
    async fn hello(&self) -> ClientId {
        if let Some(name) = &self.settings.hello_name {
            return ClientId::Domain(name.clone());
        }
        match ClientId::default() {
            ClientId::Domain(name) if name.contains('.') => ClientId::Domain(name),
            _ => self.own_address().await.unwrap_or(ClientId::Ipv4(Ipv4Addr::LOCALHOST)),
        }
    }

    /// Returns the address from which this machine reaches the server. Nothing is sent for it.
    async fn own_address(&self) -> Option<ClientId> {
        let server = (self.settings.host.as_str(), self.settings.port);
        let looking = tokio::net::lookup_host(server);
        let server = tokio::time::timeout(self.settings.timeout, looking).await.ok()?.ok()?.next()?;
        let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = tokio::net::UdpSocket::bind((any, 0)).await.ok()?;
        socket.connect(server).await.ok()?;
        Some(match socket.local_addr().ok()?.ip() {
            IpAddr::V4(address) => ClientId::Ipv4(address),
            IpAddr::V6(address) => ClientId::Ipv6(address),
        })
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
            Self::Sender => "naming the sender",
            Self::Send => "handing over the e-mail",
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::Connect => "check host and port, and that this machine may reach them",
            Self::StartTls => "check that the server offers STARTTLS on this port and that its certificate is trusted",
            Self::LogIn => "check user and password",
            Self::Sender => "check that the server accepts this sender (`mail.from`) from this user and this machine",
            Self::Send => "check that the server accepts this recipient and this message",
        }
    }
}

fn envelope(mail: &Outgoing) -> Result<(Address, Address), TransportError> {
    let parse = |text: &String| {
        text.parse::<Address>().map_err(|_| TransportError::Envelope { message_id: mail.message_id.clone() })
    };
    Ok((parse(&mail.from)?, parse(&mail.to)?))
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

/// Returns the name of the page for a browser, one for each DAG and audience: `nightly-digest.html` of the Message-ID
/// `nightly.2026-11-20.digest.…`.
pub fn page_name(message_id: &str) -> String {
    let mut parts = message_id.split('.');
    let (dag, audience) = (parts.next().unwrap_or("mail"), parts.nth(1).unwrap_or("mail"));
    format!("{}-{}.html", file_stem(dag), file_stem(audience))
}

/// Returns the part of a Message-ID before the `@`, with only what is safe in a file's name.
fn file_stem(message_id: &str) -> String {
    let local = message_id.split_once('@').map_or(message_id, |(local, _)| local);
    local.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}
