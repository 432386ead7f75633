//! State: what was asked, what ran, what was committed.
//!
//! [`StateStore`] is the contract; [`open`] returns it over SQLite (`sqlite://var/nocturne.db`, the embedded default)
//! or PostgreSQL (`postgres://…`). The store holds DAG versions, runs, attempts, events, leases, cursors, snapshots
//! and lineage, models, outbox and audit log; data stay in the lake.
//!
//! Every operation is written once: `database` hides which of the two typed pools is below, and the statements
//! (`sql/state/*.sql`, `$n` placeholders) are the same text for both. How to change the schema: a new
//! `sql/migrations/{sqlite,postgres}/NNNN_*.sql` of the same number in both folders, and a line each in `migrations`.

mod attempt_contract;
mod attempt_rows;
mod attempts;
mod audit;
mod commit;
mod contract;
mod database;
mod error;
mod events;
mod health;
mod hold;
mod job_at;
mod jobs;
mod keeping;
mod keeping_contract;
mod mail_contract;
mod maintenance;
mod migrations;
mod outbox;
mod ownership;
mod parts;
mod postgres;
mod repair;
mod repair_contract;
mod restore;
mod revisions;
mod row;
mod run_contract;
mod runs;
mod schedule;
mod settle;
mod sql_store;
mod sqlite;
mod successes;

pub use attempt_contract::{
    AttemptClaim, AttemptEnd, Base, Begun, Committed, JobStanding, LastSuccess, OutcomePart, Unattempted,
};
pub use contract::{StateStore, ToSettle, Watermark};
pub use error::StoreError;
pub use health::{FileHealth, Health, file_problems, health};
pub use keeping_contract::{Cuts, Forgotten, Keeping};
pub use mail_contract::{DueMail, HandedOver, MailRow, MailStore, Outgoing, Promise};
pub use maintenance::{AuditReport, CheckReport, MigrationReport, backup, check, migrate, verify_audit};
pub use ownership::{Observed, Role, StoreLock, TENURE, Tenure, keep_from_owners};
pub use repair_contract::{AuditEntry, Backfill, JobMark, Pause, Repairs};
pub use restore::{RestoreReport, restore};
pub use run_contract::{Claim, EventRecord, NewRun, RunFilter, RunRecord};
pub(crate) use settle::identities_target;
pub use sql_store::{look, open};
