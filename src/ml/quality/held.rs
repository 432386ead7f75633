//! Which rows of a delivery a rule holds back (`action = "quarantine_rows"`).
//!
//! A row is judged by its own columns alone, so it is judged the same among the rows of its delivery and, later, among
//! those that wait. Where several rules hold a row back, it waits under the one that it waited under before, else under
//! the first by id.

use jiff::Timestamp;
use polars::prelude::*;

use super::found::{feature_words, words};
use crate::domain::check::Action;
use crate::domain::ids::TableName;
use crate::domain::rule::{BadRows, Form, Rule};
use crate::domain::table::TableContract;
use crate::features::{run_rule, stored_type};

/// The place of each row, by which the answer is put in order again.
const PLACE: &str = "row_place";

/// A rule that could not be evaluated, and why: then nobody can say which rows are bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unjudged {
    /// The rule's id.
    pub rule: String,
    /// Why.
    pub why: String,
}

/// Returns the rules that hold back rows of `table`.
pub fn holding<'a>(rules: &'a [Rule], table: &TableName) -> Vec<&'a Rule> {
    rules.iter().filter(|rule| rule.action == Action::QuarantineRows && rule.table == *table).collect()
}

/// Returns, for each row, whether each of the rules finds it bad, as of the start of a night.
///
/// # Errors
/// With the first rule that cannot be evaluated.
pub fn bad_rows(rules: &[&Rule], rows: &DataFrame, start: Timestamp) -> Result<Vec<Vec<bool>>, Unjudged> {
    rules.iter().map(|rule| bad(rule, rows, start)).collect()
}

/// Returns, for each row, the rule that holds it back, given whether each of `rules` finds it bad; `before` has the rule
/// under which each row waits already.
pub fn verdicts(rules: &[&Rule], bad: &[Vec<bool>], before: Option<&[String]>) -> Vec<Option<String>> {
    let rows = bad.first().map_or_else(|| before.map_or(0, <[String]>::len), Vec::len);
    let verdict = |row: usize| {
        let holds = || rules.iter().zip(bad).filter(|(_, bad)| bad[row]).map(|(rule, _)| rule.id.as_str());
        let same = before.and_then(|before| holds().find(|rule| *rule == before[row]));
        same.or_else(|| holds().next()).map(str::to_owned)
    };
    (0..rows).map(verdict).collect()
}

/// Returns why a rule that holds rows back cannot be evaluated on its table; `None` where it can.
pub(super) fn cannot_hold(rule: &Rule, contract: &TableContract) -> Option<String> {
    let columns = contract.kept().map(|(name, column)| Column::new_empty(name.as_str().into(), &stored_type(column)));
    let empty = DataFrame::new_infer_height(columns.collect());
    let judged = empty
        .map_err(|error| words(&error))
        .and_then(|empty| bad_rows(&[rule], &empty, Timestamp::UNIX_EPOCH).map_err(|Unjudged { why, .. }| why));
    judged.err()
}

fn bad(rule: &Rule, rows: &DataFrame, start: Timestamp) -> Result<Vec<bool>, Unjudged> {
    let unjudged = |why: String| Unjudged { rule: rule.id.clone(), why };
    let Form::Rows { bad, .. } = &rule.form else {
        return Err(unjudged("it is no rule about rows".to_owned()));
    };
    match bad {
        BadRows::Where { predicate, .. } => {
            let name = rule.table.as_str();
            let sql = format!("SELECT {PLACE}, CASE WHEN {predicate} THEN 1 ELSE 0 END AS bad FROM {name}");
            let placed = rows.clone().lazy().with_row_index(PLACE, None);
            let answer = run_rule(&sql, start, &[(name.to_owned(), placed)]);
            let answer = answer.map_err(|error| unjudged(feature_words(&error)))?;
            in_order(&answer, rows.height()).map_err(|error| unjudged(words(&error)))
        }
        BadRows::Unlike { column, pattern } => {
            let unlike = col(column.as_str()).cast(DataType::String).str().contains(lit(pattern.as_str()), true).not();
            let answer = rows.clone().lazy().select([unlike.fill_null(lit(false)).alias("bad")]).collect();
            let found = answer.and_then(|answer| Ok(answer.column("bad")?.bool()?.iter().collect::<Vec<_>>()));
            let found = found.map_err(|error| unjudged(words(&error)))?;
            Ok(found.into_iter().map(|bad| bad == Some(true)).collect())
        }
        BadRows::Dangling { .. } | BadRows::Repeated(_) => {
            Err(unjudged("it needs other rows than the one that it judges".to_owned()))
        }
    }
}

