//! The kinds of job, one file each, and the list of them.
//!
//! How to add a kind: write `src/jobs/<kind>.rs`, top to bottom
//!
//! 1. a `//!` header: what it reads, what it writes, when another try makes sense, an example stanza;
//! 2. `struct Kind;` and `struct Params` (`deny_unknown_fields`, defaults, a doc comment on each field);
//! 3. `impl JobKind for Kind`: `NAME`, `SUMMARY`, `EXAMPLE`, `inputs` (what decides whether it is up to date), `run`;
//! 4. private helpers; 5. tests;
//!
//! then two lines here: `mod <kind>;` and its line in [`registry`]. The list is explicit, because grep must find it;
//! the architecture test fails on a file that is not in it, and a test parses every example.

mod command;
pub mod environment;
mod kind;

pub use environment::Environment;
pub use kind::{JobContext, JobKind, Registered};
use kind::register;

use std::sync::Arc;

use crate::domain::ids::KindName;
use crate::engine::{JobRunner, Runners};

/// Returns every kind, in order of their names.
pub fn registry() -> Vec<Registered> {
    vec![register::<command::Command>()]
}

/// The kinds with the environment they work in.
pub struct Kinds(pub Arc<Environment>);

impl Runners for Kinds {
    fn runner(&self, kind: &KindName) -> Option<Arc<dyn JobRunner>> {
        let registered = registry().into_iter().find(|registered| registered.name == kind.as_str())?;
        Some((registered.runner)(Arc::clone(&self.0)))
    }
}
