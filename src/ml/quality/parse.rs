//! Reads rule files, and expands each rule to one of the two forms.
//!
//! All mistakes of all files are reported at once, with their lines; SQL goes through the lint when it is read, so that a
//! rule that cannot be evaluated is known before the night.

use std::collections::BTreeMap;
use std::path::Path;

use super::rule::{Against, Counted, InRange, Matches, OneOf, RefersTo, RuleFile, RuleSpec};
use crate::domain::check::Action;
use crate::domain::document::{Document, Mistake, Mistakes};
use crate::domain::ids::TableName;
use crate::domain::rule::{BadRows, Expected, Form, Range, RowLimit, RowLimits, Rule, Value};
use crate::features::{beyond_row, lint_rule};

/// The rules of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRules {
    /// The file.
    pub file: String,
    /// The table that they are about.
    pub table: TableName,
    /// The rules.
    pub rules: Vec<Rule>,
    /// The ids of rules that it switches off.
    pub off: Vec<String>,
    /// Where each rule stands, by its id: line and column, from 1.
    pub places: BTreeMap<String, (usize, usize)>,
}

/// Reads all rule files of a folder, in the order of their names; none where there is no such folder.
///
/// # Errors
/// With every mistake in any of them.
pub fn read_folder(folder: &Path) -> Result<Vec<TableRules>, Mistakes> {
    let mut mistakes = Vec::new();
    let mut read = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(read) };
    let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    for path in paths {
        let name = path.display().to_string();
        match std::fs::read_to_string(&path) {
            Err(error) => mistakes.push(Mistake {
                file: name,
                line: 0,
                column: 0,
                path: String::new(),
                message: format!("it cannot be read: {error}"),
            }),
            Ok(text) => match parse(&name, &text, folder) {
                Ok(found) => read.push(found),
                Err(found) => mistakes.extend(found.0),
            },
        }
    }
    Mistakes::unless_none(mistakes, read)
}

/// Parses a rule file: its table's rules, and the names of those that are switched off. Paths of SQL files are relative
/// to `folder`.
///
/// # Errors
/// With every mistake in it.
pub fn parse(file: &str, text: &str, folder: &Path) -> Result<TableRules, Mistakes> {
    let document = Document::parse(file, text)?;
    Mistakes::unless_none(document.mistakes(&schemars::schema_for!(RuleFile).to_value()), ())?;
    let read: RuleFile = serde_json::from_value(document.value.clone())
        .map_err(|error| Mistakes(vec![document.mistake(&[], error.to_string())]))?;
    let table: TableName =
        read.table.parse().map_err(|error| Mistakes(vec![document.mistake(&["table"], format!("{error}"))]))?;
    let (mut rules, mut off, mut mistakes) = (Vec::new(), Vec::new(), Vec::new());
    let mut places = BTreeMap::new();
    for (name, spec) in &read.rules {
        let id = format!("{table}.{name}");
        if spec.off.is_some() {
            off.push(id);
            continue;
        }
        let place = Place { document: &document, table: &table, name, folder };
        match rule_of(&place, spec) {
            Ok(rule) => {
                let Mistake { line, column, .. } = document.mistake(&["rules", name], String::new());
                places.insert(id.clone(), (line, column));
                rules.push(Rule { id, ..rule });
            }
            Err(found) => mistakes.extend(found),
        }
    }
    Mistakes::unless_none(mistakes, TableRules { file: file.to_owned(), table, rules, off, places })
}

/// Where a rule is written.
struct Place<'a> {
    document: &'a Document,
    table: &'a TableName,
    name: &'a str,
    folder: &'a Path,
}

impl Place<'_> {
    fn mistake(&self, key: &str, message: impl Into<String>) -> Mistake {
        self.document.mistake(&["rules", self.name, key], message.into())
    }
}

