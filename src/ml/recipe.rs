//! A model's recipe: what it predicts, from what, how it is fitted and what it must reach.
//!
//! A recipe is `config/models/<model>.toml`; all its mistakes are reported at once. It names no smartcore type.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::document::{Document, Mistake, Mistakes};

/// A model's recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The label (`sql/labels/<label>.sql`), whose column of the same name is 0 or 1.
    pub label: String,
    /// The question that the model answers, in words.
    pub question: String,
    /// The feature sets, joined by cutoff and enrolment.
    pub sets: Vec<String>,
    /// Features that are left out.
    #[serde(default)]
    pub leave_out: Vec<String>,
    /// The seed of all random draws.
    pub seed: u64,
    /// The most rows to train on.
    #[schemars(range(min = 100))]
    pub max_rows: usize,
    /// A score at or above this is flagged.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub threshold: f64,
    /// Who promotes a new champion.
    pub approval: Approval,
    /// How many days a term's labels may be known before the model in use has learned from that term.
    #[serde(default = "max_age_days")]
    #[schemars(range(min = 0, max = 3650))]
    pub max_age_days: u32,
    /// The feature by which a simple rule ranks: the higher, the safer.
    pub rule: String,
    /// What is tried, by name.
    pub candidates: BTreeMap<String, Candidate>,
    /// What a champion must reach.
    pub acceptance: Acceptance,
}

/// Who promotes a new champion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Nobody: the gate decides. A demo setting.
    Automatic,
    /// A person, after the gate.
    Person,
}

/// One way to fit the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Candidate {
    /// Logistic regression on standardised features.
    LogisticRegression {
        /// The strength of the L2 penalty.
        #[schemars(range(min = 0.0, max = 1e6))]
        alpha: f64,
        /// The most rows to fit on, drawn like the recipe's own; a few coefficients can be learnt from few rows.
        #[serde(default)]
        #[schemars(range(min = 100))]
        max_rows: Option<usize>,
    },
    /// A forest of regression trees on 0 and 1: the mean of its leaves is a probability.
    Forest {
        /// Trees in all.
        #[schemars(range(min = 1, max = 10_000))]
        trees: usize,
        /// The greatest depth of a tree.
        #[schemars(range(min = 1, max = 64))]
        depth: u16,
        /// The smallest leaf, in rows.
        #[schemars(range(min = 1))]
        min_leaf: usize,
        /// Features tried at each split.
        #[schemars(range(min = 1))]
        features_per_split: usize,
    },
}

/// What a champion must reach on the latest term with known labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// The smallest ROC AUC.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_auc: f64,
    /// The fewest training rows.
    pub min_rows: usize,
    /// The fewest training rows with the label.
    pub min_positives: usize,
    /// The largest Brier score.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_brier: f64,
    /// Whether it must rank better than the rule.
    pub beat_rule: bool,
    /// By how much AUC it may rank worse than the champion; where that was tested on another term, beyond what chance
    /// explains.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_auc_loss: f64,
}

/// One term, where a recipe does not say.
const fn max_age_days() -> u32 {
    120
}

impl Recipe {
    /// Reads the recipe of `model` in `folder`.
    ///
    /// # Errors
    /// When there is none, or with every mistake in it.
    pub fn read(folder: &Path, model: &str) -> Result<Self, Mistakes> {
        let path = folder.join(format!("{model}.toml"));
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let message = format!("the model `{model}` has no recipe: {error}");
            Mistakes(vec![Mistake { file: name.clone(), line: 0, column: 0, path: String::new(), message }])
        })?;
        Self::parse(&name, &text)
    }

    /// Parses a recipe.
    ///
    /// # Errors
    /// With every mistake in it.
    pub fn parse(name: &str, text: &str) -> Result<Self, Mistakes> {
        let document = Document::parse(name, text)?;
        Mistakes::unless_none(document.mistakes(&schemars::schema_for!(Self).to_value()), ())?;
        let recipe: Self = serde_json::from_value(document.value.clone())
            .map_err(|error| Mistakes(vec![document.mistake(&[], error.to_string())]))?;
        let mut mistakes = Vec::new();
        if recipe.candidates.is_empty() {
            mistakes.push(document.mistake(&["candidates"], "a model needs at least one candidate"));
        }
        if recipe.sets.is_empty() {
            mistakes.push(document.mistake(&["sets"], "a model needs at least one feature set"));
        }
        Mistakes::unless_none(mistakes, recipe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_recipe_is_sound() {
        let recipe = Recipe::parse("at_risk.toml", include_str!("../../config/models/at_risk.toml")).unwrap();

        assert_eq!(recipe.candidates.len(), 2);
    }

    #[test]
    fn mistakes_are_told_with_their_lines() {
        let text = include_str!("../../config/models/at_risk.toml").replace("seed =", "sed =").replace("80", "'many'");

        let mistakes = Recipe::parse("at_risk.toml", &text).unwrap_err();

        assert!(mistakes.0.len() >= 2, "{mistakes}");
    }
}
