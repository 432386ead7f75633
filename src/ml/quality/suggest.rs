//! Rules that a table keeps tonight, as suggestions for its rule file: a person reads them before they count.
//!
//! Only what the contract does not say already. Values are suggested for columns that cannot identify a person, and only
//! such as many rows share. A suggestion is what holds now; whether it should hold is for the reader to say, in `why`.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::rule::{InRange, OneOf, RuleFile, RuleSpec};
use crate::domain::table::{ColumnContract, ColumnType, TableContract};

/// Fewer rows say nothing about a rule.
const FEWEST_ROWS: u64 = 100;
/// The most values that are an enumeration.
const MOST_VALUES: usize = 12;
/// A value that fewer rows share is not suggested: it may be about a person.
const FEWEST_SHARING: u32 = 10;

/// Returns rules that all rows of a table keep, of which there are `n_rows`.
///
/// # Errors
/// When polars cannot read them.
pub fn suggest(contract: &TableContract, rows: &LazyFrame, n_rows: u64) -> PolarsResult<RuleFile> {
    let mut rules = BTreeMap::new();
    if n_rows < FEWEST_ROWS {
        return Ok(RuleFile { table: contract.name.to_string(), rules });
    }
    for (name, column) in contract.kept().filter(|(_, column)| column.person.is_none()) {
        let values = rows.clone().select([col(name.as_str())]).collect()?;
        let values = values.column(name)?;
        if values.null_count() == 0 && !column.required {
            let why = "it has a value in every row; say here why it must";
            let spec = RuleSpec { not_null: Some(name.clone()), ..suggested(why) };
            rules.insert(format!("{name}_known"), spec);
        }
        rules.extend(range(name, column, values)?.map(|spec| (format!("{name}_in_range"), spec)));
        rules.extend(enumeration(name, column, values)?.map(|spec| (format!("{name}_known_values"), spec)));
    }
    Ok(RuleFile { table: contract.name.to_string(), rules })
}

fn suggested(why: &str) -> RuleSpec {
    RuleSpec { why: Some(why.to_owned()), ..RuleSpec::default() }
}

/// The range of a number that has none in the contract, from 0 where nothing is negative, up to twice the largest.
fn range(name: &str, column: &ColumnContract, values: &Column) -> PolarsResult<Option<RuleSpec>> {
    if column.range.is_some() || !matches!(column.kind, ColumnType::Int | ColumnType::Float) {
        return Ok(None);
    }
    let numbers = values.cast(&DataType::Float64)?;
    let numbers = numbers.f64()?;
    let (Some(low), Some(high)) = (numbers.min(), numbers.max()) else { return Ok(None) };
    let rounded = |number: f64| if number == 0.0 { 0.0 } else { (number * 2.0).round() };
    let in_range = InRange {
        column: name.to_owned(),
        min: Some(if low >= 0.0 { 0.0 } else { rounded(low) }),
        max: Some(rounded(high)),
    };
    let why = "it lies well within these ends; say here what makes sense";
    Ok(Some(RuleSpec { in_range: Some(in_range), ..suggested(why) }))
}

/// The values of a text that takes few, each shared by many rows.
fn enumeration(name: &str, column: &ColumnContract, values: &Column) -> PolarsResult<Option<RuleSpec>> {
    if column.kind != ColumnType::Text || !column.values.is_empty() {
        return Ok(None);
    }
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for value in values.str()?.iter().flatten() {
        *counts.entry(value).or_default() += 1;
        if counts.len() > MOST_VALUES {
            return Ok(None);
        }
    }
    if counts.is_empty() || counts.values().any(|count| *count < FEWEST_SHARING) {
        return Ok(None);
    }
    let values = counts.into_keys().map(str::to_owned).collect();
    let one_of = OneOf { column: name.to_owned(), values };
    Ok(Some(RuleSpec { one_of: Some(one_of), ..suggested("it takes these values and no other; say here why") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = r#"
        name = "scores"
        about = "A score."
        key = ["id"]
        [columns]
        id = { type = "id", required = true }
        user_id = { type = "text", person = "user" }
        score = { type = "float" }
        state = { type = "text" }
        rare = { type = "text" }
    "#;

    fn suggestions(n: usize) -> RuleFile {
        let contract: TableContract = toml::from_str(CONTRACT).unwrap();
        let rows = df!(
            "id" => (0_i64..).take(n).collect::<Vec<_>>(),
            "user_id" => vec!["u1"; n],
            "score" => (0_u32..).take(n).map(f64::from).collect::<Vec<_>>(),
            "state" => (0..n).map(|row| if row % 2 == 0 { "open" } else { "closed" }).collect::<Vec<_>>(),
            "rare" => (0..n).map(|row| (row > 2).then_some(if row == 3 { "once" } else { "often" })).collect::<Vec<_>>(),
        );
        suggest(&contract, &rows.unwrap().lazy(), n as u64).unwrap()
    }

    #[test]
    fn what_holds_tonight_is_suggested_and_can_be_read_as_a_rule_file() {
        let file = suggestions(200);

        let names: Vec<&str> = file.rules.keys().map(String::as_str).collect();
        assert_eq!(names, ["score_in_range", "score_known", "state_known", "state_known_values"]);
        let text = toml::to_string(&file).unwrap();
        let read = super::super::parse::parse("scores.toml", &text, std::path::Path::new(".")).unwrap();
        assert_eq!(read.rules.len(), 4, "{text}");
    }

    #[test]
    fn a_value_that_few_share_and_whatever_is_of_a_person_is_not_suggested() {
        let text = toml::to_string(&suggestions(200)).unwrap();

        assert!(!text.contains("once") && !text.contains("u1") && !text.contains("user_id"), "{text}");
    }

    #[test]
    fn few_rows_suggest_nothing() {
        assert!(suggestions(99).rules.is_empty());
    }
}
