//! `train_model`: fits a model's candidates, evaluates them honestly, and promotes the better one.
//!
//! Reads features and labels; writes the model's artefact and evaluation to `restricted/models/<model>/<version>/` and
//! a summary for `published/`. Another try makes sense when the lake could not be reached. With too little history the
//! job succeeds and says so: a young lake is not an error.

use anyhow::Context as _;
use async_trait::async_trait;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::kind::{JobContext, JobKind};
use super::shared::examples::Examples;
use super::shared::facts::{EVALUATION, TRAINS_MODELS, UNTRAINED, Untrained};
use super::shared::labels::unusual_labels;
use super::shared::models::recipe;
use super::shared::published::{self, Became};
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
use crate::ml::auc;
use crate::ml::metrics::Figures;
use crate::ml::recipe::{Approval, Recipe};
use crate::ml::train::{Decision, Tested, TrainError, Trained, gate, train};
use crate::report::format::three_decimals;
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
    const NAME: &'static str = TRAINS_MODELS;
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
            return too_young(&params.model, "no course has ended yet whose results are known");
        };
        cx.go_on()?;
        let unusual = unusual_labels(cx, &recipe, &examples.rows).await?;
        let Examples { rows, basis, mut inputs } = examples;
        inputs.sort();
        let training = recipe.clone();
        let series = cx.course_series().await?;
        let trained = match spawn_blocking(move || train(&training, &rows, &series)).await {
            Ok(trained) => trained,
            Err(TrainError::NotEnoughHistory(why)) => {
                return too_young(&params.model, &why).map(|outcome| with_finding(outcome, unusual));
            }
            Err(error) => return Err(JobError::fail(error)),
        };
        let bytes = trained.model.to_bytes().map_err(JobError::fail)?;
        let version = content_hash(&bytes)[..16].to_owned();
        let champion = cx.input.champion(params.model.as_str());
        let decision = gate(&recipe.acceptance, &trained.evaluation, champion.and_then(tested));
        let name = &params.model;
        // Fitted again, the version in use is still the one of its own night.
        let same = champion.filter(|champion| champion.version == version);
        let first = same.and_then(|champion| champion.card["trained_for"].as_str()?.parse().ok());
        let trained_for = first.unwrap_or(cx.input.logical_date);
        let terms = cx.term_names().await?;
        let fitted =
            Fitted { name, recipe: &recipe, trained, trained_for, basis, inputs, version, champion, decision, terms };
        // The model itself is named by its content, so it is stored in its place before the commit, where later jobs
        // read it.
        let place = keys::browsed(&fitted.artefact()).map_err(JobError::fail)?;
        cx.environment.lake.put_new(&place, bytes.into()).await.map_err(lake_error)?;
        fitted.outcome(cx).await.map(|outcome| with_finding(outcome, unusual))
    }
}

fn with_finding(mut outcome: Outcome, finding: Option<Finding>) -> Outcome {
    outcome.findings.extend(finding);
    outcome
}

fn datasets(recipe: &Recipe) -> Result<Vec<crate::lake::Dataset>, JobError> {
    let mut datasets = Vec::new();
    for set in &recipe.sets {
        datasets.push(crate::lake::Dataset::feature_set(&set.parse().map_err(JobError::fail)?));
    }
    datasets.push(crate::lake::Dataset::label(&recipe.label.parse().map_err(JobError::fail)?));
    Ok(datasets)
}

fn too_young(model: &TableName, why: &str) -> Result<Outcome, JobError> {
    let summary = format!("no model: {why}");
    let mut outcome = Outcome { summary, reason: Some(Reason::NotEnoughHistory), ..Outcome::default() };
    UNTRAINED.leave(&mut outcome, &Untrained { model: model.to_string(), why: why.to_owned() })?;
    Ok(outcome)
}

/// A model that was fitted tonight, and the gate's decision on it.
struct Fitted<'a> {
    name: &'a TableName,
    recipe: &'a Recipe,
    trained: Trained,
    trained_for: Date,
    basis: Basis,
    /// The snapshots it was fitted on.
    inputs: Vec<String>,
    version: String,
    /// The champion that it was compared with.
    champion: Option<&'a ModelRecord>,
    decision: Decision,
    /// The names of terms.
    terms: BTreeMap<i64, String>,
}

