//! Invented tables for the tests of this module: contracts as a source would give them, and part files.
//!
//! The contracts hold the columns that the embedded sets read. No row is real.

use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;
use polars::prelude::*;

use super::inputs::{PartFile, TableInput};
use super::visible::{stored_type, utc};
use crate::domain::ids::content_hash;
use crate::domain::lineage::Part;
use crate::domain::table::{KNOWN_FROM, KNOWN_TO, TableContract};

const CONTRACTS: [&str; 7] = [
    r#"
    name = "courses"
    about = "A course."
    key = ["id"]
    term = { by = "term", column = "enrollment_term_id" }
    visible_from = "created_at"
    [columns]
    id = { type = "id" }
    account_id = { type = "id" }
    enrollment_term_id = { type = "id" }
    workflow_state = { type = "text", visible_from = "updated_at", before = "available" }
    time_zone = { type = "text" }
    start_at = { type = "timestamp" }
    conclude_at = { type = "timestamp" }
    created_at = { type = "timestamp" }
    updated_at = { type = "timestamp" }
    "#,
    r#"
    name = "enrollment_terms"
    about = "A term."
    key = ["id"]
    visible_from = "created_at"
    [columns]
    id = { type = "id" }
    start_at = { type = "timestamp" }
    end_at = { type = "timestamp" }
    created_at = { type = "timestamp" }
    "#,
    r#"
    name = "enrollments"
    about = "An enrolment."
    key = ["id"]
    term = { by = "course", column = "course_id" }
    visible_from = "created_at"
    [columns]
    id = { type = "id", person = "enrollment" }
    user_id = { type = "id", person = "user" }
    course_id = { type = "id" }
    type = { type = "text" }
    workflow_state = { type = "text", visible_from = "updated_at", before = "active" }
    created_at = { type = "timestamp" }
    updated_at = { type = "timestamp" }
    completed_at = { type = "timestamp", visible_from = "completed_at" }
    "#,
    r#"
    name = "assignments"
    about = "A piece of work."
    key = ["id"]
    term = { by = "course", column = "context_id" }
    visible_from = "created_at"
    [columns]
    id = { type = "id" }
    context_id = { type = "id" }
    context_type = { type = "text" }
    workflow_state = { type = "text" }
    due_at = { type = "timestamp" }
    points_possible = { type = "float" }
    grading_type = { type = "text" }
    submission_types = { type = "json" }
    omit_from_final_grade = { type = "bool" }
    only_visible_to_overrides = { type = "bool" }
    created_at = { type = "timestamp" }
    "#,
    r#"
    name = "submissions"
    about = "A student's work on an assignment."
    key = ["id"]
    term = { by = "course", column = "course_id" }
    visible_from = "created_at"
    [columns]
    id = { type = "id", person = "submission" }
    course_id = { type = "id" }
    user_id = { type = "id", person = "user" }
    assignment_id = { type = "id" }
    workflow_state = { type = "text", visible_from = "updated_at", before = "unsubmitted" }
    submitted_at = { type = "timestamp", visible_from = "submitted_at" }
    posted_at = { type = "timestamp", visible_from = "posted_at" }
    score = { type = "float", visible_from = "posted_at" }
    cached_due_date = { type = "timestamp" }
    excused = { type = "bool" }
    created_at = { type = "timestamp" }
    updated_at = { type = "timestamp" }
    "#,
    r#"
    name = "scores"
    about = "A student's total."
    key = ["id"]
    term = { by = "enrollment", column = "enrollment_id" }
    visible_from = "created_at"
    [columns]
    id = { type = "id" }
    enrollment_id = { type = "id", person = "enrollment" }
    course_score = { type = "bool" }
    grading_period_id = { type = "id" }
    final_score = { type = "float", visible_from = "updated_at" }
    override_score = { type = "float", visible_from = "updated_at" }
    created_at = { type = "timestamp" }
    updated_at = { type = "timestamp" }
    "#,
    r#"
    name = "web_logs_daily"
    about = "Page views of a student in a course on a day."
    key = ["date", "user_id", "course_id", "granularity", "web_application_controller"]
    term = { by = "course", column = "course_id" }
    visible_from = "date"
    [columns]
    date = { type = "date" }
    user_id = { type = "id", person = "user" }
    course_id = { type = "id" }
    granularity = { type = "text" }
    web_application_controller = { type = "text" }
    page_views = { type = "int" }
    "#,
];

