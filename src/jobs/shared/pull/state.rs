//! A pull under way: its source, its deliveries, and what has become of each table so far.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use polars::prelude::{DataFrame, col};

use super::failure::Failure;
use super::findings::PullFindings;
use super::source::{open_source, source_error};
use crate::canvas::TermLookup;
use crate::canvas::contracts::Contracts;
use crate::canvas::delivery::{Delivery, DeliveryError, find_deliveries};
use crate::canvas::identity::Identities;
use crate::canvas::privacy::{PrivacyKey, SourceNature, gate};
use crate::config::SourceKind;
use crate::domain::check::{Action, Finding};
use crate::domain::lineage::Manifest;
use crate::domain::outcome::{JobError, SnapshotRef};
use crate::domain::quarantine::Ledger;
use crate::domain::rule::Rule;
use crate::domain::source::FileSource;
use crate::domain::table::{TERM, TableContract};
use crate::jobs::kind::JobContext;
use crate::jobs::shared::rules::rules;
use crate::jobs::shared::tables::lake_error;
use crate::lake::waiting::Waiting;
use crate::lake::{Dataset, versions};
use crate::telemetry::spawn_blocking;

/// A pull under way.
pub(in crate::jobs) struct Pull {
    pub(super) source_name: String,
    pub(in crate::jobs) source: Arc<dyn FileSource>,
    pub(in crate::jobs) deliveries: Vec<Delivery>,
    /// Every contract of the source.
    pub(super) known: Contracts,
    /// Those of the tables asked for, in reading order.
    pub(in crate::jobs) contracts: Vec<TableContract>,
    pub(super) nature: SourceNature,
    pub(in crate::jobs) key: PrivacyKey,
    pub(super) terms: Arc<TermLookup>,
    pub(in crate::jobs) tables: BTreeMap<String, Pulled>,
    pub(super) findings: PullFindings,
    /// The quality rules that judge a delivery where it comes in, and the start of the logical date, as of which they see
    /// it.
    pub(in crate::jobs) rules: Vec<Rule>,
    pub(super) start: Timestamp,
}

/// What became of a table.
#[derive(Debug, Clone, Default)]
pub(in crate::jobs) struct Pulled {
    pub(super) reference: Option<SnapshotRef>,
    pub(in crate::jobs) manifest: Option<Manifest>,
    /// The rows that were held back in this run, as they are staged.
    pub(super) quarantine: Option<(SnapshotRef, Manifest)>,
    pub(super) is_quarantine_handed_over: bool,
    /// The rows that were held back and have not been staged yet.
    pub(super) held: Option<DataFrame>,
    /// The rows that rules hold back, the ledger as it was before this run, and what of it is to be staged and committed.
    pub(super) waiting: Waiting,
    pub(super) ledger_before: Ledger,
    pub(super) is_waiting_changed: bool,
    pub(super) waiting_staged: Option<SnapshotRef>,
    /// New entries of the identity map that have not been handed over yet.
    pub(super) identities: Identities,
    /// Why the last delivery of the table could not be used; a later usable one makes up for it.
    pub(super) failure: Option<Failure>,
    pub(in crate::jobs) cursor: Option<Timestamp>,
    pub(in crate::jobs) is_changed: bool,
    /// Whether a delivery of it was taken in by this run; what waited may change it without one.
    pub(in crate::jobs) is_delivered: bool,
    /// The delivery that this attempt took in last.
    pub(super) came: Option<Timestamp>,
    /// Whether what has changed is committed, as a part of the outcome.
    pub(super) is_handed_over: bool,
    pub(in crate::jobs) is_stale: bool,
    pub(in crate::jobs) held_back: u64,
    pub(in crate::jobs) opened: u64,
    pub(in crate::jobs) closed: u64,
    /// Rows as they were delivered, and those of them whose key came again later in the same delivery.
    pub(in crate::jobs) delivered: u64,
    pub(in crate::jobs) duplicates: u64,
    pub(in crate::jobs) rows_before: Option<u64>,
}

