//! The input of reading a table, and its result besides the frames: plain values.

use std::path::PathBuf;

use polars::prelude::*;

use super::identity::Identities;
use super::privacy::PrivacyKey;
use super::terms::TermLookup;
use crate::domain::check::Finding;
use crate::domain::table::TableContract;

/// The error of a sink that takes frames.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// A file of a table, on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    /// Where its bytes are.
    pub path: PathBuf,
    /// Its path within the source, for messages; its ending says the format.
    pub name: String,
    /// The SHA-256 that the manifest states.
    pub sha256: Option<String>,
}

/// How the rows of a delivery must be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowMode {
    /// Every row there is.
    Snapshot,
    /// What changed: rows that are new or changed, and keys that are gone.
    Incremental,
}

/// What happens to the map from pseudonyms back to ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityUse {
    /// The reading returns it, to be encrypted.
    Collect,
    /// It is not kept at all.
    Ignore,
}

/// What to read, and how.
#[derive(Debug, Clone, Copy)]
pub struct TableRequest<'a> {
    /// The table.
    pub contract: &'a TableContract,
    /// Its files, in order.
    pub files: &'a [LocalFile],
    /// How the rows must be read.
    pub mode: RowMode,
    /// How many rows the manifest promises.
    pub expected_rows: Option<u64>,
    /// The key of the pseudonyms.
    pub key: &'a PrivacyKey,
    /// The terms of courses and enrolments that were read before.
    pub terms: &'a TermLookup,
    /// What happens to the map back to ids.
    pub identities: IdentityUse,
    /// The most rows in a frame.
    pub batch_rows: usize,
    /// Whether each row says where it came from.
    pub places: PlaceUse,
}

/// Whether the frames say of each row where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceUse {
    /// They have two more columns: the number of the file, from 0, and the offset in it (`domain::quarantine`).
    Keep,
    /// They have the contract's columns and the term.
    Ignore,
}

/// What was read, besides the frames.
#[derive(Debug)]
pub struct TableReading {
    /// Rows in the frames.
    pub rows: u64,
    /// The keys of rows that are gone, pseudonymised.
    pub deleted: DataFrame,
    /// How many rows were held back, whether they are kept in `quarantined` or only counted.
    pub held_back: u64,
    /// The keys of the held-back rows whose keys could be read, pseudonymised.
    pub held_keys: DataFrame,
    /// The rows that were held back, sanitised; see `quarantine`.
    pub quarantined: DataFrame,
    /// What was found wrong.
    pub findings: Vec<Finding>,
    /// The kept columns that the delivery has, by name.
    pub columns_seen: Vec<String>,
    /// What the table says about terms (`courses` and `enrollments` do).
    pub terms: TermLookup,
    /// The map back from the table's own pseudonyms, if it was asked for.
    pub identities: Identities,
}
