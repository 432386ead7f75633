//! `send_report`: writes the night's report and puts the digest in the outbox.
//!
//! Reads what the run's other jobs left; writes `published/reports/<dag>/<date>/` (the report, its figures as JSON, its
//! charts; the night's times only in `timings.json`) and one e-mail per night, whatever happens in it. It runs when all
//! other jobs are done, however they ended. The e-mail needs neither the lake nor a chart: if one of these fails, that
//! is a finding. The outbox decides whether the same night sends another e-mail: only if it says something else.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{JobContext, JobKind};
use super::shared::facts;
use super::shared::models::models_in_use;
use super::shared::tables::{TableAge, table_age};
use crate::config::{Config, MailAddress, SourceKind};
use crate::domain::check::{Finding, Told};
use crate::domain::dag::Dag;
use crate::domain::delivery::Recipient;
use crate::domain::fingerprint::DependsOn;
use crate::domain::ids::JobName;
use crate::domain::job::{self, SkippedSlot};
use crate::domain::number::grouped;
use crate::domain::outcome::{FileRef, JobError, MailRecord, Outcome, Reason};
use crate::domain::run::JobState;
use crate::lake::{Dataset, keys};
use crate::report::alerts::{Found, alerts};
use crate::report::format::day_and_time;
use crate::report::mail::{Addresses, compose, recipients};
use crate::report::view::{DigestView, JobEnd, JobSpan, JobView, NightView, Pointer, ReportView, TableView, Verdict};
use crate::report::{RenderedEmail, RenderedReport, Renderer};
use crate::telemetry::spawn_blocking;

/// How long the lake may take over the report's files.
const STAGING: Duration = Duration::from_secs(300);

/// The kind.
pub(super) struct SendReport;

/// The parameters of `send_report`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// The report: `digest`.
    report: Report,
    /// Who gets it; without it, the configured recipients (`mail.to`).
    #[serde(default)]
    #[schemars(with = "Vec<MailAddress>")]
    to: Vec<String>,
}

/// The available reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    /// The night's digest.
    Digest,
}

#[async_trait]
impl JobKind for SendReport {
    const NAME: &'static str = "send_report";
    const SUMMARY: &'static str = "Writes the night's report and puts the digest in the outbox.";
    const EXAMPLE: &'static str = r#"
        [jobs.digest]
        kind = "send_report"
        needs = ["train"]
        when = "all_done"
        with = { report = "digest" }
    "#;
    type Params = Params;

    async fn inputs(_: &Params, cx: &JobContext) -> Result<Option<DependsOn>, JobError> {
        if was_not_published(cx) {
            return Ok(None);
        }
        let view = report_view(cx).await?;
        let view = serde_json::to_string(&view).map_err(|error| JobError::Fail(error.into()))?;
        Ok(Some(DependsOn::default().with("what the other jobs found", view)))
    }

    async fn run(params: Params, cx: &JobContext) -> Result<Outcome, JobError> {
        let Report::Digest = params.report;
        let report = report_view(cx).await?;
        let night = night_view(cx, cx.environment.clock.now());
        let digest = DigestView {
            report: report.clone(),
            night,
            report_link: None,
            contact: cx.environment.config.mail.reply_to.clone(),
        };
        let timings = serde_json::to_vec_pretty(&digest.night).map_err(|error| JobError::Fail(error.into()))?;
        let (headline, verdict) = (report.headline(), report.verdict());
        let (email, rendered) = spawn_blocking(move || {
            let renderer = Renderer::new()?;
            Ok::<_, anyhow::Error>((renderer.digest(&digest)?, renderer.report(&report)))
        })
        .await?;

        // The e-mail comes first: it needs neither the lake nor the report.
        let mut outcome = Outcome { summary: format!("“{headline}”"), ..Outcome::default() };
        facts::VERDICT.leave(&mut outcome, &verdict)?;
        outcome.mails.push(mail(&email, &params, cx)?);
        outcome.findings.extend(email.undrawn.iter().map(|why| undrawn(why)));
        let published = match rendered {
            Ok(rendered) => publish(rendered, timings, cx).await,
            Err(error) => Err(error.into()),
        };
        match published {
            Ok(files) => outcome.files = files,
            Err(error) => {
                outcome.findings.push(unpublished(&error, cx));
                outcome.discards_staged = true;
            }
        }
        Ok(outcome)
    }
}

