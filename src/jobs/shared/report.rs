//! What people are told of a night: the report, and the night's own facts, from what the jobs left.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::alerts::{not_looked_at, remember_within, resolved, steps};
use super::facts::{self, IsRepeated, earlier_night, night_of, pulled_tables};
use super::models::models_in_use;
use super::tables::{TableAge, table_age};
use super::told::{LastEmail, scored, support, told_before};
use crate::canvas::contracts::Contracts;
use crate::config::SourceKind;
use crate::domain::alert::AlertStep;
use crate::domain::check::Told as HowLong;
use crate::domain::job::{self, SkippedSlot};
use crate::domain::outcome::{JobError, Reason};
use crate::domain::run::JobState;
use crate::jobs::kind::JobContext;
use crate::lake::{Dataset, keys};
use crate::report::alerts::{Found, alerts};
use crate::report::format::day_and_time;
use crate::report::view::{
    DriftView, JobEnd, JobSpan, JobView, NightView, Pointer, QualityView, ReportView, TableNights, TableView,
};

/// What a night is to people.
pub(in crate::jobs) struct Told {
    /// The report: the same for the same inputs, without times, run ids and attempts.
    pub(in crate::jobs) report: ReportView,
    /// What the night makes of its alerts.
    pub(in crate::jobs) alerts: Vec<AlertStep>,
}

/// Returns what people are told of the night so far.
pub(in crate::jobs) async fn told(cx: &JobContext) -> Result<Told, JobError> {
    let mut tables = tables(cx).await?;
    let last = LastEmail::of(cx).filter(|_| !tables.is_empty());
    for table in &mut tables {
        table.change = last.as_ref().and_then(|last| last.change(table));
    }
    let scored = scored(cx)?;
    let config = &cx.environment.config;
    let jobs = jobs(cx);
    let findings = findings(cx);
    let drifts = facts::DRIFT.all(cx)?;
    let notes = notes(cx, &drifts);
    let steps = steps(cx)?;
    let models = models_in_use(cx)?;
    let mut alerts = alerts(&findings, &jobs, &night_of(cx));
    remember_within(&mut alerts, &steps, cx)?;
    let report = ReportView {
        institution: config.institution.name.clone(),
        dag: cx.input.dag.clone(),
        logical_date: cx.input.logical_date,
        zone: cx.input.timezone.clone(),
        is_simulation: config.sources.values().all(|source| source.kind == SourceKind::Simulation),
        since: last.as_ref().map(|last| last.night),
        changes: last.map_or_else(Vec::new, |last| last.changes(&tables, &models)),
        unread: unread(cx, &tables),
        tables,
        rows: expected_rows(cx)?,
        told_before: told_before(cx),
        support: support(cx, &scored),
        quality: QualityView::together(facts::QUALITY.all(cx)?),
        drift: drifts
            .into_iter()
            .reduce(|most, other| if other.weighted_share > most.weighted_share { other } else { most }),
        drift_unmeasured: drift_unmeasured(cx)?,
        models,
        flagged: scored.into_iter().map(|scored| scored.counts).collect(),
        alerts,
        resolved: resolved(&steps),
        not_looked_at: not_looked_at(&steps),
        jobs,
        notes,
        pointers: vec![
            Pointer {
                what: "Why did a job end as it did".to_owned(),
                at: format!("nocturne runs show {}", night_of(cx)),
            },
            Pointer { what: "What is published".to_owned(), at: format!("nocturne lake tree {}/", keys::PUBLISHED) },
        ],
        attribution: config.institution.attribution.clone(),
    };
    Ok(Told { report, alerts: steps })
}

/// The jobs that are done, and those that are not although this one does not precede them; another report is none of them.
fn jobs(cx: &JobContext) -> Vec<JobView> {
    let is_told = |job: &&Arc<job::JobView>| {
        let comes_after = job.kind == cx.input.kind || cx.input.dependents.contains(&job.name);
        job.state.is_done() || !comes_after
    };
    let jobs = cx.input.jobs.iter().filter(is_told).map(|job| JobView {
        name: job.name.to_string(),
        end: end(job.state),
        summary: summary(job),
        stands_from: job.outcome.as_ref().and_then(|outcome| earlier_night(outcome, cx)),
    });
    jobs.collect()
}

