//! `nocturne report show|preview|send`: what people are sent.

mod preview;
mod send;
mod show;

pub(super) use send::SentShape;
pub(super) use show::ReportShape;

use super::{ExitCode, Failure, Global};

/// Show what people were told, preview what they are sent, and hand over what waits.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// Show the e-mail of a night: its text, or its HTML in a file.
    Show(show::Args),
    /// Make the e-mails and the report of a small invented night with the real jobs, to look at them.
    Preview(preview::Args),
    /// Hand over the e-mails that wait in the outbox now, whenever their next try was to be.
    Send(send::Args),
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    match args {
        Args::Show(args) => show::run(&args, global).await,
        Args::Preview(args) => preview::run(&args, global).await,
        Args::Send(args) => send::run(&args, global).await,
    }
}
