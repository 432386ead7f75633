//! `quality_check`: evaluates every quality rule on the tables as they stand.
//!
//! Reads the tables, the rule files (`paths.quality`) and what rules measured on earlier nights; writes nothing but its
//! outcome. Another try makes sense when the lake could not be reached. A rule with the action `stop_night` that fails
//! fails the job; what the other rules found is told all the same.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{JobContext, JobKind};
use super::shared::facts::{CHECKS, EXPECTED_ROWS, QUALITY};
use super::shared::rules::{expected_rows, rules, standing, tonight};
use super::shared::tables::DATE;
use crate::domain::check::{Action, CheckOutcome, CheckStatus, Finding, Severity};
use crate::domain::fingerprint::DependsOn;
use crate::domain::ids::KindName;
use crate::domain::measurement::{HistoryWanted, Measurement};
use crate::domain::outcome::{JobError, Outcome};
use crate::domain::rule::{Form, Rule, Value};
use crate::ml::quality::evaluate;
use crate::report::view::QualityView;
use crate::telemetry::{progress, spawn_blocking};

/// The finding for tables that are older than they should be.
const FRESH: &str = "table.fresh";

/// The kind.
pub(super) struct QualityCheck;

/// The parameters of `quality_check`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// Only rules about these tables; without it, all.
    #[serde(default)]
    tables: Vec<String>,
}

#[async_trait]
impl JobKind for QualityCheck {
    const NAME: &'static str = "quality_check";
    const SUMMARY: &'static str =
        "Evaluates the quality rules of every table: those of its contract and of `config/quality`.";
    const EXAMPLE: &'static str = r#"
        [jobs.quality]
        kind = "quality_check"
    "#;
    const HISTORY: HistoryWanted = HistoryWanted { names: &[RULE_VALUE], days: 400 };
    type Params = Params;

    async fn inputs(_: &Params, cx: &JobContext) -> Result<Option<DependsOn>, JobError> {
        let limits = serde_json::json!(cx.environment.config.quality);
        let inputs = cx.table_inputs()?.with(DATE, cx.input.logical_date).with("the settings `quality`", limits);
        // A rule is its own description; `Debug` writes all of it.
        Ok(Some(
            rules(cx)?
                .iter()
                .fold(inputs, |inputs, rule| inputs.with(format!("the rule `{}`", rule.id), format!("{rule:?}"))),
        ))
    }

    async fn run(params: Params, cx: &JobContext) -> Result<Outcome, JobError> {
        let mut rules = rules(cx)?;
        if !params.tables.is_empty() {
            rules.retain(|rule| params.tables.iter().any(|table| table == rule.table.as_str()));
        }
        let (standing, tonight) = (standing(cx).await?, tonight(cx).await?);
        cx.go_on()?;
        progress::report("rules", 0, Some(rules.len() as u64));
        let (checks, rows, rules) = spawn_blocking(move || {
            let rows = expected_rows(&rules, &standing, &tonight);
            (evaluate(&rules, &standing, &tonight), rows, rules)
        })
        .await;
        let mut outcome = outcome(&checks, &rules)?;
        EXPECTED_ROWS.leave(&mut outcome, &rows)?;
        let stopping: Vec<&CheckOutcome> = checks.iter().filter(|check| stops_night(check)).collect();
        if let Some(first) = stopping.first() {
            let found = Outcome { findings: outcome.findings, ..Outcome::default() };
            cx.parts.commit("what the rules found", found).await?;
            return Err(JobError::Fail(anyhow::anyhow!(
                "the rule `{}` stops the night (`action = \"stop_night\"`): {}, expected {}{}",
                first.check,
                first.observed,
                first.expected,
                if stopping.len() > 1 { format!("; and {} more", stopping.len() - 1) } else { String::new() }
            )));
        }
        Ok(outcome)
    }
}

/// Returns every check of an outcome of this kind; `None` where it has none that can be read.
pub fn checks_of(outcome: &Outcome) -> Option<Vec<CheckOutcome>> {
    CHECKS.of(outcome).ok().flatten()
}

/// Returns whether a job of this kind is meant.
pub fn is_quality_check(kind: &KindName) -> bool {
    kind.as_str() == QualityCheck::NAME
}

/// The measurement of what a rule found: its value, or its bad rows.
pub const RULE_VALUE: &str = "rule.value";