fn rule_of(place: &Place<'_>, spec: &RuleSpec) -> Result<Rule, Vec<Mistake>> {
    let what = what(place, spec)?;
    let mut mistakes = Vec::new();
    if spec.why.as_ref().is_none_or(|why| why.trim().is_empty()) {
        mistakes.push(place.mistake("why", "a rule says why it matters: add `why`"));
    }
    let is_decided_by_row = matches!(&what, What::Rows(bad) if bad.is_decided_by_row());
    if matches!(spec.action, Action::StopTable) && !is_decided_by_row {
        let message = "a delivery is judged by its own rows: use `rows`, `not_null`, `one_of`, `in_range` or `matches`, or \
                       another action";
        mistakes.push(place.mistake("action", message));
    }
    if spec.action == Action::QuarantineRows
        && let Some(message) = cannot_be_held(place, &what)
    {
        mistakes.push(place.mistake("action", message));
    }
    let stops = matches!(spec.action, Action::StopTable | Action::StopNight);
    let can_fail = [spec.error_below, spec.error_above, spec.error_deviation].iter().any(Option::is_some);
    if stops && spec.error.is_none() && !can_fail {
        mistakes.push(
            place.mistake("action", "it stops when the rule fails, and this one only warns: add a limit of `error`"),
        );
    }
    let column = column_of(&what);
    match form_of(place, spec, what) {
        Ok(form) if mistakes.is_empty() => Ok(Rule {
            id: String::new(),
            table: place.table.clone(),
            column,
            form,
            action: spec.action,
            owner: spec.owner.clone(),
            why: spec.why.clone().unwrap_or_default(),
            advice: spec.advice.clone(),
            origin: place.document.name.clone(),
        }),
        Ok(_) => Err(mistakes),
        Err(found) => Err([mistakes, found].concat()),
    }
}

/// Why a rule cannot hold rows back: a row that waits is judged again later, among others.
fn cannot_be_held(place: &Place<'_>, what: &What) -> Option<String> {
    let one_row = "rows are held back by their own columns: use `rows`, `not_null`, `one_of`, `in_range` or `matches`, or \
                   another action";
    match what {
        What::Rows(BadRows::Unlike { .. }) => None,
        What::Rows(BadRows::Where { predicate, .. }) => match beyond_row(place.table.as_str(), predicate) {
            Ok(None) => None,
            Ok(Some(found)) => Some(format!("{one_row}; this one has {found}, which sees other rows")),
            Err(why) => Some(why),
        },
        What::Rows(_) | What::Value(_) => Some(one_row.to_owned()),
    }
}

/// What a rule looks at, before its limits.
enum What {
    Rows(BadRows),
    Value(Value),
}

/// Expands the one form or shorthand that a rule has.
fn what(place: &Place<'_>, spec: &RuleSpec) -> Result<What, Vec<Mistake>> {
    let RuleSpec { rows, value, value_from, not_null, one_of, in_range, matches, .. } = spec;
    let mut found: Vec<(&str, Result<What, Mistake>)> = Vec::new();
    if let Some(predicate) = rows {
        found.push(("rows", bad_rows(place, predicate, None)));
    }
    if let Some(sql) = value {
        found.push(("value", value_of(place, "value", sql)));
    }
    if let Some(file) = value_from {
        let sql = std::fs::read_to_string(place.folder.join(file));
        let sql = sql.map_err(|error| place.mistake("value_from", format!("`{file}` cannot be read: {error}")));
        found.push(("value_from", sql.and_then(|sql| value_of(place, "value_from", &sql))));
    }
    if let Some(column) = not_null {
        found.push(("not_null", bad_rows(place, &format!("{column} IS NULL"), None)));
    }
    if let Some(OneOf { column, values }) = one_of {
        let values: Vec<String> = values.iter().map(|value| format!("'{}'", value.replace('\'', "''"))).collect();
        found.push(("one_of", bad_rows(place, &format!("{column} NOT IN ({})", values.join(", ")), Some(column))));
    }
    if let Some(range) = in_range {
        found.push(("in_range", outside(place, range)));
    }
    if let Some(Matches { column, pattern }) = matches {
        let whole = format!("^(?:{pattern})$");
        let checked = regex::Regex::new(&whole)
            .map_err(|error| place.mistake("matches", format!("`{pattern}` is not a regular expression: {error}")));
        let unlike = |_| What::Rows(BadRows::Unlike { column: column.clone(), pattern: whole });
        found.push(("matches", checked.map(unlike)));
    }
    found.extend(tables_apart(place, spec));
    match found.len() {
        1 => found.remove(0).1.map_err(|mistake| vec![mistake]),
        0 => Err(vec![place.document.mistake(
            &["rules", place.name],
            "a rule says what it looks at: add one of `rows`, `value`, `value_from`, `not_null`, `one_of`, `in_range`, \
             `matches`, `refers_to`, `unique`, `row_count`, `null_share`",
        )]),
        _ => {
            let keys: Vec<&str> = found.iter().map(|(key, _)| *key).collect();
            let message =
                format!("a rule looks at one thing, and this one has `{}`: make a rule of each", keys.join("`, `"));
            Err(vec![place.mistake(keys[1], message)])
        }
    }
}

