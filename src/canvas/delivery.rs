//! Deliveries: what a source contains, table by table, and when it was known.
//!
//! The root is a delivery if it has a `manifest.json` or files of tables; otherwise each folder below it that has them
//! is one. Files of a table are in `<table>/` at any depth (DAP's client makes `job_<id>/` folders), or at the top as
//! `<table>.csv.gz`. A delivery must state its time: nothing else is a clock (`meta.ts` is the time of a row's last
//! change). Files anywhere else are reported in findings, never silently ignored. The content of the tables is not read
//! here.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::contracts::Contracts;
pub use super::manifest::DeliveryMode;
use super::manifest::{DeliveryManifest, ManifestTable};
use super::pull::{LocalFile, RowMode};
use crate::domain::check::Finding;
use crate::domain::ids::TableName;
use crate::domain::source::{FileSource, SourceError, SourceFile};

const MANIFEST: &str = "manifest.json";

/// The endings of files that hold rows.
const ENDINGS: [&str; 5] = ["jsonl", "json", "ndjson", "csv", "tsv"];

/// Why the deliveries of a source cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The source cannot be read.
    #[error("looking for deliveries")]
    Source(#[from] SourceError),
    /// A manifest cannot be read.
    #[error("reading the manifest `{path}` of the source at {root}")]
    Unreadable {
        /// The source's root.
        root: String,
        /// The manifest.
        path: String,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// A manifest is not a manifest.
    #[error("the manifest `{path}` of the source at {root} cannot be used: {reason}")]
    Manifest {
        /// The source's root.
        root: String,
        /// The manifest.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Deliveries do not say when they were made.
    #[error(
        "these deliveries of the source at {root} do not say when they were made: {}; add to `manifest.json` in each the \
         key `at` (the instant of a full export, such as \"2026-11-20T05:00:00Z\"), or `since` and `until` (of changes)",
        .folders.join(", ")
    )]
    Timeless {
        /// The source's root.
        root: String,
        /// The deliveries' folders.
        folders: Vec<String>,
    },
    /// There is nothing.
    #[error(
        "the source at {root} holds no delivery among its {files} files: a delivery is a folder with `manifest.json` and \
         a folder for each table"
    )]
    Empty {
        /// The source's root.
        root: String,
        /// How many files there are.
        files: usize,
    },
}

/// One delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its folder below the source's root; empty if the root is the delivery.
    pub folder: String,
    /// What it holds, and when it was known.
    pub mode: DeliveryMode,
    /// The tables that it brings, in the order in which they must be read.
    pub tables: Vec<TableDelivery>,
    /// Tables of which it says that nothing changed.
    pub unchanged: BTreeSet<TableName>,
    /// What it contains that belongs to no table.
    pub findings: Vec<Finding>,
}

/// One table of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDelivery {
    /// The table.
    pub table: TableName,
    /// Its files, sorted by path; empty if the manifest promises rows and nothing came.
    pub files: Vec<SourceFile>,
    /// The rows that the manifest promises.
    pub expected_rows: Option<u64>,
    /// The SHA-256 that the manifest states of the table's only file.
    pub sha256: Option<String>,
}

impl Delivery {
    /// Returns the delivery's name for messages: ``delivery `2026-11-20` ``, or "the delivery" if the root is the only
    /// one.
    pub fn shown(&self) -> String {
        if self.folder.is_empty() { "the delivery".to_owned() } else { format!("delivery `{}`", self.folder) }
    }

    /// Returns how the rows are meant.
    pub fn row_mode(&self) -> RowMode {
        match self.mode {
            DeliveryMode::Snapshot { .. } => RowMode::Snapshot,
            DeliveryMode::Incremental { .. } => RowMode::Incremental,
        }
    }
}

impl TableDelivery {
    /// Returns local copies of the table's files, to be read.
    ///
    /// # Errors
    /// When a file cannot be copied.
    pub async fn local_files(&self, source: &dyn FileSource) -> Result<Vec<LocalFile>, SourceError> {
        let mut local = Vec::new();
        for file in &self.files {
            let path = source.local_copy(file).await?;
            local.push(LocalFile { path, name: file.path.clone(), sha256: self.sha256.clone() });
        }
        Ok(local)
    }
}

