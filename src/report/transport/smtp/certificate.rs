//! The certificate that an SMTP server presents, for diagnosis: even one over which no e-mail would be sent.

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::client::TlsParameters;

use super::{Smtp, SmtpSettings};
use crate::report::transport::receipt::{Stage, TransportError};

impl Smtp {
    /// Returns the certificate (DER) that the server presents, whatever is wrong with it. Nothing but the greeting is
    /// sent over such a connection: no login, no e-mail.
    ///
    /// # Errors
    /// When the server cannot be reached or does not upgrade.
    pub async fn certificate(&self) -> Result<Vec<u8>, TransportError> {
        let refused = |error: SmtpError| self.failed(Stage::StartTls, false, error.to_string());
        let tls = TlsParameters::builder(self.settings.host.clone()).dangerous_accept_invalid_certs(true);
        let settings = SmtpSettings { login: None, ..self.settings.clone() };
        let stranger = Self { settings, tls: tls.build().map_err(refused)? };
        let connection = stranger.open(&[]).await?;
        let certificate = connection.peer_certificate().map_err(refused);
        stranger.close(connection).await;
        certificate
    }
}
