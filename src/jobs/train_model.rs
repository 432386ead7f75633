//! `train_model`: fits a model's candidates, evaluates them honestly, and lets the better one in.
//!
//! Reads features and labels; writes the model's artefact and evaluation to `restricted/models/<model>/<version>/` and
//! a summary for `published/`. Another try makes sense when the lake could not be reached. With too little history the
//! job succeeds and says so: nothing is wrong in a young lake.
//!
//! ```toml
//! [jobs.train]
//! kind = "train_model"
//! with = { model = "at_risk" }
//! ```

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{JobContext, JobKind};
use super::shared::examples::{Examples, Wanted};
use super::shared::models::recipe;
use super::shared::tables::lake_error;
use crate::domain::check::{Finding, Severity};
use crate::domain::code;
use crate::domain::fingerprint::DependsOn;
use crate::domain::ids::{TableName, content_hash};
use crate::domain::measurement::Measurement;
use crate::domain::outcome::{JobError, ModelRecord, ModelRole, Outcome, Reason};
use crate::lake::keys;
use crate::ml::metrics::Figures;
use crate::ml::recipe::{Approval, Recipe};
use crate::ml::train::{Evaluation, TrainError, Trained, gate, train};
use crate::report::view::{Basis, Interval, ModelView, PreviousModel, WeekView};
use crate::telemetry::spawn_blocking;

/// The kind.
pub(super) struct TrainModel;

/// The parameters of `train_model`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// The model (`config/models/<model>.toml`).
    #[schemars(with = "String")]
    model: TableName,
}

/// The fact under which the model's view is left for the report.
pub(super) const MODEL_FACT: &str = "model";
/// The fact under which the evaluation is left for the report.
pub(super) const EVALUATION_FACT: &str = "evaluation";

#[async_trait]
impl JobKind for TrainModel {
    const NAME: &'static str = "train_model";
    const SUMMARY: &'static str = "Fits a model's candidates, evaluates them honestly, and lets the better one in.";
    const EXAMPLE: &'static str = r#"
        [jobs.train]
        kind = "train_model"
        with = { model = "at_risk" }
    "#;
    type Params = Params;

    async fn inputs(params: &Params, cx: &JobContext) -> Result<Option<DependsOn>, JobError> {
        let recipe = recipe(cx, &params.model)?;
        let recipe_json = serde_json::to_string(&recipe).map_err(|error| JobError::Fail(error.into()))?;
        // Only parts of past courses decide; tonight's partition does not make a new model.
        let mut inputs = DependsOn::default().with("the recipe", recipe_json);
        for dataset in datasets(&recipe)? {
            if let Some(parts) = cx.parts_of_stage(&dataset, "past").await? {
                inputs = inputs.with(format!("`{}` of past courses", dataset.name()), parts);
            }
        }
        Ok(Some(inputs))
    }

    async fn run(params: Params, cx: &JobContext) -> Result<Outcome, JobError> {
        let recipe = recipe(cx, &params.model)?;
        let Some(examples) = cx.examples(&recipe, Wanted::Past).await? else {
            return Ok(too_young("no course has ended yet whose results are known"));
        };
        cx.go_on()?;
        let Examples { rows, is_reconstructed, inputs } = examples;
        let training = recipe.clone();
        let series = cx.course_series().await?;
        let trained = match spawn_blocking(move || train(&training, &rows, &series)).await {
            Ok(trained) => trained,
            Err(TrainError::NotEnoughHistory(why)) => return Ok(too_young(&why)),
            Err(error) => return Err(JobError::fail(error)),
        };
        record(cx, &params.model, &recipe, trained, is_reconstructed, inputs).await
    }
}

fn datasets(recipe: &Recipe) -> Result<Vec<crate::lake::Dataset>, JobError> {
    let mut datasets = Vec::new();
    for set in &recipe.sets {
        datasets.push(crate::lake::Dataset::feature_set(&set.parse().map_err(JobError::fail)?));
    }
    datasets.push(crate::lake::Dataset::label(&recipe.label.parse().map_err(JobError::fail)?));
    Ok(datasets)
}

fn too_young(why: &str) -> Outcome {
    Outcome { summary: format!("no model: {why}"), reason: Some(Reason::NotEnoughHistory), ..Outcome::default() }
}