impl Pull {
    /// Opens the source `name` for `tables`, or for all that it has, with the deliveries that the night covers.
    pub(in crate::jobs) async fn open(name: &str, tables: &[String], cx: &JobContext) -> Result<Self, JobError> {
        let config = &cx.environment.config;
        let configured = config.sources.get(name).with_context(|| {
            let known: Vec<&str> = config.sources.keys().map(String::as_str).collect();
            format!("there is no source `{name}` in the configuration; there are: {}", known.join(", "))
        })?;
        let nature = match configured.kind {
            SourceKind::Simulation => SourceNature::Simulation,
            SourceKind::Files if configured.anonymous => SourceNature::Anonymous,
            SourceKind::Files => SourceNature::Real,
        };
        let key = gate(name, nature, cx.environment.privacy_key.as_ref()).map_err(JobError::fail)?;
        let source = open_source(configured, cx).await?;
        let contracts = Contracts::load(&configured.extra, configured.contracts.as_deref());
        let known = contracts.map_err(|mistakes| JobError::Fail(mistakes.into()))?;
        if let Some(stranger) = tables.iter().find(|table| known.find(table).is_none()) {
            let names: Vec<&str> = known.iter().map(|contract| contract.name.as_str()).collect();
            return Err(JobError::Fail(anyhow::anyhow!(
                "the source `{name}` has no table `{stranger}`; it has {}",
                names.join(", ")
            )));
        }
        let deliveries = find_deliveries(&*source, &known, configured.at).await.map_err(delivery_error)?;
        let deliveries = due(deliveries, end_of_night(cx)?);
        let contracts = known.clone().only(tables);
        let contracts = contracts.in_reading_order().into_iter().cloned().collect();
        Ok(Self {
            source_name: name.to_owned(),
            source,
            deliveries,
            known,
            contracts,
            nature,
            key,
            terms: Arc::default(),
            tables: BTreeMap::new(),
            findings: PullFindings::default(),
            rules: rules(cx)?
                .into_iter()
                .filter(|rule| matches!(rule.action, Action::StopTable | Action::QuarantineRows))
                .collect(),
            start: start_of_night(cx)?,
        })
    }

    /// Fills the term lookup from the committed tables, for deliveries that bring no courses or enrolments.
    pub(in crate::jobs) async fn learn_terms(&mut self, cx: &JobContext) -> Result<(), JobError> {
        let lake = &cx.environment.lake;
        let mut terms = TermLookup::default();
        for contract in self.known.iter().filter(|contract| TermLookup::is_taught_by(contract)) {
            let Some(key) = contract.key.first().cloned() else { continue };
            let dataset = Dataset::table(&contract.name);
            let standing = cx.input.snapshot(dataset.as_str());
            let taken_in = self.tables.get(contract.name.as_str()).and_then(|pulled| pulled.reference.as_ref());
            let Some(reference) = taken_in.or(standing) else { continue };
            let manifest = lake.manifest(&dataset, &reference.snapshot).await.map_err(lake_error)?;
            let Some(rows) = lake.current_rows(&dataset, &manifest).await.map_err(lake_error)? else { continue };
            let frame = spawn_blocking(move || rows.select([col(key), col(TERM)]).collect())
                .await
                .context("reading the terms of what stands")?;
            terms.learn(contract, &frame).context("reading the terms of what stands")?;
        }
        self.terms = Arc::new(terms);
        Ok(())
    }

    /// Returns all findings, by delivery and table.
    pub(in crate::jobs) fn all_findings(&self) -> Vec<Finding> {
        self.findings.all()
    }

    /// Adds what was found in a table of a delivery.
    pub(super) fn add_findings(&mut self, at: Timestamp, contract: &TableContract, findings: Vec<Finding>) {
        let place = self.place(contract);
        self.findings.add(at, place, findings);
    }

    /// Adds the findings about the pull as a whole, after everything else.
    pub(super) fn add_last_findings(&mut self, findings: Vec<Finding>) {
        self.findings.add(Timestamp::MAX, usize::MAX, findings);
    }

    pub(super) fn place(&self, contract: &TableContract) -> usize {
        let place = self.contracts.iter().position(|known| known.name == contract.name);
        place.map_or(usize::MAX, |place| place + 1)
    }

