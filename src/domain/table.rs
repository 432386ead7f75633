//! The contract of a source table: its keys, its columns, what is personal, and from when each value is visible.
//!
//! One contract serves every layer: `canvas` types and pseudonymises by it, the lake keys and partitions by it,
//! `features` reconstructs the past by it. A contract is a TOML file (`config/tables/<table>.toml`, or a table of the
//! configuration for what Canvas does not have) and refers to no library.
//!
//! Time columns hold instants in UTC with microseconds; a person's id is a pseudonym (text) wherever it occurs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::TableName;

/// The column that says when a row version became known: the delivery's own time.
pub const KNOWN_FROM: &str = "_known_from";
/// The column that says when a newer version became known; null while this one is current.
pub const KNOWN_TO: &str = "_known_to";
/// The column that holds a row's term (the partition of the tables), as text; `none` where a row has no term.
pub const TERM: &str = "_term";
/// The value in place of a grader that is a machine: Canvas gives those negative ids. It is not a pseudonym.
pub const AUTO_GRADER: &str = "auto";

/// The contract of one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableContract {
    /// The table's name.
    #[schemars(with = "String")]
    pub name: TableName,
    /// What a row is, in a sentence.
    pub about: String,
    /// The columns that make a row unique; never null.
    pub key: Vec<String>,
    /// How the term of a row, the partition of the table, is found.
    #[serde(default)]
    pub term: TermRule,
    /// The column whose time makes a row visible when history is reconstructed; a `date` column counts from the end of
    /// that day in UTC. Without it a row is always visible (it describes no event).
    #[serde(default)]
    pub visible_from: Option<String>,
    /// The columns, by name. A column that is in no contract is a schema change.
    pub columns: BTreeMap<String, ColumnContract>,
}

/// How the term of a row is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum TermRule {
    /// The table is not divided.
    #[default]
    None,
    /// The column holds the term's id.
    Term {
        /// The column.
        column: String,
    },
    /// The column holds a course's id.
    Course {
        /// The column.
        column: String,
    },
    /// The column holds an enrolment's id (a pseudonym).
    Enrollment {
        /// The column.
        column: String,
    },
}

/// One column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnContract {
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Whether a delivery without this column stops the table, and a row without a value is quarantined.
    #[serde(default)]
    pub required: bool,
    /// Whose id it is (`user`, `login`, `enrollment`, `submission` …): it becomes a pseudonym of that domain.
    #[serde(default)]
    pub person: Option<String>,
    /// Why the column is not kept (`name`, `free text`, `address` …): it is dropped on intake.
    #[serde(default)]
    pub dropped: Option<String>,
    /// In reconstructed history: the column whose time makes this value visible.
    #[serde(default)]
    pub visible_from: Option<String>,
    /// In reconstructed history: the value before that time (absent: null).
    #[serde(default)]
    pub before: Option<String>,
    /// The smallest and largest value that make sense; a value outside is a finding.
    #[serde(default)]
    pub range: Option<(f64, f64)>,
    /// The values that are known; any other is a schema change. Empty: any.
    #[serde(default)]
    pub values: Vec<String>,
    /// `table.column` that this id refers to.
    #[serde(default)]
    pub refers_to: Option<String>,
}

/// What a column holds, and how it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// A 64-bit id. A person's becomes text (a pseudonym).
    Id,
    /// A whole number, 64 bits.
    Int,
    /// A number, 64-bit float.
    Float,
    /// True or false.
    Bool,
    /// An instant, UTC microseconds.
    Timestamp,
    /// A calendar date.
    Date,
    /// Text.
    Text,
    /// A JSON value, kept as text.
    Json,
}

impl ColumnType {
    /// Returns the word for it, as in a contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl TableContract {
    /// Returns the columns that are kept, in order of their names.
    pub fn kept(&self) -> impl Iterator<Item = (&String, &ColumnContract)> {
        self.columns.iter().filter(|(_, column)| column.dropped.is_none())
    }

    /// Returns what is wrong with the contract itself, all at once; empty when nothing is.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut refers = |column: &str, from: &str| {
            if self.columns.get(column).is_none_or(|c| c.dropped.is_some()) {
                mistakes.push(format!("table `{}`: {from} names the column `{column}`, which is not kept", self.name));
            }
        };
        for key in &self.key {
            refers(key, "key");
        }
        match &self.term {
            TermRule::None => {}
            TermRule::Term { column } | TermRule::Course { column } | TermRule::Enrollment { column } => {
                refers(column, "term");
            }
        }
        if let Some(column) = &self.visible_from {
            refers(column, "visible_from");
        }
        for (name, column) in &self.columns {
            if let Some(from) = &column.visible_from {
                refers(from, &format!("`{name}`.visible_from"));
            }
        }
        if self.key.is_empty() {
            mistakes.push(format!("table `{}` has no key", self.name));
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_that_names_a_dropped_column_is_refused() {
        let contract: TableContract = toml::from_str(
            r#"
            name = "users"
            about = "A user."
            key = ["id", "login"]
            [columns]
            id = { type = "id", person = "user" }
            login = { type = "text", dropped = "login" }
            "#,
        )
        .unwrap();

        assert_eq!(contract.mistakes(), vec!["table `users`: key names the column `login`, which is not kept"]);
    }
}
