//! The area under the ROC curve, with intervals that know that one student has many rows.
//!
//! AUC by mid-ranks (Mann and Whitney 1947); its variance from the placement values of the rows, summed over each
//! student (Obuchowski 1997, "Nonparametric analysis of clustered ROC curve data", Biometrics 53, 567). Where every row
//! is another student's, that is the estimate of DeLong (1988). Two scores of the same rows are compared by the same formula
//! on the differences of their placement values, so that what they share cancels out. Intervals are at 95 %.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A value with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The value.
    pub value: f64,
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// What is known of the rows that scores are for.
#[derive(Debug, Clone, Copy)]
pub struct Truth<'a> {
    /// The labels, 0 or 1.
    pub labels: &'a [f64],
    /// Whose each row is: a number for each student.
    pub students: &'a [usize],
}

impl Truth<'_> {
    fn is_positive(&self, row: usize) -> bool {
        self.labels[row] > 0.5
    }

    /// How many rows have the label, and how many have not; `None` where one of them is 0.
    fn sides(&self) -> Option<(f64, f64)> {
        let positives = self.labels.iter().filter(|label| **label > 0.5).count();
        let negatives = self.labels.len() - positives;
        (positives > 0 && negatives > 0).then_some((positives as f64, negatives as f64))
    }
}

/// Returns the probability that a row with the label is scored above one without, ties counting half; `None` where all
/// rows are of one class.
pub fn roc_auc(scores: &[f64], labels: &[f64]) -> Option<f64> {
    let truth = Truth { labels, students: &[] };
    let (positives, _) = truth.sides()?;
    Some(mean_of_positives(&placements(scores, truth)?, truth, positives))
}

/// Returns the AUC with its interval, within 0 and 1; `None` where all rows are of one class. Where one class is of a
/// single student the interval says that nothing is known: from 0 to 1.
pub fn auc(scores: &[f64], truth: Truth<'_>) -> Option<Interval> {
    let (positives, _) = truth.sides()?;
    let placements = placements(scores, truth)?;
    let value = mean_of_positives(&placements, truth, positives);
    let Some(variance) = variance(&placements, value, truth) else {
        return Some(Interval { value, low: 0.0, high: 1.0 });
    };
    let reach = 1.96 * variance.sqrt();
    Some(Interval { value, low: (value - reach).max(0.0), high: (value + reach).min(1.0) })
}

/// Returns by how much the AUC of `scores` is above that of `others` on the same rows, with its interval, within −1 and 1.
pub fn auc_gain(scores: &[f64], others: &[f64], truth: Truth<'_>) -> Option<Interval> {
    let (positives, _) = truth.sides()?;
    let (these, those) = (placements(scores, truth)?, placements(others, truth)?);
    let differences: Vec<f64> = these.iter().zip(those).map(|(one, other)| one - other).collect();
    let value = mean_of_positives(&differences, truth, positives);
    let Some(variance) = variance(&differences, value, truth) else {
        return Some(Interval { value, low: -1.0, high: 1.0 });
    };
    let reach = 1.96 * variance.sqrt();
    Some(Interval { value, low: (value - reach).max(-1.0), high: (value + reach).min(1.0) })
}

fn mean_of_positives(placements: &[f64], truth: Truth<'_>, positives: f64) -> f64 {
    let of_positives = placements.iter().enumerate().filter(|(row, _)| truth.is_positive(*row));
    of_positives.map(|(_, placement)| placement).sum::<f64>() / positives
}

/// The placement values: for a row with the label, the share of those without that it is scored above; for a row
/// without, the share of those with the label that are scored above it. Ties count half.
fn placements(scores: &[f64], truth: Truth<'_>) -> Option<Vec<f64>> {
    let (positives, negatives) = truth.sides()?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let mut placements = vec![0.0; scores.len()];
    let (mut positives_below, mut negatives_below) = (0.0, 0.0);
    for tied in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
        let with = tied.iter().filter(|row| truth.is_positive(**row)).count() as f64;
        let without = tied.len() as f64 - with;
        for row in tied {
            placements[*row] = if truth.is_positive(*row) {
                (negatives_below + without / 2.0) / negatives
            } else {
                1.0 - (positives_below + with / 2.0) / positives
            };
        }
        (positives_below, negatives_below) = (positives_below + with, negatives_below + without);
    }
    Some(placements)
}

/// What a student's rows add up to: how far their placement values are from the mean, with and without the label.
#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    positives: f64,
    negatives: f64,
    above: f64,
    below: f64,
}

