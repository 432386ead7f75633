//! The ways out of the outbox: e-mail, and the webhooks that routes of alerts name.
//!
//! What a row's recipient is decides. A webhook's URL and key are read when it is called, so that a corrected secret works
//! at the next try.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::config::{self, Config, Environment as Variables};
use crate::domain::delivery::webhook_of;
use crate::report::transport::{Reach, Receipt, Transport, TransportError, Webhook, WebhookSettings};
use crate::store::Outgoing;

/// The ways out.
pub(super) struct Channels {
    mail: Transport,
    webhooks: BTreeMap<String, config::Webhook>,
    variables: Variables,
}

impl Channels {
    /// Returns the ways out that the configuration names, besides that of e-mails.
    pub(super) fn new(mail: Transport, config: &Config, variables: &Variables) -> Self {
        Self { mail, webhooks: config.alerts.webhooks.clone(), variables: variables.clone() }
    }

    /// Hands over what waits for one recipient.
    ///
    /// # Errors
    /// When it was not accepted, or may not have been.
    pub(super) async fn send(&self, outgoing: &Outgoing, now: Timestamp) -> Result<Receipt, TransportError> {
        match webhook_of(&outgoing.to) {
            Some(name) => self.webhook(name)?.post(&outgoing.message_id, &outgoing.message, now).await,
            None => self.mail.send(outgoing).await,
        }
    }

    fn webhook(&self, name: &str) -> Result<Webhook, TransportError> {
        let failed = |why: String| TransportError::Webhook { name: name.to_owned(), is_gone: false, why };
        let webhook = self
            .webhooks
            .get(name)
            .ok_or_else(|| failed("the configuration (`alerts.webhooks`) has no such webhook any more".to_owned()))?;
        receiver(name, webhook, &self.variables)
    }
}

/// Returns the receiver that a webhook names.
///
/// # Errors
/// When its URL or its key is not there or cannot be used.
pub(super) fn receiver(
    name: &str,
    webhook: &config::Webhook,
    variables: &Variables,
) -> Result<Webhook, TransportError> {
    let failed = |error: config::SecretError| {
        let why = format!("{:#}", anyhow::Error::new(error));
        TransportError::Webhook { name: name.to_owned(), is_gone: false, why }
    };
    Webhook::new(&WebhookSettings {
        name: name.to_owned(),
        url: webhook.address(variables).map_err(failed)?,
        secret: webhook.secret.resolve(variables).map_err(failed)?,
        reach: if webhook.allow_private { Reach::Anywhere } else { Reach::Public },
        proxy: webhook.proxy.clone(),
        ca_file: webhook.ca_file.clone(),
    })
}
