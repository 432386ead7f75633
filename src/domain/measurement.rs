//! Measurements: the numbers a job makes, by name and dimension.
//!
//! Reports, alerts and comparisons between nights read measurements; they never parse messages. The state store keeps
//! them for years ([`PastMeasurement`]); a kind says which it reads ([`HistoryWanted`]).
//! A measurement never carries anything about one person; counts of people go through [`People`].

use std::collections::BTreeMap;
use std::fmt;

use jiff::Span;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::ids::JobName;

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

/// Which measurements of earlier nights a kind of job reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryWanted {
    /// Their names.
    pub names: &'static [&'static str],
    /// How many days back.
    pub days: u32,
}

impl HistoryWanted {
    /// Nothing.
    pub const NONE: Self = Self { names: &[], days: 0 };

    /// Returns the first date that is read for a night of the date `before`.
    pub fn from(&self, before: Date) -> Date {
        before.checked_sub(Span::new().days(self.days)).unwrap_or(Date::MIN)
    }
}

/// A measurement of an earlier night.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PastMeasurement {
    /// The logical date of the night.
    pub date: Date,
    /// The job that measured.
    pub job: JobName,
    /// What it measured.
    pub measurement: Measurement,
}

/// The smallest count of people that may be shown.
pub const SMALLEST_SHOWN: u64 = 10;

/// Counts of people are shown rounded to a multiple of this, as the United Kingdom's HESA rounds, so that neither the
/// parts of a table nor two nights can be subtracted to a person.
pub const ROUNDED_TO: u64 = 5;

/// A count of distinct people: below [`SMALLEST_SHOWN`] it prints as `<10`, otherwise rounded to [`ROUNDED_TO`]; its
/// exact number cannot be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct People(u64);

impl People {
    /// Returns the count `n`.
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// Returns the rounded number if it may be shown.
    pub const fn shown(self) -> Option<u64> {
        if self.0 < SMALLEST_SHOWN {
            return None;
        }
        Some((self.0 + ROUNDED_TO / 2) / ROUNDED_TO * ROUNDED_TO)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_count_of_people_cannot_be_printed() {
        assert_eq!(format!("{} {:?}", People::new(9), People::new(3)), "<10 People(<10)");
    }

    #[test]
    fn a_count_of_people_is_rounded_to_five() {
        let shown: Vec<Option<u64>> = [10, 12, 13, 17, 242].map(|n| People::new(n).shown()).to_vec();

        assert_eq!(shown, [Some(10), Some(10), Some(15), Some(15), Some(240)]);
    }
}
