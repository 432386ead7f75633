//! Sending: the outbox's bytes go to a folder of `.eml` files, to an SMTP server or to a webhook, unchanged.
//!
//! Either TLS is required or the connection is to this machine itself; there is no silent fallback to an unencrypted
//! one. An error names host, port and stage and says whether another try may help; neither errors nor logs hold an
//! unmasked address. It does not decide when to send or to try again: the outbox does.

mod eml_folder;
mod receipt;
mod smtp;
mod webhook;

use tracing::info;

use super::mail::masked;
use crate::store::Outgoing;

pub use eml_folder::{EmlFolder, page_name};
pub use receipt::{Receipt, Stage, TransportError};
pub use smtp::{Login, LoginBy, Proxy, ReadSecret, Smtp, SmtpSecurity, SmtpSettings};
pub use webhook::{Reach, Webhook, WebhookSettings};

/// Where e-mails go.
#[derive(Debug)]
pub enum Transport {
    /// Into a folder, as `.eml` files; nothing leaves the machine.
    EmlFolder(EmlFolder),
    /// To an SMTP server.
    Smtp(Box<Smtp>),
}

impl Transport {
    /// Sends `mail`. Sending the same e-mail to a folder twice leaves one file.
    ///
    /// # Errors
    /// When it was not accepted, or may not have been.
    pub async fn send(&self, mail: &Outgoing) -> Result<Receipt, TransportError> {
        let receipt = match self {
            Self::EmlFolder(folder) => folder.send(mail).await?,
            Self::Smtp(smtp) => smtp.send(mail).await?,
        };
        info!(mail.id = %mail.message_id, mail.to = %masked(&mail.to), "Sent the e-mail `{}`", mail.message_id);
        Ok(receipt)
    }
}
