//! Rules evaluated on empty tables, before any night: a column that there is not, or a type that does not fit, is found
//! when the rule is read.
//!
//! The tables have the columns and types of their contracts, so what cannot be evaluated here could not be on a night.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use polars::prelude::*;

use super::evaluate::evaluate;
use super::found::{feature_words, words};
use super::standing::{Delivered, Freshness, Standing, Tonight, no_rows};
use crate::domain::check::CheckStatus;
use crate::domain::rule::{BadRows, Form, Rule, Value};
use crate::domain::table::TableContract;
use crate::features::{run_rule, stored_type};

/// Returns the rules that cannot be evaluated on tables of these contracts, by id, and why.
pub(super) fn cannot_be_evaluated(rules: &[Rule], contracts: &[&TableContract]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut standing = BTreeMap::new();
    for contract in contracts {
        match empty(contract) {
            Ok(table) => drop(standing.insert(contract.name.to_string(), table)),
            Err(error) => {
                let own = rules.iter().filter(|rule| rule.table == contract.name);
                found.extend(own.map(|rule| (rule.id.clone(), words(&error))));
            }
        }
    }
    let contract = |rule: &Rule| contracts.iter().find(|contract| contract.name == rule.table);
    let is_query = |rule: &&Rule| matches!(&rule.form, Form::Value { value: Value::Sql(_), .. });
    let others: Vec<Rule> = rules.iter().filter(|rule| !is_query(rule)).cloned().collect();
    let checked = evaluate(&others, &standing, &night());
    for check in checked.into_iter().filter(|check| check.status == CheckStatus::Error) {
        let rule = rules.iter().find(|rule| rule.id == check.check);
        let kind = rule.and_then(|rule| {
            let column = rule.column.as_ref()?;
            Some(format!(" (`{column}` is `{}`)", contract(rule)?.columns.get(column)?.kind.as_str()))
        });
        found.insert(check.check, check.observed + &kind.unwrap_or_default());
    }
    let frames: Vec<(String, LazyFrame)> =
        standing.iter().filter_map(|(name, table)| Some((name.clone(), table.rows.clone()?))).collect();
    for rule in rules {
        if let Form::Value { value: Value::Sql(sql), .. } = &rule.form {
            // How many rows it gives depends on the tables; of what columns it is made does not.
            match run_rule(sql, Timestamp::UNIX_EPOCH, &frames) {
                Err(error) => drop(found.insert(rule.id.clone(), feature_words(&error))),
                Ok(answer) if answer.width() != 1 => {
                    let why = format!("the query gives {} columns, not one number", answer.width());
                    found.insert(rule.id.clone(), why);
                }
                Ok(_) => {}
            }
        }
        if let Form::Rows { bad: BadRows::Dangling { table, .. }, .. } = &rule.form
            && !standing.contains_key(table.as_str())
        {
            found.insert(rule.id.clone(), format!("there is no table `{table}`"));
        }
        // Any column can be written as text, and a number so written has no stated form.
        if let Form::Rows { bad: BadRows::Unlike { column, .. }, .. } = &rule.form
            && let Some(kept) = contract(rule).and_then(|contract| contract.columns.get(column))
            && stored_type(kept) != DataType::String
        {
            let why = format!("`matches` looks at text, and `{column}` is `{}`", kept.kind.as_str());
            found.insert(rule.id.clone(), why);
        }
    }
    found
}

/// A table without a row, as it would stand.
fn empty(contract: &TableContract) -> PolarsResult<Standing> {
    Ok(Standing {
        contract: contract.clone(),
        rows: Some(no_rows(contract)?),
        n_rows: 0,
        known_at: Some(Timestamp::UNIX_EPOCH),
        freshness: Freshness { status: CheckStatus::Skipped, observed: String::new(), expected: String::new() },
        rows_before: None,
        delivered: Some(Delivered { rows: 0, duplicates: 0, changed: 0 }),
    })
}

