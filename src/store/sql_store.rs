//! The state store over an SQL database: opens it, and passes each operation of the contract to the file of its topic.
//!
//! One implementation serves SQLite and PostgreSQL; only `sqlite`, `postgres` and the migrations differ between them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::attempt_contract::{AttemptClaim, Begun, Finished, JobStanding, LastSuccess, OutcomePart, Unattempted};
use super::contract::{StateStore, ToSettle, Watermark};
use super::database::Database;
use super::error::StoreError;
use super::mail_contract::{DueMail, HandedOver, MailRow, MailStore, Promise};
use super::outbox::{self, FailedTry};
use super::ownership::{self, Observed, Role, Tenure};
use super::run_contract::{Claim, EventRecord, NewRun, RunFilter, RunRecord};
use super::{
    attempts, commit, events, jobs, migrations, parts, postgres, revisions, runs, schedule, settle, sqlite, successes,
};
use crate::domain::check::Finding;
use crate::domain::dag::Dag;
use crate::domain::delivery::{MailId, MailState, NextTry};
use crate::domain::ids::{DagName, JobName, RunId};
use crate::domain::job::{JobView, SkippedSlot};
use crate::domain::outcome::{FileRef, MailRecord, ModelRecord, SnapshotRef};
use crate::domain::run::RunState;

/// Opens the state store at `url` (`sqlite://path` or `postgres://…`), creates the file if there is none, and brings
/// the schema up to date.
///
/// # Errors
/// When the URL names no such database, when it cannot be opened or migrated, or when a newer program wrote it.
pub async fn open(url: &str) -> Result<Arc<dyn StateStore>, StoreError> {
    ownership::refuse_beside_earlier_owner(url)?;
    let database = connect(url, sqlite::Opened::Made).await?;
    migrations::apply(&database).await?;
    Ok(Arc::new(SqlStore { database }))
}

/// Opens the state store at `url` for reading: nothing is created, migrated or written.
///
/// # Errors
/// When it does not exist, cannot be opened, or has another schema than this program's.
pub async fn look(url: &str) -> Result<Arc<dyn StateStore>, StoreError> {
    let database = connect(url, sqlite::Opened::ToRead).await?;
    let found = migrations::found(&database).await?;
    if found < migrations::KNOWN {
        return Err(StoreError::Older { url: database.url, found, known: migrations::KNOWN });
    }
    Ok(Arc::new(SqlStore { database }))
}

/// Connects to the database at `url` without migrating it.
pub(super) async fn connect(url: &str, opened: sqlite::Opened) -> Result<Database, StoreError> {
    match url.split_once("://") {
        Some(("sqlite", path)) if !path.is_empty() && path != ":memory:" => {
            sqlite::connect(Path::new(path), opened).await
        }
        Some(("postgres" | "postgresql", _)) => postgres::connect(url).await,
        Some((scheme, _)) => Err(StoreError::Url { scheme: scheme.to_owned() }),
        None => Err(StoreError::Url { scheme: "(no scheme)".to_owned() }),
    }
}

/// The state store over an SQL database.
pub(super) struct SqlStore {
    /// The database.
    pub(super) database: Database,
}

#[async_trait]
impl StateStore for SqlStore {
    async fn create_run(&self, new: NewRun) -> Result<Option<RunRecord>, StoreError> {
        runs::create(&self.database, new).await
    }

    async fn observe_owner(&self) -> Result<Observed, StoreError> {
        ownership::observe(&self.database).await
    }

    async fn take_ownership(&self, owner: &str, role: Role, seen: &Observed) -> Result<Option<Tenure>, StoreError> {
        ownership::take(&self.database, owner, role, seen).await
    }

    async fn renew_ownership(&self, tenure: &Tenure) -> Result<(), StoreError> {
        ownership::renew(&self.database, tenure).await
    }

    async fn resign_ownership(&self, tenure: &Tenure) -> Result<(), StoreError> {
        ownership::resign(&self.database, tenure).await
    }

    async fn claim_run(&self, run_id: &RunId, tenure: &Tenure, now: Timestamp) -> Result<Claim, StoreError> {
        runs::claim(&self.database, run_id, tenure, now).await
    }

    async fn begin_attempt(
        &self,
        claim: &Claim,
        job: &JobName,
        fence: &str,
        now: Timestamp,
    ) -> Result<Begun, StoreError> {
        attempts::begin(&self.database, claim, claim.at(job, now), fence).await
    }

    async fn commit_part(
        &self,
        attempt: &AttemptClaim,
        part: OutcomePart<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        attempts::commit_part(&self.database, attempt, part, now).await
    }

    async fn finish_attempt(
        &self,
        attempt: &AttemptClaim,
        finished: Finished,
        now: Timestamp,
    ) -> Result<JobStanding, StoreError> {
        attempts::finish(&self.database, attempt, finished, now).await
    }

    async fn finish_unattempted(
        &self,
        claim: &Claim,
        job: &JobName,
        end: Unattempted,
        now: Timestamp,
    ) -> Result<JobStanding, StoreError> {
        attempts::finish_unattempted(&self.database, claim, claim.at(job, now), end).await
    }

