//! The composition root: the only layer that makes adapters and joins them.
//!
//! `application` is the program, `open` puts it together, `environment` what its job bodies use, `error` is what keeps
//! it from being put together; `dags` reads the DAG files, `compare` compares two runs, `signals` receives Ctrl-C,
//! `settle` does what follows a commit, `outbox` sends, `undelivered` tells operators what it gave up, `deadlines`
//! sends a notice when a night is late, `watchdog` (with its `claims`) when the owner is dead, `keeping` removes what
//! is beyond its limits, `words` is what a run prints about itself. `isolation` says where attempts run, `child` is
//! what one that runs in a child process does there, `setup` what it is sent, `secrets` what a process gives up before
//! it starts programs. `doctor` looks at all that a night needs, `drill` proves that it cannot be lost, `temporary`
//! makes folders that do not stay, `supervisor` is what the service manager is told.

mod application;
mod channels;
pub mod child;
mod claims;
mod compare;
mod dags;
mod deadlines;
pub mod doctor;
pub mod drill;
mod environment;
mod error;
mod isolation;
mod keeping;
mod open;
mod outbox;
mod preview;
mod route_test;
pub mod secrets;
mod settle;
mod setup;
mod signals;
mod supervisor;
mod temporary;
mod undelivered;
mod watchdog;
mod words;

pub use application::App;
pub use compare::Comparison;
pub use dags::Dags;
pub use error::AppError;
pub use keeping::Removed;
pub use preview::{Happening, preview};
pub use route_test::{Tried, test_route};
pub use signals::{Interrupt, Signals};
pub use watchdog::{Watch, Watchdog};
