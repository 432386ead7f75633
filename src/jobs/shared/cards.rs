//! The published card of each model in use: what it is for, what it learned from, how good it is, where it is weak.
//!
//! It holds figures about the model and no count of people but what the evaluation publishes.

use super::facts::TRAINS_MODELS;
use super::features::catalogue;
use super::models::models_in_use;
use crate::domain::ids::{JobName, TableName};
use crate::domain::lineage::Basis;
use crate::domain::outcome::{JobError, ModelRecord};
use crate::features::Catalogue;
use crate::jobs::kind::JobContext;
use crate::report::format::three_decimals;
use crate::report::view::{ModelCardView, ModelView, ReasonFeature};

/// How many features a card lists.
const MOST_FEATURES: usize = 12;

/// Returns the cards of the models in use that the DAG's jobs name, with the models' names.
///
/// # Errors
/// When the feature sets cannot be read, or a model's name is none.
pub(in crate::jobs) fn cards(
    cx: &JobContext,
    is_simulation: bool,
) -> Result<Vec<(TableName, ModelCardView)>, JobError> {
    let catalogue = catalogue(cx)?;
    let mut cards = Vec::new();
    for model in models_in_use(cx)? {
        let Some((view, record)) = model.champion.zip(cx.input.champion(&model.name)) else { continue };
        let institution = cx.environment.config.institution.name.clone();
        let card = card(view, record, &Site { catalogue: &catalogue, cx, institution, is_simulation });
        cards.push((model.name.parse().map_err(JobError::fail)?, card));
    }
    Ok(cards)
}

/// Where a model is used.
struct Site<'a> {
    catalogue: &'a Catalogue,
    cx: &'a JobContext,
    institution: String,
    is_simulation: bool,
}

fn card(model: ModelView, record: &ModelRecord, site: &Site<'_>) -> ModelCardView {
    let kept = &record.card;
    let label = kept["recipe"]["label"].as_str().unwrap_or_default();
    let terms = kept["trained_on"].as_array().into_iter().flatten().filter_map(|term| term.as_str());
    let terms: Vec<&str> = terms.collect();
    let trained_for = model.trained_for.unwrap_or(site.cx.input.logical_date);
    let figure = |name: &str, value: Option<f64>| {
        (name.to_owned(), value.map_or_else(|| "not defined".to_owned(), |value| format!("{value:.2}")))
    };
    let sentences = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    ModelCardView {
        institution: site.institution.clone(),
        logical_date: trained_for,
        is_simulation: site.is_simulation,
        intended_use: sentences(&[
            "To help advisers decide whom to offer support first.",
            "To show programme leads, in rounded counts, where support is needed.",
        ]),
        forbidden_use: sentences(&[
            "No decision about a student may rest on a score: a person decides.",
            "No grade, no ranking among students, no sanction and no automatic message.",
        ]),
        population: "Students enrolled at the cut-off in published courses; no test students and no sandboxes."
            .to_owned(),
        label: about_label(site.catalogue, label).unwrap_or_else(|| format!("The label `{label}`.")),
        training_data: match terms.as_slice() {
            [] => "The terms are not recorded.".to_owned(),
            terms => format!("Terms {}.", terms.join(", ")),
        },
        training_basis: if kept["basis"] == Basis::AsKnown.as_str() { Basis::AsKnown } else { Basis::Reconstructed },
        flag_from: kept["threshold"].as_f64().unwrap_or_default(),
        features: features(record, site.catalogue),
        figures: vec![
            figure("AUC, all weeks", model.auc.map(|auc| auc.value)),
            figure("AUC of the simple rule", model.rule_auc),
            figure("AUC of the courses' own history", model.base_rate_auc),
        ],
        limits: limits(&model),
        reproduce: reproduce(site.cx, &model.name, trained_for),
        model,
    }
}

fn about_label(catalogue: &Catalogue, label: &str) -> Option<String> {
    let set = catalogue.label(label).ok()?;
    set.contract.columns.get(label).map(|column| column.about.clone())
}

/// The features whose shuffling costs the model most, as shares of what all of them cost.
fn features(record: &ModelRecord, catalogue: &Catalogue) -> Vec<ReasonFeature> {
    let importances: Vec<(String, f64)> =
        serde_json::from_value(record.card["importances"].clone()).unwrap_or_default();
    let whole: f64 = importances.iter().map(|(_, fall)| fall.max(0.0)).sum();
    let about = |feature: &str| {
        let mut columns = catalogue.sets().filter_map(|set| set.contract.columns.get(feature));
        columns.next().map_or_else(|| feature.replace('_', " "), |column| column.about.clone())
    };
    let mut features: Vec<ReasonFeature> = importances
        .into_iter()
        .filter(|(_, fall)| *fall > 0.0)
        .map(|(feature, fall)| ReasonFeature {
            label: about(&feature),
            importance: three_decimals(fall / whole),
            feature,
        })
        .collect();
    features.truncate(MOST_FEATURES);
    features
}

/// What the figures themselves say about where the model is weak.
fn limits(model: &ModelView) -> Vec<String> {
    let mut limits = Vec::new();
    if !model.beats_rule() {
        limits.push("It is not clearly better than a simple rule that a person could apply.".to_owned());
    }
    let coin: Vec<String> =
        model.weeks.iter().filter(|week| week.auc.low <= 0.5).map(|week| week.week.to_string()).collect();
    if !coin.is_empty() {
        limits.push(format!("In course weeks {} it may be no better than a coin.", coin.join(", ")));
    }
    if model.basis == Basis::Reconstructed {
        limits.push("It was tested on history that was loaded later: what was known then is reconstructed.".to_owned());
    }
    limits
}

/// The command that makes the version again, from the job that trains the model.
fn reproduce(cx: &JobContext, model: &str, trained_for: jiff::civil::Date) -> String {
    let is_of_model = |job: &&JobName| cx.input.dag_params.get(*job).is_some_and(|params| params["model"] == model);
    let trains = cx.input.jobs.iter().filter(|job| job.kind.as_str() == TRAINS_MODELS).map(|job| &job.name);
    let dag = &cx.input.dag;
    match trains.into_iter().find(is_of_model) {
        Some(job) => format!("nocturne run {dag} --date {trained_for} --job {job} --force"),
        None => format!("nocturne run {dag} --date {trained_for} --force"),
    }
}