/// Returns the e-mails that a slot of `dag` owes: one for each of its reports and recipients. Invalid addresses are
/// left out; the configuration's check and the job itself refuse them.
pub fn promised_mail(dag: &Dag, config: &Config) -> Vec<(JobName, Recipient)> {
    let reports = dag.jobs.values().filter(|job| job.kind.as_str() == SendReport::NAME);
    let each = reports.flat_map(|job| {
        let params: Option<Params> = serde_json::from_value(job.params.clone()).ok();
        let to = params.map(|params| params.to).filter(|to| !to.is_empty());
        let to = to.unwrap_or_else(|| config.mail.to.clone());
        let valid = to.into_iter().filter_map(|text| recipients(&[text]).ok()?.pop());
        valid.map(|recipient| (job.name.clone(), recipient))
    });
    each.collect()
}

/// Returns the verdict of the e-mail that came with an outcome; `None` where there is none, or none that can be read.
pub fn night_verdict(outcome: &Outcome) -> Option<Verdict> {
    facts::VERDICT.of(outcome).ok().flatten()
}

fn mail(email: &RenderedEmail, params: &Params, cx: &JobContext) -> Result<MailRecord, JobError> {
    let mail = &cx.environment.config.mail;
    let to = if params.to.is_empty() { &mail.to } else { &params.to };
    let addresses = Addresses {
        from: mail.from.clone(),
        reply_to: mail.reply_to.clone(),
        audience: cx.input.job.to_string(),
        to: recipients(to).map_err(JobError::fail)?,
        unsubscribe_url: None,
    };
    compose(email, &addresses, cx.environment.clock.now()).map_err(JobError::fail)
}

/// Stages the report's files in the lake.
async fn publish(rendered: RenderedReport, timings: Vec<u8>, cx: &JobContext) -> anyhow::Result<Vec<FileRef>> {
    let mut files: Vec<(String, Vec<u8>)> =
        vec![("index.html".to_owned(), rendered.index_html.into_bytes()), ("timings.json".to_owned(), timings)];
    for (fact, file) in [
        (facts::CHECKS.as_left(cx), "quality.json"),
        (facts::DRIFT_FIGURES.as_left(cx), "drift.json"),
        (facts::EVALUATION.as_left(cx), "evaluation.json"),
    ] {
        if let Some(value) = fact {
            files.push((file.to_owned(), serde_json::to_vec_pretty(value)?));
        }
    }
    files.extend(rendered.charts.into_iter().map(|chart| (format!("{}.png", chart.name), chart.png)));
    let staging = async {
        let mut staged = Vec::with_capacity(files.len());
        for (file, bytes) in files {
            let key = keys::report_file(&cx.input.dag, cx.input.logical_date, &file);
            staged.push(cx.environment.lake.stage_file(&cx.input.attempt_name(), key, bytes.into()).await?);
        }
        Ok::<_, anyhow::Error>(staged)
    };
    match tokio::time::timeout(STAGING, staging).await {
        Ok(staged) => staged,
        Err(_) => anyhow::bail!("the lake did not take the report's files within {} s", STAGING.as_secs()),
    }
}

/// The check that a report is where its readers look for it.
const NOT_PUBLISHED: &str = "report.not_published";

/// Whether this job's last success could not publish its report: then it is not up to date.
fn was_not_published(cx: &JobContext) -> bool {
    let last = cx.input.last_success.as_ref();
    last.is_some_and(|last| last.findings.iter().any(|finding| finding.check == NOT_PUBLISHED))
}

fn unpublished(error: &anyhow::Error, cx: &JobContext) -> Finding {
    let (dag, date) = (&cx.input.dag, cx.input.logical_date);
    Finding::warning(
        NOT_PUBLISHED,
        "report",
        format!("The report was not published ({error:#}); the e-mail goes out all the same."),
        format!("Once the lake is reachable and has room: `nocturne run {dag} --date {date}`."),
    )
}

