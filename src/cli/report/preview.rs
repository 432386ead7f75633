//! `nocturne report preview`: what people are sent, over a small invented night.

use std::path::PathBuf;

use crate::app::preview;
use crate::cli::layers::load_to_look;
use crate::cli::progress::Talk;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::report::view::Verdict;

/// Make the e-mails and the report of a small invented night with the real jobs, to look at them.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// How the night ends.
    #[arg(long, value_enum, default_value_t)]
    verdict: Ending,
    /// The folder in which the pages are put.
    #[arg(long, value_name = "FOLDER", default_value = "preview")]
    to: PathBuf,
}

/// How a night ends.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Ending {
    /// All is well.
    #[default]
    Ok,
    /// Someone should look at something.
    Look,
    /// A job failed.
    Failed,
}

pub(super) async fn run(args: &Args, global: &Global) -> Result<ExitCode, Failure> {
    let (config, _) = load_to_look(&global.config)?;
    let verdict = match args.verdict {
        Ending::Ok => Verdict::Ok,
        Ending::Look => Verdict::Warning,
        Ending::Failed => Verdict::Failed,
    };
    if Talk::of(global) == Talk::Lines {
        tracing::warn!("A small invented night runs in a scratch folder; nothing leaves this machine");
    }
    let files = preview(&config, verdict, &args.to).await;
    let files = files.map_err(|error| Failure::new(ExitCode::RunFailed, error))?;
    if global.json {
        output::json(&files)?;
        return Ok(ExitCode::Done);
    }
    for file in files {
        output::line(&file.display().to_string())?;
    }
    Ok(ExitCode::Done)
}
