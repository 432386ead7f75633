//! What is published of a model's evaluation, of drift and of the checks: figures that say how good and how far, and no exact count.
//!
//! The whole evaluation stays with the model in `restricted/`. Students are counted, distinct and rounded; where fewer than
//! ten have the label, or fewer than ten have not, no figure is given, because it would be about too few. Shares of people
//! (precision, recall) are not published. Figures have three decimals: more would let the counts behind them be worked
//! out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::check::{CheckOutcome, CheckStatus};
use crate::domain::measurement::People;
use crate::ml::auc::Interval;
use crate::ml::drift::{CategoryDistance, Distance};
use crate::ml::metrics::Figures;
use crate::ml::train::Evaluation;
use crate::report::format::{three_decimals, two_decimals};
use crate::report::view::PeopleCount;

/// `evaluation.json`: how good a trained version is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::jobs) struct PublishedEvaluation {
    /// The model.
    model: String,
    /// The version.
    version: String,
    /// Whether it went into use when it was trained.
    went_into_use: bool,
    /// Why, in the gate's words.
    decision: String,
    /// The term that it was tested on.
    test_term: String,
    /// The terms that it was trained on for the test.
    trained_on: Vec<String>,
    /// The terms of the final model.
    final_terms: Vec<String>,
    /// The candidate that is used.
    chosen: String,
    /// The figures over all weeks, by candidate.
    candidates: BTreeMap<String, PublishedFigures>,
    /// The chosen candidate's figures, by course week.
    weeks: BTreeMap<i64, PublishedFigures>,
    /// The simple rule's over all weeks.
    rule: PublishedFigures,
    /// The simple rule's, by course week.
    rule_weeks: BTreeMap<i64, PublishedFigures>,
    /// Those of the courses' history alone, over all weeks.
    base_rate: PublishedFigures,
    /// Those of the courses' history alone, by course week.
    base_rate_weeks: BTreeMap<i64, PublishedFigures>,
    /// By how much the chosen candidate's AUC is above the rule's, on the same rows.
    gain_over_rule: Option<Interval>,
    /// By how much AUC falls when a feature is shuffled, largest first.
    importances: Vec<(String, f64)>,
}

/// The figures of one set of scores; `None` where they are about too few students, or not defined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PublishedFigures {
    students: PeopleCount,
    auc: Option<Interval>,
    pr_auc: Option<f64>,
    brier: Option<f64>,
    log_loss: Option<f64>,
}

/// What became of the version that was evaluated.
pub(in crate::jobs) struct Became<'a> {
    pub(in crate::jobs) model: &'a str,
    pub(in crate::jobs) version: &'a str,
    pub(in crate::jobs) went_into_use: bool,
    pub(in crate::jobs) decision: &'a str,
}

/// Returns what may be published of an evaluation.
pub(in crate::jobs) fn evaluation(of: &Evaluation, became: &Became<'_>) -> PublishedEvaluation {
    fn each<K: Clone + Ord>(all: &BTreeMap<K, Figures>) -> BTreeMap<K, PublishedFigures> {
        all.iter().map(|(key, figures)| (key.clone(), published(figures))).collect()
    }
    let chosen = &of.candidates[&of.chosen];
    PublishedEvaluation {
        model: became.model.to_owned(),
        version: became.version.to_owned(),
        went_into_use: became.went_into_use,
        decision: became.decision.to_owned(),
        test_term: of.test_term.clone(),
        trained_on: of.trained_on.clone(),
        final_terms: of.final_terms.clone(),
        chosen: of.chosen.clone(),
        candidates: each(&of.candidates),
        weeks: each(&of.weeks),
        rule: published(&of.rule),
        rule_weeks: each(&of.rule_weeks),
        base_rate: published(&of.base_rate),
        base_rate_weeks: each(&of.base_rate_weeks),
        gain_over_rule: of.gain_over_rule.filter(|_| chosen.are_about_enough()).map(interval),
        importances: of.importances.iter().map(|(feature, fall)| (feature.clone(), three_decimals(*fall))).collect(),
    }
}

fn published(figures: &Figures) -> PublishedFigures {
    let enough = figures.are_about_enough();
    let shown = |figure: Option<f64>| figure.filter(|_| enough).map(three_decimals);
    PublishedFigures {
        students: People::new(figures.students as u64).into(),
        auc: figures.auc.filter(|_| enough).map(interval),
        pr_auc: shown(figures.pr_auc),
        brier: shown(figures.brier),
        log_loss: shown(figures.log_loss),
    }
}

