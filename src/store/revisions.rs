//! Revisions of e-mails: promised, filled, replaced, within the transaction that decides.
//!
//! `domain::delivery` decides what happens, from the current rows; this reads and writes them. On PostgreSQL all
//! writers of one night's e-mails wait for each other at the row of its run numbers; if there is none yet (a night
//! without any run), only the owner of the store writes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::database::{Bind, Database, Transaction};
use super::error::StoreError;
use super::job_at::JobAt;
use super::mail_contract::{HandedOver, MailRow, Promise};
use super::row::Row;
use crate::domain::delivery::{
    self, Bringer, Decision, ExpectedMail, MailId, MailKey, MailState, Recipient, Revision, Signature, Word,
};
use crate::domain::ids::{DagName, RunId, content_hash};
use crate::domain::outcome::MailRecord;

const PUT: &str = include_str!("../../sql/state/mail_put.sql");
const EXPECT: &str = include_str!("../../sql/state/mail_expect.sql");
const RECORD: &str = include_str!("../../sql/state/mail_record.sql");
const REVISIONS: &str = include_str!("../../sql/state/mail_revisions.sql");
const SENT: &str = include_str!("../../sql/state/mail_sent.sql");
const REPLACE: &str = include_str!("../../sql/state/mail_replace.sql");
const KEEP_BODY: &str = "INSERT INTO mail_bodies (id, body, kept_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";
const LOCK_NIGHT: &str = "UPDATE run_numbers SET n = n WHERE dag = $1 AND logical_date = $2";
const NIGHT_OF: &str = "SELECT dag, logical_date FROM runs WHERE run_id = $1";

/// A night's e-mails.
#[derive(Debug, Clone, Copy)]
struct Night<'a> {
    dag: &'a DagName,
    logical_date: Date,
}

/// The content of an e-mail, the same for every recipient.
struct Content<'a> {
    from: &'a str,
    subject: &'a str,
    signature: &'a Signature,
    body: Body<'a>,
    run_id: Option<&'a RunId>,
}

/// A revision that waits to be sent.
struct Waiting<'a> {
    id: &'a MailId,
    recipient: &'a Recipient,
    content: &'a Content<'a>,
    /// The Message-IDs that it corrects, as JSON.
    corrects: &'a str,
}

/// A revision that is promised.
struct Promised<'a> {
    id: &'a MailId,
    mail: &'a ExpectedMail,
    /// The run that is to keep the promise.
    run_id: Option<&'a RunId>,
    /// Why its slot has no run.
    skipped: Option<&'a str>,
}

