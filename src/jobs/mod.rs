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
//! the architecture test fails on a file that is not in it, and a test parses the examples.

mod build_features;
mod canvas_pull;
mod command;
mod drift_report;
mod kind;
mod quality_check;
mod score;
mod send_report;
mod shared;
mod train_model;

use kind::register;
pub use kind::{JobContext, JobKind, Registered};
pub use send_report::promised_mail;
pub use shared::environment::{self, Environment};
pub use shared::pull::simulation_options;

use std::sync::Arc;

use crate::domain::ids::KindName;
use crate::domain::spec::KindCatalogue;
use crate::engine::{JobRunner, Runners};

/// Returns every kind, in order of their names.
pub fn registry() -> Vec<Registered> {
    vec![
        register::<build_features::BuildFeatures>(),
        register::<canvas_pull::CanvasPull>(),
        register::<command::Command>(),
        register::<drift_report::DriftReport>(),
        register::<quality_check::QualityCheck>(),
        register::<score::Score>(),
        register::<send_report::SendReport>(),
        register::<train_model::TrainModel>(),
    ]
}

/// The kinds with the environment they work in.
pub struct Kinds(pub Arc<Environment>);

impl Runners for Kinds {
    fn runner(&self, kind: &KindName) -> Option<Arc<dyn JobRunner>> {
        let registered = registry().into_iter().find(|registered| registered.name == kind.as_str())?;
        Some((registered.runner)(Arc::clone(&self.0)))
    }
}

/// The kinds as a DAG file's reader asks for them: names and parameter schemas, without an environment.
pub struct KindNames;

impl KindCatalogue for KindNames {
    fn kinds(&self) -> Vec<String> {
        registry().iter().map(|registered| registered.name.to_owned()).collect()
    }

    fn params_schema(&self, kind: &str) -> Option<serde_json::Value> {
        registry().iter().find(|registered| registered.name == kind).map(|registered| (registered.params_schema)())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::spec::parse_dag;

    #[test]
    fn the_examples_together_are_a_dag_with_a_job_of_each_kind() {
        let examples: String = registry().iter().map(|kind| kind.example).collect();
        let text = format!("name = \"example\"\n{examples}");

        let dag = parse_dag("example.toml", "example", &text, "UTC", &KindNames).unwrap();

        let mut kinds: Vec<&str> = dag.jobs.values().map(|job| job.kind.as_str()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, registry().iter().map(|kind| kind.name).collect::<Vec<_>>());
    }
}
