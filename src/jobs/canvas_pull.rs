//! `canvas_pull`: reads what a source has delivered and makes new versions of the tables from it.
//!
//! Reads the source's deliveries that are newer than each table's cursor; writes `restricted/tables/<table>` and, for
//! rows that do not fit, `restricted/quarantine/<table>`; rows that a rule holds back wait beside it, and are judged again
//! with every pull. Each table of a delivery is committed as soon as it is done:
//! if the job is interrupted later, it is not read again. Another try makes sense when the source or the lake could not
//! be reached. A table whose delivery is damaged keeps its last good snapshot, marked stale; without one the job fails,
//! after it has renewed the others. A delivery later than the night of the logical date is left for its own night,
//! unless it is the source's first.

use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{JobContext, JobKind};
use super::shared::facts::{PULL_DATE, TABLES};
use super::shared::pull::{Pull, Pulled, standing_rows};
use crate::canvas::TermLookup;
use crate::canvas::contracts::Contracts;
use crate::config::Config;
use crate::domain::dag::Job;
use crate::domain::fingerprint::DependsOn;
use crate::domain::freshness::Rhythm;
use crate::domain::lineage::Manifest;
use crate::domain::measurement::Measurement;
use crate::domain::number::{self, count_of};
use crate::domain::outcome::{JobError, Outcome};
use crate::domain::table::TableContract;
use crate::report::view::{DeliveredRows, TableView};

/// The kind.
pub(super) struct CanvasPull;

/// The parameters of `canvas_pull`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// The source, by its name in the configuration (`sources.<name>`).
    source: String,
    /// Only these tables; without it, all that the source has.
    #[serde(default)]
    tables: Vec<String>,
}

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
        let pull = Pull::open(&params.source, &params.tables, cx).await?;
        let contracts = serde_json::to_string(&pull.contracts).map_err(|error| JobError::Fail(error.into()))?;
        let fixed =
            DependsOn::default().with("the pseudonym key", pull.key.key_id()).with("the tables' contracts", contracts);
        let fixed = pull
            .rules
            .iter()
            .fold(fixed, |inputs, rule| inputs.with(format!("the rule `{}`", rule.id), format!("{rule:?}")));
        Ok(Some(pull.deliveries.iter().fold(fixed, |inputs, delivery| {
            let holds = format!("{:?} {:?} {:?}", delivery.mode, delivery.unchanged, delivery.tables);
            inputs.with(delivery.shown(), holds)
        })))
    }

    async fn run(params: Params, cx: &JobContext) -> Result<Outcome, JobError> {
        let mut pull = Pull::open(&params.source, &params.tables, cx).await?;
        pull.take_up(cx).await?;
        pull.replay(cx).await?;
        for delivery in std::mem::take(&mut pull.deliveries) {
            pull.learn_terms(cx).await?;
            pull.introduce(cx, &delivery).await?;
            // The tables from which other tables' rows get their terms are committed last: an attempt that begins in
            // the middle of a delivery learns the same terms from the committed tables as the attempt before it.
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
        pull.tell_waiting(cx)?;
        outcome(pull, cx)
    }
}

/// Returns whether a job is of this kind and takes in a table of that name.
pub fn pulls_table(job: &Job, config: &Config, table: &str) -> bool {
    let Ok(Params { source, tables }) = serde_json::from_value(job.params.clone()) else { return false };
    let Some(source) = config.sources.get(&source).filter(|_| job.kind.as_str() == CanvasPull::NAME) else {
        return false;
    };
    let contracts = Contracts::load(&source.extra, source.contracts.as_deref());
    let has_table = contracts.is_ok_and(|contracts| contracts.find(table).is_some());
    has_table && (tables.is_empty() || tables.iter().any(|wanted| wanted == table))
}

