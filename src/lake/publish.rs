//! Stage, verify, commit: how a snapshot is made.
//!
//! Parts and manifest are staged under names made of their content; nothing that exists is changed. `finish` reads back
//! what the store holds before it writes the manifest. The commit itself is the state store's transaction that records
//! the returned [`SnapshotRef`]; [`Lake::settle`] then brings the pointers for outside readers in line, and may be
//! called again at any time.

use std::collections::BTreeMap;

use bytes::Bytes;
use polars::prelude::*;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::keys::{self, Dataset};
use super::parts;
use super::store::{Lake, LakeError};
use crate::domain::ids::{SnapshotId, content_hash};
use crate::domain::lineage::{MANIFEST_VERSION, Manifest, ManifestColumn, Part};
use crate::domain::outcome::{FileRef, SnapshotRef};

/// A snapshot that is being made.
pub struct Staging<'a> {
    lake: &'a Lake,
    dataset: Dataset,
    schema: Vec<ManifestColumn>,
    parts: Vec<Part>,
}

/// What a manifest says besides its parts.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// The snapshots it was made from, `<dataset>@<snapshot>`.
    pub inputs: Vec<String>,
    /// The hash of the code and SQL that made it.
    pub code_hash: String,
    /// The id of the pseudonym key.
    pub privacy_key_id: Option<String>,
    /// Other facts by name.
    pub facts: BTreeMap<String, String>,
}

/// A staged snapshot, ready for the commit.
#[derive(Debug, Clone)]
pub struct Staged {
    /// Its manifest.
    pub manifest: Manifest,
    /// The reference by which an outcome names it.
    pub reference: SnapshotRef,
}

/// The pointer for outside readers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest {
    /// The current snapshot.
    pub snapshot: SnapshotId,
    /// The key of its manifest.
    pub manifest: String,
    /// Rows in all its parts.
    pub rows: u64,
}

impl<'a> Staging<'a> {
    /// Begins a snapshot of `dataset` whose parts have this schema.
    pub fn new(lake: &'a Lake, dataset: Dataset, schema: Vec<ManifestColumn>) -> Self {
        Self { lake, dataset, schema, parts: Vec::new() }
    }

    /// Replaces the schema, for a column that is new since the preceding snapshot.
    pub fn set_schema(&mut self, schema: Vec<ManifestColumn>) {
        self.schema = schema;
    }

    /// Stages a frame as a part.
    ///
    /// # Errors
    /// When it cannot be encoded or stored.
    pub async fn add(&mut self, mut frame: DataFrame, partition: BTreeMap<String, String>) -> Result<&Part, LakeError> {
        let rows = frame.height() as u64;
        let dataset = self.dataset.clone();
        let encoded = crate::telemetry::spawn_blocking(move || parts::encode(&dataset, &mut frame)).await?;
        let part = Part {
            path: keys::part_path(&encoded.part_hash),
            rows,
            size_bytes: encoded.bytes.len() as u64,
            sha256: encoded.sha256,
            partition,
            min_max: BTreeMap::new(),
        };
        self.lake.put_new(&self.dataset.part(&part.path), encoded.bytes.clone()).await?;
        self.verify(&part, &encoded.bytes).await?;
        self.parts.push(part);
        Ok(&self.parts[self.parts.len() - 1])
    }

