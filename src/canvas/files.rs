//! One delivered file, from its bytes to rows: which format it is, and where each row begins.
//!
//! A file that ends in the middle of a row, or whose quotes swallow rows, is corrupt as a whole: what was lost cannot
//! be counted. A single line that cannot be read is held back. What a row means is left to the intake.

use std::io::{self, Read};

use super::delimited::{Dialect, Header};
use super::error::ReadError;
use super::intake::Intake;
use super::jsonl;
use super::reader::FileReader;
use super::reading::LocalFile;
use super::row::{Origin, Place};

/// Reads all rows of `file` into `intake`.
pub(super) fn read_file(file: &LocalFile, intake: &mut Intake<'_>) -> Result<(), ReadError> {
    let mut reader = FileReader::open(&file.path, &intake.table, &file.name)?;
    let format = match Format::of_name(&file.name) {
        Some(format) => format,
        None => Format::of_text(reader.peek()?),
    };
    match format {
        Format::JsonLines => read_json_lines(&mut reader, &file.name, intake)?,
        Format::Tsv => read_tsv(&mut reader, &file.name, intake)?,
        Format::Csv => read_csv(&mut reader, &file.name, intake)?,
    }
    let sha256 = reader.finish()?;
    match &file.sha256 {
        Some(stated) if !stated.eq_ignore_ascii_case(&sha256) => {
            Err(ReadError::OtherHash { table: intake.table.clone(), file: file.name.clone() })
        }
        _ => Ok(()),
    }
}

fn read_json_lines(reader: &mut FileReader, file: &str, intake: &mut Intake<'_>) -> Result<(), ReadError> {
    let mut buffer = Vec::new();
    while let Some(line) = reader.next_line(&mut buffer)? {
        if line.bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let origin = Origin { file, place: line.place, bytes: line.bytes };
        match jsonl::read_line(line.bytes, &mut intake.layout) {
            Ok(row) => intake.take(row, origin)?,
            Err(_) if !line.is_ended => return Err(reader.corrupt("it ends in the middle of a row")),
            Err(reason) => intake.hold_line(reason, origin),
        }
    }
    Ok(())
}

fn read_tsv(reader: &mut FileReader, file: &str, intake: &mut Intake<'_>) -> Result<(), ReadError> {
    let mut buffer = Vec::new();
    let mut header = None;
    while let Some(line) = reader.next_line(&mut buffer)? {
        if line.bytes.is_empty() {
            continue;
        }
        let fields = line.bytes.split(|&byte| byte == b'\t');
        let Some(known) = &header else {
            let names = Header::read(Dialect::Tsv, fields, &mut intake.layout);
            header = Some(names.map_err(|reason| reader.header(&reason))?);
            intake.has_header = true;
            continue;
        };
        let origin = Origin { file, place: line.place, bytes: line.bytes };
        match known.row(fields, &mut intake.layout) {
            Ok(row) => intake.take(row, origin)?,
            Err(_) if !line.is_ended => return Err(reader.corrupt("it ends in the middle of a row")),
            Err(reason) => intake.hold_line(reason, origin),
        }
    }
    Ok(())
}

fn read_csv(reader: &mut FileReader, file: &str, intake: &mut Intake<'_>) -> Result<(), ReadError> {
    match csv_rows(reader, file, intake) {
        Ok(()) => Ok(()),
        Err(Broken::Intake(error)) => Err(error),
        Err(Broken::Header(reason)) => Err(reader.header(&reason)),
        Err(Broken::Quote(line)) => {
            Err(reader.corrupt(&format!("a quote in the row that begins in line {line} is not closed in it")))
        }
        Err(Broken::Read(offset, error)) => match error.into_kind() {
            csv::ErrorKind::Io(cause) => Err(reader.broken(offset, cause)),
            _ => Err(reader.corrupt("it is not CSV")),
        },
    }
}

fn csv_rows(reader: &mut FileReader, file: &str, intake: &mut Intake<'_>) -> Result<(), Broken> {
    let text = Quotes { text: reader.text(), quotes: 0 };
    let mut csv = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let mut record = csv::ByteRecord::new();
    let mut header = None;
    while csv.read_byte_record(&mut record).map_err(|error| Broken::Read(csv.position().byte(), error))? {
        let Some(known) = &header else {
            let names = Header::read(Dialect::Csv, record.iter(), &mut intake.layout);
            header = Some(names.map_err(Broken::Header)?);
            intake.has_header = true;
            continue;
        };
        let place =
            record.position().map_or(Place { line: 0, offset: 0 }, |at| Place { line: at.line(), offset: at.byte() });
        let origin = Origin { file, place, bytes: record.as_slice() };
        match known.row(record.iter(), &mut intake.layout) {
            Ok(row) => intake.take(row, origin).map_err(Broken::Intake)?,
            // A quote that is never closed swallows the rows after it, which would then count as one.
            Err(_) if record.as_slice().contains(&b'\n') => return Err(Broken::Quote(place.line)),
            Err(reason) => intake.hold_line(reason, origin),
        }
    }
    // In a sound file quotes come in pairs. A row with an unclosed quote may still have the right width.
    let last_row = record.position().map_or(0, csv::Position::line);
    if csv.get_ref().quotes.is_multiple_of(2) { Ok(()) } else { Err(Broken::Quote(last_row)) }
}

/// A text whose quotes are counted.
struct Quotes<R> {
    text: R,
    quotes: u64,
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.text.read(into)?;
        self.quotes += into[..read].iter().map(|&byte| u64::from(byte == b'"')).sum::<u64>();
        Ok(read)
    }
}

/// Why a CSV file could not be read to its end.
enum Broken {
    Intake(ReadError),
    Header(String),
    Quote(u64),
    Read(u64, csv::Error),
}

enum Format {
    JsonLines,
    Csv,
    Tsv,
}

impl Format {
    fn of_name(name: &str) -> Option<Self> {
        let plain = name.strip_suffix(".gz").unwrap_or(name);
        match plain.rsplit_once('.')?.1 {
            "jsonl" | "json" | "ndjson" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            _ => None,
        }
    }

    /// Object names of DAP follow no rule, so a file whose name does not say its format is recognised by its first
    /// bytes.
    fn of_text(start: &[u8]) -> Self {
        let first_line = start.split(|&byte| byte == b'\n').next().unwrap_or_default();
        match start.first() {
            Some(b'{') => Self::JsonLines,
            _ if first_line.contains(&b'\t') => Self::Tsv,
            _ => Self::Csv,
        }
    }
}