/// A body: to be kept with the first row that needs it, or kept already under that id.
#[derive(Clone, Copy)]
enum Body<'a> {
    New(&'a str),
    Kept(&'a str),
}

/// A stored revision with the fields that only decisions and repeats need.
struct Stored {
    row: MailRow,
    sender: Option<String>,
    body: Option<String>,
    is_sending: bool,
    promise_is_open: bool,
}

/// Puts a digest in the outbox for each recipient, as `domain::delivery` decides; returns how many get it.
pub(super) async fn put(tx: &mut Transaction, at: JobAt<'_>, mail: &MailRecord) -> Result<usize, StoreError> {
    let night = Night { dag: &mail.dag, logical_date: mail.logical_date };
    let there = load(tx, night, Some(&mail.audience)).await?;
    let content = Content {
        from: &mail.from,
        subject: &mail.subject,
        signature: &mail.signature,
        body: Body::New(&mail.body),
        run_id: Some(at.run_id),
    };
    let mut waiting = 0;
    for recipient in by_key(&mail.to).into_values() {
        let key = key(night, &mail.audience, recipient);
        let there = of_recipient(&there, &key);
        let decision = delivery::on_digest(&revisions(&there), &mail.signature, bringer(&there, at.run_id));
        waiting += usize::from(matches!(decision, Decision::Deliver { .. }));
        carry_out(tx, Target { key: &key, recipient, there: &there, now: at.now }, decision, &content).await?;
    }
    Ok(waiting)
}

/// Keeps the promises of a job that was up to date: its last digest for the night is sent again to those who were
/// promised one, or who have been told in the meantime that there is none.
pub(super) async fn repeat(tx: &mut Transaction, at: JobAt<'_>) -> Result<(), StoreError> {
    let Some(row) = tx.row(NIGHT_OF, &[at.run_id.into()]).await? else { return Ok(()) };
    let dag: DagName = row.parse("dag")?;
    let night = Night { dag: &dag, logical_date: row.parse("logical_date")? };
    let there = load(tx, night, Some(at.job.as_str())).await?;
    let digests = there.iter().filter(|stored| is_digest(stored.row.signature.as_ref()));
    let Some(last) = digests.max_by_key(|stored| stored.row.id.revision) else { return Ok(()) };
    let (Some(from), Some(subject), Some(signature), Some(body)) =
        (&last.sender, &last.row.subject, &last.row.signature, &last.body)
    else {
        return Ok(());
    };
    let content = Content { from, subject, signature, body: Body::Kept(body), run_id: Some(at.run_id) };
    let recipients: BTreeMap<&String, &Recipient> =
        there.iter().map(|stored| (&stored.row.id.key.recipient, &stored.row.recipient)).collect();
    for recipient in recipients.into_values() {
        let key = key(night, at.job.as_str(), recipient);
        let there = of_recipient(&there, &key);
        let decision = delivery::on_digest(&revisions(&there), signature, bringer(&there, at.run_id));
        carry_out(tx, Target { key: &key, recipient, there: &there, now: at.now }, decision, &content).await?;
    }
    Ok(())
}

/// Writes what a slot promises. A recipient who already has a promise for that night is skipped.
pub(super) async fn promise(tx: &mut Transaction, promise: &Promise<'_>, now: Timestamp) -> Result<(), StoreError> {
    if promise.mails.is_empty() {
        return Ok(());
    }
    let night = Night { dag: promise.dag, logical_date: promise.logical_date };
    let there = load(tx, night, None).await?;
    let mut mails: Vec<&ExpectedMail> = promise.mails.iter().collect();
    mails.sort_by_key(|mail| (mail.audience.clone(), mail.recipient.key()));
    mails.dedup_by_key(|mail| (mail.audience.clone(), mail.recipient.key()));
    for mail in mails {
        let key = key(night, &mail.audience, &mail.recipient);
        if let Some(revision) = delivery::promise(&revisions(&of_recipient(&there, &key))) {
            let id = MailId { key, revision };
            let Promise { run_id, skipped, .. } = *promise;
            expect(tx, &Promised { id: &id, mail, run_id, skipped }, now).await?;
        }
    }
    Ok(())
}

/// Fills what is promised with a notice, and returns how many e-mails wait because of it.
pub(super) async fn notify(database: &Database, notice: &MailRecord, now: Timestamp) -> Result<usize, StoreError> {
    let mut tx = database.begin("filling promised e-mails with a notice").await?;
    let night = Night { dag: &notice.dag, logical_date: notice.logical_date };
    let there = load(&mut tx, night, Some(&notice.audience)).await?;
    let content = Content {
        from: &notice.from,
        subject: &notice.subject,
        signature: &notice.signature,
        body: Body::New(&notice.body),
        run_id: None,
    };
    let mut waiting = 0;
    for recipient in by_key(&notice.to).into_values() {
        let key = key(night, &notice.audience, recipient);
        let there = of_recipient(&there, &key);
        let decision = delivery::on_notice(&revisions(&there), &notice.signature);
        waiting += usize::from(matches!(decision, Decision::Deliver { .. }));
        carry_out(&mut tx, Target { key: &key, recipient, there: &there, now }, decision, &content).await?;
    }
    tx.commit().await?;
    Ok(waiting)
}

/// Closes the promises of a night.
pub(super) async fn close(
    database: &Database,
    dag: &DagName,
    logical_date: Date,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = database.begin("closing promises of e-mails").await?;
    for stored in load(&mut tx, Night { dag, logical_date }, None).await? {
        if stored.row.state == MailState::Expected {
            replace(&mut tx, &stored.row.id, now).await?;
        }
    }
    tx.commit().await
}

/// Records an e-mail that another process handed over.
pub(super) async fn record(database: &Database, mail: &HandedOver, now: Timestamp) -> Result<(), StoreError> {
    let mut tx = database.begin("recording an e-mail of the watchdog").await?;
    let night = Night { dag: &mail.id.key.dag, logical_date: mail.id.key.logical_date };
    let there = load(&mut tx, night, Some(&mail.id.key.audience)).await?;
    let there = of_recipient(&there, &mail.id.key);
    if let Some(known) = there.iter().find(|stored| stored.row.message_id.as_ref() == Some(&mail.message_id)) {
        let id = &known.row.id;
        let date = id.key.logical_date.to_string();
        tx.execute(SENT, &bound_id(id, &date, [mail.at.min(now).into()])).await?;
        return tx.commit().await;
    }
    let newest = there.last().map(|stored| (stored.row.id.revision, stored.row.state));
    let revision = match newest {
        Some((revision, MailState::Expected)) => revision,
        Some((revision, _)) => revision + 1,
        None => mail.id.revision,
    };
    let failed = tx.json("the failed jobs of an e-mail", &mail.signature.failed_jobs)?;
    let date = night.logical_date.to_string();
    let binds = [
        night.dag.into(),
        (&date).into(),
        (&mail.id.key.audience).into(),
        (&mail.id.key.recipient).into(),
        revision.into(),
        (&mail.recipient.address).into(),
        (&mail.recipient.header).into(),
        mail.signature.word.as_str().into(),
        (&failed).into(),
        (&mail.message_id).into(),
        (&mail.from).into(),
        (&mail.subject).into(),
        mail.at.min(now).into(),
    ];
    tx.execute(RECORD, &binds).await?;
    tx.commit().await
}

/// Returns the revisions of a night.
pub(super) async fn of_night(
    database: &Database,
    dag: &DagName,
    logical_date: Date,
) -> Result<Vec<MailRow>, StoreError> {
    let date = logical_date.to_string();
    let binds = [dag.into(), (&date).into(), Bind::Text(None)];
    database.rows("reading a night's e-mails", REVISIONS, &binds).await?.iter().map(row_of).collect()
}

/// Returns a stored revision, from a row that has at least the columns of `mail_open.sql`.
pub(super) fn row_of(row: &Row) -> Result<MailRow, StoreError> {
    let word: Option<Word> = row.text_or_null("verdict")?.map(|_| row.word("verdict")).transpose()?;
    let failed_jobs: Option<Vec<String>> = row.json_or_null("failed_jobs")?;
    let address = row.text("address")?;
    let header = row.text_or_null("header_to")?.unwrap_or_default();
    Ok(MailRow {
        id: id_of(row)?,
        state: row.word("state")?,
        recipient: Recipient { address, header },
        promised_to: row.text_or_null("promised_to")?.map(RunId::from_stored),
        skipped: row.text_or_null("skipped")?,
        deadline: row.instant_or_null("deadline_at")?,
        signature: word.map(|word| Signature::new(word, failed_jobs.unwrap_or_default())),
        message_id: row.text_or_null("message_id")?,
        subject: row.text_or_null("subject")?,
        since: row.instant("since")?,
        tries: row.count("tries")?,
        last_error: row.text_or_null("last_error")?,
        ended_at: row.instant_or_null("ended_at")?,
    })
}

/// Returns the revision that a row describes.
pub(super) fn id_of(row: &Row) -> Result<MailId, StoreError> {
    let key = MailKey {
        dag: row.parse("dag")?,
        logical_date: row.parse("logical_date")?,
        audience: row.text("audience")?,
        recipient: row.text("recipient")?,
    };
    Ok(MailId { key, revision: row.count("revision")? })
}

/// Replaces this revision by another, unless it was handed over.
pub(super) async fn replace(tx: &mut Transaction, id: &MailId, now: Timestamp) -> Result<(), StoreError> {
    let date = id.key.logical_date.to_string();
    tx.execute(REPLACE, &bound_id(id, &date, [now.into()])).await?;
    Ok(())
}

/// Returns the parameters of a statement whose first five are a revision's key.
pub(super) fn bound_id<'a, const N: usize>(id: &'a MailId, date: &'a str, more: [Bind<'a>; N]) -> Vec<Bind<'a>> {
    let key = &id.key;
    let mut binds =
        vec![(&key.dag).into(), date.into(), (&key.audience).into(), (&key.recipient).into(), id.revision.into()];
    binds.extend(more);
    binds
}

