//! Local copies of parts, because polars reads local files only.
//!
//! In a local lake a part is read in place. Elsewhere it is copied to scratch once, checked against its hash and kept
//! there under its name; the oldest copies are removed when the cache outgrows its limit. Two processes may ask for the
//! same part at once: each writes a temporary file and renames it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use polars::prelude::LazyFrame;

use super::keys::Dataset;
use super::parts::scan;
use super::store::{Lake, LakeError, Place};
use super::versions;
use crate::domain::ids::content_hash;
use crate::domain::lineage::{Manifest, Part};

/// How much the cache may hold before the oldest copies are removed.
const CACHE_BYTES: u64 = 20 * 1024 * 1024 * 1024;

impl Lake {
    /// Returns local paths of these parts, in their order.
    ///
    /// # Errors
    /// When a part cannot be read or is not what its manifest says.
    pub async fn local_parts(&self, dataset: &Dataset, parts: &[Part]) -> Result<Vec<PathBuf>, LakeError> {
        let mut paths = Vec::with_capacity(parts.len());
        for part in parts {
            paths.push(self.local_part(dataset, part).await?);
        }
        Ok(paths)
    }

    /// Returns the rows of these parts, in their order; `None` if there are no parts.
    ///
    /// # Errors
    /// When a part cannot be read or is not what its manifest says.
    pub async fn rows(&self, dataset: &Dataset, parts: &[Part]) -> Result<Option<LazyFrame>, LakeError> {
        if parts.is_empty() {
            return Ok(None);
        }
        let paths = self.local_parts(dataset, parts).await?;
        let read = scan(&paths);
        let failed = |cause| LakeError::Part { operation: "reading", dataset: dataset.to_string(), cause };
        read.map(Some).map_err(failed)
    }

    /// Returns the current rows of a table in the snapshot `manifest`; `None` if it has none.
    ///
    /// # Errors
    /// When a part cannot be read or is not what the manifest says.
    pub async fn current_rows(&self, dataset: &Dataset, manifest: &Manifest) -> Result<Option<LazyFrame>, LakeError> {
        let parts: Vec<Part> = versions::current_parts(manifest).cloned().collect();
        self.rows(dataset, &parts).await
    }

    async fn local_part(&self, dataset: &Dataset, part: &Part) -> Result<PathBuf, LakeError> {
        let key = dataset.part(&part.path);
        if let Place::Folder(folder) = self.place() {
            let path = folder.join(key.as_ref());
            if !path.is_file() {
                // polars' own error names neither the lake nor a way out; `head` returns the store's own error.
                self.head(&key).await.map_err(|error| self.lost_if_gone(&key, error))?;
            }
            return Ok(path);
        }
        let path = self.scratch().join("parts").join(format!("{}.parquet", part.sha256));
        if path.is_file() {
            return Ok(path);
        }
        let bytes = self.get(&key).await.map_err(|error| self.lost_if_gone(&key, error))?;
        if content_hash(&bytes) != part.sha256 {
            return Err(LakeError::Changed { key: key.to_string() });
        }
        write_aside(&path, &bytes)?;
        make_room(&self.scratch().join("parts"), &path)?;
        Ok(path)
    }
}

/// Writes a file so that it is complete or does not exist.
pub(super) fn write_aside(path: &Path, bytes: &Bytes) -> Result<(), LakeError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let failed =
        |operation: &'static str| move |cause| LakeError::Local { operation, path: path.display().to_string(), cause };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed("making the folder of"))?;
    }
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let aside = path.with_extension(format!("{}-{count}.part", std::process::id()));
    std::fs::write(&aside, bytes).map_err(failed("writing"))?;
    std::fs::rename(&aside, path).map_err(failed("renaming"))
}

/// Removes the oldest copies until the cache is within its limit; the newest stays.
fn make_room(folder: &Path, newest: &Path) -> Result<(), LakeError> {
    let failed = |cause| LakeError::Local { operation: "listing", path: folder.display().to_string(), cause };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // A file may disappear in the meantime: another process makes room too.
        if let Ok(meta) = entry.metadata() {
            files.push((meta.modified().ok(), entry.path(), meta.len()));
        }
    }
    let mut total: u64 = files.iter().map(|(_, _, size)| size).sum();
    files.sort();
    for (_, path, size) in files {
        if total <= CACHE_BYTES {
            break;
        }
        if path != newest && std::fs::remove_file(&path).is_ok() {
            total -= size;
        }
    }
    Ok(())
}
