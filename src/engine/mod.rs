//! The engine: carries out runs, recovers them, and wakes with the schedule. It knows no kind.
//!
//! `plan` decides what is next and `recovery` what a start must do, both pure; `executor` and `attempt` do it;
//! `scheduler` asks the planner of `domain::schedule` which slots are due. `runner` holds the traits through which
//! kinds, processes and the lake are reached; `thread` carries attempts out in this process.

mod attempt;
pub mod deadline;
pub mod executor;
pub mod forecast;
pub mod plan;
pub mod promises;
pub mod recovery;
pub mod runner;
pub mod scheduler;
pub mod thread;

pub use executor::{Engine, EngineError};
pub use promises::{NoPromises, Promises};
pub use runner::{AfterCommit, Assignment, Done, Isolation, JobRunner, Parts, Runners};
