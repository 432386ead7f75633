//! `send_report`: writes the night's report and puts the digest in the outbox.
//!
//! Reads what the run's other jobs left; writes `published/reports/<dag>/<date>/` (the report, its figures as JSON, CSV and
//! Parquet, its charts; the night's times only in `timings.json`), the cards of the models in use, the data dictionary, and
//! one e-mail per night, whatever happens in it. It runs when all other jobs are done, however they ended. The e-mail
//! needs neither the lake nor a chart: if one of these fails, that is a finding, and the e-mail says so. The outbox decides whether the same night
//! sends another e-mail: only if it says something else.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{JobContext, JobKind};
use super::shared::browsed::{self, Browsed};
use super::shared::facts;
use super::shared::published::{self, PublishedCheck};
use super::shared::report::{Told, night_view, told};
use super::shared::routes::routed;
use super::shared::told::{EARLIER, measurements};
use crate::config::{Config, Mail, MailAddress, parse_mailbox};
use crate::domain::check::Finding;
use crate::domain::dag::Dag;
use crate::domain::delivery::Recipient;
use crate::domain::fingerprint::DependsOn;
use crate::domain::ids::JobName;
use crate::domain::measurement::HistoryWanted;
use crate::domain::outcome::{FileRef, JobError, MailRecord, Outcome};
use crate::lake::keys;
use crate::report::alerts::{Found, alerts};
use crate::report::mail::{Addresses, compose, recipients};
use crate::report::view::{DigestView, ReportView, Verdict};
use crate::report::{RenderedEmail, Renderer};
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
        let timings = serde_json::to_vec_pretty(&night).map_err(|error| JobError::Fail(error.into()))?;
        let browsed = browsed::gather(&report, cx);
        let routed = routed(&report, &alerts, cx)?;
        let tells = measurements(&report);
        let mut outcome = Outcome { alerts, findings: routed.findings, ..Outcome::default() };
        let mut report_link = report_link(cx);
        // The e-mail says what became of the report, so that comes first; it has a time limit, and may fail.
        let published = match render_report(report.clone(), browsed, timings, cx).await {
            Ok(Published { files, findings }) => {
                outcome.findings.extend(findings);
                stage(files, cx).await
            }
            Err(error) => Err(error),
        };
        match published {
            Ok(files) => outcome.files = files,
            Err(error) => {
                outcome.findings.push(unpublished(&error, cx));
                outcome.discards_staged = true;
                report_link = None;
            }
        }
        let contact = cx.environment.config.mail.reply_to.clone();
        let earlier = cx.input.earlier_email.clone();
        let (digest, found) = (DigestView { report, night, report_link, contact, earlier }, outcome.findings.clone());
        let Digest { email, report, findings } = spawn_blocking(move || render_digest(digest, found)).await?;
        outcome.findings = findings;
        outcome.summary = format!("“{}”", report.headline());
        facts::VERDICT.leave(&mut outcome, &report.verdict())?;
        outcome.mails.push(MailRecord { tells, ..mail(&email, &params, cx)? });
        outcome.mails.extend(routed.mails);
        Ok(outcome)
    }
}

/// The operators' digest, with what was found in making it.
struct Digest {
    email: RenderedEmail,
    report: ReportView,
    findings: Vec<Finding>,
}

/// Renders the digest so that it says what this job found itself: a report that was not published, a chart that could
/// not be drawn.
fn render_digest(mut digest: DigestView, mut findings: Vec<Finding>) -> anyhow::Result<Digest> {
    let renderer = Renderer::new()?;
    tell_too(&mut digest.report, &findings);
    let mut email = renderer.digest(&digest)?;
    if !email.undrawn.is_empty() {
        let undrawn: Vec<Finding> = email.undrawn.iter().map(|why| undrawn(why)).collect();
        tell_too(&mut digest.report, &undrawn);
        findings.extend(undrawn);
        email = renderer.digest(&digest)?;
    }
    Ok(Digest { email, report: digest.report, findings })
}

