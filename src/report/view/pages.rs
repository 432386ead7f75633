//! The smaller pages of `published/`: the index of a folder, and a model's card.
//!
//! Both are static and self-contained: they open from a folder on disk and from object storage alike, make no requests,
//! and hold counts and figures only.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Basis, ModelView};

/// A folder of the lake, as a reader browses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderView {
    /// The folder's key, such as `published/reports/nightly`.
    pub path: String,
    /// What it holds, in a sentence; may be empty.
    pub about: String,
    /// Its entries; they are shown folders first, each sorted by name.
    pub entries: Vec<FolderEntry>,
}

impl FolderView {
    /// Returns a folder of `published/` with its entries and what each of them is.
    pub fn new(path: &str, entries: Vec<(String, Option<u64>)>) -> Self {
        let levels: Vec<&str> = path.trim_matches('/').split('/').skip(1).collect();
        let entries = entries.into_iter().map(|(name, size_bytes)| {
            let about = match (levels.as_slice(), name.as_str()) {
                ([], "reports") => "The report of each night",
                ([], "models") => "A card of each model: what it is for, how good it is, what it cannot do",
                ([], "dictionary") => "What each column of tables and features means",
                (["reports"], _) => "The reports of this DAG, by date",
                (["reports", _], _) => "The report of this night, its figures and charts",
                (["models"], _) => "The card of this model",
                _ => "",
            };
            FolderEntry { name, size_bytes, about: about.to_owned() }
        });
        let about = match levels.as_slice() {
            [] => "What stakeholders may read. Counts of people are rounded to 5 and shown from 10 on.",
            ["reports"] => "The reports of every DAG.",
            ["reports", _] => "The reports of this DAG, one for each night.",
            ["models"] => "The models in use.",
            _ => "",
        };
        Self { path: path.to_owned(), about: about.to_owned(), entries: entries.collect() }
    }
}

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderEntry {
    /// Its name, without slashes.
    pub name: String,
    /// Its bytes; `None` for a folder.
    pub size_bytes: Option<u64>,
    /// What it is, in a few words; may be empty.
    pub about: String,
}

/// What everybody should know about a model before using its figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCardView {
    /// Whose model it is.
    pub institution: String,
    /// The logical date of the training.
    pub logical_date: Date,
    /// Whether the students are invented.
    pub is_simulation: bool,
    /// The model and its figures.
    pub model: ModelView,
    /// What it is for: sentences.
    pub intended_use: Vec<String>,
    /// What it must not be used for: sentences.
    pub forbidden_use: Vec<String>,
    /// Whom it learned from and scores, in words.
    pub population: String,
    /// What it predicts, exactly, in words.
    pub label: String,
    /// From what it learned, in words: terms, rows, cut-off.
    pub training_data: String,
    /// Whether the training rows are as known or reconstructed.
    pub training_basis: Basis,
    /// From which score a student is flagged, 0 to 1.
    pub flag_from: f64,
    /// The features it relies on most.
    pub features: Vec<ReasonFeature>,
    /// Other figures, in order: name and value, such as `Brier score` and `0.142`.
    pub figures: Vec<(String, String)>,
    /// What it cannot do, and where it is weak: sentences.
    pub limits: Vec<String>,
    /// The command that makes it again, byte for byte.
    pub reproduce: String,
}

/// A feature and how much the model relies on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReasonFeature {
    /// The feature's name.
    pub feature: String,
    /// What it means.
    pub label: String,
    /// The share of the model's importance, 0 to 1.
    pub importance: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_says_what_it_holds() {
        let about = |path: &str, name: &str| {
            let folder = FolderView::new(path, vec![(name.to_owned(), None)]);
            (folder.about.is_empty(), folder.entries[0].about.clone())
        };

        assert_eq!(about("published", "dictionary").1, "What each column of tables and features means");
        assert_eq!(about("published/reports", "nightly").1, "The reports of this DAG, by date");
        assert_eq!(
            about("published/reports/nightly", "2026-11-20").1,
            "The report of this night, its figures and charts"
        );
        assert_eq!(about("published/models", "at_risk").1, "The card of this model");
        for path in ["published", "published/reports", "published/reports/nightly", "published/models"] {
            assert!(!about(path, "x").0, "{path}");
        }
    }
}
