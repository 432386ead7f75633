//! What rules are evaluated on: the tables as they stand, what came tonight, and what is known of earlier nights.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use polars::prelude::*;

use super::expect::Term;
use crate::domain::check::CheckStatus;
use crate::domain::table::{KNOWN_FROM, KNOWN_TO, TERM, TableContract};
use crate::features::stored_type;

/// A table as it stands tonight.
#[derive(Clone)]
pub struct Standing {
    /// Its contract.
    pub contract: TableContract,
    /// Its current rows; `None` where it has none.
    pub rows: Option<LazyFrame>,
    /// How many there are.
    pub n_rows: u64,
    /// When the newest delivery was taken.
    pub known_at: Option<Timestamp>,
    /// Whether it is as new as it should be.
    pub freshness: Freshness,
    /// How many there were before what came tonight.
    pub rows_before: Option<u64>,
    /// What came tonight; `None`: nothing.
    pub delivered: Option<Delivered>,
}

impl Standing {
    /// Returns its current rows; a table without any has the columns of its contract all the same.
    pub(super) fn rows_or_none(&self) -> PolarsResult<LazyFrame> {
        match &self.rows {
            Some(rows) => Ok(rows.clone()),
            None => no_rows(&self.contract),
        }
    }
}

/// Returns a table without a row: the columns of its contract, and ours.
pub(super) fn no_rows(contract: &TableContract) -> PolarsResult<LazyFrame> {
    let instant = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
    let ours = [(KNOWN_FROM, instant.clone()), (KNOWN_TO, instant), (TERM, DataType::String)];
    let ours = ours.into_iter().map(|(name, kind)| Column::new_empty(name.into(), &kind));
    let kept = contract.kept().map(|(name, column)| Column::new_empty(name.as_str().into(), &stored_type(column)));
    Ok(DataFrame::new_infer_height(kept.chain(ours).collect())?.lazy())
}

/// How new a table is, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freshness {
    /// How it ends.
    pub status: CheckStatus,
    /// What was observed.
    pub observed: String,
    /// What was expected.
    pub expected: String,
}

/// What came of a table tonight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Rows, as they were delivered.
    pub rows: u64,
    /// Of them those whose key came again later.
    pub duplicates: u64,
    /// Versions that were opened or closed.
    pub changed: u64,
}

/// The night, and what is known of earlier ones.
#[derive(Debug, Clone)]
pub struct Tonight {
    /// The logical date.
    pub date: Date,
    /// Its start in the DAG's zone.
    pub start: Timestamp,
    /// Noon of the day before, in the DAG's zone: what came in since then may still miss its parent.
    pub noon_before: Timestamp,
    /// The terms.
    pub terms: Vec<Term>,
    /// The values of rules on earlier nights, by rule.
    pub past: BTreeMap<String, Vec<(Date, f64)>>,
}
