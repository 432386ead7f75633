//! How bodies read what is committed: tables as inputs of features, datasets as frames.
//!
//! A body reads the snapshots that its input names, never "the latest": so it reads the same at every try.

use anyhow::Context as _;
use polars::prelude::*;

use super::kind::JobContext;
use crate::canvas::contracts::contracts;
use crate::domain::lineage::{Manifest, Part};
use crate::domain::outcome::{JobError, SnapshotRef};
use crate::domain::table::TableContract;
use crate::features::{Inputs, PartFile, TableInput};
use crate::lake::{self, Dataset, LakeError};
use crate::telemetry::spawn_blocking;

/// Returns a lake error as a job's: another try helps where the store may recover.
pub(super) fn lake_error(error: LakeError) -> JobError {
    if error.is_transient() { JobError::retry(error) } else { JobError::fail(error) }
}

impl JobContext {
    /// Returns the contracts of every source's tables that have a snapshot, with it.
    pub(super) fn tables(&self) -> Result<Vec<(TableContract, SnapshotRef)>, JobError> {
        let mut found: Vec<(TableContract, SnapshotRef)> = Vec::new();
        for source in self.environment.config.sources.values() {
            let contracts =
                contracts(&source.extra, source.contracts.as_deref()).map_err(|m| JobError::Fail(m.into()))?;
            for contract in contracts {
                let snapshot = self.input.snapshot(Dataset::table(&contract.name).as_str());
                if let Some(snapshot) = snapshot.filter(|_| !found.iter().any(|(known, _)| known.name == contract.name))
                {
                    found.push((contract, snapshot.clone()));
                }
            }
        }
        if found.is_empty() {
            return Err(JobError::Fail(anyhow::anyhow!("no table was ever pulled: run a `canvas_pull` first")));
        }
        Ok(found)
    }

    /// Returns the manifest of the snapshot that the input names; `None` when the dataset has none.
    pub(super) async fn manifest(&self, dataset: &Dataset) -> Result<Option<Manifest>, JobError> {
        let Some(reference) = self.input.snapshot(dataset.as_str()) else { return Ok(None) };
        self.environment.lake.manifest(dataset, &reference.snapshot).await.map(Some).map_err(lake_error)
    }

    /// Returns all tables as inputs of features.
    pub(super) async fn feature_inputs(&self) -> Result<Inputs, JobError> {
        let mut inputs = Vec::new();
        for (contract, reference) in self.tables()? {
            let dataset = Dataset::table(&contract.name);
            let manifest = self.environment.lake.manifest(&dataset, &reference.snapshot).await.map_err(lake_error)?;
            let paths = self.environment.lake.local_parts(&dataset, &manifest.parts).await.map_err(lake_error)?;
            let first_known_at = manifest
                .instant("first_known_at")
                .with_context(|| format!("the manifest of `{dataset}` does not say when it was first known"))?;
            let parts = manifest.parts.into_iter().zip(paths).map(|(part, local)| PartFile { part, local }).collect();
            inputs.push(TableInput { contract, first_known_at, parts });
        }
        Ok(Inputs::new(inputs))
    }

    /// Returns the id of the pseudonym key under which the tables were made.
    pub(super) async fn privacy_key_id(&self) -> Result<Option<String>, JobError> {
        let Some((contract, _)) = self.tables()?.into_iter().next() else { return Ok(None) };
        Ok(self.manifest(&Dataset::table(&contract.name)).await?.and_then(|manifest| manifest.privacy_key_id))
    }

    /// Returns the rows of these parts of a dataset.
    pub(super) async fn frame(&self, dataset: &Dataset, parts: &[Part]) -> Result<Option<DataFrame>, JobError> {
        if parts.is_empty() {
            return Ok(None);
        }
        let paths = self.environment.lake.local_parts(dataset, parts).await.map_err(lake_error)?;
        let frame = spawn_blocking(move || lake::scan(&paths)?.collect()).await;
        let failed = |error| JobError::Fail(anyhow::Error::new(error).context(format!("reading `{dataset}`")));
        frame.map(Some).map_err(failed)
    }
}
