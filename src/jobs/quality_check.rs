//! `quality_check`: checks every table against its contract.
//!
//! Reads the tables; writes nothing but its outcome: row counts, nulls, ranges, keys, references, freshness. Another
//! try makes sense when the lake could not be reached.

use std::collections::BTreeMap;

use async_trait::async_trait;
use polars::prelude::{LazyFrame, col};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{JobContext, JobKind};
use super::shared::facts::{CHECKS, QUALITY, TABLES};
use super::shared::tables::{DATE, lake_error, table_age};
use crate::domain::check::{CheckOutcome, CheckStatus, Finding, Severity};
use crate::domain::fingerprint::DependsOn;
use crate::domain::lineage::Manifest;
use crate::domain::measurement::Measurement;
use crate::domain::outcome::{JobError, Outcome};
use crate::domain::table::TableContract;
use crate::lake::Dataset;
use crate::ml::quality::{Limits, Reference, check_reference, check_table};
use crate::report::view::{QualityView, TableView};
use crate::telemetry::{progress, spawn_blocking};

/// The check of how new a table is.
const FRESH: &str = "table.fresh";

/// The kind.
pub(super) struct QualityCheck;

/// The parameters of `quality_check`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// Only these tables; without it, all.
    #[serde(default)]
    tables: Vec<String>,
}

#[async_trait]
impl JobKind for QualityCheck {
    const NAME: &'static str = "quality_check";
    const SUMMARY: &'static str =
        "Checks every table against its contract: counts, nulls, ranges, keys, references, freshness.";
    const EXAMPLE: &'static str = r#"
        [jobs.quality]
        kind = "quality_check"
    "#;
    type Params = Params;

    async fn inputs(_: &Params, cx: &JobContext) -> Result<Option<DependsOn>, JobError> {
        let limits = serde_json::json!(cx.environment.config.quality);
        Ok(Some(cx.table_inputs()?.with(DATE, cx.input.logical_date).with("the settings `quality`", limits)))
    }

    async fn run(params: Params, cx: &JobContext) -> Result<Outcome, JobError> {
        let config = &cx.environment.config.quality;
        let limits = Limits { row_change: config.row_change, orphan_share: config.orphan_share };
        let mut standing: BTreeMap<String, (TableContract, Manifest, Option<LazyFrame>)> = BTreeMap::new();
        for (contract, _) in cx.tables()? {
            let dataset = Dataset::table(&contract.name);
            let Some(manifest) = cx.manifest(&dataset).await? else { continue };
            let rows = cx.environment.lake.current_rows(&dataset, &manifest).await.map_err(lake_error)?;
            standing.insert(contract.name.to_string(), (contract, manifest, rows));
        }
        let pulled = TABLES.read(cx)?.unwrap_or_default();
        let mut checks = Vec::new();
        for (n, (name, (contract, manifest, rows))) in (0..).zip(&standing) {
            cx.go_on()?;
            progress::report("tables", n, Some(standing.len() as u64));
            if !params.tables.is_empty() && !params.tables.contains(name) {
                continue;
            }
            checks.push(freshness(name, manifest, cx)?);
            let Some(rows) = rows else {
                checks.push(empty(name));
                continue;
            };
            let references: Vec<Reference> = contract
                .kept()
                .filter_map(|(column, kept)| {
                    let (table, id) = kept.refers_to.as_ref()?.split_once('.')?;
                    let ids = standing.get(table)?.2.clone()?.select([col(id).alias("id")]);
                    Some(Reference { subject: format!("{name}.{column}"), column: column.clone(), ids })
                })
                .collect();
            let (contract, rows, before) = (contract.clone(), rows.clone(), rows_before(&pulled, name));
            let found = spawn_blocking(move || {
                let mut found = check_table(&contract, &rows, before, limits)?;
                for reference in references {
                    found.push(check_reference(&rows, reference, limits)?);
                }
                Ok::<_, polars::prelude::PolarsError>(found)
            });
            let found = found
                .await
                .map_err(|error| JobError::Fail(anyhow::Error::new(error).context(format!("checking `{name}`"))))?;
            checks.extend(found);
        }
        outcome(&checks)
    }
}

