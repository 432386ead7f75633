//! One table of a `canvas_pull`: from a delivery's files to a staged snapshot.
//!
//! What a delivery brings is read, merged into the current versions and staged; `parts` commits it. If the delivery of
//! the table is corrupt or does not match its contract, the last good snapshot stays current, marked stale, with a
//! finding; without one the job fails. What is not the delivery's fault fails the job.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use polars::prelude::{DataFrame, DataType, TimeUnit, TimeZone};
use tracing::{info, warn};

use super::failure::{Failure, TableError};
use super::source::source_error;
use super::state::{Pull, Pulled, standing_rows};
use super::waiting::{AsRead, Divided, taught};
use crate::canvas::delivery::{Delivery, DeliveryMode, TableDelivery};
use crate::canvas::privacy::PrivacyError;
use crate::canvas::pull::{IdentityUse, PlaceUse, ReadError, TableReading, TableRequest, read_table};
use crate::domain::check::{Action, CheckOutcome};
use crate::domain::code;
use crate::domain::lineage::ManifestColumn;
use crate::domain::number::count_of;
use crate::domain::outcome::JobError;
use crate::domain::rule::Rule;
use crate::domain::schedule::parse_zone;
use crate::domain::table::{ColumnType, KNOWN_FROM, KNOWN_TO, TableContract};
use crate::jobs::kind::JobContext;
use crate::jobs::shared::tables::lake_error;
use crate::lake::versions::{self, Extent};
use crate::lake::{self, Dataset, Provenance, Staging};
use crate::ml::quality::{holding, refusals};
use crate::telemetry::spawn_blocking;

/// The most rows of a frame while a table is read.
const BATCH_ROWS: usize = 131_072;

impl Pull {
    /// Takes in one delivery of one table.
    pub(in crate::jobs) async fn table(
        &mut self,
        cx: &JobContext,
        contract: &TableContract,
        delivery: &Delivery,
    ) -> Result<(), JobError> {
        let name = contract.name.as_str();
        let mut pulled = match self.tables.remove(name) {
            Some(pulled) => pulled,
            None => self.standing(cx, contract).await?,
        };
        match self.deliver(cx, contract, delivery, &mut pulled).await {
            Ok(()) => {}
            Err(TableError::Job(error)) => return Err(error),
            Err(TableError::Unusable { why, advice, held_back }) => {
                warn!(table = name, "{why:#}");
                pulled.is_stale = pulled.manifest.is_some();
                if let Some((frame, rows)) = held_back {
                    pulled.hold(*frame, rows)?;
                }
                let why = format!("{why:#}");
                pulled.failure = Some(Failure { check: "table.stale", why, advice, is_fatal: true });
            }
        }
        self.tables.insert(name.to_owned(), pulled);
        Ok(())
    }

    /// Turns failures that no later delivery has made up for into findings, or into the job's failure where there is no
    /// snapshot.
    pub(in crate::jobs) fn settle_failures(&mut self) -> Result<(), JobError> {
        let failed = self.tables.iter().filter_map(|(name, pulled)| Some((name, pulled, pulled.failure.as_ref()?)));
        let findings = failed.map(|(name, pulled, failure)| failure.finding(name, pulled.manifest.is_some()));
        let findings = findings.collect::<Result<_, _>>()?;
        self.add_last_findings(findings);
        Ok(())
    }

    /// What is current of a table when the pull begins.
    pub(super) async fn standing(&self, cx: &JobContext, contract: &TableContract) -> Result<Pulled, JobError> {
        let dataset = Dataset::table(&contract.name);
        let Some(reference) = cx.input.snapshot(dataset.as_str()) else { return Ok(Pulled::default()) };
        let manifest = cx.environment.lake.manifest(&dataset, &reference.snapshot).await.map_err(lake_error)?;
        if let Some(before) = manifest.privacy_key_id.as_ref().filter(|before| *before != self.key.key_id()) {
            return Err(JobError::fail(PrivacyError::OtherKey {
                dataset: dataset.to_string(),
                before: before.clone(),
                now: self.key.key_id().to_owned(),
            }));
        }
        let waiting = self.waiting_before(cx, contract).await?;
        Ok(Pulled {
            ledger_before: waiting.ledger.clone(),
            waiting,
            rows_before: Some(standing_rows(&manifest)),
            reference: Some(reference.clone()),
            manifest: Some(manifest),
            cursor: self.cursor(cx, contract)?,
            ..Pulled::default()
        })
    }

