//! Training and its honest evaluation: split by time, candidates side by side, a gate for the champion.
//!
//! The backtest looks at the latest term whose labels are known at the cutoff. It is trained only on labels that were
//! known when that term's first examples were taken, so nothing of its future helps it. The model that is used is then
//! fitted on all labels known at the cutoff. Pure: the same rows and recipe give the same model.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::auc::{Interval, Truth, auc_gain, roc_auc};
use super::dataset::Rows;
use super::metrics::{Figures, figures};
use super::model::{FittedModel, ModelError};
use super::recipe::{Acceptance, Candidate, Recipe};
use crate::domain::measurement::SMALLEST_SHOWN;
use crate::telemetry::progress;

/// A trained model with its evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The model, fitted on all known labels.
    pub model: FittedModel,
    /// How good its recipe is.
    pub evaluation: Evaluation,
}

/// How good a recipe is on the latest term with known labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The term it was tested on.
    pub test_term: String,
    /// The terms it was trained on for the test.
    pub trained_on: Vec<String>,
    /// The terms of the final model.
    pub final_terms: Vec<String>,
    /// The candidate that is used.
    pub chosen: String,
    /// Rows of the final fit.
    pub final_rows: usize,
    /// Of them with the label.
    pub final_positives: usize,
    /// The figures over all weeks, by candidate.
    pub candidates: BTreeMap<String, Figures>,
    /// The chosen candidate's figures by course week.
    pub weeks: BTreeMap<i64, Figures>,
    /// The rule's figures over all weeks.
    pub rule: Figures,
    /// The rule's figures by course week.
    pub rule_weeks: BTreeMap<i64, Figures>,
    /// By how much the chosen candidate's AUC is above the rule's, on the same rows; `None` where it is not defined, or
    /// was not computed by the version of the program that evaluated it.
    #[serde(default)]
    pub gain_over_rule: Option<Interval>,
    /// The figures of the courses' history alone: the share with the label among the training rows of the same series.
    pub base_rate: Figures,
    /// Those figures by course week.
    pub base_rate_weeks: BTreeMap<i64, Figures>,
    /// By how much AUC falls when a feature is shuffled, largest first.
    pub importances: Vec<(String, f64)>,
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// There is not enough history yet.
    #[error("there is not enough history yet: {0}")]
    NotEnoughHistory(String),
    /// A fit failed.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// The gate's decision on a new model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether it may become champion.
    pub promote: bool,
    /// Why, in words.
    pub why: String,
}

/// Trains on the rows whose labels are known. `series` names, by course, what is taught again each term.
///
/// # Errors
/// When there are not two terms with known labels in the right order, or a fit fails.
pub fn train(recipe: &Recipe, rows: &Rows, series: &BTreeMap<i64, String>) -> Result<Trained, TrainError> {
    let known: Vec<usize> = (0..rows.len()).filter(|row| rows.label[*row].is_some()).collect();
    let rows = rows.at(&known);
    let (test_term, test) = latest_term(&rows)?;
    let first_cutoff = test.iter().map(|row| rows.as_of[*row]).min().unwrap_or(i64::MIN);
    let before: Vec<usize> =
        (0..rows.len()).filter(|row| rows.known_at[*row].is_some_and(|known| known <= first_cutoff)).collect();
    if before.is_empty() {
        let why = format!("no label was known when the term {test_term} began, so it cannot be tested honestly");
        return Err(TrainError::NotEnoughHistory(why));
    }
    let (training, test) = (rows.at(&before), rows.at(&test));
    let drawn = training.drawn(recipe.max_rows, recipe.seed);
    let (labels, students) = (test.labels(), test.students());
    let truth = Truth { labels: &labels, students: &students };

    let mut candidates = BTreeMap::new();
    let mut fitted = BTreeMap::new();
    // The chosen one is fitted again on all rows at the end.
    let fits = recipe.candidates.len() as u64 + 1;
    for (n, (name, candidate)) in (0..).zip(&recipe.candidates) {
        progress::report("models fitted", n, Some(fits));
        let model = FittedModel::fit(candidate, &drawn, recipe.seed)?;
        let scores = model.predict(&test)?;
        candidates.insert(name.clone(), figures(&scores, truth, recipe.threshold));
        fitted.insert(name.clone(), (model, scores));
    }
    let chosen = choose(recipe, &candidates);
    let (tested, scores) = &fitted[&chosen];
    let rule_scores = rule(recipe, &test);
    let base_scores = base_rates(&training, &test, series);
    let all = rows.drawn(recipe.max_rows, recipe.seed);
    let evaluation = Evaluation {
        trained_on: terms(&training),
        final_terms: terms(&rows),
        final_rows: rows.len(),
        final_positives: rows.labels().iter().filter(|label| **label > 0.5).count(),
        weeks: by_week(&test, scores, recipe.threshold),
        gain_over_rule: auc_gain(scores, &rule_scores, truth),
        rule: figures(&rule_scores, truth, 0.5),
        rule_weeks: by_week(&test, &rule_scores, 0.5),
        base_rate: figures(&base_scores, truth, recipe.threshold),
        base_rate_weeks: by_week(&test, &base_scores, recipe.threshold),
        importances: importances(tested, &test, recipe.seed)?,
        test_term,
        chosen: chosen.clone(),
        candidates,
    };
    progress::report("models fitted", fits - 1, Some(fits));
    let model = FittedModel::fit(&recipe.candidates[&chosen], &all, recipe.seed)?;
    Ok(Trained { model, evaluation })
}

