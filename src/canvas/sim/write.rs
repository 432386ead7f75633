//! Writing the files of an export: gzip, line by line, with the hash of what was written.
//!
//! The bytes depend only on the rows: the gzip header has no time and no system, the level is fixed. Files are written
//! where the caller says, a temporary folder; `generate` makes them visible.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::rows::{At, Line};

/// What the manifest says about a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileFacts {
    pub(super) rows: u64,
    pub(super) sha256: String,
    pub(super) bytes: u64,
}

/// A table's file of JSON lines.
pub(super) struct JsonLines {
    out: GzEncoder<Hashing>,
    /// Lines that wait for the encoder, which is slow on small pieces.
    lines: Vec<u8>,
    rows: u64,
}

/// How many bytes of lines are passed to the encoder at once.
const BATCH_BYTES: usize = 1 << 16;

impl JsonLines {
    /// Creates the file.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { out: gzip(path)?, lines: Vec::new(), rows: 0 })
    }

    /// Writes the row `id`, last changed at `ts`.
    pub(super) fn write<V: Serialize>(&mut self, id: i64, ts: At, value: V) -> io::Result<()> {
        serde_json::to_writer(&mut self.lines, &Line::new(id, ts, value))?;
        self.lines.push(b'\n');
        if self.lines.len() >= BATCH_BYTES {
            self.out.write_all(&self.lines)?;
            self.lines.clear();
        }
        self.rows += 1;
        Ok(())
    }

    /// Completes the file.
    pub(super) fn finish(mut self) -> io::Result<FileFacts> {
        self.out.write_all(&self.lines)?;
        self.out.finish()?.finish(self.rows)
    }
}

/// A table's file of comma-separated values, with a header.
pub(super) struct CsvLines {
    out: csv::Writer<GzEncoder<Hashing>>,
    rows: u64,
}

impl CsvLines {
    /// Creates the file.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { out: csv::Writer::from_writer(gzip(path)?), rows: 0 })
    }

    /// Writes a row.
    pub(super) fn write<V: Serialize>(&mut self, value: V) -> io::Result<()> {
        self.out.serialize(value).map_err(io::Error::other)?;
        self.rows += 1;
        Ok(())
    }

    /// Writes the names of the columns, where the rows are written cell by cell.
    pub(super) fn write_header(&mut self, columns: &[String]) -> io::Result<()> {
        self.out.write_record(columns).map_err(io::Error::other)
    }

    /// Writes a row cell by cell.
    pub(super) fn write_cells<'a>(&mut self, cells: impl Iterator<Item = &'a str>) -> io::Result<()> {
        self.out.write_record(cells).map_err(io::Error::other)?;
        self.rows += 1;
        Ok(())
    }

    /// Completes the file.
    pub(super) fn finish(self) -> io::Result<FileFacts> {
        let out = self.out.into_inner().map_err(csv::IntoInnerError::into_error)?;
        out.finish()?.finish(self.rows)
    }
}

fn gzip(path: &Path) -> io::Result<GzEncoder<Hashing>> {
    let file = Hashing { out: BufWriter::new(File::create(path)?), hash: Sha256::new(), bytes: 0 };
    Ok(GzBuilder::new().mtime(0).write(file, Compression::fast()))
}

/// A file that computes the hash and the length of its content.
struct Hashing {
    out: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Hashing {
    fn finish(mut self, rows: u64) -> io::Result<FileFacts> {
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        Ok(FileFacts { rows, sha256: hex::encode(self.hash.finalize()), bytes: self.bytes })
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += u64::try_from(written).map_err(io::Error::other)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
