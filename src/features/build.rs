//! Builds one partition of a feature set or a label.
//!
//! Promises the same bytes for the same inputs, whatever the number of threads: rows sorted by key, columns in the
//! contract's order, no sums of floats (the lint ensures that). A frame that breaks its contract is an error and is
//! never returned. Nothing is written; the caller publishes the frame with its basis, its counts and its fingerprint.

use polars::prelude::*;
use polars::sql::SQLContext;
use sqlparser::ast::Statement;
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use super::catalogue::{CALENDAR, FeatureSet, POPULATION};
use super::compute::{on_deep_stack, run};
use super::contract::AS_OF;
use super::error::FeatureError;
use super::inputs::Inputs;
use super::lint::lint;
use super::plan::AsOf;
use super::population::calendar;
use super::visible::{self, utc, visible};
use crate::domain::check::{CheckOutcome, CheckStatus};
use crate::domain::lineage::Basis;
use crate::domain::table::ColumnType;

/// A built partition.
#[derive(Debug, Clone)]
pub struct Built {
    /// The rows, sorted by key; the first column is `as_of`.
    pub frame: DataFrame,
    /// How the past was known; *reconstructed* when any table was.
    pub basis: Basis,
    /// The SQL that ran.
    pub rendered_sql: String,
    /// How the frame was checked: the contract holds, or it looked at nothing. (A breach is an error.)
    pub check: CheckOutcome,
    /// The enrolments of the population, where the set is about it.
    pub population: Option<usize>,
    /// Rows left out because what they should say cannot be known.
    pub left_out: usize,
}

/// Builds the partition `as_of` of `set` from `inputs`.
///
/// # Errors
/// When a table is missing or does not fit, the SQL is refused or cannot be computed, or the frame breaks its contract.
pub fn build_partition(set: &FeatureSet, as_of: &AsOf, inputs: &Inputs) -> Result<Built, FeatureError> {
    on_deep_stack(|| build(set, as_of, inputs))
}

fn build(set: &FeatureSet, as_of: &AsOf, inputs: &Inputs) -> Result<Built, FeatureError> {
    let name = set.name.as_str();
    let failed = || FeatureError::compute(name, &as_of.key);
    let rendered = set.rendered(as_of.cutoff)?;
    let mut context = SQLContext::new();
    let basis = show_tables(&context, set, as_of, inputs)?;
    let population = match &rendered.population {
        None => None,
        Some((sql, _)) => {
            let selected = run(POPULATION, &as_of.key, context.execute(sql).map_err(failed())?)?;
            let rows = selected.height();
            context.register(POPULATION, selected.lazy());
            set.covers_population().then_some(rows)
        }
    };
    let selected = select(&mut context, name, &as_of.key, &rendered.sql)?;
    let mut frame = run(name, &as_of.key, in_utc(selected, set).map_err(failed())?)?;
    frame = frame.sort(&set.contract.key, SortMultipleOptions::default()).map_err(failed())?;
    let breaches = set.contract.breaches(name, &as_of.key, &frame, population)?;
    if !breaches.is_empty() {
        return Err(FeatureError::Breach { set: name.to_owned(), as_of: as_of.key.clone(), breaches });
    }
    let check = checked(set, as_of, &frame);
    let before = frame.height();
    if let Some(column) = &set.contract.leave_out_null {
        let known = frame.column(column).map_err(failed())?.is_not_null();
        frame = frame.filter(&known).map_err(failed())?;
    }
    let left_out = before - frame.height();
    let frame = in_order(frame, set, as_of).map_err(failed())?;
    Ok(Built { frame, basis, rendered_sql: rendered.sql, check, population, left_out })
}

