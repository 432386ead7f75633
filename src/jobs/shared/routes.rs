//! What the routes of the site's alerts tell of a night: e-mails and webhook calls for the outbox.
//!
//! They leave with the digest's commit, under an audience of their own (`alerts.<route>`), so that a digest that is
//! corrected repeats none of them.

use super::alerts::people;
use crate::config::{AlertRoute, parse_mailbox};
use crate::domain::alert::AlertStep;
use crate::domain::check::Finding;
use crate::domain::delivery::Recipient;
use crate::domain::outcome::{JobError, MailRecord};
use crate::domain::routing::groups;
use crate::jobs::kind::JobContext;
use crate::report::Renderer;
use crate::report::mail::{Addresses, compose, recipients};
use crate::report::view::{AlertNewsView, AlertNight, ReportView};

/// What the routes tell, and what could not be told.
#[derive(Debug, Default)]
pub(in crate::jobs) struct Routed {
    /// For the outbox.
    pub(in crate::jobs) mails: Vec<MailRecord>,
    /// A finding for each route that cannot be told.
    pub(in crate::jobs) findings: Vec<Finding>,
}

/// Returns what each route tells of a night's alerts.
pub(in crate::jobs) fn routed(report: &ReportView, steps: &[AlertStep], cx: &JobContext) -> Result<Routed, JobError> {
    let config = &cx.environment.config;
    let people = people(cx)?;
    let night = AlertNight {
        institution: &report.institution,
        dag: &report.dag,
        logical_date: report.logical_date,
        is_simulation: report.is_simulation,
        contact: config.mail.reply_to.as_deref(),
        people: &people,
    };
    let mut routed = Routed::default();
    for (name, route) in &config.alerts.routes {
        let groups = groups(&route.route(), steps, &people);
        if groups.is_empty() {
            continue;
        }
        let view = AlertNewsView::new(night, name, &groups);
        match mails(&view, route, cx) {
            Ok(mails) => routed.mails.extend(mails),
            Err(error) => routed.findings.push(untold(name, &error)),
        }
    }
    Ok(routed)
}

fn mails(view: &AlertNewsView, route: &AlertRoute, cx: &JobContext) -> anyhow::Result<Vec<MailRecord>> {
    let mail = &cx.environment.config.mail;
    let audience = format!("alerts.{}", view.route);
    let email = Renderer::new()?.alerts(view)?;
    let mut mails = Vec::new();
    if let Some(webhook) = &route.webhook {
        mails.push(MailRecord {
            tells: Vec::new(),
            dag: view.dag.clone(),
            logical_date: view.logical_date,
            audience: audience.clone(),
            signature: view.signature(),
            from: sender(&mail.from),
            to: vec![Recipient::webhook(webhook)],
            subject: email.subject.clone(),
            body: serde_json::to_string(view)?,
        });
    }
    if !route.to.is_empty() {
        let addresses = Addresses {
            from: mail.from.clone(),
            reply_to: mail.reply_to.clone(),
            audience,
            to: recipients(&route.to)?,
            unsubscribe_url: None,
        };
        mails.push(compose(&email, &addresses, cx.environment.clock.now())?);
    }
    Ok(mails)
}

/// The sender's address alone: its domain is that of the message's id.
fn sender(from: &str) -> String {
    parse_mailbox(from).map_or_else(|| from.to_owned(), |mailbox| mailbox.email.to_string())
}

fn untold(route: &str, error: &anyhow::Error) -> Finding {
    Finding::warning(
        "report.alerts_not_told",
        route,
        format!(
            "The route `{route}` of the alerts was not told of tonight's alerts ({error:#}); the digest lists them."
        ),
        format!("Correct `alerts.routes.{route}` and try it with `nocturne alerts test {route}`."),
    )
}