    /// Reads and merges what a delivery brings of one table, when it is its turn.
    async fn deliver(
        &mut self,
        cx: &JobContext,
        contract: &TableContract,
        delivery: &Delivery,
        pulled: &mut Pulled,
    ) -> Result<(), TableError> {
        let at = delivery.mode.known_at();
        let files = self.files_of(contract, delivery);
        match (pulled.cursor, delivery.mode) {
            (Some(cursor), _) if at <= cursor => return Ok(()),
            (Some(cursor), DeliveryMode::Incremental { since, .. }) if since > cursor => {
                return Err(TableError::unusable(anyhow!(
                    "its changes begin at {since}, and the table is known up to {cursor}: a delivery between the two is missing"
                )));
            }
            (None, DeliveryMode::Incremental { since, .. }) if files.is_some() => {
                return Err(TableError::unusable(anyhow!(
                    "the first delivery holds only changes since {since}: a full export must come first"
                )));
            }
            _ => {}
        }
        let Some(files) = files else {
            return self.nothing_came(cx, contract, delivery, pulled).await;
        };
        let (rows, reading) = self.read(cx, contract, delivery, &files).await?;
        let extent = match delivery.mode {
            DeliveryMode::Snapshot { .. } => Extent::Full,
            DeliveryMode::Incremental { .. } => Extent::Changes,
        };
        let had_rows = pulled.manifest.as_ref().is_some_and(|manifest| standing_rows(manifest) > 0);
        if rows.height() == 0 && extent == Extent::Full && had_rows {
            return Err(TableError::unusable(anyhow!("its full export is empty, and the table had rows")));
        }
        self.judge(contract, &rows).await?;
        let files = files.files.iter().map(|file| file.path.clone()).collect();
        self.take_in(cx, contract, AsRead { rows, reading, files, extent, at }, pulled).await
    }

    /// Merges what was read, without what rules hold back of it.
    async fn take_in(
        &mut self,
        cx: &JobContext,
        contract: &TableContract,
        came: AsRead,
        pulled: &mut Pulled,
    ) -> Result<(), TableError> {
        let delivered = came.rows.height() as u64;
        let Divided { rows, held, duplicates } = self.divide(contract, &came).await?;
        let AsRead { reading, extent, at, .. } = came;
        self.add_findings(at, contract, reading.findings);
        Arc::make_mut(&mut self.terms).extend(taught(contract, reading.terms, &rows, held.as_ref())?);
        pulled.identities.merge(reading.identities);
        // Where the key of a row cannot be read, any missing row may be that one, so none is treated as deleted.
        let unknown = reading.held_back > reading.held_keys.height() as u64;
        let extent = if unknown { Extent::Changes } else { extent };
        pulled.hold(reading.quarantined, reading.held_back)?;
        let (deleted, held_back) = (reading.deleted, reading.held_keys);
        info!(table = %contract.name, rows = rows.height(), deleted = deleted.height(), "Read a delivery of {at}");
        let read = versions::Delivery { rows, deleted, held_back, extent, at };
        let (merge, waiting) = match held {
            Some(held) => {
                let (before, contract) = (pulled.waiting.clone(), contract.clone());
                let after = spawn_blocking(move || before.after(&contract, read, held)).await;
                let (merge, waiting) = after.map_err(JobError::fail)?;
                (merge, Some(waiting))
            }
            None => (read, None),
        };
        self.merge(cx, contract, merge, pulled).await?;
        pulled.took_in(at);
        (pulled.delivered, pulled.duplicates) = (pulled.delivered + delivered, pulled.duplicates + duplicates);
        if let Some(waiting) = waiting {
            pulled.wait(waiting);
        }
        Ok(())
    }

