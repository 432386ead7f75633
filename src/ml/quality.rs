//! Quality checks of a table, driven by its contract.
//!
//! Row count against the last night's, nulls in required columns, ranges, keys, freshness. Frames are lazy and
//! evaluated on the streaming engine. A check that looked at nothing is an error, never a pass.

use polars::prelude::*;

use crate::domain::check::{CheckOutcome, CheckStatus};
use crate::domain::table::{AUTO_GRADER, ColumnType, TableContract};

/// Limits of the checks.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A larger change of the row count, as a share, is a warning.
    pub row_change: f64,
    /// A larger share of dangling references is a warning.
    pub orphan_share: f64,
}

/// Checks the current rows of a table.
///
/// # Errors
/// When polars cannot read them.
pub fn check_table(
    contract: &TableContract,
    rows: &LazyFrame,
    rows_before: Option<u64>,
    limits: Limits,
) -> PolarsResult<Vec<CheckOutcome>> {
    let table = contract.name.as_str();
    let mut asked = vec![len().alias("rows")];
    for (name, column) in contract.kept() {
        if column.required {
            asked.push(col(name.as_str()).null_count().alias(format!("null {name}")));
        }
        if let (Some((low, high)), ColumnType::Int | ColumnType::Float) = (column.range, column.kind) {
            let value = col(name.as_str()).cast(DataType::Float64);
            let outside = value.clone().lt(lit(low)).or(value.gt(lit(high)));
            asked.push(outside.sum().alias(format!("outside {name}")));
        }
    }
    let answers = rows.clone().select(asked).collect_with_engine(Engine::Streaming)?.unwrap_single();
    let count = |name: &str| -> PolarsResult<u64> {
        let value = answers.column(name)?.cast(&DataType::UInt64)?;
        Ok(value.u64()?.get(0).unwrap_or(0))
    };
    let n = count("rows")?;
    let mut outcomes = vec![row_count(table, n, rows_before, limits)];
    for (name, column) in contract.kept() {
        let subject = format!("{table}.{name}");
        if column.required {
            let rule = Rule { subject: &subject, check: "nulls.required", expected: "no value is missing" };
            outcomes.push(none_of(&rule, count(&format!("null {name}"))?, n));
        }
        if let (Some((low, high)), ColumnType::Int | ColumnType::Float) = (column.range, column.kind) {
            let outside = count(&format!("outside {name}"))?;
            let expected = format!("from {low} to {high}");
            let rule = Rule { subject: &subject, check: "range.within", expected: &expected };
            outcomes.push(none_of(&rule, outside, n));
        }
    }
    outcomes.push(unique_keys(contract, rows, n)?);
    Ok(outcomes)
}

/// A column whose values are ids of another table.
pub struct Reference {
    /// What the check is about: `<table>.<column>`.
    pub subject: String,
    /// The column.
    pub column: String,
    /// The existing ids, in a column `id`.
    pub ids: LazyFrame,
}

/// Checks that the ids in a column of `rows` are among those that it refers to.
///
/// # Errors
/// When polars cannot read them.
pub fn check_reference(rows: &LazyFrame, reference: Reference, limits: Limits) -> PolarsResult<CheckOutcome> {
    let Reference { subject, column, ids } = reference;
    let column = column.as_str();
    let is_person = matches!(rows.clone().collect_schema()?.get(column), Some(DataType::String));
    let somebody = if is_person { col(column).neq(lit(AUTO_GRADER)) } else { lit(true) };
    let referring = rows.clone().select([col(column)]).filter(col(column).is_not_null().and(somebody));
    let joined = referring.clone().join(ids, [col(column)], [col("id")], JoinArgs::new(JoinType::Anti));
    // Counted by their height: polars' streaming engine cannot sum the lengths of a join's pieces.
    let size = |frame: LazyFrame| -> PolarsResult<u64> { Ok(frame.collect()?.height() as u64) };
    let (n, orphans) = (size(referring)?, size(joined)?);
    let share = orphans as f64 / (n.max(1)) as f64;
    let status = match n {
        0 => CheckStatus::Skipped,
        _ if orphans == 0 => CheckStatus::Pass,
        _ if share <= limits.orphan_share => CheckStatus::Pass,
        _ => CheckStatus::Warn,
    };
    Ok(CheckOutcome {
        check: "references.found".to_owned(),
        subject,
        status,
        observed: format!("{orphans} of {n} lead nowhere"),
        expected: format!("at most {} %", limits.orphan_share * 100.0),
        looked_at: n,
    })
}

