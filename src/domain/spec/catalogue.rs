//! What the reader of DAG files needs to know about the kinds, without an environment to run them in.

use serde_json::Value;

/// The kinds that a DAG may use.
pub trait KindCatalogue {
    /// Returns the names of all kinds, sorted.
    fn kinds(&self) -> Vec<String>;

    /// Returns the JSON schema of a kind's parameters.
    fn params_schema(&self, kind: &str) -> Option<Value>;
}