/// Obuchowski's variance of the mean placement value; `None` where it needs a second student.
fn variance(placements: &[f64], mean: f64, truth: Truth<'_>) -> Option<f64> {
    let mut students: BTreeMap<usize, Sums> = BTreeMap::new();
    for (row, placement) in placements.iter().enumerate() {
        let sums = students.entry(truth.students[row]).or_default();
        if truth.is_positive(row) {
            sums.positives += 1.0;
            sums.above += placement - mean;
        } else {
            sums.negatives += 1.0;
            sums.below += placement - mean;
        }
    }
    let sum = |of: fn(&Sums) -> f64| students.values().map(of).sum::<f64>();
    let (positives, negatives) = (sum(|student| student.positives), sum(|student| student.negatives));
    let with = students.values().filter(|student| student.positives > 0.0).count() as f64;
    let without = students.values().filter(|student| student.negatives > 0.0).count() as f64;
    if with < 2.0 || without < 2.0 {
        return None;
    }
    let all = students.len() as f64;
    let of_positives = with / (with - 1.0) * sum(|student| student.above * student.above) / positives;
    let of_negatives = without / (without - 1.0) * sum(|student| student.below * student.below) / negatives;
    let of_both = all / (all - 1.0) * sum(|student| student.above * student.below);
    let variance = of_positives / positives + of_negatives / negatives + 2.0 * of_both / (positives * negatives);
    Some(variance.max(0.0))
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    /// The golden rows of the reference figures: p = ((i·37) mod 101)/101, y = ((i·53) mod 97)/97 < 0.8 p + 0.05.
    fn golden() -> (Vec<f64>, Vec<f64>) {
        let p: Vec<f64> = (0..60_u32).map(|i| f64::from((i * 37) % 101) / 101.0).collect();
        let y = (0..60_u32).map(|i| f64::from(f64::from((i * 53) % 97) / 97.0 < p[i as usize] * 0.8 + 0.05)).collect();
        (p, y)
    }

    /// The standard error of DeLong, written out pair by pair.
    fn delong(scores: &[f64], labels: &[f64]) -> f64 {
        let side = |is: f64| -> Vec<f64> {
            scores.iter().zip(labels).filter(|(_, label)| **label == is).map(|(score, _)| *score).collect()
        };
        let (with, without) = (side(1.0), side(0.0));
        let above = |x: f64, y: f64| if x > y { 1.0 } else { f64::from(x == y) / 2.0 };
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let spread = |values: &[f64]| {
            let centre = mean(values);
            values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (values.len() - 1) as f64 / values.len() as f64
        };
        let v10: Vec<f64> =
            with.iter().map(|x| mean(&without.iter().map(|y| above(*x, *y)).collect::<Vec<_>>())).collect();
        let v01: Vec<f64> =
            without.iter().map(|y| mean(&with.iter().map(|x| above(*x, *y)).collect::<Vec<_>>())).collect();
        (spread(&v10) + spread(&v01)).sqrt()
    }

    #[test]
    fn auc_equals_the_reference() {
        let (p, y) = golden();

        assert!((roc_auc(&p, &y).unwrap() - 0.737_486_095_661_846_4).abs() < 1e-12);
    }

    #[test]
    fn the_interval_is_delongs_where_each_row_is_another_students() {
        let (p, y) = golden();
        let students: Vec<usize> = (0..y.len()).collect();

        let found = auc(&p, Truth { labels: &y, students: &students }).unwrap();

        assert!(((found.high - found.value) / 1.96 - delong(&p, &y)).abs() < 1e-12);
    }

    #[test]
    fn a_constant_score_ranks_nothing() {
        let (_, y) = golden();

        assert_eq!(roc_auc(&vec![0.4; y.len()], &y), Some(0.5));
    }

    #[test]
    fn one_class_has_no_auc_and_one_student_no_interval() {
        let one = Truth { labels: &[0.0, 0.0], students: &[0, 1] };
        let single = Truth { labels: &[1.0, 0.0, 0.0], students: &[0, 1, 2] };

        assert_eq!(auc(&[0.1, 0.2], one), None);
        assert_eq!(auc(&[0.9, 0.2, 0.3], single), Some(Interval { value: 1.0, low: 0.0, high: 1.0 }));
    }

    #[test]
    fn a_score_gains_nothing_over_itself() {
        let (p, y) = golden();
        let students: Vec<usize> = (0..y.len()).collect();

        let gain = auc_gain(&p, &p, Truth { labels: &y, students: &students }).unwrap();

        assert_eq!((gain.value, gain.low, gain.high), (0.0, 0.0, 0.0));
    }

    /// 200 institutions of 240 students with six weekly rows each, whose scores go with the student: how often the
    /// interval of two equally good scores holds the true difference of 0.
    #[test]
    fn the_interval_of_a_gain_holds_the_truth_as_often_as_it_says() {
        let mut held = 0;
        for seed in 0..200 {
            let mut generator = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let mut normal = || (0..12).map(|_| generator.random::<f64>()).sum::<f64>() - 6.0;
            let (mut one, mut other, mut labels, mut students) = (vec![], vec![], vec![], vec![]);
            for student in 0..240 {
                let label = f64::from(student % 4 == 0);
                let (a, b) = (normal() + label, normal() + label);
                for _ in 0..6 {
                    one.push(a + normal() * 0.3);
                    other.push(b + normal() * 0.3);
                    labels.push(label);
                    students.push(student);
                }
            }

            let gain = auc_gain(&one, &other, Truth { labels: &labels, students: &students }).unwrap();

            held += u32::from(gain.low <= 0.0 && gain.high >= 0.0);
        }

        assert!((180..=199).contains(&held), "{held} of 200");
    }
}
