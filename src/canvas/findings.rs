//! Where a delivery differs from its contract: findings about columns, words and numbers of rows.
//!
//! An unknown column or word is a change of the schema: the night goes on, and a person should look at it. No finding
//! quotes a value: it could be a name in the wrong column.

use super::layout::Layout;
use super::reading::RowMode;
use super::terms::NO_TERM;
use crate::domain::check::Finding;
use crate::domain::number;

/// What was counted while a table was read.
#[derive(Debug)]
pub(super) struct Counts {
    /// Rows of every kind.
    pub(super) found: u64,
    /// Rows held back.
    pub(super) held_back: u64,
    /// The rules that they broke, in words.
    pub(super) reasons: String,
    /// Rows whose course or enrolment is not known.
    pub(super) without_term: u64,
}

/// Returns the findings about the rows of `table`.
pub(super) fn of_rows(table: &str, mode: RowMode, counts: &Counts) -> Vec<Finding> {
    let Counts { found, held_back, reasons, without_term } = counts;
    let mut findings = Vec::new();
    if *found == 0 && mode == RowMode::Snapshot {
        findings.push(Finding::warning(
            "table.empty",
            table,
            format!("The full export of `{table}` holds no rows."),
            "See in Canvas whether the table is meant to be empty; if not, fetch the delivery again.",
        ));
    }
    if *held_back > 0 {
        findings.push(Finding::warning(
            "rows.quarantined",
            table,
            format!(
                "{held_back} of {} of `{table}` {} held back ({reasons}).",
                number::rows(*found),
                if *held_back == 1 { "does not fit and was" } else { "do not fit and were" }
            ),
            "Look at the table's quarantine for file, line and rule, and fix the source or the contract.",
        ));
    }
    if *without_term > 0 {
        findings.push(Finding::warning(
            "rows.without_term",
            table,
            format!(
                "{} of `{table}` {} under the term `{NO_TERM}`.",
                number::rows(*without_term),
                if *without_term == 1 {
                    "belongs to a course or an enrolment that is not known; it stands"
                } else {
                    "belong to a course or an enrolment that is not known; they stand"
                }
            ),
            "Deliver `courses` and `enrollments` with the table, or before it.",
        ));
    }
    findings
}

/// Returns the findings about the columns of `table`, unknown ones first.
///
/// In JSON a column that is left out is a null, so only a header proves that an optional column is missing.
pub(super) fn of_columns(table: &str, layout: &Layout, has_header: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (column, rows) in layout.unknown() {
        findings.push(Finding::warning(
            "schema.unknown_column",
            format!("{table}.{column}"),
            format!(
                "The column `{column}` stands in {} of `{table}` and in no contract; it was not kept.",
                number::rows(*rows)
            ),
            "Add it to the table's contract, kept or dropped with the reason: a file in the folder `sources.NAME.contracts`.",
        ));
    }
    for column in layout.columns_missing().iter().filter(|_| has_header) {
        findings.push(Finding::warning(
            "schema.missing_column",
            format!("{table}.{column}"),
            format!("The column `{column}` of `{table}` was not delivered; it is null here."),
            "See in Canvas' schema whether it was removed or renamed, and bring the contract up to it.",
        ));
    }
    findings.extend(of_values(table, layout));
    findings
}

/// Returns the findings about single values of `table`, column by column.
fn of_values(table: &str, layout: &Layout) -> Vec<Finding> {
    let mut findings = Vec::new();
    for column in &layout.columns {
        let subject = format!("{table}.{}", column.name);
        if column.unknown_values > 0 {
            findings.push(Finding::warning(
                "schema.unknown_value",
                subject.clone(),
                format!(
                    "{} of `{table}` {} a value in `{}` that its contract does not list; it was kept.",
                    number::rows(column.unknown_values),
                    if column.unknown_values == 1 { "holds" } else { "hold" },
                    column.name
                ),
                "See which value it is in the lake's table, and add it to the contract if it is meant.",
            ));
        }
        if column.unspecified > 0 {
            findings.push(Finding::warning(
                "schema.unspecified_value",
                subject.clone(),
                format!(
                    "In {} of `{table}` the exporter met a value of `{}` that its own schema does not know; it is null \
                     here.",
                    number::rows(column.unspecified),
                    column.name
                ),
                "See in Canvas' schema which value is new, and add it to the contract.",
            ));
        }
        if column.oversized > 0 {
            findings.push(Finding::info(
                "value.oversized",
                subject,
                format!(
                    "In {} of `{table}` the exporter left out a value of `{}` that is too large; it is null here.",
                    number::rows(column.oversized),
                    column.name
                ),
                "Nothing, unless the column matters to you.",
            ));
        }
    }
    findings
}
