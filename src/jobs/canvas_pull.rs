//! `canvas_pull`: reads what a source has delivered and makes new versions of the tables.
//!
//! Reads the source's deliveries that are newer than each table's cursor; writes `restricted/tables/<table>` and, for
//! rows that do not fit, `restricted/quarantine/<table>`. Another try makes sense when the source or the lake could
//! not be reached. A table whose delivery is damaged keeps its last good snapshot, marked stale; without one the job
//! fails. A delivery later than the night of the logical date is left for its own night, unless it is a table's first.
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
use polars::prelude::{DataFrame, DataType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::kind::{JobContext, JobKind};
use super::pull_source::{check_stated, open_source};
use super::tables::lake_error;
use crate::canvas::contracts::contracts;
use crate::canvas::delivery::{self, Delivery, TableFiles};
use crate::canvas::privacy::{NamesNobody, PrivacyError, PrivacyKey, key_for};
use crate::canvas::{LocalFile, TableReading, TermLookup, key_contract, read_table};
use crate::config::SourceKind;
use crate::domain::check::{Finding, Severity};
use crate::domain::ids::content_hash;
use crate::domain::lineage::{Manifest, ManifestColumn};
use crate::domain::measurement::Measurement;
use crate::domain::outcome::{JobError, Outcome, SnapshotRef};
use crate::domain::source::{FileSource, SourceError};
use crate::domain::table::{KNOWN_FROM, KNOWN_TO, TERM, TableContract};
use crate::lake::versions::{self, Extent};
use crate::lake::{self, Dataset, Provenance, Staging};
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

    async fn inputs(params: &Params, cx: &JobContext) -> Result<Option<String>, JobError> {
        let pull = Pull::open(params, cx).await?;
        let files: Vec<String> = pull
            .deliveries
            .iter()
            .filter(|delivery| delivery.at <= pull.until || pull.is_first(cx))
            .flat_map(|delivery| delivery.tables.values().flat_map(|table| &table.files))
            .map(|file| format!("{} {} {}", file.path, file.size_bytes, file.tag))
            .collect();
        let contracts = serde_json::to_string(&pull.contracts).map_err(|error| JobError::Fail(error.into()))?;
        Ok(Some(format!("{}\n{}\n{}", pull.key.id(), content_hash(contracts.as_bytes()), files.join("\n"))))
    }

    async fn run(params: Params, cx: &JobContext) -> Result<Outcome, JobError> {
        let mut pull = Pull::open(&params, cx).await?;
        pull.learn_terms(cx).await?;
        for delivery in std::mem::take(&mut pull.deliveries) {
            for stray in &delivery.strays {
                pull.findings.push(Finding::new(
                    Severity::Info,
                    "delivery.stray_file",
                    stray.clone(),
                    format!("`{stray}` belongs to no table and was not read"),
                    "Move it into a table's folder, or out of the delivery",
                ));
            }
            for contract in pull.contracts.clone() {
                cx.go_on()?;
                pull.table(cx, &contract, &delivery).await?;
            }
        }
        pull.outcome(cx)
    }
}

/// A pull under way.
struct Pull {
    source_name: String,
    source: Arc<dyn FileSource>,
    deliveries: Vec<Delivery>,
    contracts: Vec<TableContract>,
    key: PrivacyKey,
    /// The end of the logical date's night: what was delivered later is left for its own night.
    until: Timestamp,
    terms: TermLookup,
    tables: BTreeMap<String, Pulled>,
    findings: Vec<Finding>,
}

/// What became of a table.
#[derive(Debug, Clone, Default)]
struct Pulled {
    reference: Option<SnapshotRef>,
    manifest: Option<Manifest>,
    quarantine: Option<SnapshotRef>,
    cursor: Option<Timestamp>,
    is_changed: bool,
    is_stale: bool,
    held_back: u64,
    opened: u64,
    closed: u64,
    rows_before: Option<u64>,
}

