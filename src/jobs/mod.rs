//! The kinds of job, one file each, and the list of them. What several kinds share is in `shared`.
//!
//! How to add a kind: write `src/jobs/<kind>.rs`, top to bottom
//!
//! 1. a `//!` header: what it reads, what it writes, when another try makes sense;
//! 2. `struct <Kind>;`, and `struct Params` (`Serialize`, `Deserialize`, `JsonSchema`, `deny_unknown_fields`), with a
//!    comment on each field, because editors show it, and a default where there is one;
//! 3. `impl JobKind for <Kind>`: `NAME`, `SUMMARY`, `EXAMPLE` (how a DAG file has it: the only copy, which
//!    `nocturne kinds show` prints), `inputs` (what its outcome depends on, by names that a person knows; `None`: it is never
//!    up to date) and `run`;
//! 4. private helpers; 5. tests;
//!
//! then two lines here: `mod <kind>;` and `register::<<kind>::<Kind>>()` in [`registry`], in order of names. The list is
//! explicit, because grep must find it.
//!
//! `run` has no effect of its own: it stages data in the lake and returns an `Outcome` that names everything to be
//! committed; a new effect, deletion included, is added as the header of `domain::outcome` says. What it leaves for later
//! jobs or for the report is a fact: a line in `shared/facts.rs`. It asks
//! [`JobContext::go_on`] between its steps, and computes in `telemetry::spawn_blocking`.
//!
//! Tests fail on a kind that is not in the list, on one that imports another, on a file here that is not a kind, and on an
//! example that is not a job of a DAG with valid parameters.

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

pub use canvas_pull::pulls_table;
use kind::register;
pub use kind::{JobContext, JobKind, Registered};
pub use quality_check::{RULE_VALUE, checks_of, is_quality_check};
pub use send_report::{night_verdict, promised_mail};
pub use shared::environment::{self, Environment};
pub use shared::pull::{Replayed, foresee_replay, simulation_options};
pub use shared::rules::{site_contracts, site_rules};

use std::sync::Arc;

use crate::config::Mail;
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

/// The kinds as the reader of a DAG file needs them: names and parameter schemas, without an environment.
pub struct KindNames;

impl KindCatalogue for KindNames {
    fn kinds(&self) -> Vec<String> {
        registry().iter().map(|registered| registered.name.to_owned()).collect()
    }

    fn params_schema(&self, kind: &str) -> Option<serde_json::Value> {
        registry().iter().find(|registered| registered.name == kind).map(|registered| (registered.params_schema)())
    }
}

/// The kinds as a site's DAG files need them: besides names and schemas, what its configuration allows.
pub struct SiteKinds<'a>(pub &'a Mail);

impl KindCatalogue for SiteKinds<'_> {
    fn kinds(&self) -> Vec<String> {
        KindNames.kinds()
    }

    fn params_schema(&self, kind: &str) -> Option<serde_json::Value> {
        KindNames.params_schema(kind)
    }

    fn objections(&self, kind: &str, params: &serde_json::Value) -> Vec<(Vec<String>, String)> {
        send_report::objections(kind, params, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::spec::{DagFile, parse_dag};

    #[test]
    fn the_examples_together_are_a_dag_with_a_job_of_each_kind() {
        let examples: String = registry().iter().map(|kind| kind.example).collect();
        let text = format!("name = \"example\"\n{examples}");

        let dag = parse_dag(DagFile { path: "example.toml", stem: "example", text: &text }, "UTC", &KindNames).unwrap();

        let mut kinds: Vec<&str> = dag.jobs.values().map(|job| job.kind.as_str()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, registry().iter().map(|kind| kind.name).collect::<Vec<_>>());
    }
}
