//! `score`: scores every current enrolment with the champion.
//!
//! Reads the features of the logical date and the champion; writes `restricted/predictions/<model>`. Scores inform a
//! person; they never act. Between terms there is nobody to score and the job says so. Another try makes sense when the
//! lake could not be reached.
//!
//! ```toml
//! [jobs.score]
//! kind = "score"
//! with = { model = "at_risk" }
//! ```

use std::collections::BTreeMap;

use async_trait::async_trait;
use polars::prelude::{DataFrame, col, df};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{JobContext, JobKind};
use super::shared::examples::Wanted;
use super::shared::models::{load_model, recipe};
use super::shared::tables::{DATE, lake_error};
use crate::domain::check::{Finding, Severity};
use crate::domain::code;
use crate::domain::fingerprint::DependsOn;
use crate::domain::ids::TableName;
use crate::domain::outcome::{JobError, Outcome, Reason};
use crate::lake::{self, Dataset, Provenance, Staging};
use crate::ml::dataset::Rows;
use crate::report::view::{FlaggedTerm, GroupCount};
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

/// The fact under which counts are left for the report.
pub(super) const FLAGGED_FACT: &str = "flagged";

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
        inputs = inputs.with("the threshold", recipe.threshold);
        for set in &recipe.sets {
            let dataset = Dataset::feature_set(&set.parse().map_err(JobError::fail)?);
            if let Some(parts) = cx.parts_of_stage(&dataset, "current").await? {
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
        let Some(examples) = cx.examples(&recipe, Wanted::Current).await? else {
            return Ok(Outcome {
                summary: "nobody is enrolled (between terms)".to_owned(),
                reason: Some(Reason::NobodyEnrolled),
                ..Outcome::default()
            });
        };
        let model = load_model(cx, &champion).await?;
        let rows = examples.rows;
        let (scores, rows) =
            spawn_blocking(move || model.predict(&rows).map(|scores| (scores, rows))).await.map_err(JobError::fail)?;
        let frame =
            frame(&rows, &scores, recipe.threshold, &champion.version).map_err(|error| JobError::Fail(error.into()))?;
        let names = term_names(cx).await?;
        let counts = flagged(&rows, &scores, recipe.threshold, &names);

        let mut staging = Staging::new(&cx.environment.lake, Dataset::predictions(&params.model), lake::schema(&frame));
        let partition = BTreeMap::from([("as_of".to_owned(), cx.input.logical_date.to_string())]);
        staging.add(frame, partition).await.map_err(lake_error)?;
        let mut inputs = examples.inputs;
        inputs.push(format!("model {}@{}", params.model, champion.version));
        let provenance = Provenance {
            inputs,
            code_hash: code::PROGRAM.to_owned(),
            privacy_key_id: cx.privacy_key_id().await?,
            facts: BTreeMap::from([("logical_date".to_owned(), cx.input.logical_date.to_string())]),
        };
        let staged = staging.finish(provenance).await.map_err(lake_error)?;
        let mut outcome = Outcome { snapshots: vec![staged.reference], ..Outcome::default() };
        let words: Vec<String> = counts
            .iter()
            .map(|term| match (term.flagged.shown(), term.enrolled.shown()) {
                (Some(flagged), Some(enrolled)) => format!("{}: {flagged} of {enrolled} flagged", term.term),
                _ => format!("{}: fewer than 10 flagged or not", term.term),
            })
            .collect();
        outcome.summary = words.join("; ");
        if is_stale(cx) {
            outcome.findings.push(Finding::new(
                Severity::Warning,
                "scores.stale_input",
                params.model.as_str(),
                "the scores rest in part on tables that could not be renewed",
                "Deliver the stale tables again and rerun the night",
            ));
        }
        outcome.facts.insert(
            FLAGGED_FACT.to_owned(),
            serde_json::to_value(&counts).map_err(|error| JobError::Fail(error.into()))?,
        );
        Ok(outcome)
    }
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

/// The names of the terms, by their ids; empty where the source has no such table.
async fn term_names(cx: &JobContext) -> Result<BTreeMap<String, String>, JobError> {
    let dataset = Dataset::table(&"enrollment_terms".parse().map_err(JobError::fail)?);
    let Some(manifest) = cx.manifest(&dataset).await? else { return Ok(BTreeMap::new()) };
    let current: Vec<_> = manifest.parts_where(lake::versions::VERSIONS, "current").cloned().collect();
    let paths = cx.environment.lake.local_parts(&dataset, &current).await.map_err(lake_error)?;
    if paths.is_empty() {
        return Ok(BTreeMap::new());
    }
    let read = spawn_blocking(move || {
        let frame = lake::scan(&paths)?.select([col("id"), col("name")]).collect()?;
        let (ids, names) = (frame.column("id")?.i64()?.clone(), frame.column("name")?.str()?.clone());
        let pairs = ids.iter().zip(names.iter()).filter_map(|(id, name)| Some((id?.to_string(), name?.to_owned())));
        Ok::<_, polars::prelude::PolarsError>(pairs.collect())
    });
    read.await.map_err(|error| JobError::Fail(error.into()))
}

/// Counts by term, grouped by course week: never who, and nothing below ten.
fn flagged(rows: &Rows, scores: &[f64], threshold: f64, names: &BTreeMap<String, String>) -> Vec<FlaggedTerm> {
    let mut terms: BTreeMap<&str, BTreeMap<i64, (u64, u64)>> = BTreeMap::new();
    for (row, score) in scores.iter().enumerate() {
        let count = terms.entry(&rows.term[row]).or_default().entry(rows.week[row]).or_default();
        count.0 += u64::from(*score >= threshold);
        count.1 += 1;
    }
    terms
        .into_iter()
        .map(|(term, weeks)| {
            let groups: Vec<GroupCount> = weeks
                .into_iter()
                .map(|(week, (flagged, enrolled))| GroupCount {
                    group: format!("course week {week}"),
                    flagged,
                    enrolled,
                })
                .collect();
            let name = names.get(term).map_or(term, String::as_str);
            FlaggedTerm::new(name, "course week", &groups)
        })
        .collect()
}
