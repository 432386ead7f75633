//! Feature sets and labels, built from what was visible at a cutoff.
//!
//! The way of a partition: `courses` reads which courses count, `plan` decides the cutoffs, `catalogue` holds the sets
//! (SQL and contract), `build` renders and lints the SQL, shows it the tables as they looked at the cutoff (`visible`),
//! and checks the frame against its contract. `fingerprint` says when a built partition still stands.
//! Nothing here knows a store: tables come as local Parquet files, frames go out as values. Everything is synchronous.
//!
//! To add a feature set: `sql/features/<set>.sql` and `<set>.toml` beside it, and a line in `catalogue` where the set is
//! to be part of the binary; a folder of its own needs no line.

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
pub use catalogue::{Catalogue, FeatureSet, Rendered, Role};
pub use contract::{CalendarClass, FeatureColumn, SetContract};
pub use courses::{Course, CourseRules, Courses, SetAside, read_courses};
pub use cutoff::{CalendarError, Cutoff, last_whole_day};
pub use error::FeatureError;
pub use fingerprint::fingerprint;
pub use inputs::{Inputs, PartFile, TableInput};
pub use lint::{Linted, Refusal, lint};
pub use plan::{AsOf, CourseWeek, PlanRequest, Stage, plan_labels, plan_partitions};
pub use visible::{Basis, stored_type, visible};

#[cfg(test)]
mod fixture;
