//! Somebody who keeps everything that is published and every e-mail of many nights, and subtracts.
//!
//! All of it is read as it lies: sheets, pages, JSON, the two parts of each e-mail. The same count must read the same
//! everywhere, a number of people must be rounded and at least ten, a figure must have so few decimals that no count can
//! be worked out of it. From the counts of all nights every conclusion is drawn that rounding and hiding leave (a total is
//! at least its largest part and at most their sum; the flagged are among those with a score), and then a count below ten,
//! or a change by fewer than ten, must still have five possible values.
//!
//! Exact row counts of tables are told to operators, by design; they stand in no published file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use mail_parser::MessageParser;
use polars::prelude::*;
use regex::Regex;
use serde_json::Value;

use super::words;
use crate::support::site::Site;

/// What can be concluded of a count: it is within these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    low: i64,
    high: i64,
}

/// A count as it is shown, and what can be concluded of it.
#[derive(Debug, Clone, Copy)]
struct Count {
    shown: Option<i64>,
    bounds: Bounds,
}

impl Count {
    /// A count that is shown as `shown`; `at_most` is what a hidden one can be.
    fn of(shown: Option<i64>, at_most: i64) -> Self {
        let bounds = match shown {
            Some(rounded) => Bounds { low: (rounded - 2).max(10), high: rounded + 2 },
            None => Bounds { low: 0, high: at_most },
        };
        Self { shown, bounds }
    }

    /// As pages and e-mails write it.
    fn text(self) -> String {
        self.shown.map_or_else(|| "not shown".to_owned(), |n| n.to_string())
    }

    /// Whether it can be told that it is below ten, and it is nearly or wholly known.
    fn is_worked_out(self) -> bool {
        self.bounds.low < 10 && self.bounds.high - self.bounds.low + 1 < 5
    }
}

/// The flagged and those with a score, of one group or of all.
#[derive(Debug, Clone)]
struct Row {
    group: String,
    flagged: Count,
    with_score: Count,
}

/// One term of one night: its groups, the whole term last.
type Term = Vec<Row>;

/// What is published of a night about people, by term.
#[derive(Debug)]
pub(super) struct Night {
    date: String,
    terms: BTreeMap<String, Term>,
}

static NUMBER_OF_PEOPLE: LazyLock<Regex> = LazyLock::new(|| {
    let people = "students?|people|persons?|users?|enrolments?";
    Regex::new(&format!(r"(?:(\d[\d,]*) of )?(\d[\d,]*) (?:[a-z]+ )?(?:{people})\b")).unwrap()
});

static MANY_DECIMALS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d\.\d{4,}").unwrap());

/// Reads what a night published and mailed, and checks each number of people in it.
pub(super) fn read(site: &Site, dag: &str, date: &str) -> Night {
    let folder = site.path().join("var/lake/published");
    let of_night = folder.join(format!("reports/{dag}/{date}"));
    let night = Night { date: date.to_owned(), terms: sheet(&of_night.join("support.csv")) };
    assert_eq!(
        rows_of_parquet(&of_night.join("support.parquet")),
        rows_of_csv(&of_night.join("support.csv")),
        "{date}"
    );

    let mut texts: Vec<(PathBuf, String)> = Vec::new();
    let page = of_night.join("index.html");
    night.is_told_in(&words(&std::fs::read_to_string(&page).unwrap()), &page, usize::MAX);
    for path in site.files("var/lake/published") {
        let of_another_night = path.components().any(|part| {
            part.as_os_str().to_str().is_some_and(|name| name != date && name.parse::<jiff::civil::Date>().is_ok())
        });
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        if of_another_night || path.ends_with("timings.json") {
            continue;
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("html") => texts.push((path, words(&text))),
            Some("json") => {
                counts_of_json(&serde_json::from_str(&text).unwrap(), &path);
                has_few_decimals(&text, &path);
            }
            _ => has_few_decimals(&text, &path),
        }
    }
    let mails: Vec<PathBuf> = site.files("var/outbox");
    let mails = mails.into_iter().filter(|path| path.to_string_lossy().contains(&format!("{dag}.{date}.")));
    let before = texts.len();
    for path in mails {
        let raw = std::fs::read(&path).unwrap();
        let mail = MessageParser::default().parse(&raw).unwrap();
        let (html, text) = (mail.body_html(0).unwrap(), mail.body_text(0).unwrap());
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for told in [words(&html), text] {
            night.is_told_in(&told, &path, 6);
            texts.push((path.clone(), told));
        }
    }
    assert!(texts.len() >= before + 4, "{date}: an operators' and a readers' e-mail are read");
    for (path, text) in &texts {
        numbers_of_people(text, path);
    }
    night
}

