//! The two-sided p-value of the two-sample Kolmogorov-Smirnov test.
//!
//! Promises the number that scipy 1.15+ gives for `scipy.stats.ks_2samp(a, b, method="auto")`, within 1e-9 of its
//! value or 1e-12 outright: exact while both samples hold at most 10 000 values, and beyond that the distribution of
//! the one-sample distance at the effective sample size, by the methods that Simard & L'Ecuyer (2011) put together.

use std::f64::consts::{FRAC_PI_2, PI, TAU};
use std::ops::RangeInclusive;

/// The largest sample for which the exact distribution is used.
const EXACT_LIMIT: usize = 10_000;

/// From this product of the effective size and the squared distance on, the p-value is below 1e-320.
const VANISHING: f64 = 370.0;

/// The p-value of a largest distance `distance` between the empirical distributions of samples of `n` and `m` values.
///
/// Expects `n >= 1`, `m >= 1` and a distance from 0 to 1. Where scipy itself slips, this gives the true 1: seven values
/// against seven at 1/7 (scipy: 0.99996), and a tiny distance at which its matrix overflows (scipy: 0).
#[must_use]
pub(super) fn ks_p_value(distance: f64, n: usize, m: usize) -> f64 {
    let (first, second) = (n as f64, m as f64);
    let count = first * second / (first + second);
    let p_value = if n.max(m) > EXACT_LIMIT {
        one_sample_p_value(distance, count.round_ties_even())
    } else if count * distance * distance >= VANISHING {
        0.0
    } else {
        exact_p_value(distance, n, m)
    };
    p_value.clamp(0.0, 1.0)
}

/// The exact p-value: the probability that a random lattice path from (0, 0) to (n, m) leaves the band where the two
/// empirical distributions differ by less than the distance (Hodges 1957, "The significance probability of the Smirnov
/// two-sample test").
///
/// The paths are followed one diagonal `step = i + j` at a time, in one row indexed by `i`: every cell is the mean of
/// its two predecessors weighted by `i` and `j`, and a cell outside the band holds 1.
fn exact_p_value(distance: f64, n: usize, m: usize) -> f64 {
    let divisor = greatest_common_divisor(n, m);
    let (n_reduced, m_reduced) = (n / divisor, m / divisor);
    let reach = whole((distance * (n_reduced * m) as f64).round_ties_even());
    if reach == 0 {
        return 1.0;
    }
    let slope = n_reduced + m_reduced;
    let weights: Vec<f64> = (0..=n).map(|i| i as f64).collect();
    let mut row = vec![1.0; n + 1];
    row[0] = 0.0;
    let mut oldest = 0;
    for step in 1..=n + m {
        // In the band: |i * m_reduced - j * n_reduced| < reach, that is |i * slope - step * n_reduced| < reach.
        let middle = step * n_reduced;
        let band_start = if middle < reach { 0 } else { (middle - reach) / slope + 1 };
        let band_end = (middle + reach - 1) / slope;
        let first = band_start.max(step.saturating_sub(m));
        let last = band_end.min(step).min(n);
        advance_diagonal(&mut row, &weights, first.max(1)..=last, step as f64);
        row[oldest..band_start].fill(1.0);
        oldest = band_start;
    }
    row[n]
}

/// Replaces the cells `diagonal` of one diagonal by those of the next, from the highest down because each cell
/// reads the one below it (they begin at 1 or later: the cell of `i = 0` never changes inside the band).
fn advance_diagonal(row: &mut [f64], weights: &[f64], diagonal: RangeInclusive<usize>, step: f64) {
    let with_predecessor = diagonal.start() - 1..=*diagonal.end();
    let cells = &mut row[with_predecessor.clone()];
    let weights = &weights[with_predecessor];
    let scale = step.recip();
    for index in (1..cells.len()).rev() {
        let weight = weights[index];
        cells[index] = (weight * cells[index - 1] + (step - weight) * cells[index]) * scale;
    }
}

/// Euclid's greatest common divisor.
fn greatest_common_divisor(first: usize, second: usize) -> usize {
    if second == 0 { first } else { greatest_common_divisor(second, first % second) }
}

