//! How a `canvas_pull` commits table by table, and continues where an earlier attempt of its run was interrupted.
//!
//! Each table of a delivery is a part of the outcome, named `<delivery's time> <table>`; what a delivery says of itself
//! is a part too. A part holds everything that the rest of the pull and its report need from it: the snapshots, the
//! cursor, the findings, and the counts as a fact. An attempt that finds parts from its run starts after them, and its
//! outcome says what it would have said without the interruption.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::findings::DELIVERY;
use super::state::{Pull, Pulled};
use crate::canvas::delivery::Delivery;
use crate::canvas::identity::stage_identities;
use crate::domain::outcome::{JobError, Outcome};
use crate::domain::quarantine::Ledger;
use crate::domain::table::TableContract;
use crate::jobs::kind::JobContext;
use crate::jobs::shared::facts::{PULL_PROGRESS, Progress};
use crate::jobs::shared::tables::lake_error;
use crate::lake::Dataset;
use crate::telemetry::spawn_blocking;

/// A part of the outcome that an earlier attempt of this run has committed.
struct Committed<'a> {
    progress: Progress,
    part: &'a Outcome,
}

impl Pull {
    /// Takes up what earlier attempts of this run have committed.
    pub(in crate::jobs) async fn take_up(&mut self, cx: &JobContext) -> Result<(), JobError> {
        // The time up to which this source had been taken in.
        for contract in self.known.iter() {
            self.findings.taken_before = self.findings.taken_before.max(self.cursor(cx, contract)?);
        }
        let mut parts = Vec::with_capacity(cx.input.parts.len());
        for (name, part) in &cx.input.parts {
            let progress = PULL_PROGRESS.of(part)?.with_context(|| {
                format!("the part `{name}` that an earlier attempt committed does not say how far it was")
            })?;
            parts.push(Committed { progress, part });
        }
        parts.sort_by_key(|committed| committed.progress.at);
        for committed in parts {
            let Committed { progress, part } = &committed;
            self.findings.taken_before = progress.taken_before;
            let Some(table) = progress.table.clone() else {
                self.findings.introduced.insert(progress.at);
                self.findings.add(progress.at, DELIVERY, part.findings.clone());
                continue;
            };
            let Some(contract) = self.contracts.iter().find(|contract| contract.name.as_str() == table).cloned() else {
                continue;
            };
            self.findings.add(progress.at, self.place(&contract), part.findings.clone());
            let before = self.tables.remove(&table).unwrap_or_default();
            let taken_up = self.taken_up(cx, &contract, &committed, before).await?;
            self.tables.insert(table, taken_up);
        }
        Ok(())
    }

    async fn taken_up(
        &self,
        cx: &JobContext,
        contract: &TableContract,
        committed: &Committed<'_>,
        before: Pulled,
    ) -> Result<Pulled, JobError> {
        let Committed { progress, part } = committed;
        let lake = &cx.environment.lake;
        let (table, quarantine) = (Dataset::table(&contract.name), Dataset::quarantine(&contract.name));
        let committed = |dataset: &Dataset| part.snapshots.iter().find(|found| found.dataset == dataset.as_str());
        let reference = committed(&table).context("a part that an earlier attempt committed lacks its table")?;
        let manifest = lake.manifest(&table, &reference.snapshot).await.map_err(lake_error)?;
        let held = match committed(&quarantine) {
            Some(held) => {
                let manifest = lake.manifest(&quarantine, &held.snapshot).await.map_err(lake_error)?;
                Some((held.clone(), manifest))
            }
            None => before.quarantine,
        };
        Ok(Pulled {
            reference: Some(reference.clone()),
            manifest: Some(manifest),
            quarantine: held,
            cursor: Some(progress.at),
            is_changed: true,
            is_delivered: true,
            is_handed_over: true,
            is_quarantine_handed_over: true,
            held_back: progress.held_back,
            opened: progress.opened,
            closed: progress.closed,
            delivered: progress.delivered,
            duplicates: progress.duplicates,
            rows_before: progress.rows_before,
            waiting: self.waiting_before(cx, contract).await?,
            ledger_before: progress.ledger_before.clone(),
            ..Pulled::default()
        })
    }

    /// Commits the findings about a delivery as a whole, once: if it was taken in on another night, they were committed
    /// then.
    pub(in crate::jobs) async fn introduce(&mut self, cx: &JobContext, delivery: &Delivery) -> Result<(), JobError> {
        let at = delivery.mode.known_at();
        let is_old = self.findings.taken_before.is_some_and(|taken| at <= taken);
        if is_old || delivery.findings.is_empty() || !self.findings.introduced.insert(at) {
            return Ok(());
        }
        self.findings.add(at, DELIVERY, delivery.findings.clone());
        let progress = Progress {
            at,
            table: None,
            taken_before: self.findings.taken_before,
            opened: 0,
            closed: 0,
            delivered: 0,
            duplicates: 0,
            held_back: 0,
            rows_before: None,
            ledger_before: Ledger::default(),
        };
        let part = Outcome { findings: delivery.findings.clone(), ..Outcome::default() };
        self.commit_part(cx, at.to_string(), part, &progress).await
    }

    /// Commits what a delivery has made of a table, if it has made anything.
    pub(in crate::jobs) async fn hand_over(
        &mut self,
        cx: &JobContext,
        contract: &TableContract,
        delivery: &Delivery,
    ) -> Result<(), JobError> {
        let at = delivery.mode.known_at();
        let name = contract.name.to_string();
        if !self.tables.get(&name).is_some_and(|pulled| pulled.is_to_hand_over_with(at)) {
            return Ok(());
        }
        self.stage_quarantine(cx, contract).await?;
        self.stage_waiting(cx, contract).await?;
        let findings = self.findings.of(at, self.place(contract));
        let (source, cursor_name) = (self.findings.taken_before, self.cursor_name(contract));
        let Some(pulled) = self.tables.get_mut(&name) else { return Ok(()) };
        let part_name = format!("{at} {name}");
        let new = std::mem::take(&mut pulled.identities);
        let identities = if new.is_empty() {
            None
        } else {
            let staged = format!("{}.{name}.{}", cx.input.attempt_name(), at.as_microsecond());
            let (folder, key, file) = (cx.environment.config.paths.state.clone(), self.key.clone(), staged.clone());
            spawn_blocking(move || stage_identities(&folder, &key, &file, &new)).await.map_err(JobError::fail)?;
            Some(staged)
        };
        let progress = Progress {
            at,
            table: Some(name),
            taken_before: source,
            opened: pulled.opened,
            closed: pulled.closed,
            delivered: pulled.delivered,
            duplicates: pulled.duplicates,
            held_back: pulled.held_back,
            rows_before: pulled.rows_before,
            ledger_before: pulled.ledger_before.clone(),
        };
        let part = Outcome {
            summary: format!("{} as of {at}", contract.name),
            snapshots: pulled.take_snapshots(),
            cursors: BTreeMap::from([(cursor_name, at.to_string())]),
            findings,
            identities,
            ..Outcome::default()
        };
        self.commit_part(cx, part_name, part, &progress).await
    }

    async fn commit_part(
        &self,
        cx: &JobContext,
        name: String,
        mut part: Outcome,
        progress: &Progress,
    ) -> Result<(), JobError> {
        PULL_PROGRESS.leave(&mut part, progress)?;
        cx.parts.commit(&name, part).await
    }
}
