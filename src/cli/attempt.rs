//! `nocturne attempt`: one attempt in a process of its own, started by a daemon or a run; hidden, and of no use by hand.
//!
//! It reads its order from standard input; its exit code says only whether it could hand its outcome over.

use super::{ExitCode, Failure};
use crate::app::child;

/// Carry one attempt out, as the parent process says.
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
    // Work that was told to stop may still block a thread, and the runtime would wait for it.
    std::process::exit(code as i32)
}
