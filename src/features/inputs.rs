//! What a build reads: for each table its contract, when it was first known, and the local copies of its parts.
//!
//! The caller (a job) fetches the parts from the lake; nothing here accesses a store. A part carries its manifest
//! entry, so that a fingerprint covers content hashes and a build reads only the parts of its terms.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;

use super::error::FeatureError;
use crate::domain::lineage::Part;
use crate::domain::table::{TableContract, TermRule};

/// One part of a table and its local copy.
#[derive(Debug, Clone)]
pub struct PartFile {
    /// The part, as the manifest names it.
    pub part: Part,
    /// The Parquet file.
    pub local: PathBuf,
}

/// One table.
#[derive(Debug, Clone)]
pub struct TableInput {
    /// Its contract.
    pub contract: TableContract,
    /// When the table was first learned; cutoffs before it are reconstructed.
    pub first_known_at: Timestamp,
    /// Its parts, current and history.
    pub parts: Vec<PartFile>,
}

impl TableInput {
    /// Returns the parts that may hold rows of `terms` (none: of all terms), sorted by content. A table that is not
    /// divided by term gives all its parts.
    pub fn parts_of(&self, terms: Option<&BTreeSet<&str>>) -> Vec<&PartFile> {
        let terms = terms.filter(|_| self.contract.term != TermRule::None);
        let mut parts: Vec<_> = self
            .parts
            .iter()
            .filter(|file| match (terms, file.part.partition.get("term")) {
                (Some(terms), Some(term)) => terms.contains(term.as_str()),
                _ => true,
            })
            .collect();
        parts.sort_by(|a, b| (&a.part.sha256, &a.local).cmp(&(&b.part.sha256, &b.local)));
        parts
    }
}

/// The tables of a build, by name.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    tables: BTreeMap<String, TableInput>,
}

impl Inputs {
    /// Returns the inputs that hold `tables`.
    pub fn new(tables: impl IntoIterator<Item = TableInput>) -> Self {
        Self { tables: tables.into_iter().map(|table| (table.contract.name.as_str().to_owned(), table)).collect() }
    }

    /// Returns the table `name`, or none.
    pub fn table(&self, name: &str) -> Option<&TableInput> {
        self.tables.get(name)
    }

    /// Returns the table `name`, which `set` reads.
    ///
    /// # Errors
    /// When no source delivered it.
    pub(super) fn required(&self, set: &str, name: &str) -> Result<&TableInput, FeatureError> {
        self.table(name).ok_or_else(|| FeatureError::NoTable {
            set: set.to_owned(),
            table: name.to_owned(),
            known: self.tables.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        })
    }
}
