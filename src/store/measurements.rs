//! Measurements: what jobs measured, night by night, as a commit writes it.
//!
//! They are written in the commit of the outcome that has them, so there is no figure of an attempt that failed. What an
//! up-to-date job repeats is not written again: nothing was measured. What an e-mail tells is written only if somebody gets
//! it, and a second e-mail of the same run replaces what the first one told. They outlive their run and are forgotten by age
//! (`keeping`). `history` reads them.

use std::collections::BTreeSet;

use super::database::{Bind, Transaction};
use super::error::StoreError;
use super::hold::Held;
use super::job_at::JobAt;
use crate::domain::measurement::Measurement;

const FORGET: &str = "DELETE FROM measurements WHERE run_id = $1 AND job = $2 AND name = $3";
const PUT: &str = include_str!("../../sql/state/measurement_put.sql");

/// Writes what an e-mail tells, in place of what an earlier one of the same run and job told.
pub(super) async fn replace(
    tx: &mut Transaction,
    run: &Held,
    at: JobAt<'_>,
    measurements: &[Measurement],
) -> Result<(), StoreError> {
    let names: BTreeSet<&str> = measurements.iter().map(|measurement| measurement.name.as_str()).collect();
    for name in names {
        tx.execute(FORGET, &[at.run_id.into(), at.job.into(), name.into()]).await?;
    }
    put(tx, run, at, measurements).await
}

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
