//! Rows that a rule holds back (`action = "quarantine_rows"`), as they come in, and as people are told of them.
//!
//! What waits of a table is read with it, changed with it, staged with it and committed in its part of the outcome
//! (`lake::waiting` has the frames, `domain::quarantine` the ledger); `replay` judges it again.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use polars::prelude::{BooleanChunked, Column, DataFrame, DataType, UniqueKeepStrategy};

use super::failure::TableError;
use super::state::{Pull, Pulled};
use crate::canvas::TermLookup;
use crate::canvas::pull::TableReading;
use crate::domain::check::Finding;
use crate::domain::number::grouped;
use crate::domain::outcome::{JobError, SnapshotRef};
use crate::domain::quarantine::{self, Account, FILE, OFFSET, RULE};
use crate::domain::rule::Rule;
use crate::domain::schedule::parse_zone;
use crate::domain::table::{TERM, TableContract};
use crate::features::stored_type;
use crate::jobs::kind::JobContext;
use crate::jobs::shared::tables::lake_error;
use crate::lake::versions::Extent;
use crate::lake::waiting::{LEDGER, Origin, Waiting, ledger_of, marked};
use crate::lake::{self, Dataset, Lake, Provenance, Staging};
use crate::ml::quality::{Unjudged, bad_rows, holding, verdicts};
use crate::telemetry::spawn_blocking;

/// The finding about rows that wait.
const WAITING: &str = "quarantine.waiting";
/// The finding about rows that were let pass.
const RELEASED: &str = "quarantine.released";

/// A delivery of a table, divided into what is merged and what is held back.
pub(super) struct Divided {
    /// Each key once, as it came last.
    pub(super) rows: DataFrame,
    /// What rules hold back, marked; `None` where there is no such rule.
    pub(super) held: Option<DataFrame>,
    /// Rows whose key came again later in the delivery.
    pub(super) duplicates: u64,
}

/// A delivery of a table as it was read.
pub(super) struct AsRead {
    pub(super) rows: DataFrame,
    pub(super) reading: TableReading,
    /// Its files, by their numbers.
    pub(super) files: Vec<String>,
    pub(super) extent: Extent,
    pub(super) at: Timestamp,
}

/// Reads what waits of a table, with the columns that its contract has now.
pub(super) async fn read_waiting(
    lake: &Lake,
    contract: &TableContract,
    reference: &SnapshotRef,
) -> Result<Waiting, JobError> {
    let dataset = Dataset::waiting(&contract.name);
    let manifest = lake.manifest(&dataset, &reference.snapshot).await.map_err(lake_error)?;
    let ledger = ledger_of(&manifest).map_err(JobError::fail)?;
    let Some(rows) = lake.rows(&dataset, &manifest.parts).await.map_err(lake_error)? else {
        return Ok(Waiting { rows: None, ledger });
    };
    let columns = contract.kept().map(|(name, column)| (name.clone(), stored_type(column)));
    let columns: Vec<_> = columns.chain([(TERM.to_owned(), DataType::String)]).collect();
    let rows = spawn_blocking(move || lake::waiting::in_form(rows.collect()?, &columns)).await;
    let rows = rows.with_context(|| format!("reading what waits of `{}`", contract.name))?;
    Ok(Waiting { rows: Some(rows), ledger })
}

impl Pull {
    /// What waits of a table when the pull begins.
    pub(super) async fn waiting_before(&self, cx: &JobContext, contract: &TableContract) -> Result<Waiting, JobError> {
        match cx.input.snapshot(Dataset::waiting(&contract.name).as_str()) {
            Some(reference) => read_waiting(&cx.environment.lake, contract, reference).await,
            None => Ok(Waiting::default()),
        }
    }

