//! Drift: how far this term's numbers are from those of the same course week of earlier terms.
//!
//! Numeric: the two-sample Kolmogorov-Smirnov distance D (ties by the right-continuous empirical distributions) with
//! its p-value, and the population stability index over ten bins at the reference's quantiles, shares floored at
//! 0.0001. Categorical: Pearson's chi-square on the table of counts, its size as Cramér's V (1946), from 0 (the same
//! shares) to 1. Fixed thresholds cry wolf on course data, so a threshold is learnt from the distances between earlier
//! terms (mean and three deviations); with fewer than three pairs a given one is used, and the result says so. A column
//! without values is skipped, never a crash.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF as _};

use super::kolmogorov::ks_p_value;

/// The distance of two samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distance {
    /// The feature.
    pub feature: String,
    /// Kolmogorov-Smirnov D.
    pub ks: f64,
    /// Its p-value.
    pub p_value: f64,
    /// The population stability index.
    pub psi: f64,
    /// The distance D above which it counts as drift.
    pub threshold: f64,
    /// Whether the threshold was learnt from earlier terms.
    pub is_learnt: bool,
    /// Values in the reference and now.
    pub sizes: (usize, usize),
}

/// A chi-square test of two categorical samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChiSquare {
    /// The statistic.
    pub statistic: f64,
    /// Degrees of freedom.
    pub freedom: usize,
    /// The p-value.
    pub p_value: f64,
    /// Cramér's V of the table.
    pub cramers_v: f64,
}

/// The distance of two categorical samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CategoryDistance {
    /// The feature.
    pub feature: String,
    /// The test.
    pub chi_square: ChiSquare,
    /// The V above which it counts as drift.
    pub threshold: f64,
    /// Whether the threshold was learnt from earlier terms.
    pub is_learnt: bool,
    /// Values in the reference and now.
    pub sizes: (usize, usize),
}