/// One recipient's e-mail, and the current time.
#[derive(Clone, Copy)]
struct Target<'a> {
    key: &'a MailKey,
    recipient: &'a Recipient,
    there: &'a [&'a Stored],
    now: Timestamp,
}

async fn carry_out(
    tx: &mut Transaction,
    target: Target<'_>,
    decision: Decision,
    content: &Content<'_>,
) -> Result<(), StoreError> {
    let Target { key, recipient, there, now } = target;
    let id = |revision| MailId { key: key.clone(), revision };
    match decision {
        Decision::Nothing => Ok(()),
        Decision::Close { revision } => replace(tx, &id(revision), now).await,
        Decision::Deliver { revision, corrects, replaces, promises } => {
            for old in replaces {
                replace(tx, &id(old), now).await?;
            }
            let corrected = there.iter().filter(|stored| corrects.contains(&stored.row.id.revision));
            let corrected: Vec<&String> = corrected.filter_map(|stored| stored.row.message_id.as_ref()).collect();
            let corrected = tx.json("the e-mails that one corrects", &corrected)?;
            wait(tx, &Waiting { id: &id(revision), recipient, content, corrects: &corrected }, now).await?;
            let promised = there.iter().find(|stored| stored.row.state == MailState::Expected);
            if let (Some(next), Some(promised)) = (promises, promised) {
                let MailRow { promised_to, skipped, deadline, .. } = &promised.row;
                let audience = key.audience.clone();
                let mail = ExpectedMail { audience, recipient: recipient.clone(), deadline: *deadline };
                let (run_id, skipped) = (promised_to.as_ref(), skipped.as_deref());
                expect(tx, &Promised { id: &id(next), mail: &mail, run_id, skipped }, now).await?;
            }
            Ok(())
        }
    }
}

