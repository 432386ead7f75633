//! The outbox: e-mails that wait until the mail server has accepted them.
//!
//! An e-mail is taken for sending before its conversation begins, so that no commit replaces it in the meantime and no
//! second sender takes it. If a process dies in between, it stays taken; the next owner releases it, and it is sent
//! again with the same Message-ID. What was handed over stays handed over. `report` does the sending,
//! `domain::delivery` the deciding.

use jiff::Timestamp;
use jiff::civil::Date;

use super::database::{Database, Transaction};
use super::error::StoreError;
use super::hold::Held;
use super::mail_contract::{DueMail, MailRow, Outgoing};
use super::revisions::{bound_id, id_of, row_of};
use super::row::Row;
use crate::domain::delivery::{EarlierEmail, MailId, MailState, NextTry, Signature, webhook_of};
use crate::domain::ids::{DagName, JobName};

const DUE: &str = include_str!("../../sql/state/mail_due.sql");
const OPEN: &str = include_str!("../../sql/state/mail_open.sql");
const BEGIN: &str = include_str!("../../sql/state/mail_begin.sql");
const SENT: &str = include_str!("../../sql/state/mail_sent.sql");
const FAILED: &str = include_str!("../../sql/state/mail_failed.sql");
const END: &str = include_str!("../../sql/state/mail_end.sql");
const HURRY: &str = "UPDATE mails SET next_try = $1 WHERE state = 'waiting' AND sending_since IS NULL";
const RELEASE: &str = "UPDATE mails SET sending_since = NULL, sending_by = NULL \
     WHERE state = 'waiting' AND sending_since IS NOT NULL AND sending_since <= $1";
const LAST_SENT: &str = include_str!("../../sql/state/mail_last_sent.sql");
const TAKEN: &str = "SELECT revision FROM mails \
     WHERE state = 'waiting' AND sending_since IS NOT NULL AND sending_since <= $1";
const IS_THERE: &str = "SELECT state FROM mails \
     WHERE dag = $1 AND logical_date = $2 AND audience = $3 AND recipient = $4 AND revision = $5";
const LATER: &str = "SELECT revision FROM mails WHERE dag = $1 AND logical_date = $2 AND audience = $3 \
     AND recipient = $4 AND revision > $5 AND state <> 'expected' AND state <> 'replaced'";
const BODY: &str = "SELECT b.body FROM mails AS m JOIN mail_bodies AS b ON b.id = m.body \
     WHERE m.dag = $1 AND m.logical_date = $2 AND m.audience = $3 AND m.recipient = $4 AND m.revision = $5";
const LAST_DIGEST: &str = "SELECT MAX(logical_date) AS logical_date FROM mails \
     WHERE dag = $1 AND logical_date < $2 AND state = 'sent' AND verdict IN ('ok', 'look')";

/// Returns what is due for sending.
pub(super) async fn due(database: &Database, now: Timestamp) -> Result<Vec<DueMail>, StoreError> {
    database.rows("reading the outbox", DUE, &[now.into()]).await?.iter().map(due_of).collect()
}

/// Takes an e-mail for sending; returns whether it still waited.
pub(super) async fn begin(database: &Database, id: &MailId, sender: &str, now: Timestamp) -> Result<bool, StoreError> {
    let mut tx = database.begin("taking an e-mail for sending").await?;
    let date = id.key.logical_date.to_string();
    let taken = tx.execute(BEGIN, &bound_id(id, &date, [now.into(), sender.into()])).await?;
    tx.commit().await?;
    Ok(taken == 1)
}

/// Releases what a dead sender had taken. If there is nothing, nothing is written.
pub(super) async fn release(database: &Database, before: Timestamp) -> Result<u64, StoreError> {
    if database.row("looking for e-mails of a dead sender", TAKEN, &[before.into()]).await?.is_none() {
        return Ok(0);
    }
    let mut tx = database.begin("giving back e-mails of a dead sender").await?;
    let released = tx.execute(RELEASE, &[before.into()]).await?;
    tx.commit().await?;
    Ok(released)
}

/// Records that an e-mail was handed over.
pub(super) async fn sent(database: &Database, id: &MailId, now: Timestamp) -> Result<(), StoreError> {
    let mut tx = database.begin("marking an e-mail as sent").await?;
    let date = id.key.logical_date.to_string();
    let changed = tx.execute(SENT, &bound_id(id, &date, [now.into()])).await?;
    if changed == 0 && tx.row(IS_THERE, &bound_id(id, &date, [])).await?.is_none() {
        return Err(no_mail(id));
    }
    tx.commit().await
}

/// A try that failed, and what follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct FailedTry<'a> {
    /// Why it failed.
    pub(super) why: &'a str,
    /// When the next one is.
    pub(super) next: NextTry,
}

