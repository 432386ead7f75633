//! How commands show e-mails: a row of a table, or JSON. Recipients are masked.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::delivery::MailState;
use crate::report::mail::masked;
use crate::store::MailRow;

/// The columns of [`cells`].
pub(super) const HEADER: [&str; 6] = ["e-mail", "night", "written by", "to", "subject", "why"];

/// Returns a row about an e-mail.
pub(super) fn cells(mail: &MailRow) -> Vec<String> {
    let key = &mail.id.key;
    vec![
        words(mail),
        format!("{} {}", key.dag, key.logical_date),
        key.audience.clone(),
        masked(&mail.recipient.address),
        mail.subject.clone().unwrap_or_default(),
        why(mail).unwrap_or_default().to_owned(),
    ]
}

/// Returns what became of an e-mail.
pub(super) fn words(mail: &MailRow) -> String {
    match (mail.state, mail.tries) {
        (MailState::Expected, _) => "promised".to_owned(),
        (MailState::Waiting, 0) => "waits".to_owned(),
        (MailState::Waiting, 1) => "waits, tried once".to_owned(),
        (MailState::Waiting, tries) => format!("waits, tried {tries} times"),
        (MailState::Sent, _) => "handed over".to_owned(),
        (MailState::Replaced, _) => "replaced".to_owned(),
        (MailState::GivenUp, _) => "given up".to_owned(),
    }
}

/// An e-mail, as `--json` shows it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct MailShape {
    dag: String,
    logical_date: String,
    /// The job that wrote it, or `alerts.ROUTE`.
    audience: String,
    message_id: Option<String>,
    subject: Option<String>,
    /// The masked address, or a webhook.
    to: String,
    state: MailState,
    tries: u32,
    /// Why it was not handed over.
    why: Option<String>,
}

impl MailShape {
    /// Returns the shape of an e-mail.
    pub(super) fn of(mail: &MailRow) -> Self {
        let key = &mail.id.key;
        Self {
            dag: key.dag.to_string(),
            logical_date: key.logical_date.to_string(),
            audience: key.audience.clone(),
            message_id: mail.message_id.clone(),
            subject: mail.subject.clone(),
            to: masked(&mail.recipient.address),
            state: mail.state,
            tries: mail.tries,
            why: why(mail).map(str::to_owned),
        }
    }
}

/// Returns why an e-mail was not handed over; nothing of one that was, whatever came before.
fn why(mail: &MailRow) -> Option<&str> {
    mail.last_error.as_deref().filter(|_| mail.state != MailState::Sent)
}
