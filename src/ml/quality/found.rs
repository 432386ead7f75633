//! What a rule found, and the words for it.
//!
//! What polars says of a failure may quote a value of a row, so only the kinds of error that name columns and syntax are
//! passed on.

use polars::prelude::*;

use super::expect::Scale;
use crate::domain::check::CheckStatus;
use crate::domain::number::{figure, rows, significant};
use crate::features::FeatureError;

/// What a rule found.
pub(super) struct Found {
    pub(super) status: CheckStatus,
    pub(super) observed: String,
    pub(super) expected: String,
    pub(super) looked_at: u64,
    pub(super) value: Option<f64>,
}

pub(super) fn skipped(why: impl Into<String>, expected: impl Into<String>) -> Found {
    Found { status: CheckStatus::Skipped, observed: why.into(), expected: expected.into(), looked_at: 0, value: None }
}

pub(super) fn not_evaluated(why: impl Into<String>, expected: impl Into<String>) -> Found {
    Found { status: CheckStatus::Error, ..skipped(why, expected) }
}

pub(super) fn number(frame: &DataFrame, column: &str) -> PolarsResult<f64> {
    let cell = frame.column(column)?.cast(&DataType::Float64)?;
    Ok(cell.f64()?.get(0).unwrap_or(f64::NAN))
}

/// A count that polars gave as a number; nothing counts as none.
pub(super) fn whole(number: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of rows is whole and not negative"
    )]
    let count = number.max(0.0) as u64;
    count
}

pub(super) fn shown(value: f64, scale: Scale) -> String {
    match scale {
        Scale::Count | Scale::Changes => rows(whole(value)),
        Scale::Share(_) => format!("{:.1} %", value * 100.0),
        Scale::Number => figure(significant(value)),
    }
}

/// What may be passed on of an error of a query.
pub(super) fn feature_words(error: &FeatureError) -> String {
    match error {
        FeatureError::Lint { refusals, .. } => refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        FeatureError::Compute { source, .. } => words(source),
        _ => "it could not be computed".to_owned(),
    }
}

/// What may be passed on of an error of polars: names of columns and syntax, and never a value.
pub(super) fn words(error: &PolarsError) -> String {
    match error {
        PolarsError::Context { error, .. } => words(error),
        PolarsError::ColumnNotFound(what) | PolarsError::SchemaFieldNotFound(what) => {
            let name = what.split('"').nth(1).unwrap_or(what);
            format!("there is no column `{name}`")
        }
        PolarsError::SQLSyntax(what) | PolarsError::SQLInterface(what) => format!("the SQL cannot be run: {what}"),
        _ => "it could not be computed; the types of its columns may not fit".to_owned(),
    }
}
