//! `nocturne daemon`: runs the schedules until told to stop.

use tokio_util::sync::CancellationToken;

use super::{ExitCode, Failure, Global};
use crate::app::{App, Interrupt};
use crate::config::Use;
use crate::engine::Stop;
use crate::store::Role;

/// Run the schedules of all DAGs, until told to stop.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Wait while another scheduler owns the state store, and take over when it ends.
    #[arg(long)]
    standby: bool,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let app = App::open(&global.config, Use::Nights).await?;
    let stop = Stop::draining(&CancellationToken::new());
    let signals = app.listen(&stop, Interrupt::Drains);
    let tenure =
        if args.standby { app.stand_by(Role::Daemon, &stop.drain).await? } else { app.own(Role::Daemon).await? };
    let Some(tenure) = tenure else {
        if stop.drain.is_cancelled() {
            return Ok(ExitCode::Done);
        }
        let error = anyhow::anyhow!(
            "another scheduler owns the data folder {} and its state store: stop it first, or start this one with --standby",
            app.config.paths.state.display()
        );
        return Err(Failure::new(ExitCode::Owned, error));
    };
    app.daemon(&tenure, &stop.drain).await?;
    // A daemon that stops when told to has succeeded.
    drop(signals);
    Ok(ExitCode::Done)
}
