//! Reads the files of one table: gzip with all its members, JSON Lines, CSV and TSV; rows typed, people protected.
//!
//! Promises: a row is taken, held back or an error, never lost: a file that is cut off or damaged is an error and none
//! of its table's rows count; a row that does not fit goes to quarantine, sanitised; a column that no contract knows is
//! a finding; a required column that is gone stops the table. Above one row in a hundred held back the table stops.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use flate2::bufread::MultiGzDecoder;
use polars::prelude::*;

use super::cell::Cell;
use super::columns::{Columns, RowMisfit, TermLookup};
use super::delimited;
use super::jsonl;
use super::privacy::{PrivacyKey, Pseudonyms};
use super::quarantine::Quarantine;
use crate::domain::check::{Finding, Severity};
use crate::domain::table::TableContract;

/// A file of a delivery, where it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    /// Its path in the source, for messages.
    pub path: String,
    /// Where it lies.
    pub local: PathBuf,
}

/// What was read of a table.
#[derive(Debug)]
pub struct TableReading {
    /// The rows, sanitised: the contract's kept columns and the term.
    pub rows: DataFrame,
    /// The keys of deleted rows.
    pub deleted: DataFrame,
    /// The rows held back, sanitised.
    pub quarantine: DataFrame,
    /// What was noteworthy.
    pub findings: Vec<Finding>,
}

/// Why a table was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file cannot be opened or read.
    #[error("reading {file}")]
    File {
        /// The file.
        file: String,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// A file is cut off or damaged.
    #[error("{file} is damaged at byte {offset} of its content ({why}): fetch it again")]
    Corrupt {
        /// The file.
        file: String,
        /// The bytes of content before the damage.
        offset: u64,
        /// What is wrong.
        why: String,
    },
    /// A required column is gone.
    #[error(
        "the table `{table}` no longer has the column `{column}`, which is required: the source's schema changed; update its contract (config/tables/{table}.toml) and what uses the column"
    )]
    ColumnGone {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// Too many rows do not fit.
    #[error(
        "{held_back} of {rows} rows of `{table}` do not fit its contract, more than 1 in 100; most often the rule `{rule}` on the column `{column}`: the table stops; look at {file}"
    )]
    TooManyMisfits {
        /// The table.
        table: String,
        /// Rows held back.
        held_back: u64,
        /// Rows in all.
        rows: u64,
        /// The most frequent rule.
        rule: String,
        /// The column it was breached on.
        column: String,
        /// The first file with such a row.
        file: String,
    },
    /// polars could not build a frame.
    #[error("making a frame of `{table}`")]
    Frame {
        /// The table.
        table: String,
        /// The cause.
        #[source]
        cause: PolarsError,
    },
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// A row: new or changed.
    Upsert,
    /// Its key was deleted.
    Delete,
}

/// Everything a table's reading keeps track of.
pub(super) struct Reading<'a> {
    pub(super) columns: Columns<'a>,
    pub(super) deleted: Columns<'a>,
    pub(super) pseudonyms: Pseudonyms<'a>,
    pub(super) quarantine: Quarantine,
    pub(super) unknown: BTreeMap<String, u64>,
    pub(super) seen: BTreeSet<usize>,
    batches: Vec<DataFrame>,
    rows: u64,
}

/// Rows after which a batch is closed.
const BATCH_ROWS: usize = 131_072;

/// Reads a table's files, in their order.
///
/// # Errors
/// When a file is damaged or unreadable, a required column is gone, or too many rows do not fit.
pub fn read_table(
    contract: &TableContract,
    key_contract: &TableContract,
    files: &[LocalFile],
    key: &PrivacyKey,
    terms: &TermLookup,
) -> Result<TableReading, ReadError> {
    let mut reading = Reading {
        columns: Columns::new(contract, terms),
        deleted: Columns::new(key_contract, terms),
        pseudonyms: Pseudonyms::new(key),
        quarantine: Quarantine::default(),
        unknown: BTreeMap::new(),
        seen: BTreeSet::new(),
        batches: Vec::new(),
        rows: 0,
    };
    let failed = |cause| ReadError::Frame { table: contract.name.to_string(), cause };
    for file in files {
        read_file(file, contract, &mut reading)?;
    }
    reading.close_batch().map_err(failed)?;
    check_columns(contract, &reading)?;
    check_misfits(contract, &reading)?;
    let findings = findings(contract, &reading);
    let rows = stacked(std::mem::take(&mut reading.batches)).map_err(failed)?;
    Ok(TableReading {
        rows,
        deleted: reading.deleted.finish().map_err(failed)?,
        quarantine: reading.quarantine.frame(key.id()).map_err(failed)?,
        findings,
    })
}