impl Pull {
    async fn open(params: &Params, cx: &JobContext) -> Result<Self, JobError> {
        let config = &cx.environment.config;
        let configured = config.sources.get(&params.source).with_context(|| {
            let known: Vec<&str> = config.sources.keys().map(String::as_str).collect();
            format!("there is no source `{}` in the configuration; there are: {}", params.source, known.join(", "))
        })?;
        let names_nobody = match configured.kind {
            SourceKind::Simulation => NamesNobody::Yes,
            SourceKind::Files if configured.anonymous => NamesNobody::Yes,
            SourceKind::Files => NamesNobody::No,
        };
        let key = key_for(&params.source, names_nobody, cx.environment.privacy_key.as_ref()).map_err(JobError::fail)?;
        let source = open_source(configured, cx).await?;
        let mut contracts =
            contracts(&configured.extra, configured.contracts.as_deref()).map_err(|m| JobError::Fail(m.into()))?;
        contracts.retain(|contract| {
            params.tables.is_empty() || params.tables.iter().any(|table| table == contract.name.as_str())
        });
        let deliveries = delivery::find(&*source, configured.at).await.map_err(delivery_error)?;
        Ok(Self {
            source_name: params.source.clone(),
            source,
            deliveries,
            contracts,
            key,
            until: end_of_night(cx)?,
            terms: TermLookup::default(),
            tables: BTreeMap::new(),
            findings: Vec::new(),
        })
    }

    /// Whether nothing of this source was ever pulled.
    fn is_first(&self, cx: &JobContext) -> bool {
        !cx.input.cursors.keys().any(|cursor| cursor.starts_with(&format!("{}/", self.source_name)))
    }

    /// Fills the term lookup from what stands, for deliveries that bring no courses or enrolments.
    async fn learn_terms(&mut self, cx: &JobContext) -> Result<(), JobError> {
        for table in ["courses", "enrollments"] {
            let Some(contract) = self.contracts.iter().find(|contract| contract.name.as_str() == table) else {
                continue;
            };
            let dataset = Dataset::table(&contract.name);
            let Some(reference) = cx.input.snapshot(dataset.as_str()) else { continue };
            let lake = &cx.environment.lake;
            let manifest = lake.manifest(&dataset, &reference.snapshot).await.map_err(lake_error)?;
            let current: Vec<_> = manifest.parts_where(versions::VERSIONS, "current").cloned().collect();
            let paths = lake.local_parts(&dataset, &current).await.map_err(lake_error)?;
            if paths.is_empty() {
                continue;
            }
            let frame = spawn_blocking(move || {
                lake::scan(&paths)?.select([polars::prelude::col("id"), polars::prelude::col(TERM)]).collect()
            })
            .await
            .context("reading the terms of what stands")?;
            self.terms.learn(table, &frame).context("reading the terms of what stands")?;
        }
        Ok(())
    }

    async fn table(&mut self, cx: &JobContext, contract: &TableContract, delivery: &Delivery) -> Result<(), JobError> {
        let name = contract.name.as_str();
        let mut pulled = match self.tables.remove(name) {
            Some(pulled) => pulled,
            None => self.standing(cx, contract).await?,
        };
        let result = self.deliver(cx, contract, delivery, &mut pulled).await;
        match result {
            Ok(()) => {}
            Err(TableError::Job(error)) => return Err(error),
            Err(TableError::Damaged(error)) if pulled.manifest.is_some() => {
                warn!(table = name, "{error:#}");
                pulled.is_stale = true;
                self.findings.push(Finding::new(
                    Severity::Warning,
                    "table.stale",
                    name,
                    format!("`{name}` could not be renewed: {error:#}"),
                    "The last good snapshot stands in for it; deliver the table again and rerun the night",
                ));
            }
            Err(TableError::Damaged(error)) => {
                return Err(JobError::Fail(
                    error.context(format!("pulling `{name}`, of which there is no earlier snapshot")),
                ));
            }
        }
        self.tables.insert(name.to_owned(), pulled);
        Ok(())
    }

