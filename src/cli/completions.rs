//! `nocturne completions SHELL`: completions to source or install.

use clap_complete::Shell;

use super::{ExitCode, Failure};

/// Prints completions for a shell.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

/// Prints the completions for `command`, the whole command line.
pub(super) fn run(args: &Args, command: &mut clap::Command) -> Result<ExitCode, Failure> {
    clap_complete::generate(args.shell, command, "nocturne", &mut std::io::stdout());
    Ok(ExitCode::Done)
}
