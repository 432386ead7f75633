//! A row between a file and the columns: the values of the kept columns, as they were in the file.
//!
//! Values are borrowed from the line where possible. They are not checked here; `typing` does that.

use std::borrow::Cow;

/// One value.
#[derive(Clone, PartialEq)]
pub(super) enum Cell<'a> {
    /// The row does not have the column.
    Absent,
    /// The row says that there is no value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number; after typing also an instant (microseconds) or a date (days).
    Int(i64),
    /// A number.
    Float(f64),
    /// A whole number beyond 64 bits.
    Beyond,
    /// Text.
    Text(Cow<'a, str>),
    /// An object or a list, as JSON.
    Json(String),
    /// After typing: the exporter met a value that its own schema does not know.
    Unspecified,
    /// After typing: the exporter found the value too large.
    Oversized,
}

/// What an incremental delivery says about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// The row is new or changed.
    Upsert,
    /// The row is gone.
    Delete,
    /// A word that is neither.
    Unknown,
}

impl Action {
    /// Returns the action that the word of a delivery stands for.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "U" => Self::Upsert,
            "D" => Self::Delete,
            _ => Self::Unknown,
        }
    }
}

/// One row: a cell for each kept column, in the layout's order.
pub(super) struct Row<'a> {
    pub(super) cells: Vec<Cell<'a>>,
    pub(super) action: Option<Action>,
}

impl Row<'_> {
    /// Returns a row of `width` absent cells.
    pub(super) fn new(width: usize) -> Self {
        Self { cells: vec![Cell::Absent; width], action: None }
    }
}

/// Where a row came from.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    /// The file, as messages name it.
    pub(super) file: &'a str,
    pub(super) place: Place,
    /// The row as it was in the file.
    pub(super) bytes: &'a [u8],
}

/// The position of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The line, from 1 (of a CSV file the line on which the record begins).
    pub(super) line: u64,
    /// The byte at which it begins, after decompression.
    pub(super) offset: u64,
}
