//! What `canvas_pull` reads from: the configured folder or prefix, or the simulated institution.

use std::path::PathBuf;
use std::sync::Arc;

use crate::canvas::sim;
use crate::config::{Simulation, Source, SourceKind};
use crate::domain::outcome::JobError;
use crate::domain::source::{FileSource, SourceError};
use crate::jobs::kind::JobContext;
use crate::telemetry::spawn_blocking;

/// Returns the simulation's options as the configuration states them.
pub fn simulation_options(simulation: &Simulation) -> sim::SimOptions {
    sim::SimOptions {
        seed: simulation.seed,
        students: simulation.students,
        first_year: simulation.first_year,
        zone: simulation.zone.clone(),
        troubles: simulation.troubles.clone(),
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

/// Generates the simulated institution as of the logical date; an existing export is used again.
async fn simulate(cx: &JobContext) -> Result<PathBuf, JobError> {
    let options = simulation_options(&cx.environment.config.simulation);
    let date = cx.input.logical_date;
    let out = cx.environment.scratch()?.join("simulation").join(date.to_string());
    let folder = out.clone();
    spawn_blocking(move || sim::generate(&options, date, &folder)).await.map_err(JobError::fail)?;
    Ok(out)
}

/// Returns a source's error as a job's: another try helps where the source may recover.
pub(super) fn source_error(error: SourceError) -> JobError {
    if error.is_transient { JobError::retry(error) } else { JobError::fail(error) }
}
