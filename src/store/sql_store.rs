//! The state store over a SQL database: opens it, and hands each operation of the contract to the file of its topic.
//!
//! One implementation serves SQLite and PostgreSQL; what differs between them is in `sqlite`, `postgres` and the
//! migrations alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::contract::{
    AttemptEnd, Claim, EventRecord, LastSuccess, NewRun, RunFilter, RunRecord, StateStore, Unattempted,
};
use super::database::Database;
use super::error::StoreError;
use super::mail_contract::{DueMail, HandedOver, MailRow, MailStore, Promise};
use super::{attempts, commit, migrations, outbox, postgres, revisions, runs, schedule, sqlite};
use crate::domain::dag::Dag;
use crate::domain::delivery::{MailId, NextTry};
use crate::domain::ids::{DagName, JobName, RunId};
use crate::domain::job::JobView;
use crate::domain::outcome::{MailRecord, ModelRecord, SnapshotRef};
use crate::domain::run::RunState;

/// Opens the state store at `url` (`sqlite://path` or `postgres://…`), makes the file where there is none, and brings
/// the schema up to date.
///
/// # Errors
/// When the URL names no such database, when it cannot be opened or migrated, or when a newer program wrote it.
pub async fn open(url: &str) -> Result<Arc<dyn StateStore>, StoreError> {
    let database = connect(url, sqlite::IfMissing::Create).await?;
    migrations::apply(&database).await?;
    Ok(Arc::new(SqlStore { database }))
}

/// Opens the state store at `url` to look at it: nothing is made, migrated or written.
///
/// # Errors
/// When it is not there, cannot be opened, or has another schema than this program's.
pub async fn look(url: &str) -> Result<Arc<dyn StateStore>, StoreError> {
    let database = connect(url, sqlite::IfMissing::Refuse).await?;
    let found = migrations::found(&database).await?;
    if found < migrations::KNOWN {
        return Err(StoreError::Older { url: database.url, found, known: migrations::KNOWN });
    }
    Ok(Arc::new(SqlStore { database }))
}

/// Connects to the database at `url` without migrating it.
pub(super) async fn connect(url: &str, if_missing: sqlite::IfMissing) -> Result<Database, StoreError> {
    match url.split_once("://") {
        Some(("sqlite", path)) if !path.is_empty() && path != ":memory:" => {
            sqlite::connect(Path::new(path), if_missing).await
        }
        Some(("postgres" | "postgresql", _)) => postgres::connect(url).await,
        Some((scheme, _)) => Err(StoreError::Url { scheme: scheme.to_owned() }),
        None => Err(StoreError::Url { scheme: "(no scheme)".to_owned() }),
    }
}

struct SqlStore {
    database: Database,
}

#[async_trait]
impl StateStore for SqlStore {
    async fn create_run(&self, new: NewRun) -> Result<Option<RunRecord>, StoreError> {
        runs::create(&self.database, new).await
    }

    async fn claim_run(&self, run_id: &RunId, owner: &str, now: Timestamp) -> Result<Claim, StoreError> {
        runs::claim(&self.database, run_id, owner, now).await
    }

    async fn heartbeat(&self, claim: &Claim, now: Timestamp) -> Result<(), StoreError> {
        runs::heartbeat(&self.database, claim, now).await
    }

    async fn start_attempt(&self, claim: &Claim, job: &JobName, now: Timestamp) -> Result<u32, StoreError> {
        attempts::start(&self.database, claim, job, now).await
    }

    async fn finish_attempt(
        &self,
        claim: &Claim,
        job: &JobName,
        attempt: u32,
        end: AttemptEnd,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        attempts::finish(&self.database, attempts::Ended { claim, job, attempt, now }, end).await
    }

    async fn finish_unattempted(
        &self,
        claim: &Claim,
        job: &JobName,
        end: Unattempted,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        attempts::finish_unattempted(&self.database, claim, job, end, now).await
    }

    async fn finish_run(&self, claim: &Claim, state: RunState, now: Timestamp) -> Result<(), StoreError> {
        runs::finish(&self.database, claim, state, now).await
    }

    async fn request_cancel(&self, run_id: &RunId, now: Timestamp) -> Result<bool, StoreError> {
        runs::request_cancel(&self.database, run_id, now).await
    }