/// The probability that the one-sample two-sided distance of `count` values is at least `distance`, by the choice of
/// method in Simard & L'Ecuyer 2011, "Computing the two-sided Kolmogorov-Smirnov distribution", as scipy divides it.
fn one_sample_p_value(distance: f64, count: f64) -> f64 {
    let scaled = count * distance;
    let squared = scaled * distance;
    if scaled <= 0.5 {
        1.0
    } else if scaled <= 1.0 {
        1.0 - (count * (2.0 * scaled - 1.0).ln() - count).exp() / poisson_peak(count)
    } else if scaled >= count - 1.0 {
        2.0 * (1.0 - distance).powf(count)
    } else if distance >= 0.5 {
        2.0 * smirnov_p_value(distance, count)
    } else if count <= 140.0 {
        if squared <= 0.754_693 {
            1.0 - matrix_probability(distance, count)
        } else if squared <= 4.0 {
            1.0 - pomeranz_probability(distance, count)
        } else {
            2.0 * smirnov_p_value(distance, count)
        }
    } else if squared >= VANISHING {
        0.0
    } else if squared >= 2.2 {
        2.0 * smirnov_p_value(distance, count)
    } else if count <= 100_000.0 && count * distance.powf(1.5) <= 1.4 {
        1.0 - matrix_probability(distance, count)
    } else {
        1.0 - pelz_good_probability(distance, count)
    }
}

/// The one-sided p-value by the sum of Smirnov and of Birnbaum & Tingey (Simard & L'Ecuyer 2011, section 2.3), and
/// beyond a million values by the limit of Maag & Dicaire 1971, as scipy does.
///
/// Term `j` is a binomial probability of `j` among `count` at the chance `distance + j / count`, times
/// `distance / chance`; it is taken relative to the chance `j / count`, so that no large logarithms cancel.
fn smirnov_p_value(distance: f64, count: f64) -> f64 {
    let scaled = count * distance;
    if count > 1_000_000.0 {
        return (-(6.0 * scaled + 1.0).powi(2) / (18.0 * count)).exp();
    }
    let whole_correction = stirling_correction(count);
    let term = |j: f64| {
        let rest = count - j;
        let corrections = whole_correction - stirling_correction(j) - stirling_correction(rest);
        let divergence = j * (scaled / j).ln_1p() + rest * (-scaled / rest).ln_1p();
        (count / (TAU * j * rest)).sqrt() * (corrections + divergence).exp() * scaled / (scaled + j)
    };
    let later: f64 = (1..whole(count)).map(|j| j as f64).take_while(|j| count - j > scaled).map(term).sum();
    (1.0 - distance).powf(count) + later
}

/// The probability of a smaller distance by the matrix power of Marsaglia, Tsang & Wang 2003, "Evaluating
/// Kolmogorov's distribution" (after Durbin 1973).
///
/// Every entry is divided by e, which makes the entries Poisson probabilities and keeps their powers in range; the
/// count-th power of e returns in the factor at the end.
fn matrix_probability(distance: f64, count: f64) -> f64 {
    let scaled = count * distance;
    let ceiling = scaled.ceil();
    let middle = whole(ceiling) - 1;
    let mut power = durbin_matrix(ceiling - scaled, 2 * middle + 1);
    let mut vector = vec![0.0; 2 * middle + 1];
    vector[middle] = 1.0;
    let mut exponent = whole(count);
    loop {
        if exponent % 2 == 1 {
            let product = |row: &Vec<f64>| row.iter().zip(&vector).map(|(left, right)| left * right).sum();
            vector = power.iter().map(product).collect();
        }
        exponent /= 2;
        if exponent == 0 {
            break;
        }
        power = square(&power);
    }
    vector[middle] / poisson_peak(count)
}

/// The matrix H of Marsaglia, Tsang & Wang 2003, divided by e, for the part `excess` by which the scaled distance
/// misses the next whole number.
fn durbin_matrix(excess: f64, size: usize) -> Vec<Vec<f64>> {
    let poisson = poisson_chances(1.0, size);
    let powers: Vec<f64> = (0..=size).map(|exponent| excess.powf(exponent as f64)).collect();
    let corner = (2.0 * excess - 1.0).max(0.0).powf(size as f64);
    let entry = |row: usize, column: usize| {
        if row + 1 < column {
            return 0.0;
        }
        let left = if column == 0 { powers[row + 1] } else { 0.0 };
        let bottom = if row + 1 == size { powers[size - column] } else { 0.0 };
        let both = if column == 0 && row + 1 == size { corner } else { 0.0 };
        (1.0 - left - bottom + both) * poisson[row + 1 - column]
    };
    (0..size).map(|row| (0..size).map(|column| entry(row, column)).collect()).collect()
}