/// Adds findings to what people are told, the worst first.
fn tell_too(report: &mut ReportView, findings: &[Finding]) {
    let found: Vec<Found> = findings.iter().cloned().map(Found::tonight).collect();
    report.alerts.extend(alerts(&found, &[], ""));
    report.alerts.sort_by_key(|alert| std::cmp::Reverse(alert.severity));
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
    let tells = measurements(&report);
    let night = night_view(cx, cx.environment.clock.now());
    let contact = cx.environment.config.mail.reply_to.clone();
    // A report that could not be published tonight is not there.
    let is_published = !report.alerts.iter().any(|alert| alert.check == NOT_PUBLISHED);
    let report_link = report_link(cx).filter(|_| is_published);
    let earlier = cx.input.earlier_email.clone();
    let digest = DigestView { report, night, report_link, contact, earlier };
    let email = spawn_blocking(move || Ok::<_, anyhow::Error>(Renderer::new()?.reader(&digest)?)).await?;
    let summary = format!("“{}”, for readers", email.subject);
    let mut outcome = Outcome { summary, ..Outcome::default() };
    outcome.mails.push(MailRecord { tells, ..mail(&email, params, cx)? });
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

/// Returns the addresses in the parameters of a report to which e-mail may not go, or cannot be delivered.
pub(super) fn objections(kind: &str, params: &serde_json::Value, mail: &Mail) -> Vec<(Vec<String>, String)> {
    let to = params.get("to").filter(|_| kind == SendReport::NAME).and_then(serde_json::Value::as_array);
    let each = to.into_iter().flatten().enumerate().filter_map(|(place, address)| {
        let address = address.as_str()?;
        let why = match parse_mailbox(address) {
            None => "this is not an address that a mail server can deliver to; write `name@example.edu`",
            Some(_) if mail.allows(address) => return None,
            Some(_) => "e-mail may not go to this domain; add it to `mail.domains`, or take the address out",
        };
        Some((vec!["to".to_owned(), place.to_string()], why.to_owned()))
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

/// What is published, and what was found in making it.
struct Published {
    /// The files with their keys.
    files: Vec<(String, Vec<u8>)>,
    findings: Vec<Finding>,
}

/// Renders the report and what lies beside it.
async fn render_report(
    report: ReportView,
    browsed: Result<Browsed, JobError>,
    timings: Vec<u8>,
    cx: &JobContext,
) -> anyhow::Result<Published> {
    let (rendered, browsed) = spawn_blocking(move || {
        let renderer = Renderer::new()?;
        let browsed = browsed.map_err(anyhow::Error::from).and_then(|browsed| browsed.files(&renderer));
        Ok::<_, anyhow::Error>((renderer.report(&report)?, browsed))
    })
    .await?;
    let mut files: Vec<(String, Vec<u8>)> =
        vec![("index.html".to_owned(), rendered.index_html.into_bytes()), ("timings.json".to_owned(), timings)];
    let checks = facts::CHECKS.all(cx)?;
    if !checks.is_empty() {
        let published: Vec<PublishedCheck> = checks.iter().flatten().map(published::check).collect();
        files.push(("quality.json".to_owned(), serde_json::to_vec_pretty(&published)?));
    }
    files.extend(by_model("drift", facts::DRIFT_FIGURES.as_left(cx), cx)?);
    files.extend(by_model("evaluation", facts::EVALUATION.as_left(cx), cx)?);
    files.extend(rendered.charts.into_iter().map(|chart| (format!("{}.png", chart.name), chart.png)));
    let of_report =
        |(file, bytes): (String, Vec<u8>)| (keys::report_file(&cx.input.dag, cx.input.logical_date, &file), bytes);
    let mut files: Vec<(String, Vec<u8>)> = files.into_iter().map(of_report).collect();
    let mut findings = Vec::new();
    match browsed {
        Ok(browsed) => files.extend(browsed),
        Err(error) => findings.push(incomplete(&error)),
    }
    Ok(Published { files, findings })
}

/// What jobs left for publication: `<name>.json`, or, where several did, `<name>.<model>.json` of each.
fn by_model<'a>(
    name: &str,
    left: impl Iterator<Item = (&'a JobName, &'a serde_json::Value)>,
    cx: &JobContext,
) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let left: Vec<_> = left.collect();
    let mut files = BTreeMap::new();
    for (job, value) in &left {
        let file = match left.len() {
            1 => format!("{name}.json"),
            _ => format!("{name}.{}.json", facts::model_of(cx, job).unwrap_or(job.as_str())),
        };
        // Two jobs of one model do not take each other's place.
        let file = if files.contains_key(&file) { format!("{name}.{job}.json") } else { file };
        files.insert(file, serde_json::to_vec_pretty(value)?);
    }
    Ok(files.into_iter().collect())
}

/// Stages files in the lake.
async fn stage(files: Vec<(String, Vec<u8>)>, cx: &JobContext) -> anyhow::Result<Vec<FileRef>> {
    let staging = async {
        let mut staged = Vec::with_capacity(files.len());
        for (key, bytes) in files {
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

/// The check that everything is there that is published beside it.
const INCOMPLETE: &str = "report.incomplete";

/// Whether this job's last success could not publish its report: then it is not up to date.
fn was_not_published(cx: &JobContext) -> bool {
    let last = cx.input.last_success.as_ref();
    last.is_some_and(|last| {
        last.findings.iter().any(|finding| [NOT_PUBLISHED, INCOMPLETE].contains(&finding.check.as_str()))
    })
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

/// The sheets, the cards or the dictionary could not be made.
fn incomplete(error: &anyhow::Error) -> Finding {
    Finding::warning(
        INCOMPLETE,
        "report",
        format!("Beside the report there are no sheets, model cards and data dictionary tonight: {error:#}."),
        "Correct what the message names (`nocturne config check` finds most mistakes) and run the night again.",
    )
}

fn undrawn(why: &str) -> Finding {
    let advice = "The figures are in the e-mail's tables; please report this with the job's log.";
    Finding::warning("report.chart_missing", "report", why, advice)
}
