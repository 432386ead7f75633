//! Invented views of models and drift, and what all invented views have in common; see `sample`.

use jiff::civil::{Date, date};

use super::{
    Basis, Challenger, ChallengerState, DriftView, FeatureDrift, Interval, ModelCardView, ModelInUse, ModelView,
    PreviousModel, ReasonFeature, ToldVersion, Verdict, WeekView,
};

pub(super) const DATE: Date = date(2026, 11, 20);
pub(super) const INSTITUTION: &str = "Riverbend University";

impl ModelCardView {
    /// Returns an invented card.
    pub fn sample() -> Self {
        let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            institution: INSTITUTION.to_owned(),
            logical_date: DATE,
            is_simulation: true,
            model: model(),
            intended_use: strings(&[
                "To help advisers decide whom to offer support first.",
                "To show programme leads, in counts, where support is needed.",
            ]),
            forbidden_use: strings(&[
                "No decision about a student may rest on a score: a person decides.",
                "No grade, no ranking among students, no sanction and no automatic message.",
            ]),
            population: "Students enrolled at the cut-off in published courses of the main account.".to_owned(),
            label: "The final result is below the pass mark, or the student withdrew.".to_owned(),
            training_data: "Weeks 2 to 12 of 6 past terms, 48,120 rows, known by 12 November 2026.".to_owned(),
            training_basis: Basis::Reconstructed,
            flag_from: 0.62,
            features: vec![
                feature("days_since_last_activity", "Days since the last activity", 0.31),
                feature("missing_assignments", "Assignments that are missing", 0.24),
                feature("on_time_share", "Share of work handed in on time", 0.17),
            ],
            figures: vec![
                ("Brier score".to_owned(), "0.142".to_owned()),
                ("Area under precision and recall".to_owned(), "0.61".to_owned()),
            ],
            limits: strings(&["Weak before week 3: few students have handed anything in by then."]),
            reproduce: "nocturne run nightly --job train --force".to_owned(),
        }
    }
}

fn feature(name: &str, label: &str, importance: f64) -> ReasonFeature {
    ReasonFeature { feature: name.to_owned(), label: label.to_owned(), importance }
}

pub(super) fn drift(verdict: Verdict) -> DriftView {
    let feature = |feature: &str, label: &str, distance, threshold, importance| FeatureDrift {
        feature: feature.to_owned(),
        label: label.to_owned(),
        method: "PSI".to_owned(),
        distance,
        threshold,
        importance: Some(importance),
    };
    let late = if verdict == Verdict::Ok { 0.11 } else { 0.34 };
    DriftView {
        reference: "week 9 of autumn 2024 and 2025".to_owned(),
        looked_at: 24,
        drifted: if verdict == Verdict::Ok { 0 } else { 3 },
        weighted_share: if verdict == Verdict::Ok { 0.0 } else { 0.24 },
        is_weighted: true,
        is_learnt: true,
        alarm_share: 0.2,
        top: vec![
            feature("late_share", "Share of late work", late, 0.18, 0.24),
            feature("active_days_7d", "Active days in the last 7 days", 0.09, 0.15, 0.31),
            feature("on_time_share", "Share of work handed in on time", 0.07, 0.16, 0.17),
            feature("current_score", "Score so far", 0.05, 0.14, 0.12),
            feature("sessions_28d", "Sessions in the last 28 days", 0.04, 0.17, 0.06),
        ],
        unlisted: if verdict == Verdict::Ok { 0 } else { 2 },
        scores: Some(FeatureDrift {
            feature: "score".to_owned(),
            label: "The model's scores".to_owned(),
            method: "PSI".to_owned(),
            distance: late / 3.0,
            threshold: 0.12,
            importance: None,
        }),
    }
}

pub(super) fn model_in_use(verdict: Verdict) -> ModelInUse {
    ModelInUse {
        name: "at_risk".to_owned(),
        champion: Some(model()),
        challenger: (verdict != Verdict::Failed).then(|| Challenger {
            version: "03be77d1".to_owned(),
            state: ChallengerState::Refused,
            why: "the champion ranks better (0.781 against 0.776)".to_owned(),
            auc: Some(0.776),
            trained_for: Some(date(2026, 11, 16)),
        }),
        untrained: None,
        told: ToldVersion::Version("7c1f09ab".to_owned()),
        told_with_care: false,
    }
}

fn model() -> ModelView {
    let week = |week, value: f64, rule_auc, base_rate_auc| WeekView {
        week,
        auc: Interval { value, low: value - 0.034, high: value + 0.031 },
        rule_auc: Some(rule_auc),
        base_rate_auc: Some(base_rate_auc),
    };
    ModelView {
        name: "at_risk".to_owned(),
        question: "who may fail or withdraw".to_owned(),
        version: "7c1f09ab".to_owned(),
        algorithm: "random forest, 200 trees".to_owned(),
        decision: "AUC 0.781, rule 0.712, Brier 0.142: all thresholds were met".to_owned(),
        trained_for: Some(date(2026, 8, 24)),
        evaluated_on: "spring 2026, 9 courses, 3,120 enrolments".to_owned(),
        basis: Basis::Reconstructed,
        auc: Some(Interval { value: 0.781, low: 0.752, high: 0.809 }),
        rule_auc: Some(0.712),
        gain_over_rule: Some(Interval { value: 0.069, low: 0.041, high: 0.097 }),
        base_rate_auc: Some(0.583),
        previous: Some(PreviousModel {
            version: "51aa20c4".to_owned(),
            auc: Some(0.769),
            test_term: Some("autumn 2025".to_owned()),
        }),
        weeks: vec![
            week(2, 0.664, 0.601, 0.582),
            week(4, 0.721, 0.660, 0.583),
            week(6, 0.768, 0.702, 0.583),
            week(8, 0.797, 0.731, 0.584),
            week(10, 0.822, 0.755, 0.584),
            week(12, 0.846, 0.779, 0.585),
        ],
    }
}