    /// Divides the rows of a delivery into those that are merged and those that rules hold back.
    ///
    /// # Errors
    /// When a rule cannot be evaluated, or more rows are held back than a table bears: the delivery cannot be used.
    pub(super) async fn divide(&self, contract: &TableContract, came: &AsRead) -> Result<Divided, TableError> {
        let AsRead { reading, files, at, .. } = came;
        let rows = came.rows.clone();
        if holding(&self.rules, &contract.name).is_empty() {
            // Nothing waits either: without a rule every row passes.
            return Ok(Divided { rows, held: None, duplicates: 0 });
        }
        let n_delivered = rows.height() as u64;
        let (rules, table, files, at, start) = (self.rules.clone(), contract.clone(), files.clone(), *at, self.start);
        let divided =
            spawn_blocking(move || divided(&holding(&rules, &table.name), &table, &rows, &(files, at, start))).await;
        let divided = divided.map_err(|error| TableError::Unusable {
            why: error,
            advice: "Correct the rule and run the night again",
            held_back: None,
        })?;
        let Some(held) = divided.held.as_ref().filter(|held| held.height() > 0) else { return Ok(divided) };
        let (n_held, found) = (held.height() as u64, n_delivered + reading.held_back + reading.deleted.height() as u64);
        if quarantine::is_too_much(n_held + reading.held_back, found) {
            let by_rule = counts(held)?.into_iter().map(|(rule, rows)| format!("`{rule}`: {rows}"));
            let by_rule: Vec<String> = by_rule.collect();
            return Err(TableError::Unusable {
                why: anyhow!(
                    "rules hold back {} of the {} rows of its delivery ({}), and more than 1 % stops the table",
                    grouped(n_held),
                    grouped(found),
                    by_rule.join(", ")
                ),
                advice: "Correct the source and deliver the table again, or change the rule; then run the night again",
                held_back: None,
            });
        }
        Ok(divided)
    }

    /// Stages what waits of a table, if that has changed.
    pub(super) async fn stage_waiting(&mut self, cx: &JobContext, contract: &TableContract) -> Result<(), JobError> {
        let key_id = self.key.key_id().to_owned();
        let Some(pulled) = self.tables.get_mut(contract.name.as_str()) else { return Ok(()) };
        let Some(rows) = pulled.waiting.rows.clone().filter(|_| pulled.is_waiting_changed) else { return Ok(()) };
        let dataset = Dataset::waiting(&contract.name);
        let mut staging = Staging::new(&cx.environment.lake, dataset, lake::schema(&rows));
        if rows.height() > 0 {
            staging.add(rows, BTreeMap::new()).await.map_err(lake_error)?;
        }
        let ledger = serde_json::to_string(&pulled.waiting.ledger).context("writing a ledger")?;
        let facts = BTreeMap::from([(LEDGER.to_owned(), ledger)]);
        let provenance = Provenance { privacy_key_id: Some(key_id), facts, ..Provenance::default() };
        let staged = staging.finish(provenance).await.map_err(lake_error)?;
        (pulled.waiting_staged, pulled.is_waiting_changed) = (Some(staged.reference), false);
        Ok(())
    }

    /// Adds the findings about rows that wait and rows that were let pass.
    pub(in crate::jobs) fn tell_waiting(&mut self, cx: &JobContext) -> Result<(), JobError> {
        let zone = parse_zone(&cx.input.timezone).map_err(JobError::fail)?;
        let mut findings = Vec::new();
        for contract in &self.contracts {
            let Some(pulled) = self.tables.get(contract.name.as_str()) else { continue };
            for (id, account) in &pulled.waiting.ledger.accounts {
                let change = pulled.waiting.ledger.since(&pulled.ledger_before, id);
                if change.released > 0 {
                    let message = format!(
                        "`{}`: {} that the rule `{id}` had held back {} taken in, as of when {} delivered",
                        contract.name,
                        rows(change.released),
                        if change.released == 1 { "was" } else { "were" },
                        if change.released == 1 { "it was" } else { "they were" },
                    );
                    let advice = match self.rules.iter().any(|rule| rule.id == *id) {
                        true => "Nothing is to be done: the rule lets them pass now",
                        false => {
                            "Nothing is to be done if the rule was taken out on purpose: no rule holds them back now"
                        }
                    };
                    findings.push(Finding::info(RELEASED, id, message, advice).told_once());
                }
                if let Some(since) = account.since {
                    let since = since.to_zoned(zone.clone()).date();
                    let tonight = match change.to_string() {
                        text if text.is_empty() => String::new(),
                        text => format!(" ({text} tonight)"),
                    };
                    let message = format!(
                        "`{}`: {} {} in quarantine under the rule `{id}`, the oldest since {since}{tonight}; for \
                         these rows the table keeps what it had before",
                        contract.name,
                        rows(account.waiting),
                        if account.waiting == 1 { "waits" } else { "wait" },
                    );
                    let rule = self.rules.iter().find(|rule| rule.id == *id);
                    findings.push(Finding::warning(WAITING, id, message, what_to_do(rule, contract.name.as_str())));
                }
            }
        }
        self.add_last_findings(findings);
        Ok(())
    }
}

