//! `nocturne report send`: what people are sent.

mod send;

use super::{ExitCode, Failure, Global};

/// Hand over the e-mails that wait.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// Hand over the e-mails that wait in the outbox now, whenever their next try was to be.
    Send(send::Args),
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    match args {
        Args::Send(args) => send::run(&args, global).await,
    }
}
