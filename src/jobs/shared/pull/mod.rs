//! What `canvas_pull` is made of: a pull is opened on a source, takes its deliveries in table by table, and commits each.
//!
//! `source` opens what is read, `state` is the pull under way and each table in it, `failure` what becomes of a delivery
//! that cannot be used, `table` takes in one table, `quarantine` stages the rows that were held back, `parts` commits
//! what is done and goes on after an attempt that was cut off, `findings` keeps what was found in one order.

mod failure;
mod findings;
mod parts;
mod quarantine;
mod source;
mod state;
mod table;

pub use source::simulation_options;
pub(in crate::jobs) use state::{Pull, Pulled, standing_rows};