/// Returns the deliveries of `source`, oldest first.
///
/// `stated_at` is the time that a person states for a full export which does not state it itself; it applies only if
/// there is exactly one such delivery, because two cannot be of the same time.
///
/// # Errors
/// When the source or a manifest cannot be read, a delivery does not state its time, or there is none.
pub async fn find_deliveries(
    source: &dyn FileSource,
    contracts: &Contracts,
    stated_at: Option<Timestamp>,
) -> Result<Vec<Delivery>, DeliveryError> {
    let root = source.root();
    let files = source.list().await?;
    let listing = Listing { files: &files, contracts };
    let folders = folders(&files, contracts);
    if folders.is_empty() {
        return Err(DeliveryError::Empty { root, files: files.len() });
    }
    let mut deliveries = Vec::new();
    let mut timeless = Vec::new();
    for folder in folders {
        let manifest = read_manifest(source, &root, &files, &folder).await?;
        let wrong = |reason| DeliveryError::Manifest { root: root.clone(), path: below(&folder, MANIFEST), reason };
        match manifest.mode().map_err(wrong)? {
            Some(mode) => deliveries.push(sort_out(listing, folder, mode, &manifest)),
            None => timeless.push((folder, manifest)),
        }
    }
    match (timeless.as_slice(), stated_at) {
        ([], _) => {}
        ([(folder, manifest)], Some(at)) => {
            let mode = DeliveryMode::Snapshot { at };
            deliveries.push(sort_out(listing, folder.clone(), mode, manifest));
        }
        _ => {
            let name = |folder: String| if folder.is_empty() { ".".to_owned() } else { folder };
            let folders = timeless.into_iter().map(|(folder, _)| name(folder)).collect();
            return Err(DeliveryError::Timeless { root, folders });
        }
    }
    if let Some(first) = deliveries.first_mut() {
        first.findings.extend(strays_of_the_source(&files, contracts));
    }
    deliveries.sort_by(|a, b| (a.mode.known_at(), &a.folder).cmp(&(b.mode.known_at(), &b.folder)));
    Ok(deliveries)
}

/// Returns the folders that are deliveries: the root alone (as the empty text), or those below it.
fn folders(files: &[SourceFile], contracts: &Contracts) -> BTreeSet<String> {
    if files.iter().any(|file| marks_delivery(&file.path, contracts)) {
        return BTreeSet::from([String::new()]);
    }
    let below = files.iter().filter_map(|file| {
        let (folder, rest) = file.path.split_once('/')?;
        marks_delivery(rest, contracts).then(|| folder.to_owned())
    });
    below.collect()
}

fn marks_delivery(path: &str, contracts: &Contracts) -> bool {
    path == MANIFEST || table_of(path, contracts).is_some_and(|table| contracts.find(table).is_some())
}

/// Returns the name of the table to which a file of a delivery belongs.
fn table_of<'a>(path: &'a str, contracts: &Contracts) -> Option<&'a str> {
    match path.split_once('/') {
        Some((table, rest)) => {
            let name = rest.rsplit('/').next().unwrap_or(rest);
            (holds_rows(name)).then_some(table)
        }
        None => {
            let table = path.split('.').next().unwrap_or(path);
            (holds_rows(path) && contracts.find(table).is_some()).then_some(table)
        }
    }
}

fn holds_rows(name: &str) -> bool {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    let ending = plain.rsplit_once('.').map_or("", |(_, ending)| ending);
    let is_part = plain.starts_with("part") && !matches!(ending, "parquet" | "crc" | "orc" | "avro");
    ENDINGS.contains(&ending) || is_part
}

async fn read_manifest(
    source: &dyn FileSource,
    root: &str,
    files: &[SourceFile],
    folder: &str,
) -> Result<DeliveryManifest, DeliveryError> {
    let path = below(folder, MANIFEST);
    let Some(file) = files.iter().find(|file| file.path == path) else { return Ok(DeliveryManifest::default()) };
    let local = source.local_copy(file).await?;
    let bytes = tokio::fs::read(&local).await;
    let bytes =
        bytes.map_err(|cause| DeliveryError::Unreadable { root: root.to_owned(), path: path.clone(), cause })?;
    DeliveryManifest::read(&bytes).map_err(|reason| DeliveryError::Manifest { root: root.to_owned(), path, reason })
}

/// All files of a source, and the contracts that say which tables they are of.
#[derive(Clone, Copy)]
struct Listing<'a> {
    files: &'a [SourceFile],
    contracts: &'a Contracts,
}

