//! How a `canvas_pull` commits table by table, and goes on where an earlier attempt of its run was cut off.
//!
//! Each table of a delivery is a part of the outcome, named `<delivery's time> <table>`; what a delivery says of itself
//! is one too. A part holds all that the rest of the pull and its report need of it: the snapshots, the cursor, the
//! findings, and the counts as a fact. An attempt that finds parts of its run begins after them, and its outcome says
//! what it would have said without the break.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::canvas_pull::Pull;
use super::kind::JobContext;
use super::pull_table::Pulled;
use super::shared::tables::lake_error;
use crate::canvas::delivery::Delivery;
use crate::canvas::identity::stage_identities;
use crate::domain::check::Finding;
use crate::domain::outcome::{JobError, Outcome, SnapshotRef};
use crate::domain::table::TableContract;
use crate::lake::Dataset;
use crate::telemetry::spawn_blocking;

/// The fact under which a part keeps what its snapshots and cursors do not say.
const PROGRESS_FACT: &str = "pull_progress";

/// How far a pull is with a part.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    /// The delivery's time.
    at: Timestamp,
    /// The table; `None`: the delivery itself.
    table: Option<String>,
    /// Up to when anything of the source was taken in before this run.
    taken_before: Option<Timestamp>,
    opened: u64,
    closed: u64,
    held_back: u64,
    rows_before: Option<u64>,
}

/// The findings of a pull, in one order whatever was cut off: by delivery, then by table.
#[derive(Debug, Default)]
pub(super) struct Told {
    findings: BTreeMap<(Timestamp, usize), Vec<Finding>>,
    /// The deliveries that have said what they say of themselves.
    introduced: BTreeSet<Timestamp>,
    /// Up to when anything of the source was taken in before this run.
    taken_before: Option<Timestamp>,
}

/// The place of what a delivery says of itself, before all its tables.
const DELIVERY: usize = 0;

impl Told {
    fn add(&mut self, at: Timestamp, place: usize, findings: Vec<Finding>) {
        if !findings.is_empty() {
            self.findings.entry((at, place)).or_default().extend(findings);
        }
    }

    fn of(&self, at: Timestamp, place: usize) -> Vec<Finding> {
        self.findings.get(&(at, place)).cloned().unwrap_or_default()
    }

    /// Returns all of them.
    pub(super) fn all(&self) -> Vec<Finding> {
        self.findings.values().flatten().cloned().collect()
    }
}

impl Pull {
    /// Takes up what earlier attempts of this run have committed.
    pub(super) async fn take_up(&mut self, cx: &JobContext) -> Result<(), JobError> {
        self.told.taken_before = self.newest_cursor(cx);
        let mut parts = Vec::with_capacity(cx.input.parts.len());
        for (name, part) in &cx.input.parts {
            let progress = part.facts.get(PROGRESS_FACT).cloned().unwrap_or_default();
            let progress: Progress = serde_json::from_value(progress)
                .with_context(|| format!("reading the part `{name}` that an earlier attempt committed"))?;
            parts.push((progress, part));
        }
        parts.sort_by_key(|(progress, _)| progress.at);
        for (progress, part) in parts {
            self.told.taken_before = progress.taken_before;
            let Some(table) = progress.table.clone() else {
                self.told.introduced.insert(progress.at);
                self.told.add(progress.at, DELIVERY, part.findings.clone());
                continue;
            };
            let Some(contract) = self.contracts.iter().find(|contract| contract.name.as_str() == table).cloned() else {
                continue;
            };
            self.told.add(progress.at, self.place(&contract), part.findings.clone());
            let before = self.tables.remove(&table).unwrap_or_default();
            let taken_up = self.taken_up(cx, &contract, part, &progress, before).await?;
            self.tables.insert(table, taken_up);
        }
        Ok(())
    }

