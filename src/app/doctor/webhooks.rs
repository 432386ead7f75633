//! Webhooks: the URL and the key are there and usable, and the receiver answers, without an alert being posted.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::checked::{Checked, Subject};
use super::site::Site;
use crate::app::channels::receiver;
use crate::config;
use crate::telemetry::chain;

pub(super) const THIS: Subject = Subject("webhooks");

/// How long a receiver may take.
const ANSWER: Duration = Duration::from_secs(8);

/// Checks every webhook.
pub(super) fn check(site: &Site) -> BoxFuture<'_, Vec<Checked>> {
    async move {
        let webhooks = &site.config.alerts.webhooks;
        if webhooks.is_empty() {
            return vec![THIS.ok("all", "no route of alerts posts anywhere")];
        }
        futures::future::join_all(webhooks.iter().map(|(name, webhook)| one(site, name, webhook))).await
    }
    .boxed()
}

async fn one(site: &Site, name: &str, webhook: &config::Webhook) -> Checked {
    let advice = format!("correct `[alerts.webhooks.{name}]`; until then what is to be posted waits in the outbox");
    let receiver = match receiver(name, webhook, &site.variables) {
        Ok(receiver) => receiver,
        Err(error) => return THIS.fail(name, chain(&error), advice),
    };
    let routes = site.config.alerts.routes.values().filter(|route| route.webhook.as_deref() == Some(name)).count();
    match receiver.reach(ANSWER).await {
        Ok(()) if routes == 0 => THIS.warn(
            name,
            "it answers, and no route posts to it",
            format!("name it in a route (`webhook = \"{name}\"`), or take it out"),
        ),
        Ok(()) => THIS.ok(name, "it answers; `nocturne alerts test` posts an invented alert"),
        Err(error) => THIS.fail(name, chain(&error), advice),
    }
}
