//! Bad rows, counted.
//!
//! Rules about single rows of a table are counted in one pass over it; if that pass fails, each is tried alone, so that one
//! rule that cannot be evaluated costs no other.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::found::{Found, feature_words, not_evaluated, number, skipped, whole, words};
use super::standing::{Delivered, Standing, Tonight};
use crate::domain::number::grouped;
use crate::domain::rule::{BadRows, Form, Rule};
use crate::domain::table::{AUTO_GRADER, KNOWN_FROM};
use crate::features::{FeatureError, run_rule};

/// How many rows a rule looked at, and how many of them are bad.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    pub(super) looked_at: u64,
    pub(super) bad: u64,
}

const NO_ROWS: &str = "the table has no row";

pub(super) fn rows_found(rule: &Rule, counted: Option<&Result<Counted, String>>, table: &Standing) -> Found {
    let Form::Rows { limits, .. } = &rule.form else { return not_evaluated("it is no rule about rows", "") };
    let expected = limits.words();
    match counted {
        _ if table.rows.is_none() => skipped(NO_ROWS, expected),
        None => not_evaluated("it was not counted", expected),
        Some(Err(why)) => not_evaluated(why.clone(), expected),
        // No row has a value there, so none has a bad one: what was wrong there is over.
        Some(Ok(Counted { looked_at: 0, .. })) => {
            Found { value: Some(0.0), ..skipped("no row has a value there", expected) }
        }
        Some(Ok(Counted { looked_at, bad })) => Found {
            status: limits.status(*bad, *looked_at),
            observed: format!("{} of {} rows", grouped(*bad), grouped(*looked_at)),
            expected,
            looked_at: *looked_at,
            value: Some(*bad as f64),
        },
    }
}

/// Counts the bad rows of all rules about single rows of a table, in one pass where that works.
pub(super) fn count<'a>(
    rules: &'a [Rule],
    table: &Standing,
    tonight: &Tonight,
) -> BTreeMap<&'a str, Result<Counted, String>> {
    let Some(rows) = &table.rows else { return BTreeMap::new() };
    let own = rules.iter().filter(|rule| rule.table == table.contract.name);
    let (mut sql, mut counted) = (Vec::new(), BTreeMap::new());
    for rule in own {
        match &rule.form {
            Form::Rows { bad: BadRows::Where { predicate, of }, .. } => sql.push((rule, predicate, of)),
            Form::Rows { bad: BadRows::Unlike { column, pattern }, .. } => {
                counted.insert(rule.id.as_str(), unlike(rows, column, pattern).map_err(|error| words(&error)));
            }
            _ => {}
        }
    }
    // A predicate that names no column would count as one row.
    let key = table.contract.key.first().map_or("", String::as_str);
    let each_row = format!("({key} IS NULL OR {key} IS NOT NULL)");
    let ask = |rules: &[(&Rule, &String, &Option<String>)]| -> Result<Vec<Counted>, FeatureError> {
        let columns: Vec<String> = rules
            .iter()
            .enumerate()
            .flat_map(|(n, (_, predicate, of))| {
                let looked_at = of.as_ref().map_or_else(|| "*".to_owned(), Clone::clone);
                [
                    format!("COUNT({looked_at}) AS looked_at_{n}"),
                    format!("SUM(CAST(CASE WHEN ({predicate}) AND {each_row} THEN 1 ELSE 0 END AS BIGINT)) AS bad_{n}"),
                ]
            })
            .collect();
        let name = table.contract.name.as_str();
        let query = format!("SELECT {} FROM {name}", columns.join(", "));
        let answer = run_rule(&query, tonight.start, &[(name.to_owned(), rows.clone())])?;
        let cell = |column: String| number(&answer, &column).map_err(FeatureError::compute("rule", "-"));
        let read = |n: usize| -> Result<Counted, FeatureError> {
            Ok(Counted { looked_at: whole(cell(format!("looked_at_{n}"))?), bad: whole(cell(format!("bad_{n}"))?) })
        };
        (0..rules.len()).map(read).collect()
    };
    match ask(&sql) {
        Ok(found) => counted.extend(sql.iter().zip(found).map(|((rule, ..), found)| (rule.id.as_str(), Ok(found)))),
        Err(_) => counted.extend(sql.iter().map(|alone| {
            let found = ask(std::slice::from_ref(alone));
            let found = found.map(|found| found[0]).map_err(|error| feature_words(&error));
            (alone.0.id.as_str(), found)
        })),
    }
    counted
}

