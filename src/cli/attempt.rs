//! `nocturne attempt`: one attempt in its own process, started by a daemon or a run; hidden, and of no use by hand.
//!
//! It reads its order from standard input; its exit code says only whether it could hand over its outcome.

use super::{ExitCode, Failure};
use crate::app::child;

/// Carry out one attempt, as the parent process orders.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(_: Args) -> Result<ExitCode, Failure> {
    let code = match child::carry_out().await {
        Ok(()) => ExitCode::Done,
        Err(error) => {
            Failure::new(ExitCode::Unreachable, error).print();
            ExitCode::Unreachable
        }
    };
    // Work that was told to stop may still block a thread, and the runtime would wait for that thread.
    std::process::exit(code as i32)
}
