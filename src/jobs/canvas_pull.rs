//! `canvas_pull`: reads what a source has delivered and makes new versions of the tables.
//!
//! Reads the source's deliveries that are newer than each table's cursor; writes `restricted/tables/<table>` and, for
//! rows that do not fit, `restricted/quarantine/<table>`. Each table of a delivery is committed as soon as it is done:
//! what is cut off later is not read again. Another try makes sense when the source or the lake could not be reached.
//! A table whose delivery is damaged keeps its last good snapshot, marked stale; without one the job fails, after it has
//! renewed the others. A delivery later than the night of the logical date is left for its own night, unless it is the
//! source's first.
//!
//! ```toml
//! [jobs.pull]
//! kind = "canvas_pull"
//! with = { source = "canvas" }
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{JobContext, JobKind};
use super::pull_parts::Told;
use super::pull_source::open_source;
use super::pull_table::{Pulled, source_error, standing_rows};
use super::shared::tables::lake_error;
use crate::canvas::TermLookup;
use crate::canvas::contracts::Contracts;
use crate::canvas::delivery::{Delivery, DeliveryError, find_deliveries};
use crate::canvas::privacy::{PrivacyKey, SourceNature, gate};
use crate::config::SourceKind;
use crate::domain::fingerprint::DependsOn;
use crate::domain::measurement::Measurement;
use crate::domain::outcome::{JobError, Outcome};
use crate::domain::source::FileSource;
use crate::domain::table::{TERM, TableContract};
use crate::lake::{self, Dataset, versions};
use crate::report::view::TableView;
use crate::telemetry::spawn_blocking;

/// The kind.
pub(super) struct CanvasPull;

/// The parameters of `canvas_pull`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// The source, by its name in the configuration (`sources.<name>`).
    source: String,
    /// Only these tables; without it all that the source has.
    #[serde(default)]
    tables: Vec<String>,
}

/// The fact under which the tables' views are left for the report.
pub(super) const TABLES_FACT: &str = "tables";

/// The fact that tells which date a pull was for.
const DATE_FACT: &str = "pull_date";

#[async_trait]
impl JobKind for CanvasPull {
    const NAME: &'static str = "canvas_pull";
    const SUMMARY: &'static str = "Reads what a source has delivered and makes new versions of the tables.";
    const EXAMPLE: &'static str = r#"
        [jobs.pull]
        kind = "canvas_pull"
        with = { source = "canvas" }
    "#;
    type Params = Params;

    async fn inputs(params: &Params, cx: &JobContext) -> Result<Option<DependsOn>, JobError> {
        let pull = Pull::open(params, cx).await?;
        let contracts = serde_json::to_string(&pull.contracts).map_err(|error| JobError::Fail(error.into()))?;
        let fixed =
            DependsOn::default().with("the pseudonym key", pull.key.key_id()).with("the tables' contracts", contracts);
        Ok(Some(pull.deliveries.iter().fold(fixed, |inputs, delivery| {
            let holds = format!("{:?} {:?} {:?}", delivery.mode, delivery.unchanged, delivery.tables);
            inputs.with(delivery.shown(), holds)
        })))
    }

    async fn run(params: Params, cx: &JobContext) -> Result<Outcome, JobError> {
        let mut pull = Pull::open(&params, cx).await?;
        pull.take_up(cx).await?;
        for delivery in std::mem::take(&mut pull.deliveries) {
            pull.learn_terms(cx).await?;
            pull.introduce(cx, &delivery).await?;
            // What other tables' rows get their terms from is committed last: an attempt that begins in the middle of
            // a delivery learns the same terms from what stands as the one before it.
            let (teaching, others): (Vec<_>, Vec<_>) =
                pull.contracts.clone().into_iter().partition(TermLookup::is_taught_by);
            for contract in teaching.iter().chain(&others) {
                cx.go_on()?;
                pull.table(cx, contract, &delivery).await?;
                if !TermLookup::is_taught_by(contract) {
                    pull.hand_over(cx, contract, &delivery).await?;
                }
            }
            for contract in &teaching {
                pull.hand_over(cx, contract, &delivery).await?;
            }
        }
        pull.settle_failures()?;
        pull.stage_quarantines(cx).await?;
        pull.outcome(cx)
    }
}