async fn wait(tx: &mut Transaction, waiting: &Waiting<'_>, now: Timestamp) -> Result<(), StoreError> {
    let &Waiting { id, recipient, content, corrects } = waiting;
    let date = id.key.logical_date.to_string();
    let failed = tx.json("the failed jobs of an e-mail", &content.signature.failed_jobs)?;
    let domain = content.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let message_id = id.message_id(domain);
    let header = match recipient.header.as_str() {
        "" => format!("To: <{}>\r\n", recipient.address),
        header => header.to_owned(),
    };
    let body = match content.body {
        Body::New(body) => keep_body(tx, body, now).await?,
        Body::Kept(id) => id.to_owned(),
    };
    let binds = bound_id(
        id,
        &date,
        [
            (&recipient.address).into(),
            (&header).into(),
            content.signature.word.as_str().into(),
            (&failed).into(),
            (&message_id).into(),
            corrects.into(),
            content.from.into(),
            content.subject.into(),
            (&body).into(),
            content.run_id.map(RunId::as_str).into(),
            now.into(),
        ],
    );
    tx.execute(PUT, &binds).await?;
    Ok(())
}

async fn expect(tx: &mut Transaction, promised: &Promised<'_>, now: Timestamp) -> Result<(), StoreError> {
    let &Promised { id, mail, run_id, skipped } = promised;
    let date = id.key.logical_date.to_string();
    let binds = bound_id(
        id,
        &date,
        [
            (&mail.recipient.address).into(),
            (&mail.recipient.header).into(),
            run_id.map(RunId::as_str).into(),
            skipped.into(),
            mail.deadline.into(),
            now.into(),
        ],
    );
    tx.execute(EXPECT, &binds).await?;
    Ok(())
}

/// Keeps a body and returns its id.
async fn keep_body(tx: &mut Transaction, body: &str, now: Timestamp) -> Result<String, StoreError> {
    let id = content_hash(body.as_bytes());
    tx.execute(KEEP_BODY, &[(&id).into(), body.into(), now.into()]).await?;
    Ok(id)
}

async fn load(tx: &mut Transaction, night: Night<'_>, audience: Option<&str>) -> Result<Vec<Stored>, StoreError> {
    let date = night.logical_date.to_string();
    tx.execute(LOCK_NIGHT, &[night.dag.into(), (&date).into()]).await?;
    tx.rows(REVISIONS, &[night.dag.into(), (&date).into(), audience.into()]).await?.iter().map(stored_of).collect()
}

fn stored_of(row: &Row) -> Result<Stored, StoreError> {
    Ok(Stored {
        sender: row.text_or_null("sender")?,
        body: row.text_or_null("body")?,
        is_sending: row.int_or_null("sending_since")?.is_some(),
        promise_is_open: row.flag("promise_is_open")?,
        row: row_of(row)?,
    })
}

fn key(night: Night<'_>, audience: &str, recipient: &Recipient) -> MailKey {
    MailKey {
        dag: night.dag.clone(),
        logical_date: night.logical_date,
        audience: audience.to_owned(),
        recipient: recipient.key(),
    }
}

/// Returns the recipients, each once, in the order of their keys.
fn by_key(to: &[Recipient]) -> BTreeMap<String, &Recipient> {
    to.iter().rev().map(|recipient| (recipient.key(), recipient)).collect()
}

fn of_recipient<'a>(there: &'a [Stored], key: &MailKey) -> Vec<&'a Stored> {
    there.iter().filter(|stored| stored.row.id.key == *key).collect()
}

fn revisions(there: &[&Stored]) -> Vec<Revision> {
    let revision = |stored: &&Stored| Revision {
        number: stored.row.id.revision,
        state: stored.row.state,
        signature: stored.row.signature.clone(),
        is_sending: stored.is_sending,
    };
    there.iter().map(revision).collect()
}

/// Returns whether `run_id` may keep the promise, given the recipient's revisions.
fn bringer(there: &[&Stored], run_id: &RunId) -> Bringer {
    let promised = there.iter().find(|stored| stored.row.state == MailState::Expected);
    let is_anothers = promised.is_some_and(|stored| {
        stored.promise_is_open && stored.row.promised_to.as_ref().is_some_and(|promised| promised != run_id)
    });
    if is_anothers { Bringer::Another } else { Bringer::Promised }
}

fn is_digest(signature: Option<&Signature>) -> bool {
    signature.is_some_and(|signature| matches!(signature.word, Word::Ok | Word::Look | Word::Failed))
}