fn undrawn(why: &str) -> Finding {
    let advice = "The figures are in the e-mail's tables; please report this with the job's log.";
    Finding::warning("report.chart_missing", "report", why, advice)
}

/// The report: the same for the same inputs, without times, run ids and attempts.
async fn report_view(cx: &JobContext) -> Result<ReportView, JobError> {
    let tables = tables(cx).await?;
    let config = &cx.environment.config;
    let done: Vec<_> = cx.input.jobs.iter().filter(|job| job.state.is_done()).collect();
    let jobs: Vec<JobView> = done
        .iter()
        .map(|job| JobView {
            name: job.name.to_string(),
            end: end(job.state),
            summary: summary(job),
            stands_from: job.outcome.as_ref().and_then(|outcome| earlier_night(outcome, cx)),
        })
        .collect();
    let findings: Vec<Found> = done
        .iter()
        .filter_map(|job| job.outcome.as_ref())
        .flat_map(|outcome| {
            let on = earlier_night(outcome, cx);
            let findings = outcome.findings.iter();
            let findings = findings.filter(move |finding| on.is_none() || finding.told == Told::WhileItStands);
            findings.map(move |finding| Found { finding: finding.clone(), on })
        })
        .chain(cx.input.left_findings.iter().cloned().map(Found::tonight))
        .collect();
    let notes = done.iter().filter_map(|job| {
        let reason = job.outcome.as_ref()?.reason?;
        (reason != Reason::UpToDate).then(|| format!("{}: {}", job.name, reason.words()))
    });
    let mut notes: Vec<String> = notes.collect();
    notes.extend(skipped_notes(&cx.input.skipped, &cx.input.timezone));
    notes.extend(config.institution.attribution.clone());
    Ok(ReportView {
        institution: config.institution.name.clone(),
        dag: cx.input.dag.clone(),
        logical_date: cx.input.logical_date,
        zone: cx.input.timezone.clone(),
        is_simulation: config.sources.values().all(|source| source.kind == SourceKind::Simulation),
        changes: changes(&tables),
        tables,
        quality: facts::QUALITY.read(cx)?,
        drift: facts::DRIFT.read(cx)?,
        drift_unmeasured: drift_unmeasured(cx)?,
        models: models_in_use(cx)?,
        flagged: facts::FLAGGED.read(cx)?.unwrap_or_default(),
        alerts: alerts(&findings, &jobs),
        jobs,
        notes,
        pointers: vec![
            Pointer { what: "Why did a job end as it did?".to_owned(), at: "nocturne runs show last".to_owned() },
            Pointer { what: "What is published?".to_owned(), at: format!("nocturne lake tree {}/", keys::PUBLISHED) },
        ],
    })
}

/// Why drift was not measured, where a job should have.
fn drift_unmeasured(cx: &JobContext) -> Result<Option<String>, JobError> {
    if facts::DRIFT.job(cx).is_some() {
        return Ok(None);
    }
    let measures = |job: &&Arc<job::JobView>| job.kind.as_str() == facts::MEASURES_DRIFT && job.state.is_done();
    let Some(job) = cx.input.jobs.iter().find(measures) else { return Ok(None) };
    let why = facts::DRIFT_UNMEASURED.read(cx)?;
    Ok(Some(why.unwrap_or_else(|| format!("the job `{}` did not succeed", job.name))))
}

/// The night in which an outcome was made, if it is repeated from an earlier one.
fn earlier_night(outcome: &Outcome, cx: &JobContext) -> Option<Date> {
    let is_repeated = outcome.reason == Some(Reason::UpToDate);
    outcome.made_for.filter(|date| is_repeated && *date != cx.input.logical_date)
}