/// The square of a matrix.
fn square(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let times_matrix = |row: &Vec<f64>| {
        let mut product = vec![0.0; row.len()];
        for (factor, other) in row.iter().zip(matrix) {
            for (sum, value) in product.iter_mut().zip(other) {
                *sum += factor * value;
            }
        }
        product
    };
    matrix.iter().map(times_matrix).collect()
}

/// The probability of a smaller distance by the recursion of Pomeranz 1974, "Exact cumulative distribution of the
/// Kolmogorov-Smirnov statistic for small samples" (Simard & L'Ecuyer 2011, section 2.2).
///
/// The sample is a Poisson process of rate 1 on 0 to `count`, given that it has `count` points: `chances[k]` is the
/// probability of `k` points so far with the path never outside the band, renewed at each place where the band moves.
fn pomeranz_probability(distance: f64, count: f64) -> f64 {
    let scaled = count * distance;
    let floor = scaled.floor();
    let fraction = scaled - floor;
    let gap = fraction.min(1.0 - fraction);
    // At `place - 1 + gap` the band lies strictly between `place - early_low` and `place + early_high`, and at
    // `place - gap` strictly between `place - late_low` and `place + late_high`.
    let ceiling = scaled.ceil();
    let (early_low, early_high, late_low, late_high) = if fraction <= 0.5 {
        (floor + 1.0, ceiling - 1.0, ceiling, floor)
    } else {
        (ceiling + 1.0, floor, ceiling, ceiling)
    };
    let size = whole(count);
    let (across, between, edge) =
        (poisson_chances(2.0 * gap, size), poisson_chances(1.0 - 2.0 * gap, size), poisson_chances(gap, size));
    let mut chances = vec![0.0; size + 1];
    chances[0] = 1.0;
    for place in 1..=size {
        let next = place as f64;
        let arrival = if place == 1 { &edge } else { &across };
        chances = renew(&chances, arrival, next - early_low, next + early_high);
        chances = renew(&chances, &between, next - late_low, next + late_high);
    }
    let all_points = renew(&chances, &edge, count - 1.0, count + 1.0);
    all_points[size] / poisson_peak(count)
}

/// The chances after further Poisson points, of which only numbers strictly between `low` and `high` are kept.
fn renew(chances: &[f64], arrival: &[f64], low: f64, high: f64) -> Vec<f64> {
    let renewed = |total: usize| {
        if total as f64 <= low || total as f64 >= high {
            return 0.0;
        }
        (0..=total).map(|earlier| chances[earlier] * arrival[total - earlier]).sum()
    };
    (0..chances.len()).map(renewed).collect()
}

/// The Poisson probabilities of 0 to `largest` points at the given mean.
fn poisson_chances(mean: f64, largest: usize) -> Vec<f64> {
    let mut chances = vec![(-mean).exp(); largest + 1];
    for index in 1..=largest {
        chances[index] = chances[index - 1] * mean / index as f64;
    }
    chances
}

