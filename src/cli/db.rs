//! `nocturne db migrate|check|backup`: looking after the state store.

use std::path::PathBuf;

use super::follow::unreachable;
use super::{ExitCode, Failure, Global, output};
use crate::store;

/// Look after the state store.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// Bring the database to this program's version.
    Migrate,
    /// Check that the database is whole and its audit log unbroken.
    Check,
    /// Write a consistent copy of an SQLite state store, while it is in use.
    Backup {
        /// The file to write; it must not exist.
        to: PathBuf,
    },
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let (config, _) = super::config::load(&global.config)?;
    let url = &config.state.url;
    match args {
        Args::Migrate => {
            let report = store::migrate(url).await.map_err(unreachable)?;
            output::line(&format!("{report:?}"))?;
        }
        Args::Check => {
            let report = store::check(url).await.map_err(unreachable)?;
            output::line(&format!("{report:#?}"))?;
            if !report.problems.is_empty() {
                return Ok(ExitCode::RunFailed);
            }
        }
        Args::Backup { to } => {
            store::backup(url, &to).await.map_err(unreachable)?;
            output::line(&to.display().to_string())?;
        }
    }
    Ok(ExitCode::Done)
}
