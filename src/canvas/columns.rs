//! Typed columns in the making: rows come in one by one, frames go out in batches.
//!
//! A row is added whole or not at all. People's ids become pseudonyms here, before anything else can see them, and
//! every row gets its term.

use std::collections::{BTreeMap, HashMap};

use polars::prelude::*;

use super::cell::{Cell, Misfit, Typed, UNSPECIFIED};
use super::privacy::Pseudonyms;
use crate::domain::table::{ColumnContract, ColumnType, TERM, TableContract, TermRule};

/// Finds the term of a course or an enrolment: filled from `courses` and `enrollments` as they pass.
#[derive(Debug, Clone, Default)]
pub struct TermLookup {
    courses: HashMap<i64, String>,
    enrollments: HashMap<String, String>,
}

/// The term of a row that has none.
const NO_TERM: &str = "none";

impl TermLookup {
    /// Remembers the terms of a frame of `courses` or `enrollments`; other tables tell nothing.
    ///
    /// # Errors
    /// When the frame does not have its columns.
    pub fn learn(&mut self, table: &str, frame: &DataFrame) -> PolarsResult<()> {
        if table != "courses" && table != "enrollments" {
            return Ok(());
        }
        let terms = frame.column(TERM)?.str()?;
        let ids = frame.column("id")?;
        for row in 0..frame.height() {
            let term = terms.get(row).unwrap_or(NO_TERM).to_owned();
            if table == "courses" {
                if let Some(id) = ids.i64()?.get(row) {
                    self.courses.insert(id, term);
                }
            } else if let Some(id) = ids.str()?.get(row) {
                self.enrollments.insert(id.to_owned(), term);
            }
        }
        Ok(())
    }
}

/// The columns of a batch.
pub(super) struct Columns<'a> {
    contract: &'a TableContract,
    terms: &'a TermLookup,
    columns: Vec<Building<'a>>,
    /// Where each name stands; dropped columns are known and have no place.
    places: HashMap<&'a str, Option<usize>>,
    row_term: StringChunkedBuilder,
    rows: usize,
}

struct Building<'a> {
    name: &'a str,
    contract: &'a ColumnContract,
    is_key: bool,
    builder: Builder,
    /// Values that the contract does not list, and how often each came. Only enumerations are listed.
    unlisted: BTreeMap<String, u64>,
}

enum Builder {
    Int(PrimitiveChunkedBuilder<Int64Type>),
    Float(PrimitiveChunkedBuilder<Float64Type>),
    Bool(BooleanChunkedBuilder),
    Text(StringChunkedBuilder),
    Instant(PrimitiveChunkedBuilder<Int64Type>),
    Day(PrimitiveChunkedBuilder<Int32Type>),
}

/// A row that does not fit: the column and the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowMisfit {
    pub(super) column: String,
    pub(super) rule: Misfit,
}

impl<'a> Columns<'a> {
    pub(super) fn new(contract: &'a TableContract, terms: &'a TermLookup) -> Self {
        let columns: Vec<Building<'a>> = contract
            .kept()
            .map(|(name, column)| Building {
                name,
                contract: column,
                is_key: contract.key.contains(name),
                builder: Builder::of(name, column),
                unlisted: BTreeMap::new(),
            })
            .collect();
        let mut places: HashMap<&str, Option<usize>> =
            contract.columns.keys().map(|name| (name.as_str(), None)).collect();
        for (place, column) in columns.iter().enumerate() {
            places.insert(column.name, Some(place));
        }
        Self { contract, terms, columns, places, row_term: StringChunkedBuilder::new(TERM.into(), 0), rows: 0 }
    }

    /// How many columns are kept.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Where the column stands: `None` unknown, `Some(None)` known and dropped.
    pub(super) fn place(&self, name: &str) -> Option<Option<usize>> {
        self.places.get(name).copied()
    }

