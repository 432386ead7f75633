//! The engine: carries out runs, survives crashes, and wakes with the schedule. It knows no kind.
//!
//! Decisions are pure: `plan` (what is next in a run), `tick` (which slots get a run, which runs may begin),
//! `clock_watch` (whether the clock can be believed), `ownership::Watch` (whether an owner is alive). `executor` and
//! `attempt` carry runs out, with `standing` for what the store has answered and `persist` for asking it until it does;
//! `scheduler` follows the schedules; `foresee` says what a run would do, `repair` what a retry and a backfill do;
//! `settle` does what must follow commits. `runner` holds the traits through which kinds, processes and the lake are
//! reached; `thread` carries attempts out in this process, `process` in a child process; `stop` is how a run is told to
//! stop.

mod attempt;
pub mod clock_watch;
pub mod deadline;
pub mod executor;
pub mod forecast;
pub mod foresee;
pub mod ownership;
pub(crate) mod persist;
pub mod plan;
pub mod process;
pub mod promises;
pub mod repair;
pub mod runner;
pub mod scheduler;
pub mod settle;
mod standing;
mod stop;
pub mod thread;
pub mod tick;

pub use executor::{Engine, EngineError};
pub use promises::{NoPromises, Promises};
pub use runner::{Assignment, Done, Isolation, JobRunner, Parts, Runners, Settler};
pub use stop::Stop;
