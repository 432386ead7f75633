//! Browsing the lake: the same answers on a folder, in memory and on S3.
//!
//! Functions from keys to serialisable values; the command line prints them. Who may read `restricted/` is decided by
//! the store's own rules, not here.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::Serialize;

use super::keys::{self, Dataset};
use super::parts;
use super::store::{Lake, LakeError, Place};
use crate::domain::ids::{SnapshotId, content_hash};
use crate::domain::lineage::{Manifest, ManifestColumn};
use crate::telemetry::progress;

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its name; a folder's ends with `/`.
    pub name: String,
    /// Bytes; for a folder, of everything below it.
    pub size_bytes: u64,
    /// Objects below it; 1 for an object.
    pub objects: u64,
}

/// What is known of a dataset's snapshot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stat {
    /// The dataset.
    pub dataset: String,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Rows in all its parts.
    pub rows: u64,
    /// Bytes in all its parts.
    pub size_bytes: u64,
    /// Parts.
    pub parts: usize,
    /// Its columns.
    pub schema: Vec<ManifestColumn>,
    /// The snapshots it was made from.
    pub inputs: Vec<String>,
    /// Other facts.
    pub facts: BTreeMap<String, String>,
}

/// A line of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TreeEntry {
    /// Its path inside the folder.
    pub path: String,
    /// Bytes of an object; `None` for a folder.
    pub size_bytes: Option<u64>,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Datasets looked at.
    pub datasets: usize,
    /// Parts read and hashed.
    pub parts: usize,
    /// What is wrong, by key.
    pub wrong: BTreeMap<String, String>,
}

impl Lake {
    /// Returns what is directly below a folder.
    ///
    /// # Errors
    /// When it cannot be listed, or there is nothing in it.
    pub async fn ls(&self, folder: &str) -> Result<Vec<Entry>, LakeError> {
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for (inside, size) in self.below(folder).await? {
            let name = match inside.split_once('/') {
                Some((folder, _)) => format!("{folder}/"),
                None => inside,
            };
            let entry = entries.entry(name.clone()).or_insert(Entry { name, size_bytes: 0, objects: 0 });
            entry.size_bytes += size;
            entry.objects += 1;
        }
        Ok(entries.into_values().collect())
    }

    /// Returns everything below a folder, `depth` levels deep, each folder before what is in it.
    ///
    /// # Errors
    /// When it cannot be listed, or there is nothing in it.
    pub async fn tree(&self, folder: &str, depth: usize) -> Result<Vec<TreeEntry>, LakeError> {
        let mut entries = Vec::new();
        let mut shown: BTreeSet<String> = BTreeSet::new();
        for (inside, size) in self.below(folder).await? {
            let segments: Vec<&str> = inside.split('/').collect();
            for level in 1..=segments.len().min(depth) {
                let path = segments[..level].join("/");
                if shown.insert(path.clone()) {
                    entries.push(TreeEntry { path, size_bytes: (level == segments.len()).then_some(size) });
                }
            }
        }
        Ok(entries)
    }

    /// Returns the bytes of an object.
    ///
    /// # Errors
    /// When the key is not one of the lake's, or the object does not exist.
    pub async fn get_browsed(&self, key: &str) -> Result<Bytes, LakeError> {
        self.get(&keys::browsed(key)?).await
    }

    /// Returns the manifest of a dataset: of the snapshot given, or of the current one.
    ///
    /// # Errors
    /// When the dataset does not exist.
    pub async fn manifest_of(&self, dataset: &Dataset, snapshot: Option<&SnapshotId>) -> Result<Manifest, LakeError> {
        if let Some(snapshot) = snapshot {
            let manifest = self.manifest(dataset, snapshot).await;
            let absent = || LakeError::NoSnapshot { dataset: dataset.to_string(), snapshot: snapshot.clone() };
            return manifest.map_err(|error| if error.is_not_found() { absent() } else { error });
        }
        let latest = self.latest(dataset).await?;
        let latest = latest.ok_or_else(|| LakeError::NoDataset { dataset: dataset.to_string() })?;
        self.manifest(dataset, &latest.snapshot).await
    }

