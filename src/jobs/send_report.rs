//! `send_report`: writes the night's report and puts the digest in the outbox.
//!
//! Reads what the run's other jobs left; writes `published/reports/<dag>/<date>/` (the report, its figures as JSON, its
//! charts; the night's times only in `timings.json`) and one e-mail per night, whatever happens in it. It runs when all
//! other jobs are done, however they ended. The e-mail needs neither the lake nor a chart: if one of these fails, that
//! is a finding. The outbox decides whether the same night sends another e-mail: only if it says something else.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{JobContext, JobKind};
use super::shared::facts;
use super::shared::published::{self, PublishedCheck};
use super::shared::report::{Told, night_view, told};
use super::shared::told::{EARLIER, measurements};
use crate::config::{Config, MailAddress};
use crate::domain::check::Finding;
use crate::domain::dag::Dag;
use crate::domain::delivery::Recipient;
use crate::domain::fingerprint::DependsOn;
use crate::domain::ids::JobName;
use crate::domain::measurement::{HistoryWanted, Measurement};
use crate::domain::outcome::{FileRef, JobError, MailRecord, Outcome};
use crate::lake::keys;
use crate::report::mail::{Addresses, compose, recipients};
use crate::report::view::{DigestView, ReportView, Verdict};
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
    /// Whom it is for: `operator` (everything) or `reader` (no job names, no exact counts).
    #[serde(default)]
    audience: Audience,
    /// Who gets it; without it, the configured lists: `mail.to` for operators, `mail.readers` for readers.
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

/// Whom a report is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Audience {
    /// Those who run the night: everything.
    #[default]
    Operator,
    /// Deans and analysts: the four answers, rounded counts of students, how good the model is.
    Reader,
}

impl Params {
    /// The list of those who get it.
    fn list<'a>(&'a self, config: &'a Config) -> &'a [String] {
        match self.audience {
            _ if !self.to.is_empty() => &self.to,
            Audience::Operator => &config.mail.to,
            Audience::Reader => &config.mail.readers,
        }
    }
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
    const HISTORY: HistoryWanted = EARLIER;
    type Params = Params;

    async fn inputs(_: &Params, cx: &JobContext) -> Result<Option<DependsOn>, JobError> {
        if was_not_published(cx) {
            return Ok(None);
        }
        let view = serde_json::to_string(&told(cx).await?.report).map_err(|error| JobError::Fail(error.into()))?;
        Ok(Some(DependsOn::default().with("what the other jobs found", view)))
    }

    async fn run(params: Params, cx: &JobContext) -> Result<Outcome, JobError> {
        let Report::Digest = params.report;
        let Told { report, alerts } = told(cx).await?;
        if params.audience == Audience::Reader {
            return for_readers(&params, report, cx).await;
        }
        let night = night_view(cx, cx.environment.clock.now());
        let digest = DigestView {
            report: report.clone(),
            night,
            report_link: report_link(cx),
            contact: cx.environment.config.mail.reply_to.clone(),
        };
        let timings = serde_json::to_vec_pretty(&digest.night).map_err(|error| JobError::Fail(error.into()))?;
        let (headline, verdict) = (report.headline(), report.verdict());
        let tells = measurements(&report);
        let (email, rendered) = spawn_blocking(move || {
            let renderer = Renderer::new()?;
            Ok::<_, anyhow::Error>((renderer.digest(&digest)?, renderer.report(&report)))
        })
        .await?;

        // The e-mail comes first: it needs neither the lake nor the report.
        let mut outcome =
            Outcome { summary: format!("“{headline}”"), alerts, measurements: tells, ..Outcome::default() };
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

/// What readers get: an e-mail and no file; the report that they may open is published with the operators' digest.
async fn for_readers(params: &Params, report: ReportView, cx: &JobContext) -> Result<Outcome, JobError> {
    let mail_config = &cx.environment.config.mail;
    let too_early = mail_config.readers_from.filter(|from| cx.input.logical_date < *from);
    let nobody = match too_early {
        Some(from) => Some(format!("readers are told from {from} on (`mail.readers_from`)")),
        None if params.list(&cx.environment.config).is_empty() => {
            Some("nobody is on the list of readers (`mail.readers`)".to_owned())
        }
        None => None,
    };
    if let Some(summary) = nobody {
        return Ok(Outcome { summary, ..Outcome::default() });
    }
    let tells: Vec<Measurement> = measurements(&report);
    let night = night_view(cx, cx.environment.clock.now());
    let contact = cx.environment.config.mail.reply_to.clone();
    let digest = DigestView { report, night, report_link: report_link(cx), contact };
    let email = spawn_blocking(move || Ok::<_, anyhow::Error>(Renderer::new()?.reader(&digest)?)).await?;
    let summary = format!("“{}”, for readers", email.subject);
    let mut outcome = Outcome { summary, measurements: tells, ..Outcome::default() };
    outcome.mails.push(mail(&email, params, cx)?);
    outcome.findings.extend(email.undrawn.iter().map(|why| undrawn(why)));
    Ok(outcome)
}

/// Where the published report can be opened, if the site says under which address its reports are found.
fn report_link(cx: &JobContext) -> Option<String> {
    let base = cx.environment.config.mail.report_url.as_deref()?;
    let file = keys::report_file(&cx.input.dag, cx.input.logical_date, "index.html");
    let below = file.strip_prefix(keys::PUBLISHED).unwrap_or(&file).trim_start_matches('/').to_owned();
    Some(format!("{}/{below}", base.trim_end_matches('/')))
}

/// Returns the e-mails that a slot of `dag` owes: one for each of its reports and recipients. Invalid addresses are
/// left out; the configuration's check and the job itself refuse them.
pub fn promised_mail(dag: &Dag, config: &Config) -> Vec<(JobName, Recipient)> {
    let reports = dag.jobs.values().filter(|job| job.kind.as_str() == SendReport::NAME);
    let each = reports.flat_map(|job| {
        let params: Option<Params> = serde_json::from_value(job.params.clone()).ok();
        let to = params.map_or_else(|| config.mail.to.clone(), |params| params.list(config).to_vec());
        let valid =
            to.into_iter().filter(|text| config.mail.allows(text)).filter_map(|text| recipients(&[text]).ok()?.pop());
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
    let to = params.list(&cx.environment.config);
    if let Some(place) = to.iter().position(|address| !mail.allows(address)) {
        return Err(JobError::Fail(anyhow::anyhow!(
            "address {} of the job's list is in a domain to which e-mail may not go: add it to `mail.domains`, or take \
             the address out",
            place + 1
        )));
    }
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
    if let Some(checks) = facts::CHECKS.read(cx)? {
        let published: Vec<PublishedCheck> = checks.iter().map(published::check).collect();
        files.push(("quality.json".to_owned(), serde_json::to_vec_pretty(&published)?));
    }
    for (fact, file) in
        [(facts::DRIFT_FIGURES.as_left(cx), "drift.json"), (facts::EVALUATION.as_left(cx), "evaluation.json")]
    {
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