/// The answers by the places of their rows. A row without an answer is an error: it would pass unseen.
fn in_order(answer: &DataFrame, rows: usize) -> PolarsResult<Vec<bool>> {
    let places = answer.column(PLACE)?.cast(&DataType::UInt64)?;
    let bad = answer.column("bad")?.cast(&DataType::Int64)?;
    let mut found = vec![None; rows];
    for (place, bad) in places.u64()?.iter().zip(bad.i64()?.iter()) {
        let place = place.and_then(|place| usize::try_from(place).ok());
        if let Some(slot) = place.and_then(|place| found.get_mut(place)) {
            *slot = Some(bad == Some(1));
        }
    }
    let all: Option<Vec<bool>> = found.into_iter().collect();
    all.ok_or_else(|| polars_err!(ComputeError: "not every row was judged"))
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    fn rules(stated: &[(&str, &str)]) -> Vec<Rule> {
        let rules = stated
            .iter()
            .map(|(name, rule)| format!("[rules.{name}]\nwhy = \"w\"\naction = \"quarantine_rows\"\n{rule}\n"));
        let text = format!("table = \"scores\"\n{}", rules.collect::<String>());
        parse("scores.toml", &text, std::path::Path::new(".")).unwrap().rules
    }

    fn rows() -> DataFrame {
        df!("id" => [1_i64, 2, 3, 4], "score" => [Some(-1.0), None, Some(5.0), Some(200.0)], "state" => ["a", "B", "a", "a"])
            .unwrap()
    }

    fn held(stated: &[(&str, &str)]) -> Vec<Option<String>> {
        let rules = rules(stated);
        let rules: Vec<&Rule> = rules.iter().collect();
        verdicts(&rules, &bad_rows(&rules, &rows(), Timestamp::UNIX_EPOCH).unwrap(), None)
    }

    #[test]
    fn each_row_is_held_back_by_the_first_rule_that_finds_it_bad() {
        let low = ("a_low", "in_range = { column = \"score\", min = 0 }");
        let odd = ("b_odd", "rows = \"score < 0 OR score > 100\"");
        let case = ("c_case", "matches = { column = \"state\", pattern = \"[a-z]\" }");

        let found = held(&[low, odd, case]);

        let found: Vec<Option<&str>> = found.iter().map(Option::as_deref).collect();
        assert_eq!(found, [Some("scores.a_low"), Some("scores.c_case"), None, Some("scores.b_odd")]);
        assert_eq!(held(&[("none", "rows = \"score > 1000\"")]), [None, None, None, None]);
        assert!(held(&[("all", "rows = \"true\"")]).iter().all(Option::is_some));
    }

    #[test]
    fn a_row_that_waits_stays_under_its_rule_as_long_as_that_holds_it_back() {
        let rules = rules(&[("a", "rows = \"score < 0\""), ("b", "rows = \"score < 0 OR score > 100\"")]);
        let rules: Vec<&Rule> = rules.iter().collect();
        let bad = bad_rows(&rules, &rows(), Timestamp::UNIX_EPOCH).unwrap();
        let before = ["scores.b", "scores.gone", "scores.a", "scores.gone"].map(str::to_owned);

        let found = verdicts(&rules, &bad, Some(&before));

        assert_eq!(found, [Some("scores.b".to_owned()), None, None, Some("scores.b".to_owned())]);
        assert_eq!(verdicts(&[], &[], Some(&before)), vec![None; 4], "without a rule every row passes");
    }

    #[test]
    fn a_rule_that_cannot_be_evaluated_says_why() {
        let contract = toml::from_str(
            "name = \"scores\"\nabout = \"A score.\"\nkey = [\"id\"]\n[columns]\nid = { type = \"id\" }\nscore = { type = \"float\" }\n",
        );
        let contract: TableContract = contract.unwrap();
        let rules = rules(&[("bad", "rows = \"no_such > 1\""), ("good", "rows = \"score > 1\"")]);

        assert!(cannot_hold(&rules[0], &contract).unwrap().contains("no_such"));
        assert_eq!(cannot_hold(&rules[1], &contract), None);
    }
}
