//! `nocturne dags pause|resume`: suspends a schedule, for example over the summer.

use crate::app::App;
use crate::cli::follow::unreachable;
use crate::cli::values::time_in;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::config::Use;
use crate::domain::manual::Manual;
use crate::store::Pause;

/// Pause a DAG's schedule: its slots are skipped, and no e-mail is owed for them. Runs under way continue to their end.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PauseArgs {
    /// The DAG.
    dag: String,
    /// Why, for others to see, and for the audit log.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

/// Resume a DAG's schedule, from its next slot on.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ResumeArgs {
    /// The DAG.
    dag: String,
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

pub(super) async fn pause(args: PauseArgs, global: &Global) -> Result<ExitCode, Failure> {
    let app = App::open(&global.config, Use::Acting).await?;
    let dag = app.dag_with(&args.dag, &[])?;
    let manual = Manual { by: app.account.clone(), why: args.why };
    if !app.store.pause(&dag.name, &manual, app.clock.now()).await.map_err(unreachable)? {
        let error = anyhow::anyhow!("`{}` is paused already: `nocturne dags show {}`", dag.name, dag.name);
        return Err(Failure::new(ExitCode::Refused, error));
    }
    let said = format!("{0} is paused; `nocturne dags resume {0}` lets it run again", dag.name);
    say(&serde_json::json!({ "dag": dag.name, "paused": manual }), &said, global)
}

pub(super) async fn resume(args: ResumeArgs, global: &Global) -> Result<ExitCode, Failure> {
    let app = App::open(&global.config, Use::Acting).await?;
    let dag = app.dag_with(&args.dag, &[])?;
    let manual = Manual { by: app.account.clone(), why: args.why };
    if !app.store.resume(&dag.name, &manual, app.clock.now()).await.map_err(unreachable)? {
        let error = anyhow::anyhow!("`{}` is not paused", dag.name);
        return Err(Failure::new(ExitCode::Refused, error));
    }
    let next = super::list::next(&dag).map(|at| time_in(at, &dag.timezone));
    let said = match &next {
        Some(next) => format!("{} is resumed; it runs next on {next}", dag.name),
        None => format!("{} is resumed", dag.name),
    };
    say(&serde_json::json!({ "dag": dag.name, "paused": null }), &said, global)
}

fn say(json: &serde_json::Value, text: &str, global: &Global) -> Result<ExitCode, Failure> {
    if global.json {
        output::json(json)?;
    } else {
        output::line(text)?;
    }
    Ok(ExitCode::Done)
}

/// Returns a line about a pause.
pub(in crate::cli) fn paused_words(pause: &Pause, zone: &str) -> String {
    let why = pause.manual.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    format!("{} is paused since {} by {}{why}", pause.dag, time_in(pause.since, zone), pause.manual.by)
}
