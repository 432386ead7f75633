//! Rows that do not fit: what is kept of them tells where they are and why, and nothing about a person.
//!
//! Kept are the rule, the column, the file, the offset and the hash of the line. With them the source's owner finds the
//! row; nobody else learns what stood in it.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::reader::Place;
use crate::domain::ids::content_hash;

/// The rows held back of one table.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    rule: Vec<&'static str>,
    column: Vec<String>,
    file: Vec<String>,
    offset: Vec<u64>,
    line_sha256: Vec<String>,
    counts: BTreeMap<(&'static str, String), (u64, String)>,
    total: u64,
}

/// How many rows are kept one by one; beyond that they only count (and the table stops anyway).
const MOST: usize = 10_000;

impl Quarantine {
    pub(super) fn add(&mut self, column: &str, rule: &'static str, place: &Place<'_>) {
        self.total += 1;
        let count = self.counts.entry((rule, column.to_owned())).or_insert((0, place.file.to_owned()));
        count.0 += 1;
        if self.rule.len() < MOST {
            self.rule.push(rule);
            self.column.push(column.to_owned());
            self.file.push(place.file.to_owned());
            self.offset.push(place.offset);
            self.line_sha256.push(content_hash(place.line));
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.total
    }

    /// The most frequent rule, the column it was breached on, and the first file.
    pub(super) fn most_frequent(&self) -> (String, String, String) {
        let most = self.counts.iter().max_by_key(|(_, (count, _))| *count);
        most.map(|((rule, column), (_, file))| ((*rule).to_owned(), column.clone(), file.clone())).unwrap_or_default()
    }

    /// The rows as a frame.
    pub(super) fn frame(&self, key_id: &str) -> PolarsResult<DataFrame> {
        df!(
            "rule" => self.rule.clone(),
            "column" => self.column.clone(),
            "file" => self.file.clone(),
            "offset" => self.offset.iter().map(|n| i64::try_from(*n).unwrap_or(i64::MAX)).collect::<Vec<_>>(),
            "line_sha256" => self.line_sha256.clone(),
            "privacy_key_id" => vec![key_id.to_owned(); self.rule.len()],
        )
    }
}