/// Whether a night must not go on: a rule that could not be evaluated stops it as well.
fn stops_night(check: &CheckOutcome) -> bool {
    check.action == Action::StopNight && matches!(check.status, CheckStatus::Fail | CheckStatus::Error)
}

fn outcome(checks: &[CheckOutcome], rules: &[Rule]) -> Result<Outcome, JobError> {
    let view = QualityView::of(checks);
    let mut outcome = Outcome { summary: view.words(), ..Outcome::default() };
    if checks.is_empty() {
        return Err(JobError::Fail(anyhow::anyhow!(
            "no table was checked: a check that looked at nothing must not pass"
        )));
    }
    let (late, others): (Vec<_>, Vec<_>) = view
        .problems
        .iter()
        .partition(|problem| problem.check.ends_with(".fresh") && problem.status == CheckStatus::Warn);
    outcome.findings.extend(late_tables(&late));
    for problem in others {
        let severity = if problem.status == CheckStatus::Fail { Severity::Error } else { Severity::Warning };
        let found =
            Finding::warning(&problem.check, problem.subject.clone(), message(problem, rules), advice(problem, rules));
        outcome.findings.push(Finding { severity, ..found });
    }
    for (status, count) in [
        ("pass", view.passed),
        ("warn", view.warned),
        ("fail", view.failed),
        ("error", view.errors),
        ("skipped", view.skipped),
    ] {
        outcome.measurements.push(Measurement::new("quality.rules", count as f64).of("status", status));
    }
    let values = checks.iter().filter_map(|check| Some((check, check.value.filter(|value| value.is_finite())?)));
    let values = values.map(|(check, value)| Measurement::new(RULE_VALUE, value).of("rule", &check.check));
    outcome.measurements.extend(values);
    QUALITY.leave(&mut outcome, &view)?;
    CHECKS.leave(&mut outcome, &checks.to_vec())?;
    Ok(outcome)
}

/// What was found, and why it matters. What a query computes only its rule's name says.
fn message(problem: &CheckOutcome, rules: &[Rule]) -> String {
    let CheckOutcome { check, subject, observed, expected, why, .. } = problem;
    let rule = rules.iter().find(|rule| rule.id == *check);
    let is_query = rule.is_some_and(|rule| matches!(rule.form, Form::Value { value: Value::Sql(_), .. }));
    let subject = match problem.action {
        Action::StopTable => format!("`{subject}`, in the version that stands"),
        _ => format!("`{subject}`"),
    };
    let found = match problem.status {
        CheckStatus::Error => return format!("{subject}: the rule `{check}` could not be evaluated: {observed}"),
        _ if is_query => format!("`{check}` gives {observed}, expected {expected}"),
        _ => format!("{subject}: {observed}, expected {expected}"),
    };
    if why.is_empty() { found } else { format!("{found}. {}", why.trim_end_matches('.')) }
}

/// What to do: as the rule says, else by what it is about; and whom to ask.
fn advice(problem: &CheckOutcome, rules: &[Rule]) -> String {
    let rule = rules.iter().find(|rule| rule.id == problem.check);
    let advice = match (&problem.advice, rule, problem.status) {
        (Some(advice), ..) => advice.clone(),
        (None, Some(rule), CheckStatus::Error) => format!("Correct the rule (it is stated in {})", rule.origin),
        (None, Some(rule), _) => format!(
            "See what the rule looks for and what it found before (`nocturne quality show {}`), correct the source or the \
             rule ({}), and run the night again",
            rule.id, rule.origin
        ),
        (None, None, _) => "See what the rule is about: `nocturne quality list`".to_owned(),
    };
    match &problem.owner {
        Some(owner) => format!("{advice}. Ask {owner}"),
        None => advice,
    }
}

/// One finding for all tables that are late: they mostly have one cause, a delivery that did not come.
fn late_tables(late: &[&CheckOutcome]) -> Option<Finding> {
    let first = late.first()?;
    let names: Vec<&str> = late.iter().map(|problem| problem.subject.as_str()).collect();
    let message = match names.len() {
        1 => format!("`{}` is older than expected: {}; expected: {}", first.subject, first.observed, first.expected),
        n => format!("{n} tables are older than expected: {}", names.join(", ")),
    };
    let advice = "Ask for the missing delivery; the next night takes it in by itself. For a table that comes less often, set \
                  `quality.rhythm`";
    Some(Finding::warning(FRESH, "deliveries", message, advice))
}