    pub(super) fn name(&self, place: usize) -> &'a str {
        self.columns[place].name
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row, or says why it does not fit; then nothing was added.
    pub(super) fn push(&mut self, row: &mut [Cell<'_>], pseudonyms: &mut Pseudonyms<'_>) -> Result<(), RowMisfit> {
        let mut typed = Vec::with_capacity(row.len());
        for (cell, column) in row.iter_mut().zip(&self.columns) {
            typed.push(column.typed(std::mem::replace(cell, Cell::Null), pseudonyms)?);
        }
        let term = self.term_of(&typed);
        self.row_term.append_value(term);
        for (value, column) in typed.into_iter().zip(&mut self.columns) {
            column.note_unlisted(&value);
            column.builder.push(value);
        }
        self.rows += 1;
        Ok(())
    }

    /// Returns the batch and begins the next.
    pub(super) fn finish(&mut self) -> PolarsResult<DataFrame> {
        let mut columns = Vec::with_capacity(self.columns.len() + 1);
        for column in &mut self.columns {
            let next = Builder::of(column.name, column.contract);
            columns.push(std::mem::replace(&mut column.builder, next).finish()?);
        }
        let terms = std::mem::replace(&mut self.row_term, StringChunkedBuilder::new(TERM.into(), 0));
        columns.push(terms.finish().into_column());
        let rows = std::mem::take(&mut self.rows);
        DataFrame::new(rows, columns)
    }

    /// Returns the values that contracts do not list, by column.
    pub(super) fn unlisted(&self) -> impl Iterator<Item = (&'a str, &str, u64)> {
        self.columns
            .iter()
            .flat_map(|column| column.unlisted.iter().map(|(value, count)| (column.name, value.as_str(), *count)))
    }

    fn term_of(&self, row: &[Typed<'_>]) -> String {
        let value = |name: &str| self.place(name).flatten().map(|place| &row[place]);
        match &self.contract.term {
            TermRule::None => NO_TERM.to_owned(),
            TermRule::Term { column } => match value(column) {
                Some(Typed::Int(id)) => id.to_string(),
                _ => NO_TERM.to_owned(),
            },
            TermRule::Course { column } => match value(column) {
                Some(Typed::Int(id)) => self.terms.courses.get(id).cloned().unwrap_or_else(|| NO_TERM.to_owned()),
                _ => NO_TERM.to_owned(),
            },
            TermRule::Enrollment { column } => match value(column) {
                Some(Typed::Text(id)) => {
                    self.terms.enrollments.get(id.as_ref()).cloned().unwrap_or_else(|| NO_TERM.to_owned())
                }
                _ => NO_TERM.to_owned(),
            },
        }
    }
}

impl Building<'_> {
    fn typed<'b>(&self, cell: Cell<'b>, pseudonyms: &mut Pseudonyms<'_>) -> Result<Typed<'b>, RowMisfit> {
        let misfit = |rule| RowMisfit { column: self.name.to_owned(), rule };
        let typed = cell.typed(self.contract.kind).map_err(misfit)?;
        match (typed, &self.contract.person) {
            (Typed::Int(id), Some(domain)) => Ok(Typed::Text(pseudonyms.of(domain, &id.to_string()).into())),
            (Typed::Text(id), Some(domain)) => Ok(Typed::Text(pseudonyms.of(domain, &id).into())),
            // A key is never null: what is missing in one is the empty text.
            (Typed::Null, None) if self.is_key && self.contract.kind == ColumnType::Text => Ok(Typed::Text("".into())),
            (Typed::Null, _) if self.is_key || self.contract.required => Err(misfit("missing_value")),
            (Typed::Text(text), None) if text == UNSPECIFIED && !self.contract.values.is_empty() => {
                Ok(Typed::Text(text))
            }
            (typed, _) => Ok(typed),
        }
    }

    fn note_unlisted(&mut self, value: &Typed<'_>) {
        const MOST: usize = 20;
        let (Typed::Text(text), false) = (value, self.contract.values.is_empty()) else { return };
        if self.contract.values.iter().any(|listed| listed == text) {
            return;
        }
        if let Some(count) = self.unlisted.get_mut(text.as_ref()) {
            *count += 1;
        } else if self.unlisted.len() < MOST {
            self.unlisted.insert(text.clone().into_owned(), 1);
        }
    }
}

impl Builder {
    fn of(name: &str, column: &ColumnContract) -> Self {
        let name: PlSmallStr = name.into();
        match column.kind {
            ColumnType::Id if column.person.is_some() => Self::Text(StringChunkedBuilder::new(name, 0)),
            ColumnType::Id | ColumnType::Int => Self::Int(PrimitiveChunkedBuilder::new(name, 0)),
            ColumnType::Float => Self::Float(PrimitiveChunkedBuilder::new(name, 0)),
            ColumnType::Bool => Self::Bool(BooleanChunkedBuilder::new(name, 0)),
            ColumnType::Text | ColumnType::Json => Self::Text(StringChunkedBuilder::new(name, 0)),
            ColumnType::Timestamp => Self::Instant(PrimitiveChunkedBuilder::new(name, 0)),
            ColumnType::Date => Self::Day(PrimitiveChunkedBuilder::new(name, 0)),
        }
    }

    fn push(&mut self, value: Typed<'_>) {
        match (self, value) {
            (Self::Int(builder), Typed::Int(n)) | (Self::Instant(builder), Typed::Instant(n)) => {
                builder.append_value(n);
            }
            (Self::Float(builder), Typed::Float(n)) => builder.append_value(n),
            (Self::Bool(builder), Typed::Bool(b)) => builder.append_value(b),
            (Self::Text(builder), Typed::Text(text)) if text != UNSPECIFIED => builder.append_value(text),
            (Self::Day(builder), Typed::Day(day)) => builder.append_value(day),
            (Self::Int(builder) | Self::Instant(builder), _) => builder.append_null(),
            (Self::Float(builder), _) => builder.append_null(),
            (Self::Bool(builder), _) => builder.append_null(),
            (Self::Text(builder), _) => builder.append_null(),
            (Self::Day(builder), _) => builder.append_null(),
        }
    }

    fn finish(self) -> PolarsResult<Column> {
        let utc = DataType::Datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC));
        match self {
            Self::Int(builder) => Ok(builder.finish().into_column()),
            Self::Float(builder) => Ok(builder.finish().into_column()),
            Self::Bool(builder) => Ok(builder.finish().into_column()),
            Self::Text(builder) => Ok(builder.finish().into_column()),
            Self::Instant(builder) => builder.finish().into_column().cast(&utc),
            Self::Day(builder) => builder.finish().into_column().cast(&DataType::Date),
        }
    }
}