    async fn taken_up(
        &self,
        cx: &JobContext,
        contract: &TableContract,
        part: &Outcome,
        progress: &Progress,
        before: Pulled,
    ) -> Result<Pulled, JobError> {
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
            is_handed_over: true,
            is_quarantine_handed_over: true,
            held_back: progress.held_back,
            opened: progress.opened,
            closed: progress.closed,
            rows_before: progress.rows_before,
            ..Pulled::default()
        })
    }

    /// Tells what a delivery says of itself, once: a delivery that was taken in on another night told it then.
    pub(super) async fn introduce(&mut self, cx: &JobContext, delivery: &Delivery) -> Result<(), JobError> {
        let at = delivery.mode.known_at();
        let is_old = self.told.taken_before.is_some_and(|taken| at <= taken);
        if is_old || delivery.findings.is_empty() || !self.told.introduced.insert(at) {
            return Ok(());
        }
        self.told.add(at, DELIVERY, delivery.findings.clone());
        let progress = Progress {
            at,
            table: None,
            taken_before: self.told.taken_before,
            opened: 0,
            closed: 0,
            held_back: 0,
            rows_before: None,
        };
        let part = Outcome { findings: delivery.findings.clone(), ..Outcome::default() };
        self.commit_part(cx, at.to_string(), part, &progress).await
    }

    /// Tells what was found in a table of a delivery.
    pub(super) fn tell(&mut self, at: Timestamp, contract: &TableContract, findings: Vec<Finding>) {
        let place = self.place(contract);
        self.told.add(at, place, findings);
    }

    /// Tells what is about the pull as a whole, after everything else.
    pub(super) fn tell_last(&mut self, findings: Vec<Finding>) {
        self.told.add(Timestamp::MAX, usize::MAX, findings);
    }

    /// Commits what a delivery has made of a table, if it has made anything.
    pub(super) async fn hand_over(
        &mut self,
        cx: &JobContext,
        contract: &TableContract,
        delivery: &Delivery,
    ) -> Result<(), JobError> {
        let at = delivery.mode.known_at();
        let name = contract.name.to_string();
        if !self.tables.get(&name).is_some_and(Pulled::is_to_hand_over) {
            return Ok(());
        }
        self.stage_quarantine(cx, contract).await?;
        let findings = self.told.of(at, self.place(contract));
        let (source, cursor_name) = (self.told.taken_before, self.cursor_name(contract));
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
            held_back: pulled.held_back,
            rows_before: pulled.rows_before,
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
        let fact = serde_json::to_value(progress).map_err(|error| JobError::Fail(error.into()))?;
        part.facts.insert(PROGRESS_FACT.to_owned(), fact);
        cx.parts.commit(&name, part).await
    }

    /// Up to when anything of this source was taken in.
    fn newest_cursor(&self, cx: &JobContext) -> Option<Timestamp> {
        let taken = self.known.iter().filter_map(|contract| cx.input.cursors.get(&self.cursor_name(contract)));
        taken.filter_map(|cursor| cursor.parse().ok()).max()
    }

    fn place(&self, contract: &TableContract) -> usize {
        let place = self.contracts.iter().position(|known| known.name == contract.name);
        place.map_or(usize::MAX, |place| place + 1)
    }
}

impl Pulled {
    /// Whether a delivery has made something of it that is not committed yet.
    fn is_to_hand_over(&self) -> bool {
        self.is_changed && !self.is_handed_over
    }

    /// The snapshots to commit: from now on they count as handed over.
    pub(super) fn take_snapshots(&mut self) -> Vec<SnapshotRef> {
        let quarantine = self.quarantine.as_ref().filter(|_| !self.is_quarantine_handed_over);
        let table = self.reference.as_ref().filter(|_| self.is_to_hand_over() || self.is_stale);
        let table = table.map(|reference| SnapshotRef { stale: self.is_stale, ..reference.clone() });
        let taken = table.into_iter().chain(quarantine.map(|(reference, _)| reference.clone())).collect();
        (self.is_handed_over, self.is_quarantine_handed_over) = (true, true);
        taken
    }
}