/// Sorts the files of one delivery by table.
fn sort_out(listing: Listing<'_>, folder: String, mode: DeliveryMode, manifest: &DeliveryManifest) -> Delivery {
    let Listing { files, contracts } = listing;
    let mut by_table: BTreeMap<&str, Vec<SourceFile>> = BTreeMap::new();
    let mut strays: BTreeMap<&str, u64> = BTreeMap::new();
    let mut unread: Vec<&str> = Vec::new();
    for file in files {
        let Some(path) = within(&folder, &file.path) else { continue };
        match table_of(path, contracts) {
            _ if path == MANIFEST => {}
            Some(table) if contracts.find(table).is_some() => by_table.entry(table).or_default().push(file.clone()),
            _ => match path.split_once('/') {
                Some((table, _)) if contracts.find(table).is_some() && !is_marker(path) => unread.push(&file.path),
                Some((place, _)) => *strays.entry(place).or_default() += 1,
                None => *strays.entry(path).or_default() += 1,
            },
        }
    }
    let mut findings: Vec<Finding> =
        strays.iter().map(|(place, files)| stray(&below(&folder, place), *files)).collect();
    findings.extend(unread.iter().map(|path| unreadable(path)));
    for (table, stated) in &manifest.tables {
        if contracts.find(table).is_none() && stated.rows != Some(0) && !strays.keys().any(|stray| is_of(stray, table))
        {
            findings.push(stray(&below(&folder, table), 0));
        }
    }
    let mut tables = Vec::new();
    let mut unchanged = BTreeSet::new();
    for contract in contracts.in_reading_order() {
        let name = contract.name.as_str();
        let mut files = by_table.remove(name).unwrap_or_default();
        files.sort();
        let ManifestTable { rows, sha256 } = manifest.tables.get(name).cloned().unwrap_or_default();
        let table = contract.name.clone();
        match (files.is_empty(), rows) {
            (true, None) => {}
            (true, Some(0)) => {
                unchanged.insert(table);
            }
            _ => {
                // A hash of the whole can only be compared if the whole is one file.
                let sha256 = sha256.filter(|_| files.len() == 1);
                tables.push(TableDelivery { table, files, expected_rows: rows, sha256 });
            }
        }
    }
    Delivery { folder, mode, tables, unchanged, findings }
}

/// Returns whether a file is a marker that exporters leave next to the rows (`_SUCCESS`, `.part-0.crc`).
fn is_marker(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with(['_', '.']))
}

fn unreadable(path: &str) -> Finding {
    Finding::warning(
        "delivery.unread_format",
        path,
        format!("The file `{path}` stands among a table's files in a format that is not read; its rows are missing."),
        "Deliver the table as JSON Lines, TSV or CSV, plain or with gzip.",
    )
}

fn is_of(stray: &str, table: &str) -> bool {
    stray.split('.').next() == Some(table)
}

/// Returns the findings about files that belong to no delivery at all, if the deliveries are folders below the root.
fn strays_of_the_source(files: &[SourceFile], contracts: &Contracts) -> Vec<Finding> {
    let folders = folders(files, contracts);
    if folders.contains("") {
        return Vec::new();
    }
    let mut strays: BTreeMap<&str, u64> = BTreeMap::new();
    for file in files {
        let place = file.path.split_once('/').map_or(file.path.as_str(), |(folder, _)| folder);
        if !folders.contains(place) {
            *strays.entry(place).or_default() += 1;
        }
    }
    strays.iter().map(|(place, files)| stray(place, *files)).collect()
}

fn stray(place: &str, files: u64) -> Finding {
    let message = match files {
        0 => format!("The manifest promises rows of `{place}`, for which there is no contract; they were not read."),
        1 => format!("One file at `{place}` belongs to no table that has a contract; it was not read."),
        _ => format!("{files} files at `{place}` belong to no table that has a contract; they were not read."),
    };
    Finding::info(
        "delivery.stray_files",
        place,
        message,
        "Put a table's files into a folder of its name; name a table of your own in the configuration.",
    )
}

fn below(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

fn within<'a>(folder: &str, path: &'a str) -> Option<&'a str> {
    if folder.is_empty() { Some(path) } else { path.strip_prefix(folder)?.strip_prefix('/') }
}

#[cfg(test)]
mod tests;
