//! Frames become matrices: rows with their keys, features as columns of numbers, gaps filled and marked.
//!
//! smartcore cannot handle a NaN, so no matrix returned from here contains one: a gap becomes the median of the
//! training rows, and every feature with gaps gets an indicator beside it. What is learnt (medians, means, deviations)
//! is kept with the model. Rows keep the order of the frame, which is that of its key.

use std::collections::HashMap;

use polars::prelude::*;
use serde::{Deserialize, Serialize};

use crate::domain::ids::content_hash;

/// Rows of examples: keys, labels where known, and features with NaN for gaps.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// The enrolment (a pseudonym).
    pub enrollment: Vec<String>,
    /// The student (a pseudonym); empty where the examples do not say.
    pub person: Vec<String>,
    /// The course.
    pub course: Vec<i64>,
    /// The term.
    pub term: Vec<String>,
    /// The course week.
    pub week: Vec<i64>,
    /// The cutoff, microseconds UTC.
    pub as_of: Vec<i64>,
    /// The label, where it is known.
    pub label: Vec<Option<f64>>,
    /// When the label became known, microseconds UTC.
    pub known_at: Vec<Option<i64>>,
    /// The features' names.
    pub features: Vec<String>,
    /// The features' values, column by column.
    pub values: Vec<Vec<f64>>,
}

/// Examples that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// polars could not give a column.
    #[error("reading the column `{column}` of the examples")]
    Column {
        /// The column.
        column: String,
        /// The cause.
        #[source]
        cause: PolarsError,
    },
    /// A number is infinite after filling the gaps.
    #[error("the feature `{feature}` has a value that is not a finite number: look at its SQL")]
    NotFinite {
        /// The feature.
        feature: String,
    },
}

impl Rows {
    /// Reads a frame: key columns, `features`, and (where there) the label and its `known_at`.
    ///
    /// # Errors
    /// When a column is missing or of another type.
    pub fn of(frame: &DataFrame, features: &[String], label: &str) -> Result<Self, DatasetError> {
        let failed = |column: &str| {
            let column = column.to_owned();
            move |cause| DatasetError::Column { column, cause }
        };
        let text = |name: &str| -> PolarsResult<Vec<String>> {
            Ok(frame.column(name)?.str()?.iter().map(|v| v.unwrap_or_default().to_owned()).collect())
        };
        let whole = |name: &str| -> PolarsResult<Vec<Option<i64>>> {
            Ok(frame.column(name)?.cast(&DataType::Int64)?.i64()?.iter().collect())
        };
        let number = |name: &str| -> PolarsResult<Vec<Option<f64>>> {
            Ok(frame.column(name)?.cast(&DataType::Float64)?.f64()?.iter().collect())
        };
        let n = frame.height();
        let has_label = frame.schema().contains(label);
        let mut rows = Self {
            enrollment: text("enrollment_id").map_err(failed("enrollment_id"))?,
            person: if frame.schema().contains("user_id") {
                text("user_id").map_err(failed("user_id"))?
            } else {
                Vec::new()
            },
            course: whole("course_id")
                .map_err(failed("course_id"))?
                .into_iter()
                .map(Option::unwrap_or_default)
                .collect(),
            term: text("term").map_err(failed("term"))?,
            week: whole("course_week")
                .map_err(failed("course_week"))?
                .into_iter()
                .map(Option::unwrap_or_default)
                .collect(),
            as_of: whole("as_of").map_err(failed("as_of"))?.into_iter().map(Option::unwrap_or_default).collect(),
            label: if has_label { number(label).map_err(failed(label))? } else { vec![None; n] },
            known_at: if has_label { whole("known_at").map_err(failed("known_at"))? } else { vec![None; n] },
            features: features.to_vec(),
            values: Vec::with_capacity(features.len()),
        };
        for feature in features {
            let values = number(feature).map_err(failed(feature))?;
            rows.values.push(values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect());
        }
        Ok(rows)
    }

    /// Returns how many rows there are.
    pub fn len(&self) -> usize {
        self.enrollment.len()
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.enrollment.is_empty()
    }

    /// Returns the rows at these places.
    pub fn at(&self, places: &[usize]) -> Self {
        fn pick<T: Clone>(from: &[T], places: &[usize]) -> Vec<T> {
            places.iter().map(|&place| from[place].clone()).collect()
        }
        Self {
            enrollment: pick(&self.enrollment, places),
            person: if self.person.is_empty() { Vec::new() } else { pick(&self.person, places) },
            course: pick(&self.course, places),
            term: pick(&self.term, places),
            week: pick(&self.week, places),
            as_of: pick(&self.as_of, places),
            label: pick(&self.label, places),
            known_at: pick(&self.known_at, places),
            features: self.features.clone(),
            values: self.values.iter().map(|column| pick(column, places)).collect(),
        }
    }

    /// Returns at most `most` rows, drawn by a hash of their key and `seed`, in their original order.
    pub fn drawn(&self, most: usize, seed: u64) -> Self {
        if self.len() <= most {
            return self.clone();
        }
        let mut ranked: Vec<(String, usize)> = (0..self.len())
            .map(|row| (content_hash(format!("{seed}/{}/{}", self.enrollment[row], self.as_of[row]).as_bytes()), row))
            .collect();
        ranked.sort();
        let mut places: Vec<usize> = ranked.into_iter().take(most).map(|(_, row)| row).collect();
        places.sort_unstable();
        self.at(&places)
    }

