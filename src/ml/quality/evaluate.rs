//! Rules evaluated on what stands: each ends in a status, with what was observed and what was expected.
//!
//! A rule that looked at nothing is skipped with the reason; one that cannot be evaluated is an error, and costs no other.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use polars::prelude::{DataFrame, IntoLazy as _};

use super::count::{Counted, Reference, count, dangling, repeated, rows_found};
use super::found::Found;
use super::measure::{Tables, valued};
use super::standing::{Freshness, Standing, Tonight};
use crate::domain::check::{Action, CheckOutcome, CheckStatus};
use crate::domain::rule::{BadRows, Form, Rule};
use crate::domain::table::TableContract;

/// Evaluates the rules, in their order. Rules about tables that do not stand are left out.
pub fn evaluate(rules: &[Rule], standing: &BTreeMap<String, Standing>, tonight: &Tonight) -> Vec<CheckOutcome> {
    let mut counted: BTreeMap<&str, BTreeMap<&str, Result<Counted, String>>> = BTreeMap::new();
    let about = rules.iter().filter_map(|rule| Some((rule, standing.get(rule.table.as_str())?)));
    about
        .map(|(rule, table)| {
            let found = match &rule.form {
                Form::Fresh => fresh(table),
                Form::Rows { bad: BadRows::Where { .. } | BadRows::Unlike { .. }, .. } => {
                    let counts = counted.entry(rule.table.as_str()).or_insert_with(|| count(rules, table, tonight));
                    rows_found(rule, counts.get(rule.id.as_str()), table)
                }
                Form::Rows { bad: BadRows::Dangling { column, table: parent, id }, .. } => {
                    let parent = standing.get(parent.as_str());
                    dangling(rule, table, &Reference { column, parent, id }, tonight)
                }
                Form::Rows { bad: BadRows::Repeated(columns), .. } => repeated(rule, table, columns),
                Form::Value { value, expected } => valued(rule, value, *expected, &Tables { table, standing, tonight }),
            };
            outcome(rule, found)
        })
        .collect()
}

/// Judges a delivery of a table before it is taken in, by the rules about single rows that stop the table; returns those
/// that it fails, or that cannot be evaluated.
pub fn refusals(
    rules: &[Rule],
    contract: &TableContract,
    delivered: &DataFrame,
    start: Timestamp,
) -> Vec<CheckOutcome> {
    let stops = |rule: &&Rule| rule.action == Action::StopTable && rule.table == contract.name;
    let rules: Vec<Rule> = rules.iter().filter(stops).cloned().collect();
    let nothing = Freshness { status: CheckStatus::Skipped, observed: String::new(), expected: String::new() };
    let table = Standing {
        contract: contract.clone(),
        rows: (delivered.height() > 0).then(|| delivered.clone().lazy()),
        n_rows: delivered.height() as u64,
        known_at: None,
        freshness: nothing,
        rows_before: None,
        delivered: None,
    };
    let standing = BTreeMap::from([(contract.name.to_string(), table)]);
    let tonight = Tonight { date: Date::MIN, start, noon_before: start, terms: Vec::new(), past: BTreeMap::new() };
    let mut judged = evaluate(&rules, &standing, &tonight);
    judged.retain(|check| matches!(check.status, CheckStatus::Fail | CheckStatus::Error));
    judged
}

fn outcome(rule: &Rule, found: Found) -> CheckOutcome {
    let Found { status, observed, expected, looked_at, value } = found;
    let subject =
        rule.column.as_ref().map_or_else(|| rule.table.to_string(), |column| format!("{}.{column}", rule.table));
    CheckOutcome {
        check: rule.id.clone(),
        subject,
        status,
        observed,
        expected,
        looked_at,
        value,
        why: rule.why.clone(),
        advice: rule.advice.clone(),
        owner: rule.owner.clone(),
        action: rule.action,
    }
}

