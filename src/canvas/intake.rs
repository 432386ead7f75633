//! Turns the rows of one table into frames: a row is taken, recorded as deleted, or held back.
//!
//! A row is taken whole or not at all. Frames are passed on as they fill, so memory is one batch. At the end the
//! columns, the number of rows and the share of rows that do not fit decide whether the table may be used.

use polars::prelude::*;

use super::contracts::sole_key;
use super::error::ReadError;
use super::findings::{self, Counts};
use super::identity::{IDENTITY_DOMAINS, Identities};
use super::layout::Layout;
use super::privacy::canonical_id;
use super::quarantine::{Misfit, Quarantine, sanitised};
use super::reading::{IdentityUse, PlaceUse, RowMode, SinkError, TableReading, TableRequest};
use super::row::{Action, Cell, Origin, Row};
use super::terms::{NO_TERM, TermLookup, term_column};
use super::typing::ColumnBuilder;
use crate::domain::quarantine::{FILE, OFFSET};
use crate::domain::table::{TERM, TermRule};
use crate::telemetry::progress;

/// After how many rows it says how far it is.
const ROWS_TOLD: u64 = 10_000;

/// The consumer of a table's frames.
pub(super) type Sink<'a> = &'a mut dyn FnMut(DataFrame) -> Result<(), SinkError>;

/// A table that is being read.
pub(super) struct Intake<'a> {
    pub(super) table: String,
    pub(super) layout: Layout,
    /// Whether a file has stated its columns, so that a missing column can be noticed.
    pub(super) has_header: bool,
    request: &'a TableRequest<'a>,
    sink: Sink<'a>,
    keys: Vec<usize>,
    term: Option<usize>,
    identity: Option<(usize, String)>,
    batch: Batch,
    /// The file that is being read, of those requested.
    file_at: usize,
    deleted: Vec<ColumnBuilder>,
    deleted_rows: u64,
    held_keys: Vec<ColumnBuilder>,
    rows: u64,
    /// What is counted while it reads, such as `rows of submissions`.
    told: String,
    without_term: u64,
    quarantine: Quarantine,
    terms: TermLookup,
    identities: Identities,
}

impl<'a> Intake<'a> {
    pub(super) fn new(request: &'a TableRequest<'a>, sink: Sink<'a>) -> Self {
        let contract = request.contract;
        let layout = Layout::new(contract, request.key);
        let place = |name: &str| layout.columns.iter().position(|column| column.name == name);
        let keys: Vec<usize> = contract.key.iter().filter_map(|key| place(key)).collect();
        let identity = sole_key(contract)
            .and_then(|key| key.person.clone())
            .filter(|domain| request.identities == IdentityUse::Collect && IDENTITY_DOMAINS.contains(&domain.as_str()))
            .zip(keys.first().copied())
            .map(|(domain, key)| (key, domain));
        Self {
            table: contract.name.to_string(),
            has_header: false,
            request,
            sink,
            term: term_column(&contract.term).and_then(place),
            identity,
            batch: Batch::new(&layout, request.batch_rows, request.places),
            file_at: 0,
            deleted: keys.iter().map(|&key| layout.columns[key].builder(0)).collect(),
            deleted_rows: 0,
            held_keys: keys.iter().map(|&key| layout.columns[key].builder(0)).collect(),
            rows: 0,
            told: format!("rows of {}", contract.name),
            without_term: 0,
            quarantine: Quarantine::default(),
            terms: TermLookup::default(),
            identities: Identities::default(),
            keys,
            layout,
        }
    }

    /// Takes one row into the batch, the deleted keys, or the quarantine.
    pub(super) fn take(&mut self, row: Row<'_>, origin: Origin<'_>) -> Result<(), ReadError> {
        let reason = match (self.request.mode, row.action) {
            (_, None) | (RowMode::Incremental, Some(Action::Upsert)) => return self.upsert(row, origin),
            (RowMode::Incremental, Some(Action::Delete)) => {
                self.delete(row, origin);
                return Ok(());
            }
            (RowMode::Snapshot, Some(_)) => "a full export has no actions",
            (RowMode::Incremental, Some(Action::Unknown)) => "the action is neither U nor D",
        };
        self.hold_row(Misfit { rule: "row.action", column: None, reason: reason.to_owned() }, row.cells, origin);
        Ok(())
    }