/// The shorthands for what SQL over the table's rows cannot say.
fn tables_apart<'a>(place: &Place<'_>, spec: &'a RuleSpec) -> Vec<(&'a str, Result<What, Mistake>)> {
    let mut found = Vec::new();
    if let Some(RefersTo { column, to }) = &spec.refers_to {
        let parts = to.split_once('.').and_then(|(table, id)| Some((table.parse().ok()?, id.to_owned())));
        let dangling = parts.map(|(table, id)| What::Rows(BadRows::Dangling { column: column.clone(), table, id }));
        found.push(("refers_to", dangling.ok_or_else(|| place.mistake("refers_to", "`to` is `<table>.<column>`"))));
    }
    if let Some(columns) = &spec.unique {
        let repeated = What::Rows(BadRows::Repeated(columns.clone()));
        let none = || place.mistake("unique", "name at least one column");
        found.push(("unique", if columns.is_empty() { Err(none()) } else { Ok(repeated) }));
    }
    match spec.row_count {
        Some(Counted::Standing) => found.push(("row_count", Ok(What::Value(Value::Rows)))),
        Some(Counted::Changed) => found.push(("row_count", Ok(What::Value(Value::Changed)))),
        Some(Counted::SinceLastNight) => found.push(("row_count", Ok(What::Value(Value::RowChange)))),
        None => {}
    }
    if let Some(column) = &spec.null_share {
        found.push(("null_share", Ok(What::Value(Value::NullShare(column.clone())))));
    }
    found
}

fn bad_rows(place: &Place<'_>, predicate: &str, of: Option<&str>) -> Result<What, Mistake> {
    let sql = format!("SELECT COUNT(*) AS bad FROM {} WHERE {predicate}", place.table);
    let reads = lint_rule(&sql).map_err(|why| place.mistake("rows", why))?;
    match reads.iter().find(|table| *table != place.table.as_str()) {
        None => Ok(What::Rows(BadRows::Where { predicate: predicate.to_owned(), of: of.map(str::to_owned) })),
        Some(other) => {
            let message =
                format!("`rows` sees the rows of `{}` alone, and this reads `{other}`: use `value`", place.table);
            Err(place.mistake("rows", message))
        }
    }
}

fn value_of(place: &Place<'_>, key: &str, sql: &str) -> Result<What, Mistake> {
    lint_rule(sql).map_err(|why| place.mistake(key, why))?;
    Ok(What::Value(Value::Sql(sql.to_owned())))
}

fn outside(place: &Place<'_>, range: &InRange) -> Result<What, Mistake> {
    let InRange { column, min, max } = range;
    let ends = [min.map(|min| format!("{column} < {min:?}")), max.map(|max| format!("{column} > {max:?}"))];
    let ends: Vec<String> = ends.into_iter().flatten().collect();
    if ends.is_empty() {
        return Err(place.mistake("in_range", "a range has a `min`, a `max`, or both"));
    }
    if min.zip(*max).is_some_and(|(min, max)| min > max) {
        return Err(place.mistake("in_range", "nothing is in this range: `min` is above `max`"));
    }
    bad_rows(place, &ends.join(" OR "), Some(column))
}

fn column_of(what: &What) -> Option<String> {
    match what {
        What::Rows(BadRows::Unlike { column, .. } | BadRows::Dangling { column, .. })
        | What::Value(Value::NullShare(column)) => Some(column.clone()),
        What::Rows(BadRows::Repeated(columns)) => Some(columns.join(", ")),
        What::Rows(BadRows::Where { of, .. }) => of.clone(),
        What::Value(_) => None,
    }
}

