//! `train_model`: fits a model's candidates, evaluates them honestly, and promotes the better one.
//!
//! Reads features and labels; writes the model's artefact and evaluation to `restricted/models/<model>/<version>/` and
//! a summary for `published/`. Another try makes sense when the lake could not be reached. With too little history the
//! job succeeds and says so: a young lake is not an error.

use anyhow::Context as _;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{JobContext, JobKind};
use super::shared::examples::Examples;
use super::shared::facts::{EVALUATION, MODEL};
use super::shared::models::recipe;
use super::shared::tables::lake_error;
use crate::domain::check::Finding;
use crate::domain::code;
use crate::domain::fingerprint::DependsOn;
use crate::domain::ids::{TableName, content_hash};
use crate::domain::lineage::Basis;
use crate::domain::measurement::Measurement;
use crate::domain::outcome::{JobError, ModelRecord, ModelRole, Outcome, Reason};
use crate::features::Stage;
use crate::lake::keys;
use crate::ml::metrics::Figures;
use crate::ml::recipe::{Approval, Recipe};
use crate::ml::train::{Decision, TrainError, Trained, gate, train};
use crate::report::view::{Interval, ModelView, PreviousModel, WeekView};
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

#[async_trait]
impl JobKind for TrainModel {
    const NAME: &'static str = "train_model";
    const SUMMARY: &'static str = "Fits a model's candidates, evaluates them honestly, and promotes the better one.";
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
            if let Some(parts) = cx.stage_input(&dataset, Stage::Past).await? {
                inputs = inputs.with(format!("`{}` of past courses", dataset.name()), parts);
            }
        }
        Ok(Some(inputs))
    }

    async fn run(params: Params, cx: &JobContext) -> Result<Outcome, JobError> {
        let recipe = recipe(cx, &params.model)?;
        let Some(examples) = cx.examples(&recipe, Stage::Past).await? else {
            return Ok(too_young("no course has ended yet whose results are known"));
        };
        cx.go_on()?;
        let Examples { rows, basis, mut inputs } = examples;
        inputs.sort();
        let training = recipe.clone();
        let series = cx.course_series().await?;
        let trained = match spawn_blocking(move || train(&training, &rows, &series)).await {
            Ok(trained) => trained,
            Err(TrainError::NotEnoughHistory(why)) => return Ok(too_young(&why)),
            Err(error) => return Err(JobError::fail(error)),
        };
        let bytes = trained.model.to_bytes().map_err(JobError::fail)?;
        let version = content_hash(&bytes)[..16].to_owned();
        let champion = cx.input.champion(params.model.as_str());
        let champion_auc = champion.and_then(|champion| champion.card["auc"].as_f64());
        let decision = gate(&recipe.acceptance, &trained.evaluation, champion_auc);
        let fitted =
            Fitted { name: &params.model, recipe: &recipe, trained, basis, inputs, version, champion, decision };
        // The model itself is named by its content, so it is stored in its place before the commit, where later jobs
        // read it.
        let place = keys::browsed(&fitted.artefact()).map_err(JobError::fail)?;
        cx.environment.lake.put_new(&place, bytes.into()).await.map_err(lake_error)?;
        fitted.outcome(cx).await
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

/// A model that was fitted tonight, and the gate's decision on it.
struct Fitted<'a> {
    name: &'a TableName,
    recipe: &'a Recipe,
    trained: Trained,
    basis: Basis,
    /// The snapshots it was fitted on.
    inputs: Vec<String>,
    version: String,
    /// The champion that it was compared with.
    champion: Option<&'a ModelRecord>,
    decision: Decision,
}