    /// Returns what is known of a dataset.
    ///
    /// # Errors
    /// When the dataset does not exist.
    pub async fn stat(&self, dataset: &Dataset, snapshot: Option<&SnapshotId>) -> Result<Stat, LakeError> {
        let manifest = self.manifest_of(dataset, snapshot).await?;
        Ok(Stat {
            dataset: dataset.to_string(),
            snapshot: manifest.id(),
            rows: manifest.rows(),
            size_bytes: manifest.size_bytes(),
            parts: manifest.parts.len(),
            schema: manifest.schema.clone(),
            inputs: manifest.inputs.clone(),
            facts: manifest.facts,
        })
    }

    /// Returns the first `rows` rows of a dataset.
    ///
    /// # Errors
    /// When the dataset does not exist or cannot be read.
    pub async fn head_rows(&self, dataset: &Dataset, rows: u32) -> Result<polars::prelude::DataFrame, LakeError> {
        let manifest = self.manifest_of(dataset, None).await?;
        let paths = self.local_parts(dataset, &manifest.parts).await?;
        let name = dataset.to_string();
        crate::telemetry::spawn_blocking(move || parts::scan(&paths).and_then(|frame| frame.limit(rows).collect()))
            .await
            .map_err(|cause| LakeError::Part { operation: "reading", dataset: name, cause })
    }

    /// Returns the exact list of a snapshot's parts, as an outside reader opens them.
    ///
    /// # Errors
    /// When the dataset does not exist.
    pub async fn files(&self, dataset: &Dataset, snapshot: Option<&SnapshotId>) -> Result<Vec<String>, LakeError> {
        let manifest = self.manifest_of(dataset, snapshot).await?;
        Ok(manifest.parts.iter().map(|part| self.outside_path(&dataset.part(&part.path))).collect())
    }

    /// Reads every part that the current manifests below `folder` name, and compares size and hash.
    ///
    /// # Errors
    /// When the lake cannot be listed.
    pub async fn verify(&self, folder: &str) -> Result<Verified, LakeError> {
        let prefix = keys::browsed(folder)?;
        let mut verified = Verified { datasets: 0, parts: 0, wrong: BTreeMap::new() };
        let mut parts = Vec::new();
        for object in self.list(&prefix).await? {
            let Some(dataset) = object.location.as_ref().strip_suffix("/latest.json") else { continue };
            let dataset = Dataset::parse(dataset)?;
            verified.datasets += 1;
            let manifest = match self.manifest_of(&dataset, None).await {
                Ok(manifest) => manifest,
                Err(error) => {
                    verified.wrong.insert(dataset.to_string(), error.to_string());
                    continue;
                }
            };
            parts.extend(manifest.parts.into_iter().map(|part| (dataset.part(&part.path), part.sha256)));
        }
        for (key, sha256) in &parts {
            progress::report("parts", verified.parts as u64, Some(parts.len() as u64));
            verified.parts += 1;
            let wrong = match self.get(key).await {
                Ok(bytes) if content_hash(&bytes) == *sha256 => continue,
                Ok(_) => "its bytes are not those of the manifest".to_owned(),
                Err(error) => error.to_string(),
            };
            verified.wrong.insert(key.to_string(), wrong);
        }
        if verified.parts == 0 {
            verified.wrong.insert(folder.to_owned(), "there is nothing to verify below it".to_owned());
        }
        Ok(verified)
    }

    /// The objects below a folder: path inside it and size, sorted.
    async fn below(&self, folder: &str) -> Result<Vec<(String, u64)>, LakeError> {
        let prefix = if folder.trim_matches('/').is_empty() { keys::key("") } else { keys::browsed(folder)? };
        let objects = self.list(&prefix).await?;
        if objects.is_empty() {
            return Err(LakeError::NothingBelow { folder: folder.to_owned(), url: self.url().to_owned() });
        }
        let cut = if prefix.as_ref().is_empty() { 0 } else { prefix.as_ref().len() + 1 };
        Ok(objects
            .into_iter()
            .map(|object| (object.location.as_ref().get(cut..).unwrap_or_default().to_owned(), object.size))
            .filter(|(inside, _)| !inside.is_empty())
            .collect())
    }

    /// The path or URL under which an outside reader opens an object.
    fn outside_path(&self, key: &object_store::path::Path) -> String {
        match self.place() {
            Place::Folder(folder) => folder.join(key.as_ref()).display().to_string(),
            Place::Memory => format!("memory://{key}"),
            Place::Remote(url) => format!("{url}/{key}"),
        }
    }
}
