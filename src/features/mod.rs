//! Feature sets and labels, built from what was visible at a cutoff.
//!
//! The path of a partition: `courses` reads which courses count, `plan` decides the cutoffs, `catalogue` holds the sets
//! (SQL and contract), `build` renders and lints the SQL, runs it on the tables as they looked at the cutoff
//! (`visible`), and checks the frame against its contract. `fingerprint` says whether a built partition is still
//! current.
//! Nothing here accesses a store: tables come as local Parquet files, frames go out as values. Everything is
//! synchronous.
//!
//! How to add a feature column:
//!
//! 1. In `sql/features/<set>.sql`, add the column to the last SELECT, CAST to the type it is to have. The SQL sees the
//!    tables as they looked at the cutoff, `population` (the enrolments that the rows are about) and `calendar` (how far
//!    each course had come); its only time is `{{ as_of }}`, and its day `{{ as_of_date }}` (`template`). It may use only
//!    what `lint` admits.
//! 2. In `sql/features/<set>.toml`, add a table `[columns.<column>]` with `type`, `about` and `class`, and as it applies
//!    `unit`, `null_means`, `range`, `actionable` (`FeatureColumn`). A column that is in only one of the two files is
//!    refused when a partition is built, and so is one named after what a person is (`gender`) that is not `sensitive`.
//! 3. If it reads a column or a table of Canvas that no set has read before: `config/tables/<table>.toml` keeps it, and
//!    `fixture.rs`, the rows of `build/tests.rs` and `tests/it/oracle/rows.rs` have values for it.
//! 4. `cargo test --lib features` builds the shipped sets on a small institution and checks them against their contracts;
//!    the first row of each set is a snapshot (`INSTA_UPDATE=always` writes it: look at the value before you commit it).
//!    `cargo test --test it oracle` compares every value with PostgreSQL.
//!
//! The next night builds the set again (a site without an `sql` folder of its own has the one in the binary). The next
//! version of a model learns from the column if it is a number or a truth value, not `sensitive` and neither key nor label, no
//! earlier set of its recipe has a column of that name, and the recipe does not name it under `leave_out`; the champion
//! does without it until then.
//!
//! How to add a feature set: `sql/features/<set>.sql` and `<set>.toml`, and a line in `Catalogue::embedded` where the set
//! is to be part of the binary (a site's own folder, `paths.sql`, needs no line); then name it in the `sets` of a
//! `build_features` job and of the recipes that are to learn from it.

mod build;
mod catalogue;
mod compute;
mod contract;
mod courses;
mod cutoff;
mod error;
mod fingerprint;
mod inputs;
mod lint;
mod plan;
mod population;
mod rule_sql;
mod template;
mod visible;

pub use build::{Built, build_partition, run_query};
pub use catalogue::{Catalogue, FeatureSet, Rendered, Role, SetSource};
pub use contract::{CalendarClass, FeatureColumn, SetContract};
pub use courses::{Course, CourseRules, Courses, SetAside, read_courses};
pub use cutoff::{CalendarError, Cutoff, last_whole_day};
pub use error::FeatureError;
pub use fingerprint::fingerprint;
pub use inputs::{Inputs, PartFile, TableInput};
pub use lint::{Linted, Refusal, lint};
pub use plan::{AsOf, CourseWeek, PlanRequest, Stage, plan_labels, plan_partitions};
pub use rule_sql::{beyond_row, lint_rule, run_rule};
pub use visible::{stored_type, visible};

#[cfg(test)]
mod fixture;