/// How well the current champion ranked when it was tested.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tested<'a> {
    /// Its AUC.
    pub auc: f64,
    /// The term that it was tested on.
    pub test_term: Option<&'a str>,
}

impl Tested<'_> {
    /// Returns whether it ranks better by more than is allowed. On another term it was tested on other students, whose
    /// outcomes may have been easier to foretell: there only what chance does not explain counts.
    fn is_better_than(&self, auc: Interval, test_term: &str, allowed: f64) -> bool {
        let other = if self.test_term == Some(test_term) { auc.value } else { auc.high };
        other < self.auc - allowed
    }
}

/// Returns whether the evaluated model may become champion, given how the current champion was tested.
pub fn gate(acceptance: &Acceptance, evaluation: &Evaluation, champion: Option<Tested<'_>>) -> Decision {
    let figures = &evaluation.candidates[&evaluation.chosen];
    let (Some(auc), Some(brier), Some(rule)) = (figures.auc, figures.brier, evaluation.rule.auc) else {
        let why = format!("its AUC is not defined: in the term {} all labels are the same", evaluation.test_term);
        return Decision { promote: false, why };
    };
    if !figures.are_about_enough() {
        let why = format!(
            "too few students to tell: in the term {}, fewer than {SMALLEST_SHOWN} have the label, or have not",
            evaluation.test_term
        );
        return Decision { promote: false, why };
    }
    let is_better =
        |champion: &Tested<'_>| champion.is_better_than(auc, &evaluation.test_term, acceptance.max_auc_loss);
    let better = champion.filter(is_better).map(|champion| champion.auc);
    let (auc, rule) = (auc.value, rule.value);
    let mut refused = Vec::new();
    if auc < acceptance.min_auc {
        refused.push(format!("its AUC of {auc:.3} is below {:.3}", acceptance.min_auc));
    }
    if brier > acceptance.max_brier {
        refused.push(format!("its Brier score of {brier:.3} is above {:.3}", acceptance.max_brier));
    }
    if acceptance.beat_rule && auc <= rule {
        refused.push(format!("it ranks no better than the rule ({auc:.3} against {rule:.3})"));
    }
    if evaluation.final_rows < acceptance.min_rows {
        refused.push(format!("fewer than {} training rows", acceptance.min_rows));
    }
    if evaluation.final_positives < acceptance.min_positives {
        refused.push(format!("fewer than {} training rows have the label", acceptance.min_positives));
    }
    if let Some(champion) = better {
        refused.push(format!("the champion ranks better ({champion:.3} against {auc:.3})"));
    }
    let why = if refused.is_empty() {
        format!("AUC {auc:.3}, rule {rule:.3}, Brier {brier:.3}: all thresholds were met")
    } else {
        refused.join("; ")
    };
    Decision { promote: refused.is_empty(), why }
}

/// The rule's scores: the higher the rule's feature, the safer; a gap scores in the middle.
pub fn rule(recipe: &Recipe, rows: &Rows) -> Vec<f64> {
    let place = rows.features.iter().position(|feature| *feature == recipe.rule);
    match place {
        Some(place) => {
            rows.values[place].iter().map(|v| if v.is_nan() { 0.5 } else { 1.0 - v.clamp(0.0, 1.0) }).collect()
        }
        None => vec![0.5; rows.len()],
    }
}

