//! State: what was asked, what ran, what was committed.
//!
//! [`StateStore`] is the contract; [`open`] returns it over SQLite (`sqlite://var/nocturne.db`, the embedded default)
//! or PostgreSQL (`postgres://…`). The store holds DAG versions, runs, attempts, events, leases, cursors, snapshots
//! and lineage, models, outbox and audit log; data stay in the lake.
//!
//! Every operation is written once: `database` hides which of the two typed pools is below, and the statements
//! (`sql/state/*.sql`, `$n` placeholders) are the same text for both.
//!
//! The topics: `runs`, `jobs`, `attempts`, `parts`, `events`, `schedule` (slots, watermarks, durations), `commit`
//! (snapshots, cursors, models), `successes`, `settle`, `outbox` and `revisions` (e-mails), `measurements`, `alerts`, `keeping`, `repair`
//! (backfills, marks, pauses), `ownership`, `audit`, `maintenance`.
//!
//! How to add a statement:
//! 1. A method of the contract: in [`StateStore`] (`contract`), or in the part whose topic it is: [`MailStore`],
//!    [`Keeping`], [`Repairs`], [`Measurements`],
//!    [`AlertBook`]. A write may be requested twice (`engine::persist`), because its answer may be lost: the
//!    second request changes nothing, and its doc comment says what it returns.
//! 2. Its code in the file of its topic. [`Keeping`], [`Repairs`], [`Measurements`] and [`AlertBook`] are implemented there; [`StateStore`] and
//!    [`MailStore`] in `sql_store`, which calls a function of the topic's file. Reading takes `Database::row` or `rows`,
//!    writing takes `Database::begin` and `Transaction::commit`; both are given what is being done, for error messages.
//!    `row` says how columns are read. A write by a run's worker begins with `hold`, which checks its token; one that a
//!    person asks for (cancel, mark) with `lock`.
//! 3. The text: a constant beside it, or `sql/state/<name>.sql` with `include_str!` if it has more than a line or two.
//!    Both databases must accept it: times are BIGINT microseconds, flags BIGINT 0 or 1, lists and records TEXT with
//!    JSON; a computed column states its type, such as `CAST(SUM(…) AS BIGINT)`, because they would infer different ones.
//! 4. A fact in the nearest file of `tests/it/store/` and its name in `tests/it/store/mod.rs`: it runs on both databases.
//!    The method also goes into the list of `tests/it/engine/faulty.rs`, whose store sometimes gives no answer. A
//!    statement that lists runs goes into `lists_of_runs_read_no_more_runs_than_they_show` (`sqlite_only.rs`), which
//!    reads its plan: an index on some states is used only where the statement has the same words.
//!
//! How to change the schema: a new `sql/migrations/{sqlite,postgres}/NNNN_*.sql` of the same number in both folders, and
//! an entry in `migrations`.

mod alert_book;
mod alert_contract;
mod alerts;
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
mod history;
mod history_contract;
mod hold;
mod job_at;
mod jobs;
mod keeping;
mod keeping_contract;
mod mail_contract;
mod maintenance;
mod measurements;
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

pub use alert_contract::{AlertBook, AlertNews, Which};
pub use attempt_contract::{
    AttemptClaim, AttemptEnd, Base, Begun, Committed, Finished, JobStanding, LastSuccess, OutcomePart, Unattempted,
};
pub use contract::{StateStore, ToSettle, Watermark};
pub use error::StoreError;
pub use health::{FileHealth, Health, file_problems, health};
pub use history_contract::Measurements;
pub use keeping_contract::{Cuts, Forgotten, Keeping};
pub use mail_contract::{DueMail, HandedOver, MailRow, MailStore, Outgoing, Promise};
pub use maintenance::{AuditReport, CheckReport, MigrationReport, backup, check, migrate, verify_audit};
pub use ownership::{Observed, Role, StoreLock, TENURE, Tenure, keep_from_owners};
pub use repair_contract::{AuditEntry, Backfill, JobMark, Pause, Repairs};
pub use restore::{RestoreReport, restore};
pub use run_contract::{Claim, EventRecord, NewRun, RunFilter, RunRecord};
pub(crate) use settle::identities_target;
pub use sql_store::{look, open};