/// The counts of a sheet, by term. A hidden number of people with a score is below ten; a hidden total need not be.
fn sheet(path: &Path) -> BTreeMap<String, Term> {
    let mut terms: BTreeMap<String, Term> = BTreeMap::new();
    for row in rows_of_csv(path) {
        let [_, _, term, _, group, flagged, with_score] = row.try_into().unwrap();
        let number = |cell: &str| (!cell.is_empty()).then(|| cell.parse::<i64>().unwrap());
        let with_score = Count::of(number(&with_score), if group.is_empty() { i64::MAX / 4 } else { 9 });
        let flagged = Count::of(number(&flagged), with_score.bounds.high);
        for shown in [flagged, with_score].into_iter().filter_map(|count| count.shown) {
            assert!(shown >= 10 && shown % 5 == 0, "{}: {term}, {group}: {shown}", path.display());
        }
        terms.entry(term).or_default().push(Row { group, flagged, with_score });
    }
    for term in terms.values_mut() {
        term.sort_by_key(|row| row.group.is_empty());
        assert_eq!(term.iter().filter(|row| row.group.is_empty()).count(), 1, "{}: one total", path.display());
    }
    terms
}

fn rows_of_csv(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn rows_of_parquet(path: &Path) -> Vec<Vec<String>> {
    let frame = ParquetReader::new(std::fs::File::open(path).unwrap()).finish().unwrap();
    let columns: Vec<Column> = frame.columns().iter().map(|column| column.cast(&DataType::String).unwrap()).collect();
    let cell = |column: &Column, row| column.str().unwrap().get(row).unwrap_or_default().to_owned();
    (0..frame.height()).map(|row| columns.iter().map(|column| cell(column, row)).collect()).collect()
}

impl Night {
    /// Checks that a text tells the counts of the sheet; a list of groups may be cut after `most`.
    fn is_told_in(&self, text: &str, path: &Path, most: usize) {
        let at = format!("{}, {}", self.date, path.display());
        for rows in self.terms.values() {
            let (total, groups) = rows.split_last().unwrap();
            let of = format!("{} of {}", total.flagged.text(), total.with_score.text());
            assert!(text.contains(&of), "{at}: `{of}` is not in {text}");
            for Row { group, flagged, with_score } in groups.iter().take(most) {
                let row = format!("{group} {} {}", flagged.text(), with_score.text());
                assert!(text.contains(&row), "{at}: `{row}` is not in {text}");
            }
        }
    }
}

/// Every number of people in a text is rounded, and at least ten.
fn numbers_of_people(text: &str, path: &Path) {
    for found in NUMBER_OF_PEOPLE.captures_iter(text) {
        for number in [found.get(1), found.get(2)].into_iter().flatten() {
            let n: u64 = number.as_str().replace(',', "").parse().unwrap();
            assert!(n >= 10 && n.is_multiple_of(5), "{}: `{}`", path.display(), &found[0]);
        }
    }
}

/// Every count of people in JSON is rounded, and at least ten; rows of people are not counted in it at all.
fn counts_of_json(json: &Value, path: &Path) {
    match json {
        Value::Object(members) => {
            for (key, value) in members {
                if ["students", "people", "enrolled", "flagged", "with_score"].contains(&key.as_str()) {
                    let is_shown = |n: u64| n >= 10 && n.is_multiple_of(5);
                    assert!(value.is_null() || value.as_u64().is_some_and(is_shown), "{}: {key}", path.display());
                }
                assert!(!["rows", "positives", "observed"].contains(&key.as_str()), "{}: {key}", path.display());
                counts_of_json(value, path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| counts_of_json(item, path)),
        _ => {}
    }
}

fn has_few_decimals(text: &str, path: &Path) {
    let found = MANY_DECIMALS.find(text).map(|found| found.as_str());
    assert_eq!(found, None, "{}: a fraction tells the counts it was made of", path.display());
}

/// Draws every conclusion from one term of one night.
fn conclude(rows: &mut [Row]) {
    loop {
        let before: Vec<(Bounds, Bounds)> = bounds(rows);
        for row in rows.iter_mut() {
            row.flagged.bounds.high = row.flagged.bounds.high.min(row.with_score.bounds.high);
            row.with_score.bounds.low = row.with_score.bounds.low.max(row.flagged.bounds.low);
        }
        conclude_total(rows, |row| &mut row.flagged.bounds);
        conclude_total(rows, |row| &mut row.with_score.bounds);
        if bounds(rows) == before {
            return;
        }
    }
}

fn bounds(rows: &[Row]) -> Vec<(Bounds, Bounds)> {
    rows.iter().map(|row| (row.flagged.bounds, row.with_score.bounds)).collect()
}

fn conclude_total(rows: &mut [Row], of: impl Fn(&mut Row) -> &mut Bounds) {
    let mut all: Vec<Bounds> = rows.iter_mut().map(|row| *of(row)).collect();
    let (total, parts) = all.split_last_mut().unwrap();
    let sum: i64 = parts.iter().map(|part| part.high).sum();
    total.high = total.high.min(sum);
    for part in parts.iter_mut() {
        total.low = total.low.max(part.low);
        part.high = part.high.min(total.high);
        part.low = part.low.max(total.low - (sum - part.high));
    }
    for (row, concluded) in rows.iter_mut().zip(all) {
        *of(row) = concluded;
    }
}

/// Attacks what was kept of nights that follow each other; returns how many counts were attacked, and how many of them are
/// hidden.
pub(super) fn attack(mut nights: Vec<Night>) -> (usize, usize) {
    let (mut attacked, mut hidden) = (0, 0);
    for night in &mut nights {
        for (term, rows) in &mut night.terms {
            conclude(rows);
            for row in rows.iter() {
                for count in [row.flagged, row.with_score] {
                    attacked += 1;
                    hidden += usize::from(count.shown.is_none());
                    assert!(!count.is_worked_out(), "{}, {term}, {}: {count:?}", night.date, row.group);
                }
            }
        }
    }
    for pair in nights.windows(2) {
        for (term, rows) in &pair[1].terms {
            let Some(earlier) = pair[0].terms.get(term) else { continue };
            for row in rows {
                let Some(before) = earlier.iter().find(|before| before.group == row.group) else { continue };
                for (one, two) in [(before.flagged, row.flagged), (before.with_score, row.with_score)] {
                    let (low, high) = (two.bounds.low - one.bounds.high, two.bounds.high - one.bounds.low);
                    let is_large = low >= 10 || high <= -10;
                    assert!(is_large || high - low + 1 >= 5, "{}, {term}: {one:?}, then {two:?}", pair[1].date);
                }
            }
        }
    }
    (attacked, hidden)
}

#[test]
fn an_attack_that_could_succeed_does() {
    let row = |group: &str, shown: i64| {
        let count = Count::of((shown >= 10).then_some(shown), 9);
        Row { group: group.to_owned(), flagged: Count::of(None, 9), with_score: count }
    };
    let mut total = row("", 35);
    total.flagged = Count::of(None, i64::MAX / 4);
    let mut rows = [row("one", 10), row("two", 10), row("three", 0), total];

    conclude(&mut rows);

    assert_eq!(rows[2].with_score.bounds, Bounds { low: 9, high: 9 });
    assert!(rows[2].with_score.is_worked_out());
}