fn row_count(table: &str, n: u64, before: Option<u64>, limits: Limits) -> CheckOutcome {
    let change = before.filter(|before| *before > 0).map(|before| (n as f64 - before as f64).abs() / before as f64);
    let status = match change {
        _ if n == 0 => CheckStatus::Error,
        Some(change) if change > limits.row_change => CheckStatus::Warn,
        _ => CheckStatus::Pass,
    };
    CheckOutcome {
        check: "rows.count".to_owned(),
        subject: table.to_owned(),
        status,
        observed: format!("{n} rows"),
        expected: before.map_or_else(|| "at least one row".to_owned(), |before| format!("about {before} rows")),
        looked_at: n,
    }
}

/// A rule that no row may break.
struct Rule<'a> {
    subject: &'a str,
    check: &'a str,
    expected: &'a str,
}

fn none_of(rule: &Rule<'_>, found: u64, n: u64) -> CheckOutcome {
    let status = match (n, found) {
        (0, _) => CheckStatus::Error,
        (_, 0) => CheckStatus::Pass,
        _ => CheckStatus::Fail,
    };
    CheckOutcome {
        check: rule.check.to_owned(),
        subject: rule.subject.to_owned(),
        status,
        observed: format!("{found} of {n} rows"),
        expected: rule.expected.to_owned(),
        looked_at: n,
    }
}

fn unique_keys(contract: &TableContract, rows: &LazyFrame, n: u64) -> PolarsResult<CheckOutcome> {
    let keys: Vec<Expr> = contract.key.iter().map(|key| col(key.as_str())).collect();
    let keys = rows.clone().select(keys).unique(None, UniqueKeepStrategy::Any).collect()?.height() as u64;
    let rule = Rule { subject: contract.name.as_str(), check: "keys.unique", expected: "every key once" };
    Ok(none_of(&rule, n.saturating_sub(keys), n))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract() -> TableContract {
        let text = r#"
            name = "t"
            about = "A table."
            key = ["id"]
            visible_from = "at"
            [columns]
            id = { type = "id" }
            at = { type = "timestamp", required = true }
            points = { type = "float", range = [0.0, 10.0] }
        "#;
        toml::from_str(text).unwrap()
    }

    fn statuses(rows: DataFrame) -> Vec<(String, String, CheckStatus)> {
        let limits = Limits { row_change: 0.5, orphan_share: 0.01 };
        let checked = check_table(&contract(), &rows.lazy(), None, limits).unwrap();
        checked.into_iter().map(|outcome| (outcome.check, outcome.subject, outcome.status)).collect()
    }

    fn status_of(rows: DataFrame, check: &str) -> CheckStatus {
        let found = statuses(rows).into_iter().find(|(name, _, _)| name == check);
        found.unwrap_or_else(|| panic!("there is no check {check}")).2
    }

    #[test]
    fn a_sound_table_passes_every_check() {
        let sound = df!("id" => [1_i64, 2], "at" => [1_i64, 2], "points" => [0.0, 10.0]).unwrap();

        let checked = statuses(sound);

        assert_eq!(checked.len(), 4, "{checked:?}");
        assert!(checked.iter().all(|(_, _, status)| *status == CheckStatus::Pass), "{checked:?}");
    }

    #[test]
    fn a_missing_value_a_value_out_of_range_and_a_key_twice_fail() {
        let missing = df!("id" => [1_i64, 2], "at" => [Some(1_i64), None], "points" => [0.0, 1.0]).unwrap();
        let outside = df!("id" => [1_i64, 2], "at" => [1_i64, 2], "points" => [0.0, 10.5]).unwrap();
        let twice = df!("id" => [1_i64, 1], "at" => [1_i64, 2], "points" => [0.0, 1.0]).unwrap();

        assert_eq!(status_of(missing, "nulls.required"), CheckStatus::Fail);
        assert_eq!(status_of(outside, "range.within"), CheckStatus::Fail);
        assert_eq!(status_of(twice, "keys.unique"), CheckStatus::Fail);
    }

    #[test]
    fn an_empty_table_never_passes() {
        let empty = df!("id" => Vec::<i64>::new(), "at" => Vec::<i64>::new(), "points" => Vec::<f64>::new()).unwrap();

        let checked = statuses(empty);

        assert!(checked.iter().all(|(_, _, status)| *status == CheckStatus::Error), "{checked:?}");
    }
}