/// A pull under way.
pub(super) struct Pull {
    pub(super) source_name: String,
    pub(super) source: Arc<dyn FileSource>,
    deliveries: Vec<Delivery>,
    /// Every contract of the source.
    pub(super) known: Contracts,
    /// Those of the tables asked for, in reading order.
    pub(super) contracts: Vec<TableContract>,
    pub(super) nature: SourceNature,
    pub(super) key: PrivacyKey,
    pub(super) terms: Arc<TermLookup>,
    pub(super) tables: BTreeMap<String, Pulled>,
    pub(super) told: Told,
}

impl Pull {
    async fn open(params: &Params, cx: &JobContext) -> Result<Self, JobError> {
        let config = &cx.environment.config;
        let configured = config.sources.get(&params.source).with_context(|| {
            let known: Vec<&str> = config.sources.keys().map(String::as_str).collect();
            format!("there is no source `{}` in the configuration; there are: {}", params.source, known.join(", "))
        })?;
        let nature = match configured.kind {
            SourceKind::Simulation => SourceNature::Simulation,
            SourceKind::Files if configured.anonymous => SourceNature::Anonymous,
            SourceKind::Files => SourceNature::Real,
        };
        let key = gate(&params.source, nature, cx.environment.privacy_key.as_ref()).map_err(JobError::fail)?;
        let source = open_source(configured, cx).await?;
        let contracts = Contracts::load(&configured.extra, configured.contracts.as_deref());
        let known = contracts.map_err(|mistakes| JobError::Fail(mistakes.into()))?;
        if let Some(stranger) = params.tables.iter().find(|table| known.find(table).is_none()) {
            let names: Vec<&str> = known.iter().map(|contract| contract.name.as_str()).collect();
            return Err(JobError::Fail(anyhow::anyhow!(
                "the source `{}` has no table `{stranger}`; it has {}",
                params.source,
                names.join(", ")
            )));
        }
        let deliveries = find_deliveries(&*source, &known, configured.at).await.map_err(delivery_error)?;
        let deliveries = due(deliveries, end_of_night(cx)?);
        let contracts = known.clone().only(&params.tables);
        let contracts = contracts.in_reading_order().into_iter().cloned().collect();
        Ok(Self {
            source_name: params.source.clone(),
            source,
            deliveries,
            known,
            contracts,
            nature,
            key,
            terms: Arc::default(),
            tables: BTreeMap::new(),
            told: Told::default(),
        })
    }

    /// Fills the term lookup from what stands, for deliveries that bring no courses or enrolments.
    async fn learn_terms(&mut self, cx: &JobContext) -> Result<(), JobError> {
        let lake = &cx.environment.lake;
        let mut terms = TermLookup::default();
        for contract in self.known.iter().filter(|contract| TermLookup::is_taught_by(contract)) {
            let Some(key) = contract.key.first().cloned() else { continue };
            let dataset = Dataset::table(&contract.name);
            let standing = cx.input.snapshot(dataset.as_str());
            let taken_in = self.tables.get(contract.name.as_str()).and_then(|pulled| pulled.reference.as_ref());
            let Some(reference) = taken_in.or(standing) else { continue };
            let manifest = lake.manifest(&dataset, &reference.snapshot).await.map_err(lake_error)?;
            let current: Vec<_> = manifest.parts_where(versions::VERSIONS, "current").cloned().collect();
            let paths = lake.local_parts(&dataset, &current).await.map_err(lake_error)?;
            if paths.is_empty() {
                continue;
            }
            let frame = spawn_blocking(move || {
                lake::scan(&paths)?.select([polars::prelude::col(key), polars::prelude::col(TERM)]).collect()
            })
            .await
            .context("reading the terms of what stands")?;
            terms.learn(contract, &frame).context("reading the terms of what stands")?;
        }
        self.terms = Arc::new(terms);
        Ok(())
    }

