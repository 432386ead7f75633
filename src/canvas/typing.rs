//! From the values of a file to typed columns, by contract.
//!
//! Each value either fits its column exactly or breaks a named rule; nothing is rounded, guessed or cut. Ids of people
//! become pseudonyms here, so that no later code sees them. An enumeration's unspecified value and the mark of an
//! oversized text become null, and are counted. Ranges are not checked here: the quality checks do that later.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::Date;
use polars::prelude::*;

use super::privacy::{PrivacyKey, Pseudonyms, canonical_id};
use super::row::Cell;
use crate::domain::table::{AUTO_GRADER, ColumnContract, ColumnType};

/// The value of an enumeration if the exporter met a value that it does not know.
const UNSPECIFIED: &str = "__dap_unspecified__";

/// The value in place of a text of several megabytes.
const OVERSIZED: [&str; 2] = ["__dap_oversized_truncated__", "__cd2_oversized_truncated__"];

/// Whole numbers beyond this do not survive as floats.
const EXACT_FLOAT: f64 = 9_007_199_254_740_992.0;

/// A kept column of a table that is being read.
#[derive(Debug)]
pub(super) struct TypedColumn {
    pub(super) name: String,
    pub(super) kind: ColumnType,
    pub(super) is_key: bool,
    pub(super) required: bool,
    pub(super) known_values: Vec<String>,
    /// Rows whose value is not among the known ones.
    pub(super) unknown_values: u64,
    /// Rows whose value the exporter did not know.
    pub(super) unspecified: u64,
    /// Rows whose value the exporter found too large.
    pub(super) oversized: u64,
    pub(super) pseudonyms: Option<Pseudonyms>,
    last_instant: Option<(String, i64)>,
}

impl TypedColumn {
    pub(super) fn new(name: &str, contract: &ColumnContract, is_key: bool, key: &PrivacyKey) -> Self {
        Self {
            name: name.to_owned(),
            kind: contract.kind,
            is_key,
            required: contract.required,
            known_values: contract.values.clone(),
            unknown_values: 0,
            unspecified: 0,
            oversized: 0,
            pseudonyms: contract.person.as_ref().map(|domain| Pseudonyms::new(key, domain)),
            last_instant: None,
        }
    }

