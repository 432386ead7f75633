//! A table's file of an export, read again: rows of named cells, whatever the format, and written back.
//!
//! Columns keep their order, and rows theirs, so that a file that was read and written without a change is the same.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use flate2::read::GzDecoder;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::calendar::Seconds;
use super::super::rows::At;
use super::super::write::{CsvLines, FileFacts, JsonLines};
use crate::domain::ids::content_hash;

/// A table's file.
pub(super) struct TableFile {
    /// The columns, where the file has a header.
    header: Option<Vec<String>>,
    pub(super) rows: Vec<Row>,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// Its key and the time of its last change, in a file of JSON lines.
    line: Option<(i64, Seconds)>,
    pub(super) cells: Map<String, Value>,
}

impl TableFile {
    /// Reads a file that the export has written.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let plain = BufReader::new(GzDecoder::new(File::open(path)?));
        let is_csv = path.to_string_lossy().ends_with(".csv.gz");
        if is_csv { Self::read_csv(plain) } else { Self::read_json(plain) }
    }

    fn read_json(plain: impl BufRead) -> io::Result<Self> {
        let mut rows = Vec::new();
        for line in plain.lines() {
            let StoredLine { key, value, meta } = serde_json::from_str(&line?)?;
            rows.push(Row { line: Some((key.id, meta.ts.as_second())), cells: value });
        }
        Ok(Self { header: None, rows })
    }

    fn read_csv(plain: impl BufRead) -> io::Result<Self> {
        let mut reader = csv::Reader::from_reader(plain);
        let header: Vec<String> = reader.headers().map_err(io::Error::other)?.iter().map(str::to_owned).collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(io::Error::other)?;
            let cells = header.iter().zip(&record).map(|(name, cell)| (name.clone(), Value::from(cell)));
            rows.push(Row { line: None, cells: cells.collect() });
        }
        Ok(Self { header: Some(header), rows })
    }

    /// Writes the file.
    pub(super) fn write(self, path: &Path) -> io::Result<FileFacts> {
        let Some(header) = self.header else {
            let mut out = JsonLines::create(path)?;
            for row in self.rows {
                let (id, ts) = row.line.unwrap_or_default();
                out.write(id, At(ts), row.cells)?;
            }
            return out.finish();
        };
        let mut out = CsvLines::create(path)?;
        out.write_header(&header)?;
        for row in self.rows {
            out.write_cells(header.iter().map(|name| row.cells.get(name).and_then(Value::as_str).unwrap_or_default()))?;
        }
        out.finish()
    }

    /// Gives a column another name.
    pub(super) fn rename(&mut self, column: &str, name: &str) {
        let renamed = |known: String| if known == column { name.to_owned() } else { known };
        self.header = self.header.take().map(|header| header.into_iter().map(renamed).collect());
        for row in &mut self.rows {
            row.cells =
                std::mem::take(&mut row.cells).into_iter().map(|(known, cell)| (renamed(known), cell)).collect();
        }
    }
}

impl Row {
    /// Returns a number that tells the row from the others: its id, or that of its content.
    pub(super) fn number_of(&self) -> i64 {
        let of_content = || {
            let text = Value::Object(self.cells.clone()).to_string();
            i64::from_str_radix(&content_hash(text.as_bytes())[..15], 16).unwrap_or_default()
        };
        self.line.map_or_else(of_content, |(id, _)| id)
    }

    /// Returns whether the row changed at or after `since`.
    pub(super) fn is_new(&self, since: Seconds) -> bool {
        self.line.is_some_and(|(_, ts)| ts >= since)
    }

    /// Returns the text of a cell.
    pub(super) fn text(&self, column: &str) -> Option<&str> {
        self.cells.get(column).and_then(Value::as_str)
    }

    /// Returns the instant in a cell.
    pub(super) fn instant(&self, column: &str) -> Option<Seconds> {
        self.text(column)?.parse::<Timestamp>().ok().map(Timestamp::as_second)
    }

    /// Replaces the value of a cell that has one.
    pub(super) fn change(&mut self, column: &str, change: impl Fn(&Value) -> Value) {
        if let Some(cell) = self.cells.get_mut(column).filter(|cell| !cell.is_null()) {
            *cell = change(cell);
        }
    }
}

#[derive(Deserialize)]
struct StoredLine {
    key: StoredKey,
    value: Map<String, Value>,
    meta: StoredMeta,
}

#[derive(Deserialize)]
struct StoredKey {
    id: i64,
}

#[derive(Deserialize)]
struct StoredMeta {
    ts: Timestamp,
}