/// The probability of a smaller distance by the expansion of Pelz & Good 1976, "Approximating the lower tail-areas of
/// the Kolmogorov-Smirnov one-sample statistic": four theta-like series in `z`, in falling powers of the root of the
/// count.
fn pelz_good_probability(distance: f64, count: f64) -> f64 {
    let root = count.sqrt();
    let z = distance * root;
    let (z2, z4, z6, z8) = (z.powi(2), z.powi(4), z.powi(6), z.powi(8));
    let mut series = [0.0; 4];
    for index in 0..12 {
        let half = (PI * (f64::from(index) + 0.5)).powi(2);
        let decay = 2.0 * (-half / (2.0 * z2)).exp();
        let second = 6.0 * z6 + 2.0 * z4 + half * (2.0 * z4 - 5.0 * z2 + half * (1.0 - 2.0 * z2));
        let third = half * (135.0 * z4 - 96.0 * z6 + half * (212.0 * z4 - 60.0 * z2 + half * (5.0 - 30.0 * z2)));
        series[0] += decay / z;
        series[1] += decay * (half - z2) / (6.0 * z4);
        series[2] += decay * second / (72.0 * z6 * z);
        series[3] += decay * (third - 30.0 * z6 - 90.0 * z8) / (6480.0 * z6 * z4);

        let full = (PI * f64::from(index)).powi(2);
        let decay = 2.0 * (-full / (2.0 * z2)).exp();
        series[2] -= decay * full / (36.0 * z2 * z);
        series[3] += decay * (3.0 * full * z2 - full.powi(2)) / (216.0 * z6);
    }
    FRAC_PI_2.sqrt() * series.iter().rev().fold(0.0, |sum, value| sum / root + value)
}

/// The Poisson probability of `count` points at the mean `count`: `count^count / (e^count count!)`.
fn poisson_peak(count: f64) -> f64 {
    (-stirling_correction(count)).exp() / (TAU * count).sqrt()
}

/// What Stirling's formula lacks: `ln(count!)` less `ln(sqrt(2 pi count) (count / e)^count)`; from the exact product
/// below 20, and by Stirling's series above (its next term is under 1e-17).
fn stirling_correction(count: f64) -> f64 {
    if count < 20.0 {
        let factorial: f64 = (1..=whole(count)).map(|factor| factor as f64).product();
        return factorial.ln() - 0.5 * (TAU * count).ln() - count * (count.ln() - 1.0);
    }
    let inverse = count.recip();
    let square = inverse * inverse;
    let series = [1.0 / 1188.0, -1.0 / 1680.0, 1.0 / 1260.0, -1.0 / 360.0, 1.0 / 12.0];
    inverse * series.iter().fold(0.0, |sum, coefficient| sum * square + coefficient)
}

