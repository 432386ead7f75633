//! One SMTP server: one conversation per e-mail, each stage with its own time limit.
//!
//! Login is by password or, where a token is configured, by XOAUTH2; the secret is read for each login.
//!
//! The connection is TLS, or it is to this machine itself. Errors name host, port and stage; the recipient's address is
//! masked in them.

mod authenticate;
mod certificate;
mod login;
mod proxy;
mod tunnel;

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::address::Address;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use tracing::debug;

use super::receipt::{Receipt, Stage, TransportError};
use crate::report::mail::masked;
use crate::store::Outgoing;

pub use login::{Login, LoginBy, ReadSecret};
pub use proxy::Proxy;

/// How long a server may take to accept a connection. RFC 5321 has no limit for it: a machine that is switched off must
/// not hold up a night as long as one that thinks about its greeting.
const REACHING: Duration = Duration::from_secs(30);

/// How to reach an SMTP server.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// The server's name; its certificate must be for it.
    pub host: String,
    /// Its port: 587 for STARTTLS, 465 for TLS.
    pub port: u16,
    /// How the connection is kept private.
    pub security: SmtpSecurity,
    /// How to log in, where the server asks for it.
    pub login: Option<Login>,
    /// A PEM file with the authority that signed the server's certificate, beside the well-known ones.
    pub ca_file: Option<PathBuf>,
    /// A proxy through which the server is reached; only with STARTTLS, or to this machine.
    pub proxy: Option<Proxy>,
    /// How long each step of a conversation may take, up to the message's last line.
    pub timeout: Duration,
    /// How long the answer to the message may take: a server that scans a message already has it but has not said so.
    pub reply_timeout: Duration,
    /// The name by which we greet; without it this machine's, if it has a domain, else its address.
    pub hello_name: Option<String>,
}

/// How a connection to an SMTP server is kept private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SmtpSecurity {
    /// It begins in the clear and must be upgraded before anything is sent.
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

impl Smtp {
    /// Returns the server with those settings; no connection is made yet.
    ///
    /// # Errors
    /// When the certificate file cannot be read, or the connection would not be private.
    pub fn new(settings: SmtpSettings) -> Result<Self, TransportError> {
        if settings.security == SmtpSecurity::PlainToThisMachine && !is_this_machine(&settings.host) {
            return Err(TransportError::NotPrivate { host: settings.host });
        }
        if settings.security == SmtpSecurity::Tls && settings.proxy.is_some() {
            return Err(TransportError::ProxyWithTls);
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

    pub(super) async fn send(&self, mail: &Outgoing) -> Result<Receipt, TransportError> {
        let (from, to) = envelope(mail)?;
        let recipient = std::slice::from_ref(&mail.to);
        let mut connection = self.open(recipient).await?;
        let sent = self.hand_over(&mut connection, mail, from, to).await;
        self.close(connection).await;
        Ok(Receipt { words: hide(&sent?, recipient) })
    }

    /// Sends sender, recipient and message, each within its time limit, and returns the server's answer to the message.
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
        let tunnel = match &self.settings.proxy {
            Some(proxy) => Some(Box::new(self.through(proxy).await?)),
            None => None,
        };
        let connecting = async {
            if let Some(tunnel) = tunnel {
                return AsyncSmtpConnection::connect_with_transport(tunnel, &hello).await;
            }
            let (server, limit) = ((host.as_str(), *port), Some(REACHING.min(*timeout)));
            AsyncSmtpConnection::connect_tokio1(server, limit, &hello, first_tls, None).await
        };
        let mut connection = self.stage(Stage::Connect, recipients, connecting).await?;
        if *security == SmtpSecurity::StartTls {
            let upgrading = connection.starttls(self.tls.clone(), &hello);
            self.stage(Stage::StartTls, recipients, upgrading).await?;
        }
        if let Some(login) = &self.settings.login {
            self.log_in(&mut connection, login, recipients).await?;
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

fn envelope(mail: &Outgoing) -> Result<(Address, Address), TransportError> {
    let parse = |text: &String| {
        text.parse::<Address>().map_err(|_| TransportError::Envelope { message_id: mail.message_id.clone() })
    };
    Ok((parse(&mail.from)?, parse(&mail.to)?))
}

/// Says whether another try may help: not after a refusal (5xx), a missing capability or an untrusted certificate.
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
