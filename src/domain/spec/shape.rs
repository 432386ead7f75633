//! The shape of a DAG file, and its JSON schema for editors.
//!
//! The structs are the file's keys and nothing else: what a value means is left to `reader`, how jobs relate to each
//! other to `checks`. The schema for editors knows each kind's parameters too.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::catalogue::KindCatalogue;
use super::{LONGEST_TIMEOUT, LONGEST_WAIT};
use crate::domain::dag::{CatchUp, FoldPolicy, GapPolicy, OverlapPolicy, When};

/// Returns the JSON schema of a DAG file, for editors: with the parameters of every kind.
pub fn dag_schema(catalogue: &dyn KindCatalogue) -> Value {
    let mut schema = file_schema();
    let mut definitions = serde_json::Map::new();
    let mut rules = Vec::new();
    for kind in catalogue.kinds() {
        let Some(mut params) = catalogue.params_schema(&kind) else { continue };
        let own = params.as_object_mut().and_then(|params| params.remove("$defs"));
        point_to(&mut params, &kind);
        for (name, mut definition) in own.as_ref().and_then(Value::as_object).cloned().unwrap_or_default() {
            point_to(&mut definition, &kind);
            definitions.insert(format!("{kind}.{name}"), definition);
        }
        rules.push(json!({
            "if": { "properties": { "kind": { "const": kind } } },
            "then": { "properties": { "with": params } }
        }));
    }
    if let Some(job) = schema.pointer_mut("/$defs/JobTable") {
        job["properties"]["kind"]["enum"] = catalogue.kinds().into();
        job["allOf"] = rules.into();
    }
    if let Some(known) = schema.pointer_mut("/$defs").and_then(Value::as_object_mut) {
        known.extend(definitions);
    }
    schema
}

/// Returns the JSON schema of the shape alone.
pub(super) fn file_schema() -> Value {
    schemars::schema_for!(DagFile).to_value()
}

/// Makes the references of a kind's schema point to its definitions in the schema of the file.
fn point_to(schema: &mut Value, kind: &str) {
    match schema {
        Value::Object(keys) => {
            if let Some(Value::String(target)) = keys.get_mut("$ref")
                && let Some(name) = target.strip_prefix("#/$defs/")
            {
                *target = format!("#/$defs/{kind}.{name}");
            }
            keys.values_mut().for_each(|inside| point_to(inside, kind));
        }
        Value::Array(items) => items.iter_mut().for_each(|inside| point_to(inside, kind)),
        _ => {}
    }
}

/// A DAG file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DagFile {
    /// The DAG's name: that of its file, without `.toml`.
    pub(super) name: String,
    /// Its purpose, in a sentence.
    #[serde(default)]
    pub(super) description: String,
    /// When it runs by itself: 5 or 6 cron fields, or `@daily` and its like. Without it, only on request.
    pub(super) schedule: Option<String>,
    /// The IANA zone of its dates and times; without it the institution's.
    pub(super) timezone: Option<String>,
    /// What happens when the clocks change.
    #[serde(default)]
    pub(super) dst: Dst,
    /// Which missed slots are caught up after downtime.
    #[serde(default)]
    pub(super) catch_up: CatchUp,
    /// What happens when the earlier run is still running.
    #[serde(default)]
    pub(super) overlap: OverlapPolicy,
    /// The local time by which a run should be done, such as `06:30`.
    pub(super) deadline: Option<String>,
    /// How many jobs may run at once.
    #[schemars(range(min = 1, max = 256))]
    pub(super) max_parallel: Option<u32>,
    /// Defaults for every job that does not set its own.
    #[serde(default)]
    pub(super) defaults: Defaults,
    /// The jobs, by name.
    pub(super) jobs: BTreeMap<String, JobTable>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Dst {
    /// A local time that does not exist.
    #[serde(default)]
    pub(super) gap: GapPolicy,
    /// A local time that comes twice.
    #[serde(default)]
    pub(super) overlap: FoldPolicy,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Defaults {
    /// How long one attempt may take, such as `1h`; at most `168h`.
    #[schemars(extend("x-longest" = LONGEST_TIMEOUT))]
    pub(super) timeout: Option<String>,
    /// How a failed attempt is tried again.
    pub(super) retry: Option<RetryTable>,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryTable {
    /// Attempts in all.
    #[schemars(range(min = 1, max = 100))]
    pub(super) attempts: Option<u32>,
    /// The wait after the first failure, such as `30s`, at most `24h`; it doubles.
    #[schemars(extend("x-longest" = LONGEST_WAIT))]
    pub(super) backoff: Option<String>,
    /// The longest wait; at most `24h`.
    #[schemars(extend("x-longest" = LONGEST_WAIT))]
    pub(super) max_backoff: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JobTable {
    /// The kind that does it; `nocturne kinds list` shows them.
    pub(super) kind: String,
    /// Its purpose, in a sentence.
    #[serde(default)]
    pub(super) description: String,
    /// The jobs it needs.
    #[serde(default)]
    pub(super) needs: Vec<String>,
    /// The kind's parameters.
    #[serde(default)]
    pub(super) with: BTreeMap<String, Value>,
    /// When it may start, given how its needs ended.
    #[serde(default)]
    pub(super) when: When,
    /// How long one attempt may take, such as `1h`; at most `168h`.
    #[schemars(extend("x-longest" = LONGEST_TIMEOUT))]
    pub(super) timeout: Option<String>,
    /// How a failed attempt is tried again.
    pub(super) retry: Option<RetryTable>,
}