    /// What stands of a table when the pull begins.
    async fn standing(&self, cx: &JobContext, contract: &TableContract) -> Result<Pulled, JobError> {
        let dataset = Dataset::table(&contract.name);
        let Some(reference) = cx.input.snapshot(dataset.as_str()) else { return Ok(Pulled::default()) };
        let manifest = cx.environment.lake.manifest(&dataset, &reference.snapshot).await.map_err(lake_error)?;
        if let Some(before) = manifest.privacy_key_id.as_ref().filter(|before| *before != self.key.id()) {
            return Err(JobError::fail(PrivacyError::OtherKey {
                dataset: dataset.to_string(),
                before: before.clone(),
                now: self.key.id().to_owned(),
            }));
        }
        let cursor = cx.input.cursors.get(&self.cursor_name(contract)).and_then(|cursor| cursor.parse().ok());
        Ok(Pulled {
            rows_before: Some(standing_rows(&manifest)),
            reference: Some(reference.clone()),
            manifest: Some(manifest),
            cursor,
            ..Pulled::default()
        })
    }

    fn cursor_name(&self, contract: &TableContract) -> String {
        format!("{}/{}", self.source_name, contract.name)
    }

    /// Takes a delivery of one table in, when it is its turn.
    async fn deliver(
        &mut self,
        cx: &JobContext,
        contract: &TableContract,
        delivery: &Delivery,
        pulled: &mut Pulled,
    ) -> Result<(), TableError> {
        let name = contract.name.as_str();
        match (pulled.cursor, delivery.since) {
            (Some(cursor), _) if delivery.at <= cursor => return Ok(()),
            (Some(_), _) if delivery.at > self.until => return Ok(()),
            (Some(cursor), Some(since)) if since > cursor => {
                return Err(TableError::Damaged(anyhow::anyhow!(
                    "its changes begin at {since}, and the table is known up to {cursor}: a delivery between the two is missing"
                )));
            }
            (None, Some(since)) if delivery.tables.contains_key(name) => {
                return Err(TableError::Damaged(anyhow::anyhow!(
                    "the first delivery holds only changes since {since}: a full export must come first"
                )));
            }
            _ => {}
        }
        let Some(files) = delivery.tables.get(name) else {
            return self.nothing_came(cx, contract, delivery, pulled).await;
        };
        let reading = self.read(cx, contract, delivery, files).await?;
        self.findings.extend(reading.findings.iter().cloned());
        pulled.held_back += reading.quarantine.height() as u64;
        if reading.rows.height() == 0
            && delivery.since.is_none()
            && pulled.manifest.as_ref().is_some_and(|m| standing_rows(m) > 0)
        {
            return Err(TableError::Damaged(anyhow::anyhow!("its full export is empty, and the table had rows")));
        }
        self.terms.learn(name, &reading.rows).context("learning the terms of courses and enrolments")?;
        if reading.quarantine.height() > 0 {
            pulled.quarantine = Some(self.stage_quarantine(cx, contract, reading.quarantine).await?);
        }
        let extent = if delivery.since.is_some() { Extent::Changes } else { Extent::Full };
        let newest = newest_event(contract, &reading.rows, delivery.at);
        let merge = versions::Delivery { rows: reading.rows, deleted: reading.deleted, extent, at: delivery.at };
        self.merge(cx, contract, merge, newest, pulled).await
    }

    /// A table of which a delivery brings nothing: unchanged in changes, missing in a full export.
    async fn nothing_came(
        &mut self,
        cx: &JobContext,
        contract: &TableContract,
        delivery: &Delivery,
        pulled: &mut Pulled,
    ) -> Result<(), TableError> {
        if delivery.since.is_none() {
            self.findings.push(Finding::new(
                Severity::Warning,
                "delivery.table_missing",
                contract.name.as_str(),
                format!("the full export of {} has no `{}`", delivery.at, contract.name),
                "Ask for the table to be exported, or leave it out of the job's `tables`",
            ));
            pulled.is_stale = pulled.manifest.is_some();
            return Ok(());
        }
        let Some(manifest) = pulled.manifest.clone() else { return Ok(()) };
        let staging = {
            let mut staging =
                Staging::new(&cx.environment.lake, Dataset::table(&contract.name), manifest.schema.clone());
            manifest.parts.iter().for_each(|part| staging.keep(part.clone()));
            staging
        };
        self.finish(staging, delivery.at, None, pulled).await
    }