    /// Holds back a line that could not be read.
    pub(super) fn hold_line(&mut self, reason: String, origin: Origin<'_>) {
        self.quarantine.hold(Misfit::unreadable(reason), origin, self.request.key, None);
    }

    /// Completes the table.
    pub(super) fn finish(mut self) -> Result<TableReading, ReadError> {
        let counts = Counts {
            found: self.rows + self.deleted_rows + self.quarantine.total(),
            held_back: self.quarantine.total(),
            reasons: self.quarantine.reasons(),
            without_term: self.without_term,
        };
        self.refuse_lost_columns()?;
        if let Some(expected) = self.request.expected_rows
            && expected != counts.found
        {
            return Err(ReadError::OtherRowCount { table: self.table, expected, found: counts.found });
        }
        if self.quarantine.is_too_much_of(counts.found) {
            let table = self.table.clone();
            let quarantined = self.quarantine.finish().map_err(|cause| ReadError::Frame { table, cause })?;
            return Err(ReadError::TooManyHeldBack {
                table: self.table,
                held_back: counts.held_back,
                rows: counts.found,
                reasons: counts.reasons,
                quarantined: Box::new(quarantined),
            });
        }
        self.pass_on()?;
        let failed = |cause| ReadError::Frame { table: self.table.clone(), cause };
        let mut findings = findings::of_rows(&self.table, self.request.mode, &counts);
        findings.extend(findings::of_columns(&self.table, &self.layout, self.has_header));
        let deleted = self.deleted.into_iter().map(ColumnBuilder::finish).collect();
        let held_keys = self.held_keys.into_iter().map(ColumnBuilder::finish).collect();
        Ok(TableReading {
            rows: self.rows,
            held_back: counts.held_back,
            deleted: DataFrame::new_infer_height(deleted).map_err(failed)?,
            held_keys: DataFrame::new_infer_height(held_keys).map_err(failed)?,
            quarantined: self.quarantine.finish().map_err(failed)?,
            findings,
            columns_seen: self.layout.columns_seen(),
            terms: self.terms,
            identities: self.identities,
        })
    }

    /// Returns a frame of the columns that are passed on, without rows.
    pub(super) fn no_rows(self) -> DataFrame {
        Batch::new(&self.layout, 0, self.request.places).finish().unwrap_or_default()
    }

    fn upsert(&mut self, row: Row<'_>, origin: Origin<'_>) -> Result<(), ReadError> {
        let identity = self.identity.as_ref().and_then(|(key, _)| plain_id(&row.cells[*key]));
        let fitted = match self.fit(row.cells) {
            Ok(fitted) => fitted,
            Err((misfit, fitted)) => {
                self.hold_row_fitted(misfit, &fitted, origin);
                return Ok(());
            }
        };
        if let (Some((key, domain)), Some(id)) = (&self.identity, identity)
            && let Cell::Text(pseudonym) = &fitted[*key]
        {
            self.identities.add(domain, pseudonym, &id);
        }
        self.push_term(&fitted);
        for ((builder, column), cell) in self.batch.columns.iter_mut().zip(&mut self.layout.columns).zip(&fitted) {
            column.count(cell);
            builder.push(cell);
        }
        if let Some((files, offsets)) = &mut self.batch.places {
            if self.request.files.get(self.file_at).is_none_or(|file| file.name != origin.file) {
                self.file_at = self.request.files.iter().position(|file| file.name == origin.file).unwrap_or_default();
            }
            files.push(self.file_at as u64);
            offsets.push(i64::try_from(origin.place.offset).ok());
        }
        self.batch.rows += 1;
        if (self.rows + 1).is_multiple_of(ROWS_TOLD) {
            progress::report(&self.told, self.rows + 1, self.request.expected_rows);
        }
        self.rows += 1;
        if self.batch.rows >= self.request.batch_rows { self.pass_on() } else { Ok(()) }
    }

