//! The night's alerts: what its jobs found, against what is remembered.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::facts::{CHECKS, earlier_night, night_of};
use crate::domain::alert::{AlertEvent, AlertState, AlertStep, Night, Seen, StandingAlert, next};
use crate::domain::check::{CheckOutcome, CheckStatus, Finding, Severity, Told};
use crate::domain::ids::JobName;
use crate::domain::outcome::{JobError, Reason};
use crate::domain::run::JobState;
use crate::domain::schedule::parse_zone;
use crate::jobs::kind::JobContext;
use crate::report::alerts::{job_failure, remember};
use crate::report::format::day;
use crate::report::view::{Alert, Resolved};

/// Returns what the night makes of its alerts.
pub(in crate::jobs) fn steps(cx: &JobContext) -> Result<Vec<AlertStep>, JobError> {
    let input = &cx.input;
    let checks = CHECKS.all(cx)?.into_iter().flatten();
    let rules: BTreeMap<String, CheckOutcome> = checks.map(|check| (check.check.clone(), check)).collect();
    let looked_at = |alert: &AlertState| has_looked(alert, cx) && rule_allows(alert, &rules);
    let cooldown_nights = cx.environment.config.alerts.cooldown_nights;
    let night = Night { dag: &input.dag, date: input.logical_date, cooldown_nights };
    Ok(next(night, &input.alerts, &seen(cx, &rules), &looked_at))
}

/// What the jobs of the night found of which people are told for as long as it stands.
fn seen(cx: &JobContext, rules: &BTreeMap<String, CheckOutcome>) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut add = |job: &JobName, finding: &Finding, is_repeated: bool| {
        if finding.severity >= Severity::Warning && finding.told == Told::WhileItStands {
            let Finding { severity, check, subject, message, advice, .. } = finding.clone();
            let rule = rules.get(&check);
            let owner = rule.and_then(|rule| rule.owner.clone());
            let why = rule.map(|rule| rule.why.clone()).filter(|why| !why.is_empty());
            seen.push(Seen { check, subject, job: job.clone(), owner, why, severity, message, advice, is_repeated });
        }
    };
    let done = cx.input.jobs.iter().filter(|job| job.state.is_done());
    let mut failed = None;
    for job in done {
        if let Some(outcome) = &job.outcome {
            let is_repeated = earlier_night(outcome, cx).is_some();
            outcome.findings.iter().for_each(|finding| add(&job.name, finding, is_repeated));
        }
        if matches!(job.state, JobState::Failed | JobState::Cancelled) {
            let why = job.error.as_deref().unwrap_or_default();
            add(
                &job.name,
                &job_failure(job.name.as_str(), job.state == JobState::Cancelled, why, &night_of(cx)),
                false,
            );
            failed = failed.or(Some(&job.name));
        }
    }
    if let Some(failed) = failed {
        cx.input.left_findings.iter().for_each(|finding| add(failed, finding, false));
    }
    seen
}

/// Whether the job that found an alert has looked again. A job that the DAG no longer has will never look: what it found is
/// over.
fn has_looked(alert: &AlertState, cx: &JobContext) -> bool {
    if !cx.input.dag_params.contains_key(&alert.job) {
        return true;
    }
    let job = cx.input.jobs.iter().find(|job| job.name == alert.job);
    job.is_some_and(|job| {
        let reason = job.outcome.as_ref().and_then(|outcome| outcome.reason);
        job.state == JobState::Succeeded && reason.is_none_or(|reason| reason == Reason::UpToDate)
    })
}

/// A rule that could not be evaluated, or was skipped for want of a delivery, resolves nothing; one that found no row to be
/// bad, because none has a value, or that there is no more, does.
fn rule_allows(alert: &AlertState, rules: &BTreeMap<String, CheckOutcome>) -> bool {
    rules.get(&alert.check).is_none_or(|rule| match rule.status {
        CheckStatus::Pass => true,
        CheckStatus::Skipped => rule.value == Some(0.0),
        CheckStatus::Warn | CheckStatus::Fail | CheckStatus::Error => false,
    })
}

/// Adds what is remembered to the alerts that people are told of.
pub(in crate::jobs) fn remember_within(
    alerts: &mut [Alert],
    steps: &[AlertStep],
    cx: &JobContext,
) -> Result<(), JobError> {
    let zone = parse_zone(&cx.input.timezone).map_err(JobError::fail)?;
    remember(alerts, steps, &people(cx)?, &|at| at.to_zoned(zone.clone()).date());
    Ok(())
}

/// Returns the known alerts with what people did about them. A silence that is over tonight is none.
pub(in crate::jobs) fn people(cx: &JobContext) -> Result<Vec<StandingAlert>, JobError> {
    let zone = parse_zone(&cx.input.timezone).map_err(JobError::fail)?;
    let tonight = cx.input.logical_date.to_zoned(zone).context("the start of the logical date")?.timestamp();
    let mut known = cx.input.alerts.clone();
    for alert in &mut known {
        alert.silenced = alert.silenced.take().filter(|silence| silence.until > tonight);
    }
    Ok(known)
}

/// Returns what the night resolved.
pub(in crate::jobs) fn resolved(steps: &[AlertStep]) -> Vec<Resolved> {
    let over = steps.iter().filter(|step| step.event == AlertEvent::Resolved);
    let over = over.map(|AlertStep { state, .. }| Resolved {
        check: state.check.clone(),
        subject: state.subject.clone(),
        since: state.opened_on,
        nights: state.found_nights(),
    });
    over.collect()
}

/// Returns what stands although nobody looked at it tonight.
pub(in crate::jobs) fn not_looked_at(steps: &[AlertStep]) -> Vec<String> {
    let stands = steps.iter().filter(|step| step.event == AlertEvent::NotLookedAt);
    stands
        .map(|step| {
            let AlertState { subject, check, opened_on, id, .. } = &step.state;
            format!("{subject} ({check}), since {}, alert {id}", day(*opened_on))
        })
        .collect()
}