/// Returns the Kolmogorov-Smirnov distance of two samples of finite numbers; `None` when one is empty.
pub fn ks_distance(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    let (a, b) = (sorted(a), sorted(b));
    let (mut i, mut j, mut most) = (0, 0, 0.0_f64);
    while i < a.len() && j < b.len() {
        let at = a[i].min(b[j]);
        while i < a.len() && a[i] <= at {
            i += 1;
        }
        while j < b.len() && b[j] <= at {
            j += 1;
        }
        most = most.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    Some(most)
}

/// Returns the population stability index over bins at the reference's deciles; `None` when a sample is empty.
pub fn psi(reference: &[f64], current: &[f64]) -> Option<f64> {
    const FLOOR: f64 = 0.0001;
    if reference.is_empty() || current.is_empty() {
        return None;
    }
    let mut sorted = reference.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut edges: Vec<f64> =
        (1..10).map(|decile| sorted[(sorted.len() * decile / 10).min(sorted.len() - 1)]).collect();
    edges.dedup();
    let shares = |values: &[f64]| -> Vec<f64> {
        let mut counts = vec![0_usize; edges.len() + 1];
        for value in values {
            counts[edges.partition_point(|edge| edge <= value)] += 1;
        }
        counts.into_iter().map(|count| (count as f64 / values.len() as f64).max(FLOOR)).collect()
    };
    Some(shares(reference).iter().zip(shares(current)).map(|(r, c)| (r - c) * (r / c).ln()).sum())
}

/// Returns Pearson's chi-square of two rows of counts, without Yates' correction; empty columns are left out.
/// `None` when fewer than two columns hold anything or a row is empty.
pub fn chi_square(reference: &[u64], current: &[u64]) -> Option<ChiSquare> {
    let columns: Vec<(f64, f64)> =
        reference.iter().zip(current).filter(|(r, c)| **r + **c > 0).map(|(r, c)| (*r as f64, *c as f64)).collect();
    let (n, m): (f64, f64) = columns.iter().fold((0.0, 0.0), |(n, m), (r, c)| (n + r, m + c));
    if columns.len() < 2 || n == 0.0 || m == 0.0 {
        return None;
    }
    let statistic: f64 = columns
        .iter()
        .map(|(r, c)| {
            let (expected_r, expected_c) = ((r + c) * n / (n + m), (r + c) * m / (n + m));
            (r - expected_r).powi(2) / expected_r + (c - expected_c).powi(2) / expected_c
        })
        .sum();
    let freedom = columns.len() - 1;
    let p_value = ChiSquared::new(freedom as f64).map_or(1.0, |distribution| distribution.sf(statistic));
    // With two rows, the smaller side of the table is always two: V is the root of the statistic's share of all rows.
    Some(ChiSquare { statistic, freedom, p_value, cramers_v: (statistic / (n + m)).sqrt() })
}

/// Compares one categorical feature now with the samples of earlier terms; see [`compare`].
pub fn compare_categories(
    feature: &str,
    earlier: &[Vec<String>],
    current: &[String],
    fallback: f64,
) -> Option<CategoryDistance> {
    let test = |a: &[&String], b: &[&String]| {
        let mut counts: BTreeMap<&String, [u64; 2]> = BTreeMap::new();
        for (side, values) in [a, b].into_iter().enumerate() {
            values.iter().for_each(|value| counts.entry(value).or_default()[side] += 1);
        }
        let [a, b] = [0, 1].map(|side| counts.values().map(|count| count[side]).collect::<Vec<u64>>());
        chi_square(&a, &b)
    };
    let earlier: Vec<Vec<&String>> =
        earlier.iter().filter(|term| !term.is_empty()).map(|term| term.iter().collect()).collect();
    let (reference, current): (Vec<&String>, Vec<&String>) =
        (earlier.iter().flatten().copied().collect(), current.iter().collect());
    let found = test(&reference, &current)?;
    let mut between = Vec::new();
    for (i, a) in earlier.iter().enumerate() {
        between.extend(earlier[i + 1..].iter().filter_map(|b| test(a, b)).map(|test| test.cramers_v));
    }
    let (threshold, is_learnt) = threshold(&between, fallback);
    let sizes = (reference.len(), current.len());
    Some(CategoryDistance { feature: feature.to_owned(), chi_square: found, threshold, is_learnt, sizes })
}

/// Returns the threshold learnt from the distances between earlier terms, or the fallback, and whether it was learnt.
fn threshold(between: &[f64], fallback: f64) -> (f64, bool) {
    if between.len() < 3 {
        return (fallback, false);
    }
    let n = between.len() as f64;
    let mean = between.iter().sum::<f64>() / n;
    let variance = between.iter().map(|distance| (distance - mean).powi(2)).sum::<f64>() / n;
    ((mean + 3.0 * variance.sqrt()).min(1.0), true)
}

/// Compares one feature now with the samples of earlier terms (each of the same course week).
///
/// `fallback` is the threshold used while there are fewer than three pairs of earlier terms to learn one from. `None`
/// when there is nothing to compare.
pub fn compare(feature: &str, earlier: &[Vec<f64>], current: &[f64], fallback: f64) -> Option<Distance> {
    let finite = |values: &[f64]| values.iter().copied().filter(|value| value.is_finite()).collect::<Vec<f64>>();
    let earlier: Vec<Vec<f64>> = earlier.iter().map(|term| finite(term)).filter(|term| !term.is_empty()).collect();
    let current = finite(current);
    let reference: Vec<f64> = earlier.iter().flatten().copied().collect();
    let ks = ks_distance(&reference, &current)?;
    let mut between = Vec::new();
    for (i, a) in earlier.iter().enumerate() {
        between.extend(earlier[i + 1..].iter().filter_map(|b| ks_distance(a, b)));
    }
    let (threshold, is_learnt) = threshold(&between, fallback);
    Some(Distance {
        feature: feature.to_owned(),
        ks,
        p_value: ks_p_value(ks, reference.len(), current.len()),
        psi: psi(&reference, &current)?,
        threshold,
        is_learnt,
        sizes: (reference.len(), current.len()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_distance_equals_scipys() {
        let reference: Vec<f64> = (0..400_u32).map(|i| f64::from((i * 7919) % 1009) / 1009.0).collect();
        let current: Vec<f64> = (0..250_u32).map(|i| f64::from((i * 6101) % 997) / 997.0 * 0.9 + 0.07).collect();

        let distance = ks_distance(&reference, &current).unwrap();

        assert!((distance - 0.07).abs() < 1e-12);
        assert!((ks_p_value(distance, 400, 250) - 0.418_156_948_039_092_2).abs() < 1e-9);
    }

    #[test]
    fn chi_square_equals_scipys() {
        let found = chi_square(&[215, 143, 142, 0, 0], &[55, 109, 55, 27, 54]).unwrap();

        assert!((found.statistic - 180.078_331_945_675_42).abs() < 1e-9);
        assert_eq!(found.freedom, 4);
        assert!((found.p_value - 7.173_239_532_138_9e-38).abs() < 1e-46);
        assert!((chi_square(&[10, 20], &[20, 10]).unwrap().p_value - 0.009_823_274_507_519_235).abs() < 1e-9);
    }

    #[test]
    fn the_size_of_a_categorical_change_is_its_cramers_v() {
        let sample = |a: usize, b: usize| [vec!["a".to_owned(); a], vec!["b".to_owned(); b]].concat();

        let same = compare_categories("x", &[sample(10, 20)], &sample(20, 40), 0.2).unwrap();
        let other = compare_categories("x", &[sample(10, 0)], &sample(0, 10), 0.2).unwrap();
        let partly = compare_categories("x", &[sample(10, 20)], &sample(20, 10), 0.2).unwrap();

        assert!(same.chi_square.cramers_v < 1e-12 && !same.is_learnt);
        assert!((other.chi_square.cramers_v - 1.0).abs() < 1e-12);
        assert!((partly.chi_square.cramers_v - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(compare_categories("x", &[], &sample(1, 1), 0.2), None);
        assert_eq!(compare_categories("x", &[sample(3, 0)], &sample(3, 0), 0.2), None, "one category tells nothing");
    }

    #[test]
    fn an_empty_sample_is_not_compared() {
        assert_eq!(compare("x", &[vec![1.0]], &[f64::NAN], 0.2), None);
        assert_eq!(compare("x", &[], &[1.0], 0.2), None);
    }

    #[test]
    fn three_earlier_terms_teach_a_threshold_and_two_do_not() {
        let term = |shift: f64| (0..50).map(|i| f64::from(i) / 50.0 + shift).collect::<Vec<f64>>();

        let learnt = compare("x", &[term(0.0), term(0.1), term(0.2)], &term(0.1), 0.2).unwrap();
        let stated = compare("x", &[term(0.0), term(0.1)], &term(0.1), 0.2).unwrap();

        assert!(learnt.is_learnt && !stated.is_learnt);
        assert!((stated.threshold - 0.2).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn distances_are_symmetric_and_within_their_limits(
            a in prop::collection::vec(-5.0_f64..5.0, 1..40), b in prop::collection::vec(-5.0_f64..5.0, 1..40),
        ) {
            let there = ks_distance(&a, &b).unwrap();
            prop_assert!((0.0..=1.0).contains(&there));
            prop_assert!((there - ks_distance(&b, &a).unwrap()).abs() < 1e-12);
            prop_assert!(psi(&a, &b).unwrap() >= 0.0);
            prop_assert!(ks_distance(&a, &a).unwrap() == 0.0);
        }
    }
}