    /// The name of the table's cursor.
    pub(in crate::jobs) fn cursor_name(&self, contract: &TableContract) -> String {
        format!("{}/{}", self.source_name, contract.name)
    }

    /// Returns the time up to which a table had been taken in before this run.
    pub(super) fn cursor(&self, cx: &JobContext, contract: &TableContract) -> Result<Option<Timestamp>, JobError> {
        let name = self.cursor_name(contract);
        let Some(text) = cx.input.cursors.get(&name) else { return Ok(None) };
        Ok(Some(read_cursor(&name, text)?))
    }
}

impl Pulled {
    /// Whether it has changed in a way that is not committed yet.
    fn is_to_hand_over(&self) -> bool {
        self.is_changed && !self.is_handed_over
    }

    /// Whether the delivery of `at` has changed it in a way that is not committed yet. What is changed by nothing but rows
    /// that waited is committed with the next delivery, or at the end.
    pub(super) fn is_to_hand_over_with(&self, at: Timestamp) -> bool {
        self.came == Some(at) && self.is_to_hand_over()
    }

    /// Notes that a delivery was taken in.
    pub(super) fn took_in(&mut self, at: Timestamp) {
        (self.is_delivered, self.came) = (true, Some(at));
    }

    /// Whether what waits has changed in a way that is not committed yet.
    pub(in crate::jobs) fn has_new_waiting(&self) -> bool {
        self.is_waiting_changed || self.waiting_staged.is_some()
    }

    /// The snapshots to commit: from now on they count as handed over.
    pub(in crate::jobs) fn take_snapshots(&mut self) -> Vec<SnapshotRef> {
        let quarantine = self.quarantine.as_ref().filter(|_| !self.is_quarantine_handed_over);
        let table = self.reference.as_ref().filter(|_| self.is_to_hand_over() || self.is_stale);
        let table = table.map(|reference| SnapshotRef { stale: self.is_stale, ..reference.clone() });
        let taken = table.into_iter().chain(quarantine.map(|(reference, _)| reference.clone()));
        let taken = taken.chain(self.waiting_staged.take()).collect();
        (self.is_handed_over, self.is_quarantine_handed_over) = (true, true);
        taken
    }
}

/// Returns how many current rows a table has.
pub(in crate::jobs) fn standing_rows(manifest: &Manifest) -> u64 {
    versions::current_parts(manifest).map(|part| part.rows).sum()
}

/// The deliveries that the night covers: those up to its end or, where the source begins later, its first. What was
/// delivered later is left for its own night.
fn due(mut deliveries: Vec<Delivery>, until: Timestamp) -> Vec<Delivery> {
    let in_time = deliveries.iter().filter(|delivery| delivery.mode.known_at() <= until).count();
    deliveries.truncate(in_time.max(1));
    deliveries
}

/// The start of the logical date.
fn start_of_night(cx: &JobContext) -> Result<Timestamp, JobError> {
    let midnight = cx.input.logical_date.in_tz(&cx.input.timezone).context("the DAG's time zone")?;
    Ok(midnight.timestamp())
}

fn end_of_night(cx: &JobContext) -> Result<Timestamp, JobError> {
    let next = cx.input.logical_date.tomorrow().context("the logical date is the last there is")?;
    let midnight = next.in_tz(&cx.input.timezone).context("the DAG's time zone")?;
    Ok(midnight.timestamp())
}

fn delivery_error(error: DeliveryError) -> JobError {
    match error {
        DeliveryError::Source(error) => source_error(error),
        error => JobError::fail(error),
    }
}

/// Reads a cursor. One that is not a time must not be taken for a source never read: its history would start again.
fn read_cursor(name: &str, text: &str) -> anyhow::Result<Timestamp> {
    text.parse().with_context(|| {
        format!("the cursor `{name}` in the state store is `{text}`, which is not a time; restore the state store")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_that_is_not_a_time_is_an_error_that_names_it() {
        let error = read_cursor("canvas/users", "yesterday").unwrap_err().to_string();

        assert!(error.contains("`canvas/users`") && error.contains("`yesterday`"), "{error}");
        assert!(read_cursor("canvas/users", "2026-11-20T00:00:00Z").is_ok());
    }
}