    /// Returns `cell` in the form that the column holds, or the rule that it breaks.
    pub(super) fn fit<'a>(&mut self, cell: Cell<'a>) -> Result<Cell<'a>, &'static str> {
        if let Cell::Text(text) = &cell {
            let is_oversized = OVERSIZED.contains(&text.as_ref());
            if is_oversized || (!self.known_values.is_empty() && text == UNSPECIFIED) {
                return match (self.is_key, is_oversized) {
                    (true, _) => Err("key.missing"),
                    (false, true) => Ok(Cell::Oversized),
                    (false, false) => Ok(Cell::Unspecified),
                };
            }
        }
        if matches!(cell, Cell::Absent | Cell::Null) {
            return self.nothing();
        }
        if self.pseudonyms.is_some() {
            return self.person(cell);
        }
        match self.kind {
            ColumnType::Id | ColumnType::Int => whole_number(&cell).map(Cell::Int).ok_or(self.rule()),
            ColumnType::Float => number(&cell).map(Cell::Float).ok_or(self.rule()),
            ColumnType::Bool => truth(&cell).map(Cell::Bool).ok_or(self.rule()),
            ColumnType::Timestamp => self.instant(&cell).map(Cell::Int).ok_or(self.rule()),
            ColumnType::Date => day(&cell).map(Cell::Int).ok_or(self.rule()),
            ColumnType::Text => text(cell).map(Cell::Text).ok_or(self.rule()),
            ColumnType::Json => json(cell).map(Cell::Text).ok_or(self.rule()),
        }
    }

    /// Counts what is unusual about a cell of a row that is taken.
    pub(super) fn count(&mut self, cell: &Cell<'_>) {
        match cell {
            Cell::Text(text) if !self.known_values.is_empty() && !self.is_known(text) => self.unknown_values += 1,
            Cell::Unspecified => self.unspecified += 1,
            Cell::Oversized => self.oversized += 1,
            _ => {}
        }
    }

    /// Returns whether `value` is one of the enumeration.
    pub(super) fn is_known(&self, value: &str) -> bool {
        self.known_values.iter().any(|known| known == value)
    }

    /// Returns an empty builder for the column.
    pub(super) fn builder(&self, capacity: usize) -> ColumnBuilder {
        let name = PlSmallStr::from(self.name.as_str());
        let values = match self.stored() {
            Stored::Text => Values::Text(StringChunkedBuilder::new(name.clone(), capacity)),
            Stored::Int | Stored::Instant => Values::Int(Vec::with_capacity(capacity)),
            Stored::Day => Values::Day(Vec::with_capacity(capacity)),
            Stored::Float => Values::Float(Vec::with_capacity(capacity)),
            Stored::Bool => Values::Bool(Vec::with_capacity(capacity)),
        };
        ColumnBuilder { name, stored: self.stored(), values }
    }

    fn stored(&self) -> Stored {
        match self.kind {
            _ if self.pseudonyms.is_some() => Stored::Text,
            ColumnType::Id | ColumnType::Int => Stored::Int,
            ColumnType::Float => Stored::Float,
            ColumnType::Bool => Stored::Bool,
            ColumnType::Timestamp => Stored::Instant,
            ColumnType::Date => Stored::Day,
            ColumnType::Text | ColumnType::Json => Stored::Text,
        }
    }

    fn nothing<'a>(&self) -> Result<Cell<'a>, &'static str> {
        match (self.is_key, self.required) {
            // A key is never null: a text that may be missing is part of it as the empty text.
            (true, false) if self.stored() == Stored::Text && self.pseudonyms.is_none() => {
                Ok(Cell::Text(Cow::Borrowed("")))
            }
            (true, _) => Err("key.missing"),
            (false, true) => Err("column.required"),
            (false, false) => Ok(Cell::Null),
        }
    }

    fn person<'a>(&mut self, cell: Cell<'a>) -> Result<Cell<'a>, &'static str> {
        let rule = self.rule();
        let is_key = self.is_key;
        let number = whole_number(&cell);
        let Some(pseudonyms) = &mut self.pseudonyms else { return Err(rule) };
        let pseudonym = match (number, cell) {
            (Some(id), _) if id < 0 && is_key => return Err(rule),
            (Some(id), _) if id < 0 => AUTO_GRADER.to_owned(),
            (Some(id), _) => pseudonyms.of_number(id),
            (None, Cell::Text(text)) if self.kind == ColumnType::Text && !text.is_empty() => pseudonyms.of_text(&text),
            _ => return Err(rule),
        };
        Ok(Cell::Text(Cow::Owned(pseudonym)))
    }

    fn instant(&mut self, cell: &Cell<'_>) -> Option<i64> {
        let Cell::Text(text) = cell else { return None };
        // Neighbouring rows often share an instant, and parsing one is the most expensive part of a row.
        if let Some((last, micros)) = &self.last_instant
            && last == text
        {
            return Some(*micros);
        }
        let micros = text.parse::<Timestamp>().ok()?.as_microsecond();
        match &mut self.last_instant {
            Some((last, value)) => {
                last.clear();
                last.push_str(text);
                *value = micros;
            }
            none => *none = Some((text.clone().into_owned(), micros)),
        }
        Some(micros)
    }

    fn rule(&self) -> &'static str {
        match self.kind {
            ColumnType::Id => "type.id",
            ColumnType::Int => "type.int",
            ColumnType::Float => "type.float",
            ColumnType::Bool => "type.bool",
            ColumnType::Timestamp => "type.timestamp",
            ColumnType::Date => "type.date",
            ColumnType::Text => "type.text",
            ColumnType::Json => "type.json",
        }
    }
}

/// Returns the calendar date that is `days` after 1970-01-01.
pub(super) fn date_of(days: i64) -> Option<Date> {
    EPOCH.checked_add(jiff::Span::new().try_days(days).ok()?).ok()
}

