//! `nocturne db migrate|check|backup|restore|restored`: maintains the state store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::follow::unreachable;
use super::progress::while_working;
use super::{ExitCode, Failure, Global, output};
use crate::app::App;
use crate::config::Use;
use crate::domain::clock::Clock as _;
use crate::lake::Agreement;
use crate::store::{self, CheckReport, Role, StoreError};
use crate::telemetry::{SystemClock, progress};

/// How often the size of a backup that is being written is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Maintain the state store.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// Migrate the database to this program's schema.
    Migrate,
    /// Check that the database and its audit log are intact.
    Check,
    /// Write a consistent copy of an SQLite state store, while it is in use.
    Backup {
        /// The file to write; it must not exist.
        to: PathBuf,
    },
    /// Replace an SQLite state store with a backup; the existing one is kept beside it.
    Restore {
        /// The backup, as `db backup` wrote it.
        from: PathBuf,
    },
    /// Record that a backup was restored by other means, such as `pg_restore`.
    Restored,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let (config, _) = super::layers::load(&global.config)?;
    let url = &config.state.url;
    match args {
        Args::Migrate => {
            let report = store::migrate(url).await.map_err(unreachable)?;
            if global.json {
                output::json(&report)?;
                return Ok(ExitCode::Done);
            }
            output::line(&match report.before {
                0 => format!("Made a state store with schema {}", report.now),
                before if before == report.now => format!("The schema is {before} already"),
                before => format!("Brought the schema from {before} to {}", report.now),
            })?;
        }
        Args::Check => {
            let report = while_working(global, store::check(url)).await.map_err(unreachable)?;
            show_check(&report, global)?;
            if !report.problems.is_empty() {
                return Ok(ExitCode::RunFailed);
            }
        }
        Args::Backup { to } => {
            while_working(global, backup(url, &to)).await.map_err(unreachable)?;
            if global.json {
                output::json(&serde_json::json!({ "backup": to }))?;
            } else {
                output::line(&to.display().to_string())?;
            }
        }
        Args::Restore { from } => return restore(&from, global).await,
        Args::Restored => return restored(global).await,
    }
    Ok(ExitCode::Done)
}

/// Writes a backup, and meanwhile reports how much of it there is: SQLite copies it in one statement.
async fn backup(url: &str, to: &Path) -> Result<(), StoreError> {
    let copying = store::backup(url, to);
    tokio::pin!(copying);
    loop {
        tokio::select! {
            copied = &mut copying => return copied,
            () = tokio::time::sleep(LOOK) => {
                let bytes = std::fs::metadata(to).map_or(0, |file| file.len());
                progress::report("MiB", bytes >> 20, None);
            }
        }
    }
}

fn show_check(report: &CheckReport, global: &Global) -> Result<(), Failure> {
    if global.json {
        return output::json(report);
    }
    output::line(&format!(
        "Schema {}: read {} runs, {} attempts and {} audit entries; {} problems",
        report.schema,
        report.runs,
        report.attempts,
        report.audit_entries,
        report.problems.len()
    ))?;
    report.problems.iter().try_for_each(|problem| output::line(problem))
}

/// Restores a backup while nothing owns the data folder, and checks whether the lake agrees with it.
async fn restore(from: &Path, global: &Global) -> Result<ExitCode, Failure> {
    let (config, _) = super::layers::load(&global.config)?;
    std::fs::create_dir_all(&config.paths.state).map_err(|error| Failure::new(ExitCode::Unreachable, error))?;
    let lock = store::keep_from_owners(&config.state.url).map_err(unreachable)?;
    let Some(lock) = lock else { return Err(owned(&config.paths.state)) };
    let now = SystemClock.now();
    let report = store::restore(&config.state.url, from, now).await.map_err(|error| match &error {
        StoreError::RestoreOnServer | StoreError::BackupDamaged { .. } => Failure::new(ExitCode::Refused, error),
        _ => unreachable(error),
    })?;
    if !global.json {
        output::line(&format!("{} is in its place; runs: {}, schema: {}", from.display(), report.runs, report.schema))?;
        if let Some(aside) = &report.aside {
            output::line(&format!("The state store that was there is kept as {}", aside.display()))?;
        }
    }
    let app = App::open(&global.config, Use::Acting).await?;
    let agreement = Agreed::find(&app).await?;
    drop(lock);
    if global.json {
        output::json(&serde_json::json!({ "restored": report, "agreement": agreement }))?;
    } else {
        agreement.show(&app)?;
    }
    Ok(agreement.code())
}

/// Records that a backup was restored, and checks whether the lake agrees with it.
async fn restored(global: &Global) -> Result<ExitCode, Failure> {
    let app = App::open(&global.config, Use::Acting).await?;
    let Some(tenure) = app.own(Role::Command).await? else { return Err(owned(&app.config.paths.state)) };
    app.store.note_restored(app.clock.now()).await.map_err(unreachable)?;
    let agreement = Agreed::find(&app).await?;
    app.store.resign_ownership(&tenure).await.map_err(unreachable)?;
    if global.json {
        output::json(&serde_json::json!({ "agreement": agreement }))?;
    } else {
        agreement.show(&app)?;
    }
    Ok(agreement.code())
}

/// Whether a restored state store agrees with the lake, and what it will do first.
#[derive(serde::Serialize)]
struct Agreed {
    /// E-mails that wait in it.
    waiting: usize,
    #[serde(flatten)]
    lake: Agreement,
}

impl Agreed {
    async fn find(app: &App) -> Result<Self, Failure> {
        let waiting = app.store.mail_due(Timestamp::MAX).await.map_err(unreachable)?.len();
        let lake = app.find_agreement().await.map_err(|error| Failure::new(ExitCode::Unreachable, error))?;
        Ok(Self { waiting, lake })
    }

    fn show(&self, app: &App) -> Result<(), Failure> {
        if self.waiting > 0 {
            output::line(&format!(
                "{} e-mails wait in it and go out with the next run, also those that were sent after the backup was made",
                self.waiting
            ))?;
        }
        if self.lake.is_complete() {
            let Agreement { datasets, parts, .. } = self.lake;
            return output::line(&format!("State and lake agree: {datasets} datasets, {parts} parts"));
        }
        output::line(&self.lake.advice(app.lake.url()))?;
        output::line("Until they agree nothing is collected; the next run looks again")
    }

    fn code(&self) -> ExitCode {
        if self.lake.is_complete() { ExitCode::Done } else { ExitCode::Warnings }
    }
}

fn owned(folder: &Path) -> Failure {
    let error = anyhow::anyhow!("a scheduler owns the data folder {}: stop it first", folder.display());
    Failure::new(ExitCode::Owned, error)
}