/// Adds the limits that belong to the form, and refuses those of the other.
fn form_of(place: &Place<'_>, spec: &RuleSpec, what: What) -> Result<Form, Vec<Mistake>> {
    let of_values = [
        ("warn_below", spec.warn_below.is_some()),
        ("warn_above", spec.warn_above.is_some()),
        ("error_below", spec.error_below.is_some()),
        ("error_above", spec.error_above.is_some()),
        ("against", spec.against.is_some()),
    ];
    let deviations =
        [("warn_deviation", spec.warn_deviation.is_some()), ("error_deviation", spec.error_deviation.is_some())];
    let of_rows = [("warn", spec.warn.is_some()), ("error", spec.error.is_some())];
    let refuse = |keys: &[(&str, bool)], why: &str| -> Vec<Mistake> {
        keys.iter().filter(|(_, is_set)| *is_set).map(|(key, _)| place.mistake(key, why)).collect()
    };
    let (form, mistakes) = match what {
        What::Rows(bad) => {
            let limits = match (spec.warn, spec.error) {
                (None, None) => RowLimits { warn: Some(RowLimit::Count(0)), error: None },
                (warn, error) => RowLimits { warn: warn.map(|limit| limit.0), error: error.map(|limit| limit.0) },
            };
            let why = "this is a limit of a value; bad rows have `warn` and `error`";
            let mut mistakes = refuse(&[&of_values[..], &deviations].concat(), why);
            mistakes.extend(limits.never_warns().then(|| place.mistake("warn", NEVER_WARNS)));
            (Form::Rows { bad, limits }, mistakes)
        }
        What::Value(value) => {
            let mut mistakes = refuse(
                &of_rows,
                "this is a limit of bad rows; a value has `warn_below`, `warn_above`, `error_below` and \
                                  `error_above`, or `against`",
            );
            let expected = match spec.against {
                Some(Against::Usual) => {
                    mistakes.extend(refuse(&of_values[..4], "a rule with `against` has no fixed limits"));
                    Expected::AsUsual { warn: spec.warn_deviation.unwrap_or(USUAL_WARN), error: spec.error_deviation }
                }
                None => {
                    mistakes.extend(refuse(&deviations, "this belongs to `against`"));
                    let range = |low: Option<f64>, high: Option<f64>| {
                        (low.is_some() || high.is_some()).then_some(Range { low, high })
                    };
                    let warn = range(spec.warn_below, spec.warn_above);
                    let error = range(spec.error_below, spec.error_above);
                    if warn.is_none() && error.is_none() {
                        let message = "a value needs a limit: `warn_below`, `warn_above`, `error_below`, `error_above` or \
                                       `against`";
                        mistakes.push(place.document.mistake(&["rules", place.name], message));
                    }
                    mistakes.extend(contradictions(place, warn, error));
                    Expected::Within { warn, error }
                }
            };
            (Form::Value { value, expected }, mistakes)
        }
    };
    if mistakes.is_empty() { Ok(form) } else { Err(mistakes) }
}

const NEVER_WARNS: &str = "it never warns: what is beyond this limit fails already";

/// What two ranges of a value contradict each other in.
fn contradictions(place: &Place<'_>, warn: Option<Range>, error: Option<Range>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (range, key) in [(warn, "warn_below"), (error, "error_below")] {
        let ends = range.and_then(|range| range.low.zip(range.high));
        if ends.is_some_and(|(low, high)| low > high) {
            mistakes.push(place.mistake(key, "no value is between these limits: the lower one is above the upper one"));
        }
    }
    let (warn, error) = (warn.unwrap_or_default(), error.unwrap_or_default());
    if warn.low.zip(error.low).is_some_and(|(warn, error)| warn <= error) {
        mistakes.push(place.mistake("warn_below", NEVER_WARNS));
    }
    if warn.high.zip(error.high).is_some_and(|(warn, error)| warn >= error) {
        mistakes.push(place.mistake("warn_above", NEVER_WARNS));
    }
    mistakes
}