/// A whole number that arithmetic left in a float.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, not negative, far below 2^53")]
fn whole(value: f64) -> usize {
    value as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks rows of distance, sizes and the p-value that scipy 1.17.1 gives.
    fn assert_scipys(rows: &[(f64, usize, usize, f64)]) {
        for &(distance, n, m, expected) in rows {
            for found in [ks_p_value(distance, n, m), ks_p_value(distance, m, n)] {
                let error = (found - expected).abs();
                assert!(error <= 1e-9 * expected, "D = {distance}, n = {n}, m = {m}: {found:e}, scipy {expected:e}");
            }
        }
    }

    #[test]
    fn the_exact_p_value_equals_scipys() {
        assert_scipys(&[
            (0.0, 30, 40, 1.0),
            (1.0, 5, 5, 0.007_936_507_936_507_936),
            (1.0, 12, 7, 3.969_199_015_638_644_4e-5),
            (0.07, 400, 250, 0.418_156_948_039_092_2),
            (0.3, 20, 20, 0.335_590_981_260_082_13),
            (0.05, 1000, 1000, 0.164_114_477_564_291_37),
            (0.25, 24, 36, 0.296_535_105_805_172_7),
            (0.4, 13, 17, 0.145_002_118_823_629_12),
            (0.021, 9999, 9000, 0.030_093_964_213_080_207),
            (0.5, 300, 200, 9.273_102_849_374_078e-28),
        ]);
    }

    #[test]
    fn the_matrix_power_gives_scipys_p_value() {
        assert_scipys(&[
            (0.07, 20_000, 100, 0.684_670_679_164_584_5),
            (0.0025, 20_000, 15_000, 0.999_999_998_485_189_4),
            (0.0002, 20_000, 15_000, 1.0),
        ]);
    }

    #[test]
    fn pomeranzs_recursion_gives_scipys_p_value() {
        assert_scipys(&[
            (0.1, 20_000, 100, 0.252_692_757_006_387_4),
            (0.13, 10_001, 137, 0.018_937_381_048_603_326),
            (0.4, 10_001, 20, 0.002_118_922_182_035_798_4),
            (0.15, 20_000, 100, 0.019_839_242_125_641_813),
        ]);
    }

    #[test]
    fn twice_the_one_sided_sum_gives_scipys_p_value() {
        assert_scipys(&[
            (0.3, 20_000, 100, 1.771_986_989_266_291_7e-8),
            (0.6, 20_000, 100, 5.912_822_156_396_238e-35),
            (0.02, 20_000, 15_000, 0.002_075_777_528_008_902),
            (0.05, 20_000, 15_000, 4.623_614_963_013_288e-19),
            (0.002, 3_000_000, 2_000_000, 0.000_135_276_977_108_055_42),
        ]);
    }

    #[test]
    fn the_expansion_of_pelz_and_good_gives_scipys_p_value() {
        assert_scipys(&[
            (0.005, 20_000, 15_000, 0.982_191_944_874_555_6),
            (0.012, 20_000, 15_000, 0.167_980_180_230_582_37),
            (0.002, 500_000, 400_000, 0.335_953_836_711_073_15),
            (0.001, 3_000_000, 2_000_000, 0.181_179_878_386_030_67),
        ]);
    }

    #[test]
    fn the_ends_of_the_range_give_scipys_p_value() {
        assert_scipys(&[
            (0.004, 10_001, 137, 1.0),
            (0.005, 20_000, 100, 1.0),
            (0.006, 20_000, 100, 1.0),
            (0.995, 20_000, 100, 1.577_721_810_442_163_6e-230),
            (0.35, 10_001, 1, 1.0),
            (0.75, 10_001, 1, 0.5),
            (0.3, 20_000, 15_000, 0.0),
            (0.000_07, 20_000, 15_000, 1.0),
            (0.0, 20_000, 15_000, 1.0),
            (1.0, 20_000, 15_000, 0.0),
        ]);
    }

    #[test]
    fn the_exact_p_value_counts_the_paths_that_leave_the_band() {
        fn paths(i: usize, j: usize, n: usize, m: usize, reach: usize, left: bool) -> (f64, f64) {
            let left = left || (i * m).abs_diff(j * n) >= reach;
            if (i, j) == (n, m) {
                return (f64::from(u8::from(left)), 1.0);
            }
            let right = if i < n { paths(i + 1, j, n, m, reach, left) } else { (0.0, 0.0) };
            let up = if j < m { paths(i, j + 1, n, m, reach, left) } else { (0.0, 0.0) };
            (right.0 + up.0, right.1 + up.1)
        }
        for (n, m) in [(1, 1), (1, 6), (4, 4), (5, 7), (6, 8), (3, 9)] {
            for reach in 1..=n * m {
                let (leaving, all) = paths(0, 0, n, m, reach, false);
                let found = ks_p_value(reach as f64 / (n * m) as f64, n, m);
                // Only distances that two such samples can have: the others are rounded to one of them.
                if reach % greatest_common_divisor(n, m) == 0 {
                    assert!((found - leaving / all).abs() < 1e-12, "{reach} in {n} x {m}: {found}");
                }
            }
        }
    }

    #[test]
    fn the_methods_agree_where_they_overlap() {
        for (distance, count) in [(0.08, 100.0), (0.12, 100.0), (0.2, 20.0), (0.25, 20.0), (0.11, 137.0)] {
            let matrix = matrix_probability(distance, count);
            assert!((matrix - pomeranz_probability(distance, count)).abs() < 1e-12, "{distance} of {count}");
        }
        assert!((matrix_probability(0.01, 10_000.0) - pelz_good_probability(0.01, 10_000.0)).abs() < 1e-8);
        let tail = 2.0 * smirnov_p_value(0.03, 5_000.0);
        assert!((1.0 - pelz_good_probability(0.03, 5_000.0) - tail).abs() < 1e-8);
    }

    #[test]
    fn a_larger_distance_never_has_a_larger_p_value() {
        for (n, m) in [(60, 45), (12_000, 90), (12_000, 13_000)] {
            let values: Vec<f64> = (0..=1_000).map(|step| ks_p_value(f64::from(step) / 1_000.0, n, m)).collect();
            assert!(values.windows(2).all(|pair| pair[1] <= pair[0] + 1e-9), "{n} x {m}");
            assert!(values.iter().all(|value| (0.0..=1.0).contains(value)), "{n} x {m}");
        }
    }
}
