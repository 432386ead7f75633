//! Rows that do not fit, kept so that a person can see what is wrong without seeing who it is about.
//!
//! A held-back row keeps its rule, column, file, line and offset, a keyed hash of its bytes (a plain one could be
//! compared with guessed rows), and those of its other values that cannot identify a person: pseudonyms, numbers,
//! instants and known words of enumerations. The value that did not fit, and every free text, are left out. A line that
//! could not be read keeps no values at all. These are rows that no table could hold; rows that fit and that a rule holds
//! back are whole, and lie in `lake::waiting`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use polars::prelude::*;

use super::layout::Layout;
use super::privacy::PrivacyKey;
use super::row::{Cell, Origin};
use super::typing::date_of;
use crate::domain::quarantine::is_too_much;
use crate::domain::table::ColumnType;

/// The most rows that are kept; all are counted.
const MOST_KEPT: u64 = 100_000;

/// The rule that is broken by a line that is not a row at all.
const UNREADABLE: &str = "row.unreadable";

/// Why one row was held back.
#[derive(Debug, Clone)]
pub(super) struct Misfit {
    pub(super) rule: &'static str,
    pub(super) column: Option<String>,
    pub(super) reason: String,
}

impl Misfit {
    /// Returns the misfit of a line that could not be read.
    pub(super) fn unreadable(reason: String) -> Self {
        Self { rule: UNREADABLE, column: None, reason }
    }

    /// Returns the misfit of a row whose value in `column` breaks `rule`.
    pub(super) fn of_column(column: &str, rule: &'static str) -> Self {
        let reason = match rule {
            "key.missing" => "a part of the key has no value",
            "column.required" => "a required column has no value",
            "type.id" => "not an id",
            "type.int" => "not a whole number of 64 bits",
            "type.float" => "not a number",
            "type.bool" => "neither true nor false",
            "type.timestamp" => "not an instant with an offset from UTC",
            "type.date" => "not a calendar date",
            _ => "not a value of the column's type",
        };
        Self { rule, column: Some(column.to_owned()), reason: reason.to_owned() }
    }
}

/// The rows of one table that were held back.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    rules: Vec<String>,
    columns: Vec<Option<String>>,
    reasons: Vec<String>,
    files: Vec<String>,
    lines: Vec<Option<i64>>,
    offsets: Vec<Option<i64>>,
    hashes: Vec<String>,
    rows: Vec<Option<String>>,
    counts: BTreeMap<String, u64>,
    total: u64,
}

impl Quarantine {
    /// Holds a row back. `row` is what [`sanitised`] left of it.
    pub(super) fn hold(&mut self, misfit: Misfit, origin: Origin<'_>, key: &PrivacyKey, row: Option<String>) {
        self.total += 1;
        let what = match &misfit.column {
            Some(column) => format!("{} in `{column}`", misfit.rule),
            None => misfit.rule.to_owned(),
        };
        *self.counts.entry(what).or_default() += 1;
        if self.total > MOST_KEPT {
            return;
        }
        self.rules.push(misfit.rule.to_owned());
        self.columns.push(misfit.column);
        self.reasons.push(misfit.reason);
        self.files.push(origin.file.to_owned());
        self.lines.push(i64::try_from(origin.place.line).ok());
        self.offsets.push(i64::try_from(origin.place.offset).ok());
        self.hashes.push(line_hash(key, origin.bytes));
        self.rows.push(row);
    }

    /// Returns how many rows were held back.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Returns how many of them could not even be read.
    pub(super) fn unreadable(&self) -> u64 {
        self.counts.get(UNREADABLE).copied().unwrap_or_default()
    }

    /// Returns whether this is too large a share of `rows`.
    pub(super) fn is_too_much_of(&self, rows: u64) -> bool {
        is_too_much(self.total, rows)
    }

    /// Returns the rules that were broken, with counts, in words.
    pub(super) fn reasons(&self) -> String {
        let told: Vec<String> = self.counts.iter().map(|(what, rows)| format!("{what}: {rows}")).collect();
        told.join(", ")
    }

    /// Returns the rows as a frame, in the order of the files.
    pub(super) fn finish(self) -> PolarsResult<DataFrame> {
        DataFrame::new_infer_height(vec![
            Column::new("rule".into(), self.rules),
            Column::new("column".into(), self.columns),
            Column::new("reason".into(), self.reasons),
            Column::new("file".into(), self.files),
            Column::new("line".into(), self.lines),
            Column::new("offset".into(), self.offsets),
            Column::new("line_hash".into(), self.hashes),
            Column::new("row".into(), self.rows),
        ])
    }
}

/// Returns the keyed hash of a line: with the key one can tell whether the same line came again.
fn line_hash(key: &PrivacyKey, line: &[u8]) -> String {
    hex::encode(key.derive("nocturne quarantined line", line))
}

/// Returns, as JSON, those values of a row that cannot identify a person; `cells` hold only values that fit.
pub(super) fn sanitised(layout: &Layout, cells: &[Cell<'_>]) -> String {
    let mut row = serde_json::Map::new();
    for (column, cell) in layout.columns.iter().zip(cells) {
        let is_person = column.pseudonyms.is_some();
        let value = match cell {
            Cell::Text(text) if is_person || column.is_known(text) => text.as_ref().into(),
            Cell::Int(value) if column.kind == ColumnType::Timestamp => {
                Timestamp::from_microsecond(*value).ok().map(|instant| instant.to_string()).into()
            }
            Cell::Int(value) if column.kind == ColumnType::Date => date_of(*value).map(|date| date.to_string()).into(),
            Cell::Int(value) => (*value).into(),
            Cell::Float(value) => (*value).into(),
            Cell::Bool(value) => (*value).into(),
            _ => continue,
        };
        row.insert(column.name.clone(), value);
    }
    serde_json::Value::Object(row).to_string()
}