/// Records a try that failed.
pub(super) async fn failed(
    database: &Database,
    id: &MailId,
    failed: FailedTry<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = database.begin("recording that an e-mail was not sent").await?;
    let date = id.key.logical_date.to_string();
    let is_corrected = tx.row(LATER, &bound_id(id, &date, [])).await?.is_some();
    let (state, next_try, ended_at) = match failed.next {
        _ if is_corrected => ("replaced", None, Some(now)),
        NextTry::At(at) => ("waiting", Some(at), None),
        NextTry::GiveUp => ("given_up", None, Some(now)),
    };
    let more = [state.into(), failed.why.into(), next_try.into(), ended_at.into()];
    let changed = tx.execute(FAILED, &bound_id(id, &date, more)).await?;
    if changed == 0 && tx.row(IS_THERE, &bound_id(id, &date, [])).await?.is_none() {
        return Err(no_mail(id));
    }
    tx.commit().await
}

/// Ends an e-mail that waits without a try.
pub(super) async fn end(
    database: &Database,
    id: &MailId,
    (state, why): (MailState, &str),
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = database.begin("ending an e-mail that waits").await?;
    let date = id.key.logical_date.to_string();
    let changed = tx.execute(END, &bound_id(id, &date, [state.as_str().into(), why.into(), now.into()])).await?;
    if changed == 0 && tx.row(IS_THERE, &bound_id(id, &date, [])).await?.is_none() {
        return Err(no_mail(id));
    }
    tx.commit().await
}

/// Makes every e-mail that waits due now.
pub(super) async fn hurry(database: &Database, now: Timestamp) -> Result<u64, StoreError> {
    let mut tx = database.begin("making waiting e-mails due").await?;
    let waiting = tx.execute(HURRY, &[now.into()]).await?;
    tx.commit().await?;
    Ok(waiting)
}

/// Returns what is promised, what waits, and what was given up since `since` and not superseded.
pub(super) async fn open(database: &Database, since: Timestamp) -> Result<Vec<MailRow>, StoreError> {
    database.rows("reading the outbox", OPEN, &[since.into()]).await?.iter().map(row_of).collect()
}

/// Returns the last e-mail of a job for a run's night that was handed over.
pub(super) async fn last_sent(
    tx: &mut Transaction,
    run: &Held,
    job: &JobName,
) -> Result<Option<EarlierEmail>, StoreError> {
    let date = run.date.to_string();
    let Some(row) = tx.row(LAST_SENT, &[(&run.dag).into(), (&date).into(), job.into()]).await? else { return Ok(None) };
    let failed_jobs: Option<Vec<String>> = row.json_or_null("failed_jobs")?;
    Ok(Some(EarlierEmail {
        signature: Signature::new(row.word("verdict")?, failed_jobs.unwrap_or_default()),
        subject: row.text("subject")?,
        at: row.instant("ended_at")?,
    }))
}

/// Returns the message of a revision, where it has one that is kept.
pub(super) async fn body(database: &Database, id: &MailId) -> Result<Option<String>, StoreError> {
    let date = id.key.logical_date.to_string();
    let row = database.row("reading an e-mail", BODY, &bound_id(id, &date, [])).await?;
    row.map(|row| row.text("body")).transpose()
}

/// Returns the last night before `before` whose digest was handed over and reported no failed job.
pub(super) async fn last_digest(database: &Database, dag: &DagName, before: Date) -> Result<Option<Date>, StoreError> {
    let before = before.to_string();
    let row = database.row("looking for the last digest", LAST_DIGEST, &[dag.into(), (&before).into()]).await?;
    let Some(row) = row else { return Ok(None) };
    row.text_or_null("logical_date")?.map(|_| row.parse("logical_date")).transpose()
}

fn due_of(row: &Row) -> Result<DueMail, StoreError> {
    let message_id = row.text("message_id")?;
    let corrects: Vec<String> = row.json_or_null("corrects")?.unwrap_or_default();
    let body = row.text("body")?;
    let message = match row.text_or_null("header_to")? {
        Some(_) if webhook_of(&row.text("address")?).is_some() => body,
        Some(header_to) => Outgoing::joined(&header_to, &message_id, &corrects, &body),
        None => body,
    };
    Ok(DueMail {
        id: id_of(row)?,
        outgoing: Outgoing { message_id, from: row.text("sender")?, to: row.text("address")?, message },
        since: row.instant("since")?,
        tries: row.count("tries")?,
        word: row.text_or_null("verdict")?.map(|_| row.word("verdict")).transpose()?,
        newer: row.text_or_null("newer")?.map(|_| row.parse("newer")).transpose()?,
    })
}

fn no_mail(id: &MailId) -> StoreError {
    let MailId { key, revision } = id;
    StoreError::NoMail { mail: format!("{} {} {}, revision {revision}", key.dag, key.logical_date, key.audience) }
}
