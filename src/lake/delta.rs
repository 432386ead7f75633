//! The Delta log: the same parts, as Spark, DuckDB and polars read them without this program.
//!
//! One commit per settled snapshot, with `add` and `remove` actions for parts that stay in place. Protocol reader 1,
//! writer 2; no partition columns, because parts hold all their columns. The log is derived: it may be deleted and is
//! written again with the next snapshot; an unreadable one is started anew. Times in it are zero, so that the same
//! snapshots give the same log.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tracing::warn;

use super::keys::Dataset;
use super::store::{Lake, LakeError};
use crate::domain::lineage::{Manifest, ManifestColumn, Part};

/// How often to try again after another writer has taken a version.
const MOST_RIVALS: u32 = 5;

/// Adds the commit that brings the log in line with `manifest`, unless it is already.
///
/// # Errors
/// When the store fails.
pub(super) async fn follow(lake: &Lake, dataset: &Dataset, manifest: &Manifest) -> Result<(), LakeError> {
    // Another writer may have taken the free version: then its commit is read, and followed.
    for _ in 0..MOST_RIVALS {
        let log = match replay(lake, dataset).await {
            Err(LakeError::Unreadable { key, why }) => {
                warn!(key, "A commit of the Delta log was not readable ({why}); beginning the log anew");
                lake.remove_all(&dataset.delta_log(None)).await?;
                (None, BTreeSet::new(), None)
            }
            other => other?,
        };
        if commit(lake, dataset, manifest, log).await? {
            return Ok(());
        }
    }
    Err(LakeError::Changed { key: dataset.delta_log(None).to_string() })
}

/// The log as it is: its last version, the parts it holds, its schema.
type Log = (Option<u64>, BTreeSet<String>, Option<String>);

/// Adds one commit; returns whether the log then agrees with the manifest.
async fn commit(lake: &Lake, dataset: &Dataset, manifest: &Manifest, log: Log) -> Result<bool, LakeError> {
    let (version, known, schema) = log;
    let wanted: BTreeMap<&str, &Part> = manifest.parts.iter().map(|part| (part.path.as_str(), part)).collect();
    let schema_string = schema_string(&manifest.schema);
    let mut actions = Vec::new();
    if version.is_none() {
        actions.push(json!({ "protocol": { "minReaderVersion": 1, "minWriterVersion": 2 } }));
    }
    if schema.as_ref() != Some(&schema_string) {
        actions.push(json!({ "metaData": {
            "id": table_id(dataset), "format": { "provider": "parquet", "options": {} },
            "schemaString": schema_string, "partitionColumns": [], "configuration": {}, "createdTime": 0
        } }));
    }
    for path in known.iter().filter(|path| !wanted.contains_key(path.as_str())) {
        actions.push(json!({ "remove": { "path": path, "deletionTimestamp": 0, "dataChange": true } }));
    }
    for (path, part) in wanted.iter().filter(|(path, _)| !known.contains(**path)) {
        actions.push(json!({ "add": {
            "path": path, "partitionValues": {}, "size": part.size_bytes, "modificationTime": 0, "dataChange": true,
            "stats": json!({ "numRecords": part.rows }).to_string()
        } }));
    }
    if actions.is_empty() {
        return Ok(true);
    }
    actions.push(json!({ "commitInfo": { "timestamp": 0, "operation": "WRITE", "snapshot": manifest.id() } }));
    let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
    let next = version.map_or(0, |version| version + 1);
    let (key, bytes) = (dataset.delta_log(Some(next)), bytes::Bytes::from(lines.join("\n") + "\n"));
    match lake.put_new(&key, bytes.clone()).await {
        // The existing object may have the same length and different content.
        Ok(()) => Ok(lake.get(&key).await? == bytes),
        Err(LakeError::Changed { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads the log.
async fn replay(lake: &Lake, dataset: &Dataset) -> Result<Log, LakeError> {
    let mut parts = BTreeSet::new();
    let mut schema = None;
    let mut version = None;
    for object in lake.list(&dataset.delta_log(None)).await? {
        let bytes = lake.get(&object.location).await?;
        if bytes.is_empty() {
            return Err(LakeError::Unreadable { key: object.location.to_string(), why: "it is empty".to_owned() });
        }
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let action: Value = serde_json::from_slice(line)
                .map_err(|error| LakeError::Unreadable { key: object.location.to_string(), why: error.to_string() })?;
            if let Some(path) = action.pointer("/add/path").and_then(Value::as_str) {
                parts.insert(path.to_owned());
            }
            if let Some(path) = action.pointer("/remove/path").and_then(Value::as_str) {
                parts.remove(path);
            }
            if let Some(found) = action.pointer("/metaData/schemaString").and_then(Value::as_str) {
                schema = Some(found.to_owned());
            }
        }
        version = object.location.filename().and_then(|name| name.strip_suffix(".json")?.parse().ok());
    }
    Ok((version, parts, schema))
}

/// A Delta table's id is a UUID: here it is derived from the dataset's name, so that it is always the same.
fn table_id(dataset: &Dataset) -> String {
    let hash = crate::domain::ids::content_hash(dataset.as_str().as_bytes());
    format!("{}-{}-4{}-8{}-{}", &hash[..8], &hash[8..12], &hash[13..16], &hash[17..20], &hash[20..32])
}

fn schema_string(columns: &[ManifestColumn]) -> String {
    let fields: Vec<Value> = columns
        .iter()
        .map(|column| json!({ "name": column.name, "type": delta_type(&column.dtype), "nullable": true, "metadata": {} }))
        .collect();
    json!({ "type": "struct", "fields": fields }).to_string()
}

/// Delta's name for a polars type.
fn delta_type(dtype: &str) -> &'static str {
    match dtype {
        "bool" | "Boolean" => "boolean",
        "i64" | "Int64" | "u64" | "UInt64" => "long",
        "i32" | "Int32" | "u32" | "UInt32" => "integer",
        "f64" | "Float64" => "double",
        "f32" | "Float32" => "float",
        "date" | "Date" => "date",
        dtype if dtype.starts_with("datetime") || dtype.starts_with("Datetime") => "timestamp",
        _ => "string",
    }
}
