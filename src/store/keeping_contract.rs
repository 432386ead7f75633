//! The part of the contract that keeps a state store within its limits: what may be forgotten, and whether anything may
//! be collected at all.
//!
//! What may go is decided in `domain::keeping`; `keeping` deletes it. After a backup was put back
//! ([`Keeping::note_restored`]) nothing is collected until state and lake agree ([`Keeping::note_agreement`]).

use async_trait::async_trait;
use jiff::Timestamp;

use super::error::StoreError;
use crate::domain::ids::RunId;
use crate::domain::keeping::StoredRun;

/// The instants before which rows are forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cuts {
    /// Events of runs that ended earlier.
    pub events: Timestamp,
    /// What attempts returned that ended earlier.
    pub outcomes: Timestamp,
    /// Texts of e-mails that were sent earlier.
    pub mail_bodies: Timestamp,
    /// Skipped slots, and forms of DAGs that no run has, from earlier.
    pub slots: Timestamp,
    /// What was measured earlier, and alerts that were resolved earlier.
    pub measurements: Timestamp,
}

/// How many rows were forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Events.
    pub events: u64,
    /// Outcomes of attempts.
    pub outcomes: u64,
    /// Texts of e-mails.
    pub mail_bodies: u64,
    /// Measurements, skipped slots, lineage of snapshots that no run has, and forms of DAGs that no run has.
    pub others: u64,
}

/// Keeps a state store within its limits. A part of the contract of [`super::StateStore`].
///
/// # Errors
/// Every method: [`StoreError::Query`] when the database fails and [`StoreError::Unreadable`] when what is stored does
/// not parse. What was deleted before an error stays deleted.
#[async_trait]
pub trait Keeping: Send + Sync {
    /// Returns every run with what decides whether it may go.
    async fn stored_runs(&self) -> Result<Vec<StoredRun>, StoreError>;

    /// Returns the names of the attempts that run, `<run>.<job>.<attempt>`.
    async fn running_attempts(&self) -> Result<Vec<String>, StoreError>;

    /// Deletes a run with all that belongs to it, unless it is open; returns whether it did.
    async fn delete_run(&self, run_id: &RunId) -> Result<bool, StoreError>;

    /// Forgets what lies before the cuts and is not in use.
    async fn forget(&self, cuts: &Cuts) -> Result<Forgotten, StoreError>;

    /// Returns when what is beyond its limits was last removed.
    async fn kept_at(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Notes that what is beyond its limits was removed.
    async fn note_kept(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Returns whether anything may be collected, of rows, staged files or snapshots: not after a backup was put back,
    /// until state and lake agree.
    async fn is_collecting_allowed(&self) -> Result<bool, StoreError>;

    /// Notes that a backup was put in the state store's place.
    async fn note_restored(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Notes that state and lake agree: things may be collected again.
    async fn note_agreement(&self, now: Timestamp) -> Result<(), StoreError>;
}
