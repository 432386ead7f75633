//! Whether the lake holds what the state store says is current.
//!
//! State and lake are backed up separately, and each can be lost or set back without the other. [`Lake::agreement`]
//! looks for the manifest of every current snapshot and for the parts that it names, by key and size; it does not read
//! parts (that is left to [`Lake::verify`]). There is one advice for everything that is missing, because it has one
//! cause.

use std::collections::BTreeMap;

use serde::Serialize;

use super::keys::{self, Dataset};
use super::store::{ADVICE, Lake, LakeError};
use crate::domain::lineage::Manifest;
use crate::domain::outcome::SnapshotRef;

/// What was looked for, and what is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// Current snapshots that were looked for.
    pub datasets: usize,
    /// Parts that were looked for.
    pub parts: usize,
    /// What is missing or not as it should be, by key.
    pub missing: BTreeMap<String, String>,
}

impl Agreement {
    /// Returns whether everything is there.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Returns what is missing and what to do, in one sentence.
    pub fn advice(&self, url: &str) -> String {
        let (count, first) = (self.missing.len(), self.missing.keys().next().map_or("", String::as_str));
        let others = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
        format!("the lake at {url} does not hold what the state store says is current: `{first}`{others}; {ADVICE}")
    }
}

impl Lake {
    /// Checks whether every snapshot of `current` is in the lake.
    ///
    /// # Errors
    /// When the store fails; a missing object is a result, not an error.
    pub async fn agreement(&self, current: impl IntoIterator<Item = &SnapshotRef>) -> Result<Agreement, LakeError> {
        let mut agreement = Agreement::default();
        for snapshot in current {
            let dataset = Dataset::parse(&snapshot.dataset)?;
            agreement.datasets += 1;
            match self.manifest(&dataset, &snapshot.snapshot).await {
                Ok(manifest) => {
                    agreement.parts += manifest.parts.len();
                    let listed = self.list(&keys::key(dataset.as_str())).await?;
                    let sizes = listed.into_iter().map(|object| (object.location.to_string(), object.size)).collect();
                    agreement.missing.extend(parts_missing(&dataset, &manifest, &sizes));
                }
                Err(error) => agreement.note(dataset.manifest(&snapshot.snapshot).to_string(), error)?,
            }
        }
        Ok(agreement)
    }
}

impl Agreement {
    /// Notes an error that says something about this object; returns one about the store.
    fn note(&mut self, key: String, error: LakeError) -> Result<(), LakeError> {
        let why = match error {
            error if error.is_not_found() => "it is not there".to_owned(),
            LakeError::Unreadable { why, .. } => format!("it is not readable: {why}"),
            error => return Err(error),
        };
        self.missing.insert(key, why);
        Ok(())
    }
}

/// Returns the parts of a manifest that are missing from `sizes` or have another size, and why.
fn parts_missing(
    dataset: &Dataset,
    manifest: &Manifest,
    sizes: &BTreeMap<String, u64>,
) -> impl Iterator<Item = (String, String)> {
    manifest.parts.iter().filter_map(|part| {
        let key = dataset.part(&part.path).to_string();
        let why = match sizes.get(&key) {
            Some(size) if *size == part.size_bytes => return None,
            Some(size) => format!("it has {size} bytes in place of {}", part.size_bytes),
            None => "it is not there".to_owned(),
        };
        Some((key, why))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sentence_tells_what_is_missing_and_what_to_do() {
        let missing = ["restricted/tables/a", "restricted/tables/b"].map(|key| (key.to_owned(), "gone".to_owned()));
        let agreement = Agreement { datasets: 2, parts: 0, missing: missing.into() };

        let advice = agreement.advice("var/lake");

        assert!(advice.contains("`restricted/tables/a` and 1 more; restore the lake"), "{advice}");
        assert!(!agreement.is_complete());
    }
}