/// The robust deviation from comparable nights that warns where a rule does not say.
pub(super) const USUAL_WARN: f64 = 6.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(rules: &str) -> Result<TableRules, Mistakes> {
        parse("submissions.toml", &format!("table = \"submissions\"\n{rules}"), Path::new("."))
    }

    fn form(rule: &str) -> Form {
        parsed(&format!("[rules.it]\nwhy = \"it matters\"\n{rule}")).unwrap().rules.remove(0).form
    }

    fn refused(rule: &str) -> String {
        parsed(&format!("[rules.it]\nwhy = \"it matters\"\n{rule}")).unwrap_err().to_string()
    }

    #[test]
    fn every_shorthand_expands_to_one_of_the_two_forms() {
        let predicate = |rule: &str| match form(rule) {
            Form::Rows { bad: BadRows::Where { predicate, .. }, .. } => predicate,
            other => panic!("{other:?}"),
        };

        assert_eq!(predicate("rows = \"score < 0\""), "score < 0");
        assert_eq!(predicate("not_null = \"score\""), "score IS NULL");
        assert_eq!(
            predicate("one_of = { column = \"state\", values = [\"a\", \"it's\"] }"),
            "state NOT IN ('a', 'it''s')"
        );
        assert_eq!(predicate("in_range = { column = \"score\", min = 0, max = 1.5 }"), "score < 0.0 OR score > 1.5");
        assert!(matches!(form("unique = [\"id\"]"), Form::Rows { bad: BadRows::Repeated(_), .. }));
        assert!(matches!(
            form("refers_to = { column = \"user_id\", to = \"users.id\" }"),
            Form::Rows { bad: BadRows::Dangling { .. }, .. }
        ));
        assert!(matches!(
            form("matches = { column = \"state\", pattern = \"[a-z]+\" }"),
            Form::Rows { bad: BadRows::Unlike { .. }, .. }
        ));
        assert!(matches!(
            form("row_count = \"changed\"\nagainst = \"same weekday, same week of term\""),
            Form::Value { value: Value::Changed, expected: Expected::AsUsual { warn: USUAL_WARN, error: None } }
        ));
        assert!(matches!(
            form("null_share = \"score\"\nwarn_above = 0.2\nerror_above = 0.5"),
            Form::Value { value: Value::NullShare(_), expected: Expected::Within { warn: Some(_), error: Some(_) } }
        ));
    }

    #[test]
    fn limits_are_rows_or_shares() {
        let Form::Rows { limits, .. } = form("not_null = \"score\"\nwarn = 3\nerror = \"0.5 %\"") else { panic!() };

        assert_eq!(limits.warn, Some(RowLimit::Count(3)));
        assert_eq!(limits.error, Some(RowLimit::Share(0.005)));
    }

    #[test]
    fn a_rule_that_cannot_be_meant_is_refused_with_its_line() {
        let two = refused("not_null = \"a\"\nunique = [\"b\"]");
        let none = refused("owner = \"us\"");
        let other = refused("rows = \"id IN (SELECT id FROM users)\"");
        let syntax = refused("rows = \"score <\"");
        let limit = refused("not_null = \"a\"\nwarn_above = 1");
        let unlimited = refused("value = \"SELECT COUNT(*) AS n FROM users\"");
        let action = refused("unique = [\"id\"]\nerror = 0\naction = \"stop_table\"");
        let never = refused("not_null = \"id\"\naction = \"stop_night\"");
        let why = parsed("[rules.it]\nnot_null = \"a\"").unwrap_err().to_string();
        let twice = refused("unique = [\"id\"]\naction = \"quarantine_rows\"");
        let others = refused("rows = \"id IN (SELECT id FROM submissions)\"\naction = \"quarantine_rows\"");

        assert!(two.contains("submissions.toml:5") && two.contains("`not_null`, `unique`"), "{two}");
        assert!(none.contains("add one of `rows`"), "{none}");
        assert!(other.contains("rules.it"), "{other}");
        assert!(syntax.contains("SQL"), "{syntax}");
        assert!(limit.contains("limit of a value"), "{limit}");
        assert!(unlimited.contains("needs a limit"), "{unlimited}");
        assert!(action.contains("judged by its own rows"), "{action}");
        assert!(never.contains("only warns"), "{never}");
        assert!(why.contains("add `why`"), "{why}");
        assert!(twice.contains("submissions.toml:5") && twice.contains("held back by their own columns"), "{twice}");
        assert!(
            others.contains("submissions.toml:5") && others.contains("a subquery, which sees other rows"),
            "{others}"
        );
    }

    #[test]
    fn limits_that_contradict_each_other_are_refused() {
        let value = |limits: &str| refused(&format!("row_count = \"standing\"\n{limits}"));

        let blank = parsed("[rules.it]\nwhy = \" \"\nnot_null = \"a\"").unwrap_err().to_string();
        assert!(blank.contains("add `why`"), "{blank}");
        let backwards = refused("in_range = { column = \"a\", min = 2, max = 1 }");
        assert!(backwards.contains("nothing is in this range"), "{backwards}");
        let never = [
            refused("not_null = \"a\"\nwarn = 5\nerror = 1"),
            value("warn_above = 5\nerror_above = 1"),
            value("warn_below = 1\nerror_below = 5"),
        ];
        assert!(never.iter().all(|told| told.contains("it never warns")), "{never:?}");
        let none = value("warn_below = 5\nwarn_above = 1");
        assert!(none.contains("submissions.toml:5") && none.contains("no value is between"), "{none}");
        assert!(parsed("[rules.it]\nwhy = \"w\"\nnot_null = \"a\"\nwarn = 1\nerror = \"1 %\"").is_ok());
    }

    #[test]
    fn a_rule_can_be_switched_off() {
        let TableRules { rules, off, .. } = parsed("[rules.fresh]\noff = \"it comes when it comes\"").unwrap();

        assert_eq!((rules.len(), off), (0, vec!["submissions.fresh".to_owned()]));
    }
}