    async fn read(
        &self,
        cx: &JobContext,
        contract: &TableContract,
        delivery: &Delivery,
        files: &TableFiles,
    ) -> Result<TableReading, TableError> {
        if files.files.is_empty() {
            return Err(TableError::Damaged(anyhow::anyhow!(
                "the manifest of `{}` states {} rows and there is no file of them",
                delivery.folder,
                files.rows.unwrap_or_default()
            )));
        }
        let mut local = Vec::new();
        for file in &files.files {
            let path = self.source.local_copy(file).await.map_err(source_error)?;
            local.push(LocalFile { path: file.path.clone(), local: path });
        }
        cx.go_on()?;
        let (stated_rows, stated_hash) = (files.rows, files.sha256.clone());
        let (contract, key, terms) = (contract.clone(), self.key.clone(), self.terms.clone());
        let read = spawn_blocking(move || {
            let keys = key_contract(&contract);
            let reading = read_table(&contract, &keys, &local, &key, &terms)?;
            check_stated(&reading, stated_rows, stated_hash.as_deref(), &local)?;
            Ok::<_, anyhow::Error>(reading)
        });
        read.await.map_err(TableError::Damaged)
    }

    async fn merge(
        &self,
        cx: &JobContext,
        contract: &TableContract,
        delivery: versions::Delivery,
        newest: Option<Timestamp>,
        pulled: &mut Pulled,
    ) -> Result<(), TableError> {
        let lake = &cx.environment.lake;
        let dataset = Dataset::table(&contract.name);
        let parts = pulled.manifest.as_ref().map(|manifest| manifest.parts.clone()).unwrap_or_default();
        let paths = lake.local_parts(&dataset, &parts).await.map_err(lake_error)?;
        let standing: Vec<_> = parts.into_iter().zip(paths).collect();
        let (at, schema) = (delivery.at, table_schema(&delivery.rows));
        let merge_contract = contract.clone();
        let merged = spawn_blocking(move || versions::merge(&merge_contract, &standing, &delivery))
            .await
            .with_context(|| format!("merging the delivery of {at} into `{}`", contract.name))?;
        let mut staging = Staging::new(lake, dataset, schema);
        merged.kept.into_iter().for_each(|part| staging.keep(part));
        for (frame, partition) in merged.new {
            cx.go_on()?;
            staging.add(frame, partition).await.map_err(lake_error)?;
        }
        pulled.opened += merged.opened;
        pulled.closed += merged.closed;
        self.finish(staging, at, newest, pulled).await
    }

    async fn finish(
        &self,
        staging: Staging<'_>,
        at: Timestamp,
        newest: Option<Timestamp>,
        pulled: &mut Pulled,
    ) -> Result<(), TableError> {
        let mut facts = pulled.manifest.as_ref().map(|manifest| manifest.facts.clone()).unwrap_or_default();
        facts.entry("first_known_at".to_owned()).or_insert_with(|| at.to_string());
        facts.insert("known_at".to_owned(), at.to_string());
        if let Some(newest) = newest {
            let before = facts.get("newest_event").and_then(|before| before.parse().ok());
            facts.insert(
                "newest_event".to_owned(),
                before.map_or(newest, |before: Timestamp| before.max(newest)).to_string(),
            );
        }
        let staged = staging
            .finish(Provenance {
                code_hash: env!("CARGO_PKG_VERSION").to_owned(),
                privacy_key_id: Some(self.key.id().to_owned()),
                facts,
                ..Provenance::default()
            })
            .await
            .map_err(lake_error)?;
        info!(dataset = %staged.reference.dataset, rows = staged.reference.rows, "Staged snapshot `{}`", staged.reference.snapshot);
        pulled.reference = Some(staged.reference);
        pulled.manifest = Some(staged.manifest);
        pulled.cursor = Some(at);
        pulled.is_changed = true;
        pulled.is_stale = false;
        Ok(())
    }

