//! The result of sending an e-mail: the receiving side's reply, or the stage at which it failed and why.

use std::io;
use std::path::PathBuf;

use crate::config::SecretError;
use crate::domain::delivery::Refusal;

/// What the receiving side said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The server's words, or the path of the file.
    pub words: String,
}

/// A stage of an SMTP conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Reaching the server, its greeting, and TLS where it comes first.
    Connect,
    /// Upgrading to TLS.
    StartTls,
    /// User, and password or token.
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
    /// TLS from the first byte does not go through a proxy.
    #[error("through a proxy (`mail.proxy`) the SMTP server is reached by `starttls`, not by `tls`")]
    ProxyWithTls,
    /// The record names an address that is not valid.
    #[error(
        "the e-mail `{message_id}` names an address that is not one; correct `mail.to`, `mail.from` or `to` of the job"
    )]
    Envelope {
        /// The e-mail.
        message_id: String,
    },
    /// A webhook was not reached, or did not accept what was posted.
    #[error("posting to the webhook `{name}`: {why}")]
    Webhook {
        /// Its name in the configuration.
        name: String,
        /// Whether the receiver said that nothing will be accepted any more.
        is_gone: bool,
        /// What went wrong, without its URL.
        why: String,
    },
    /// The password or the token is not available.
    #[error("logging in: a secret cannot be read; correct `mail.password` or `mail.oauth_token`")]
    Secret(#[source] SecretError),
    /// The server could not be reached, or refused.
    #[error("{} at the SMTP server {host}:{port}: {reply}; {}", .stage.words(), .stage.advice())]
    Smtp {
        /// The server.
        host: String,
        /// Its port.
        port: u16,
        /// How far the conversation got.
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
            Self::Webhook { is_gone, .. } => !*is_gone,
            Self::Write { .. } | Self::Secret(_) => true,
            Self::Certificate { .. } | Self::NotPrivate { .. } | Self::ProxyWithTls | Self::Envelope { .. } => false,
        }
    }

    /// Returns what the outbox is to do about it. Only the server's answer about this recipient or message, or an
    /// invalid address, is final: a refused login, sender or certificate is for a person to correct, and then all the
    /// e-mails must go out.
    pub const fn refusal(&self) -> Refusal {
        match self {
            Self::Smtp { stage: Stage::Send, is_transient: false, .. }
            | Self::Envelope { .. }
            | Self::Webhook { is_gone: true, .. } => Refusal::Permanent,
            _ => Refusal::Transient,
        }
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
            Self::LogIn => "check `mail.user`, and `mail.password` or `mail.oauth_token`",
            Self::Sender => "check that the server accepts this sender (`mail.from`) from this user and this machine",
            Self::Send => "check that the server accepts this recipient and this message",
        }
    }
}
