//! The pure centre: what a DAG, a run, an outcome, a table and a finding are, and every decision about them.
//!
//! No async work, no I/O and no clock: functions from values to values, which carry the tests. Every other module may
//! import this one; it imports none of them. (`clock`, `source` and `job` only declare traits.)
//!
//! How to add a term: if it belongs to the design's vocabulary, it gets a file here; if it belongs to one layer only,
//! it goes into that layer.

pub mod alert;
pub mod check;
pub mod clock;
pub mod code;
pub mod dag;
pub mod delivery;
pub mod document;
mod explain;
pub mod fingerprint;
pub mod freshness;
pub mod ids;
pub mod job;
pub mod keeping;
pub mod lineage;
pub mod manual;
pub mod measurement;
pub mod number;
pub mod outcome;
pub mod printable;
pub mod quarantine;
pub mod retry;
pub mod root_cause;
pub mod routing;
pub mod rule;
pub mod run;
pub mod schedule;
pub mod source;
mod spans;
pub mod spec;
pub mod table;