fn night() -> Tonight {
    let at = Timestamp::UNIX_EPOCH;
    Tonight { date: Date::MIN, start: at, noon_before: at, terms: Vec::new(), past: BTreeMap::new() }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    fn contract(text: &str) -> TableContract {
        toml::from_str(text).unwrap()
    }

    /// Why a rule of `scores` cannot be evaluated.
    fn why(rule: &str) -> Option<String> {
        let scores = contract(
            "name = 'scores'\nabout = 'S.'\nkey = ['id']\n[columns]\nid = { type = 'id' }\nscore = { type = 'float' }\n\
             state = { type = 'text' }\nat = { type = 'timestamp' }\n",
        );
        let users = contract("name = 'users'\nabout = 'U.'\nkey = ['id']\n[columns]\nid = { type = 'id' }\n");
        let text = format!("table = \"scores\"\n[rules.it]\nwhy = \"w\"\n{rule}");
        let rules = parse("scores.toml", &text, std::path::Path::new(".")).unwrap().rules;
        cannot_be_evaluated(&rules, &[&scores, &users]).remove("scores.it")
    }

    #[test]
    fn a_column_or_a_table_that_there_is_not_is_named() {
        for rule in [
            "rows = \"nobody < 0\"",
            "value = \"SELECT MAX(nobody) AS m FROM scores\"\nwarn_above = 1",
            "not_null = \"nobody\"",
            "one_of = { column = \"nobody\", values = [\"a\"] }",
            "in_range = { column = \"nobody\", min = 0 }",
            "matches = { column = \"nobody\", pattern = \"a\" }",
            "refers_to = { column = \"nobody\", to = \"users.id\" }",
            "refers_to = { column = \"id\", to = \"users.nobody\" }",
            "refers_to = { column = \"id\", to = \"nobody.id\" }",
            "unique = [\"nobody\"]",
            "null_share = \"nobody\"\nwarn_above = 0.5",
            "value = \"SELECT COUNT(*) AS n FROM nobody\"\nwarn_above = 1",
        ] {
            let why = why(rule).unwrap_or_else(|| panic!("{rule} could be evaluated"));
            assert!(why.contains("nobody") && !why.contains("valid columns"), "{rule}: {why}");
        }
    }

    #[test]
    fn a_type_that_does_not_fit_is_told() {
        for (rule, told) in [
            ("rows = \"score = 'a'\"", "may not fit"),
            ("one_of = { column = \"score\", values = [\"a\"] }", "(`score` is `float`)"),
            ("in_range = { column = \"state\", min = 0 }", "(`state` is `text`)"),
            ("matches = { column = \"score\", pattern = \"a\" }", "`matches` looks at text, and `score` is `float`"),
            ("refers_to = { column = \"state\", to = \"users.id\" }", "(`state` is `text`)"),
            ("value = \"SELECT id, score FROM scores\"\nwarn_above = 1", "2 columns, not one number"),
        ] {
            let why = why(rule).unwrap_or_else(|| panic!("{rule} could be evaluated"));
            assert!(why.contains(told), "{rule}: {why}");
        }
    }

    #[test]
    fn what_can_be_evaluated_is_not_refused_for_want_of_rows() {
        for rule in [
            "rows = \"score < 0 AND _known_from > {{ as_of }}\"",
            "value = \"SELECT MAX(n) AS n FROM (SELECT id, COUNT(*) AS n FROM scores GROUP BY id) AS g\"\nwarn_above = 1",
            "one_of = { column = \"state\", values = [\"a\"] }",
            "in_range = { column = \"score\", max = 1 }",
            "refers_to = { column = \"id\", to = \"users.id\" }",
            "row_count = \"since_last_night\"\nwarn_above = 0.5",
            "null_share = \"at\"\nagainst = \"same weekday, same week of term\"",
            "unique = [\"id\"]",
        ] {
            assert_eq!(why(rule), None, "{rule}");
        }
    }
}
