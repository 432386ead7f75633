//! `nocturne report show`: what people were told of a night, as the outbox holds it.

use std::path::PathBuf;

use jiff::civil::Date;
use mail_parser::MessageParser;
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::App;
use crate::cli::follow::unreachable;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::config::Use;
use crate::domain::delivery::MailState;
use crate::domain::ids::DagName;
use crate::report::mail::masked;
use crate::store::{MailRow, RunFilter};

/// How many of a DAG's newest runs are looked through for an e-mail.
const NEWEST: u32 = 50;

/// Show the e-mail of a night: its text, or its HTML in a file.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The DAG.
    dag: DagName,
    /// The night; the newest one that has an e-mail if not given.
    #[arg(long)]
    date: Option<Date>,
    /// The job that wrote it, or `alerts.ROUTE`; the first one if not given.
    #[arg(long)]
    audience: Option<String>,
    /// Write its HTML to this file as well.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// An e-mail, as `--json` shows it.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct ReportShape {
    dag: String,
    logical_date: String,
    /// The job that wrote it, or `alerts.ROUTE`.
    audience: String,
    subject: String,
    text: String,
    /// Who gets it, and what has become of that.
    recipients: Vec<RecipientShape>,
    /// What else was written for the night.
    other_audiences: Vec<String>,
}

/// A recipient of an e-mail.
#[derive(Debug, Serialize, JsonSchema)]
struct RecipientShape {
    /// The masked address, or a webhook.
    to: String,
    state: String,
    /// When it was handed over or given up.
    ended_at: Option<String>,
    last_error: Option<String>,
}

pub(super) async fn run(args: &Args, global: &Global) -> Result<ExitCode, Failure> {
    let app = App::open(&global.config, Use::Looking).await?;
    let (date, mails) = night(args, &app).await?;
    let mut audiences: Vec<String> = mails.iter().map(|mail| mail.id.key.audience.clone()).collect();
    audiences.sort_by_key(|audience| (audience.starts_with("alerts."), audience.clone()));
    audiences.dedup();
    let audience = args.audience.clone().unwrap_or_else(|| audiences[0].clone());
    audiences.retain(|other| *other != audience);
    let own: Vec<&MailRow> = mails.iter().filter(|mail| mail.id.key.audience == audience).collect();
    let Some(newest) = own.iter().max_by_key(|mail| mail.id.revision) else {
        let error = anyhow::anyhow!(
            "nothing was written by `{audience}` for {} {date}; there is: {}",
            args.dag,
            audiences.join(", ")
        );
        return Err(Failure::new(ExitCode::NotFound, error));
    };
    let body = app.store.mail_body(&newest.id).await.map_err(unreachable)?.ok_or_else(|| {
        let error = anyhow::anyhow!(
            "the text of the e-mail of {} {date} is not kept any more (`retention.mail_days`): `nocturne run {} --date \
             {date} --force` makes it again",
            args.dag,
            args.dag
        );
        Failure::new(ExitCode::NotFound, error)
    })?;
    let parsed = MessageParser::default().parse(body.as_bytes());
    let text = |part: fn(&mail_parser::Message<'_>) -> Option<String>| parsed.as_ref().and_then(part);
    if let Some(path) = &args.html {
        let html = text(|mail| mail.body_html(0).map(Into::into)).unwrap_or_else(|| body.clone());
        let written = std::fs::write(path, html);
        written.map_err(|error| {
            Failure::new(
                ExitCode::Unreachable,
                anyhow::Error::new(error).context(format!("writing {}", path.display())),
            )
        })?;
    }
    let revisions = own.iter().filter(|mail| mail.id.revision == newest.id.revision);
    let shape = ReportShape {
        dag: args.dag.to_string(),
        logical_date: date.to_string(),
        audience,
        subject: newest.subject.clone().unwrap_or_default(),
        text: text(|mail| mail.body_text(0).map(Into::into)).unwrap_or(body),
        recipients: revisions.map(|mail| recipient(mail)).collect(),
        other_audiences: audiences,
    };
    if global.json {
        output::json(&shape)?;
        return Ok(ExitCode::Done);
    }
    output::line(&format!("Subject: {}", shape.subject))?;
    for RecipientShape { to, state, .. } in &shape.recipients {
        output::line(&format!("To: {to} ({state})"))?;
    }
    output::line("")?;
    output::line(shape.text.trim_end())?;
    Ok(ExitCode::Done)
}

/// The night that is shown, and its e-mails that have a text.
async fn night(args: &Args, app: &App) -> Result<(Date, Vec<MailRow>), Failure> {
    let dates = match args.date {
        Some(date) => vec![date],
        None => {
            let filter = RunFilter { dag: Some(args.dag.clone()), limit: Some(NEWEST), ..RunFilter::default() };
            let runs = app.store.runs(&filter).await.map_err(unreachable)?;
            let mut dates: Vec<Date> = runs.into_iter().map(|run| run.logical_date).collect();
            dates.sort_by(|a, b| b.cmp(a));
            dates.dedup();
            dates
        }
    };
    for date in dates {
        let mut mails = app.store.mails_of(&args.dag, date).await.map_err(unreachable)?;
        mails.retain(|mail| mail.subject.is_some() && mail.state != MailState::Replaced);
        if !mails.is_empty() {
            return Ok((date, mails));
        }
    }
    let of = args.date.map_or_else(String::new, |date| format!(" for {date}"));
    let error =
        anyhow::anyhow!("`{}` has no e-mail{of}: `nocturne runs list --dag {}` shows its runs", args.dag, args.dag);
    Err(Failure::new(ExitCode::NotFound, error))
}

fn recipient(mail: &MailRow) -> RecipientShape {
    RecipientShape {
        to: masked(&mail.recipient.address),
        state: mail.state.as_str().to_owned(),
        ended_at: mail.ended_at.map(|at| at.to_string()),
        last_error: mail.last_error.clone(),
    }
}
