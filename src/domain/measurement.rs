//! Measurements: the numbers a job makes, by name and dimension.
//!
//! Reports, alerts and comparisons between nights read measurements; they never parse messages.
//! A measurement never carries anything about one person; counts of people go through [`People`].

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One number with its name, unit and dimensions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// A dotted name, such as `model.auc`.
    pub name: String,
    /// The value; never NaN or infinite (such values are left out, with a finding).
    pub value: f64,
    /// The unit, such as `rows`, `share`, `seconds`; empty for a plain number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// What the number is about, such as `week = 4`, `model = at_risk`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, String>,
}

impl Measurement {
    /// Returns a measurement without unit and dimensions.
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value, unit: String::new(), dimensions: BTreeMap::new() }
    }

    /// Sets the unit.
    #[must_use]
    pub fn unit(mut self, unit: &str) -> Self {
        unit.clone_into(&mut self.unit);
        self
    }

    /// Adds a dimension.
    #[must_use]
    pub fn of(mut self, dimension: &str, value: impl fmt::Display) -> Self {
        self.dimensions.insert(dimension.to_owned(), value.to_string());
        self
    }
}

/// The smallest count of people that may be shown.
pub const SMALLEST_SHOWN: u64 = 10;

/// A count of people: below [`SMALLEST_SHOWN`] it prints as `<10`, and its number cannot be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct People(u64);

impl People {
    /// Returns the count `n`.
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// Returns the number if it may be shown.
    pub const fn shown(self) -> Option<u64> {
        if self.0 >= SMALLEST_SHOWN { Some(self.0) } else { None }
    }
}

impl fmt::Display for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shown() {
            Some(n) => write!(f, "{n}"),
            None => write!(f, "<{SMALLEST_SHOWN}"),
        }
    }
}

impl fmt::Debug for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "People({self})")
    }
}

/// A part and its rest, suppressed together: showing one of them must not reveal the other.
///
/// `None` for both when either is from 1 to 9: a shown total and a shown rest would reveal the hidden part.
pub fn shown_parts(parts: &[u64]) -> Vec<Option<u64>> {
    let hidden = parts.iter().filter(|&&n| n < SMALLEST_SHOWN).count();
    let mut shown: Vec<Option<u64>> = parts.iter().map(|&n| People::new(n).shown()).collect();
    if hidden == 1 && parts.len() > 1 {
        // Complementary suppression: a single hidden cell could be computed from the total, so the next smallest is
        // hidden too.
        let next = (0..parts.len()).filter(|&i| shown[i].is_some()).min_by_key(|&i| (parts[i], i));
        if let Some(next) = next {
            shown[next] = None;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_count_of_people_cannot_be_printed() {
        assert_eq!(format!("{} {:?}", People::new(9), People::new(3)), "<10 People(<10)");
        assert_eq!(People::new(10).to_string(), "10");
    }

    #[test]
    fn one_hidden_part_takes_the_next_smallest_with_it() {
        assert_eq!(shown_parts(&[40, 3, 12]), vec![Some(40), None, None]);
        assert_eq!(shown_parts(&[40, 3, 4]), vec![Some(40), None, None]);
        assert_eq!(shown_parts(&[40, 12]), vec![Some(40), Some(12)]);
    }
}
