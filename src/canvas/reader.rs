//! The bytes of one delivered file, decompressed and checked.
//!
//! All members of a gzip file are read, and each member's checksum and length are checked: a file that is cut off or
//! changed is an error and never a shorter table. Whether a file is compressed is determined from its first bytes,
//! because some servers store the plain text under a `.gz` name. The file's own SHA-256 is taken in the same pass. A
//! corrupt file is noticed at its end at the latest, so what was read of it before must be thrown away.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::error::ReadError;
use super::row::Place;

const BUFFER_BYTES: usize = 256 * 1024;

/// The longest line that is still a row; Canvas truncates texts of several megabytes.
const LONGEST_LINE_BYTES: u64 = 64 * 1024 * 1024;

/// The text of one file.
pub(super) struct FileReader {
    table: String,
    file: String,
    text: BufReader<Text>,
    line: u64,
    offset: u64,
}

/// One line of a file.
pub(super) struct Line<'a> {
    pub(super) place: Place,
    /// The bytes, without the end of the line.
    pub(super) bytes: &'a [u8],
    /// Whether the line has an end; the last line of a file that was cut off has none.
    pub(super) is_ended: bool,
}

impl FileReader {
    /// Opens `path`, the file `file` of `table`.
    pub(super) fn open(path: &Path, table: &str, file: &str) -> Result<Self, ReadError> {
        let unreadable =
            |cause| ReadError::Unreadable { table: table.to_owned(), file: file.to_owned(), offset: 0, cause };
        let raw = Hashing { file: File::open(path).map_err(unreadable)?, hash: Sha256::new() };
        let mut raw = BufReader::with_capacity(BUFFER_BYTES, raw);
        let start = raw.fill_buf().map_err(unreadable)?;
        let text = match start {
            [0x1f, 0x8b, ..] => Text::Gzip(Box::new(MultiGzDecoder::new(raw))),
            [] if file.ends_with(".gz") => {
                return Err(ReadError::Corrupt {
                    table: table.to_owned(),
                    file: file.to_owned(),
                    offset: 0,
                    reason: "it is empty, and even an empty gzip file has a header".to_owned(),
                });
            }
            _ => Text::Plain(raw),
        };
        let mut reader = Self {
            table: table.to_owned(),
            file: file.to_owned(),
            text: BufReader::with_capacity(BUFFER_BYTES, text),
            line: 0,
            offset: 0,
        };
        reader.skip_mark()?;
        Ok(reader)
    }

    /// Returns the first bytes of the text without consuming them.
    pub(super) fn peek(&mut self) -> Result<&[u8], ReadError> {
        match self.text.fill_buf() {
            Ok(bytes) => Ok(bytes),
            Err(cause) => Err(broken(&self.table, &self.file, self.offset, cause)),
        }
    }

    /// Reads the next line into `buffer`; `None` at the end of the file.
    pub(super) fn next_line<'a>(&mut self, buffer: &'a mut Vec<u8>) -> Result<Option<Line<'a>>, ReadError> {
        buffer.clear();
        let read = (&mut self.text).take(LONGEST_LINE_BYTES).read_until(b'\n', buffer);
        let read = read.map_err(|cause| broken(&self.table, &self.file, self.offset, cause))?;
        if read == 0 {
            return Ok(None);
        }
        let is_ended = buffer.last() == Some(&b'\n');
        let length = read as u64;
        if !is_ended && length == LONGEST_LINE_BYTES {
            return Err(self.corrupt("a line is longer than 64 MiB"));
        }
        self.line += 1;
        let place = Place { line: self.line, offset: self.offset };
        self.offset += length;
        if is_ended {
            buffer.pop();
        }
        if buffer.last() == Some(&b'\r') {
            buffer.pop();
        }
        Ok(Some(Line { place, bytes: buffer, is_ended }))
    }

    /// Returns the error that the file is corrupt for `reason`, at the current position.
    pub(super) fn corrupt(&self, reason: &str) -> ReadError {
        ReadError::Corrupt {
            table: self.table.clone(),
            file: self.file.clone(),
            offset: self.offset,
            reason: reason.to_owned(),
        }
    }

    /// Returns the error that the file's header cannot be used.
    pub(super) fn header(&self, reason: &str) -> ReadError {
        ReadError::Header { table: self.table.clone(), file: self.file.clone(), reason: reason.to_owned() }
    }

    /// Returns the error that reading stopped `after` bytes for `cause`.
    pub(super) fn broken(&self, after: u64, cause: io::Error) -> ReadError {
        broken(&self.table, &self.file, after, cause)
    }

    /// Returns the text as plain bytes, for a parser that finds its own rows.
    pub(super) fn text(&mut self) -> &mut impl Read {
        &mut self.text
    }

    /// Ends the reading: returns the SHA-256 of the file as it is on disk.
    pub(super) fn finish(mut self) -> Result<String, ReadError> {
        // The rest must be read too: only the end of a gzip member proves it.
        io::copy(&mut self.text, &mut io::sink()).map_err(|cause| self.broken(self.offset, cause))?;
        let raw = match self.text.into_inner() {
            Text::Plain(raw) => raw,
            Text::Gzip(decoder) => decoder.into_inner(),
        };
        Ok(hex::encode(raw.into_inner().hash.finalize()))
    }

    /// Skips a byte-order mark.
    fn skip_mark(&mut self) -> Result<(), ReadError> {
        if self.peek()?.starts_with(b"\xef\xbb\xbf") {
            self.text.consume(3);
            self.offset = 3;
        }
        Ok(())
    }
}

fn broken(table: &str, file: &str, offset: u64, cause: io::Error) -> ReadError {
    let (table, file) = (table.to_owned(), file.to_owned());
    let reason = match cause.kind() {
        io::ErrorKind::UnexpectedEof => "it is cut off".to_owned(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            format!("its compression or its checksum does not hold ({cause})")
        }
        _ => return ReadError::Unreadable { table, file, offset, cause },
    };
    ReadError::Corrupt { table, file, offset, reason }
}

type Raw = BufReader<Hashing>;

enum Text {
    Plain(Raw),
    Gzip(Box<MultiGzDecoder<Raw>>),
}

impl Read for Text {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(raw) => raw.read(into),
            Self::Gzip(decoder) => decoder.read(into),
        }
    }
}

struct Hashing {
    file: File,
    hash: Sha256,
}

impl Read for Hashing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.hash.update(&into[..read]);
        Ok(read)
    }
}
