//! The contract of a feature set or a label: what each column is, and what must hold of every partition.
//!
//! Checked twice: the contract itself when it is read (all mistakes at once), and each built frame against it. A breach
//! is an error, so a partition that breaks its contract is never published. Demographic columns are refused as
//! features: they are for the fairness audit, which reads them from their own table. A message may hold counts and
//! column names, never a value.

use std::collections::{BTreeMap, BTreeSet};

use polars::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::FeatureError;
use super::visible::utc;
use crate::domain::number;
use crate::domain::table::ColumnType;

/// The column that every partition carries: the instant of its cutoff.
pub(super) const AS_OF: &str = "as_of";

/// What a person is, not what a person does: never a feature.
const DEMOGRAPHIC: [&str; 18] = [
    "age",
    "age_band",
    "birth_date",
    "citizenship",
    "disability",
    "ethnicity",
    "first_generation",
    "gender",
    "highest_education",
    "imd_band",
    "income",
    "nationality",
    "pell",
    "pronouns",
    "race",
    "region",
    "religion",
    "sex",
];

/// The contract of one set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetContract {
    /// What a row is, in a sentence.
    pub grain: String,
    /// The columns that, with `as_of`, make a row unique; never null. Rows are sorted by them.
    pub key: Vec<String>,
    /// Who is responsible for the set.
    pub owner: String,
    /// Raised when a column changes its meaning.
    pub version: u32,
    /// What must be true of the number of rows.
    pub rows: RowRule,
    /// The column whose null rows are left out and counted (a label that nobody can know).
    #[serde(default)]
    pub leave_out_null: Option<String>,
    /// Numbers that the SQL names, with their defaults.
    #[serde(default)]
    pub params: BTreeMap<String, f64>,
    /// The columns, by name; `as_of` is added automatically.
    pub columns: BTreeMap<String, FeatureColumn>,
}

/// What must be true of the number of rows of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowRule {
    /// One row for each enrolment of the population.
    Population,
    /// Any number.
    Any,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeatureColumn {
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// What it means, in a sentence.
    pub about: String,
    /// The unit, such as `days`, `views`, `share`.
    #[serde(default)]
    pub unit: Option<String>,
    /// What a null means; without this, the column is never null.
    #[serde(default)]
    pub null_means: Option<String>,
    /// The smallest and largest possible value, given how the column is computed. Wrong values in the sources are for
    /// the quality checks, because a breach here stops the partition.
    #[serde(default)]
    pub range: Option<(f64, f64)>,
    /// What it moves with.
    pub class: CalendarClass,
    /// Whether a person could change it by acting now.
    #[serde(default)]
    pub actionable: bool,
    /// Whether it says what a person is; refused in feature sets.
    #[serde(default)]
    pub sensitive: bool,
    /// Who is responsible for it, where it is not the set's owner.
    #[serde(default)]
    pub owner: Option<String>,
}

/// What a column moves with: drift of a calendar column is the calendar's, not the students'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CalendarClass {
    /// It identifies the row and is not a feature.
    Key,
    /// The date.
    Calendar,
    /// What students do.
    Behaviour,
    /// Who the students are and what they did before.
    Population,
    /// What is to be predicted.
    Label,
}

impl SetContract {
    /// Returns the columns in the order of a partition: `as_of`, the key, the others by name.
    pub fn column_order(&self) -> Vec<&str> {
        let others = self.columns.keys().filter(|name| !self.key.contains(name));
        [AS_OF].into_iter().chain(self.key.iter().chain(others).map(String::as_str)).collect()
    }

    /// Returns the names of the columns that a model may use, sorted.
    pub fn features(&self) -> Vec<&str> {
        let is_feature = |column: &FeatureColumn| {
            !column.sensitive && !matches!(column.class, CalendarClass::Key | CalendarClass::Label)
        };
        self.columns.iter().filter(|(_, column)| is_feature(column)).map(|(name, _)| name.as_str()).collect()
    }

