//! `drift_report`: compares tonight's features and scores with the same course week of earlier terms.
//!
//! Reads the features of past and current courses and the champion; writes nothing but its outcome. Between terms, with
//! no earlier term to compare with, and in weeks near which no features of earlier terms are built (`features.weeks`), it
//! says so. Another try makes sense when the lake could not be reached.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{JobContext, JobKind};
use super::shared::facts::{DRIFT, DRIFT_FIGURES, DRIFT_UNMEASURED, MEASURES_DRIFT};
use super::shared::models::{load_model, recipe};
use super::shared::published::{self, DriftFigures};
use super::shared::tables::DATE;
use crate::domain::check::Finding;
use crate::domain::fingerprint::DependsOn;
use crate::domain::ids::TableName;
use crate::domain::measurement::Measurement;
use crate::domain::outcome::{JobError, ModelRecord, Outcome, Reason};
use crate::features::Stage;
use crate::lake::Dataset;
use crate::ml::dataset::Rows;
use crate::ml::drift::{CategoryDistance, Distance, compare, compare_categories};
use crate::ml::model::{FittedModel, ModelError};
use crate::report::view::{DriftView, FeatureDrift};
use crate::telemetry::spawn_blocking;

/// The kind.
pub(super) struct DriftReport;

/// The parameters of `drift_report`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// The model whose features and scores are examined.
    #[schemars(with = "String")]
    model: TableName,
}

#[async_trait]
impl JobKind for DriftReport {
    const NAME: &'static str = MEASURES_DRIFT;
    const SUMMARY: &'static str = "Compares tonight's features and scores with the same course week of earlier terms.";
    const EXAMPLE: &'static str = r#"
        [jobs.drift]
        kind = "drift_report"
        with = { model = "at_risk" }
    "#;
    type Params = Params;

    async fn inputs(params: &Params, cx: &JobContext) -> Result<Option<DependsOn>, JobError> {
        let recipe = recipe(cx, &params.model)?;
        let limits = serde_json::json!(cx.environment.config.drift);
        let mut inputs =
            cx.champion_input(&params.model).with(DATE, cx.input.logical_date).with("the settings `drift`", limits);
        for set in &recipe.sets {
            let dataset = Dataset::feature_set(&set.parse().map_err(JobError::fail)?);
            if let Some(snapshot) = cx.input.snapshot(dataset.as_str()) {
                inputs = inputs.with(format!("the features `{set}`"), &snapshot.snapshot);
            }
        }
        Ok(Some(inputs))
    }

    async fn run(params: Params, cx: &JobContext) -> Result<Outcome, JobError> {
        let recipe = recipe(cx, &params.model)?;
        let skipped = |summary: &str, reason| {
            let mut outcome = Outcome { summary: summary.to_owned(), reason: Some(reason), ..Outcome::default() };
            DRIFT_UNMEASURED.leave(&mut outcome, &summary.to_owned())?;
            Ok(outcome)
        };
        let Some(current) = cx.examples(&recipe, Stage::Current).await? else {
            return skipped("nobody is enrolled", Reason::NobodyEnrolled);
        };
        let Some(past) = cx.examples(&recipe, Stage::Past).await? else {
            return skipped("no earlier term to compare with", Reason::NotEnoughHistory);
        };
        let champion = cx.input.champion(params.model.as_str());
        let model = match champion {
            Some(champion) => Some(load_model(cx, champion).await?),
            None => None,
        };
        let comparison = Comparison {
            current: current.rows,
            past: past.rows,
            model,
            series: cx.course_series().await?,
            calendar: cx.calendar_features(&recipe)?,
            fallback: cx.environment.config.drift.fallback_ks,
        };
        let Some((figures, unscored)) = spawn_blocking(move || comparison.figures()).await else {
            return skipped("no course week near this one was built of earlier terms", Reason::NotEnoughHistory);
        };
        let importances = champion.map_or_else(|| Ok(BTreeMap::new()), importances)?;
        let mut outcome = outcome(cx, &figures, &importances)?;
        outcome.findings.extend(unscored.map(|error| not_scored(&params.model, &error)));
        Ok(outcome)
    }
}

/// What is compared, and how.
struct Comparison {
    current: Rows,
    past: Rows,
    model: Option<FittedModel>,
    /// What is taught again each term, by course.
    series: BTreeMap<i64, String>,
    /// The features that only say how far a course has come.
    calendar: BTreeSet<String>,
    /// The threshold where there are too few earlier terms to learn one from.
    fallback: f64,
}