/// A column that is being filled.
pub(super) struct ColumnBuilder {
    name: PlSmallStr,
    stored: Stored,
    values: Values,
}

impl ColumnBuilder {
    /// Appends a cell that [`TypedColumn::fit`] returned; any other is a null.
    pub(super) fn push(&mut self, cell: &Cell<'_>) {
        match (&mut self.values, cell) {
            (Values::Text(builder), Cell::Text(text)) => builder.append_value(text),
            (Values::Text(builder), _) => builder.append_null(),
            (Values::Int(values), Cell::Int(value)) => values.push(Some(*value)),
            (Values::Int(values), _) => values.push(None),
            // A date's days come from a calendar date, so they always fit.
            (Values::Day(values), Cell::Int(value)) => values.push(i32::try_from(*value).ok()),
            (Values::Day(values), _) => values.push(None),
            (Values::Float(values), Cell::Float(value)) => values.push(Some(*value)),
            (Values::Float(values), _) => values.push(None),
            (Values::Bool(values), Cell::Bool(value)) => values.push(Some(*value)),
            (Values::Bool(values), _) => values.push(None),
        }
    }

    /// Returns the column.
    pub(super) fn finish(self) -> Column {
        let series = match self.values {
            Values::Text(builder) => builder.finish().into_series(),
            Values::Int(values) => Series::new(self.name, values),
            Values::Day(values) => Series::new(self.name, values).into_date(),
            Values::Float(values) => Series::new(self.name, values),
            Values::Bool(values) => Series::new(self.name, values),
        };
        match self.stored {
            Stored::Instant => series.into_datetime(TimeUnit::Microseconds, Some(TimeZone::UTC)).into_column(),
            _ => series.into_column(),
        }
    }
}

enum Values {
    Text(StringChunkedBuilder),
    Int(Vec<Option<i64>>),
    Day(Vec<Option<i32>>),
    Float(Vec<Option<f64>>),
    Bool(Vec<Option<bool>>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stored {
    Text,
    Int,
    Instant,
    Day,
    Float,
    Bool,
}

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

/// Returns the days since 1970-01-01 of a calendar date.
fn days(date: Date) -> i64 {
    date.duration_since(EPOCH).as_hours() / 24
}

fn whole_number(cell: &Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Int(value) => Some(*value),
        #[expect(clippy::cast_possible_truncation, reason = "the guard admits only whole numbers that are exact")]
        Cell::Float(value) if value.fract() == 0.0 && value.abs() < EXACT_FLOAT => Some(*value as i64),
        Cell::Text(text) => canonical_id(text),
        _ => None,
    }
}

fn number(cell: &Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Float(value) => Some(*value),
        Cell::Int(value) => Some(*value as f64),
        Cell::Text(text) => text.parse::<f64>().ok().filter(|value| value.is_finite()),
        _ => None,
    }
}

fn truth(cell: &Cell<'_>) -> Option<bool> {
    match cell {
        Cell::Bool(value) => Some(*value),
        Cell::Text(text) if text.eq_ignore_ascii_case("true") || text == "t" => Some(true),
        Cell::Text(text) if text.eq_ignore_ascii_case("false") || text == "f" => Some(false),
        _ => None,
    }
}

fn day(cell: &Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Text(text) if text.len() == 10 => text.parse().ok().map(days),
        _ => None,
    }
}

fn text<'a>(cell: Cell<'a>) -> Option<Cow<'a, str>> {
    match cell {
        Cell::Text(text) => Some(text),
        Cell::Int(value) => Some(Cow::Owned(value.to_string())),
        Cell::Float(value) => Some(Cow::Owned(value.to_string())),
        Cell::Bool(value) => Some(Cow::Owned(value.to_string())),
        _ => None,
    }
}

fn json<'a>(cell: Cell<'a>) -> Option<Cow<'a, str>> {
    match cell {
        Cell::Json(text) => Some(Cow::Owned(text)),
        other => text(other),
    }
}
