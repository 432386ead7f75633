//! `nocturne daemon`: runs the schedules until told to stop.

use tokio_util::sync::CancellationToken;

use super::{ExitCode, Failure, Global};
use crate::app::App;
use crate::config::Use;

/// Run the schedules of all DAGs, until told to stop.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(_: Args, global: &Global) -> Result<ExitCode, Failure> {
    let app = App::open(&global.config, Use::Nights).await?;
    let Some(lock) = app.lock()? else {
        let error = anyhow::anyhow!("another scheduler owns the data folder {}", app.config.paths.state.display());
        return Err(Failure::new(ExitCode::Owned, error));
    };
    let cancel = CancellationToken::new();
    let signal = app.cancel_on_signal(&cancel);
    app.daemon(&cancel).await?;
    drop(lock);
    // A daemon that is told to stop has done what it was asked.
    drop(signal);
    Ok(ExitCode::Done)
}
