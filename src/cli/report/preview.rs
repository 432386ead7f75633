//! `nocturne report preview`: what people are sent, over a small invented night.

use std::path::PathBuf;

use crate::app::{Happening, preview};
use crate::cli::layers::load_to_look;
use crate::cli::progress::Talk;
use crate::cli::{ExitCode, Failure, Global, output};

/// Make the e-mails and the report of a small invented night with the real jobs, to look at them.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// What happens in the night.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    with: With,
    /// The folder in which the pages are put.
    #[arg(long, value_name = "FOLDER", default_value = "preview")]
    to: PathBuf,
}

/// What happens in the night.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum With {
    /// Nothing.
    #[default]
    Nothing,
    /// The source has a trouble at which someone should look.
    Trouble,
    /// A job fails.
    Failure,
}

pub(super) async fn run(args: &Args, global: &Global) -> Result<ExitCode, Failure> {
    let (config, _) = load_to_look(&global.config)?;
    if Talk::of(global) == Talk::Lines {
        tracing::warn!("A small invented night runs in a scratch folder; nothing leaves this machine");
    }
    let happening = match args.with {
        With::Nothing => Happening::Nothing,
        With::Trouble => Happening::Trouble,
        With::Failure => Happening::Failure,
    };
    let files = preview(&config, happening, &args.to).await;
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