impl Pulled {
    /// Takes what waits now.
    pub(super) fn wait(&mut self, waiting: Waiting) {
        self.is_waiting_changed |= waiting.ledger != self.waiting.ledger;
        self.waiting = waiting;
    }

    /// Returns the accounts of the rules under which rows of the table wait.
    pub(in crate::jobs) fn waiting(&self) -> impl Iterator<Item = (&String, &Account)> {
        self.waiting.ledger.accounts.iter()
    }
}

/// Returns what a delivery teaches about terms: what is held back teaches nothing, for the committed table does not have
/// it.
pub(super) fn taught(
    contract: &TableContract,
    read: TermLookup,
    rows: &DataFrame,
    held: Option<&DataFrame>,
) -> anyhow::Result<TermLookup> {
    if held.is_none_or(|held| held.height() == 0) {
        return Ok(read);
    }
    let mut terms = TermLookup::default();
    terms.learn(contract, rows).context("what a delivery says about terms")?;
    Ok(terms)
}

fn rows(n: u64) -> String {
    if n == 1 { "1 row".to_owned() } else { format!("{} rows", grouped(n)) }
}

fn what_to_do(rule: Option<&Rule>, table: &str) -> String {
    let owner = rule.and_then(|rule| rule.owner.as_ref()).map_or_else(String::new, |owner| format!(". Ask {owner}"));
    let first = match rule {
        Some(Rule { advice: Some(advice), .. }) => advice.trim_end_matches('.').to_owned(),
        Some(rule) => format!("Correct the source, or the rule ({})", rule.origin),
        None => "Correct the source".to_owned(),
    };
    format!(
        "{first}. A better row from the source takes the place of one that waits. Once the rule is mended, the next night \
         takes the rows in, or `nocturne quality replay {table}` at once. `nocturne quality quarantine {table}` shows how many \
         wait{owner}"
    )
}

pub(super) fn cannot_judge(Unjudged { rule, why }: Unjudged) -> anyhow::Error {
    anyhow!("the rule `{rule}` cannot be evaluated, so nobody can say which rows it would hold back: {why}")
}

/// How many rows each rule holds back.
fn counts(held: &DataFrame) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for rule in held.column(RULE)?.str()?.iter().flatten() {
        *counts.entry(rule.to_owned()).or_default() += 1;
    }
    Ok(counts)
}

/// Divides rows that say where they came from; `origin` has the names of the files, the delivery's time and the start of
/// the night.
fn divided(
    rules: &[&Rule],
    contract: &TableContract,
    rows: &DataFrame,
    origin: &(Vec<String>, Timestamp, Timestamp),
) -> anyhow::Result<Divided> {
    let (files, at, start) = origin;
    let n_rows = rows.height();
    // Of a key that comes twice, the last row counts: only that one would become a version.
    let rows = rows.unique_stable(Some(&contract.key), UniqueKeepStrategy::Last, None)?;
    let duplicates = (n_rows - rows.height()) as u64;
    let verdicts = verdicts(rules, &bad_rows(rules, &rows, *start).map_err(cannot_judge)?, None);
    let is_held: BooleanChunked = verdicts.iter().map(|rule| Some(rule.is_some())).collect();
    let mut held = rows.filter(&is_held)?;
    let names = held.column(FILE)?.u64()?.iter().map(|file| {
        let name = file.and_then(|file| files.get(usize::try_from(file).ok()?));
        name.map(String::as_str)
    });
    let names = Column::new(FILE.into(), names.collect::<Vec<_>>());
    held.with_column(names)?;
    held.with_column(Column::new(RULE.into(), verdicts.iter().flatten().map(String::as_str).collect::<Vec<_>>()))?;
    let held = marked(held, Origin { delivered_at: *at, as_of: *start })?;
    let rows = rows.filter(&!&is_held)?.drop_many([FILE, OFFSET]);
    Ok(Divided { rows, held: Some(held), duplicates })
}
