//! Logging in to an SMTP server: by password, or by an access token (XOAUTH2).
//!
//! The secret is read for each login, so that a file with a token may be renewed while the program runs. It is printed
//! nowhere: neither in errors nor in what a value of these types shows of itself.

use std::fmt;
use std::sync::Arc;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use secrecy::{ExposeSecret, SecretString};

use super::Smtp;
use crate::config::SecretError;
use crate::report::transport::receipt::{Stage, TransportError};
use crate::telemetry::spawn_blocking;

/// How to log in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user.
    pub user: String,
    /// By what.
    pub by: LoginBy,
    /// The password or the token.
    pub secret: ReadSecret,
}

/// By what a user logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginBy {
    /// A password (PLAIN or LOGIN).
    Password,
    /// An access token (XOAUTH2).
    Token,
}

/// Reads a secret where it is kept.
#[derive(Clone)]
pub struct ReadSecret(Arc<dyn Fn() -> Result<SecretString, SecretError> + Send + Sync>);

impl ReadSecret {
    /// Returns what reads a secret by calling `read`.
    pub fn by(read: impl Fn() -> Result<SecretString, SecretError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Returns what gives a secret that is known and does not change.
    pub fn known(secret: &str) -> Self {
        let secret = SecretString::from(secret);
        Self::by(move || Ok(secret.clone()))
    }
}

impl fmt::Debug for ReadSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Smtp {
    pub(super) async fn log_in(
        &self,
        connection: &mut AsyncSmtpConnection,
        login: &Login,
        recipients: &[String],
    ) -> Result<(), TransportError> {
        let read = login.secret.clone();
        let secret = spawn_blocking(move || read.0()).await.map_err(TransportError::Secret)?;
        let mechanisms: &[Mechanism] = match login.by {
            LoginBy::Password => &[Mechanism::Plain, Mechanism::Login],
            LoginBy::Token => &[Mechanism::Xoauth2],
        };
        // lettre says of a server without these mechanisms that none was found, and not what the server has.
        if connection.server_info().get_auth_mechanism(mechanisms).is_none() {
            let names: Vec<String> = mechanisms.iter().map(ToString::to_string).collect();
            let reply = format!("the server does not offer to log in by {}", names.join(" or "));
            return Err(self.failed(Stage::LogIn, false, reply));
        }
        let credentials = Credentials::new(login.user.clone(), secret.expose_secret().to_owned());
        let logging_in = connection.auth(mechanisms, &credentials);
        match self.stage(Stage::LogIn, recipients, logging_in).await {
            Ok(_) => Ok(()),
            // A server refuses a token by asking for more (334): lettre then only says that it expects no challenge.
            Err(TransportError::Smtp { reply, .. }) if login.by == LoginBy::Token && reply.contains("challenge") => {
                Err(self.failed(Stage::LogIn, false, "the server refused the token (XOAUTH2)".to_owned()))
            }
            Err(error) => Err(error),
        }
    }
}