/// The outcome: what the parts say together, and what has not been handed over.
fn outcome(mut pull: Pull, cx: &JobContext) -> Result<Outcome, JobError> {
    if let Some(again) = nothing_new(&pull, cx)? {
        return Ok(again);
    }
    let mut outcome = Outcome { findings: pull.all_findings(), ..Outcome::default() };
    let mut views = Vec::new();
    let mut held_back = 0;
    for contract in &pull.contracts {
        let Some(pulled) = pull.tables.get_mut(contract.name.as_str()) else { continue };
        outcome.snapshots.extend(pulled.take_snapshots());
        let Some(manifest) = &pulled.manifest else { continue };
        held_back += pulled.held_back;
        let view = view_of(contract, pulled, manifest);
        let rows = view.rows;
        views.push(view);
        for (name, count) in [("table.rows", rows), ("table.opened", pulled.opened), ("table.closed", pulled.closed)] {
            outcome.measurements.push(Measurement::new(name, count as f64).unit("rows").of("table", &contract.name));
        }
        outcome.measurements.extend(pulled.waiting().map(|(rule, account)| {
            Measurement::new("quarantine.waiting", account.waiting as f64).unit("rows").of("rule", rule)
        }));
        if let Some(cursor) = pulled.cursor {
            outcome.cursors.insert(pull.cursor_name(contract), cursor.to_string());
        }
    }
    if views.is_empty() {
        return Err(JobError::Fail(anyhow::anyhow!(
            "nothing was pulled from {}: its deliveries up to the night of {} hold none of the tables asked for",
            pull.source.root(),
            cx.input.logical_date
        )));
    }
    let rows: u64 = views.iter().map(|view| view.rows).sum();
    let stale = views.iter().filter(|view| view.is_stale).count();
    outcome.summary = format!(
        "{}, {}, {} held back",
        count_of(views.len(), "table", "tables"),
        number::rows(rows),
        number::grouped(held_back)
    );
    let waiting: u64 = views.iter().map(|view| view.waiting).sum();
    if waiting > 0 {
        outcome.summary.push_str(&format!(
            ", {} {} in quarantine",
            number::grouped(waiting),
            if waiting == 1 { "waits" } else { "wait" }
        ));
    }
    if stale > 0 {
        outcome.summary.push_str(&format!(", {stale} stale"));
    }
    TABLES.leave(&mut outcome, &views)?;
    PULL_DATE.leave(&mut outcome, &cx.input.logical_date)?;
    Ok(outcome)
}

/// A table as the report shows it; its rhythm is added there.
fn view_of(contract: &TableContract, pulled: &Pulled, manifest: &Manifest) -> TableView {
    let rows = standing_rows(manifest);
    let signed = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
    TableView {
        name: contract.name.to_string(),
        rows,
        change: pulled.rows_before.map(|before| signed(rows) - signed(before)),
        newest_event: manifest.instant("newest_event"),
        delivered_at: manifest.instant("known_at"),
        complete_through: None,
        rhythm: Rhythm::default(),
        is_late: false,
        is_stale: pulled.is_stale,
        held_back: pulled.held_back,
        waiting: pulled.waiting().map(|(_, account)| account.waiting).sum(),
        delivered: pulled.is_delivered.then_some(DeliveredRows {
            rows: pulled.delivered,
            duplicates: pulled.duplicates,
            changed: pulled.opened + pulled.closed,
        }),
    }
}

/// What this job said for the same date before, if no delivery has come since: a forced night says the same.
fn nothing_new(pull: &Pull, cx: &JobContext) -> Result<Option<Outcome>, JobError> {
    let is_new = |table: &Pulled| table.is_changed || table.is_stale || table.has_new_waiting();
    let Some(before) = cx.input.last_success.clone() else { return Ok(None) };
    let is_same_date = PULL_DATE.of(&before)? == Some(cx.input.logical_date);
    let nothing_new = is_same_date && !pull.tables.values().any(is_new);
    Ok(nothing_new.then(|| Outcome { snapshots: Vec::new(), cursors: BTreeMap::new(), ..before }))
}
