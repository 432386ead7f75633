//! The rows that do not fit: kept while the pull goes on, staged with their table or at the end.

use std::collections::BTreeMap;

use anyhow::Context as _;
use polars::prelude::DataFrame;

use super::state::{Pull, Pulled};
use crate::domain::outcome::JobError;
use crate::domain::table::TableContract;
use crate::jobs::kind::JobContext;
use crate::jobs::shared::tables::lake_error;
use crate::lake::{self, Dataset, Provenance, Staging};

impl Pulled {
    /// Keeps rows that were held back; `rows` also counts those that are not kept one by one.
    pub(super) fn hold(&mut self, frame: DataFrame, rows: u64) -> anyhow::Result<()> {
        if frame.height() == 0 {
            return Ok(());
        }
        self.held_back += rows;
        match &mut self.held {
            Some(held) => held.vstack_mut(&frame).map(drop).context("keeping rows that were held back")?,
            none => *none = Some(frame),
        }
        Ok(())
    }
}

impl Pull {
    /// Stages the rows of all tables that were held back and have not been handed over with their table.
    pub(in crate::jobs) async fn stage_quarantines(&mut self, cx: &JobContext) -> Result<(), JobError> {
        for contract in self.contracts.clone() {
            self.stage_quarantine(cx, &contract).await?;
            self.stage_waiting(cx, &contract).await?;
        }
        Ok(())
    }

    /// Stages the rows of a table that were held back, with those of earlier deliveries of this run.
    pub(super) async fn stage_quarantine(&mut self, cx: &JobContext, contract: &TableContract) -> Result<(), JobError> {
        let Some(pulled) = self.tables.get_mut(contract.name.as_str()) else { return Ok(()) };
        let Some(frame) = pulled.held.take() else { return Ok(()) };
        let dataset = Dataset::quarantine(&contract.name);
        let mut staging = Staging::new(&cx.environment.lake, dataset, lake::schema(&frame));
        if let Some((_, staged)) = &pulled.quarantine {
            staged.parts.iter().for_each(|part| staging.keep(part.clone()));
        }
        staging.add(frame, BTreeMap::new()).await.map_err(lake_error)?;
        let provenance = Provenance { privacy_key_id: Some(self.key.key_id().to_owned()), ..Provenance::default() };
        let staged = staging.finish(provenance).await.map_err(lake_error)?;
        pulled.quarantine = Some((staged.reference, staged.manifest));
        pulled.is_quarantine_handed_over = false;
        Ok(())
    }
}
