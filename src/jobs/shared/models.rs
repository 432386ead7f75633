//! A model's recipe and its artefact, as jobs read them, and the models of a DAG, as the report speaks of them.

use super::facts::UNTRAINED;
use super::tables::lake_error;
use super::told::told_version;
use crate::domain::ids::TableName;
use crate::domain::lineage::Basis;
use crate::domain::outcome::{JobError, ModelRecord, ModelRole};
use crate::jobs::kind::JobContext;
use crate::lake::keys;
use crate::ml::model::FittedModel;
use crate::ml::recipe::Recipe;
use crate::report::format::three_decimals;
use crate::report::view::{Challenger, ChallengerState, ModelInUse, ModelView};

/// Reads a model's recipe.
pub(in crate::jobs) fn recipe(cx: &JobContext, model: &TableName) -> Result<Recipe, JobError> {
    Recipe::read(&cx.environment.config.paths.models, model.as_str())
        .map_err(|mistakes| JobError::Fail(mistakes.into()))
}

/// Reads a model's artefact.
pub(in crate::jobs) async fn load_model(cx: &JobContext, record: &ModelRecord) -> Result<FittedModel, JobError> {
    let key = keys::browsed(&record.artefact).map_err(JobError::fail)?;
    let bytes = cx.environment.lake.get(&key).await.map_err(lake_error)?;
    FittedModel::from_bytes(&bytes).map_err(JobError::fail)
}

/// Returns the models that the jobs of this DAG name (the parameter `model`): the version in use, whenever it was
/// trained, and what became of a newer one.
pub(in crate::jobs) fn models_in_use(cx: &JobContext) -> Result<Vec<ModelInUse>, JobError> {
    let untrained = UNTRAINED.all(cx)?;
    let named = cx.input.named_in_dag("model");
    let models = named.into_iter().map(|name| {
        let (told, told_with_care) = told_version(cx, name);
        ModelInUse {
            name: name.to_owned(),
            champion: cx.input.champion(name).map(view),
            challenger: newer_than_champion(&cx.input.models, name).map(challenger),
            untrained: untrained.iter().find(|found| found.model == name).map(|found| found.why.clone()),
            told,
            told_with_care,
        }
    });
    Ok(models.collect())
}

/// Returns the terms that a version has learned from, as the tables' partitions name them; none where an earlier version
/// of the program did not record them.
pub(in crate::jobs) fn model_terms(record: &ModelRecord) -> Vec<String> {
    let terms = record.card["trained_on"].as_array().into_iter().flatten();
    terms.filter_map(|term| term.as_str().map(str::to_owned)).collect()
}

/// The newest version, unless it is the champion. The records are in the order of their recording, newest first.
fn newer_than_champion<'a>(models: &'a [ModelRecord], name: &str) -> Option<&'a ModelRecord> {
    models.iter().find(|record| record.model == name).filter(|record| record.role == ModelRole::Challenger)
}

fn challenger(record: &ModelRecord) -> Challenger {
    let card = &record.card;
    Challenger {
        version: record.version.clone(),
        state: match card["passed_the_gate"].as_bool() {
            Some(true) => ChallengerState::Waiting,
            Some(false) | None => ChallengerState::Refused,
        },
        why: record.why.clone(),
        auc: card["auc"].as_f64().map(three_decimals),
        trained_for: card["trained_for"].as_str().and_then(|date| date.parse().ok()),
    }
}

/// What the card says of a version. An earlier version of the program kept no figures with it but its AUC, whose interval
/// is then not known, and is not shown.
fn view(record: &ModelRecord) -> ModelView {
    let card = &record.card;
    let text = |key: &str| card[key].as_str().unwrap_or("not recorded").to_owned();
    let kept: Option<ModelView> = serde_json::from_value(card["view"].clone()).ok();
    let kept = kept.unwrap_or_else(|| ModelView {
        name: record.model.clone(),
        question: text("question"),
        version: record.version.clone(),
        algorithm: text("chosen").replace('_', " "),
        decision: String::new(),
        trained_for: None,
        evaluated_on: format!("term {}", text("test_term")),
        basis: if card["basis"] == Basis::AsKnown.as_str() { Basis::AsKnown } else { Basis::Reconstructed },
        auc: None,
        rule_auc: None,
        gain_over_rule: None,
        base_rate_auc: None,
        previous: None,
        weeks: Vec::new(),
    });
    // The record's reason is that of its present role, whoever gave it.
    ModelView { decision: record.why.clone(), ..kept }.rounded()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::view::{ReportView, Verdict};

    fn record(version: &str, role: ModelRole, card: serde_json::Value) -> ModelRecord {
        let (model, version) = ("at_risk".to_owned(), version.to_owned());
        ModelRecord { model, version, role, artefact: "a".to_owned(), why: "the gate's words".to_owned(), card }
    }

    #[test]
    fn only_a_version_that_is_newer_than_the_champion_is_a_challenger() {
        let (old, new) = (record("1", ModelRole::Challenger, json!({})), record("3", ModelRole::Challenger, json!({})));
        let champion = record("2", ModelRole::Champion, json!({}));

        let newer = |models: &[ModelRecord]| newer_than_champion(models, "at_risk").map(|found| found.version.clone());

        assert_eq!(newer(&[champion.clone(), old.clone()]), None);
        assert_eq!(newer(&[new.clone(), champion, old]), Some("3".to_owned()));
        assert_eq!(newer(&[new]), Some("3".to_owned()));
    }

    #[test]
    fn the_card_of_an_earlier_version_of_the_program_has_no_figures_and_invents_none() {
        let card = json!({ "question": "who may fail", "chosen": "logistic_regression", "auc": 0.8, "test_term": "7" });

        let view = view(&record("1", ModelRole::Champion, card));

        assert_eq!((view.auc, view.gain_over_rule), (None, None));
        assert_eq!((view.algorithm.as_str(), view.evaluated_on.as_str()), ("logistic regression", "term 7"));
    }

    #[test]
    fn figures_are_told_with_three_decimals_so_that_no_count_can_be_worked_out() {
        let mut kept = serde_json::to_value(ReportView::sample(Verdict::Ok).models[0].champion.as_ref()).unwrap();
        // 718 pairs of 9 students with the label and 56 without.
        kept["auc"]["value"] = json!(718.0 / (2.0 * 9.0 * 56.0));
        kept["weeks"][0]["rule_auc"] = json!(59.0 / 96.0);

        let view = view(&record("1", ModelRole::Champion, json!({ "view": kept })));

        assert_eq!(view.auc.map(|auc| auc.value), Some(0.712));
        assert_eq!(view.weeks[0].rule_auc, Some(0.615));
    }

    #[test]
    fn a_challenger_that_passed_the_gate_waits_and_any_other_was_refused() {
        let state = |card| challenger(&record("1", ModelRole::Challenger, card)).state;

        assert_eq!(state(json!({ "passed_the_gate": true })), ChallengerState::Waiting);
        assert_eq!(state(json!({ "passed_the_gate": false })), ChallengerState::Refused);
    }
}
