//! The rules of a table: those that follow from its contract, and those of the rule files.
//!
//! A contract states what a delivery is supposed to be; what intake already enforces (required columns, types) is no rule,
//! because it cannot fail here. A rule of a file with the name of a contract's takes its place, or switches it off.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::held::cannot_hold;
use super::parse::{TableRules, USUAL_WARN, read_folder};
use super::rehearse::cannot_be_evaluated;
use crate::domain::check::Action;
use crate::domain::document::{Mistake, Mistakes};
use crate::domain::number::figure;
use crate::domain::rule::{BadRows, Expected, Form, Range, RowLimit, RowLimits, Rule, Value};
use crate::domain::table::{ColumnContract, ColumnType, TableContract};

/// The share of dangling references from which a rule fails.
const MANY_DANGLING: f64 = 0.05;
/// The robust deviation from comparable nights from which a count fails.
const FAR: f64 = 20.0;

/// The limits of the rules that follow from contracts.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A larger share of dangling references warns.
    pub orphan_share: f64,
    /// A larger change of the number of rows since the last night, as a share, warns.
    pub row_change: f64,
}

/// Returns the rules that follow from a contract.
pub fn of_contract(contract: &TableContract, limits: Limits) -> Vec<Rule> {
    let mut rules = of_table(contract, limits);
    rules.extend(contract.kept().flat_map(|(name, column)| of_column(contract, name, column, limits)));
    rules
}

/// How many rows break a rule of a contract: one warns, one in a hundred fails.
const NO_ROW: RowLimits = RowLimits { warn: Some(RowLimit::Count(0)), error: Some(RowLimit::Share(0.01)) };

fn rule(contract: &TableContract, name: &str, form: Form, why: &str) -> Rule {
    Rule {
        id: format!("{}.{name}", contract.name),
        table: contract.name.clone(),
        column: None,
        form,
        action: Action::Pass,
        owner: None,
        why: why.to_owned(),
        advice: None,
        origin: "the table's contract".to_owned(),
    }
}

fn of_table(contract: &TableContract, limits: Limits) -> Vec<Rule> {
    let rule = |name: &str, form: Form, why: &str| rule(contract, name, form, why);
    let usual = |value| Form::Value { value, expected: Expected::AsUsual { warn: USUAL_WARN, error: Some(FAR) } };
    let within = |warn, error| Expected::Within { warn, error };
    let at_least_one = within(None, Some(Range { low: Some(1.0), high: None }));
    let steady = within(Some(Range { low: None, high: Some(limits.row_change) }), None);
    let unique = Form::Rows { bad: BadRows::Repeated(contract.key.clone()), limits: NO_ROW };
    let key = Some(contract.key.join(", "));
    let why_twice = "A row that is delivered twice says that the export went wrong; the lake keeps the last one";
    vec![
        rule("fresh", Form::Fresh, "What is made from an old table is old"),
        rule(
            "not_empty",
            Form::Value { value: Value::Rows, expected: at_least_one },
            "An empty table makes everything that reads it wrong",
        ),
        Rule { column: key, ..rule("unique", unique, why_twice) },
        rule("changed_as_usual", usual(Value::Changed), "Much fewer or more changes than usual mean a fault upstream"),
        rule(
            "rows_steady",
            Form::Value { value: Value::RowChange, expected: steady },
            "A table that grows or shrinks a lot in one night was probably not exported whole",
        ),
        rule("rows_as_usual", usual(Value::Rows), "Much fewer or more rows than usual mean a fault upstream"),
    ]
}

fn of_column(contract: &TableContract, name: &str, column: &ColumnContract, limits: Limits) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut add = |suffix: &str, form: Form, why: &str| {
        rules.push(Rule { column: Some(name.to_owned()), ..rule(contract, &format!("{name}_{suffix}"), form, why) });
    };
    if let (Some((low, high)), ColumnType::Int | ColumnType::Float) = (column.range, column.kind) {
        let predicate = format!("{name} < {low:?} OR {name} > {high:?}");
        let bad = BadRows::Where { predicate, of: Some(name.to_owned()) };
        let why = format!("By the table's contract it lies from {} to {}", figure(low), figure(high));
        add("in_range", Form::Rows { bad, limits: NO_ROW }, &why);
    }
    let parent = column.refers_to.as_ref().and_then(|to| to.split_once('.'));
    if let Some((table, id)) = parent.and_then(|(table, id)| Some((table.parse().ok()?, id.to_owned()))) {
        let bad = BadRows::Dangling { column: name.to_owned(), table, id };
        let (warn, error) = (RowLimit::Share(limits.orphan_share), RowLimit::Share(MANY_DANGLING));
        let allowed = RowLimits { warn: Some(warn), error: Some(error) };
        let why = "A row whose parent is missing drops out of every join";
        add("refers", Form::Rows { bad, limits: allowed }, why);
    }
    rules
}

/// Returns the rules of all tables, sorted by id: those of the contracts, completed and replaced by those of `folder`.
///
/// # Errors
/// With every mistake in a file: a rule about a table or a column that there is not, too.
pub fn rules_of(contracts: &[&TableContract], folder: &Path, limits: Limits) -> Result<Vec<Rule>, Mistakes> {
    let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
    for contract in contracts {
        rules.extend(of_contract(contract, limits).into_iter().map(|rule| (rule.id.clone(), rule)));
    }
    let mut mistakes = Vec::new();
    let mut stated = BTreeSet::new();
    for TableRules { file, table, rules: own, off, places } in read_folder(folder)? {
        let mistake = |path: &str, message: String| Mistake {
            file: file.clone(),
            line: 0,
            column: 0,
            path: path.to_owned(),
            message,
        };
        let Some(contract) = contracts.iter().find(|contract| contract.name == table) else {
            let known: Vec<&str> = contracts.iter().map(|contract| contract.name.as_str()).collect();
            mistakes.push(mistake("table", format!("there is no table `{table}`; there are {}", known.join(", "))));
            continue;
        };
        for id in off {
            if rules.remove(&id).is_none() {
                mistakes.push(mistake(&id, "it switches a rule off that does not follow from the contract".to_owned()));
            }
        }
        let unfit = cannot_be_evaluated(&own, contracts);
        for rule in own {
            let (line, column) = places.get(&rule.id).copied().unwrap_or_default();
            if rule.action == Action::QuarantineRows
                && let Some(why) = cannot_hold(&rule, contract)
            {
                let message = format!("it could hold no row back: {why}");
                mistakes.push(Mistake { line, column, ..mistake(&rule.id, message) });
            } else if let Some(why) = unfit.get(&rule.id) {
                let message = format!("it cannot be evaluated: {why}");
                mistakes.push(Mistake { line, column, ..mistake(&rule.id, message) });
            }
            if !stated.insert(rule.id.clone()) {
                mistakes.push(mistake(&rule.id, "another file has a rule of this name".to_owned()));
            }
            rules.insert(rule.id.clone(), rule);
        }
    }
    Mistakes::unless_none(mistakes, rules.into_values().collect())
}
