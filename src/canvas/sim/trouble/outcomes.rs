//! Faults that show where a term's outcomes become known: in the labels, and in the models that learn from them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::random::Dice;
use super::Scope;
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

/// Deals the final marks of a share of the rows that have changed since then out anew, within each term.
pub(super) fn deal_marks(file: &mut TableFile, scope: &Scope<'_>) {
    let mut terms: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (place, row) in file.rows.iter().enumerate() {
        // The number of an enrolment begins with that of its term.
        let enrollment = row.cells.get("enrollment_id").and_then(Value::as_i64);
        if let Some(enrollment) = enrollment.filter(|_| row.is_new(scope.since) && scope.hits(row)) {
            terms.entry(enrollment / 1_000_000).or_default().push(place);
        }
    }
    for (term, places) in terms {
        let marks = |place: &usize| file.rows[*place].cells.get("final_score").cloned().unwrap_or_default();
        let mut dealt: Vec<Value> = places.iter().map(marks).collect();
        Dice::new(scope.seed, "trouble marks", &[term]).shuffle(&mut dealt);
        for (place, mark) in places.into_iter().zip(dealt) {
            file.rows[place].change("final_score", |_| mark.clone());
        }
    }
}
