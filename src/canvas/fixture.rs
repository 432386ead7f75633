//! Invented deliveries for tests: files in a folder of their own, and readings of them.
//!
//! All people in them are invented.

use std::io::Write;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use polars::prelude::*;

use super::contracts::Contracts;
use super::privacy::PrivacyKey;
use super::pull::{IdentityUse, LocalFile, PlaceUse, ReadError, RowMode, TableReading, TableRequest, read_table};
use super::terms::TermLookup;
use crate::domain::source::{FileSource, SourceError, SourceFile};
use crate::domain::table::TableContract;

/// Returns `text` as one gzip member.
pub(super) fn gz(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A folder of files that is removed after the test.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file and returns it.
    pub(super) fn with(&self, name: &str, bytes: &[u8]) -> LocalFile {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        LocalFile { path, name: name.to_owned(), sha256: None }
    }
}

#[async_trait]
impl FileSource for Folder {
    fn root(&self) -> String {
        "the source".to_owned()
    }

    async fn list(&self) -> Result<Vec<SourceFile>, SourceError> {
        let mut files = Vec::new();
        walk(self.path(), self.path(), &mut files);
        files.sort();
        Ok(files)
    }

    async fn local_copy(&self, file: &SourceFile) -> Result<PathBuf, SourceError> {
        Ok(self.path().join(&file.path))
    }
}

fn walk(root: &Path, at: &Path, files: &mut Vec<SourceFile>) {
    for entry in std::fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, files);
        } else {
            let below = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.push(SourceFile { path: below, size_bytes: 1, tag: String::new() });
        }
    }
}

/// The result of a reading: its frames as one, and the rest.
pub(super) struct Read {
    pub(super) frame: DataFrame,
    pub(super) reading: TableReading,
}

/// Reads with the usual settings; a test changes the one that it is about.
pub(super) struct Reader {
    pub(super) contract: TableContract,
    pub(super) mode: RowMode,
    pub(super) expected_rows: Option<u64>,
    pub(super) terms: TermLookup,
    pub(super) batch_rows: usize,
    pub(super) places: PlaceUse,
}

impl Reader {
    /// Reads `table` of Canvas, or of the site.
    pub(super) fn of(table: &str) -> Self {
        let contracts = Contracts::load(&["web_logs_daily".to_owned(), "demographics".to_owned()], None).unwrap();
        Self::by(contracts.find(table).unwrap().clone())
    }

    pub(super) fn by(contract: TableContract) -> Self {
        Self {
            contract,
            mode: RowMode::Snapshot,
            expected_rows: None,
            terms: TermLookup::default(),
            batch_rows: 1000,
            places: PlaceUse::Ignore,
        }
    }

    pub(super) fn incremental(mut self) -> Self {
        self.mode = RowMode::Incremental;
        self
    }

    pub(super) fn expecting(mut self, rows: u64) -> Self {
        self.expected_rows = Some(rows);
        self
    }

    pub(super) fn read(&self, files: &[LocalFile]) -> Result<Read, ReadError> {
        let key = PrivacyKey::demo();
        let request = TableRequest {
            contract: &self.contract,
            files,
            mode: self.mode,
            expected_rows: self.expected_rows,
            key: &key,
            terms: &self.terms,
            identities: IdentityUse::Collect,
            batch_rows: self.batch_rows,
            places: self.places,
        };
        let mut frame: Option<DataFrame> = None;
        let reading = read_table(&request, &mut |batch| {
            match &mut frame {
                Some(frame) => frame.vstack_mut(&batch).map(|_| ())?,
                none => *none = Some(batch),
            }
            Ok(())
        })?;
        Ok(Read { frame: frame.unwrap_or_default(), reading })
    }

    /// Reads one JSON Lines file that holds `text`.
    pub(super) fn read_json(&self, text: &str) -> Result<Read, ReadError> {
        let folder = Folder::new();
        self.read(&[folder.with("part-00000.jsonl.gz", &gz(text))])
    }
}
