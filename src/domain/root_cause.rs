//! Which alert others follow from: the change furthest upstream that came first.
//!
//! A delivery that did not come makes its table old, its rules skip or fail, the features of its columns odd and the model
//! drift: five alerts, one thing to mend. An alert may follow from one whose cause is further upstream, which began no
//! later and still stands, and which is about the same table; what is about features or a model reads every table. It is
//! a likelihood and not a proof, and is told as one. Pure.

use std::collections::BTreeMap;

use super::alert::{AlertState, AlertStep, Cause};

/// Returns, by its id, the alert from which each alert may follow. Each of those follows from none.
pub fn root_causes(steps: &[AlertStep]) -> BTreeMap<&str, &AlertState> {
    let stands = |step: &&AlertStep| step.state.resolved_on.is_none();
    let standing: Vec<&AlertState> = steps.iter().filter(stands).map(|step| &step.state).collect();
    let root_of = |alert: &&AlertState| {
        let upstream = standing.iter().filter(|other| may_cause(other, alert));
        upstream.min_by_key(|other| (other.cause, other.opened_on, &other.subject, &other.check)).copied()
    };
    let mut roots = BTreeMap::new();
    for alert in &standing {
        if let Some(root) = root_of(alert) {
            // What is furthest upstream of this alert may itself follow from something that this one does not name.
            roots.insert(alert.id.as_str(), root_of(&root).unwrap_or(root));
        }
    }
    roots
}

/// Whether `upstream` may be behind `alert`. What is about the night itself, such as a job that failed, says so and is
/// behind nothing: the jobs after it did not look.
fn may_cause(upstream: &AlertState, alert: &AlertState) -> bool {
    let is_about_data = matches!(upstream.cause, Cause::Source | Cause::Schema | Cause::Quality);
    let reads_every_table = alert.cause >= Cause::Feature;
    is_about_data
        && upstream.dag == alert.dag
        && upstream.cause < alert.cause
        && upstream.opened_on <= alert.opened_on
        && (reads_every_table || names_table_of(upstream, alert) || names_table_of(alert, upstream))
}

/// Whether `one` is about the table that `other` is about, or names it: an alert may be about several tables.
fn names_table_of(one: &AlertState, other: &AlertState) -> bool {
    let table = |alert: &AlertState| alert.subject.split('.').next().unwrap_or_default().to_owned();
    table(one) == table(other) || one.message.contains(&format!("`{}`", table(other)))
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Date, date};
    use proptest::prelude::*;

    use super::*;
    use crate::domain::alert::{AlertEvent, Night, Seen, next};
    use crate::domain::check::Severity;

    fn opened(check: &str, subject: &str, day: i8) -> AlertStep {
        let seen = Seen {
            check: check.to_owned(),
            subject: subject.to_owned(),
            job: "quality".parse().unwrap(),
            owner: None,
            why: None,
            severity: Severity::Warning,
            message: "what".to_owned(),
            advice: "do".to_owned(),
            is_repeated: false,
        };
        let dag = "nightly".parse().unwrap();
        let night = Night { dag: &dag, date: date(2026, 11, day), cooldown_nights: 0 };
        next(night, &[], &[seen], &|_| true).remove(0)
    }

    fn roots(steps: &[AlertStep]) -> Vec<(String, String)> {
        let subject = |id: &str| steps.iter().find(|step| step.state.id == id).unwrap().state.subject.clone();
        root_causes(steps).into_iter().map(|(id, root)| (subject(id), root.subject.clone())).collect()
    }

    #[test]
    fn what_came_first_and_furthest_upstream_is_behind_the_rest() {
        let steps = [
            opened("table.fresh", "submissions", 18),
            opened("submissions.score", "submissions.score", 19),
            opened("users.unique", "users", 19),
            opened("drift.alarm", "at_risk", 20),
        ];

        let mut roots = roots(&steps);
        roots.sort();

        let follows = |alert: &str| (alert.to_owned(), "submissions".to_owned());
        assert_eq!(roots, [follows("at_risk"), follows("submissions.score")]);
    }

    #[test]
    fn what_began_later_or_is_over_is_behind_nothing() {
        let later = [opened("table.fresh", "submissions", 20), opened("submissions.score", "submissions.score", 19)];
        let mut over = [opened("table.fresh", "submissions", 18), opened("submissions.score", "submissions.score", 19)];
        over[0].state.resolved_on = Some(date(2026, 11, 19));
        over[0].event = AlertEvent::Resolved;

        assert_eq!((roots(&later), roots(&over)), (vec![], vec![]));
    }

    proptest! {
        #[test]
        fn a_root_follows_from_nothing(
            alerts in prop::collection::vec((0_usize..4, 0_usize..3, 10_i8..20), 0..12),
        ) {
            let checks = ["table.fresh", "schema.unknown_column", "rule.n", "drift.alarm"];
            let tables = ["users", "courses", "submissions"];
            let mut steps: Vec<AlertStep> =
                alerts.into_iter().map(|(check, table, day)| opened(checks[check], tables[table], day)).collect();
            steps.sort_by(|a, b| a.state.id.cmp(&b.state.id));
            steps.dedup_by(|a, b| a.state.id == b.state.id);

            let roots = root_causes(&steps);

            let began = |id: &str| -> Date { steps.iter().find(|s| s.state.id == id).unwrap().state.opened_on };
            for (id, root) in &roots {
                prop_assert!(!roots.contains_key(root.id.as_str()));
                prop_assert!(root.opened_on <= began(id));
            }
        }
    }
}