/// Returns the contract of a table's keys alone: of a deleted row nothing else is known.
pub fn key_contract(contract: &TableContract) -> TableContract {
    let mut keys = contract.clone();
    keys.columns.retain(|name, _| contract.key.contains(name));
    keys.term = crate::domain::table::TermRule::None;
    keys
}

impl Reading<'_> {
    /// Takes a record: its cells in the order of the columns.
    pub(super) fn take(&mut self, action: Action, row: &mut [Cell<'_>], place: &Place<'_>) -> Result<(), PolarsError> {
        self.rows += 1;
        let taken = match action {
            Action::Upsert => {
                for (index, cell) in row.iter().enumerate() {
                    if *cell != Cell::Null {
                        self.seen.insert(index);
                    }
                }
                self.columns.push(row, &mut self.pseudonyms)
            }
            Action::Delete => {
                let mut keys: Vec<Cell<'_>> = vec![Cell::Null; self.deleted.width()];
                for (index, cell) in keys.iter_mut().enumerate() {
                    if let Some(Some(from)) = self.columns.place(self.deleted.name(index)) {
                        *cell = std::mem::replace(&mut row[from], Cell::Null);
                    }
                }
                self.deleted.push(&mut keys, &mut self.pseudonyms)
            }
        };
        if let Err(RowMisfit { column, rule }) = taken {
            self.quarantine.add(&column, rule, place);
        }
        if self.columns.rows() >= BATCH_ROWS {
            self.close_batch()?;
        }
        Ok(())
    }

    /// Notes a line that is no record at all.
    pub(super) fn hold_back(&mut self, rule: &'static str, place: &Place<'_>) {
        self.rows += 1;
        self.quarantine.add("", rule, place);
    }

    pub(super) fn note_unknown(&mut self, name: &str) {
        const MOST: usize = 100;
        if let Some(count) = self.unknown.get_mut(name) {
            *count += 1;
        } else if self.unknown.len() < MOST {
            self.unknown.insert(name.to_owned(), 1);
        }
    }

    fn close_batch(&mut self) -> PolarsResult<()> {
        if self.columns.rows() > 0 || self.batches.is_empty() {
            let batch = self.columns.finish()?;
            self.batches.push(batch);
        }
        Ok(())
    }
}

/// Where a record stands.
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    /// Bytes of content before it.
    pub(super) offset: u64,
    pub(super) line: &'a [u8],
}

fn read_file(file: &LocalFile, contract: &TableContract, reading: &mut Reading<'_>) -> Result<(), ReadError> {
    let opened = File::open(&file.local).map_err(|cause| ReadError::File { file: file.path.clone(), cause })?;
    let name = file.path.to_lowercase();
    let (plain, is_gzip) = match name.strip_suffix(".gz") {
        Some(plain) => (plain.to_owned(), true),
        None => (name, false),
    };
    let raw = BufReader::with_capacity(1 << 16, opened);
    let content: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) };
    let content = Counted { inner: content, count: 0 };
    if plain.ends_with(".csv") {
        delimited::read(file, content, delimited::Form::Csv, contract, reading)
    } else if plain.ends_with(".tsv") {
        delimited::read(file, content, delimited::Form::Tsv, contract, reading)
    } else {
        jsonl::read(file, BufReader::with_capacity(1 << 18, content), contract, reading)
    }
}