/// The tables as the pull left them, and how new they are tonight. What a pull of an earlier night did is not repeated:
/// nothing has come since.
async fn tables(cx: &JobContext) -> Result<Vec<TableView>, JobError> {
    let mut tables = facts::TABLES.read(cx)?.unwrap_or_default();
    let is_repeated = facts::TABLES.job(cx).is_some_and(|outcome| earlier_night(outcome, cx).is_some());
    for table in &mut tables {
        if table.delivered_at.is_none() {
            // An earlier version of the program pulled it; without the lake it stays unknown.
            let dataset = Dataset::table(&table.name.parse().map_err(JobError::fail)?);
            let manifest = cx.manifest(&dataset).await.ok().flatten();
            table.delivered_at = manifest.and_then(|manifest| manifest.instant("known_at"));
        }
        let TableAge { complete_through, rhythm, is_late } = table_age(cx, &table.name, table.delivered_at)?;
        (table.complete_through, table.rhythm, table.is_late) = (complete_through, rhythm, is_late);
        if is_repeated {
            (table.change, table.held_back) = (Some(0), 0);
        }
    }
    Ok(tables)
}

/// What is said of the slots that were skipped: those that follow each other for the same reason together.
fn skipped_notes(skipped: &[SkippedSlot], zone: &str) -> Vec<String> {
    let at = |slot: &SkippedSlot| day_and_time(slot.at, zone).unwrap_or_else(|_| slot.at.to_string());
    skipped
        .chunk_by(|one, next| one.why == next.why)
        .filter_map(|group| {
            let (first, last) = (group.first()?, group.last()?);
            Some(match group.len() {
                1 => format!("The slot of {} was skipped: {}.", at(first), first.why),
                n => format!("{n} slots, from {} to {}, were skipped: {}.", at(first), at(last), first.why),
            })
        })
        .collect()
}

/// What changed in the tables since the last night.
fn changes(tables: &[TableView]) -> Vec<String> {
    let changed = tables.iter().filter_map(|table| {
        let change = table.change.filter(|change| *change != 0)?;
        let word = if change > 0 { "more" } else { "fewer" };
        Some(format!("{}: {} {word} rows", table.name, grouped(change.unsigned_abs())))
    });
    changed.collect()
}

fn night_view(cx: &JobContext, now: Timestamp) -> NightView {
    let started_at = cx.input.jobs.iter().filter_map(|job| job.started_at).min().unwrap_or(now);
    let since = |at: Timestamp| at.duration_since(started_at).as_secs_f64().max(0.0);
    let spans = cx.input.jobs.iter().filter_map(|job| {
        let (from, to) = (job.started_at?, job.finished_at?);
        Some(JobSpan {
            name: job.name.to_string(),
            end: end(job.state),
            start_offset_seconds: since(from),
            seconds: (since(to) - since(from)).max(0.0),
            attempts: job.attempts,
            is_up_to_date: job.outcome.as_ref().is_some_and(|outcome| outcome.reason == Some(Reason::UpToDate)),
        })
    });
    NightView { run_id: cx.input.run_id.clone(), started_at, seconds: since(now), spans: spans.collect() }
}

fn end(state: JobState) -> JobEnd {
    match state {
        JobState::Succeeded => JobEnd::Succeeded,
        JobState::Skipped => JobEnd::Skipped,
        JobState::Failed => JobEnd::Failed,
        JobState::UpstreamFailed => JobEnd::UpstreamFailed,
        JobState::Cancelled => JobEnd::Cancelled,
        JobState::Queued | JobState::Running | JobState::Retrying => JobEnd::Running,
    }
}

fn summary(job: &job::JobView) -> String {
    match (&job.outcome, &job.error) {
        (Some(outcome), _) => outcome.summary.clone(),
        (None, Some(error)) => error.clone(),
        (None, None) => job.state.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(day: u32, why: &str) -> SkippedSlot {
        let at = format!("2026-06-{day:02}T06:30:00Z").parse().unwrap();
        SkippedSlot { dag: "nightly".parse().unwrap(), at, why: why.to_owned() }
    }

    #[test]
    fn slots_that_were_skipped_for_one_reason_are_one_note() {
        let summer = "jo paused the schedule: summer";
        let skipped = [slot(1, "the earlier run was still open"), slot(2, summer), slot(3, summer), slot(4, summer)];

        let notes = skipped_notes(&skipped, "America/Detroit");

        assert_eq!(
            notes,
            [
                "The slot of 1 Jun 2026, 02:30 EDT was skipped: the earlier run was still open.",
                "3 slots, from 2 Jun 2026, 02:30 EDT to 4 Jun 2026, 02:30 EDT, were skipped: jo paused the schedule: summer."
            ]
        );
    }
}
