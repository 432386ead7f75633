//! Nocturne: a university's learning-analytics night in one binary.
//!
//! The map (imports go down only; `tests/it/architecture` holds the table):
//!
//! ```text
//! domain ← config, telemetry ← store | lake | canvas ← engine | features | ml | report ← jobs ← app ← cli
//! ```
//!
//! - [`domain`]: what things are, and every decision, pure.
//! - [`store`]: state: runs, attempts, events, the commit.
//! - [`lake`]: object storage: keys, tables, publishing, browsing.
//! - [`canvas`]: sources of student data, and how privacy is ensured as they are read; the simulated Canvas.
//! - [`features`]: feature sets and labels, built from what was visible at a cutoff.
//! - [`ml`]: models, evaluation, drift and quality figures.
//! - [`report`]: what people read: reports, e-mails, charts.
//! - [`engine`]: carries out runs; independent of the kinds of job.
//! - [`jobs`]: one file per kind of job; what they share in `jobs/shared`.
//! - [`app`]: the composition root. [`cli`]: one file per subcommand.
//!
//! To add a kind of job: one file in `src/jobs/` and two lines in `src/jobs/mod.rs`; its header says how. A feature column:
//! the header of [`features`]. A statement of the state store: of [`store`]. An effect of a job: of [`domain::outcome`].

pub mod app;
pub mod canvas;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod features;
pub mod jobs;
pub mod lake;
pub mod ml;
pub mod report;
pub mod store;
pub mod telemetry;