fn outcome(checks: &[CheckOutcome]) -> Result<Outcome, JobError> {
    let view = QualityView::of(checks);
    let mut outcome = Outcome {
        summary: format!(
            "{} checks: {} passed, {} warned, {} failed",
            checks.len(),
            view.passed,
            view.warned,
            view.failed
        ),
        ..Outcome::default()
    };
    if checks.is_empty() {
        return Err(JobError::Fail(anyhow::anyhow!(
            "no table was checked: a check that looked at nothing must not pass"
        )));
    }
    let (late, others): (Vec<_>, Vec<_>) =
        view.problems.iter().partition(|problem| problem.check == FRESH && problem.status == CheckStatus::Warn);
    outcome.findings.extend(late_tables(&late));
    for problem in others {
        let severity = if problem.status == CheckStatus::Warn { Severity::Warning } else { Severity::Error };
        let found = Finding::warning(
            &problem.check,
            problem.subject.clone(),
            format!("`{}`: {}, expected {}", problem.subject, problem.observed, problem.expected),
            "Look at the table (`nocturne lake head`), correct the source or the contract, and run the night again",
        );
        outcome.findings.push(Finding { severity, ..found });
    }
    outcome.measurements.push(Measurement::new("quality.checks", checks.len() as f64));
    outcome.measurements.push(Measurement::new("quality.failed", view.failed as f64));
    QUALITY.leave(&mut outcome, &view)?;
    CHECKS.leave(&mut outcome, &checks.to_vec())?;
    Ok(outcome)
}

/// Whether the table is as new as its rhythm demands.
fn freshness(name: &str, manifest: &Manifest, cx: &JobContext) -> Result<CheckOutcome, JobError> {
    let age = table_age(cx, name, manifest.instant("known_at"))?;
    let grace = cx.environment.config.quality.fresh_days;
    Ok(CheckOutcome {
        check: FRESH.to_owned(),
        subject: name.to_owned(),
        status: match age.complete_through {
            None => CheckStatus::Error,
            Some(_) if age.is_late => CheckStatus::Warn,
            Some(_) => CheckStatus::Pass,
        },
        observed: age
            .complete_through
            .map_or_else(|| "no delivery".to_owned(), |through| format!("it ends with {through}")),
        expected: format!("a delivery {}, at most {grace} days late", age.rhythm.words()),
        looked_at: 1,
    })
}

/// One finding for all tables that are late: they mostly have one cause, a delivery that did not come.
fn late_tables(late: &[&CheckOutcome]) -> Option<Finding> {
    let first = late.first()?;
    let names: Vec<&str> = late.iter().map(|problem| problem.subject.as_str()).collect();
    let message = match names.len() {
        1 => format!("`{}` is older than expected: {}; {} is expected", first.subject, first.observed, first.expected),
        n => format!("{n} tables are older than expected: {}", names.join(", ")),
    };
    let advice = "Ask for the missing delivery; the next night takes it in by itself. For a table that comes less often, set \
                  `quality.rhythm`";
    Some(Finding::warning(FRESH, "deliveries", message, advice))
}

fn empty(name: &str) -> CheckOutcome {
    CheckOutcome {
        check: "rows.count".to_owned(),
        subject: name.to_owned(),
        status: CheckStatus::Error,
        observed: "0 rows".to_owned(),
        expected: "at least one row".to_owned(),
        looked_at: 0,
    }
}

/// The rows that the table had before this run's pull, as the pull left them.
fn rows_before(pulled: &[TableView], table: &str) -> Option<u64> {
    let view = pulled.iter().find(|view| view.name == table)?;
    view.rows.checked_add_signed(view.change?.checked_neg()?)
}