fn unlike(rows: &LazyFrame, column: &str, pattern: &str) -> PolarsResult<Counted> {
    let text = col(column).cast(DataType::String);
    let unlike = text.clone().str().contains(lit(pattern), true).not();
    let counts = [text.count().alias("looked_at"), unlike.cast(DataType::UInt64).sum().alias("bad")];
    let answer = rows.clone().select(counts).collect_with_engine(Engine::Streaming)?.unwrap_single();
    let cell = |column: &str| PolarsResult::Ok(whole(number(&answer, column)?));
    Ok(Counted { looked_at: cell("looked_at")?, bad: cell("bad")? })
}

/// A column of a table, and what it refers to.
pub(super) struct Reference<'a> {
    pub(super) column: &'a str,
    pub(super) parent: Option<&'a Standing>,
    pub(super) id: &'a str,
}

pub(super) fn dangling(rule: &Rule, table: &Standing, to: &Reference<'_>, tonight: &Tonight) -> Found {
    let Form::Rows { limits, .. } = &rule.form else { return not_evaluated("it is no rule about rows", "") };
    let expected = format!("{} that leads nowhere for more than a night", limits.words());
    let Some(rows) = &table.rows else { return skipped(NO_ROWS, expected) };
    let Some(parent) = to.parent else {
        return not_evaluated("the table that it refers to was never pulled", expected);
    };
    let orphans = || -> PolarsResult<(u64, u64, u64)> {
        let mut rows = rows.clone();
        let is_text = matches!(rows.collect_schema()?.get(to.column), Some(DataType::String));
        let somebody = if is_text { col(to.column).neq(lit(AUTO_GRADER)) } else { lit(true) };
        let referring = rows.select([col(to.column), col(KNOWN_FROM)]);
        let referring = referring.filter(col(to.column).is_not_null().and(somebody));
        let orphans = match &parent.rows {
            Some(ids) => {
                let ids = ids.clone().select([col(to.id).alias("id")]);
                referring.clone().join(ids, [col(to.column)], [col("id")], JoinArgs::new(JoinType::Anti))
            }
            None => referring.clone(),
        };
        let noon = lit(tonight.noon_before.as_microsecond())
            .cast(DataType::Datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC)));
        // Counted by their height: polars' streaming engine cannot sum the lengths of a join's pieces.
        let size = |frame: LazyFrame| -> PolarsResult<u64> { Ok(frame.collect()?.height() as u64) };
        let settled = orphans.clone().filter(col(KNOWN_FROM).lt(noon));
        Ok((size(referring.select([col(to.column)]))?, size(orphans.select([col(to.column)]))?, size(settled)?))
    };
    match orphans() {
        Err(error) => not_evaluated(words(&error), expected),
        Ok((0, ..)) => skipped("no row refers to anything", expected),
        Ok((n, all, settled)) => {
            let late = match all - settled {
                0 => String::new(),
                late => format!("; {} more came in last, and their parents may be late", grouped(late)),
            };
            Found {
                status: limits.status(settled, n),
                observed: format!("{} of {} rows lead nowhere{late}", grouped(settled), grouped(n)),
                expected,
                looked_at: n,
                value: Some(settled as f64),
            }
        }
    }
}

pub(super) fn repeated(rule: &Rule, table: &Standing, columns: &[String]) -> Found {
    let Form::Rows { limits, .. } = &rule.form else { return not_evaluated("it is no rule about rows", "") };
    let expected = format!("{} with the same {} as another", limits.words(), columns.join(" and "));
    if columns == table.contract.key {
        let Some(Delivered { rows, duplicates, .. }) = table.delivered else {
            return skipped("nothing was delivered tonight", expected);
        };
        if rows == 0 {
            return skipped("the delivery had no row", expected);
        }
        return Found {
            status: limits.status(duplicates, rows),
            observed: format!("{} of {} delivered rows", grouped(duplicates), grouped(rows)),
            expected,
            looked_at: rows,
            value: Some(duplicates as f64),
        };
    }
    let Some(rows) = &table.rows else { return skipped(NO_ROWS, expected) };
    let keys: Vec<Expr> = columns.iter().map(|column| col(column.as_str())).collect();
    let distinct = rows.clone().select(keys).unique(None, UniqueKeepStrategy::Any).collect();
    match distinct.map(|distinct| table.n_rows.saturating_sub(distinct.height() as u64)) {
        Err(error) => not_evaluated(words(&error), expected),
        Ok(bad) => Found {
            status: limits.status(bad, table.n_rows),
            observed: format!("{} of {} rows", grouped(bad), grouped(table.n_rows)),
            expected,
            looked_at: table.n_rows,
            value: Some(bad as f64),
        },
    }
}
