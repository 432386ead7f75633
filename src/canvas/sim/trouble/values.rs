//! Faults of what is in the rows: values that are missing, in another unit or on another scale, parents that there are
//! not, times that are not those of the event.

use serde_json::Value;

use super::super::calendar::Seconds;
use super::super::rows::At;
use super::scope::Scope;
use super::table_file::{Row, TableFile};

/// Takes the value away in a share of what is new.
pub(super) fn take_away(file: &mut TableFile, scope: &Scope<'_>) {
    let columns: &[&str] = match scope.table {
        "enrollments" => &["last_activity_at"],
        _ => &["score", "grade", "published_score", "published_grade"],
    };
    for row in &mut file.rows {
        let is_new = row.is_new(scope.since) || row.instant(columns[0]).is_some_and(|at| at >= scope.since);
        if is_new && scope.hits(row) {
            columns.iter().for_each(|column| row.change(column, |_| Value::Null));
        }
    }
}

/// Delivers scores in another unit.
pub(super) fn change_unit(file: &mut TableFile, scope: &Scope<'_>) {
    const SCORES: [&str; 4] = ["current_score", "final_score", "unposted_current_score", "unposted_final_score"];
    for row in &mut file.rows {
        SCORES.iter().for_each(|column| multiply(row, column, scope.trouble.of_size()));
    }
}

/// Lets a share of the rows refer to a parent that there is not.
pub(super) fn lose_parents(file: &mut TableFile, scope: &Scope<'_>) {
    const NOWHERE: i64 = 9_000_000_000;
    let column = match scope.table {
        "enrollments" => "course_section_id",
        _ => "assignment_id",
    };
    for row in &mut file.rows {
        if scope.hits(row) {
            row.change(column, |id| id.as_i64().map_or(Value::Null, |id| Value::from(id + NOWHERE)));
        }
    }
}

/// Delivers what happened as if it were some hours later.
pub(super) fn shift_times(file: &mut TableFile, scope: &Scope<'_>) {
    #[expect(clippy::cast_possible_truncation, reason = "a size in hours is at most 48")]
    let seconds = (scope.trouble.of_size() * 3600.0) as Seconds;
    let columns: &[&str] = match scope.table {
        "enrollments" => &["last_activity_at"],
        _ => &["submitted_at", "graded_at", "posted_at"],
    };
    for row in &mut file.rows {
        for column in columns {
            let Some(at) = row.instant(column) else { continue };
            row.change(column, |before| serde_json::to_value(At(at + seconds)).unwrap_or_else(|_| before.clone()));
        }
    }
}

/// Delivers the grades that were given since then on another scale.
pub(super) fn change_scale(file: &mut TableFile, scope: &Scope<'_>) {
    for row in &mut file.rows {
        if row.instant("graded_at").is_none_or(|at| at < scope.since) {
            continue;
        }
        for (score, grade) in [("score", "grade"), ("published_score", "published_grade")] {
            multiply(row, score, scope.trouble.of_size());
            if let Some(score) = row.cells.get(score).and_then(Value::as_f64) {
                row.change(grade, |_| Value::from(score.to_string()));
            }
        }
    }
}

/// Multiplies a number, to four decimals.
fn multiply(row: &mut Row, column: &str, factor: f64) {
    row.change(column, |number| {
        number.as_f64().map_or(Value::Null, |number| Value::from((number * factor * 10_000.0).round() / 10_000.0))
    });
}