    /// Refuses a delivery that fails a rule which stops the table.
    async fn judge(&self, contract: &TableContract, rows: &DataFrame) -> Result<(), TableError> {
        let stops = |rule: &Rule| rule.action == Action::StopTable && rule.table == contract.name;
        if !self.rules.iter().any(stops) {
            return Ok(());
        }
        let (rules, contract, rows, start) = (self.rules.clone(), contract.clone(), rows.clone(), self.start);
        let refused = spawn_blocking(move || refusals(&rules, &contract, &rows, start)).await;
        let Some(first) = refused.first() else { return Ok(()) };
        let CheckOutcome { check, observed, expected, .. } = first;
        let more = match refused.len() {
            1 => String::new(),
            n => format!("; and {} more", count_of(n - 1, "rule", "rules")),
        };
        Err(TableError::Unusable {
            why: anyhow!(
                "its delivery fails the rule `{check}`, which stops the table: {observed}, expected {expected}{more}"
            ),
            advice: "Correct the source and deliver the table again, or change the rule; then run the night again",
            held_back: None,
        })
    }

    /// The table's files in a delivery. A full export that states no rows and has no file is an empty table.
    fn files_of(&self, contract: &TableContract, delivery: &Delivery) -> Option<TableDelivery> {
        let found = delivery.tables.iter().find(|table| table.table == contract.name).cloned();
        let is_stated_empty =
            matches!(delivery.mode, DeliveryMode::Snapshot { .. }) && delivery.unchanged.contains(&contract.name);
        found.or_else(|| {
            is_stated_empty.then(|| TableDelivery {
                table: contract.name.clone(),
                files: Vec::new(),
                expected_rows: Some(0),
                sha256: None,
            })
        })
    }

    /// Handles a table for which a delivery brings nothing: unchanged in changes, missing in a full export.
    async fn nothing_came(
        &mut self,
        cx: &JobContext,
        contract: &TableContract,
        delivery: &Delivery,
        pulled: &mut Pulled,
    ) -> Result<(), TableError> {
        let at = delivery.mode.known_at();
        if matches!(delivery.mode, DeliveryMode::Snapshot { .. }) {
            pulled.failure = Some(Failure {
                check: "delivery.table_missing",
                why: format!("the full export of {at} has no `{}`", contract.name),
                advice: "Ask for the table to be exported, or leave it out of the job's `tables`",
                is_fatal: false,
            });
            pulled.is_stale = pulled.manifest.is_some();
            return Ok(());
        }
        let Some(manifest) = pulled.manifest.clone() else { return Ok(()) };
        let mut staging = Staging::new(&cx.environment.lake, Dataset::table(&contract.name), manifest.schema.clone());
        manifest.parts.iter().for_each(|part| staging.keep(part.clone()));
        self.finish(staging, at, None, pulled).await?;
        pulled.took_in(at);
        Ok(())
    }

    async fn read(
        &self,
        cx: &JobContext,
        contract: &TableContract,
        delivery: &Delivery,
        files: &TableDelivery,
    ) -> Result<(DataFrame, TableReading), TableError> {
        let local = files.local_files(&*self.source).await.map_err(source_error)?;
        cx.go_on()?;
        let (contract, key, terms) = (contract.clone(), self.key.clone(), Arc::clone(&self.terms));
        let (mode, expected_rows) = (delivery.row_mode(), files.expected_rows);
        let places = match holding(&self.rules, &contract.name).is_empty() {
            true => PlaceUse::Ignore,
            false => PlaceUse::Keep,
        };
        let identities = if self.nature.keeps_identities() { IdentityUse::Collect } else { IdentityUse::Ignore };
        let read = spawn_blocking(move || {
            let request = TableRequest {
                contract: &contract,
                files: &local,
                mode,
                expected_rows,
                key: &key,
                terms: &terms,
                identities,
                batch_rows: BATCH_ROWS,
                places,
            };
            let mut rows: Option<DataFrame> = None;
            let reading = read_table(&request, &mut |batch| {
                match &mut rows {
                    Some(rows) => rows.vstack_mut(&batch).map(drop)?,
                    none => *none = Some(batch),
                }
                Ok(())
            })?;
            Ok::<_, ReadError>((rows.unwrap_or_else(|| request.no_rows()), reading))
        });
        read.await.map_err(TableError::from)
    }

