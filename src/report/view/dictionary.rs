//! The data dictionary: what each published sheet, each feature and each column of a table is, as an analyst looks it up.
//!
//! Made from the contracts that the program itself obeys, so that it cannot say otherwise. It describes columns and holds
//! no row.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The data dictionary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DictionaryView {
    /// Whose data they are.
    pub institution: String,
    /// What may be browsed in `published/`: the sheets of each report.
    pub sheets: Vec<DictionaryTable>,
    /// The feature sets and labels, in `restricted/`.
    pub features: Vec<DictionaryTable>,
    /// The tables, in `restricted/`.
    pub tables: Vec<DictionaryTable>,
}

/// A table of the dictionary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DictionaryTable {
    /// Its name.
    pub name: String,
    /// What a row is, in a sentence.
    pub about: String,
    /// The columns that make a row unique.
    pub key: Vec<String>,
    /// Who answers for it, where it says.
    pub owner: Option<String>,
    /// The version of its definition, where it has one.
    pub version: Option<u32>,
    /// Its columns.
    pub columns: Vec<DictionaryColumn>,
}

/// A column of the dictionary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DictionaryColumn {
    /// Its name.
    pub name: String,
    /// What it holds, such as `text`, `number`, `date`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it means, in a sentence; empty where nothing says.
    pub about: String,
    /// Its unit, where it has one.
    pub unit: Option<String>,
    /// What is done for privacy, and other things to know, in a few words.
    pub notes: Vec<String>,
}

impl DictionaryView {
    /// Returns an invented dictionary, with which the template is checked.
    pub fn sample() -> Self {
        let column = |name: &str, kind: &str, about: &str, unit: Option<&str>, notes: &[&str]| DictionaryColumn {
            name: name.to_owned(),
            kind: kind.to_owned(),
            about: about.to_owned(),
            unit: unit.map(str::to_owned),
            notes: notes.iter().map(|note| (*note).to_owned()).collect(),
        };
        let table = |name: &str, about: &str, columns| DictionaryTable {
            name: name.to_owned(),
            about: about.to_owned(),
            key: vec!["enrollment_id".to_owned()],
            owner: Some("learning-analytics".to_owned()),
            version: Some(1),
            columns,
        };
        Self {
            institution: "Riverbend University".to_owned(),
            sheets: vec![table(
                "support",
                "A group of a term.",
                vec![column("flagged", "int", "Students.", None, &[])],
            )],
            features: vec![table(
                "engagement",
                "An enrolment at a cut-off.",
                vec![column("views", "int", "Pages viewed.", Some("views"), &["actionable"])],
            )],
            tables: vec![table("users", "A person.", vec![column("id", "text", "", None, &["a pseudonym (user)"])])],
        }
    }
}
