//! `score`: scores every current enrolment with the champion.
//!
//! Reads the features of the logical date and the champion; writes `restricted/predictions/<model>`. Scores inform a
//! person; they never trigger an action. Between terms there is nobody to score, and the job says so. Another try makes
//! sense when the lake could not be reached.

use std::collections::BTreeMap;

use anyhow::Context as _;
use async_trait::async_trait;
use polars::prelude::{DataFrame, col, df};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{JobContext, JobKind};
use super::shared::facts::FLAGGED;
use super::shared::labels::stale_champion;
use super::shared::models::{load_model, recipe};
use super::shared::tables::{DATE, lake_error};
use super::shared::told::support_measured;
use crate::domain::check::Finding;
use crate::domain::code;
use crate::domain::fingerprint::DependsOn;
use crate::domain::ids::TableName;
use crate::domain::outcome::{JobError, Outcome, Reason, SnapshotRef};
use crate::features::Stage;
use crate::lake::{self, Dataset, Provenance, Staging};
use crate::ml::dataset::Rows;
use crate::report::view::{FlaggedTerm, Student};
use crate::telemetry::spawn_blocking;

/// The kind.
pub(super) struct Score;

/// The parameters of `score`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// The model.
    #[schemars(with = "String")]
    model: TableName,
}

#[async_trait]
impl JobKind for Score {
    const NAME: &'static str = "score";
    const SUMMARY: &'static str = "Scores every current enrolment with the champion.";
    const EXAMPLE: &'static str = r#"
        [jobs.score]
        kind = "score"
        with = { model = "at_risk" }
    "#;
    type Params = Params;

    async fn inputs(params: &Params, cx: &JobContext) -> Result<Option<DependsOn>, JobError> {
        let recipe = recipe(cx, &params.model)?;
        let mut inputs = cx.champion_input(&params.model).with(DATE, cx.input.logical_date);
        inputs = inputs.with("the threshold", recipe.threshold).with("how old it may be", recipe.max_age_days);
        let labels = Dataset::label(&recipe.label.parse().map_err(JobError::fail)?);
        if let Some(parts) = cx.stage_input(&labels, Stage::Past).await? {
            inputs = inputs.with(format!("the labels `{}`", recipe.label), parts);
        }
        for set in &recipe.sets {
            let dataset = Dataset::feature_set(&set.parse().map_err(JobError::fail)?);
            if let Some(parts) = cx.stage_input(&dataset, Stage::Current).await? {
                inputs = inputs.with(format!("the features `{set}` of this term"), parts);
            }
        }
        Ok(Some(inputs))
    }

    async fn run(params: Params, cx: &JobContext) -> Result<Outcome, JobError> {
        let recipe = recipe(cx, &params.model)?;
        let Some(champion) = cx.input.champion(params.model.as_str()).cloned() else {
            return Ok(Outcome {
                summary: format!("no champion of `{}` yet", params.model),
                reason: Some(Reason::NotEnoughHistory),
                ..Outcome::default()
            });
        };
        let stale = stale_champion(cx, &recipe, &champion).await?;
        let Some(examples) = cx.examples(&recipe, Stage::Current).await? else {
            return Ok(Outcome {
                summary: "nobody is enrolled".to_owned(),
                reason: Some(Reason::NobodyEnrolled),
                findings: stale.into_iter().collect(),
                ..Outcome::default()
            });
        };
        let model = load_model(cx, &champion).await?;
        let rows = examples.rows;
        let (scores, rows) =
            spawn_blocking(move || model.predict(&rows).map(|scores| (scores, rows))).await.map_err(JobError::fail)?;
        if rows.person.len() != rows.len() {
            return Err(JobError::Fail(anyhow::anyhow!(
                "the features of `{}` do not say whose they are, so students cannot be counted: add `user_id` to the \
                 first of its sets (`sql/features/{}.sql`)",
                params.model,
                recipe.sets.first().map_or("", String::as_str)
            )));
        }
        let predictions =
            frame(&rows, &scores, recipe.threshold, &champion.version).context("putting the scores into a table")?;
        let counts = flagged(&rows, &scores, recipe.threshold, &cx.term_names().await?);

        let mut inputs = examples.inputs;
        inputs.push(format!("model {}@{}", params.model, champion.version));
        let mut outcome = Outcome { summary: summary(&counts), ..Outcome::default() };
        outcome.snapshots.push(stage(cx, &params.model, predictions, inputs).await?);
        outcome.findings.extend(stale);
        if is_stale(cx) {
            outcome.findings.push(Finding::warning(
                "scores.stale_input",
                params.model.as_str(),
                "the scores rest in part on tables that could not be renewed",
                "Deliver the stale tables again and run the night again",
            ));
        }
        outcome.measurements = support_measured(&counts);
        FLAGGED.leave(&mut outcome, &counts)?;
        Ok(outcome)
    }
}