/// Returns the contract of `table`.
pub(super) fn contract(table: &str) -> TableContract {
    CONTRACTS
        .iter()
        .map(|text| toml::from_str::<TableContract>(text).unwrap())
        .find(|contract| contract.name.as_str() == table)
        .unwrap()
}

/// Returns the part file of `frame`, which belongs to `term`, written below `folder`.
pub(super) fn part(folder: &Path, table: &str, term: &str, frame: &mut DataFrame) -> PartFile {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(frame).unwrap();
    let sha256 = content_hash(&bytes);
    let local = folder.join(format!("{table}-{sha256}.parquet"));
    std::fs::write(&local, &bytes).unwrap();
    let part = Part {
        path: format!("data/{sha256}.parquet"),
        rows: u64::try_from(frame.height()).unwrap(),
        size_bytes: u64::try_from(bytes.len()).unwrap(),
        sha256,
        partition: [("term".to_owned(), term.to_owned())].into(),
        min_max: [].into(),
    };
    PartFile { part, local }
}

/// Returns a frame of `table` from lines of `column=value` pairs; a column that a line does not name is null.
/// `_known_from` and `_known_to` may be named too; the first is `known` unless a line says otherwise.
pub(super) fn rows(table: &str, known: &str, lines: &[String]) -> DataFrame {
    let contract = contract(table);
    let mut columns: Vec<(String, DataType)> =
        contract.kept().map(|(name, column)| (name.clone(), stored_type(column))).collect();
    columns.push((KNOWN_FROM.to_owned(), utc()));
    columns.push((KNOWN_TO.to_owned(), utc()));
    let built = columns
        .iter()
        .map(|(name, dtype)| {
            let values: Vec<Option<String>> = lines
                .iter()
                .map(|line| {
                    let found = line.split_whitespace().find_map(|pair| pair.strip_prefix(&format!("{name}=")));
                    found.or((name == KNOWN_FROM).then_some(known)).map(str::to_owned)
                })
                .collect();
            typed(name, dtype, &values)
        })
        .collect();
    DataFrame::new(lines.len(), built).unwrap()
}

fn typed(name: &str, dtype: &DataType, values: &[Option<String>]) -> Column {
    let name: PlSmallStr = name.into();
    match dtype {
        DataType::Boolean => {
            Column::new(name, values.iter().map(|value| value.as_ref().map(|text| text == "true")).collect::<Vec<_>>())
        }
        DataType::Datetime(..) => {
            let instant = |text: &String| text.parse::<Timestamp>().unwrap().as_microsecond();
            Column::new(name, values.iter().map(|value| value.as_ref().map(instant)).collect::<Vec<_>>())
                .cast(dtype)
                .unwrap()
        }
        DataType::Date => {
            let epoch = jiff::civil::date(1970, 1, 1);
            let day = |text: &String| (text.parse::<jiff::civil::Date>().unwrap() - epoch).get_days();
            Column::new(name, values.iter().map(|value| value.as_ref().map(day)).collect::<Vec<_>>())
                .cast(dtype)
                .unwrap()
        }
        _ => Column::new(name, values.to_vec()).strict_cast(dtype).unwrap(),
    }
}

/// Returns the table `table` known since `known`, of parts each of one term.
pub(super) fn table(table: &str, known: &str, parts: Vec<PartFile>) -> TableInput {
    TableInput { contract: contract(table), first_known_at: known.parse().unwrap(), parts }
}

/// Prints a frame as text, a value on each line.
pub(super) fn text(frame: &DataFrame) -> String {
    let mut out = String::new();
    let names: Vec<_> = frame.get_column_names().iter().map(ToString::to_string).collect();
    for row in 0..frame.height() {
        for name in &names {
            let value = frame.column(name).unwrap().get(row).unwrap();
            writeln!(out, "{name}={value}").unwrap();
        }
    }
    out
}
