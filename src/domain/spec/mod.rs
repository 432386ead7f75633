//! A DAG file becomes a validated DAG, or the list of all its mistakes.
//!
//! `shape` holds the file's keys (their JSON schema is also what editors get). After the shape come the cross checks
//! (`checks`): unknown kinds, parameters against the kind's schema, needs that do not exist, cycles; and the values
//! (`reader`): cron, zone, times. Everything wrong is told at once, with file and line. What kinds there are comes from
//! a [`KindCatalogue`].

mod checks;
mod reader;
mod shape;
#[cfg(test)]
mod tests;

pub use shape::dag_schema;

use std::time::Duration;

use serde_json::Value;

use super::dag::Dag;
use super::document::{Document, Mistakes};

/// The kinds that a DAG may use.
pub trait KindCatalogue {
    /// Returns the names of all kinds, sorted.
    fn kinds(&self) -> Vec<String>;

    /// Returns the JSON schema of a kind's parameters.
    fn params_schema(&self, kind: &str) -> Option<Value>;
}

/// Returns the DAG that the file `stem`.toml with this text describes; without a `timezone` it has the default zone.
///
/// # Errors
/// With every mistake.
pub fn parse_dag(
    file: &str,
    stem: &str,
    text: &str,
    default_zone: &str,
    catalogue: &dyn KindCatalogue,
) -> Result<Dag, Mistakes> {
    let document = Document::parse(file, text)?;
    let mut mistakes = document.mistakes(&shape::file_schema());
    checks::check_jobs(&document, catalogue, &mut mistakes);
    reader::Reader::new(&document, mistakes).read(stem, default_zone)
}

/// Returns the duration that text such as `30s`, `10m` or `1h 30m` means.
///
/// # Errors
/// With what is allowed.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write `30s`, `10m`, `1h` or `1h 30m`");
    let signed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(signed).map_err(|_| wrong())
}