/// Stages tonight's predictions.
async fn stage(
    cx: &JobContext,
    model: &TableName,
    predictions: DataFrame,
    inputs: Vec<String>,
) -> Result<SnapshotRef, JobError> {
    let schema = lake::schema(&predictions);
    let mut staging = Staging::new(&cx.environment.lake, Dataset::predictions(model), schema);
    let date = cx.input.logical_date.to_string();
    staging.add(predictions, BTreeMap::from([("as_of".to_owned(), date.clone())])).await.map_err(lake_error)?;
    let provenance = Provenance {
        inputs,
        code_hash: code::PROGRAM.to_owned(),
        privacy_key_id: cx.privacy_key_id().await?,
        facts: BTreeMap::from([("logical_date".to_owned(), date)]),
    };
    Ok(staging.finish(provenance).await.map_err(lake_error)?.reference)
}

fn summary(counts: &[FlaggedTerm]) -> String {
    let words = counts.iter().map(|term| match (term.flagged.shown(), term.enrolled.shown()) {
        (Some(flagged), Some(enrolled)) => format!("{}: {flagged} of {enrolled} flagged", term.term),
        _ => format!("{}: fewer than 10 flagged or not", term.term),
    });
    words.collect::<Vec<_>>().join("; ")
}

fn is_stale(cx: &JobContext) -> bool {
    cx.input.snapshots.values().any(|snapshot| snapshot.stale)
}

fn frame(rows: &Rows, scores: &[f64], threshold: f64, version: &str) -> polars::prelude::PolarsResult<DataFrame> {
    use polars::prelude::{DataType, IntoLazy as _, TimeUnit, TimeZone};
    let band = |score: &f64| {
        if *score >= threshold {
            "support_suggested"
        } else if *score >= threshold * 0.6 {
            "watch"
        } else {
            "on_track"
        }
    };
    let frame = df!(
        "enrollment_id" => rows.enrollment.clone(),
        "course_id" => rows.course.clone(),
        "term" => rows.term.clone(),
        "course_week" => rows.week.clone(),
        "as_of" => rows.as_of.clone(),
        "probability" => scores.to_vec(),
        "band" => scores.iter().map(band).collect::<Vec<_>>(),
        "model_version" => vec![version.to_owned(); rows.len()],
    )?;
    let instant = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
    frame.lazy().with_column(col("as_of").cast(instant)).sort(["enrollment_id"], Default::default()).collect()
}

/// Counts people by term, grouped by course week: never who, and nothing below ten.
fn flagged(rows: &Rows, scores: &[f64], threshold: f64, names: &BTreeMap<i64, String>) -> Vec<FlaggedTerm> {
    let mut terms: BTreeMap<&str, BTreeMap<i64, Vec<Student<'_>>>> = BTreeMap::new();
    for (row, (score, person)) in scores.iter().zip(&rows.person).enumerate() {
        let week = terms.entry(&rows.term[row]).or_default().entry(rows.week[row]).or_default();
        week.push(Student { person, is_flagged: *score >= threshold });
    }
    terms
        .into_iter()
        .map(|(term, weeks)| {
            let groups: Vec<_> =
                weeks.into_iter().map(|(week, students)| (format!("course week {week}"), students)).collect();
            let name = term.parse().ok().and_then(|id: i64| names.get(&id)).map_or(term, String::as_str);
            FlaggedTerm::new(name, "course week", &groups)
        })
        .collect()
}
