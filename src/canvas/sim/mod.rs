//! The simulated institution: invented students whose behaviour and outcomes are related.
//!
//! [`generate`] writes a Canvas Data 2 snapshot of it, as it looks at the start of a date. The world is a pure function
//! of the options and the number of a term, never of the date: an export is a filter on it, so that two exports differ
//! only by what happened between them. The same options and date give the same bytes. It knows no privacy and no lake:
//! its people have names and logins precisely so that the intake has something to drop.
//!
//! How to add a table: a row type in `rows.rs` whose fields are the columns in Canvas' order; a function in `export.rs`
//! (`records.rs` for a person in a course) that writes such rows as of an instant and nothing at or after it, called
//! from `View::write`; its name and file in `TABLES`. The manifest and the tests follow from that list.

mod behaviour;
mod calendar;
mod courses;
mod export;
mod generate;
mod gradebook;
mod options;
mod people;
mod random;
mod records;
mod rows;
mod trouble;
mod world;
mod write;

pub use generate::{SimError, SimState, SimSummary, SimTable, generate};
pub use options::SimOptions;
