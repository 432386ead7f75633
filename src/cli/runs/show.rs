//! `nocturne runs show`: a run, why each of its jobs ran, what was found, what failed, what became of its night's e-mails,
//! and what was done to it by hand.

use super::named::{find, took};
use crate::app::App;
use crate::cli::follow::unreachable;
use crate::cli::values::time_in;
use crate::cli::{ExitCode, Failure, Global, mails, output};
use crate::domain::check::Finding;
use crate::domain::delivery::MailState;
use crate::domain::job::{Force, JobView};
use crate::store::{AuditEntry, MailRow, RunRecord};

/// Show a run: its jobs, why each of them ran, findings and errors.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The run.
    #[arg(default_value = "last")]
    run: String,
}

/// How many entries of the audit log are shown.
const ACTS: u32 = 50;

pub(super) async fn run(app: &App, args: &Args, global: &Global) -> Result<ExitCode, Failure> {
    let run = find(app, &args.run).await?;
    let jobs = app.store.jobs(&run.run_id).await.map_err(unreachable)?;
    let acts = app.store.audit_entries(Some(&run.run_id), ACTS).await.map_err(unreachable)?;
    let left = app.store.findings_left(&run.run_id).await.map_err(unreachable)?;
    let sent = app.store.mails_of(&run.dag, run.logical_date).await.map_err(unreachable)?;
    if global.json {
        let e_mails: Vec<_> = sent.iter().map(mails::MailShape::of).collect();
        let shown = serde_json::json!({
            "run": run, "jobs": jobs, "findings_of_failed_jobs": left, "audit": acts, "e_mails": e_mails
        });
        output::json(&shown)?;
        return Ok(ExitCode::Done);
    }
    let zone = app.store.dag_of(&run.run_id).await.map_err(unreachable)?.timezone;
    for line in head(&run, &zone) {
        output::line(&line)?;
    }
    let header = ["job", "kind", "state", "attempts", "took", "what", "because"];
    output::line("")?;
    output::table(&header, &[3, 4], jobs.iter().map(row).collect())?;
    for job in &jobs {
        for finding in job.outcome.iter().flat_map(|outcome| &outcome.findings) {
            output::line(&finding_lines(finding, job.name.as_str()))?;
        }
        if let Some(error) = &job.error {
            output::line(&format!("\n{} · {}\n  {error}", job.state, job.name))?;
        }
    }
    for finding in &left {
        output::line(&finding_lines(finding, "a part of a job that failed later"))?;
    }
    show_mails(&sent)?;
    show_acts(&acts, &zone)
}

fn head(run: &RunRecord, zone: &str) -> Vec<String> {
    let mut lines = vec![format!("{}  {}", run.run_id, run.state)];
    let by = match &run.manual {
        Some(manual) => {
            let why = manual.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            format!("{} ({}){why}", manual.by, run.trigger)
        }
        None => run.trigger.to_string(),
    };
    lines.push(format!("asked by  {by}"));
    lines.push(format!("queued    {}", time_in(run.queued_at, zone)));
    lines.extend(run.started_at.map(|at| {
        let times = if run.taken_up > 1 { format!(", taken up {} times", run.taken_up) } else { String::new() };
        format!("began     {}{times}", time_in(at, zone))
    }));
    lines.extend(run.finished_at.map(|at| {
        format!("ended     {}, after {}", time_in(at, zone), took(run.started_at.or(Some(run.queued_at)), Some(at)))
    }));
    lines.extend(run.repairs.as_ref().map(|repaired| format!("repairs   {repaired}")));
    lines.extend(run.backfill.as_ref().map(|backfill| format!("backfill  {backfill}")));
    if run.force == Force::Rebuild {
        lines.push("forced    what was up to date was done again".to_owned());
    }
    lines
}

fn row(job: &JobView) -> Vec<String> {
    let what = job.outcome.as_ref().map(|outcome| match outcome.reason {
        Some(reason) => format!("{}: {}", reason.words(), outcome.summary),
        None => outcome.summary.clone(),
    });
    vec![
        job.name.to_string(),
        job.kind.to_string(),
        job.state.to_string(),
        job.attempts.to_string(),
        took(job.started_at, job.finished_at),
        what.unwrap_or_default(),
        job.why.as_ref().map_or_else(String::new, ToString::to_string),
    ]
}

fn finding_lines(finding: &Finding, job: &str) -> String {
    format!(
        "\n{} · {job} · {} ({})\n  {}\n  {}",
        finding.severity.word(),
        finding.subject,
        finding.check,
        finding.message,
        finding.advice
    )
}

/// Shows what became of the night's e-mails, and what to do about those that were given up.
fn show_mails(sent: &[MailRow]) -> Result<(), Failure> {
    if sent.is_empty() {
        return Ok(());
    }
    output::line("")?;
    output::table(&mails::HEADER, &[], sent.iter().map(mails::cells).collect())?;
    if sent.iter().any(|mail| mail.state == MailState::GivenUp) {
        output::line(
            "An e-mail that was given up is not tried again: correct the address or take it out (`mail.to`, `mail.readers`, \
             or `to` of the job), and see `nocturne doctor`.",
        )?;
    }
    Ok(())
}

fn show_acts(acts: &[AuditEntry], zone: &str) -> Result<ExitCode, Failure> {
    if !acts.is_empty() {
        output::line("\naudit log")?;
    }
    for act in acts.iter().rev() {
        output::line(&format!("  {}  {}", time_in(act.at, zone), act.entry))?;
    }
    Ok(ExitCode::Done)
}