    /// Returns whose each row is, as a number for each student. Where the examples do not say, each enrolment counts as a
    /// student.
    pub fn students(&self) -> Vec<usize> {
        let names = if self.person.len() == self.len() { &self.person } else { &self.enrollment };
        let mut numbers = HashMap::new();
        names
            .iter()
            .map(|name| {
                let next = numbers.len();
                *numbers.entry(name.as_str()).or_insert(next)
            })
            .collect()
    }

    /// Returns the labels; unknown ones are 0, and the caller must leave them out.
    pub fn labels(&self) -> Vec<f64> {
        self.label.iter().map(|label| label.unwrap_or(0.0)).collect()
    }
}

/// How a feature's gaps are filled and its values standardised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preparation {
    columns: Vec<PreparedColumn>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PreparedColumn {
    feature: String,
    median: f64,
    has_gaps: bool,
    mean: f64,
    deviation: f64,
}

/// A matrix without gaps, column by column.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// The columns' names; an indicator's ends in ` is missing`.
    pub names: Vec<String>,
    /// The columns.
    pub columns: Vec<Vec<f64>>,
}

impl Preparation {
    /// Learns from training rows.
    pub fn learn(rows: &Rows) -> Self {
        let columns = rows.features.iter().zip(&rows.values).map(|(feature, values)| {
            let mut known: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
            known.sort_by(f64::total_cmp);
            let median = if known.is_empty() { 0.0 } else { known[known.len() / 2] };
            let n = values.len().max(1) as f64;
            let filled = |value: &f64| if value.is_finite() { *value } else { median };
            let mean = values.iter().map(filled).sum::<f64>() / n;
            let variance = values.iter().map(|value| (filled(value) - mean).powi(2)).sum::<f64>() / n;
            PreparedColumn {
                feature: feature.clone(),
                median,
                has_gaps: known.len() < values.len(),
                mean,
                deviation: variance.sqrt(),
            }
        });
        Self { columns: columns.collect() }
    }

    /// Returns the rows' matrix: gaps filled, an indicator beside each feature that had gaps, all columns standardised.
    ///
    /// # Errors
    /// When a value is not finite.
    pub fn apply(&self, rows: &Rows) -> Result<Matrix, DatasetError> {
        let mut matrix = Matrix { names: Vec::new(), columns: Vec::new() };
        for column in &self.columns {
            let place = rows.features.iter().position(|feature| *feature == column.feature);
            let missing = vec![f64::NAN; rows.len()];
            let values = place.map_or(&missing, |place| &rows.values[place]);
            let scaled = values.iter().map(|value| {
                let filled = if value.is_nan() { column.median } else { *value };
                // A constant column carries no information and is zero, whatever comes later.
                if column.deviation > 0.0 { (filled - column.mean) / column.deviation } else { 0.0 }
            });
            let scaled: Vec<f64> = scaled.collect();
            if scaled.iter().any(|value| !value.is_finite()) {
                return Err(DatasetError::NotFinite { feature: column.feature.clone() });
            }
            matrix.names.push(column.feature.clone());
            matrix.columns.push(scaled);
            if column.has_gaps {
                matrix.names.push(format!("{} is missing", column.feature));
                matrix.columns.push(values.iter().map(|value| if value.is_nan() { 1.0 } else { 0.0 }).collect());
            }
        }
        Ok(matrix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: Vec<f64>) -> Rows {
        let n = values.len();
        Rows {
            enrollment: (0..n).map(|i| i.to_string()).collect(),
            person: Vec::new(),
            course: vec![1; n],
            term: vec!["1".to_owned(); n],
            week: vec![2; n],
            as_of: vec![0; n],
            label: vec![None; n],
            known_at: vec![None; n],
            features: vec!["x".to_owned()],
            values: vec![values],
        }
    }

    #[test]
    fn a_gap_becomes_the_median_and_is_said() {
        let rows = rows(vec![1.0, f64::NAN, 3.0, 5.0]);

        let matrix = Preparation::learn(&rows).apply(&rows).unwrap();

        assert_eq!(matrix.names, ["x", "x is missing"]);
        assert_eq!(matrix.columns[1], [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(matrix.columns[0][1], matrix.columns[0][2]);
    }

    #[test]
    fn a_constant_column_is_zero_whatever_comes_later() {
        let preparation = Preparation::learn(&rows(vec![2.0, 2.0]));

        assert_eq!(preparation.apply(&rows(vec![9.0])).unwrap().columns[0], [0.0]);
    }

    #[test]
    fn the_same_rows_are_drawn_every_time() {
        let rows = rows((0..100).map(f64::from).collect());

        assert_eq!(rows.drawn(10, 7).enrollment, rows.drawn(10, 7).enrollment);
        assert_ne!(rows.drawn(10, 7).enrollment, rows.drawn(10, 8).enrollment);
    }
}
