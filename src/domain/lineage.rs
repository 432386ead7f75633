//! Manifests: what a snapshot of a dataset is made of, and from what.
//!
//! A manifest names immutable, content-named parts. Its id is the hash of its canonical JSON, so the same
//! content made from the same inputs is the same snapshot. Durations, run ids and wall-clock times never
//! enter a manifest.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::SnapshotId;

/// The version of the manifest format that this program writes.
pub const MANIFEST_VERSION: u32 = 1;

/// One immutable snapshot of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format's version.
    pub version: u32,
    /// The dataset's key, such as `restricted/tables/submissions`.
    pub dataset: String,
    /// Columns in order: name and type, as Parquet (arrow) names it.
    pub schema: Vec<ManifestColumn>,
    /// The parts, sorted by path.
    pub parts: Vec<Part>,
    /// The snapshots this was made from, `<dataset>@<snapshot>`, sorted.
    pub inputs: Vec<String>,
    /// The hash of the code and SQL that made it.
    pub code_hash: String,
    /// The id of the pseudonym key, if the snapshot holds ids of people.
    pub privacy_key_id: Option<String>,
    /// Other facts by name, such as `first_known_at`, `known_at`, `basis`; sorted.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
}

/// How the past behind a part or a figure is known. The weaker kind is the greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Every row as it was known at the time.
    AsKnown,
    /// Rebuilt from history that was loaded later, cut back to what was visible then.
    Reconstructed,
}

impl Basis {
    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AsKnown => "as_known",
            Self::Reconstructed => "reconstructed",
        }
    }
}

/// One column of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestColumn {
    /// The name.
    pub name: String,
    /// The type, such as `String`, `Int64`, `Datetime(us, UTC)`.
    pub dtype: String,
}

/// One Parquet file of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The path below the dataset, such as `data/<sha256>.parquet`.
    pub path: String,
    /// Rows.
    pub rows: u64,
    /// Bytes of the file.
    pub size_bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// What the part holds, such as `term = 4`, `versions = current`, `as_of = 2014-12-02`; sorted.
    #[serde(default)]
    pub partition: BTreeMap<String, String>,
    /// Smallest and largest value of some columns, as text, sorted by column. Never of a person's column.
    #[serde(default)]
    pub min_max: BTreeMap<String, (String, String)>,
}

impl Manifest {
    /// Returns the snapshot's id: the hash of the manifest's JSON.
    ///
    /// # Panics
    /// Never: a manifest always serialises.
    pub fn id(&self) -> SnapshotId {
        SnapshotId::of(&self.to_json())
    }

    /// Returns the manifest as canonical JSON: fields in order, maps sorted, parts sorted by path.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("strings and numbers always serialise")
    }

    /// Returns the number of rows in all parts.
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.rows).sum()
    }

    /// Returns the number of bytes in all parts.
    pub fn size_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.size_bytes).sum()
    }

    /// Returns the parts whose partition value of `name` is `value`.
    pub fn parts_where<'a>(&'a self, name: &'a str, value: &'a str) -> impl Iterator<Item = &'a Part> {
        self.parts.iter().filter(move |part| part.partition.get(name).is_some_and(|found| found == value))
    }

    /// Returns the instant that the fact `name` holds.
    pub fn instant(&self, name: &str) -> Option<Timestamp> {
        self.facts.get(name).and_then(|text| text.parse().ok())
    }
}