async fn record(
    cx: &JobContext,
    model: &TableName,
    recipe: &Recipe,
    trained: Trained,
    is_reconstructed: bool,
    mut inputs: Vec<String>,
) -> Result<Outcome, JobError> {
    inputs.sort();
    let bytes = trained.model.to_bytes().map_err(JobError::fail)?;
    let version = content_hash(&bytes)[..16].to_owned();
    let champion = cx.input.champion(model.as_str());
    let champion_auc = champion.and_then(|champion| champion.card["auc"].as_f64());
    let decision = gate(&recipe.acceptance, &trained.evaluation, champion_auc);
    let role = match (decision.promote, recipe.approval) {
        (true, Approval::Automatic) => ModelRole::Champion,
        _ => ModelRole::Challenger,
    };
    let evaluation = &trained.evaluation;
    let figures = &evaluation.candidates[&evaluation.chosen];
    let auc = figures.auc.map_or(0.5, |auc| auc.value);
    let card = serde_json::json!({
        "question": recipe.question, "recipe": recipe, "chosen": evaluation.chosen, "auc": auc,
        "threshold": recipe.threshold, "test_term": evaluation.test_term, "trained_on": evaluation.final_terms,
        "inputs": inputs, "importances": evaluation.importances, "features": trained.model.features,
        "smartcore": "0.7", "program": code::PROGRAM,
        "basis": if is_reconstructed { "reconstructed" } else { "as_known" },
    });
    let lake = &cx.environment.lake;
    let json =
        |value: &serde_json::Value| serde_json::to_vec_pretty(value).map_err(|error| JobError::Fail(error.into()));
    let evaluation_json = serde_json::to_value(evaluation).map_err(|error| JobError::Fail(error.into()))?;
    let mut outcome = Outcome::default();
    // The model itself is named by its content, so it lies in its place before the commit, where later jobs read it.
    let artefact = keys::model_file(model, &version, "model.postcard");
    let place = keys::browsed(&artefact).map_err(JobError::fail)?;
    lake.put_new(&place, bytes.into()).await.map_err(lake_error)?;
    for (file, content) in [("card.json", json(&card)?), ("evaluation.json", json(&evaluation_json)?)] {
        let key = keys::model_file(model, &version, file);
        let staged = lake.stage_file(&cx.input.attempt_name(), key, content.into()).await;
        outcome.files.push(staged.map_err(lake_error)?);
    }
    let view = view(recipe, model, &version, evaluation, is_reconstructed, &decision.why, champion);
    outcome
        .facts
        .insert(MODEL_FACT.to_owned(), serde_json::to_value(&view).map_err(|error| JobError::Fail(error.into()))?);
    outcome.facts.insert(EVALUATION_FACT.to_owned(), evaluation_json);
    if !decision.promote {
        outcome.findings.push(Finding::new(
            Severity::Warning,
            "model.not_promoted",
            model.as_str(),
            format!("the new version of `{model}` was not let in: {}", decision.why),
            "The champion goes on, if there is one; look at the evaluation before loosening a threshold",
        ));
    }
    outcome
        .measurements
        .push(Measurement::new("model.auc", auc).of("model", model).of("candidate", &evaluation.chosen));
    for (week, figures) in &evaluation.weeks {
        if let Some(auc) = figures.auc {
            outcome.measurements.push(Measurement::new("model.auc", auc.value).of("model", model).of("week", week));
        }
    }
    let interval = figures.auc.map_or_else(String::new, |auc| format!(" ({:.2}–{:.2})", auc.low, auc.high));
    let rule = evaluation.rule.auc.map_or(0.5, |auc| auc.value);
    outcome.summary = format!(
        "{} AUC {auc:.2}{interval}, rule {rule:.2}; {}",
        evaluation.chosen,
        if role == ModelRole::Champion { "champion" } else { "challenger" }
    );
    outcome.models.push(ModelRecord { model: model.to_string(), artefact, version, role, why: decision.why, card });
    Ok(outcome)
}

fn view(
    recipe: &Recipe,
    model: &TableName,
    version: &str,
    evaluation: &Evaluation,
    is_reconstructed: bool,
    why: &str,
    champion: Option<&ModelRecord>,
) -> ModelView {
    let auc = |figures: &Figures| figures.auc.map_or(0.5, |auc| auc.value);
    let interval = |figures: &Figures| {
        figures.auc.map_or(Interval { value: 0.5, low: 0.0, high: 1.0 }, |auc| Interval {
            value: auc.value,
            low: auc.low,
            high: auc.high,
        })
    };
    let weeks = evaluation.weeks.iter().filter(|(_, figures)| figures.auc.is_some()).map(|(week, figures)| WeekView {
        week: u32::try_from(*week).unwrap_or(0),
        auc: interval(figures),
        rule_auc: evaluation.rule_weeks.get(week).map_or(0.5, auc),
        base_rate_auc: evaluation.base_rate_weeks.get(week).map_or(0.5, auc),
    });
    ModelView {
        name: model.to_string(),
        question: recipe.question.clone(),
        version: version.to_owned(),
        algorithm: evaluation.chosen.replace('_', " "),
        decision: why.to_owned(),
        evaluated_on: format!("term {} (learned from {})", evaluation.test_term, evaluation.trained_on.join(", ")),
        basis: if is_reconstructed { Basis::Reconstructed } else { Basis::AsKnown },
        auc: interval(&evaluation.candidates[&evaluation.chosen]),
        rule_auc: auc(&evaluation.rule),
        base_rate_auc: auc(&evaluation.base_rate),
        previous: champion.filter(|champion| champion.version != version).map(|champion| PreviousModel {
            version: champion.version.clone(),
            auc: champion.card["auc"].as_f64().unwrap_or(0.5),
        }),
        weeks: weeks.collect(),
    }
}