impl Comparison {
    /// Returns the distances, and why the scores are not among them where the champion could not score; `None` where no
    /// earlier term has rows of a comparable week.
    fn figures(&self) -> Option<(DriftFigures, Option<ModelError>)> {
        let week = comparable_week(&self.past, &self.current)?;
        let earlier = by_term(&self.past, week);
        let mut features = Vec::new();
        for (index, feature) in self.current.features.iter().enumerate() {
            if self.calendar.contains(feature) {
                continue;
            }
            let samples: Vec<Vec<f64>> = earlier.iter().map(|rows| rows.values[index].clone()).collect();
            features.extend(compare(feature, &samples, &self.current.values[index], self.fallback));
        }
        let (scores, unscored) = match self.scores(&earlier) {
            Ok(scores) => (scores, None),
            Err(error) => (None, Some(error)),
        };
        let courses = |rows: &Rows| -> Vec<String> {
            rows.course.iter().filter_map(|course| self.series.get(course).cloned()).collect()
        };
        let taken: Vec<Vec<String>> = earlier.iter().map(courses).collect();
        let mix = compare_categories("courses_taken", &taken, &courses(&self.current), self.fallback);
        Some((DriftFigures { week, terms: earlier.len(), features, scores, courses: mix }, unscored))
    }

    /// The distance of the champion's scores from those that it gives the earlier terms.
    fn scores(&self, earlier: &[Rows]) -> Result<Option<Distance>, ModelError> {
        let Some(model) = &self.model else { return Ok(None) };
        let now = model.predict(&self.current)?;
        let before = earlier.iter().map(|rows| model.predict(rows)).collect::<Result<Vec<_>, _>>()?;
        Ok(compare("score", &before, &now, self.fallback))
    }
}

/// How much the champion relies on each feature; empty for a model whose form did not record it.
fn importances(champion: &ModelRecord) -> Result<BTreeMap<String, f64>, JobError> {
    let Some(stated) = champion.card.get("importances") else { return Ok(BTreeMap::new()) };
    let stated: Vec<(String, f64)> = serde_json::from_value(stated.clone()).with_context(|| {
        format!("reading the importances in the card of `{}` version {}", champion.model, champion.version)
    })?;
    Ok(stated.into_iter().collect())
}

fn not_scored(model: &TableName, error: &ModelError) -> Finding {
    Finding::warning(
        "drift.scores_missing",
        model.as_str(),
        format!("the scores of `{model}` were not compared, because the champion cannot score these features: {error}"),
        "Look at the SQL of the feature that the error names; the features themselves were compared",
    )
}

/// The most weeks by which earlier terms may be behind tonight's rows: most features grow with the weeks.
const WEEKS_BEHIND: i64 = 2;

/// The course week of earlier terms to compare with: the latest one built that is not after most of tonight's rows, and
/// not long before them.
fn comparable_week(past: &Rows, current: &Rows) -> Option<i64> {
    let mut weeks = current.week.clone();
    weeks.sort_unstable();
    let now = *weeks.get(weeks.len() / 2)?;
    let built: BTreeSet<i64> = past.week.iter().copied().collect();
    built.range(now - WEEKS_BEHIND..=now).next_back().copied()
}

fn by_term(past: &Rows, week: i64) -> Vec<Rows> {
    let terms: BTreeSet<&String> = past.term.iter().collect();
    terms
        .into_iter()
        .map(|term| {
            let places: Vec<usize> =
                (0..past.len()).filter(|row| past.term[*row] == *term && past.week[*row] == week).collect();
            past.at(&places)
        })
        .filter(|rows| !rows.is_empty())
        .collect()
}

/// What the report says of the distances.
fn drift_view(figures: &DriftFigures, importances: &BTreeMap<String, f64>, alarm_share: f64) -> DriftView {
    let DriftFigures { week, terms, features: distances, scores, courses: mix } = figures;
    let weight = |feature: &str| importances.get(feature).copied().unwrap_or(0.0).max(0.0);
    let whole: f64 = distances.iter().map(|distance| weight(&distance.feature)).sum();
    let drifted: Vec<&Distance> = distances.iter().filter(|distance| distance.ks > distance.threshold).collect();
    let share = if whole > 0.0 {
        drifted.iter().map(|distance| weight(&distance.feature)).sum::<f64>() / whole
    } else {
        drifted.len() as f64 / distances.len() as f64
    };
    let mut ranked: Vec<&Distance> = distances.iter().collect();
    let mix_drifted = mix.as_ref().is_some_and(|mix| mix.chi_square.cramers_v > mix.threshold);
    ranked
        .sort_by(|a, b| (b.ks - b.threshold).total_cmp(&(a.ks - a.threshold)).then_with(|| a.feature.cmp(&b.feature)));
    let top: Vec<_> =
        ranked.iter().take(8).map(|d| feature_view(d, importances)).chain(mix.as_ref().map(mix_view)).collect();
    let drifted_in_all = drifted.len() + usize::from(mix_drifted);
    DriftView {
        reference: format!("course week {week} of {terms} earlier terms"),
        looked_at: distances.len() + usize::from(mix.is_some()),
        drifted: drifted_in_all,
        unlisted: drifted_in_all.saturating_sub(top.iter().filter(|feature| feature.is_beyond()).count()),
        weighted_share: share,
        is_weighted: whole > 0.0,
        is_learnt: distances.iter().any(|distance| distance.is_learnt),
        alarm_share,
        top,
        scores: scores.as_ref().map(|distance| feature_view(distance, importances)),
    }
}

