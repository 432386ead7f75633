//! Which findings people are told about, and how urgently.
//!
//! Pure: takes findings and how the jobs ended, returns alerts, the worst first. There is one alert per (check,
//! subject): a finding that several jobs repeat is reported once, at its worst severity. A job that could not begin
//! because another failed is not an alert of its own: its cause is. What is remembered from night to night is added by
//! [`remember`]; `domain::alert` decides it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::view::AlertMemory;
use super::view::{JobEnd, JobView};
use crate::domain::alert::{AlertStep, StandingAlert};
use crate::domain::check::Finding;
use crate::domain::root_cause::root_causes;

pub use super::view::Alert;

/// A finding, and the night in which it was found where that is an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What was found.
    pub finding: Finding,
    /// When; `None`: tonight.
    pub on: Option<Date>,
}

impl Found {
    /// Returns a finding of tonight.
    pub const fn tonight(finding: Finding) -> Self {
        Self { finding, on: None }
    }
}

/// Returns the alerts of a night (such as `nightly.2026-11-20`): one per (check, subject), the worst first, then by check and
/// subject.
pub fn alerts(findings: &[Found], jobs: &[JobView], night: &str) -> Vec<Alert> {
    let failures = jobs.iter().filter(|job| matches!(job.end, JobEnd::Failed | JobEnd::Cancelled));
    let failures = failures.map(|job| job_failure(&job.name, job.end == JobEnd::Cancelled, &job.summary, night));
    let failures = failures.map(Found::tonight);
    let mut by_subject: BTreeMap<(String, String), Alert> = BTreeMap::new();
    for Found { finding, on } in findings.iter().cloned().chain(failures) {
        let key = (finding.check.clone(), finding.subject.clone());
        let times = by_subject.get(&key).map_or(0, |known| known.times) + 1;
        let is_worse = by_subject.get(&key).is_none_or(|known| known.severity < finding.severity);
        if is_worse {
            by_subject.insert(key, alert(finding, on, times));
        } else if let Some(known) = by_subject.get_mut(&key) {
            known.times = times;
        }
    }
    let mut alerts: Vec<Alert> = by_subject.into_values().collect();
    alerts.sort_by_key(|alert| std::cmp::Reverse(alert.severity));
    alerts
}

/// Adds what is remembered to the night's alerts, and from which other alert each may follow.
pub fn remember(
    alerts: &mut [Alert],
    steps: &[AlertStep],
    standing: &[StandingAlert],
    day: &dyn Fn(Timestamp) -> Date,
) {
    let by_id: BTreeMap<&str, &StandingAlert> = standing.iter().map(|alert| (alert.state.id.as_str(), alert)).collect();
    let roots = root_causes(steps);
    for alert in alerts.iter_mut() {
        let step = steps.iter().find(|step| step.state.check == alert.check && step.state.subject == alert.subject);
        let Some(AlertStep { state, event }) = step else { continue };
        let known = by_id.get(state.id.as_str());
        alert.memory = Some(AlertMemory {
            id: state.id.clone(),
            cause: state.cause,
            event: *event,
            since: state.opened_on,
            nights: state.found_nights(),
            acknowledged_by: known.and_then(|known| known.acknowledged.as_ref()).map(|manual| manual.by.clone()),
            silenced_until: known.and_then(|known| known.silenced.as_ref()).map(|silence| day(silence.until)),
            follows_from: roots
                .get(state.id.as_str())
                .filter(|root| root.subject != state.subject)
                .map(|root| root.subject.clone()),
        });
    }
}

fn alert(finding: Finding, found_on: Option<Date>, times: u32) -> Alert {
    let Finding { severity, check, subject, message, advice, told: _ } = finding;
    let (message, advice) = (sentence(message), sentence(advice));
    Alert { severity, check, subject, message, advice, times, found_on, memory: None }
}

/// Ends a text as a sentence.
fn sentence(text: String) -> String {
    if text.is_empty() || text.ends_with(['.', '!', '?']) { text } else { text + "." }
}

/// Returns the finding that a job of a night failed, or was cancelled, and why.
pub fn job_failure(job: &str, is_cancelled: bool, why: &str, night: &str) -> Finding {
    let word = if is_cancelled { "was cancelled" } else { "failed" };
    Finding::error(
        "job.failed",
        job,
        format!("The job `{job}` {word}: {}.", why.trim_end_matches('.')),
        format!(
            "Read its log with `nocturne runs logs {night} {job}`, fix the cause and go on with `nocturne runs retry {night}`: \
             jobs that are done are not run again."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::check::Severity;

    fn finding(severity: Severity, subject: &str) -> Found {
        Found::tonight(Finding { severity, ..Finding::warning("schema.unknown_column", subject, "message", "advice") })
    }

    #[test]
    fn a_repeated_finding_is_one_alert_at_its_worst_severity() {
        let findings = [
            finding(Severity::Info, "b"),
            finding(Severity::Info, "a"),
            finding(Severity::Warning, "b"),
            finding(Severity::Info, "b"),
        ];

        let alerts = alerts(&findings, &[], "nightly.2026-11-20");

        let seen: Vec<_> = alerts.iter().map(|alert| (alert.subject.as_str(), alert.severity, alert.times)).collect();
        assert_eq!(seen, vec![("b", Severity::Warning, 3), ("a", Severity::Info, 1)]);
    }

    #[test]
    fn a_failed_job_is_an_alert_before_all_warnings() {
        let job = JobView {
            name: "train".to_owned(),
            end: JobEnd::Failed,
            summary: "no labels".to_owned(),
            stands_from: None,
        };

        let alerts = alerts(&[finding(Severity::Warning, "a")], &[job], "nightly.2026-11-20");

        assert_eq!((alerts[0].check.as_str(), alerts[0].subject.as_str()), ("job.failed", "train"));
    }
}