impl Fitted<'_> {
    fn artefact(&self) -> String {
        keys::model_file(self.name, &self.version, "model.postcard")
    }

    fn role(&self) -> ModelRole {
        match (self.decision.promote, self.recipe.approval) {
            (true, Approval::Automatic) => ModelRole::Champion,
            _ => ModelRole::Challenger,
        }
    }

    /// The figures of the chosen candidate.
    fn figures(&self) -> &Figures {
        let evaluation = &self.trained.evaluation;
        &evaluation.candidates[&evaluation.chosen]
    }

    fn card(&self) -> serde_json::Value {
        let (recipe, evaluation) = (self.recipe, &self.trained.evaluation);
        serde_json::json!({
            "question": recipe.question, "recipe": recipe, "chosen": evaluation.chosen, "auc": auc(self.figures()),
            "threshold": recipe.threshold, "test_term": evaluation.test_term, "trained_on": evaluation.final_terms,
            "inputs": self.inputs, "importances": evaluation.importances, "features": self.trained.model.features,
            "smartcore": "0.7", "program": code::PROGRAM, "basis": self.basis.as_str(),
        })
    }

    async fn outcome(self, cx: &JobContext) -> Result<Outcome, JobError> {
        let (card, evaluation) = (self.card(), &self.trained.evaluation);
        let mut outcome = Outcome { summary: self.summary(), measurements: self.measurements(), ..Outcome::default() };
        let files = [
            ("card.json", serde_json::to_vec_pretty(&card)),
            ("evaluation.json", serde_json::to_vec_pretty(evaluation)),
        ];
        for (file, content) in files {
            let content = content.with_context(|| format!("writing `{file}` of `{}`", self.name))?;
            let key = keys::model_file(self.name, &self.version, file);
            let staged = cx.environment.lake.stage_file(&cx.input.attempt_name(), key, content.into()).await;
            outcome.files.push(staged.map_err(lake_error)?);
        }
        MODEL.leave(&mut outcome, &self.view())?;
        EVALUATION.leave(&mut outcome, evaluation)?;
        if !self.decision.promote {
            outcome.findings.push(Finding::warning(
                "model.not_promoted",
                self.name.as_str(),
                format!("the new version of `{}` was not promoted: {}", self.name, self.decision.why),
                "The champion stays, if there is one; look at the evaluation before loosening a threshold",
            ));
        }
        let (artefact, role) = (self.artefact(), self.role());
        let (model, version, why) = (self.name.to_string(), self.version, self.decision.why);
        outcome.models.push(ModelRecord { model, artefact, version, role, why, card });
        Ok(outcome)
    }

    fn summary(&self) -> String {
        let (evaluation, figures) = (&self.trained.evaluation, self.figures());
        let interval = figures.auc.map_or_else(String::new, |auc| format!(" ({:.2}–{:.2})", auc.low, auc.high));
        let role = if self.role() == ModelRole::Champion { "champion" } else { "challenger" };
        let (auc, rule) = (auc(figures), auc(&evaluation.rule));
        format!("{} AUC {auc:.2}{interval}, rule {rule:.2}; {role}", evaluation.chosen)
    }

    fn measurements(&self) -> Vec<Measurement> {
        let evaluation = &self.trained.evaluation;
        let measured = |auc: f64| Measurement::new("model.auc", auc).of("model", self.name);
        let by_week = evaluation.weeks.iter().filter_map(|(week, figures)| Some((week, figures.auc?)));
        std::iter::once(measured(auc(self.figures())).of("candidate", &evaluation.chosen))
            .chain(by_week.map(|(week, auc)| measured(auc.value).of("week", week)))
            .collect()
    }

    fn view(&self) -> ModelView {
        let (recipe, evaluation) = (self.recipe, &self.trained.evaluation);
        let by_week = evaluation.weeks.iter().filter(|(_, figures)| figures.auc.is_some());
        let weeks = by_week.map(|(week, figures)| WeekView {
            week: u32::try_from(*week).unwrap_or(0),
            auc: interval(figures),
            rule_auc: evaluation.rule_weeks.get(week).map_or(0.5, auc),
            base_rate_auc: evaluation.base_rate_weeks.get(week).map_or(0.5, auc),
        });
        ModelView {
            name: self.name.to_string(),
            question: recipe.question.clone(),
            version: self.version.clone(),
            algorithm: evaluation.chosen.replace('_', " "),
            decision: self.decision.why.clone(),
            evaluated_on: format!("term {} (learned from {})", evaluation.test_term, evaluation.trained_on.join(", ")),
            basis: self.basis,
            auc: interval(self.figures()),
            rule_auc: auc(&evaluation.rule),
            base_rate_auc: auc(&evaluation.base_rate),
            previous: self.champion.filter(|champion| champion.version != self.version).map(|champion| PreviousModel {
                version: champion.version.clone(),
                auc: champion.card["auc"].as_f64().unwrap_or(0.5),
            }),
            weeks: weeks.collect(),
        }
    }
}

/// Returns the AUC, or that of chance if it is not defined.
fn auc(figures: &Figures) -> f64 {
    figures.auc.map_or(0.5, |auc| auc.value)
}

fn interval(figures: &Figures) -> Interval {
    let whole = Interval { value: 0.5, low: 0.0, high: 1.0 };
    figures.auc.map_or(whole, |auc| Interval { value: auc.value, low: auc.low, high: auc.high })
}
