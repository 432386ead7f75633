//! Frames become Parquet parts, and parts become frames: deterministic bytes, named by their content.
//!
//! A part's name is its part hash: the SHA-256 of its schema and of everything before its footer. The same frame gives
//! the same bytes whatever the number of threads. The footer carries dataset, schema hash and part hash, so a part that
//! was copied elsewhere can still be identified. The `parquet` crate reads footers; polars reads rows.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use parquet::file::metadata::ParquetMetaDataReader;
use polars::prelude::*;
use sha2::{Digest as _, Sha256};

use super::keys::Dataset;
use super::store::LakeError;
use crate::domain::ids::content_hash;
use crate::domain::lineage::ManifestColumn;

/// Rows in a row group: small enough to stream, and the same everywhere.
const ROW_GROUP_ROWS: usize = 131_072;

/// The placeholder in the footer until the part hash is known; as long as a hash.
const UNHASHED: &str = "----------------------this-part-has-not-been-hashed-yet---------";

/// An encoded part.
#[derive(Debug, Clone)]
pub(super) struct Encoded {
    /// The file.
    pub(super) bytes: Bytes,
    /// The hash that names it.
    pub(super) part_hash: String,
    /// SHA-256 of the whole file.
    pub(super) sha256: String,
}

/// Encodes a frame as a part of `dataset`.
///
/// # Errors
/// When polars cannot encode it.
pub(super) fn encode(dataset: &Dataset, frame: &mut DataFrame) -> Result<Encoded, LakeError> {
    let failed = |cause| LakeError::Part { operation: "encoding", dataset: dataset.to_string(), cause };
    frame.rechunk_mut();
    let schema_hash = content_hash(format!("{:?}", schema(frame)).as_bytes());
    let metadata = KeyValueMetadata::from_static(vec![
        ("nocturne.dataset".to_owned(), dataset.to_string()),
        ("nocturne.schema_hash".to_owned(), schema_hash.clone()),
        ("nocturne.part_hash".to_owned(), UNHASHED.to_owned()),
    ]);
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Zstd(None))
        .with_statistics(StatisticsOptions::default())
        .with_row_group_size(Some(ROW_GROUP_ROWS))
        .with_key_value_metadata(Some(metadata))
        .finish(frame)
        .map_err(failed)?;

    let footer = footer_start(&bytes);
    let part_hash = hex::encode(Sha256::new().chain_update(&schema_hash).chain_update(&bytes[..footer]).finalize());
    let place = bytes.windows(UNHASHED.len()).rposition(|window| window == UNHASHED.as_bytes());
    if let Some(place) = place {
        bytes[place..place + UNHASHED.len()].copy_from_slice(part_hash.as_bytes());
    }
    let sha256 = content_hash(&bytes);
    Ok(Encoded { bytes: bytes.into(), part_hash, sha256 })
}

/// Returns the columns of a frame as a manifest lists them.
pub fn schema(frame: &DataFrame) -> Vec<ManifestColumn> {
    let column =
        |(name, dtype): (&PlSmallStr, &DataType)| ManifestColumn { name: name.to_string(), dtype: dtype.to_string() };
    frame.schema().iter().map(column).collect()
}

/// Returns the rows and the column names that a file's footer states.
///
/// # Errors
/// With the parquet crate's message, when the footer does not parse.
pub(super) fn read_footer(bytes: &Bytes) -> Result<(u64, Vec<String>), String> {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(bytes).map_err(|error| error.to_string())?;
    let file = metadata.file_metadata();
    let columns = file.schema_descr().root_schema().get_fields().iter().map(|field| field.name().to_owned());
    Ok((u64::try_from(file.num_rows()).unwrap_or(0), columns.collect()))
}

/// Returns the rows of these local files, in their order, as one lazy frame; no glob is ever expanded.
///
/// # Errors
/// When a file cannot be opened as Parquet.
pub fn scan(paths: &[PathBuf]) -> PolarsResult<LazyFrame> {
    let frames = paths.iter().map(|path| scan_one(path)).collect::<PolarsResult<Vec<_>>>()?;
    concat(frames, UnionArgs::default())
}

/// Returns the rows of one local file.
///
/// # Errors
/// When it cannot be opened as Parquet.
pub fn scan_one(path: &Path) -> PolarsResult<LazyFrame> {
    let arguments = ScanArgsParquet { glob: false, ..ScanArgsParquet::default() };
    LazyFrame::scan_parquet(PlRefPath::try_from_path(path)?, arguments)
}

/// Where the footer begins: Parquet ends with the footer, its length in four bytes, and the four bytes `PAR1`.
pub(super) fn footer_start(bytes: &[u8]) -> usize {
    let length_at = bytes.len().saturating_sub(8);
    let length =
        bytes.get(length_at..length_at + 4).map_or(0, |four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]));
    length_at.saturating_sub(usize::try_from(length).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> DataFrame {
        df!("id" => [1_i64, 2, 3], "name" => ["a", "b", "c"]).unwrap()
    }

    fn dataset() -> Dataset {
        Dataset::table(&"t".parse().unwrap())
    }

    #[test]
    fn the_same_frame_is_the_same_part_and_says_what_it_is() {
        let a = encode(&dataset(), &mut frame()).unwrap();
        let b = encode(&dataset(), &mut frame()).unwrap();

        assert_eq!((a.part_hash.clone(), a.sha256), (b.part_hash, b.sha256));
        assert_eq!(read_footer(&a.bytes).unwrap(), (3, vec!["id".to_owned(), "name".to_owned()]));
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&a.bytes).unwrap();
        let facts = metadata.file_metadata().key_value_metadata().unwrap();
        assert!(facts.iter().any(|kv| kv.key == "nocturne.part_hash" && kv.value.as_deref() == Some(&a.part_hash)));
    }

    #[test]
    fn another_name_for_a_column_is_another_part() {
        let mut renamed = frame();
        renamed.rename("name", "title".into()).unwrap();

        let (a, b) = (encode(&dataset(), &mut frame()).unwrap(), encode(&dataset(), &mut renamed).unwrap());

        assert_ne!(a.part_hash, b.part_hash);
    }
}
