//! Measurements: what jobs measured, night by night, as a commit writes it.
//!
//! They are written in the commit of the outcome that has them, so there is no figure of an attempt that failed. What an
//! up-to-date job repeats is not written again: nothing was measured. What an e-mail tells is written only if somebody gets
//! it, and a second e-mail about the same night replaces what the first one told. They outlive their run and are forgotten by age
//! (`keeping`). `history` reads them.

use std::collections::BTreeSet;

use super::database::{Bind, Transaction};
use super::error::StoreError;
use super::hold::Held;
use super::job_at::JobAt;
use crate::domain::measurement::Measurement;

const FORGET: &str = "DELETE FROM measurements WHERE dag = $1 AND logical_date = $2 AND job = $3 AND name = $4";
const HAS_MEASURED: &str =
    "SELECT name FROM measurements WHERE dag = $1 AND logical_date = $2 AND job = $3 AND run_id <> $4 LIMIT 1";
const PUT: &str = include_str!("../../sql/state/measurement_put.sql");

/// Returns whether another run has measured something in this job for this night.
pub(super) async fn has_measured(tx: &mut Transaction, run: &Held, at: JobAt<'_>) -> Result<bool, StoreError> {
    let date = run.date.to_string();
    let binds = [(&run.dag).into(), (&date).into(), at.job.into(), at.run_id.into()];
    Ok(tx.row(HAS_MEASURED, &binds).await?.is_some())
}

/// Writes what an e-mail tells, in place of what an earlier one of the same job told of the same night.
pub(super) async fn replace(
    tx: &mut Transaction,
    run: &Held,
    at: JobAt<'_>,
    measurements: &[Measurement],
) -> Result<(), StoreError> {
    let names: BTreeSet<&str> = measurements.iter().map(|measurement| measurement.name.as_str()).collect();
    let date = run.date.to_string();
    for name in names {
        tx.execute(FORGET, &[(&run.dag).into(), (&date).into(), at.job.into(), name.into()]).await?;
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
