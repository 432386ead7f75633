//! `nocturne completions SHELL`: completions to source or install.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, ExitCode, Failure};

/// Prints completions for a shell.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    clap_complete::generate(args.shell, &mut Cli::command(), "nocturne", &mut std::io::stdout());
    Ok(ExitCode::Done)
}