    async fn stage_quarantine(
        &self,
        cx: &JobContext,
        contract: &TableContract,
        frame: DataFrame,
    ) -> Result<SnapshotRef, TableError> {
        let mut staging = Staging::new(&cx.environment.lake, Dataset::quarantine(&contract.name), lake::schema(&frame));
        staging.add(frame, BTreeMap::new()).await.map_err(lake_error)?;
        let provenance = Provenance { privacy_key_id: Some(self.key.id().to_owned()), ..Provenance::default() };
        Ok(staging.finish(provenance).await.map_err(lake_error)?.reference)
    }

    fn outcome(self, cx: &JobContext) -> Result<Outcome, JobError> {
        if let Some(again) = self.nothing_new(cx) {
            return Ok(again);
        }
        let mut outcome = Outcome { findings: self.findings.clone(), ..Outcome::default() };
        let mut views = Vec::new();
        let mut held_back = 0;
        for contract in &self.contracts {
            let Some(pulled) = self.tables.get(contract.name.as_str()) else { continue };
            let (Some(reference), Some(manifest)) = (&pulled.reference, &pulled.manifest) else { continue };
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
            if pulled.is_changed || pulled.is_stale {
                outcome.snapshots.push(SnapshotRef { stale: pulled.is_stale, ..reference.clone() });
            }
            outcome.snapshots.extend(pulled.quarantine.clone());
            if let Some(cursor) = pulled.cursor {
                outcome.cursors.insert(self.cursor_name(contract), cursor.to_string());
            }
        }
        if views.is_empty() {
            return Err(JobError::Fail(anyhow::anyhow!(
                "nothing was pulled from {}: none of its deliveries is of the night of {} or before",
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

/// How a table's delivery failed.
enum TableError {
    /// The table is damaged: its last good snapshot stands.
    Damaged(anyhow::Error),
    /// The whole job failed.
    Job(JobError),
}

impl From<JobError> for TableError {
    fn from(error: JobError) -> Self {
        Self::Job(error)
    }
}

impl From<anyhow::Error> for TableError {
    fn from(error: anyhow::Error) -> Self {
        Self::Job(JobError::Fail(error))
    }
}

fn end_of_night(cx: &JobContext) -> Result<Timestamp, JobError> {
    let next = cx.input.logical_date.tomorrow().context("the logical date is the last there is")?;
    let midnight = next.in_tz(&cx.input.timezone).context("the DAG's time zone")?;
    Ok(midnight.timestamp())
}

fn standing_rows(manifest: &Manifest) -> u64 {
    manifest.parts_where(versions::VERSIONS, "current").map(|part| part.rows).sum()
}

fn table_schema(rows: &DataFrame) -> Vec<ManifestColumn> {
    let utc = DataType::Datetime(polars::prelude::TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC));
    let mut schema = lake::schema(rows);
    for name in [KNOWN_FROM, KNOWN_TO] {
        schema.push(ManifestColumn { name: name.to_owned(), dtype: utc.to_string() });
    }
    schema
}

/// The newest time that a delivery's rows speak of, not later than the delivery itself.
fn newest_event(contract: &TableContract, rows: &DataFrame, at: Timestamp) -> Option<Timestamp> {
    let column = ["updated_at", "date"].into_iter().find(|name| contract.columns.contains_key(*name))?;
    let micros =
        rows.column(column).ok()?.cast(&DataType::Datetime(polars::prelude::TimeUnit::Microseconds, None)).ok()?;
    let micros = micros.cast(&DataType::Int64).ok()?;
    let limit = at.as_microsecond();
    let newest = micros.i64().ok()?.iter().flatten().filter(|micros| *micros <= limit).max()?;
    Timestamp::from_microsecond(newest).ok()
}

fn delivery_error(error: delivery::DeliveryError) -> JobError {
    match error {
        delivery::DeliveryError::Source(error) => source_error(error),
        error => JobError::fail(error),
    }
}

fn source_error(error: SourceError) -> JobError {
    if error.is_transient { JobError::retry(error) } else { JobError::fail(error) }
}