/// The courses' history as scores: the share with the label among the training rows of the same series; where a series
/// is taught for the first time, the share among all of them.
fn base_rates(training: &Rows, test: &Rows, series: &BTreeMap<i64, String>) -> Vec<f64> {
    let labels = training.labels();
    let mut found: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (course, label) in training.course.iter().zip(&labels) {
        if let Some(name) = series.get(course) {
            let (sum, rows) = found.entry(name).or_default();
            *sum += label;
            *rows += 1.0;
        }
    }
    let overall = labels.iter().sum::<f64>() / labels.len().max(1) as f64;
    let rate = |course| series.get(course).and_then(|name| found.get(name.as_str())).map(|(sum, rows)| sum / rows);
    test.course.iter().map(|course| rate(course).unwrap_or(overall)).collect()
}

fn choose(recipe: &Recipe, candidates: &BTreeMap<String, Figures>) -> String {
    let is_simple = |name: &str| matches!(recipe.candidates[name], Candidate::LogisticRegression { .. });
    let auc = |figures: &Figures| figures.auc.map_or(0.0, |auc| auc.value);
    let best = candidates.iter().max_by(|a, b| {
        auc(a.1).total_cmp(&auc(b.1)).then_with(|| is_simple(a.0).cmp(&is_simple(b.0))).then_with(|| b.0.cmp(a.0))
    });
    best.map(|(name, _)| name.clone()).unwrap_or_default()
}

/// The term whose last examples are the latest, and its rows.
fn latest_term(rows: &Rows) -> Result<(String, Vec<usize>), TrainError> {
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for row in 0..rows.len() {
        let seen = last.entry(&rows.term[row]).or_insert(i64::MIN);
        *seen = (*seen).max(rows.as_of[row]);
    }
    if last.len() < 2 {
        let why = format!(
            "labels of {} term(s) are known, and two are needed: one to learn from, one to test on",
            last.len()
        );
        return Err(TrainError::NotEnoughHistory(why));
    }
    let term =
        last.iter().max_by_key(|(term, at)| (**at, **term)).map(|(term, _)| (*term).to_owned()).unwrap_or_default();
    let test = (0..rows.len()).filter(|row| rows.term[*row] == term).collect();
    Ok((term, test))
}

