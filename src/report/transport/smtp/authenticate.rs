//! Logging in: the mechanisms that go with the login, and errors that say what the server refused.

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use secrecy::ExposeSecret as _;

use super::Smtp;
use super::login::{Login, LoginBy};
use crate::report::transport::receipt::{Stage, TransportError};
use crate::telemetry::spawn_blocking;

impl Smtp {
    pub(super) async fn log_in(
        &self,
        connection: &mut AsyncSmtpConnection,
        login: &Login,
        recipients: &[String],
    ) -> Result<(), TransportError> {
        let read = login.secret.clone();
        let secret = spawn_blocking(move || read.read()).await.map_err(TransportError::Secret)?;
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
