//! Deliveries: what lies under a source, whole or as changes, and of what time.
//!
//! A folder with a `manifest.json` is one delivery; a root without one may hold several such folders, taken in the
//! order of their times. The manifest gives the delivery's own clock: `since` and `until` (changes), or `at`, or `as_of`
//! (a date: its last second in UTC). `meta.ts` is no clock, so without a manifest nothing is read.
//! Counts and hashes that a manifest states are held against the files; a table that does not agree is damaged.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

use crate::domain::source::{FileSource, SourceError, SourceFile};

/// A delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its folder below the source's root; empty for the root itself.
    pub folder: String,
    /// Since when its changes are; `None` for a full export.
    pub since: Option<Timestamp>,
    /// Its time: all of it was known then.
    pub at: Timestamp,
    /// Its tables, by name.
    pub tables: BTreeMap<String, TableFiles>,
    /// Files that belong to no table.
    pub strays: Vec<String>,
}

/// The files of a table in a delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableFiles {
    /// The files, sorted by path.
    pub files: Vec<SourceFile>,
    /// The rows that the manifest states.
    pub rows: Option<u64>,
    /// The hash that the manifest states, of the only file.
    pub sha256: Option<String>,
}

/// Why deliveries cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A manifest cannot be read.
    #[error("reading {file} of the source at {root}")]
    Manifest {
        /// The source's root.
        root: String,
        /// The manifest.
        file: String,
        /// The cause.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no delivery.
    #[error(
        "there is no delivery in the source at {root}: a delivery is a folder with a manifest.json that says `at` (or `since` and `until`) and a folder of files per table"
    )]
    None {
        /// The source's root.
        root: String,
    },
    /// A manifest does not say its time.
    #[error(
        "{file} of the source at {root} does not say when its data were taken: add `at` (an instant), or `since` and `until`"
    )]
    NoTime {
        /// The source's root.
        root: String,
        /// The manifest.
        file: String,
    },
}

#[derive(Debug, Deserialize)]
struct ManifestFile {
    at: Option<Timestamp>,
    as_of: Option<Date>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    #[serde(default)]
    tables: BTreeMap<String, ManifestTable>,
}

#[derive(Debug, Default, Deserialize)]
struct ManifestTable {
    rows: Option<u64>,
    sha256: Option<String>,
}

const MANIFEST: &str = "manifest.json";

/// Returns the deliveries of a source, in order of their times; `stated` is the time of a full export whose manifest
/// says none.
///
/// # Errors
/// When the source cannot be read, holds none, or a manifest does not say its time.
pub async fn find(source: &dyn FileSource, stated: Option<Timestamp>) -> Result<Vec<Delivery>, DeliveryError> {
    let files = source.list().await?;
    let is_manifest = |file: &&SourceFile| file.path == MANIFEST || file.path.ends_with("/manifest.json");
    let mut folders: Vec<&str> =
        files.iter().filter(is_manifest).map(|file| file.path.trim_end_matches(MANIFEST)).collect();
    // A manifest inside a delivery (of a table's own) is not another delivery.
    folders.sort_unstable();
    let all = folders.clone();
    folders.retain(|folder| !all.iter().any(|outer| folder != outer && folder.starts_with(outer)));
    if folders.is_empty() {
        return Err(DeliveryError::None { root: source.root() });
    }
    let mut deliveries = Vec::new();
    for folder in folders {
        deliveries.push(read(source, folder, &files, stated).await?);
    }
    deliveries.sort_by(|a, b| (a.at, &a.folder).cmp(&(b.at, &b.folder)));
    Ok(deliveries)
}

async fn read(
    source: &dyn FileSource,
    folder: &str,
    files: &[SourceFile],
    stated: Option<Timestamp>,
) -> Result<Delivery, DeliveryError> {
    let name = format!("{folder}{MANIFEST}");
    let failed = |cause: Box<dyn std::error::Error + Send + Sync>| DeliveryError::Manifest {
        root: source.root(),
        file: name.clone(),
        cause,
    };
    let manifest = files.iter().find(|file| file.path == name).ok_or_else(|| failed("it is gone".into()))?;
    let local = source.local_copy(manifest).await?;
    let bytes = std::fs::read(local).map_err(|error| failed(error.into()))?;
    let manifest: ManifestFile = serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?;
    let (since, at) = match (&manifest.since, &manifest.until, &manifest.at, &manifest.as_of) {
        (Some(since), Some(until), _, _) => (Some(*since), *until),
        (_, _, Some(at), _) => (None, *at),
        (_, _, _, Some(date)) => (None, end_of(*date)),
        _ => match stated {
            Some(stated) => (None, stated),
            None => return Err(DeliveryError::NoTime { root: source.root(), file: name }),
        },
    };
    let mut tables: BTreeMap<String, TableFiles> = BTreeMap::new();
    for (table, stated) in &manifest.tables {
        let entry = TableFiles { files: Vec::new(), rows: stated.rows, sha256: stated.sha256.clone() };
        tables.insert(table.clone(), entry);
    }
    let mut strays = Vec::new();
    for file in files.iter().filter(|file| file.path.starts_with(folder) && file.path != name) {
        match table_of(&file.path[folder.len()..]) {
            Some(table) => tables.entry(table.to_owned()).or_default().files.push(file.clone()),
            None => strays.push(file.path.clone()),
        }
    }
    // A table of which the manifest says that nothing came, and nothing came, did not change.
    tables.retain(|_, table| !table.files.is_empty() || table.rows.is_some_and(|rows| rows > 0));
    Ok(Delivery { folder: folder.trim_end_matches('/').to_owned(), since, at, tables, strays })
}

fn end_of(date: Date) -> Timestamp {
    let last_second = date.at(23, 59, 59, 0).to_zoned(jiff::tz::TimeZone::UTC);
    last_second.map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

/// The table that a path inside a delivery belongs to: `<table>/…/part.jsonl.gz` or `<table>.csv.gz`.
fn table_of(path: &str) -> Option<&str> {
    let (folder, file) = match path.split_once('/') {
        Some((folder, rest)) => (Some(folder), rest.rsplit('/').next().unwrap_or(rest)),
        None => (None, path),
    };
    let plain = file.strip_suffix(".gz").unwrap_or(file);
    let stem = [".jsonl", ".json", ".csv", ".tsv"].iter().find_map(|ending| plain.strip_suffix(ending))?;
    // A schema that the DAP client leaves beside the data is not data.
    if stem.contains("_schema_version_") {
        return None;
    }
    Some(folder.unwrap_or(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_its_table() {
        assert_eq!(table_of("courses/part-00000.jsonl.gz"), Some("courses"));
        assert_eq!(table_of("courses/job_1/part-1.json.gz"), Some("courses"));
        assert_eq!(table_of("web_logs_daily.csv.gz"), Some("web_logs_daily"));
        assert_eq!(table_of("users/users_schema_version_1.json"), None);
        assert_eq!(table_of("README.md"), None);
    }

    #[test]
    fn a_date_is_known_at_its_last_second() {
        assert_eq!(end_of("2014-12-01".parse().unwrap()).to_string(), "2014-12-01T23:59:59Z");
    }
}