fn terms(rows: &Rows) -> Vec<String> {
    rows.term.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

fn by_week(rows: &Rows, scores: &[f64], threshold: f64) -> BTreeMap<i64, Figures> {
    let weeks: BTreeSet<i64> = rows.week.iter().copied().collect();
    weeks
        .into_iter()
        .map(|week| {
            let places: Vec<usize> = (0..rows.len()).filter(|row| rows.week[*row] == week).collect();
            let scores: Vec<f64> = places.iter().map(|row| scores[*row]).collect();
            let rows = rows.at(&places);
            (week, figures(&scores, Truth { labels: &rows.labels(), students: &rows.students() }, threshold))
        })
        .collect()
}

/// Permutation importance on the test rows, shuffled within each week so that calendar effects are kept; none where AUC is
/// not defined.
fn importances(model: &FittedModel, test: &Rows, seed: u64) -> Result<Vec<(String, f64)>, ModelError> {
    use rand::seq::SliceRandom as _;
    use rand_chacha::rand_core::SeedableRng as _;
    const ROWS: usize = 3000;
    let test = test.drawn(ROWS, seed);
    let labels = test.labels();
    let auc = |rows: &Rows| -> Result<Option<f64>, ModelError> { Ok(roc_auc(&model.predict(rows)?, &labels)) };
    let Some(whole) = auc(&test)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (index, feature) in test.features.iter().enumerate() {
        let mut generator = rand_chacha::ChaCha8Rng::seed_from_u64(seed.wrapping_add(index as u64));
        let mut shuffled = test.clone();
        for week in test.week.iter().copied().collect::<BTreeSet<_>>() {
            let places: Vec<usize> = (0..test.len()).filter(|row| test.week[*row] == week).collect();
            let mut order = places.clone();
            order.shuffle(&mut generator);
            for (to, from) in places.iter().zip(order) {
                shuffled.values[index][*to] = test.values[index][from];
            }
        }
        if let Some(without) = auc(&shuffled)? {
            found.push((feature.clone(), whole - without));
        }
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two terms; a term's labels are known after it.
    fn rows(known_at: [i64; 2]) -> Rows {
        let mut rows = Rows { features: vec!["points_share".to_owned()], values: vec![Vec::new()], ..Rows::default() };
        for (term, as_of, known) in [("1", 100_i64, known_at[0]), ("2", 200, known_at[1])] {
            for i in 0..200_u32 {
                let points = f64::from((i * 37) % 101) / 101.0;
                rows.enrollment.push(format!("{term}-{i}"));
                rows.course.push(1);
                rows.term.push(term.to_owned());
                rows.week.push(2);
                rows.as_of.push(as_of);
                rows.label.push(Some(f64::from(f64::from((i * 53) % 97) / 97.0 > points)));
                rows.known_at.push(Some(known));
                rows.values[0].push(points);
            }
        }
        rows
    }

    fn recipe() -> Recipe {
        let mut recipe = Recipe::parse("at_risk.toml", include_str!("../../config/models/at_risk.toml")).unwrap();
        recipe.max_rows = 150;
        recipe
    }

    #[test]
    fn the_latest_term_is_tested_on_what_was_known_when_it_began() {
        let trained = train(&recipe(), &rows([150, 300]), &BTreeMap::new()).unwrap();

        assert_eq!(trained.evaluation.test_term, "2");
        assert_eq!(trained.evaluation.trained_on, ["1"]);
        assert_eq!(trained.evaluation.final_terms, ["1", "2"]);
    }

    #[test]
    fn labels_that_came_later_do_not_help_the_test() {
        let error = train(&recipe(), &rows([250, 300]), &BTreeMap::new()).unwrap_err();

        assert!(matches!(error, TrainError::NotEnoughHistory(_)), "{error}");
    }

    #[test]
    fn a_courses_history_is_the_rate_of_its_series_and_of_all_where_it_has_none() {
        let mut rows = rows([150, 300]).at(&[0, 1, 2, 3]);
        rows.course = vec![11, 11, 12, 12];
        rows.label = vec![Some(1.0), Some(1.0), Some(0.0), Some(1.0)];
        let mut next = rows.clone();
        next.course = vec![21, 22, 23, 24];
        let series = [(11, "A"), (12, "B"), (21, "A"), (22, "B"), (23, "C")];
        let series = series.into_iter().map(|(course, name)| (course, name.to_owned())).collect();

        assert_eq!(base_rates(&rows, &next, &series), [1.0, 0.5, 0.75, 0.75]);
    }

    #[test]
    fn the_gate_says_why() {
        let trained = train(&recipe(), &rows([150, 300]), &BTreeMap::new()).unwrap();
        let strict = Acceptance { min_auc: 0.999, ..recipe().acceptance };

        let champion = Tested { auc: 0.9999, test_term: Some("2") };
        let decision = gate(&strict, &trained.evaluation, Some(champion));

        assert!(!decision.promote);
        assert!(
            decision.why.contains("below 0.999") && decision.why.contains("champion ranks better"),
            "{}",
            decision.why
        );
    }

    #[test]
    fn a_test_about_too_few_students_is_refused_and_tells_no_figure() {
        let mut trained = train(&recipe(), &rows([150, 300]), &BTreeMap::new()).unwrap();
        let figures = trained.evaluation.candidates.get_mut(&trained.evaluation.chosen).unwrap();
        (figures.students, figures.students_with_label) = (60, 9);

        let decision = gate(&recipe().acceptance, &trained.evaluation, None);

        assert!(!decision.promote);
        assert_eq!(decision.why, "too few students to tell: in the term 2, fewer than 10 have the label, or have not");
    }

    #[test]
    fn a_champion_that_was_tested_on_another_term_must_be_better_than_chance_explains() {
        let auc = Interval { value: 0.76, low: 0.70, high: 0.82 };
        let is_better = |champion: f64, test_term| Tested { auc: champion, test_term }.is_better_than(auc, "2", 0.005);

        assert!(is_better(0.78, Some("2")) && !is_better(0.76, Some("2")));
        assert!(!is_better(0.78, Some("1")) && is_better(0.83, Some("1")));
        assert!(!is_better(0.78, None), "an earlier version of the program did not record the term");
    }
}