fn interval(of: Interval) -> Interval {
    Interval { value: three_decimals(of.value), low: three_decimals(of.low), high: three_decimals(of.high) }
}

/// What `drift_report` compared: tonight with the same course week of earlier terms.
#[derive(Debug)]
pub(in crate::jobs) struct DriftFigures {
    /// The course week.
    pub(in crate::jobs) week: i64,
    /// How many earlier terms there are.
    pub(in crate::jobs) terms: usize,
    /// The features.
    pub(in crate::jobs) features: Vec<Distance>,
    /// The champion's scores.
    pub(in crate::jobs) scores: Option<Distance>,
    /// Who takes which course: the mix of the population.
    pub(in crate::jobs) courses: Option<CategoryDistance>,
}

/// `quality.json`: how a rule ended. What it observed is in the operators' e-mail: exact counts of rows are for them.
#[derive(Debug, Serialize)]
pub(in crate::jobs) struct PublishedCheck {
    rule: String,
    subject: String,
    status: CheckStatus,
    why: String,
}

/// Returns what may be published of a check.
pub(in crate::jobs) fn check(of: &CheckOutcome) -> PublishedCheck {
    let CheckOutcome { check, subject, status, why, .. } = of;
    PublishedCheck { rule: check.clone(), subject: subject.clone(), status: *status, why: why.clone() }
}

/// `drift.json`: how far each feature has moved.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::jobs) struct PublishedDrift {
    /// The course week of earlier terms that tonight is compared with.
    week: i64,
    /// How many earlier terms there are.
    terms: usize,
    features: Vec<PublishedDistance>,
    /// The champion's scores; `None` where they were not compared.
    scores: Option<PublishedDistance>,
    /// Who takes which course, by Cramér's V; `None` where it was not compared.
    courses: Option<PublishedDistance>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PublishedDistance {
    feature: String,
    /// `ks` (Kolmogorov-Smirnov D) or `cramers_v`.
    measure: String,
    distance: f64,
    /// The population stability index, where the feature is a number.
    psi: Option<f64>,
    /// The distance above which it counts as drift.
    threshold: f64,
    /// Whether the threshold was learnt from earlier terms.
    is_learnt: bool,
}

/// Returns what may be published of the drift figures.
pub(in crate::jobs) fn drift(of: &DriftFigures) -> PublishedDrift {
    PublishedDrift {
        week: of.week,
        terms: of.terms,
        features: of.features.iter().map(numeric).collect(),
        scores: of.scores.as_ref().map(numeric),
        courses: of.courses.as_ref().map(categorical),
    }
}

fn numeric(of: &Distance) -> PublishedDistance {
    PublishedDistance {
        feature: of.feature.clone(),
        measure: "ks".to_owned(),
        distance: two_decimals(of.ks),
        psi: Some(two_decimals(of.psi)),
        threshold: two_decimals(of.threshold),
        is_learnt: of.is_learnt,
    }
}

fn categorical(of: &CategoryDistance) -> PublishedDistance {
    PublishedDistance {
        feature: of.feature.clone(),
        measure: "cramers_v".to_owned(),
        distance: two_decimals(of.chi_square.cramers_v),
        psi: None,
        threshold: two_decimals(of.threshold),
        is_learnt: of.is_learnt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::auc::Truth;
    use crate::ml::metrics::figures;

    /// The figures of students of whom so many have the label, with one row each.
    fn of(with: usize, without: usize) -> PublishedFigures {
        let labels: Vec<f64> = (0..with + without).map(|row| f64::from(u8::from(row < with))).collect();
        let students: Vec<usize> = (0..labels.len()).collect();
        let scores: Vec<f64> =
            labels.iter().enumerate().map(|(row, label)| label * 0.5 + (row % 7) as f64 / 13.0).collect();
        published(&figures(&scores, Truth { labels: &labels, students: &students }, 0.5))
    }

    #[test]
    fn figures_about_too_few_students_are_not_published() {
        let (few_with, few_without, enough) = (of(9, 40), of(40, 9), of(10, 11));

        assert_eq!((few_with.auc, few_with.brier, few_without.auc), (None, None, None));
        assert!(enough.auc.is_some() && enough.brier.is_some());
    }

    #[test]
    fn students_are_rounded_and_no_other_count_is_there() {
        let json = serde_json::to_value(of(23, 40)).unwrap();

        assert_eq!(json["students"], 65);
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["students", "auc", "pr_auc", "brier", "log_loss"]);
    }
}