fn fresh(table: &Standing) -> Found {
    let Freshness { status, observed, expected } = table.freshness.clone();
    Found { status, observed, expected, looked_at: u64::from(table.known_at.is_some()), value: None }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use polars::prelude::*;

    use super::super::expand::{Limits, of_contract};
    use super::super::parse::parse;
    use super::super::standing::Delivered;
    use super::*;
    use crate::domain::table::KNOWN_FROM;

    const NIGHT: &str = "2026-11-20T05:00:00Z";

    fn micros(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    fn tonight() -> Tonight {
        Tonight {
            date: date(2026, 11, 20),
            start: NIGHT.parse().unwrap(),
            noon_before: "2026-11-19T17:00:00Z".parse().unwrap(),
            terms: Vec::new(),
            past: BTreeMap::new(),
        }
    }

    /// A table with these scores, of which the last row came tonight and the others earlier.
    fn table(scores: &[Option<f64>]) -> Standing {
        let contract: TableContract = toml::from_str(
            r#"
            name = "scores"
            about = "A score."
            key = ["id"]
            [columns]
            id = { type = "id" }
            user_id = { type = "id", person = "user", refers_to = "users.id" }
            score = { type = "float", range = [0.0, 100.0] }
            state = { type = "text" }
            "#,
        )
        .unwrap();
        let n = scores.len();
        let known: Vec<i64> =
            (1..=n).map(|row| if row == n { micros(NIGHT) } else { micros("2026-11-01T05:00:00Z") }).collect();
        let known = Series::new(KNOWN_FROM.into(), known)
            .cast(&DataType::Datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC)))
            .unwrap();
        let users: Vec<String> = (0..n).map(|row| format!("u{row}")).collect();
        let states: Vec<&str> = (0..n).map(|row| if row == 0 { "odd one" } else { "fine" }).collect();
        let rows = df!("id" => (0_i64..).take(n).collect::<Vec<_>>(), "user_id" => users, "score" => scores, "state" => states);
        let mut rows = rows.unwrap();
        rows.with_column(known.into()).unwrap();
        Standing {
            contract,
            rows: (n > 0).then(|| rows.lazy()),
            n_rows: n as u64,
            known_at: Some(NIGHT.parse().unwrap()),
            freshness: Freshness { status: CheckStatus::Pass, observed: String::new(), expected: String::new() },
            rows_before: Some(n as u64),
            delivered: Some(Delivered { rows: 10, duplicates: 0, changed: 3 }),
        }
    }

    fn users(n: usize) -> Standing {
        let contract =
            toml::from_str("name = \"users\"\nabout = \"U.\"\nkey = [\"id\"]\n[columns]\nid = { type = \"id\" }\n");
        let ids: Vec<String> = (0..n).map(|row| format!("u{row}")).collect();
        Standing { contract: contract.unwrap(), rows: Some(df!("id" => ids).unwrap().lazy()), ..table(&[]) }
    }

    /// How a rule ends on a table, and what it observed.
    fn ends(rule: &str, scores: &[Option<f64>]) -> (CheckStatus, String) {
        let text = format!("table = \"scores\"\n[rules.it]\nwhy = \"w\"\n{rule}");
        let rules = parse("scores.toml", &text, std::path::Path::new(".")).unwrap().rules;
        let standing =
            BTreeMap::from([("scores".to_owned(), table(scores)), ("users".to_owned(), users(scores.len() - 1))]);
        let found = evaluate(&rules, &standing, &tonight()).remove(0);
        (found.status, found.observed)
    }

    const SCORES: [Option<f64>; 5] = [Some(-1.0), Some(50.0), None, Some(100.0), Some(7.0)];

    #[test]
    fn each_form_finds_what_it_is_for() {
        use CheckStatus::{Fail, Pass, Warn};
        let status = |rule: &str| ends(rule, &SCORES).0;

        assert_eq!(ends("rows = \"score < 0\"", &SCORES), (Warn, "1 of 5 rows".to_owned()));
        assert_eq!(ends("rows = \"score < 0\"\nerror = \"10 %\"", &SCORES).0, Fail);
        assert_eq!(ends("rows = \"score < -5\"", &SCORES).0, Pass);
        assert_eq!(ends("not_null = \"score\"", &SCORES), (Warn, "1 of 5 rows".to_owned()));
        assert_eq!(ends("in_range = { column = \"score\", min = 0 }", &SCORES), (Warn, "1 of 4 rows".to_owned()));
        assert_eq!(ends("one_of = { column = \"state\", values = [\"fine\"] }", &SCORES).1, "1 of 5 rows");
        assert_eq!(ends("matches = { column = \"state\", pattern = \"[a-z]+\" }", &SCORES).1, "1 of 5 rows");
        assert_eq!(status("unique = [\"state\"]"), Warn);
        assert_eq!(status("unique = [\"id\"]"), Pass);
        assert_eq!(status("value = \"SELECT MAX(score) AS m FROM scores\"\nwarn_above = 99"), Warn);
        assert_eq!(status("value = \"SELECT MAX(score) AS m FROM scores\"\nwarn_above = 100"), Pass);
        assert_eq!(status("row_count = \"standing\"\nerror_below = 6"), Fail);
        assert_eq!(status("null_share = \"score\"\nwarn_above = 0.1"), Pass);
    }

    #[test]
    fn a_parent_may_be_a_night_late_and_no_longer() {
        let rule = "refers_to = { column = \"user_id\", to = \"users.id\" }";
        let fresh = ends(rule, &SCORES);
        let rules =
            parse("s.toml", &format!("table = \"scores\"\n[rules.it]\nwhy = \"w\"\n{rule}"), std::path::Path::new("."));
        let standing = BTreeMap::from([("scores".to_owned(), table(&SCORES)), ("users".to_owned(), users(4))]);
        let next = Tonight { noon_before: "2026-11-20T17:00:00Z".parse().unwrap(), ..tonight() };

        let later = evaluate(&rules.unwrap().rules, &standing, &next).remove(0);

        assert_eq!(fresh.0, CheckStatus::Pass);
        assert!(fresh.1.contains("1 more came in last"), "{}", fresh.1);
        assert_eq!((later.status, later.observed.as_str()), (CheckStatus::Warn, "1 of 5 rows lead nowhere"));
    }

    #[test]
    fn a_rule_that_cannot_be_evaluated_is_an_error_and_costs_no_other() {
        let text = "table = \"scores\"\n[rules.bad]\nwhy = \"w\"\nrows = \"no_such = 1\"\n[rules.good]\nwhy = \"w\"\nrows = \
                    \"score < 0\"";
        let rules = parse("scores.toml", text, std::path::Path::new(".")).unwrap().rules;
        let standing = BTreeMap::from([("scores".to_owned(), table(&SCORES))]);

        let found = evaluate(&rules, &standing, &tonight());

        let statuses: Vec<_> = found.iter().map(|check| (check.check.as_str(), check.status)).collect();
        assert_eq!(statuses, [("scores.bad", CheckStatus::Error), ("scores.good", CheckStatus::Warn)]);
        assert!(found[0].observed.contains("no_such"), "{}", found[0].observed);
        let many = ends("value = \"SELECT score FROM scores WHERE score IS NOT NULL\"\nwarn_above = 1", &SCORES);
        assert_eq!(many, (CheckStatus::Error, "the query gives 4 rows of 1 columns, not one number".to_owned()));
    }

    #[test]
    fn a_rule_that_looks_at_nothing_is_skipped_and_says_so() {
        let nothing = Standing { delivered: None, ..table(&[]) };
        let rules = of_contract(&nothing.contract, Limits { orphan_share: 0.01, row_change: 0.5 });
        let standing = BTreeMap::from([("scores".to_owned(), nothing)]);

        let found = evaluate(&rules, &standing, &tonight());

        let passed: Vec<_> = found.iter().filter(|check| check.status == CheckStatus::Pass).collect();
        let names = |status| -> Vec<&str> {
            found.iter().filter(|check| check.status == status).map(|check| check.check.as_str()).collect()
        };
        assert_eq!(passed.iter().map(|check| check.check.as_str()).collect::<Vec<_>>(), ["scores.fresh"]);
        assert_eq!(names(CheckStatus::Fail), ["scores.not_empty"], "an empty table is told once");
        assert_eq!(names(CheckStatus::Skipped).len(), 6);
        assert!(found.iter().all(|check| check.status != CheckStatus::Skipped || !check.observed.is_empty()));
    }

    #[test]
    fn a_predicate_that_names_no_column_is_about_every_row() {
        assert_eq!(ends("rows = \"true\"", &SCORES), (CheckStatus::Warn, "5 of 5 rows".to_owned()));
        assert_eq!(ends("rows = \"1 = 2\"", &SCORES), (CheckStatus::Pass, "0 of 5 rows".to_owned()));
    }

    #[test]
    fn a_long_predicate_is_evaluated_and_a_longer_one_refused() {
        let long = format!("rows = \"{} false\"", "score = 7 OR ".repeat(700));
        let longer =
            format!("table = \"scores\"\n[rules.it]\nwhy = \"w\"\nrows = \"{} false\"", "id = 1 OR ".repeat(3000));

        let refused = parse("scores.toml", &longer, std::path::Path::new(".")).unwrap_err().to_string();

        assert_ne!(ends(&long, &SCORES).0, CheckStatus::Pass);
        assert!(refused.contains("at most 10000 characters"), "{refused}");
    }

    #[test]
    fn a_query_that_gives_no_number_is_an_error_and_one_that_gives_nothing_is_skipped() {
        let status = |sql: &str| ends(&format!("value = \"{sql}\"\nwarn_above = 1"), &SCORES).0;

        assert_eq!(status("SELECT MAX(state) AS s FROM scores"), CheckStatus::Error);
        assert_eq!(status("SELECT MAX(score) AS s FROM scores WHERE score > 1000"), CheckStatus::Skipped);
    }

    #[test]
    fn an_all_null_column_gives_its_range_nothing_to_look_at() {
        let (status, observed) = ends("in_range = { column = \"score\", min = 0 }", &[None, None]);

        assert_eq!((status, observed.as_str()), (CheckStatus::Skipped, "no row has a value there"));
    }

    #[test]
    fn duplicates_are_counted_as_they_were_delivered() {
        let doubled = Standing { delivered: Some(Delivered { rows: 10, duplicates: 5, changed: 0 }), ..table(&SCORES) };
        let rules = of_contract(&doubled.contract, Limits { orphan_share: 0.01, row_change: 0.5 });
        let standing = BTreeMap::from([("scores".to_owned(), doubled)]);

        let found = evaluate(&rules, &standing, &tonight());

        let unique = found.iter().find(|check| check.check == "scores.unique").unwrap();
        assert_eq!((unique.status, unique.observed.as_str()), (CheckStatus::Fail, "5 of 10 delivered rows"));
    }
}
