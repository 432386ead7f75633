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
//! 1. In `sql/features/<set>.sql`, add the column to the last SELECT. The SQL sees the tables as they looked at the cutoff,
//!    `population` (the enrolments that the rows are about) and `calendar` (how far each course had come); its only time is
//!    `{{ as_of }}` (`template`), and it may use only what `lint` admits.
//! 2. In `sql/features/<set>.toml`, add a table `[columns.<column>]` with `type`, `about` and `class`, with `null_means`
//!    where it can be null and `range` where it has one (`FeatureColumn`). A column that is in only one of the two
//!    files is refused when a partition is built.
//! 3. `cargo test --lib features` builds the shipped sets on a small institution and checks them against their contracts.
//!    The first row of each set is a snapshot in `build/tests.rs`: accept the new value once it is right.
//!
//! The next night builds the set again, and models learn from the column, unless a recipe names it under `leave_out`.
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
pub use visible::{stored_type, visible};

#[cfg(test)]
mod fixture;
