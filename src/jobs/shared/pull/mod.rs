//! The parts of `canvas_pull`: a pull is opened on a source, takes in its deliveries table by table, and commits each.
//!
//! `source` opens what is read, `state` is the pull under way and each table in it, `failure` says what becomes of a
//! delivery that cannot be used, `table` takes in one table, `quarantine` stages the rows that do not fit, `waiting` holds rows
//! back by rule, `replay` judges them again, `parts`
//! commits what is done and continues after an interrupted attempt, `findings` keeps the findings in one order.

mod failure;
mod findings;
mod parts;
mod quarantine;
mod replay;
mod source;
mod state;
mod table;
mod waiting;

pub use replay::{Replayed, foresee_replay};
pub use source::simulation_options;
pub(in crate::jobs) use state::{Pull, Pulled, standing_rows};
