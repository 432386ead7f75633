//! The outbox: e-mails that a commit has put there, until the mail server has them.
//!
//! The Message-ID is the key, for ever: an e-mail that was once there, sent or not, is never put there again. One
//! that was sent stays sent, whatever a slower sender reports later. Sending is `report`'s.

use jiff::Timestamp;

use super::attempts::JobAt;
use super::contract::OutboxMail;
use super::database::{Database, Transaction};
use super::error::StoreError;
use super::row::Row;
use crate::domain::outcome::MailRecord;

const INSERT: &str = include_str!("../../sql/state/outbox_insert.sql");
const DUE: &str = include_str!("../../sql/state/outbox_due.sql");
const FAILED: &str = include_str!("../../sql/state/outbox_failed.sql");
const SENT: &str = "UPDATE outbox SET sent_at = COALESCE(sent_at, $2), tries = tries + 1 WHERE message_id = $1";
const IS_THERE: &str = "SELECT message_id FROM outbox WHERE message_id = $1";

/// Puts an e-mail in the outbox, as part of a commit.
pub(super) async fn put(tx: &mut Transaction, at: JobAt<'_>, mail: &MailRecord) -> Result<(), StoreError> {
    let to = tx.json("the recipients", &mail.to)?;
    let binds = [
        (&mail.message_id).into(),
        (&mail.from).into(),
        (&to).into(),
        (&mail.subject).into(),
        (&mail.message).into(),
        at.run_id.into(),
        at.job.into(),
        at.now.into(),
    ];
    tx.execute(INSERT, &binds).await?;
    Ok(())
}

/// Returns what is to be sent now.
pub(super) async fn due(database: &Database, now: Timestamp) -> Result<Vec<OutboxMail>, StoreError> {
    database.rows("reading the outbox", DUE, &[now.into()]).await?.iter().map(mail_of).collect()
}

/// Records that an e-mail was sent.
pub(super) async fn sent(database: &Database, message_id: &str, now: Timestamp) -> Result<(), StoreError> {
    let mut tx = database.begin("marking an e-mail as sent").await?;
    if tx.execute(SENT, &[message_id.into(), now.into()]).await? == 0 {
        return Err(StoreError::NoMail { message_id: message_id.to_owned() });
    }
    tx.commit().await
}

/// Records a try that failed.
pub(super) async fn failed(
    database: &Database,
    message_id: &str,
    error: &str,
    next_try: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = database.begin("recording that an e-mail was not sent").await?;
    let changed = tx.execute(FAILED, &[message_id.into(), error.into(), next_try.into()]).await?;
    if changed == 0 && tx.row(IS_THERE, &[message_id.into()]).await?.is_none() {
        return Err(StoreError::NoMail { message_id: message_id.to_owned() });
    }
    tx.commit().await
}

fn mail_of(row: &Row) -> Result<OutboxMail, StoreError> {
    Ok(OutboxMail {
        mail: MailRecord {
            message_id: row.text("message_id")?,
            from: row.text("sender")?,
            to: row.json("recipients")?,
            subject: row.text("subject")?,
            message: row.text("message")?,
        },
        queued_at: row.instant("queued_at")?,
        tries: row.count("tries")?,
        last_error: row.text_or_null("last_error")?,
    })
}