    async fn run(&self, run_id: &RunId) -> Result<Option<RunRecord>, StoreError> {
        runs::one(&self.database, run_id).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        runs::list(&self.database, filter).await
    }

    async fn jobs(&self, run_id: &RunId) -> Result<Vec<JobView>, StoreError> {
        attempts::jobs(&self.database, run_id).await
    }

    async fn dag_of(&self, run_id: &RunId) -> Result<Dag, StoreError> {
        runs::dag_of(&self.database, run_id).await
    }

    async fn events(&self, run_id: &RunId, after: i64) -> Result<Vec<EventRecord>, StoreError> {
        runs::events(&self.database, run_id, after).await
    }

    async fn snapshots(&self) -> Result<BTreeMap<String, SnapshotRef>, StoreError> {
        commit::snapshots(&self.database).await
    }

    async fn cursors(&self) -> Result<BTreeMap<String, String>, StoreError> {
        commit::cursors(&self.database).await
    }

    async fn models(&self) -> Result<Vec<ModelRecord>, StoreError> {
        commit::models(&self.database).await
    }

    async fn last_success(
        &self,
        dag: &DagName,
        job: &JobName,
        logical_date: Option<Date>,
    ) -> Result<Option<LastSuccess>, StoreError> {
        attempts::last_success(&self.database, dag, job, logical_date).await
    }

    async fn durations(&self, dag: &DagName, job: &JobName, most: u32) -> Result<Vec<SignedDuration>, StoreError> {
        attempts::durations(&self.database, dag, job, most).await
    }

    async fn watermark(&self, dag: &DagName) -> Result<Option<Timestamp>, StoreError> {
        schedule::watermark(&self.database, dag).await
    }

    async fn skip_slot(
        &self,
        dag: &DagName,
        slot: Timestamp,
        why: &str,
        promise: Option<Promise<'_>>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        schedule::skip_slot(&self.database, dag, slot, why, promise, now).await
    }

    async fn scheduler_alive(&self, owner: &str, until: Option<Timestamp>) -> Result<(), StoreError> {
        schedule::scheduler_alive(&self.database, owner, until).await
    }

    async fn is_scheduler_alive(&self, now: Timestamp) -> Result<bool, StoreError> {
        schedule::is_scheduler_alive(&self.database, now).await
    }
}

#[async_trait]
impl MailStore for SqlStore {
    async fn promise_mail(&self, promise: Promise<'_>, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.database.begin("promising e-mails").await?;
        revisions::promise(&mut tx, &promise, now).await?;
        tx.commit().await
    }

    async fn notify(&self, notice: &MailRecord, now: Timestamp) -> Result<usize, StoreError> {
        revisions::notify(&self.database, notice, now).await
    }

    async fn close_promises(&self, dag: &DagName, logical_date: Date, now: Timestamp) -> Result<(), StoreError> {
        revisions::close(&self.database, dag, logical_date, now).await
    }

    async fn record_handed_over(&self, mail: &HandedOver, now: Timestamp) -> Result<(), StoreError> {
        revisions::record(&self.database, mail, now).await
    }

    async fn mail_due(&self, now: Timestamp) -> Result<Vec<DueMail>, StoreError> {
        outbox::due(&self.database, now).await
    }

    async fn mail_begin(&self, id: &MailId, sender: &str, now: Timestamp) -> Result<bool, StoreError> {
        outbox::begin(&self.database, id, sender, now).await
    }

    async fn mail_release(&self, before: Timestamp) -> Result<u64, StoreError> {
        outbox::release(&self.database, before).await
    }

    async fn mail_sent(&self, id: &MailId, now: Timestamp) -> Result<(), StoreError> {
        outbox::sent(&self.database, id, now).await
    }

    async fn mail_failed(&self, id: &MailId, why: &str, next: NextTry, now: Timestamp) -> Result<(), StoreError> {
        outbox::failed(&self.database, id, why, next, now).await
    }

    async fn mails_of(&self, dag: &DagName, logical_date: Date) -> Result<Vec<MailRow>, StoreError> {
        revisions::of_night(&self.database, dag, logical_date).await
    }

    async fn mails_open(&self, since: Timestamp) -> Result<Vec<MailRow>, StoreError> {
        outbox::open(&self.database, since).await
    }

    async fn last_digest(&self, dag: &DagName, before: Date) -> Result<Option<Date>, StoreError> {
        outbox::last_digest(&self.database, dag, before).await
    }
}
