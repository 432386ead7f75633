//! What waits is judged again: by every pull before it takes deliveries in, and ahead of it for a person who asks.
//!
//! Rows that the rules of tonight let pass are merged as of the time at which they were delivered. So a rule that was
//! mended, or removed, needs no command: the rules are inputs of the job. A row is seen as of the night in which it came in,
//! so only a change of the rules changes what is found.

use std::collections::BTreeMap;

use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::failure::TableError;
use super::state::{Pull, Pulled};
use super::waiting::{cannot_judge, read_waiting};
use crate::config::Config;
use crate::domain::outcome::{JobError, SnapshotRef};
use crate::domain::rule::Rule;
use crate::domain::table::TableContract;
use crate::jobs::kind::JobContext;
use crate::jobs::shared::rules::{site_contracts, site_rules};
use crate::lake::versions::{self, Extent};
use crate::lake::waiting::Waiting;
use crate::lake::{Dataset, Lake};
use crate::ml::quality::{bad_rows, holding, verdicts};
use crate::telemetry::spawn_blocking;

/// What a replay would make of the rows that wait under one rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Replayed {
    /// Rows that wait.
    pub waiting: u64,
    /// Of them those that every rule lets pass now.
    pub would_pass: u64,
}

/// Returns what a replay of a table would make of what waits, `reference`, by rule; nothing is changed.
///
/// # Errors
/// When the rules are not valid, one of them cannot be evaluated, or the lake cannot be read.
pub async fn foresee_replay(
    config: &Config,
    lake: &Lake,
    (table, reference): (&str, &SnapshotRef),
) -> anyhow::Result<BTreeMap<String, Replayed>> {
    let rules = site_rules(config)?;
    let contracts = site_contracts(config)?;
    let contract = contracts.into_iter().find(|contract| contract.name.as_str() == table);
    let contract = contract.with_context(|| format!("no source has a table `{table}`"))?;
    let waiting = read_waiting(lake, &contract, reference).await?;
    let judged = spawn_blocking(move || -> anyhow::Result<_> {
        Ok((waiting.rules()?, judge_again(&holding(&rules, &contract.name), &waiting)?))
    });
    let (before, now) = judged.await?;
    let mut found: BTreeMap<String, Replayed> = BTreeMap::new();
    for (rule, verdict) in before.into_iter().zip(now) {
        let replayed = found.entry(rule).or_default();
        replayed.waiting += 1;
        replayed.would_pass += u64::from(verdict.is_none());
    }
    Ok(found)
}

impl Pull {
    /// Judges again what waits, and merges what the rules of tonight let pass.
    pub(in crate::jobs) async fn replay(&mut self, cx: &JobContext) -> Result<(), JobError> {
        for contract in self.contracts.clone() {
            let name = contract.name.to_string();
            if !self.tables.contains_key(&name) {
                if cx.input.snapshot(Dataset::waiting(&contract.name).as_str()).is_none() {
                    continue;
                }
                let standing = self.standing(cx, &contract).await?;
                self.tables.insert(name.clone(), standing);
            }
            let Some(mut pulled) = self.tables.remove(&name) else { continue };
            if !pulled.waiting.is_empty() {
                cx.go_on()?;
                self.replay_table(cx, &contract, &mut pulled).await?;
            }
            self.tables.insert(name, pulled);
        }
        Ok(())
    }

    async fn replay_table(
        &self,
        cx: &JobContext,
        contract: &TableContract,
        pulled: &mut Pulled,
    ) -> Result<(), JobError> {
        let (rules, waiting, table) = (self.rules.clone(), pulled.waiting.clone(), contract.clone());
        let judged = spawn_blocking(move || {
            let verdicts = match judge_again(&holding(&rules, &table.name), &waiting) {
                Ok(verdicts) => verdicts,
                // Nobody can say whether they are bad: they wait on, and a delivery of the table says why.
                Err(error) => {
                    tracing::warn!(table = %table.name, "What waits could not be judged again: {error:#}");
                    return Ok(None);
                }
            };
            waiting.judged(&table, &verdicts).map(Some)
        });
        let Some((waiting, released)) = judged.await.map_err(JobError::fail)? else { return Ok(()) };
        for (at, rows) in released {
            let keys = rows.select(contract.key.iter().map(String::as_str)).context("the keys of rows that waited")?;
            let none = keys.clear();
            let late = versions::Delivery { rows, deleted: none.clone(), held_back: none, extent: Extent::Changes, at };
            match self.merge(cx, contract, late, pulled).await {
                Ok(()) => {}
                Err(TableError::Job(error)) => return Err(error),
                Err(TableError::Unusable { why, .. }) => return Err(JobError::Fail(why)),
            }
        }
        pulled.wait(waiting);
        Ok(())
    }
}

/// Returns, for each row that waits, the rule that holds it back now, seen as of the night in which it came in.
fn judge_again(rules: &[&Rule], waiting: &Waiting) -> anyhow::Result<Vec<Option<String>>> {
    let before = waiting.rules()?;
    let mut found = vec![None; before.len()];
    for (night, places, rows) in waiting.by_night()? {
        let bad = bad_rows(rules, &rows, night).map_err(cannot_judge)?;
        let own: Vec<String> = places.iter().map(|place| before[*place].clone()).collect();
        for (place, verdict) in places.into_iter().zip(verdicts(rules, &bad, Some(&own))) {
            found[place] = verdict;
        }
    }
    Ok(found)
}