    /// The outcome: what the parts say together, and what is not handed over.
    fn outcome(mut self, cx: &JobContext) -> Result<Outcome, JobError> {
        if let Some(again) = self.nothing_new(cx) {
            return Ok(again);
        }
        let mut outcome = Outcome { findings: self.told.all(), ..Outcome::default() };
        let mut views = Vec::new();
        let mut held_back = 0;
        for contract in &self.contracts {
            let Some(pulled) = self.tables.get_mut(contract.name.as_str()) else { continue };
            outcome.snapshots.extend(pulled.take_snapshots());
            let Some(manifest) = &pulled.manifest else { continue };
            held_back += pulled.held_back;
            let rows = standing_rows(manifest);
            views.push(TableView {
                name: contract.name.to_string(),
                rows,
                change: pulled
                    .rows_before
                    .map(|before| i64::try_from(rows).unwrap_or(i64::MAX) - i64::try_from(before).unwrap_or(i64::MAX)),
                newest_event: manifest.instant("newest_event"),
                is_stale: pulled.is_stale,
                held_back: pulled.held_back,
            });
            outcome
                .measurements
                .push(Measurement::new("table.rows", rows as f64).unit("rows").of("table", &contract.name));
            outcome
                .measurements
                .push(Measurement::new("table.opened", pulled.opened as f64).unit("rows").of("table", &contract.name));
            outcome
                .measurements
                .push(Measurement::new("table.closed", pulled.closed as f64).unit("rows").of("table", &contract.name));
            if let Some(cursor) = pulled.cursor {
                outcome.cursors.insert(self.cursor_name(contract), cursor.to_string());
            }
        }
        if views.is_empty() {
            return Err(JobError::Fail(anyhow::anyhow!(
                "nothing was pulled from {}: its deliveries up to the night of {} hold none of the tables asked for",
                self.source.root(),
                cx.input.logical_date
            )));
        }
        let rows: u64 = views.iter().map(|view| view.rows).sum();
        let stale = views.iter().filter(|view| view.is_stale).count();
        outcome.summary = format!("{} tables  {} rows  {held_back} held back", views.len(), super::thousands(rows));
        if stale > 0 {
            outcome.summary.push_str(&format!("  {stale} stale"));
        }
        let fact = serde_json::to_value(&views).map_err(|error| JobError::Fail(error.into()))?;
        outcome.facts.insert(TABLES_FACT.to_owned(), fact);
        outcome.facts.insert(DATE_FACT.to_owned(), cx.input.logical_date.to_string().into());
        Ok(outcome)
    }

    /// What this job said of the same date before, when no delivery has come since: a forced night tells the same.
    fn nothing_new(&self, cx: &JobContext) -> Option<Outcome> {
        let is_new = |table: &Pulled| table.is_changed || table.is_stale;
        let before = cx.input.last_success.clone()?;
        let is_same_date = before.facts.get(DATE_FACT)? == &cx.input.logical_date.to_string();
        (is_same_date && !self.tables.values().any(is_new)).then(|| Outcome {
            snapshots: Vec::new(),
            cursors: BTreeMap::new(),
            ..before
        })
    }
}

/// The deliveries that the night is about: those up to its end; where the source begins later, its first. What was
/// delivered later is left for its own night.
fn due(mut deliveries: Vec<Delivery>, until: Timestamp) -> Vec<Delivery> {
    let in_time = deliveries.iter().filter(|delivery| delivery.mode.known_at() <= until).count();
    deliveries.truncate(in_time.max(1));
    deliveries
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