    /// Keeps a part of an earlier snapshot.
    pub fn keep(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// Writes the manifest and returns what the commit records.
    ///
    /// # Errors
    /// When the manifest cannot be stored.
    pub async fn finish(mut self, provenance: Provenance) -> Result<Staged, LakeError> {
        let Provenance { mut inputs, code_hash, privacy_key_id, facts } = provenance;
        inputs.sort();
        inputs.dedup();
        self.parts.sort_by(|a, b| (&a.partition, &a.path).cmp(&(&b.partition, &b.path)));
        let manifest = Manifest {
            version: MANIFEST_VERSION,
            dataset: self.dataset.to_string(),
            schema: self.schema,
            parts: self.parts,
            inputs,
            code_hash,
            privacy_key_id,
            facts,
        };
        let snapshot = manifest.id();
        self.lake.put_new(&self.dataset.manifest(&snapshot), manifest.to_json().into()).await?;
        let reference = SnapshotRef {
            dataset: self.dataset.to_string(),
            snapshot,
            rows: manifest.rows(),
            size_bytes: manifest.size_bytes(),
            stale: false,
            inputs: manifest.inputs.clone(),
        };
        Ok(Staged { manifest, reference })
    }

    /// Checks what the store holds: the size, the footer as written, and that the footer states the number of rows.
    async fn verify(&self, part: &Part, written: &Bytes) -> Result<(), LakeError> {
        let wrong = |why: String| LakeError::Verify { dataset: self.dataset.to_string(), why };
        let key = self.dataset.part(&part.path);
        let size = self.lake.head(&key).await?.size;
        if size != part.size_bytes {
            return Err(wrong(format!("{size} bytes in place of {}", part.size_bytes)));
        }
        let footer = parts::footer_start(written);
        if self.lake.get_tail(&key, footer as u64).await? != written[footer..] {
            return Err(wrong("its footer is another".to_owned()));
        }
        let (rows, columns) = parts::read_footer(written).map_err(wrong)?;
        let named = self.schema.iter().map(|column| &column.name);
        if rows != part.rows || !named.eq(columns.iter()) {
            return Err(wrong(format!("its footer states {rows} rows of {} columns", columns.len())));
        }
        Ok(())
    }
}

impl Lake {
    /// Returns the manifest of a committed snapshot.
    ///
    /// # Errors
    /// When it is lost or does not parse.
    pub async fn manifest(&self, dataset: &Dataset, snapshot: &SnapshotId) -> Result<Manifest, LakeError> {
        let key = dataset.manifest(snapshot);
        let bytes = self.get(&key).await.map_err(|error| self.lost_if_gone(&key, error))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| LakeError::Unreadable { key: key.to_string(), why: error.to_string() })
    }

    /// Returns what `latest.json` of a dataset says; `None` if nothing was settled yet.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn latest(&self, dataset: &Dataset) -> Result<Option<Latest>, LakeError> {
        let key = dataset.latest();
        let Some(bytes) = self.get_if_there(&key).await? else { return Ok(None) };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| LakeError::Unreadable { key: key.to_string(), why: error.to_string() })
    }

    /// Brings the pointers of a committed snapshot in line: the Delta log, then `latest.json`. Does nothing if they
    /// are.
    ///
    /// # Errors
    /// When the store fails; calling again repairs it.
    pub async fn settle(&self, committed: &SnapshotRef) -> Result<(), LakeError> {
        let dataset = Dataset::parse(&committed.dataset)?;
        match self.latest(&dataset).await {
            Ok(Some(latest)) if latest.snapshot == committed.snapshot => return Ok(()),
            Ok(_) => {}
            // An unreadable pointer counts as missing: it is derived, and written again.
            Err(LakeError::Unreadable { key, why }) => {
                warn!(key, "A pointer was not readable ({why}); writing it again");
            }
            Err(error) => return Err(error),
        }
        let manifest = self.manifest(&dataset, &committed.snapshot).await?;
        super::delta::follow(self, &dataset, &manifest).await?;
        let latest = Latest {
            snapshot: committed.snapshot.clone(),
            manifest: dataset.manifest(&committed.snapshot).to_string(),
            rows: committed.rows,
        };
        let json = serde_json::to_vec_pretty(&latest)
            .map_err(|error| LakeError::Unreadable { key: dataset.latest().to_string(), why: error.to_string() })?;
        self.put_pointer(&dataset.latest(), json.into()).await
    }

    /// Stages a file that gets the name `key` after the commit, in the folder of its attempt.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn stage_file(&self, attempt: &str, key: String, bytes: Bytes) -> Result<FileRef, LakeError> {
        let staged = keys::staged(attempt, &key);
        let (sha256, size_bytes) = (content_hash(&bytes), bytes.len() as u64);
        self.put_pointer(&staged, bytes).await?;
        Ok(FileRef { key, sha256, size_bytes, staged: staged.to_string() })
    }

    /// Puts a committed file in place under its name, and removes its staged copy.
    ///
    /// # Errors
    /// When the store fails; calling again repairs it.
    pub async fn put_in_place(&self, file: &FileRef) -> Result<(), LakeError> {
        let key = keys::browsed(&file.key)?;
        // Files of the first released form are named by their hash, all in one folder.
        let staged = if file.staged.is_empty() { keys::staged_by_hash(&file.sha256) } else { file.staged.clone() };
        let staged = keys::browsed(&staged)?;
        if self.get_if_there(&key).await?.is_none_or(|there| content_hash(&there) != file.sha256) {
            let bytes = self.get(&staged).await?;
            self.put_pointer(&key, bytes).await?;
        }
        if file.staged.is_empty() { Ok(()) } else { self.remove(&staged).await }
    }

    /// Removes what an attempt has staged and not committed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_staged(&self, attempt: &str) -> Result<(), LakeError> {
        self.remove_all(&keys::browsed(&keys::staged_folder(attempt))?).await
    }
}
