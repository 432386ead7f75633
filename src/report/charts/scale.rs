//! From values to coordinates: linear and logarithmic scales, round ticks, labels that do not overlap.
//!
//! Coordinates are rounded to a tenth of a unit, so that the text of a drawing does not depend on the last
//! bits of a float.

/// A scale from a range of values to a range of coordinates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// The values at both ends.
    pub(super) values: (f64, f64),
    /// The coordinates at both ends.
    pub(super) units: (f64, f64),
}

impl Scale {
    /// Returns the coordinate of `value`; a value outside the range is clamped to the nearer end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let (from, to) = self.values;
        let share = if to > from { ((value - from) / (to - from)).clamp(0.0, 1.0) } else { 0.0 };
        rounded(self.units.0 + share * (self.units.1 - self.units.0))
    }
}

/// Returns a coordinate rounded to a tenth.
pub(super) fn rounded(unit: f64) -> f64 {
    (unit * 10.0).round() / 10.0
}

/// Returns a round step that divides `span` into about `parts`: 1, 2 or 5 times a power of ten.
pub(super) fn round_step(span: f64, parts: f64) -> f64 {
    let raw = (span / parts).max(1e-9);
    let power = 10_f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| power * factor >= raw).unwrap_or(10.0);
    power * factor
}

/// Returns the multiples of `step` from `low` to `high`.
pub(super) fn ticks(low: f64, high: f64, step: f64) -> Vec<f64> {
    let mut ticks = Vec::new();
    let mut multiple = (low / step - 1e-9).ceil();
    while multiple * step <= high + step * 1e-9 && ticks.len() < 50 {
        // Adding zero turns a negative zero into a positive one.
        ticks.push(multiple * step + 0.0);
        multiple += 1.0;
    }
    ticks
}

/// Returns the heights of labels moved apart so that none is nearer than `gap` to the next, in the given order.
pub(super) fn spread(heights: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..heights.len()).collect();
    order.sort_by(|&a, &b| heights[a].total_cmp(&heights[b]).then(a.cmp(&b)));
    let mut spread = heights.to_vec();
    let mut floor = low;
    for &i in &order {
        spread[i] = spread[i].max(floor);
        floor = spread[i] + gap;
    }
    let mut ceiling = high;
    for &i in order.iter().rev() {
        spread[i] = rounded(spread[i].min(ceiling));
        ceiling = spread[i] - gap;
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_ticks_reach_both_ends() {
        assert_eq!([round_step(8.4, 5.0), round_step(0.5, 5.0), round_step(420.0, 5.0)], [2.0, 0.1, 100.0]);
        assert_eq!(ticks(0.0, 8.4, 2.0), vec![0.0, 2.0, 4.0, 6.0, 8.0]);
    }

    #[test]
    fn labels_that_would_overlap_are_moved_apart_within_the_frame() {
        assert_eq!(spread(&[100.0, 96.0, 20.0], 18.0, 10.0, 105.0), vec![105.0, 87.0, 20.0]);
    }
}
