//! Where student data come from, and how people in them are protected.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::SecretReference;
use super::troubles::Trouble;

/// A source.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What kind of source it is.
    pub kind: SourceKind,
    /// The folder or prefix (`s3://…`) of the exports.
    pub path: Option<String>,
    /// Whether the data identify nobody as they are: only then may they be read without your own pseudonym key.
    #[serde(default)]
    pub anonymous: bool,
    /// Tables that Canvas does not have, by the names of their contracts.
    #[serde(default)]
    pub extra: Vec<String>,
    /// The time of a full export whose manifest does not state it: an instant such as `2015-07-14T23:59:59Z`.
    #[schemars(with = "Option<String>")]
    pub at: Option<jiff::Timestamp>,
    /// A folder of contracts of the site's own tables, in addition to those of the program.
    pub contracts: Option<PathBuf>,
}

/// What kind of source it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Exports of Canvas Data 2 in a folder or an object store.
    Files,
    /// The simulated institution.
    Simulation,
}

/// The simulated institution.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Simulation {
    /// The seed: the same seed and date give the same data.
    pub seed: u64,
    /// How many students are on the books at a time.
    #[schemars(range(min = 10, max = 50_000))]
    pub students: u32,
    /// The year of its first term.
    #[schemars(range(min = 2000, max = 2100))]
    pub first_year: i16,
    /// Its IANA zone.
    pub zone: String,
    /// What its deliveries have wrong, each from a date on; none if not set.
    #[serde(default)]
    pub troubles: Vec<Trouble>,
}

/// Pseudonyms.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Privacy {
    /// The key of the pseudonyms: at least 32 characters, kept for as long as the lake is.
    pub key: Option<SecretReference>,
}
