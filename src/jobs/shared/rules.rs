//! Quality rules as jobs read them, and the tables and the night that they are evaluated on.

use std::collections::BTreeMap;

use anyhow::Context as _;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use polars::prelude::{PolarsResult, col};

use super::facts::{TABLES, earlier_night};
use super::tables::{TableAge, lake_error, table_age};
use crate::canvas::contracts::Contracts;
use crate::config::Config;
use crate::domain::check::CheckStatus;
use crate::domain::document::Mistakes;
use crate::domain::lineage::Manifest;
use crate::domain::outcome::JobError;
use crate::domain::rule::Rule;
use crate::domain::schedule::parse_zone;
use crate::domain::table::TableContract;
use crate::jobs::kind::JobContext;
use crate::lake::{Dataset, versions};
use crate::ml::quality::{Delivered, Freshness, Limits, Standing, Term, Tonight, rules_of};
use crate::report::view::TableView;
use crate::telemetry::spawn_blocking;

/// Returns every rule of a site: those of its tables' contracts, completed by its rule files.
///
/// # Errors
/// With every mistake in a contract or a rule file.
pub fn site_rules(config: &Config) -> Result<Vec<Rule>, Mistakes> {
    let contracts = site_contracts(config)?;
    let limits = Limits { orphan_share: config.quality.orphan_share, row_change: config.quality.row_change };
    rules_of(&contracts.iter().collect::<Vec<_>>(), &config.paths.quality, limits)
}

/// Returns the contracts of all tables of a site's sources.
///
/// # Errors
/// With every mistake in a contract.
pub fn site_contracts(config: &Config) -> Result<Vec<TableContract>, Mistakes> {
    let mut contracts: Vec<TableContract> = Vec::new();
    for source in config.sources.values() {
        for contract in Contracts::load(&source.extra, source.contracts.as_deref())?.iter() {
            if !contracts.iter().any(|known| known.name == contract.name) {
                contracts.push(contract.clone());
            }
        }
    }
    Ok(contracts)
}

/// Returns every rule of the site, as a job reads them.
pub(in crate::jobs) fn rules(cx: &JobContext) -> Result<Vec<Rule>, JobError> {
    site_rules(&cx.environment.config).map_err(|mistakes| JobError::Fail(mistakes.into()))
}

/// Returns the tables as they stand tonight, by name.
pub(in crate::jobs) async fn standing(cx: &JobContext) -> Result<BTreeMap<String, Standing>, JobError> {
    let pulled = TABLES.read(cx)?.unwrap_or_default();
    let is_repeated = TABLES.job(cx).is_some_and(|outcome| earlier_night(outcome, cx).is_some());
    let mut standing = BTreeMap::new();
    for (contract, _) in cx.tables()? {
        let dataset = Dataset::table(&contract.name);
        let Some(manifest) = cx.manifest(&dataset).await? else { continue };
        let rows = cx.environment.lake.current_rows(&dataset, &manifest).await.map_err(lake_error)?;
        let n_rows = versions::current_parts(&manifest).map(|part| part.rows).sum();
        let view = pulled.iter().find(|view| view.name == contract.name.as_str()).filter(|_| !is_repeated);
        let delivered = view.and_then(|view| view.delivered);
        let name = contract.name.to_string();
        standing.insert(
            name.clone(),
            Standing {
                rows: rows.filter(|_| n_rows > 0),
                n_rows,
                known_at: manifest.instant("known_at"),
                freshness: freshness(cx, &name, &manifest)?,
                rows_before: view.and_then(rows_before),
                delivered: delivered.map(|came| Delivered {
                    rows: came.rows,
                    duplicates: came.duplicates,
                    changed: came.changed,
                }),
                contract,
            },
        );
    }
    Ok(standing)
}

/// The rows that the table had before this run's pull, as the pull left them.
fn rows_before(view: &TableView) -> Option<u64> {
    view.rows.checked_add_signed(view.change?.checked_neg()?)
}

/// Whether the table is as new as its rhythm demands.
fn freshness(cx: &JobContext, name: &str, manifest: &Manifest) -> Result<Freshness, JobError> {
    let TableAge { complete_through, rhythm, is_late } = table_age(cx, name, manifest.instant("known_at"))?;
    let grace = cx.environment.config.quality.fresh_days;
    Ok(Freshness {
        status: match complete_through {
            None => CheckStatus::Error,
            Some(_) if is_late => CheckStatus::Warn,
            Some(_) => CheckStatus::Pass,
        },
        observed: complete_through
            .map_or_else(|| "no delivery".to_owned(), |through| format!("it ends with {through}")),
        expected: format!("a delivery {}, at most {grace} days late", rhythm.words()),
    })
}

/// Returns the night, as far as rules need it.
pub(in crate::jobs) async fn tonight(cx: &JobContext) -> Result<Tonight, JobError> {
    let (date, zone) = (cx.input.logical_date, parse_zone(&cx.input.timezone).map_err(JobError::fail)?);
    let noon_before = date.checked_sub(1.day()).context("the calendar begins later")?.at(12, 0, 0, 0);
    let instant = |local: jiff::civil::DateTime| local.to_zoned(zone.clone()).map(|zoned| zoned.timestamp());
    let mut past: BTreeMap<String, Vec<(Date, f64)>> = BTreeMap::new();
    for found in &cx.input.history {
        if let Some(rule) = found.measurement.dimensions.get("rule") {
            past.entry(rule.clone()).or_default().push((found.date, found.measurement.value));
        }
    }
    Ok(Tonight {
        date,
        start: instant(date.at(0, 0, 0, 0)).context("the start of the logical date")?,
        noon_before: instant(noon_before).context("noon of the day before")?,
        terms: terms(cx, &zone).await?,
        past,
    })
}

/// The terms that have a first and a last day; none where the source has no such table.
async fn terms(cx: &JobContext, zone: &TimeZone) -> Result<Vec<Term>, JobError> {
    let dataset = Dataset::table(&"enrollment_terms".parse().map_err(JobError::fail)?);
    let Some(manifest) = cx.manifest(&dataset).await? else { return Ok(Vec::new()) };
    let rows = cx.environment.lake.current_rows(&dataset, &manifest).await.map_err(lake_error)?;
    let Some(rows) = rows else { return Ok(Vec::new()) };
    let read = spawn_blocking(move || {
        let frame = rows.select([col("start_at").to_physical(), col("end_at").to_physical()]).collect()?;
        let (from, to) = (frame.column("start_at")?.i64()?.clone(), frame.column("end_at")?.i64()?.clone());
        PolarsResult::Ok(from.iter().zip(to.iter()).filter_map(|(from, to)| Some((from?, to?))).collect::<Vec<_>>())
    });
    let read = read.await.context("reading the days of the terms")?;
    let day = |micros: i64| jiff::Timestamp::from_microsecond(micros).ok().map(|at| at.to_zoned(zone.clone()).date());
    Ok(read.into_iter().filter_map(|(from, to)| Some(Term { from: day(from)?, to: day(to)? })).collect())
}
