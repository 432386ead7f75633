//! `nocturne alerts list|show|ack|silence|history|test`: what stands, and what people do about it.

pub(in crate::cli) mod test;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::App;
use crate::cli::follow::unreachable;
use crate::cli::values::time_in;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::config::Use;
use crate::domain::alert::{Silence, StandingAlert};
use crate::domain::manual::Manual;
use crate::report::format::count_of;
use crate::store::Which;

/// List and show alerts; acknowledge and silence them.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// List the alerts that stand, newest first.
    List {
        /// Those that were resolved as well.
        #[arg(long)]
        all: bool,
        /// Show at most this many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show an alert: what was found, since when, and what to do.
    Show {
        /// Its id, as the e-mail and `alerts list` say.
        alert: String,
    },
    /// Say that somebody sees to an alert. It stands until it is found no more.
    Ack {
        /// Its id.
        alert: String,
        /// What is being done, for others to see, and for the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// Silence an alert for some days: the e-mail lists it, and asks nobody to look at it.
    Silence {
        /// Its id.
        alert: String,
        /// The first day on which it is told of again; seven days from now if not given, today to lift a silence.
        #[arg(long, value_name = "DATE")]
        until: Option<Date>,
        /// Why, for others to see, and for the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// Show what became of alerts, newest first.
    History {
        /// Only of this one.
        alert: Option<String>,
        /// Show at most this many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Send an invented alert to each recipient of a route, and say what each answered.
    Test {
        /// The route's name in `alerts.routes`.
        route: String,
    },
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let purpose = if matches!(args, Args::Ack { .. } | Args::Silence { .. }) { Use::Acting } else { Use::Looking };
    let open = || App::open(&global.config, purpose);
    match args {
        Args::List { all, limit } => {
            list(&open().await?, if all { Which::All } else { Which::Standing }, limit, global).await
        }
        Args::Show { alert } => show(&open().await?, &alert, global).await,
        Args::Ack { alert, why } => ack(&open().await?, &alert, why, global).await,
        Args::Silence { alert, until, why } => {
            let app = open().await?;
            let manual = Manual { by: app.account.clone(), why };
            let silence = Silence { until: end_of_silence(&app, until)?, manual };
            silenced(&app, &alert, &silence, global).await
        }
        Args::History { alert, limit } => history(&open().await?, alert.as_deref(), limit, global).await,
        Args::Test { route } => test::run(&route, global).await,
    }
}

async fn list(app: &App, which: Which, limit: u32, global: &Global) -> Result<ExitCode, Failure> {
    let alerts = app.store.alerts(which, limit).await.map_err(unreachable)?;
    if global.json {
        output::json(&alerts)?;
        return Ok(ExitCode::Done);
    }
    if alerts.is_empty() {
        output::line("No alert stands.")?;
        return Ok(ExitCode::Done);
    }
    let rows = alerts.iter().map(|alert| {
        let state = &alert.state;
        vec![
            state.id.clone(),
            state.severity.word().to_owned(),
            state.cause.word().to_owned(),
            state.dag.to_string(),
            state.subject.clone(),
            format!("{} ({})", state.opened_on, state.found_nights()),
            stands(app, alert),
        ]
    });
    output::table(&["alert", "severity", "cause", "dag", "about", "since (nights)", ""], &[], rows.collect())?;
    Ok(ExitCode::Done)
}

/// What became of an alert, and what people did about it.
fn stands(app: &App, alert: &StandingAlert) -> String {
    let zone = &app.config.institution.timezone;
    let resolved = alert.state.resolved_on.map(|date| format!("resolved {date}"));
    let acknowledged = alert.acknowledged.as_ref().map(|Manual { by, why }| match why {
        Some(why) => format!("{by} sees to it: {why}"),
        None => format!("{by} sees to it"),
    });
    let silenced = alert.silenced.as_ref().filter(|silence| silence.until > app.clock.now());
    let silenced = silenced.map(|silence| format!("silenced until {}", time_in(silence.until, zone)));
    [resolved, acknowledged, silenced].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

async fn show(app: &App, id: &str, global: &Global) -> Result<ExitCode, Failure> {
    let alerts = app.store.alerts(Which::All, u32::MAX).await.map_err(unreachable)?;
    let alert = alerts.into_iter().find(|alert| alert.state.id == id).ok_or_else(|| unknown(id))?;
    if global.json {
        output::json(&alert)?;
        return Ok(ExitCode::Done);
    }
    let state = &alert.state;
    output::line(&format!("{} ({}, cause: {})", state.id, state.severity.word(), state.cause.word()))?;
    output::line(&format!("  what: {}", state.message))?;
    let nights = count_of(state.found_nights() as usize, "night", "nights");
    output::line(&format!("  since: the night of {} of {}, found in {nights}", state.opened_on, state.dag))?;
    output::line(&format!("  check: {}, on {}, by the job {}", state.check, state.subject, state.job))?;
    if let Some(owner) = &state.owner {
        output::line(&format!("  owner: {owner}"))?;
    }
    if state.returns > 0 {
        output::line(&format!(
            "  came back: {} after it had been resolved",
            count_of(state.returns as usize, "time", "times")
        ))?;
    }
    output::line(&format!("  what to do: {}", state.advice))?;
    let stands = stands(app, &alert);
    if !stands.is_empty() {
        output::line(&format!("  {stands}"))?;
    }
    Ok(ExitCode::Done)
}

/// What was done about an alert, as `--json` shows it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ActShape<'a> {
    alert: &'a str,
    /// Who sees to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged: Option<&'a Manual>,
    /// Until when nobody is reminded of it, and who asked for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    silenced: Option<&'a Silence>,
}

async fn ack(app: &App, id: &str, why: Option<String>, global: &Global) -> Result<ExitCode, Failure> {
    let manual = Manual { by: app.account.clone(), why };
    if !app.store.acknowledge(id, &manual, app.clock.now()).await.map_err(unreachable)? {
        return Err(unknown(id));
    }
    let shape = ActShape { alert: id, acknowledged: Some(&manual), silenced: None };
    say(&shape, &format!("{} sees to {id}", manual.by), global)
}

/// The instant at which a silence ends: the start of a day in the institution's zone.
fn end_of_silence(app: &App, until: Option<Date>) -> Result<Timestamp, Failure> {
    let zone = &app.config.institution.timezone;
    let day = match until {
        Some(day) => day,
        None => app.today_in(zone)?.saturating_add(7.days()),
    };
    let midnight = day.in_tz(zone).map_err(|error| Failure::new(ExitCode::Usage, error))?;
    Ok(midnight.timestamp())
}

async fn silenced(app: &App, id: &str, silence: &Silence, global: &Global) -> Result<ExitCode, Failure> {
    if !app.store.silence(id, silence, app.clock.now()).await.map_err(unreachable)? {
        return Err(unknown(id));
    }
    let until = time_in(silence.until, &app.config.institution.timezone);
    let said = if silence.until > app.clock.now() {
        format!("{id} is silenced until {until}")
    } else {
        format!("{id} is not silenced any more")
    };
    say(&ActShape { alert: id, acknowledged: None, silenced: Some(silence) }, &said, global)
}

async fn history(app: &App, id: Option<&str>, limit: u32, global: &Global) -> Result<ExitCode, Failure> {
    let news = app.store.alert_history(id, limit).await.map_err(unreachable)?;
    if let Some(id) = id.filter(|_| news.is_empty()) {
        return Err(unknown(id));
    }
    if global.json {
        output::json(&news)?;
        return Ok(ExitCode::Done);
    }
    let rows =
        news.iter().map(|one| vec![one.logical_date.to_string(), one.alert.clone(), one.event.words().to_owned()]);
    output::table(&["night", "alert", "what happened"], &[], rows.collect())?;
    Ok(ExitCode::Done)
}

fn unknown(id: &str) -> Failure {
    let error = anyhow::anyhow!("no alert `{id}` stands: `nocturne alerts list` shows those that do, with `--all` all");
    Failure::new(ExitCode::NotFound, error)
}

fn say(json: &ActShape<'_>, text: &str, global: &Global) -> Result<ExitCode, Failure> {
    if global.json {
        output::json(json)?;
    } else {
        output::line(text)?;
    }
    Ok(ExitCode::Done)
}
