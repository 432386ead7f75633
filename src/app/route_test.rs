//! Tries a route of the alerts: an invented alert goes to each of its recipients at once, beside the outbox.
//!
//! It needs the configuration alone. Nothing of it is kept, and it says in every channel that it is a test.

use std::path::PathBuf;

use super::channels::Channels;
use super::error::AppError;
use super::open::{configuration, start_log};
use super::outbox::transport;
use crate::config::{AlertRoute, Config, SourceKind, Use, process_environment};
use crate::domain::clock::Clock;
use crate::domain::delivery::Recipient;
use crate::domain::ids::DagName;
use crate::domain::schedule::parse_zone;
use crate::report::mail::{Addresses, compose, masked, recipients};
use crate::report::transport::TransportError;
use crate::report::view::AlertNewsView;
use crate::report::{RenderedEmail, Renderer};
use crate::store::Outgoing;
use crate::telemetry::SystemClock;

/// What became of a test for one recipient.
#[derive(Debug)]
pub struct Tried {
    /// The recipient: a masked address, or a webhook's name.
    pub to: String,
    /// The other side's words, or why it was not accepted.
    pub result: Result<String, TransportError>,
}

/// Sends a test through a route; `None` if there is no route of that name.
///
/// # Errors
/// With what is wrong in the configuration, or when the test cannot be made.
pub async fn test_route(files: &[PathBuf], name: &str) -> Result<Option<Vec<Tried>>, AppError> {
    let variables = process_environment();
    let config = configuration(files, &variables, Use::Looking)?;
    start_log(&config, Use::Looking)?;
    let Some(route) = config.alerts.routes.get(name) else { return Ok(None) };
    let channels = Channels::new(transport(&config, &variables)?, &config, &variables);
    let now = SystemClock.now();
    let mut tried = Vec::new();
    for outgoing in tests(&config, name, route).map_err(AppError::Mail)? {
        let sent = channels.send(&outgoing, now).await;
        tried.push(Tried { to: masked(&outgoing.to), result: sent.map(|receipt| receipt.words) });
    }
    Ok(Some(tried))
}

fn tests(config: &Config, name: &str, route: &AlertRoute) -> anyhow::Result<Vec<Outgoing>> {
    let now = SystemClock.now();
    let dag: DagName = "test".parse()?;
    let date = now.to_zoned(parse_zone(&config.institution.timezone)?).date();
    let view = AlertNewsView {
        route: name.to_owned(),
        contact: config.mail.reply_to.clone(),
        is_simulation: config.sources.values().all(|source| source.kind == SourceKind::Simulation),
        ..AlertNewsView::sample(&config.institution.name, &dag, date)
    };
    let email = Renderer::new()?.alerts(&view)?;
    let email = RenderedEmail { subject: format!("TEST {}", email.subject), ..email };
    let mut tests = Vec::new();
    let mut add = |recipient: &Recipient, from: &str, message: &dyn Fn(&str) -> String| {
        let domain = from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
        let message_id = format!("test.{name}.{}.{}@{domain}", now.as_microsecond(), tests.len());
        let message = message(&message_id);
        tests.push(Outgoing { message_id, from: from.to_owned(), to: recipient.address.clone(), message });
    };
    if let Some(webhook) = &route.webhook {
        let body = serde_json::to_string(&view)?;
        add(&Recipient::webhook(webhook), "nocturne@localhost", &|_| body.clone());
    }
    if !route.to.is_empty() {
        let addresses = Addresses {
            from: config.mail.from.clone(),
            reply_to: config.mail.reply_to.clone(),
            audience: format!("alerts.{name}"),
            to: recipients(&route.to)?,
            unsubscribe_url: None,
        };
        let mail = compose(&email, &addresses, now)?;
        for recipient in &mail.to {
            add(recipient, &mail.from, &|id| Outgoing::joined(&recipient.header, id, &[], &mail.body));
        }
    }
    Ok(tests)
}
