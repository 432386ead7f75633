//! A state store that sometimes gives no answer: the request is lost, or the answer after it was carried out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use nocturne::domain::alert::{Silence, StandingAlert};
use nocturne::domain::check::Finding;
use nocturne::domain::dag::Dag;
use nocturne::domain::delivery::{MailId, MailState, NextTry};
use nocturne::domain::ids::{DagName, JobName, RunId};
use nocturne::domain::job::{JobView, SkippedSlot};
use nocturne::domain::keeping::StoredRun;
use nocturne::domain::manual::Manual;
use nocturne::domain::measurement::{HistoryWanted, PastMeasurement};
use nocturne::domain::outcome::{FileRef, MailRecord, ModelRecord, SnapshotRef};
use nocturne::domain::run::RunState;
use nocturne::store::{
    AlertBook, AlertNews, AttemptClaim, AuditEntry, Backfill, Begun, Claim, Cuts, DueMail, EventRecord, Finished,
    Forgotten, HandedOver, JobMark, JobStanding, Keeping, LastSuccess, MailRow, MailStore, Measurements, NewRun,
    Observed, OutcomePart, Pause, Promise, Repairs, Role, RunFilter, RunRecord, StateStore, StoreError, Tenure,
    ToSettle, Unattempted, Watermark, Which,
};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// A store with faults, drawn from a seed.
pub(super) struct Faulty {
    pub(super) inner: Arc<dyn StateStore>,
    pub(super) draws: Mutex<ChaCha8Rng>,
    /// How many of a thousand requests are lost, and how many answers.
    pub(super) per_mille: u32,
}

impl Faulty {
    fn lose(&self) -> Result<(), StoreError> {
        if self.draws.lock().unwrap().random_range(0..1_000) < self.per_mille {
            return Err(StoreError::Query { operation: "answering", cause: sqlx::Error::PoolTimedOut });
        }
        Ok(())
    }
}