/// The tables that stand, and that a pull should have looked at tonight which did not succeed.
fn unread(cx: &JobContext, tables: &[TableView]) -> Vec<String> {
    let is_pull = |job: &&Arc<job::JobView>| job.kind.as_str() == facts::PULLS && end(job.state).is_trouble();
    let failed: Vec<&serde_json::Value> =
        cx.input.jobs.iter().filter(is_pull).filter_map(|job| cx.input.dag_params.get(&job.name)).collect();
    let asked_for = |name: &str| {
        failed.iter().any(|params| {
            let named = params["tables"].as_array().filter(|named| !named.is_empty());
            let source = params["source"].as_str().and_then(|source| cx.environment.config.sources.get(source));
            let contracts = source.and_then(|source| Contracts::load(&source.extra, source.contracts.as_deref()).ok());
            named.is_none_or(|named| named.iter().any(|one| one.as_str() == Some(name)))
                && contracts.is_some_and(|contracts| contracts.find(name).is_some())
        })
    };
    // Without contracts no table is known, which the pull has said.
    let standing = cx.tables().unwrap_or_default().into_iter().map(|(contract, _)| contract.name.to_string());
    standing.filter(|name| tables.iter().all(|table| table.name != *name) && asked_for(name)).collect()
}

/// The rows of each table against what is usual; of a table that several jobs check the last one tells.
fn expected_rows(cx: &JobContext) -> Result<Vec<TableNights>, JobError> {
    let by_table = facts::EXPECTED_ROWS.all(cx)?.into_iter().flatten().map(|nights| (nights.table.clone(), nights));
    Ok(by_table.collect::<BTreeMap<_, _>>().into_values().collect())
}

/// Why a section is missing, or shows less than there is.
fn notes(cx: &JobContext, drifts: &[DriftView]) -> Vec<String> {
    let done = cx.input.jobs.iter().filter(|job| job.state.is_done());
    let notes = done.filter_map(|job| {
        let outcome = job.outcome.as_ref()?;
        let is_told = outcome.reason? != Reason::UpToDate;
        is_told.then(|| format!("{}: {}", job.name, outcome.summary))
    });
    let mut notes: Vec<String> = notes.collect();
    if drifts.len() > 1 {
        notes.push(format!("Drift was measured by {} jobs; shown is the one that found the most.", drifts.len()));
    }
    notes.extend(skipped_notes(&cx.input.skipped, &cx.input.timezone));
    notes
}

/// What the night's jobs found, and what stands of what earlier nights found.
fn findings(cx: &JobContext) -> Vec<Found> {
    let done = cx.input.jobs.iter().filter(|job| job.state.is_done()).filter_map(|job| job.outcome.as_ref());
    let found = done.flat_map(|outcome| {
        let on = earlier_night(outcome, cx);
        let findings = outcome.findings.iter();
        let findings = findings.filter(move |finding| on.is_none() || finding.told == HowLong::WhileItStands);
        findings.map(move |finding| Found { finding: finding.clone(), on })
    });
    found.chain(cx.input.left_findings.iter().cloned().map(Found::tonight)).collect()
}

/// Why drift was not measured, where a job should have.
fn drift_unmeasured(cx: &JobContext) -> Result<Option<String>, JobError> {
    if facts::DRIFT.job(cx).is_some() {
        return Ok(None);
    }
    let measures = |job: &&Arc<job::JobView>| job.kind.as_str() == facts::MEASURES_DRIFT && job.state.is_done();
    if !cx.input.jobs.iter().any(|job| measures(&job)) {
        return Ok(None);
    }
    let why = facts::DRIFT_UNMEASURED.read(cx)?;
    Ok(Some(why.unwrap_or_else(|| "the comparison did not succeed".to_owned())))
}

/// The tables as the pull left them, and how new they are tonight. What a pull of an earlier night did is not repeated:
/// nothing has come since.
async fn tables(cx: &JobContext) -> Result<Vec<TableView>, JobError> {
    let mut tables = Vec::new();
    for (mut table, IsRepeated(is_repeated)) in pulled_tables(cx)? {
        if table.delivered_at.is_none() {
            // An earlier version of the program pulled it; without the lake it stays unknown.
            let dataset = Dataset::table(&table.name.parse().map_err(JobError::fail)?);
            let manifest = cx.manifest(&dataset).await.ok().flatten();
            table.delivered_at = manifest.and_then(|manifest| manifest.instant("known_at"));
        }
        let TableAge { complete_through, rhythm, is_late } = table_age(cx, &table.name, table.delivered_at)?;
        (table.complete_through, table.rhythm, table.is_late) = (complete_through, rhythm, is_late);
        if is_repeated {
            (table.held_back, table.delivered) = (0, None);
        }
        tables.push(table);
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

/// Returns the night's own facts: times, run, attempts.
pub(in crate::jobs) fn night_view(cx: &JobContext, now: Timestamp) -> NightView {
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
        JobState::Queued => JobEnd::Queued,
        JobState::Running | JobState::Retrying => JobEnd::Running,
    }
}

fn summary(job: &job::JobView) -> String {
    match (&job.outcome, &job.error) {
        (Some(outcome), _) => outcome.summary.clone(),
        (None, Some(error)) => error.clone(),
        (None, None) if !job.state.is_done() => String::new(),
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
