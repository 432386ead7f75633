//! How good scores are: ranking, calibration, decisions.
//!
//! Formulas: ROC AUC and its interval in `auc`; average precision as the step sum over distinct scores; Brier score and
//! log loss as means over rows, the latter with scores kept 1e-15 away from 0 and 1. Values equal scikit-learn's. `None`
//! where a figure is not defined (one class only).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::auc::{Interval, Truth, auc};
use crate::domain::measurement::SMALLEST_SHOWN;

/// The figures of one set of scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Rows.
    pub rows: usize,
    /// Rows with the label.
    pub positives: usize,
    /// The students whose rows they are.
    #[serde(default)]
    pub students: usize,
    /// Of them, those with a row that has the label.
    #[serde(default)]
    pub students_with_label: usize,
    /// ROC AUC with its 95 % interval.
    pub auc: Option<Interval>,
    /// Average precision (area under the precision-recall curve).
    pub pr_auc: Option<f64>,
    /// Brier score.
    pub brier: Option<f64>,
    /// Log loss, natural.
    pub log_loss: Option<f64>,
    /// Of those flagged, the share with the label.
    pub precision: Option<f64>,
    /// Of those with the label, the share flagged.
    pub recall: Option<f64>,
    /// The harmonic mean of the two.
    pub f1: Option<f64>,
}

impl Figures {
    /// Returns whether they are about enough students to be told, and to be believed: ten with the label, and ten without.
    pub const fn are_about_enough(&self) -> bool {
        let with = self.students_with_label as u64;
        let without = (self.students as u64).saturating_sub(with);
        with >= SMALLEST_SHOWN && without >= SMALLEST_SHOWN
    }
}

/// Returns the figures of `scores`, with decisions at `threshold`.
pub fn figures(scores: &[f64], truth: Truth<'_>, threshold: f64) -> Figures {
    let labels = truth.labels;
    let rows = labels.len();
    let positives = labels.iter().filter(|label| **label > 0.5).count();
    let n = rows as f64;
    let mean = |terms: &dyn Fn(f64, f64) -> f64| {
        (rows > 0).then(|| scores.iter().zip(labels).map(|(s, y)| terms(*s, *y)).sum::<f64>() / n)
    };
    let with_label = truth.students.iter().zip(labels).filter(|(_, label)| **label > 0.5).map(|(student, _)| student);
    let (precision, recall, f1) = decisions(scores, labels, threshold);
    Figures {
        rows,
        positives,
        students: truth.students.iter().collect::<BTreeSet<_>>().len(),
        students_with_label: with_label.collect::<BTreeSet<_>>().len(),
        auc: auc(scores, truth),
        pr_auc: average_precision(scores, labels),
        brier: mean(&|s, y| (s - y).powi(2)),
        log_loss: mean(&|s, y| {
            let p = s.clamp(1e-15, 1.0 - 1e-15);
            -(y * p.ln() + (1.0 - y) * (1.0 - p).ln())
        }),
        precision,
        recall,
        f1,
    }
}

fn average_precision(scores: &[f64], labels: &[f64]) -> Option<f64> {
    let positives = labels.iter().filter(|label| **label > 0.5).count();
    if positives == 0 {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let (mut found, mut seen, mut area, mut recall) = (0.0, 0.0, 0.0, 0.0);
    let mut start = 0;
    while start < order.len() {
        let mut end = start;
        while end < order.len() && scores[order[end]] == scores[order[start]] {
            found += labels[order[end]];
            seen += 1.0;
            end += 1;
        }
        let now = found / positives as f64;
        area += (now - recall) * found / seen;
        recall = now;
        start = end;
    }
    Some(area)
}

fn decisions(scores: &[f64], labels: &[f64], threshold: f64) -> (Option<f64>, Option<f64>, Option<f64>) {
    let (mut hits, mut flagged, mut positives) = (0.0, 0.0, 0.0);
    for (score, label) in scores.iter().zip(labels) {
        positives += label;
        if *score >= threshold {
            flagged += 1.0;
            hits += label;
        }
    }
    let share = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
    (share(hits, flagged), share(hits, positives), share(2.0 * hits, flagged + positives))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The golden rows of the reference figures: p = ((i·37) mod 101)/101, y = ((i·53) mod 97)/97 < 0.8 p + 0.05.
    fn golden() -> (Vec<f64>, Vec<f64>) {
        let p: Vec<f64> = (0..60_u32).map(|i| f64::from((i * 37) % 101) / 101.0).collect();
        let y = (0..60_u32).map(|i| f64::from(f64::from((i * 53) % 97) / 97.0 < p[i as usize] * 0.8 + 0.05)).collect();
        (p, y)
    }

    #[test]
    fn auc_and_brier_equal_the_reference() {
        let (p, y) = golden();
        let students: Vec<usize> = (0..y.len()).map(|row| row / 2).collect();

        let figures = figures(&p, Truth { labels: &y, students: &students }, 0.5);

        assert!((figures.auc.unwrap().value - 0.737_486_095_661_846_4).abs() < 1e-12);
        assert!((figures.brier.unwrap() - 0.214_243_701_597_882_53).abs() < 1e-12);
        assert_eq!((figures.rows, figures.students), (60, 30));
    }

    #[test]
    fn a_student_with_several_rows_is_one_student() {
        let truth = Truth { labels: &[1.0, 1.0, 0.0, 0.0], students: &[0, 0, 0, 1] };

        let figures = figures(&[0.9, 0.8, 0.2, 0.1], truth, 0.5);

        assert_eq!((figures.positives, figures.students, figures.students_with_label), (2, 2, 1));
    }
}
