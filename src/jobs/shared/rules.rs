//! Quality rules as jobs read them, and the tables and the night that they are evaluated on.

use std::collections::BTreeMap;

use anyhow::Context as _;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use polars::prelude::{PolarsResult, col};

use super::facts::{IsRepeated, pulled_tables};
use super::tables::{TableAge, lake_error, table_age};
use crate::canvas::contracts::Contracts;
use crate::config::Config;
use crate::domain::check::CheckStatus;
use crate::domain::document::Mistakes;
use crate::domain::lineage::Manifest;
use crate::domain::number::count_of;
use crate::domain::outcome::JobError;
use crate::domain::rule::{Expected, Form, Rule, Value};
use crate::domain::schedule::parse_zone;
use crate::domain::table::TableContract;
use crate::jobs::kind::JobContext;
use crate::lake::{Dataset, versions};
use crate::ml::quality::{
    Delivered, FEWEST, Freshness, Limits, Scale, Standing, Term, Tonight, Usual, rules_of, usual,
};
use crate::report::view::{NIGHTS, RowsNight, TableNights, TableView};
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
    let pulled = pulled_tables(cx)?;
    let mut standing = BTreeMap::new();
    for (contract, _) in cx.tables()? {
        let dataset = Dataset::table(&contract.name);
        let Some(manifest) = cx.manifest(&dataset).await? else { continue };
        let rows = cx.environment.lake.current_rows(&dataset, &manifest).await.map_err(lake_error)?;
        let n_rows = versions::current_parts(&manifest).map(|part| part.rows).sum();
        let mut tonight = pulled.iter().filter(|(_, is_repeated)| *is_repeated == IsRepeated(false));
        let view = tonight.find(|(view, _)| view.name == contract.name.as_str()).map(|(view, _)| view);
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
        expected: format!(
            "a delivery {}, at most {} late",
            rhythm.words(),
            count_of(usize::try_from(grace).unwrap_or(usize::MAX), "day", "days")
        ),
    })
}

/// Returns the rows of each table on the last nights, against what is usual: what the rules about them measured before,
/// and what stands tonight.
pub(in crate::jobs) fn expected_rows(
    rules: &[Rule],
    standing: &BTreeMap<String, Standing>,
    tonight: &Tonight,
) -> Vec<TableNights> {
    let each = rules.iter().filter_map(|rule| {
        let Form::Value { value: Value::Rows, expected: Expected::AsUsual { warn, .. } } = &rule.form else {
            return None;
        };
        let table = standing.get(rule.table.as_str())?;
        let past = tonight.past.get(&rule.id).map_or(&[][..], Vec::as_slice);
        let first = tonight.date.checked_sub((i64::from(NIGHTS) - 1).days()).unwrap_or(Date::MIN);
        let lately = past.iter().copied().filter(|(date, _)| (first..tonight.date).contains(date));
        let nights = lately.chain([(tonight.date, table.n_rows as f64)]).map(|(date, rows)| {
            let band = match usual(date, past, &tonight.terms, Scale::Count) {
                Usual::Known(band) => Some(band.within(*warn)),
                Usual::TooFew(_) => None,
            };
            RowsNight { date, rows: whole(rows), usual: band.map(|(low, high)| (whole(low.ceil()), whole(high))) }
        });
        let comparable = match usual(tonight.date, past, &tonight.terms, Scale::Count) {
            Usual::Known(band) => band.nights,
            Usual::TooFew(nights) => nights,
        };
        Some(TableNights { table: rule.table.to_string(), nights: nights.collect(), comparable, fewest: FEWEST })
    });
    each.collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of rows are never negative")]
fn whole(rows: f64) -> u64 {
    rows.max(0.0) as u64
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
