//! Rules about one number: how it is computed, and where it should be.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::expect::{Band, FEWEST, Scale, Usual, usual};
use super::found::{Found, feature_words, not_evaluated, number, shown, skipped, whole, words};
use super::standing::{Standing, Tonight};
use crate::domain::check::CheckStatus;
use crate::domain::number::{figure, significant};
use crate::domain::rule::{Expected, Range, Rule, Value};
use crate::domain::table::KNOWN_FROM;
use crate::features::run_rule;

/// What a value may be computed from.
pub(super) struct Tables<'a> {
    pub(super) table: &'a Standing,
    pub(super) standing: &'a BTreeMap<String, Standing>,
    pub(super) tonight: &'a Tonight,
}

/// A value, what it was computed from, and how it is compared.
struct Measured {
    value: f64,
    looked_at: u64,
    scale: Scale,
}

pub(super) fn valued(rule: &Rule, value: &Value, expected: Expected, tables: &Tables<'_>) -> Found {
    let measured = match measure(value, tables) {
        Ok(measured) => measured,
        Err(found) => return Found { expected: expected.words(), ..found },
    };
    let Measured { value, looked_at, scale } = measured;
    let with = |status, observed: String, expected: String| Found {
        status,
        observed,
        expected,
        looked_at,
        value: Some(value),
    };
    let observed = shown(value, scale);
    match expected {
        Expected::Within { warn, error } => {
            let outside = |range: Option<Range>| range.is_some_and(|range| !range.holds(value));
            let status = match () {
                () if outside(error) => CheckStatus::Fail,
                () if outside(warn) => CheckStatus::Warn,
                () => CheckStatus::Pass,
            };
            // Rounding must not say of a value that breaks a limit that it keeps it.
            let rounds_well =
                [warn, error].iter().flatten().all(|range| range.holds(significant(value)) == range.holds(value));
            let observed = if rounds_well || scale != Scale::Number { observed } else { figure(value) };
            let expected = match scale {
                Scale::Share(_) => expected.words_of_share(),
                Scale::Count | Scale::Changes | Scale::Number => expected.words(),
            };
            with(status, observed, expected)
        }
        Expected::AsUsual { warn, error } => {
            let none = Vec::new();
            let past = tables.tonight.past.get(&rule.id).unwrap_or(&none);
            match usual(tables.tonight.date, past, &tables.tonight.terms, scale) {
                Usual::TooFew(nights) => {
                    let why = format!("{observed}; {nights} comparable nights are known, and {FEWEST} are needed");
                    Found { status: CheckStatus::Skipped, ..with(CheckStatus::Skipped, why, expected.words()) }
                }
                Usual::Known(band) => {
                    let deviation = band.deviation(value).abs();
                    let status = match error {
                        Some(error) if deviation > error => CheckStatus::Fail,
                        _ if deviation > warn => CheckStatus::Warn,
                        _ => CheckStatus::Pass,
                    };
                    with(status, observed, usual_words(&band, warn, scale))
                }
            }
        }
    }
}

fn measure(value: &Value, tables: &Tables<'_>) -> Result<Measured, Found> {
    let Tables { table, standing, tonight } = tables;
    match value {
        Value::Rows => Ok(Measured { value: table.n_rows as f64, looked_at: 1, scale: Scale::Count }),
        Value::Changed => {
            let delivered = table.delivered.ok_or_else(|| skipped("nothing was delivered tonight", ""))?;
            Ok(Measured { value: delivered.changed as f64, looked_at: 1, scale: Scale::Changes })
        }
        Value::RowChange => {
            let before = table.rows_before.filter(|before| *before > 0);
            let (Some(before), Some(_)) = (before, table.delivered) else {
                return Err(skipped("nothing to compare with: nothing was delivered, or it is the first delivery", ""));
            };
            let change = (table.n_rows as f64 - before as f64).abs() / before as f64;
            Ok(Measured { value: change, looked_at: 1, scale: Scale::Share(table.n_rows) })
        }
        Value::NullShare(column) => null_share(table, column),
        Value::Sql(sql) => {
            let frames: PolarsResult<Vec<(String, LazyFrame)>> =
                standing.iter().map(|(name, table)| Ok((name.clone(), table.rows_or_none()?))).collect();
            let frames = frames.map_err(|error| not_evaluated(words(&error), ""))?;
            let answer =
                run_rule(sql, tonight.start, &frames).map_err(|error| not_evaluated(feature_words(&error), ""))?;
            if (answer.height(), answer.width()) != (1, 1) {
                let why =
                    format!("the query gives {} rows of {} columns, not one number", answer.height(), answer.width());
                return Err(not_evaluated(why, ""));
            }
            let name = answer.get_column_names()[0].to_string();
            let column = answer.column(&name).map_err(|error| not_evaluated(words(&error), ""))?;
            let is_empty = column.null_count() == 1;
            let is_number = column.dtype().is_primitive_numeric() || column.dtype().is_null();
            match number(&answer, &name) {
                Ok(_) if is_empty => Err(skipped("the query gives no number: it looked at nothing", "")),
                Ok(value) if is_number && value.is_finite() => {
                    Ok(Measured { value, looked_at: 1, scale: Scale::Number })
                }
                Ok(_) => Err(not_evaluated("what the query gives is not a finite number", "")),
                Err(error) => Err(not_evaluated(words(&error), "")),
            }
        }
    }
}

fn null_share(table: &Standing, column: &str) -> Result<Measured, Found> {
    let (Some(rows), Some(known_at), Some(_)) = (&table.rows, table.known_at, table.delivered) else {
        return Err(skipped("nothing was delivered tonight", ""));
    };
    let newest = lit(known_at.as_microsecond())
        .cast(DataType::Datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC)));
    let counts = [len().cast(DataType::UInt64).alias("rows"), col(column).null_count().alias("nulls")];
    let asked = rows.clone().filter(col(KNOWN_FROM).eq(newest)).select(counts);
    let count = || -> PolarsResult<(f64, f64)> {
        let answer = asked.collect_with_engine(Engine::Streaming)?.unwrap_single();
        Ok((number(&answer, "rows")?, number(&answer, "nulls")?))
    };
    match count() {
        Err(error) => Err(not_evaluated(words(&error), "")),
        Ok((rows, _)) if rows < 1.0 => Err(skipped("the last delivery changed no row", "")),
        Ok((rows, nulls)) => {
            let looked_at = whole(rows);
            Ok(Measured { value: nulls / rows, looked_at, scale: Scale::Share(looked_at) })
        }
    }
}

fn usual_words(band: &Band, warn: f64, scale: Scale) -> String {
    let (low, high) = band.within(warn);
    let low = match scale {
        // Below the first whole number of rows within the band, it warns.
        Scale::Count | Scale::Changes => low.ceil(),
        Scale::Share(_) | Scale::Number => low,
    };
    format!("from {} to {}, as on {} comparable nights", shown(low, scale), shown(high, scale), band.nights)
}