    /// Returns what is wrong with the contract itself, all at once.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.key.is_empty() {
            mistakes.push("`key` is empty: name the columns that make a row unique".to_owned());
        }
        for key in &self.key {
            match self.columns.get(key) {
                None => mistakes.push(format!("key column `{key}` is not among the columns")),
                Some(column) if column.null_means.is_some() || column.class != CalendarClass::Key => mistakes.push(
                    format!("key column `{key}` must have class = \"key\" and no `null_means`: it is never null"),
                ),
                Some(_) => {}
            }
        }
        if let Some(column) = self.leave_out_null.as_ref().filter(|column| !self.columns.contains_key(*column)) {
            mistakes.push(format!("`leave_out_null` names `{column}`, which is not among the columns"));
        }
        for (name, column) in &self.columns {
            if name == AS_OF {
                mistakes.push(format!("`{AS_OF}` comes by itself: leave it out"));
            }
            if column.sensitive || DEMOGRAPHIC.contains(&name.as_str()) {
                mistakes.push(format!(
                    "`{name}` says what a person is and may not be a column here: the fairness audit reads it from \
                     its own table"
                ));
            }
        }
        mistakes
    }

    /// Returns how `frame` breaks the contract; empty when it holds. `population` is the number of rows it must have.
    ///
    /// # Errors
    /// When a column cannot be examined.
    pub(super) fn breaches(
        &self,
        set: &str,
        as_of: &str,
        frame: &DataFrame,
        population: Option<usize>,
    ) -> Result<Vec<String>, FeatureError> {
        let failed = || FeatureError::compute(set, as_of);
        let mut breaches = self.shape_breaches(frame);
        if !breaches.is_empty() {
            return Ok(breaches);
        }
        for (name, column) in &self.columns {
            let values = frame.column(name).map_err(failed())?;
            let nulls = values.null_count();
            if column.null_means.is_none() && nulls > 0 {
                breaches.push(format!(
                    "`{name}` is never null by contract, but is in {nulls} of {}",
                    number::rows(frame.height() as u64)
                ));
            }
            if values.dtype() == &DataType::Float64 {
                let numbers = values.f64().map_err(failed())?;
                let wild = numbers.iter().flatten().filter(|number| !number.is_finite()).count();
                if wild > 0 {
                    breaches.push(format!("`{name}` is infinite or not a number in {}", number::rows(wild as u64)));
                }
            }
            if let Some((low, high)) = column.range {
                let numbers = values.cast(&DataType::Float64).map_err(failed())?;
                let numbers = numbers.f64().map_err(failed())?;
                let outside = numbers.iter().flatten().filter(|number| *number < low || *number > high).count();
                if outside > 0 {
                    breaches.push(format!("`{name}` lies outside {low} to {high} in {}", number::rows(outside as u64)));
                }
            }
        }
        let keys = frame.select(self.key.iter().map(String::as_str)).map_err(failed())?;
        let doubled = keys.is_duplicated().map_err(failed())?.sum().unwrap_or(0);
        if doubled > 0 {
            breaches.push(format!("{doubled} rows share their key ({}) with another", self.key.join(", ")));
        }
        if let Some(population) = population.filter(|population| *population != frame.height()) {
            breaches
                .push(format!("it has {} where the population has {population}", number::rows(frame.height() as u64)));
        }
        Ok(breaches)
    }

    fn shape_breaches(&self, frame: &DataFrame) -> Vec<String> {
        let found: BTreeMap<&str, &DataType> =
            frame.columns().iter().map(|column| (column.name().as_str(), column.dtype())).collect();
        let wanted: BTreeSet<&str> = self.columns.keys().map(String::as_str).collect();
        let mut breaches = Vec::new();
        for name in found.keys().filter(|name| !wanted.contains(*name)) {
            breaches.push(format!("the SQL gives a column `{name}` that the contract does not name"));
        }
        for (name, column) in &self.columns {
            let dtype = built_type(column.kind);
            match found.get(name.as_str()) {
                None => breaches.push(format!("the SQL gives no column `{name}`")),
                Some(other) if **other != dtype => {
                    breaches.push(format!("`{name}` is {other}, not {dtype}: CAST it in the SQL"));
                }
                Some(_) => {}
            }
        }
        breaches
    }
}

/// Returns the polars type in which a feature set keeps a column.
pub(super) fn built_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Id | ColumnType::Int => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Timestamp => utc(),
        ColumnType::Date => DataType::Date,
        ColumnType::Text | ColumnType::Json => DataType::String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_is_refused_with_all_its_mistakes() {
        let contract: SetContract = toml::from_str(
            r#"
            grain = "One row."
            key = ["enrollment_id", "course_id"]
            owner = "tests"
            version = 1
            rows = "any"
            leave_out_null = "label"
            [columns]
            as_of = { type = "timestamp", about = "The cutoff.", class = "key" }
            course_id = { type = "id", about = "The course.", class = "key", null_means = "no course" }
            gender = { type = "text", about = "The gender.", class = "population" }
            income_band = { type = "text", about = "The income.", class = "population", sensitive = true }
            "#,
        )
        .unwrap();

        insta::assert_snapshot!(contract.mistakes().join("\n"), @r#"
        key column `enrollment_id` is not among the columns
        key column `course_id` must have class = "key" and no `null_means`: it is never null
        `leave_out_null` names `label`, which is not among the columns
        `as_of` comes by itself: leave it out
        `gender` says what a person is and may not be a column here: the fairness audit reads it from its own table
        `income_band` says what a person is and may not be a column here: the fairness audit reads it from its own table
        "#);
    }

    #[test]
    fn keys_and_sensitive_columns_are_no_features() {
        let contract: SetContract = toml::from_str(include_str!("../../sql/features/engagement.toml")).unwrap();

        let features = contract.features();
        assert!(features.contains(&"views_7d_log1p") && features.contains(&"course_week"));
        assert!(!features.contains(&"enrollment_id") && !features.contains(&"term"));
    }
}