macro_rules! faulty {
    ($trait:ident: $($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        #[async_trait]
        impl $trait for Faulty {
            $(
                async fn $name(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
                    self.lose()?;
                    let answer = self.inner.$name($($argument),*).await?;
                    self.lose()?;
                    Ok(answer)
                }
            )+
        }
    };
}

faulty! {
    Keeping:
    stored_runs() -> Vec<StoredRun>;
    running_attempts() -> Vec<String>;
    delete_run(run_id: &RunId) -> bool;
    forget(cuts: &Cuts) -> Forgotten;
    kept_at() -> Option<Timestamp>;
    note_kept(now: Timestamp) -> ();
    is_collecting_allowed() -> bool;
    note_restored(now: Timestamp) -> ();
    note_agreement(now: Timestamp) -> ();
}

faulty! {
    MailStore:
    promise_mail(promise: Promise<'_>, now: Timestamp) -> ();
    notify(notice: &MailRecord, now: Timestamp) -> usize;
    close_promises(dag: &DagName, logical_date: Date, now: Timestamp) -> ();
    record_handed_over(mail: &HandedOver, now: Timestamp) -> ();
    mail_due(now: Timestamp) -> Vec<DueMail>;
    mail_begin(id: &MailId, sender: &str, now: Timestamp) -> bool;
    mail_release(before: Timestamp) -> u64;
    mail_sent(id: &MailId, now: Timestamp) -> ();
    mail_failed(id: &MailId, why: &str, next: NextTry, now: Timestamp) -> ();
    mail_ended(id: &MailId, state: MailState, why: &str, now: Timestamp) -> ();
    mail_hurry(now: Timestamp) -> u64;
    mails_of(dag: &DagName, logical_date: Date) -> Vec<MailRow>;
    mail_body(id: &MailId) -> Option<String>;
    mails_open(since: Timestamp) -> Vec<MailRow>;
    last_digest(dag: &DagName, before: Date) -> Option<Date>;
}

faulty! {
    Repairs:
    create_backfill(backfill: &Backfill, runs: Vec<NewRun>) -> Backfill;
    open_backfills() -> Vec<Backfill>;
    runs_of_backfill(backfill: &str) -> Vec<RunRecord>;
    mark_job(mark: JobMark<'_>, manual: &Manual, now: Timestamp) -> RunState;
    pause(dag: &DagName, manual: &Manual, now: Timestamp) -> bool;
    resume(dag: &DagName, manual: &Manual, now: Timestamp) -> bool;
    pauses() -> Vec<Pause>;
    audit_entries(run_id: Option<&RunId>, limit: u32) -> Vec<AuditEntry>;
}

faulty! {
    AlertBook:
    alerts(which: Which, most: u32) -> Vec<StandingAlert>;
    alerts_standing_in(dag: &DagName, date: Date) -> Vec<StandingAlert>;
    acknowledge(alert: &str, manual: &Manual, now: Timestamp) -> bool;
    silence(alert: &str, silence: &Silence, now: Timestamp) -> bool;
    alert_history(alert: Option<&str>, most: u32) -> Vec<AlertNews>;
}

faulty! {
    Measurements:
    history(dag: &DagName, wanted: HistoryWanted, before: Date) -> Vec<PastMeasurement>;
}

faulty! {
    StateStore:
    create_run(new: NewRun) -> Option<RunRecord>;
    observe_owner() -> Observed;
    take_ownership(owner: &str, role: Role, seen: &Observed) -> Option<Tenure>;
    renew_ownership(tenure: &Tenure) -> ();
    resign_ownership(tenure: &Tenure) -> ();
    claim_run(run_id: &RunId, tenure: &Tenure, now: Timestamp) -> Claim;
    begin_attempt(claim: &Claim, job: &JobName, fence: &str, now: Timestamp) -> Begun;
    commit_part(attempt: &AttemptClaim, part: OutcomePart<'_>, now: Timestamp) -> ();
    finish_attempt(attempt: &AttemptClaim, finished: Finished, now: Timestamp) -> JobStanding;
    finish_unattempted(claim: &Claim, job: &JobName, end: Unattempted, now: Timestamp) -> JobStanding;
    finish_run(claim: &Claim, state: RunState, now: Timestamp) -> ();
    request_cancel(run_id: &RunId, said: &str, now: Timestamp) -> bool;
    run(run_id: &RunId) -> Option<RunRecord>;
    runs(filter: &RunFilter) -> Vec<RunRecord>;
    jobs(run_id: &RunId) -> Vec<JobView>;
    job_standings(run_id: &RunId) -> Vec<JobStanding>;
    dag_of(run_id: &RunId) -> Dag;
    events(run_id: &RunId, after: i64) -> Vec<EventRecord>;
    snapshots() -> BTreeMap<String, SnapshotRef>;
    snapshots_at_end_of(run_id: &RunId) -> BTreeMap<String, SnapshotRef>;
    findings_left(run_id: &RunId) -> Vec<Finding>;
    cursors() -> BTreeMap<String, String>;
    models() -> Vec<ModelRecord>;
    last_success(dag: &DagName, job: &JobName, logical_date: Option<Date>) -> Option<LastSuccess>;
    to_settle(now: Timestamp) -> Vec<ToSettle>;
    is_to_settle(target: &str) -> bool;
    settled(target: &str, wanted: i64) -> ();
    not_settled(target: &str, error: &str, next_try: Timestamp) -> ();
    want_all_settled(now: Timestamp) -> ();
    published_file(key: &str) -> Option<FileRef>;
    watermark(dag: &DagName) -> Option<Watermark>;
    set_watermark(dag: &DagName, watermark: &Watermark) -> ();
    skip_slot(slot: &SkippedSlot, promise: Option<Promise<'_>>, now: Timestamp) -> bool;
    durations(dag: &DagName, job: &JobName, most: u32) -> Vec<SignedDuration>;
    free_slots(dag: &DagName, now: Timestamp, beyond: Timestamp) -> u64;
    skipped_slots(filter: &RunFilter) -> Vec<SkippedSlot>;
}