    pub(super) async fn merge(
        &self,
        cx: &JobContext,
        contract: &TableContract,
        delivery: versions::Delivery,
        pulled: &mut Pulled,
    ) -> Result<(), TableError> {
        let lake = &cx.environment.lake;
        let dataset = Dataset::table(&contract.name);
        let parts = pulled.manifest.as_ref().map(|manifest| manifest.parts.clone()).unwrap_or_default();
        let paths = lake.local_parts(&dataset, &parts).await.map_err(lake_error)?;
        let standing: Vec<_> = parts.into_iter().zip(paths).collect();
        let (at, schema) = (delivery.at, table_schema(&delivery.rows));
        let zone = parse_zone(&cx.environment.config.institution.timezone).map_err(anyhow::Error::from)?;
        let newest = newest_event(contract, &delivery.rows, at, &zone);
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
        pulled.duplicates += merged.duplicates;
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
        // Rows that waited are merged as of an earlier time than what the table is known for.
        let known_before = facts.get("known_at").and_then(|before| before.parse().ok());
        let known_at = known_before.map_or(at, |before: Timestamp| before.max(at));
        facts.insert("known_at".to_owned(), known_at.to_string());
        if let Some(newest) = newest {
            let before = facts.get("newest_event").and_then(|before| before.parse().ok());
            let newest = before.map_or(newest, |before: Timestamp| before.max(newest));
            facts.insert("newest_event".to_owned(), newest.to_string());
        }
        let provenance = Provenance {
            code_hash: code::PROGRAM.to_owned(),
            privacy_key_id: Some(self.key.key_id().to_owned()),
            facts,
            ..Provenance::default()
        };
        let staged = staging.finish(provenance).await.map_err(lake_error)?;
        info!(dataset = %staged.reference.dataset, rows = staged.reference.rows, "Staged snapshot `{}`", staged.reference.snapshot);
        pulled.reference = Some(staged.reference);
        pulled.manifest = Some(staged.manifest);
        pulled.cursor = pulled.cursor.max(Some(at));
        pulled.is_changed = true;
        pulled.is_handed_over = false;
        pulled.is_stale = false;
        pulled.failure = None;
        Ok(())
    }
}

fn table_schema(rows: &DataFrame) -> Vec<ManifestColumn> {
    let utc = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
    let mut schema = lake::schema(rows);
    for name in [KNOWN_FROM, KNOWN_TO] {
        schema.push(ManifestColumn { name: name.to_owned(), dtype: utc.to_string() });
    }
    schema
}

/// The newest time in a delivery's rows, not later than the delivery itself; a date is the beginning of its day in `zone`.
fn newest_event(
    contract: &TableContract,
    rows: &DataFrame,
    at: Timestamp,
    zone: &jiff::tz::TimeZone,
) -> Option<Timestamp> {
    let (name, column) = ["updated_at", "date"].into_iter().find_map(|name| contract.columns.get_key_value(name))?;
    let micros = rows.column(name).ok()?.cast(&DataType::Datetime(TimeUnit::Microseconds, None)).ok()?;
    let micros = micros.cast(&DataType::Int64).ok()?;
    let instant = |micros: i64| {
        let utc = Timestamp::from_microsecond(micros).ok()?;
        match column.kind {
            ColumnType::Date => {
                let day = utc.to_zoned(jiff::tz::TimeZone::UTC).date();
                Some(day.to_zoned(zone.clone()).ok()?.timestamp())
            }
            _ => Some(utc),
        }
    };
    micros.i64().ok()?.iter().flatten().filter_map(instant).filter(|instant| *instant <= at).max()
}