    fn delete(&mut self, mut row: Row<'_>, origin: Origin<'_>) {
        let keys: Vec<Cell<'_>> =
            self.keys.iter().map(|&key| std::mem::replace(&mut row.cells[key], Cell::Absent)).collect();
        let mut fitted = Vec::with_capacity(keys.len());
        for (&key, cell) in self.keys.iter().zip(keys) {
            match self.layout.columns[key].fit(cell) {
                Ok(cell) => fitted.push(cell),
                Err(rule) => {
                    let misfit = Misfit::of_column(&self.layout.columns[key].name, rule);
                    self.hold_row_fitted(misfit, &[], origin);
                    return;
                }
            }
        }
        for (builder, cell) in self.deleted.iter_mut().zip(&fitted) {
            builder.push(cell);
        }
        self.deleted_rows += 1;
    }

    /// Fits all cells, or returns the first misfit and the cells that do fit.
    fn fit<'c>(&mut self, cells: Vec<Cell<'c>>) -> Result<Vec<Cell<'c>>, (Misfit, Vec<Cell<'c>>)> {
        let mut misfit = None;
        let mut fitted = Vec::with_capacity(cells.len());
        for (column, cell) in self.layout.columns.iter_mut().zip(cells) {
            match column.fit(cell) {
                Ok(cell) => fitted.push(cell),
                Err(rule) => {
                    misfit.get_or_insert_with(|| Misfit::of_column(&column.name, rule));
                    fitted.push(Cell::Absent);
                }
            }
        }
        match misfit {
            None => Ok(fitted),
            Some(misfit) => Err((misfit, fitted)),
        }
    }

    fn push_term(&mut self, fitted: &[Cell<'_>]) {
        let known = self.request.terms;
        let terms = &mut self.batch.terms;
        let Some(cell) = self.term.map(|column| &fitted[column]) else { return terms.append_value(NO_TERM) };
        let found = match (&self.request.contract.term, cell) {
            (_, Cell::Null) => return terms.append_value(NO_TERM),
            (TermRule::Term { .. }, Cell::Int(term)) => return terms.append_value(term.to_string()),
            (TermRule::Term { .. }, Cell::Text(term)) => Some(term.as_ref()),
            (TermRule::Course { .. }, Cell::Int(course)) => known.of_course(*course),
            (TermRule::Enrollment { .. }, Cell::Text(enrollment)) => known.of_enrollment(enrollment),
            _ => None,
        };
        if found.is_none() {
            self.without_term += 1;
        }
        terms.append_value(found.unwrap_or(NO_TERM));
    }

    fn hold_row(&mut self, misfit: Misfit, cells: Vec<Cell<'_>>, origin: Origin<'_>) {
        let fitted = self.fit(cells).unwrap_or_else(|(_, fitted)| fitted);
        self.hold_row_fitted(misfit, &fitted, origin);
    }

    fn hold_row_fitted(&mut self, misfit: Misfit, fitted: &[Cell<'_>], origin: Origin<'_>) {
        let keys: Option<Vec<&Cell<'_>>> = self.keys.iter().map(|&key| fitted.get(key)).collect();
        if let Some(keys) = keys.filter(|keys| keys.iter().all(|key| !matches!(key, Cell::Absent | Cell::Null))) {
            self.held_keys.iter_mut().zip(keys).for_each(|(builder, key)| builder.push(key));
        }
        let row = sanitised(&self.layout, fitted);
        self.quarantine.hold(misfit, origin, self.request.key, Some(row));
    }

    fn pass_on(&mut self) -> Result<(), ReadError> {
        if self.batch.rows == 0 {
            return Ok(());
        }
        let batch =
            std::mem::replace(&mut self.batch, Batch::new(&self.layout, self.request.batch_rows, self.request.places));
        let failed = |cause| ReadError::Frame { table: self.table.clone(), cause };
        let frame = batch.finish().map_err(failed)?;
        self.terms.learn(self.request.contract, &frame).map_err(failed)?;
        (self.sink)(frame).map_err(|cause| ReadError::Sink { table: self.table.clone(), cause })
    }

    fn refuse_lost_columns(&self) -> Result<(), ReadError> {
        // Deleted keys alone prove nothing about the other columns, and neither do lines that could not be read.
        let proves = self.has_header || self.rows > 0 || self.quarantine.total() > self.quarantine.unreadable();
        let required = |name: &String| self.request.contract.columns.get(name).is_some_and(|column| column.required);
        let lost: Vec<String> = self.layout.columns_missing().into_iter().filter(required).collect();
        if proves && !lost.is_empty() {
            return Err(ReadError::MissingColumns { table: self.table.clone(), columns: lost });
        }
        Ok(())
    }
}

/// The rows that wait for the next frame.
struct Batch {
    columns: Vec<ColumnBuilder>,
    terms: StringChunkedBuilder,
    /// The file and the offset of each row, where they are kept.
    places: Option<(Vec<u64>, Vec<Option<i64>>)>,
    rows: usize,
}

impl Batch {
    fn new(layout: &Layout, rows: usize, places: PlaceUse) -> Self {
        let capacity = rows.min(1024);
        Self {
            columns: layout.columns.iter().map(|column| column.builder(capacity)).collect(),
            terms: StringChunkedBuilder::new(TERM.into(), capacity),
            places: (places == PlaceUse::Keep).then(Default::default),
            rows: 0,
        }
    }

    fn finish(self) -> PolarsResult<DataFrame> {
        let mut columns: Vec<Column> = self.columns.into_iter().map(ColumnBuilder::finish).collect();
        columns.push(self.terms.finish().into_series().into_column());
        if let Some((files, offsets)) = self.places {
            columns.extend([Column::new(FILE.into(), files), Column::new(OFFSET.into(), offsets)]);
        }
        DataFrame::new(self.rows, columns)
    }
}

/// Returns the id in its canonical spelling, as it was in the file.
fn plain_id(cell: &Cell<'_>) -> Option<String> {
    match cell {
        Cell::Int(id) => Some(id.to_string()),
        Cell::Text(id) => Some(canonical_id(id).map_or_else(|| id.to_string(), |id| id.to_string())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::canvas::fixture::{Folder, Reader, gz};
    use crate::canvas::pull::PlaceUse;
    use crate::domain::quarantine::{FILE, OFFSET};

    #[test]
    fn each_row_says_in_which_file_and_where_it_stood_if_that_is_asked_for() {
        let contract = toml::from_str(
            "name = \"things\"\nabout = \"A thing.\"\nkey = [\"id\"]\n[columns]\nid = { type = \"id\" }\n",
        );
        let line = |id: u32| format!("{{\"key\":{{\"id\":{id}}},\"value\":{{}},\"meta\":{{\"ts\":\"x\"}}}}\n");
        let folder = Folder::new();
        let files = [
            folder.with("part-00000.jsonl.gz", &gz(&(line(1) + &line(2)))),
            folder.with("part-00001.jsonl.gz", &gz(&line(3))),
        ];
        let reader = Reader { places: PlaceUse::Keep, batch_rows: 2, ..Reader::by(contract.unwrap()) };

        let read = reader.read(&files).unwrap().frame;

        let numbers: Vec<Option<u64>> = read.column(FILE).unwrap().u64().unwrap().iter().collect();
        let offsets: Vec<Option<i64>> = read.column(OFFSET).unwrap().i64().unwrap().iter().collect();
        assert_eq!(numbers, [Some(0), Some(0), Some(1)]);
        assert_eq!(offsets, [Some(0), i64::try_from(line(1).len()).ok(), Some(0)]);
    }
}