/// Runs one query that the lint admits over `tables`, as a build runs it; `times` are the instants that it may name.
///
/// # Errors
/// When the lint refuses it, or polars cannot compute it.
pub fn run_query(sql: &str, times: &[String], tables: &[(String, DataFrame)]) -> Result<DataFrame, FeatureError> {
    let name = "query";
    lint(sql, times).map_err(|refusals| FeatureError::Lint { set: name.to_owned(), refusals })?;
    on_deep_stack(|| {
        let mut context = SQLContext::new();
        for (table, frame) in tables {
            context.register(table, frame.clone().lazy());
        }
        run(name, "-", select(&mut context, name, "-", sql)?)
    })
}

/// Computes the WITH steps of a query, each once, and returns the frame of what is left.
fn select(context: &mut SQLContext, set: &str, as_of: &str, sql: &str) -> Result<LazyFrame, FeatureError> {
    let failed = || FeatureError::compute(set, as_of);
    let (steps, last) = steps(sql);
    for (step, sql) in steps {
        let selected = run(set, as_of, context.execute(&sql).map_err(failed())?)?;
        context.register(&step, selected.lazy());
    }
    context.execute(&last).map_err(failed())
}

/// Returns the WITH steps of a query, named and in order, and the query that remains once they are tables.
///
/// polars plans a step again wherever it is named; computed separately, each is planned and computed once.
fn steps(sql: &str) -> (Vec<(String, String)>, String) {
    let mut statements = Parser::parse_sql(&GenericDialect, sql).unwrap_or_default();
    let Some(Statement::Query(query)) = statements.first_mut() else { return (Vec::new(), sql.to_owned()) };
    let steps = query.with.take().into_iter().flat_map(|with| with.cte_tables);
    let steps = steps.map(|step| (step.alias.name.value, step.query.to_string())).collect();
    (steps, query.to_string())
}

/// Registers the tables as they looked at the cutoff, and the calendar.
fn show_tables(context: &SQLContext, set: &FeatureSet, as_of: &AsOf, inputs: &Inputs) -> Result<Basis, FeatureError> {
    let terms = as_of.terms();
    let mut basis = Basis::AsKnown;
    for name in set.reads() {
        let table = inputs.required(set.name.as_str(), name)?;
        basis = basis.max(visible::basis(table, as_of.cutoff));
        context.register(name, visible(table, as_of.cutoff, Some(&terms))?);
    }
    context.register(CALENDAR, calendar(as_of, inputs, &terms)?);
    Ok(basis)
}

fn checked(set: &FeatureSet, as_of: &AsOf, frame: &DataFrame) -> CheckOutcome {
    let looked_at = u64::try_from(frame.height()).unwrap_or(u64::MAX);
    CheckOutcome {
        status: if looked_at > 0 { CheckStatus::Pass } else { CheckStatus::Error },
        observed: format!("{looked_at} rows of {} columns that hold it", frame.width()),
        expected: "columns, types, nulls, ranges, unique keys and number of rows as the contract says".to_owned(),
        looked_at,
        ..CheckOutcome::skipped("features.contract", format!("{} as of {}", set.name, as_of.key))
    }
}

/// Gives naive instants their zone back.
fn in_utc(mut selected: LazyFrame, set: &FeatureSet) -> PolarsResult<LazyFrame> {
    let schema = selected.collect_schema()?;
    let instants: Vec<Expr> = set
        .contract
        .columns
        .iter()
        .filter(|(name, column)| column.kind == ColumnType::Timestamp && schema.contains(name))
        .map(|(name, _)| {
            let utc_zone = Some(TimeZone::UTC);
            col(name.as_str()).dt().replace_time_zone(utc_zone, lit("raise"), NonExistent::Raise)
        })
        .collect();
    Ok(if instants.is_empty() { selected } else { selected.with_columns(instants) })
}

fn in_order(mut frame: DataFrame, set: &FeatureSet, as_of: &AsOf) -> PolarsResult<DataFrame> {
    let instant = vec![as_of.cutoff.event_before.as_microsecond(); frame.height()];
    frame.with_column(Column::new(AS_OF.into(), instant).cast(&utc())?)?;
    let mut frame = frame.select(set.contract.column_order())?;
    frame.rechunk_mut();
    Ok(frame)
}

#[cfg(test)]
mod tests;