fn outcome(cx: &JobContext, figures: &DriftFigures, importances: &BTreeMap<String, f64>) -> Result<Outcome, JobError> {
    let distances = &figures.features;
    if distances.is_empty() {
        return Err(JobError::Fail(anyhow::anyhow!(
            "no feature could be compared: a check that looked at nothing must not pass"
        )));
    }
    let view = drift_view(figures, importances, cx.environment.config.drift.alarm_share);
    let share = view.weighted_share;
    let mut outcome = Outcome {
        summary: format!(
            "{} of {} features drifted against {}{}",
            view.drifted,
            view.looked_at,
            view.reference,
            if view.is_weighted { format!("; {:.0} % of importance", share * 100.0) } else { String::new() }
        ),
        ..Outcome::default()
    };
    if view.is_alarming() {
        outcome.findings.push(Finding::warning(
            "drift.alarm",
            "features",
            if view.is_weighted {
                format!(
                    "features that carry {:.0} % of the model's importance differ from earlier terms",
                    share * 100.0
                )
            } else {
                format!("{} of {} features differ from earlier terms", view.drifted, view.looked_at)
            },
            "Look at the drift table of the published report before acting on the scores",
        ));
    }
    for distance in distances {
        outcome.measurements.push(Measurement::new("drift.ks", distance.ks).of("feature", &distance.feature));
        outcome.measurements.push(Measurement::new("drift.psi", distance.psi).of("feature", &distance.feature));
    }
    DRIFT.leave(&mut outcome, &view)?;
    DRIFT_FIGURES.leave(&mut outcome, &published::drift(figures))?;
    Ok(outcome)
}

fn feature_view(distance: &Distance, importances: &BTreeMap<String, f64>) -> FeatureDrift {
    FeatureDrift {
        feature: distance.feature.clone(),
        label: distance.feature.replace('_', " "),
        method: if distance.is_learnt {
            "KS distance, threshold from earlier terms".to_owned()
        } else {
            "KS distance, threshold as configured".to_owned()
        },
        distance: distance.ks,
        threshold: distance.threshold,
        importance: importances.get(&distance.feature).map(|share| share.max(0.0)),
    }
}

fn mix_view(mix: &CategoryDistance) -> FeatureDrift {
    FeatureDrift {
        feature: mix.feature.clone(),
        label: mix.feature.replace('_', " "),
        method: format!("Cramér's V of chi-square, {} threshold", if mix.is_learnt { "learnt" } else { "stated" }),
        distance: mix.chi_square.cramers_v,
        threshold: mix.threshold,
        importance: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::recipe::Candidate;

    /// Rows of one term whose one feature has these values; every second one has the label.
    fn rows(term: &str, values: Vec<f64>) -> Rows {
        let n = values.len();
        Rows {
            enrollment: (0..n).map(|row| row.to_string()).collect(),
            person: Vec::new(),
            course: vec![1; n],
            term: vec![term.to_owned(); n],
            week: vec![2; n],
            as_of: vec![0; n],
            label: (0..n).map(|row| Some(f64::from(u8::from(row % 2 == 0)))).collect(),
            known_at: vec![Some(0); n],
            features: vec!["x".to_owned()],
            values: vec![values],
        }
    }

    fn comparison(now: Vec<f64>) -> Comparison {
        let past = rows("1", (0..40).map(f64::from).collect());
        let model = FittedModel::fit(&Candidate::LogisticRegression { alpha: 1.0, max_rows: None }, &past, 7).unwrap();
        Comparison {
            current: rows("2", now),
            past,
            model: Some(model),
            series: BTreeMap::from([(1, "BIO 101".to_owned())]),
            calendar: BTreeSet::new(),
            fallback: 0.2,
        }
    }

    #[test]
    fn a_champion_that_cannot_score_leaves_a_finding_and_the_features_are_compared() {
        let mut now: Vec<f64> = (0..40).map(f64::from).collect();
        now[3] = f64::INFINITY;

        let (figures, unscored) = comparison(now).figures().unwrap();
        let finding = not_scored(&"at_risk".parse().unwrap(), &unscored.unwrap());

        assert_eq!((figures.features.len(), figures.scores), (1, None));
        assert_eq!((finding.check.as_str(), finding.subject.as_str()), ("drift.scores_missing", "at_risk"));
        assert!(finding.message.contains("`x`"), "{}", finding.message);
    }

    #[test]
    fn a_week_is_compared_with_one_that_is_not_long_before_and_with_no_later_one() {
        let past = rows("1", vec![1.0; 4]);
        let week = |now: i64| comparable_week(&past, &Rows { week: vec![now; 3], ..rows("2", vec![1.0; 3]) });

        assert_eq!([0, 1, 2, 3, 4, 5].map(week), [None, None, Some(2), Some(2), Some(2), None]);
    }

    #[test]
    fn scores_are_compared_where_the_champion_can_score() {
        let (figures, unscored) = comparison((0..40).map(f64::from).collect()).figures().unwrap();

        assert!(unscored.is_none());
        assert_eq!(figures.scores.map(|distance| distance.ks), Some(0.0));
    }
}
