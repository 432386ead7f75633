//! The engine: carries out runs, recovers them, and wakes with the schedule. It knows no kind.
//!
//! `plan` decides what is next and `recovery` what a start must do, both pure; `executor` and `attempt` do it;
//! `scheduler` asks the planner of `domain::schedule` which slots are due. `runner` holds the traits through which
//! kinds and the lake are reached.

mod attempt;
pub mod executor;
pub mod plan;
pub mod recovery;
pub mod runner;
pub mod scheduler;

pub use executor::{Engine, EngineError};
pub use runner::{AfterCommit, JobRunner, Runners};