impl Fitted<'_> {
    /// The name of a term by its id; the id where it has none.
    fn term(&self, id: &str) -> String {
        let name = id.parse().ok().and_then(|id: i64| self.terms.get(&id));
        name.map_or_else(|| format!("term {id}"), Clone::clone)
    }

    fn artefact(&self) -> String {
        keys::model_file(self.name, &self.version, "model.postcard")
    }

    /// Whether the fit gave the very version that is in use.
    fn is_in_use(&self) -> bool {
        self.champion.is_some_and(|champion| champion.version == self.version)
    }

    fn role(&self) -> ModelRole {
        match (self.decision.promote, self.recipe.approval) {
            _ if self.is_in_use() => ModelRole::Champion,
            (true, Approval::Automatic) => ModelRole::Champion,
            _ => ModelRole::Challenger,
        }
    }

    /// The figures of the chosen candidate.
    fn figures(&self) -> &Figures {
        let evaluation = &self.trained.evaluation;
        &evaluation.candidates[&evaluation.chosen]
    }

    /// The card: what is known of this version for as long as it is kept.
    fn card(&self) -> serde_json::Value {
        let (recipe, evaluation) = (self.recipe, &self.trained.evaluation);
        serde_json::json!({
            "question": recipe.question, "recipe": recipe, "chosen": evaluation.chosen, "auc": value(self.figures()),
            "view": self.view(), "trained_for": self.trained_for, "passed_the_gate": self.decision.promote,
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
        let became = Became {
            model: self.name.as_str(),
            version: &self.version,
            went_into_use: self.role() == ModelRole::Champion,
            decision: &self.decision.why,
        };
        EVALUATION.leave(&mut outcome, &published::evaluation(evaluation, &became))?;
        outcome.findings.extend(self.not_in_use());
        let (artefact, role) = (self.artefact(), self.role());
        let stands = self.champion.filter(|champion| champion.version == self.version && !self.decision.promote);
        let why = stands.map_or(self.decision.why, |champion| champion.why.clone());
        let (model, version) = (self.name.to_string(), self.version);
        outcome.models.push(ModelRecord { model, artefact, version, role, why, card });
        Ok(outcome)
    }

    /// What a person should know of a version that does not go into use.
    fn not_in_use(&self) -> Option<Finding> {
        let (name, why) = (self.name, &self.decision.why);
        match (self.decision.promote, self.recipe.approval) {
            (false, _) if self.is_in_use() => Some(Finding::warning(
                "model.below_thresholds",
                name.as_str(),
                format!("the version of `{name}` that is in use does not meet the thresholds: {why}"),
                "It stays in use, for there is no better one; read its scores with care, or loosen the thresholds in its \
                 recipe",
            )),

            (true, Approval::Automatic) => None,
            (true, Approval::Person) if self.is_in_use() => None,
            (true, Approval::Person) => Some(Finding::warning(
                "model.waits_for_approval",
                name.as_str(),
                format!("a new version of `{name}` met all thresholds and waits for a person's approval"),
                format!(
                    "Look at its evaluation in the published report. There is no command to approve one \
                     version; to let the gate decide, set `approval = \"automatic\"` in the recipe `{name}.toml` \
                     (`paths.models`) and run the night again"
                ),
            )),
            (false, _) => Some(
                Finding::warning(
                    "model.not_promoted",
                    name.as_str(),
                    format!("the new version of `{name}` was not promoted: {why}"),
                    if self.champion.is_some() {
                        "The version in use stays; look at the evaluation in the published report before loosening a threshold"
                    } else {
                        "No version is in use; look at the evaluation in the published report before loosening a threshold"
                    },
                )
                .told_once(),
            ),
        }
    }

    fn summary(&self) -> String {
        let (evaluation, figures) = (&self.trained.evaluation, self.figures());
        let auc = figures.auc.map_or_else(
            || "not defined".to_owned(),
            |auc| {
                // Rounded as it is where it is published.
                let [value, low, high] = [auc.value, auc.low, auc.high].map(three_decimals);
                format!("{value:.2} ({low:.2}–{high:.2})")
            },
        );
        let rule = value(&evaluation.rule).map(three_decimals);
        let rule = rule.map_or_else(|| "not defined".to_owned(), |auc| format!("{auc:.2}"));
        let role = if self.role() == ModelRole::Champion { "champion" } else { "challenger" };
        format!("{} AUC {auc}, rule {rule}; {role}", evaluation.chosen)
    }

    fn measurements(&self) -> Vec<Measurement> {
        let evaluation = &self.trained.evaluation;
        let measured = |auc: f64| Measurement::new("model.auc", auc).of("model", self.name);
        let by_week = evaluation.weeks.iter().filter_map(|(week, figures)| Some((week, figures.auc?)));
        let whole = value(self.figures()).map(|auc| measured(auc).of("candidate", &evaluation.chosen));
        whole.into_iter().chain(by_week.map(|(week, auc)| measured(auc.value).of("week", week))).collect()
    }

    fn view(&self) -> ModelView {
        let (recipe, evaluation) = (self.recipe, &self.trained.evaluation);
        let weeks = evaluation.weeks.iter().filter(|(_, figures)| figures.are_about_enough());
        let weeks = weeks.filter_map(|(week, figures)| {
            Some(WeekView {
                week: u32::try_from(*week).ok()?,
                auc: interval(figures.auc?),
                rule_auc: evaluation.rule_weeks.get(week).and_then(value),
                base_rate_auc: evaluation.base_rate_weeks.get(week).and_then(value),
            })
        });
        let previous = self.champion.filter(|champion| champion.version != self.version);
        ModelView {
            name: self.name.to_string(),
            question: recipe.question.clone(),
            version: self.version.clone(),
            algorithm: evaluation.chosen.replace('_', " "),
            decision: self.decision.why.clone(),
            trained_for: Some(self.trained_for),
            evaluated_on: {
                let learned: Vec<String> = evaluation.trained_on.iter().map(|term| self.term(term)).collect();
                let test = self.term(&evaluation.test_term);
                format!("{test}, by a fit to {}; then fitted to these terms together", learned.join(", "))
            },
            basis: self.basis,
            auc: self.figures().auc.map(interval),
            rule_auc: value(&evaluation.rule),
            gain_over_rule: evaluation.gain_over_rule.map(interval),
            base_rate_auc: value(&evaluation.base_rate),
            previous: previous.map(|champion| PreviousModel {
                version: champion.version.clone(),
                auc: champion.card["auc"].as_f64(),
                test_term: champion.card["test_term"].as_str().map(|term| self.term(term)),
            }),
            weeks: weeks.collect(),
        }
    }
}

/// How a version was tested; `None` where its AUC was not defined.
fn tested(record: &ModelRecord) -> Option<Tested<'_>> {
    Some(Tested { auc: record.card["auc"].as_f64()?, test_term: record.card["test_term"].as_str() })
}

/// Returns the AUC where it is defined.
fn value(figures: &Figures) -> Option<f64> {
    figures.auc.map(|auc| auc.value)
}

const fn interval(found: auc::Interval) -> Interval {
    Interval { value: found.value, low: found.low, high: found.high }
}
