//! Keeping state, logs and scratch within their limits, once a day, and checking whether state and lake agree.
//!
//! The owner of the data folder calls [`App::keep_within_limits`], as often as it likes. `domain::keeping` decides what
//! may be removed. After a backup has been restored, nothing is removed until the lake holds everything that the state
//! names. What fails here is logged and never fails a night.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use tracing::{error, info, warn};

use super::App;
use crate::domain::keeping::{
    LogFolder, LogLimits, LogsOfRuns, RunLimits, ScratchEntry, days_before, logs_that_go, runs_that_go,
    scratch_that_goes,
};
use crate::lake::Agreement;
use crate::store::{Cuts, Forgotten, RunFilter};
use crate::telemetry::spawn_blocking;

/// How often what is beyond its limits is removed.
const PERIOD: SignedDuration = SignedDuration::from_hours(24);

/// The scratch folders in which attempts leave files that begin with their names. The lake's cache is not among them.
const SCRATCH: [&str; 2] = ["outcomes", "processes"];

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Runs.
    pub runs: u64,
    /// Rows of the state store other than those of the runs.
    pub rows: Forgotten,
    /// Folders of logs.
    pub logs: u64,
    /// Entries of scratch.
    pub scratch: u64,
}

impl App {
    /// Removes what is beyond its limits, at most once a day, and logs what was removed in one line. Only the owner of
    /// the data folder may call it.
    pub async fn keep_within_limits(&self) {
        match self.remove_if_due().await {
            Ok(None) => {}
            Ok(Some(removed)) => info!(
                runs = removed.runs,
                events = removed.rows.events,
                outcomes = removed.rows.outcomes,
                mail_bodies = removed.rows.mail_bodies,
                other_rows = removed.rows.others,
                log_folders = removed.logs,
                scratch = removed.scratch,
                "Removed what is beyond the limits of `[retention]`"
            ),
            Err(failure) => error!("Removing what is beyond its limits: {failure:#}"),
        }
    }

    /// Checks whether the lake holds everything that the state store says is current; if so, garbage may be collected
    /// again after a restore.
    ///
    /// # Errors
    /// When the state store or the lake cannot be read.
    pub async fn find_agreement(&self) -> anyhow::Result<Agreement> {
        let agreement = self.lake.agreement(self.store.snapshots().await?.values()).await?;
        if agreement.is_complete() && !self.store.is_collecting_allowed().await? {
            self.store.note_agreement(self.clock.now()).await?;
            info!("State and lake agree after the backup was put back");
        }
        Ok(agreement)
    }

    async fn remove_if_due(&self) -> anyhow::Result<Option<Removed>> {
        let now = self.clock.now();
        // A mark in the future comes from a clock that was wrong: it must not put this off for ever.
        let is_fresh = |at: Timestamp| at <= now && now.duration_since(at) < PERIOD;
        if self.store.kept_at().await?.is_some_and(is_fresh) {
            return Ok(None);
        }
        if !self.store.is_collecting_allowed().await? {
            let agreement = self.find_agreement().await?;
            if !agreement.is_complete() {
                warn!("Nothing is removed: {}", agreement.advice(self.lake.url()));
                return Ok(None);
            }
        }
        let removed = self.remove(now).await?;
        self.store.note_kept(now).await?;
        Ok(Some(removed))
    }

    async fn remove(&self, now: Timestamp) -> anyhow::Result<Removed> {
        let kept = &self.config.retention;
        let mut removed = Removed::default();
        let limits = RunLimits { days: kept.run_days, at_most: kept.runs, at_least: kept.runs_at_least };
        let mut deleted = BTreeSet::new();
        for run_id in runs_that_go(&self.store.stored_runs().await?, limits, now) {
            if self.store.delete_run(&run_id).await? {
                deleted.insert(run_id.to_string());
                removed.runs += 1;
            }
        }
        let cuts = Cuts {
            events: days_before(now, kept.event_days),
            outcomes: days_before(now, kept.outcome_days),
            mail_bodies: days_before(now, kept.mail_days),
            slots: days_before(now, kept.run_days),
            measurements: days_before(now, kept.measurement_days),
        };
        removed.rows = self.store.forget(&cuts).await?;

        let open = self.store.runs(&RunFilter { open: true, ..RunFilter::default() }).await?;
        let open: BTreeSet<String> = open.into_iter().map(|run| run.run_id.to_string()).collect();
        let running = self.store.running_attempts().await?;
        let limits =
            LogLimits { days: kept.log_days, runs: kept.log_runs, bytes: u64::from(kept.log_mib) * 1024 * 1024 };
        let (logs, scratch) = (self.config.paths.logs.clone(), self.config.paths.scratch.clone());
        (removed.logs, removed.scratch) = spawn_blocking(move || {
            let mut gone = 0;
            let of_runs = LogsOfRuns { folders: &log_folders(&logs), open: &open, deleted: &deleted };
            for name in logs_that_go(of_runs, limits, now) {
                gone += remove_entry(&logs.join(name));
            }
            let mut scratch_gone = 0;
            for folder in SCRATCH.map(|folder| scratch.join(folder)) {
                for name in scratch_that_goes(&scratch_entries(&folder), &running, now) {
                    scratch_gone += remove_entry(&folder.join(name));
                }
            }
            (gone, scratch_gone)
        })
        .await;
        Ok(removed)
    }
}

/// Lists the folders of logs. One that disappears meanwhile is ignored.
fn log_folders(logs: &Path) -> Vec<LogFolder> {
    let mut folders = Vec::new();
    for (name, path) in entries(logs) {
        if !path.is_dir() {
            continue;
        }
        let files: Vec<_> = entries(&path).into_iter().filter_map(|(_, file)| std::fs::metadata(file).ok()).collect();
        let written_at =
            files.iter().filter_map(changed_at).chain(std::fs::metadata(&path).ok().as_ref().and_then(changed_at));
        let Some(written_at) = written_at.max() else { continue };
        folders.push(LogFolder { name, written_at, bytes: files.iter().map(std::fs::Metadata::len).sum() });
    }
    folders
}

fn scratch_entries(folder: &Path) -> Vec<ScratchEntry> {
    let entry = |(name, path)| {
        let changed_at = changed_at(&std::fs::symlink_metadata(path).ok()?)?;
        Some(ScratchEntry { name, changed_at })
    };
    entries(folder).into_iter().filter_map(entry).collect()
}

fn entries(folder: &Path) -> Vec<(String, std::path::PathBuf)> {
    let found = std::fs::read_dir(folder).into_iter().flatten().flatten();
    // A name that is not UTF-8 belongs to nothing that this program knows.
    found.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect()
}

fn changed_at(meta: &std::fs::Metadata) -> Option<Timestamp> {
    Timestamp::try_from(meta.modified().ok()?).ok()
}

/// Removes a file or a folder; returns how many were removed.
fn remove_entry(path: &Path) -> u64 {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Ok(()) => 1,
        Err(error) => {
            warn!(%error, path = %path.display(), "Could not remove what is beyond its limits");
            0
        }
    }
}