    async fn finish_run(&self, claim: &Claim, state: RunState, now: Timestamp) -> Result<(), StoreError> {
        runs::finish(&self.database, claim, state, now).await
    }

    async fn request_cancel(&self, run_id: &RunId, said: &str, now: Timestamp) -> Result<bool, StoreError> {
        runs::request_cancel(&self.database, run_id, said, now).await
    }

    async fn run(&self, run_id: &RunId) -> Result<Option<RunRecord>, StoreError> {
        runs::one(&self.database, run_id).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        runs::list(&self.database, filter).await
    }

    async fn jobs(&self, run_id: &RunId) -> Result<Vec<JobView>, StoreError> {
        jobs::jobs(&self.database, run_id).await
    }

    async fn job_standings(&self, run_id: &RunId) -> Result<Vec<JobStanding>, StoreError> {
        jobs::job_standings(&self.database, run_id).await
    }

    async fn dag_of(&self, run_id: &RunId) -> Result<Dag, StoreError> {
        runs::dag_of(&self.database, run_id).await
    }

    async fn events(&self, run_id: &RunId, after: i64) -> Result<Vec<EventRecord>, StoreError> {
        events::events(&self.database, run_id, after).await
    }

    async fn snapshots(&self) -> Result<BTreeMap<String, SnapshotRef>, StoreError> {
        commit::snapshots(&self.database).await
    }

    async fn snapshots_at_end_of(&self, run_id: &RunId) -> Result<BTreeMap<String, SnapshotRef>, StoreError> {
        commit::snapshots_at_end_of(&self.database, run_id).await
    }

    async fn findings_left(&self, run_id: &RunId) -> Result<Vec<Finding>, StoreError> {
        parts::findings_left(&self.database, run_id).await
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
        successes::last_success(&self.database, dag, job, logical_date).await
    }

    async fn durations(&self, dag: &DagName, job: &JobName, most: u32) -> Result<Vec<SignedDuration>, StoreError> {
        successes::durations(&self.database, dag, job, most).await
    }

    async fn to_settle(&self, now: Timestamp) -> Result<Vec<ToSettle>, StoreError> {
        settle::due(&self.database, now).await
    }

    async fn is_to_settle(&self, target: &str) -> Result<bool, StoreError> {
        settle::is_wanted(&self.database, target).await
    }

    async fn settled(&self, target: &str, wanted: i64) -> Result<(), StoreError> {
        settle::settled(&self.database, target, wanted).await
    }

    async fn not_settled(&self, target: &str, error: &str, next_try: Timestamp) -> Result<(), StoreError> {
        settle::not_settled(&self.database, target, error, next_try).await
    }

    async fn want_all_settled(&self, now: Timestamp) -> Result<(), StoreError> {
        settle::want_all(&self.database, now).await
    }

    async fn published_file(&self, key: &str) -> Result<Option<FileRef>, StoreError> {
        settle::file(&self.database, key).await
    }

    async fn watermark(&self, dag: &DagName) -> Result<Option<Watermark>, StoreError> {
        schedule::watermark(&self.database, dag).await
    }

    async fn set_watermark(&self, dag: &DagName, watermark: &Watermark) -> Result<(), StoreError> {
        schedule::set_watermark(&self.database, dag, watermark).await
    }

    async fn skip_slot(
        &self,
        slot: &SkippedSlot,
        promise: Option<Promise<'_>>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        schedule::skip_slot(&self.database, slot, promise, now).await
    }

    async fn free_slots(&self, dag: &DagName, now: Timestamp, beyond: Timestamp) -> Result<u64, StoreError> {
        schedule::free_slots(&self.database, dag, now, beyond).await
    }

    async fn skipped_slots(&self, filter: &RunFilter) -> Result<Vec<SkippedSlot>, StoreError> {
        schedule::skipped(&self.database, filter).await
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
        outbox::failed(&self.database, id, FailedTry { why, next }, now).await
    }

    async fn mail_ended(&self, id: &MailId, state: MailState, why: &str, now: Timestamp) -> Result<(), StoreError> {
        outbox::end(&self.database, id, (state, why), now).await
    }

    async fn mail_hurry(&self, now: Timestamp) -> Result<u64, StoreError> {
        outbox::hurry(&self.database, now).await
    }

    async fn mails_of(&self, dag: &DagName, logical_date: Date) -> Result<Vec<MailRow>, StoreError> {
        revisions::of_night(&self.database, dag, logical_date).await
    }

    async fn mail_body(&self, id: &MailId) -> Result<Option<String>, StoreError> {
        outbox::body(&self.database, id).await
    }

    async fn mails_open(&self, since: Timestamp) -> Result<Vec<MailRow>, StoreError> {
        outbox::open(&self.database, since).await
    }

    async fn last_digest(&self, dag: &DagName, before: Date) -> Result<Option<Date>, StoreError> {
        outbox::last_digest(&self.database, dag, before).await
    }
}
