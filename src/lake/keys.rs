//! Every key of the lake is built here, and nowhere else.
//!
//! Two roots separate what may be read: `restricted/` holds rows about people, `published/` what stakeholders browse. A
//! key is made of names, dates and hashes, never of anything in a row.
//!
//! ```text
//! <dataset>/data/<part hash>.parquet · <dataset>/_manifests/<snapshot>.json · <dataset>/latest.json
//! <dataset>/_delta_log/<version>.json · restricted/staged/<sha256> · published/reports/<dag>/<date>/<file>
//! ```

use std::fmt;

use jiff::civil::Date;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{DagName, SnapshotId, TableName};

/// The folder of rows about people.
pub const RESTRICTED: &str = "restricted";
/// The folder that stakeholders browse.
pub const PUBLISHED: &str = "published";

/// A dataset: the folder of its parts and manifests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dataset(String);

/// A key that no reader of the lake may use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a key of the lake: keys begin with `restricted/` or `published/` and never go up (`..`)")]
pub struct KeyError(String);

impl Dataset {
    /// Returns the dataset of a source table.
    pub fn table(table: &TableName) -> Self {
        Self(format!("{RESTRICTED}/tables/{table}"))
    }

    /// Returns the dataset of a feature set.
    pub fn feature_set(set: &TableName) -> Self {
        Self(format!("{RESTRICTED}/features/{set}"))
    }

    /// Returns the dataset of a label.
    pub fn label(label: &TableName) -> Self {
        Self(format!("{RESTRICTED}/labels/{label}"))
    }

    /// Returns the dataset of a model's predictions.
    pub fn predictions(model: &TableName) -> Self {
        Self(format!("{RESTRICTED}/predictions/{model}"))
    }

    /// Returns the dataset of a table's rows that do not fit its contract.
    pub fn quarantine(table: &TableName) -> Self {
        Self(format!("{RESTRICTED}/quarantine/{table}"))
    }

    /// Returns the dataset of the rows of a table that wait because a rule holds them back.
    pub fn waiting(table: &TableName) -> Self {
        Self(format!("{RESTRICTED}/quarantine/{table}/waiting"))
    }

    /// Returns the dataset whose key is `text`, whole (`restricted/tables/users`).
    ///
    /// # Errors
    /// When it is not a key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        browsed(text).map(|path| Self(path.to_string()))
    }

    /// Whether it holds the predictions of a model.
    pub fn is_predictions(&self) -> bool {
        self.0.starts_with("restricted/predictions/")
    }

    /// Returns the dataset's key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the dataset's last name, such as `submissions`.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Returns the key of a part: `data/<hash>.parquet` below the dataset.
    pub fn part(&self, path: &str) -> Path {
        key(&format!("{}/{path}", self.0))
    }

    /// Returns the key of a manifest.
    pub fn manifest(&self, snapshot: &SnapshotId) -> Path {
        key(&format!("{}/_manifests/{snapshot}.json", self.0))
    }

    /// Returns the key of the pointer for outside readers.
    pub fn latest(&self) -> Path {
        key(&format!("{}/latest.json", self.0))
    }

    /// Returns the key of one commit of the Delta log, or of its folder.
    pub fn delta_log(&self, version: Option<u64>) -> Path {
        match version {
            Some(version) => key(&format!("{}/_delta_log/{version:020}.json", self.0)),
            None => key(&format!("{}/_delta_log", self.0)),
        }
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the source table whose dataset has the key `dataset`; `None` for features, labels and other datasets.
pub fn source_table(dataset: &str) -> Option<&str> {
    dataset.strip_prefix(RESTRICTED)?.strip_prefix("/tables/")
}

/// Returns the source table whose waiting rows are the dataset `dataset`; `None` for any other dataset.
pub fn waiting_table(dataset: &str) -> Option<&str> {
    dataset.strip_prefix(RESTRICTED)?.strip_prefix("/quarantine/")?.strip_suffix("/waiting")
}

/// Returns the path of a part below its dataset.
pub fn part_path(part_hash: &str) -> String {
    format!("data/{part_hash}.parquet")
}

/// Returns the folder in which an attempt's files stay until its commit.
pub fn staged_folder(attempt: &str) -> String {
    format!("{RESTRICTED}/staged/{attempt}")
}

/// Returns the staging key of a file in the first released form: all of them in one folder, named by their hashes.
pub(super) fn staged_by_hash(sha256: &str) -> String {
    format!("{RESTRICTED}/staged/{sha256}")
}

/// Returns the staging key of a file that will get the name `file` at its commit.
pub fn staged(attempt: &str, file: &str) -> Path {
    let name = &crate::domain::ids::content_hash(file.as_bytes())[..16];
    key(&format!("{}/{name}", staged_folder(attempt)))
}

/// Returns the folder of everything that attempts have staged.
pub fn all_staged() -> Path {
    key(&format!("{RESTRICTED}/staged"))
}

/// Returns the folder of objects that are written only to check whether a store keeps its promises.
pub(super) fn probes() -> Path {
    key(&format!("{RESTRICTED}/probes"))
}

/// Returns the key of such an object.
pub(super) fn probe(id: &str) -> Path {
    key(&format!("{RESTRICTED}/probes/{id}"))
}

/// Returns the key of a file of a model version.
pub fn model_file(model: &TableName, version: &str, file: &str) -> String {
    format!("{RESTRICTED}/models/{model}/{version}/{file}")
}

/// Returns the key of a published model card.
pub fn model_card(model: &TableName, file: &str) -> String {
    format!("{PUBLISHED}/models/{model}/{file}")
}

/// Returns the key of a file of the data dictionary.
pub fn dictionary_file(file: &str) -> String {
    format!("{PUBLISHED}/dictionary/{file}")
}

/// Returns the key of a file of a report.
pub fn report_file(dag: &DagName, date: Date, file: &str) -> String {
    format!("{}/{file}", report_folder(dag, date))
}

/// Returns the key of the folder of a report.
pub fn report_folder(dag: &DagName, date: Date) -> String {
    format!("{PUBLISHED}/reports/{dag}/{date}")
}

/// Returns the key of the page that lists a published folder.
pub fn folder_index(folder: &str) -> String {
    format!("{folder}/index.html")
}

/// Returns the key that a reader may browse.
///
/// # Errors
/// When it does not begin with one of the two roots, or contains `..`.
pub fn browsed(text: &str) -> Result<Path, KeyError> {
    let trimmed = text.trim_matches('/');
    let refused = || KeyError(text.to_owned());
    let root = trimmed.split('/').next().unwrap_or_default();
    if trimmed.split('/').any(|segment| segment == ".." || segment == ".") || ![RESTRICTED, PUBLISHED].contains(&root) {
        return Err(refused());
    }
    Path::parse(trimmed).map_err(|_| refused())
}

/// Returns the key that is stored as `text` in an outcome or a listing of this program.
pub(super) fn key(text: &str) -> Path {
    Path::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_cannot_leave_the_two_roots() {
        for bad in ["", "/etc/passwd", "restricted/../..", "published/./x", "other/x", ".."] {
            assert!(browsed(bad).is_err(), "{bad}");
        }
        assert_eq!(browsed("published/reports/").unwrap().as_ref(), "published/reports");
    }

    #[test]
    fn a_table_lies_below_the_restricted_root() {
        let dataset = Dataset::table(&"submissions".parse().unwrap());

        assert_eq!(dataset.part(&part_path("ab")).as_ref(), "restricted/tables/submissions/data/ab.parquet");
        assert_eq!(dataset.name(), "submissions");
    }
}
