//! Faults that show where a term's outcomes become known: in the labels, and in the models that learn from them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::scope::Scope;
use super::table_file::TableFile;

/// Delivers a share of the enrolments that a course has completed since then as deleted.
pub(super) fn withdraw(file: &mut TableFile, scope: &Scope<'_>) {
    for row in &mut file.rows {
        let is_student = row.text("type") == Some("StudentEnrollment");
        let is_new = row.instant("completed_at").is_some_and(|at| at >= scope.since);
        if is_student && is_new && scope.hits(row) {
            row.change("workflow_state", |_| Value::from("deleted"));
            row.change("completed_at", |_| Value::Null);
        }
    }
}

/// Exchanges the final marks of a share of the rows that have changed since then, within each term: the best get those of
/// the worst.
pub(super) fn exchange_marks(file: &mut TableFile, scope: &Scope<'_>) {
    let mut terms: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (place, row) in file.rows.iter().enumerate() {
        // The number of an enrolment begins with that of its term.
        let enrollment = row.cells.get("enrollment_id").and_then(Value::as_i64);
        if let Some(enrollment) = enrollment.filter(|_| row.is_new(scope.since) && scope.hits(row)) {
            terms.entry(enrollment / 1_000_000).or_default().push(place);
        }
    }
    for mut places in terms.into_values() {
        let mark = |place: &usize| file.rows[*place].cells.get("final_score").and_then(Value::as_f64);
        places.sort_by(|a, b| mark(a).unwrap_or_default().total_cmp(&mark(b).unwrap_or_default()).then(a.cmp(b)));
        let marks: Vec<Option<f64>> = places.iter().map(mark).collect();
        for (place, mark) in places.into_iter().zip(marks.into_iter().rev()) {
            file.rows[place].change("final_score", |_| Value::from(mark));
        }
    }
}