/// A reader that counts what it gives, so that damage can be located.
pub(super) struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.count;
        let read = self
            .inner
            .read(buffer)
            .map_err(|error| std::io::Error::new(error.kind(), format!("{error} (after {count} bytes)")))?;
        self.count += read as u64;
        Ok(read)
    }
}

/// An I/O error while reading content: of a gzip file it is damage.
pub(super) fn damaged(file: &LocalFile, offset: u64, cause: std::io::Error) -> ReadError {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match cause.kind() {
        InvalidData | InvalidInput | UnexpectedEof => {
            ReadError::Corrupt { file: file.path.clone(), offset, why: cause.to_string() }
        }
        _ => ReadError::File { file: file.path.clone(), cause },
    }
}

/// Reads a line's bytes, without its end; `None` at the end of the content.
pub(super) fn next_line<R: BufRead>(reader: &mut R, line: &mut Vec<u8>) -> std::io::Result<Option<usize>> {
    line.clear();
    let read = reader.read_until(b'\n', line)?;
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    Ok(Some(read).filter(|read| *read > 0))
}

fn check_columns(contract: &TableContract, reading: &Reading<'_>) -> Result<(), ReadError> {
    if reading.rows == 0
        || reading.columns.rows() == 0
            && reading.batches.iter().all(|b| b.height() == 0)
            && reading.quarantine.rows() == 0
    {
        return Ok(());
    }
    for (name, column) in contract.kept().filter(|(_, column)| column.required) {
        let is_seen = reading.columns.place(name).flatten().is_some_and(|place| reading.seen.contains(&place));
        if !is_seen && column.required {
            return Err(ReadError::ColumnGone { table: contract.name.to_string(), column: name.clone() });
        }
    }
    Ok(())
}

fn check_misfits(contract: &TableContract, reading: &Reading<'_>) -> Result<(), ReadError> {
    let held_back = reading.quarantine.rows();
    if held_back * 100 <= reading.rows {
        return Ok(());
    }
    let (rule, column, file) = reading.quarantine.most_frequent();
    Err(ReadError::TooManyMisfits {
        table: contract.name.to_string(),
        held_back,
        rows: reading.rows,
        rule,
        column,
        file,
    })
}

fn findings(contract: &TableContract, reading: &Reading<'_>) -> Vec<Finding> {
    let table = &contract.name;
    let mut findings: Vec<Finding> = reading
        .unknown
        .iter()
        .map(|(column, rows)| {
            Finding::new(
                Severity::Warning,
                "schema.unknown_column",
                format!("{table}.{column}"),
                format!(
                    "`{table}` has a column `{column}` that its contract does not know ({rows} rows); it was left out"
                ),
                format!("Add it to config/tables/{table}.toml: keep it, or say why it is dropped"),
            )
        })
        .collect();
    for (column, value, rows) in reading.columns.unlisted() {
        findings.push(Finding::new(
            Severity::Warning,
            "schema.unknown_value",
            format!("{table}.{column}"),
            format!(
                "`{table}.{column}` has the value `{}` that its contract does not list ({rows} rows)",
                value.chars().take(40).collect::<String>()
            ),
            format!("Add the value to `values` in config/tables/{table}.toml, and look at what uses the column"),
        ));
    }
    if reading.quarantine.rows() > 0 {
        let (rule, column, file) = reading.quarantine.most_frequent();
        findings.push(Finding::new(
            Severity::Warning,
            "rows.held_back",
            table.as_str(),
            format!(
                "{} of {} rows of `{table}` do not fit and were held back, most often `{rule}` on `{column}` in {file}",
                reading.quarantine.rows(),
                reading.rows
            ),
            format!("Look at restricted/quarantine/{table}; mend the source or the contract, then pull again"),
        ));
    }
    findings
}

fn stacked(batches: Vec<DataFrame>) -> PolarsResult<DataFrame> {
    let mut batches = batches.into_iter();
    let Some(mut all) = batches.next() else { return Ok(DataFrame::empty()) };
    for batch in batches {
        all.vstack_mut(&batch)?;
    }
    Ok(all)
}
