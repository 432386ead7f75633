//! A DAG file becomes a validated DAG, or the list of all its mistakes.
//!
//! `shape` holds the file's keys (editors get their JSON schema too). After the shape come the cross checks (`checks`):
//! unknown kinds, parameters against the kind's schema, needs that do not exist, cycles; then the values (`reader`):
//! cron, zone, times. Every mistake is reported at once, with file and line. A [`KindCatalogue`] says which kinds there
//! are.

mod catalogue;
mod checks;
mod durations;
mod reader;
mod shape;
#[cfg(test)]
mod tests;

pub use catalogue::KindCatalogue;
pub use durations::{LONGEST_GRACE, LONGEST_TIMEOUT, LONGEST_WAIT, parse_duration};
pub use shape::dag_schema;

use super::dag::Dag;
use super::document::{Document, Mistakes};

/// A DAG file.
#[derive(Debug, Clone, Copy)]
pub struct DagFile<'a> {
    /// What messages call it: its path.
    pub path: &'a str,
    /// Its name without `.toml`: the DAG's.
    pub stem: &'a str,
    /// What it says.
    pub text: &'a str,
}

/// Returns the DAG that a file describes; without a `timezone` it has the default zone.
///
/// # Errors
/// With every mistake.
pub fn parse_dag(file: DagFile<'_>, default_zone: &str, catalogue: &dyn KindCatalogue) -> Result<Dag, Mistakes> {
    let document = Document::parse(file.path, file.text)?;
    let mut mistakes = document.mistakes(&shape::file_schema());
    checks::check_jobs(&document, catalogue, &mut mistakes);
    reader::Reader::new(&document, mistakes).read(file.stem, default_zone)
}
