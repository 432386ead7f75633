//! The contract of the outbox, and the values that go in and out of it: the part of a state store that holds e-mails.
//!
//! Rows are revisions (`domain::delivery`): promised by a slot, filled by a commit or by a notice at the deadline,
//! handed over once. Besides what `contract` says, every implementation promises:
//! - the effect of a digest, a notice or a promise is decided on the current rows, in the transaction that writes it;
//! - a revision that was handed over stays handed over, whatever is reported later;
//! - a row whose conversation has begun is neither replaced nor handed out to another sender;
//! - a body is kept once for all its recipients, and may be deleted while the rows that name it stay.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::delivery::{ExpectedMail, MailId, MailState, NextTry, Recipient, Signature, Word};
use crate::domain::ids::{DagName, RunId};
use crate::domain::outcome::MailRecord;

use super::error::StoreError;

/// A message as it is sent to a server: one envelope, for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The Message-ID without angle brackets.
    pub message_id: String,
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipient.
    pub to: String,
    /// The whole RFC 5322 message.
    pub message: String,
}

impl Outgoing {
    /// Returns the message for one recipient: the recipient's own headers come before the common part.
    pub fn joined(header_to: &str, message_id: &str, corrects: &[String], body: &str) -> String {
        let mut message = format!("{header_to}Message-ID: <{message_id}>\r\n");
        if let Some(last) = corrects.last() {
            let all: Vec<String> = corrects.iter().map(|id| format!("<{id}>")).collect();
            message.push_str(&format!("In-Reply-To: <{last}>\r\nReferences: {}\r\n", all.join("\r\n ")));
        }
        message + body
    }
}

/// An e-mail whose next try is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueMail {
    /// Which.
    pub id: MailId,
    /// What is sent.
    pub outgoing: Outgoing,
    /// Since when it waits.
    pub since: Timestamp,
    /// Tries so far.
    pub tries: u32,
    /// What it says; `None` where an earlier version of the program did not record it.
    pub word: Option<Word>,
    /// The latest date after its own for which its recipient was written the same kind of e-mail after this one, which
    /// waits or was handed over.
    pub newer: Option<Date>,
}

/// A revision as it is stored, without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailRow {
    /// Which.
    pub id: MailId,
    /// Its state.
    pub state: MailState,
    /// Who gets it.
    pub recipient: Recipient,
    /// The run to which its promise was made.
    pub promised_to: Option<RunId>,
    /// Why its slot has no run.
    pub skipped: Option<String>,
    /// When a notice replaces it, if it is only expected.
    pub deadline: Option<Timestamp>,
    /// What it says.
    pub signature: Option<Signature>,
    /// Its Message-ID.
    pub message_id: Option<String>,
    /// Its subject.
    pub subject: Option<String>,
    /// When it was promised, or since when it waits.
    pub since: Timestamp,
    /// Tries so far.
    pub tries: u32,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// When it was handed over or given up.
    pub ended_at: Option<Timestamp>,
}

/// What a slot promises: e-mails for its logical date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise<'a> {
    /// The DAG.
    pub dag: &'a DagName,
    /// The logical date.
    pub logical_date: Date,
    /// The run that must keep it; `None` if the slot has no run.
    pub run_id: Option<&'a RunId>,
    /// Why the slot has no run.
    pub skipped: Option<&'a str>,
    /// Who is promised what.
    pub mails: &'a [ExpectedMail],
}

/// An e-mail that was handed over by another process than the owner: the watchdog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandedOver {
    /// The revision that it was sent as.
    pub id: MailId,
    /// Who got it.
    pub recipient: Recipient,
    /// What it said.
    pub signature: Signature,
    /// Its Message-ID.
    pub message_id: String,
    /// The envelope's sender.
    pub from: String,
    /// Its subject.
    pub subject: String,
    /// When it was handed over.
    pub at: Timestamp,
}

/// The contract of the outbox.
///
/// # Errors
/// As the methods of [`StateStore`](super::StateStore); [`StoreError::NoMail`] when there is no such revision.
#[async_trait]
pub trait MailStore: Send + Sync {
    /// Promises e-mails outside of taking a slot. A recipient who already has a promise is skipped.
    async fn promise_mail(&self, promise: Promise<'_>, now: Timestamp) -> Result<(), StoreError>;

    /// Fills what is promised with a notice, for those recipients to whom it says something new; returns how many
    /// e-mails wait because of it. Promises that it cannot fill are closed.
    async fn notify(&self, notice: &MailRecord, now: Timestamp) -> Result<usize, StoreError>;

    /// Closes the promises of a night without an e-mail.
    async fn close_promises(&self, dag: &DagName, logical_date: Date, now: Timestamp) -> Result<(), StoreError>;

    /// Records an e-mail that another process handed over; one whose Message-ID is known is left as it is.
    async fn record_handed_over(&self, mail: &HandedOver, now: Timestamp) -> Result<(), StoreError>;

    /// Returns the e-mails that wait, whose next try is due and which no process is sending, oldest first.
    async fn mail_due(&self, now: Timestamp) -> Result<Vec<DueMail>, StoreError>;

    /// Takes an e-mail for sending; returns whether it still waited.
    async fn mail_begin(&self, id: &MailId, sender: &str, now: Timestamp) -> Result<bool, StoreError>;

    /// Releases the e-mails taken for sending at or before `before`, and returns how many there were: their sender
    /// died.
    async fn mail_release(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Records that an e-mail was handed over.
    async fn mail_sent(&self, id: &MailId, now: Timestamp) -> Result<(), StoreError>;

    /// Records that an e-mail could not be handed over, and what follows; one that a later revision corrects is not
    /// tried again.
    async fn mail_failed(&self, id: &MailId, why: &str, next: NextTry, now: Timestamp) -> Result<(), StoreError>;

    /// Ends an e-mail that waits without a try, as given up or replaced; one that was handed over stays so.
    async fn mail_ended(&self, id: &MailId, state: MailState, why: &str, now: Timestamp) -> Result<(), StoreError>;

    /// Makes every e-mail that waits due now, whenever its next try was to be; returns how many wait and are not being
    /// sent.
    async fn mail_hurry(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// Returns the revisions of a night, by audience, recipient and number.
    async fn mails_of(&self, dag: &DagName, logical_date: Date) -> Result<Vec<MailRow>, StoreError>;

    /// Returns the message of a revision, without the headers that are its recipient's own; `None` if it has none, or it is
    /// not kept any more.
    async fn mail_body(&self, id: &MailId) -> Result<Option<String>, StoreError>;

    /// Returns what is promised, what waits, and what was given up since `since` unless the recipient got a later one.
    async fn mails_open(&self, since: Timestamp) -> Result<Vec<MailRow>, StoreError>;

    /// Returns the last night before `before` whose digest was handed over and reported no failed job.
    async fn last_digest(&self, dag: &DagName, before: Date) -> Result<Option<Date>, StoreError>;
}
