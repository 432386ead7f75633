//! What the reader of DAG files needs to know about the kinds, without an environment to run them in.

use serde_json::Value;

/// The kinds that a DAG may use.
pub trait KindCatalogue {
    /// Returns the names of all kinds, sorted.
    fn kinds(&self) -> Vec<String>;

    /// Returns the JSON schema of a kind's parameters.
    fn params_schema(&self, kind: &str) -> Option<Value>;

    /// Returns what the site does not allow in a job's parameters, beyond their schema: each with the path of its key.
    fn objections(&self, _kind: &str, _params: &Value) -> Vec<(Vec<String>, String)> {
        Vec::new()
    }
}
