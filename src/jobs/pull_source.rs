//! What `canvas_pull` reads from: the configured folder or prefix, or the simulated institution; and whether what
//! was read is what the delivery states.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use super::kind::JobContext;
use crate::canvas::{LocalFile, TableReading, sim};
use crate::config::{Simulation, Source, SourceKind};
use crate::domain::outcome::JobError;
use crate::domain::source::FileSource;
use crate::telemetry::spawn_blocking;

/// Returns the simulation's options as the configuration states them.
pub fn simulation_options(simulation: &Simulation) -> sim::SimOptions {
    sim::SimOptions {
        seed: simulation.seed,
        students: simulation.students,
        first_year: simulation.first_year,
        zone: simulation.zone.clone(),
        ..sim::SimOptions::default()
    }
}

/// Opens a source; the simulation is generated first.
pub(super) async fn open_source(configured: &Source, cx: &JobContext) -> Result<Arc<dyn FileSource>, JobError> {
    let root = match configured.kind {
        SourceKind::Simulation => simulate(cx).await?.display().to_string(),
        SourceKind::Files => configured.path.clone().unwrap_or_default(),
    };
    (cx.environment.open_source)(root).await.map_err(JobError::Fail)
}

/// Generates the simulated institution as of the logical date; an export that is there already is used again.
async fn simulate(cx: &JobContext) -> Result<PathBuf, JobError> {
    let options = simulation_options(&cx.environment.config.simulation);
    let date = cx.input.logical_date;
    let out = cx.environment.scratch()?.join("simulation").join(date.to_string());
    let folder = out.clone();
    spawn_blocking(move || sim::generate(&options, date, &folder)).await.map_err(JobError::fail)?;
    Ok(out)
}

/// Holds what was read against what the delivery's manifest states.
pub(super) fn check_stated(
    reading: &TableReading,
    rows: Option<u64>,
    sha256: Option<&str>,
    files: &[LocalFile],
) -> anyhow::Result<()> {
    if let (Some(stated), [file]) = (sha256, files) {
        let found = file_hash(&file.local).with_context(|| format!("reading {}", file.path))?;
        anyhow::ensure!(
            found == stated,
            "{} does not have the hash that the manifest states: fetch it again",
            file.path
        );
    }
    let found = (reading.rows.height() + reading.deleted.height() + reading.quarantine.height()) as u64;
    if let Some(stated) = rows {
        anyhow::ensure!(
            found == stated,
            "the manifest states {stated} rows and the files hold {found}: fetch them again"
        );
    }
    Ok(())
}

fn file_hash(path: &std::path::Path) -> std::io::Result<String> {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    let mut file = std::fs::File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = std::io::Read::read(&mut file, &mut buffer)?;
        if read == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&buffer[..read]);
    }
}
