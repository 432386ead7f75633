//! Measurements: what jobs measured, night by night, as a commit writes it.
//!
//! They are written in the commit of the outcome that has them, so there is no figure of an attempt that failed. What an
//! up-to-date job repeats is not written again: nothing was measured. They outlive their run and are forgotten by age
//! (`keeping`). `history` reads them.

use super::database::{Bind, Transaction};
use super::error::StoreError;
use super::hold::Held;
use super::job_at::JobAt;
use crate::domain::measurement::Measurement;

const PUT: &str = include_str!("../../sql/state/measurement_put.sql");

/// Writes the measurements of an outcome.
pub(super) async fn put(
    tx: &mut Transaction,
    run: &Held,
    at: JobAt<'_>,
    measurements: &[Measurement],
) -> Result<(), StoreError> {
    let date = run.date.to_string();
    let mut sorted: Vec<_> = measurements.iter().collect();
    sorted.sort_by(|a, b| (&a.name, &a.dimensions).cmp(&(&b.name, &b.dimensions)));
    for measurement in sorted {
        let labels = tx.json("the labels of a measurement", &measurement.dimensions)?;
        let binds = [
            at.run_id.into(),
            at.job.into(),
            (&measurement.name).into(),
            (&labels).into(),
            (&run.dag).into(),
            (&date).into(),
            Bind::Number(measurement.value),
            (&measurement.unit).into(),
            at.now.into(),
        ];
        tx.execute(PUT, &binds).await?;
    }
    Ok(())
}
