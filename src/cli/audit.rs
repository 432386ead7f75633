//! `nocturne audit list|verify`: who did what by hand, when and why; and whether the log is intact.

use super::follow::unreachable;
use super::values::time_in;
use super::{ExitCode, Failure, Global, output};
use crate::app::App;
use crate::config::Use;
use crate::store;

/// Read and verify the audit log.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// List entries of the audit log, newest first.
    List {
        /// Show at most this many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Check that no entry of the audit log was changed, inserted or removed.
    Verify,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let app = App::open(&global.config, Use::Looking).await?;
    match args {
        Args::List { limit } => {
            let entries = app.store.audit_entries(None, limit).await.map_err(unreachable)?;
            if global.json {
                output::json(&entries)?;
                return Ok(ExitCode::Done);
            }
            let zone = &app.config.institution.timezone;
            let rows = entries.iter().map(|entry| {
                let run = entry.run_id.as_ref().map_or_else(String::new, ToString::to_string);
                vec![time_in(entry.at, zone), run, entry.entry.clone()]
            });
            output::table(&["when", "run", "what"], &[], rows.collect())?;
            Ok(ExitCode::Done)
        }
        Args::Verify => {
            let report = store::verify_audit(&app.config.state.url).await.map_err(unreachable)?;
            if global.json {
                output::json(&report)?;
            } else {
                output::line(&format!("Read {} entries: {} problems", report.entries, report.problems.len()))?;
                report.problems.iter().try_for_each(|problem| output::line(problem))?;
            }
            Ok(if report.problems.is_empty() { ExitCode::Done } else { ExitCode::RunFailed })
        }
    }
}
