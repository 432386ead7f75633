//! The SQL of quality rules: the same lint, macros and engine as for features.
//!
//! A rule's only time is `{{ as_of }}`, the start of the night's logical date; instants in its tables are naive UTC, so
//! that the literal compares with them.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::Timestamp;
use polars::prelude::*;
use polars::sql::SQLContext;

use super::compute::{on_deep_stack, run};
use super::cutoff::Cutoff;
use super::error::FeatureError;
use super::lint::{lint, other_rows};
use super::template::{render, time_literals};

/// What a rule's SQL is called in messages.
const NAME: &str = "rule";

/// The longest SQL of a rule, in characters.
const LONGEST: usize = 10_000;

/// Returns the tables that a rule's SQL reads.
///
/// # Errors
/// With everything that is wrong with it, as text.
pub fn lint_rule(sql: &str) -> Result<BTreeSet<String>, String> {
    if sql.chars().count() > LONGEST {
        return Err(format!(
            "the SQL of a rule has at most {LONGEST} characters: put what it needs into a job of its own"
        ));
    }
    // Deeply nested SQL is walked by recursion.
    let linted = on_deep_stack(|| {
        let cutoff = Cutoff { event_before: Timestamp::UNIX_EPOCH, known_by: Timestamp::UNIX_EPOCH };
        let rendered = render(NAME, sql, cutoff, &BTreeMap::new())?;
        lint(&rendered, &time_literals(cutoff))
            .map_err(|refusals| FeatureError::Lint { set: NAME.to_owned(), refusals })
    });
    match linted {
        Ok(linted) => Ok(linted.reads),
        Err(FeatureError::Lint { refusals, .. }) => {
            Err(refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        }
        Err(error) => Err(chain(&error)),
    }
}

/// Returns what in a predicate over the rows of `table` sees other rows than the one that it judges; `None` where nothing
/// does.
///
/// # Errors
/// When its template cannot be rendered.
pub fn beyond_row(table: &str, predicate: &str) -> Result<Option<&'static str>, String> {
    let sql = format!("SELECT 1 AS bad FROM {table} WHERE {predicate}");
    let searched = on_deep_stack(|| {
        let cutoff = Cutoff { event_before: Timestamp::UNIX_EPOCH, known_by: Timestamp::UNIX_EPOCH };
        let rendered = render(NAME, &sql, cutoff, &BTreeMap::new())?;
        Ok(other_rows(&rendered))
    });
    searched.map_err(|error| chain(&error))
}

/// Runs a rule's SQL over these tables as of `at`.
///
/// # Errors
/// When the lint refuses it, or polars cannot compute it.
pub fn run_rule(sql: &str, at: Timestamp, tables: &[(String, LazyFrame)]) -> Result<DataFrame, FeatureError> {
    let cutoff = Cutoff { event_before: at, known_by: at };
    // polars panics on some queries instead of refusing them: one rule must not end the others.
    let computed = catch_unwind(AssertUnwindSafe(|| {
        on_deep_stack(|| {
            let rendered = render(NAME, sql, cutoff, &BTreeMap::new())?;
            lint(&rendered, &time_literals(cutoff))
                .map_err(|refusals| FeatureError::Lint { set: NAME.to_owned(), refusals })?;
            compute(&rendered, tables)
        })
    }));
    computed.unwrap_or_else(|_| {
        let refused = polars_err!(ComputeError: "polars panicked");
        Err(FeatureError::compute(NAME, "-")(refused))
    })
}

fn compute(sql: &str, tables: &[(String, LazyFrame)]) -> Result<DataFrame, FeatureError> {
    let failed = || FeatureError::compute(NAME, "-");
    let mut context = SQLContext::new();
    for (table, rows) in tables {
        context.register(table, naive(rows.clone()).map_err(failed())?);
    }
    let query = context.execute(sql).map_err(failed())?;
    // Counting nothing but the rows of several files fails once it is optimised: polars then adds the counts up in a type
    // that this build of it does not have.
    let streamed = catch_unwind(AssertUnwindSafe(|| run(NAME, "-", query.clone())));
    match streamed {
        Ok(Ok(frame)) => Ok(frame),
        Ok(Err(_)) | Err(_) => query.without_optimizations().collect().map_err(failed()),
    }
}

/// Returns the frame with its instants as naive UTC.
///
/// # Errors
/// When its schema cannot be read.
fn naive(mut rows: LazyFrame) -> PolarsResult<LazyFrame> {
    let schema = rows.collect_schema()?;
    let zoned = schema.iter().filter(|(_, dtype)| matches!(dtype, DataType::Datetime(_, Some(_))));
    let naive: Vec<Expr> = zoned
        .map(|(name, _)| col(name.clone()).dt().replace_time_zone(None, lit("raise"), NonExistent::Raise))
        .collect();
    Ok(rows.with_columns(naive))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_sees_the_time_of_its_night() {
        let at: Timestamp = "2026-11-20T05:00:00Z".parse().unwrap();
        let micros = [-1, 0, 1].map(|hours: i64| at.as_microsecond() + hours * 3_600_000_000);
        let instants = Series::new("seen_at".into(), micros)
            .cast(&DataType::Datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC)))
            .unwrap();
        let rows = DataFrame::new_infer_height(vec![instants.into()]).unwrap().lazy();

        let sql = "SELECT COUNT(*) AS n FROM visits WHERE seen_at > {{ as_of }}";
        let found = run_rule(sql, at, &[("visits".to_owned(), rows)]).unwrap();

        assert_eq!(found.column("n").unwrap().cast(&DataType::Int64).unwrap().i64().unwrap().get(0), Some(1));
        assert_eq!(lint_rule(sql).unwrap(), BTreeSet::from(["visits".to_owned()]));
    }

    #[test]
    fn the_rows_of_files_can_be_counted() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["a", "b"] {
            let mut rows = df!("id" => [1_i64, 2]).unwrap();
            let path = folder.path().join(format!("{file}.parquet"));
            ParquetWriter::new(std::fs::File::create(path).unwrap()).finish(&mut rows).unwrap();
        }
        let one = |file: &str| {
            let path = folder.path().join(format!("{file}.parquet"));
            LazyFrame::scan_parquet(PlRefPath::try_from_path(&path).unwrap(), ScanArgsParquet::default()).unwrap()
        };
        let rows = concat([one("a"), one("b")], UnionArgs::default()).unwrap();

        let found = run_rule("SELECT COUNT(*) AS n FROM t", Timestamp::UNIX_EPOCH, &[("t".to_owned(), rows)]).unwrap();

        assert_eq!(found.column("n").unwrap().cast(&DataType::Float64).unwrap().f64().unwrap().get(0), Some(4.0));
    }

    #[test]
    fn what_the_lint_refuses_is_said() {
        let why = lint_rule("SELECT COUNT(*) AS n FROM visits WHERE seen_at > NOW()").unwrap_err();

        assert!(why.to_lowercase().contains("now"), "{why}");
    }
}
