//! CSV and TSV: with `key.`, `value.` and `meta.` before the names as the DAP writes them, or plain.
//!
//! In CSV an empty field is a null; in TSV (PostgreSQL's COPY) `\N` is, and backslashes escape. A field that stands in
//! no column of the header, or a row that is too short, does not fit.

use std::borrow::Cow;
use std::io::Read;

use super::cell::Cell;
use super::reader::{Action, LocalFile, Place, ReadError, Reading, damaged};
use crate::domain::table::TableContract;

/// The form of a delimited file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// RFC 4180.
    Csv,
    /// PostgreSQL's COPY.
    Tsv,
}

/// Where a field goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Column(usize),
    Action,
    Nowhere,
}

/// Reads a file's records.
pub(super) fn read<R: Read>(
    file: &LocalFile,
    content: R,
    form: Form,
    contract: &TableContract,
    reading: &mut Reading<'_>,
) -> Result<(), ReadError> {
    let failed = |cause| ReadError::Frame { table: contract.name.to_string(), cause };
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).buffer_capacity(1 << 18);
    if form == Form::Tsv {
        builder.delimiter(b'\t').quoting(false);
    }
    let mut csv = builder.from_reader(content);
    let mut record = csv::ByteRecord::new();
    let mut targets: Option<Vec<Target>> = None;
    loop {
        let offset = csv.position().byte();
        if !csv.read_byte_record(&mut record).map_err(|error| csv_error(file, offset, error))? {
            return Ok(());
        }
        let Some(targets) = &targets else {
            targets = Some(header(&record, contract, reading)?);
            continue;
        };
        if record.iter().all(<[u8]>::is_empty) {
            continue;
        }
        let line = record.as_slice();
        let place = Place { file: &file.path, offset, line };
        if record.len() != targets.len() {
            reading.hold_back("wrong_number_of_fields", &place);
            continue;
        }
        let mut row = vec![Cell::Null; reading.columns.width()];
        let mut action = Action::Upsert;
        let mut is_text = true;
        for (field, target) in record.iter().zip(targets) {
            let Ok(text) = std::str::from_utf8(field) else {
                is_text = false;
                break;
            };
            match target {
                Target::Column(place) => row[*place] = cell(text, form),
                Target::Action if text == "D" => action = Action::Delete,
                Target::Action | Target::Nowhere => {}
            }
        }
        if is_text {
            reading.take(action, &mut row, &place).map_err(failed)?;
        } else {
            reading.hold_back("not_utf8", &place);
        }
    }
}

/// Reads the header; a required column that is not in it stops the table.
fn header(
    record: &csv::ByteRecord,
    contract: &TableContract,
    reading: &mut Reading<'_>,
) -> Result<Vec<Target>, ReadError> {
    let mut targets = Vec::new();
    for (index, field) in record.iter().enumerate() {
        let name = String::from_utf8_lossy(field);
        let name = if index == 0 { name.trim_start_matches('\u{feff}') } else { &name };
        let plain = name.strip_prefix("key.").or_else(|| name.strip_prefix("value.")).unwrap_or(name);
        targets.push(match (name, reading.columns.place(plain)) {
            ("meta.action", _) => Target::Action,
            (name, _) if name.starts_with("meta.") => Target::Nowhere,
            (_, Some(Some(place))) => Target::Column(place),
            (_, Some(None)) => Target::Nowhere,
            (_, None) => {
                reading.note_unknown(plain);
                Target::Nowhere
            }
        });
    }
    for (name, _) in contract.kept().filter(|(_, column)| column.required) {
        let is_there =
            reading.columns.place(name).flatten().is_some_and(|place| targets.contains(&Target::Column(place)));
        if !is_there {
            return Err(ReadError::ColumnGone { table: contract.name.to_string(), column: name.clone() });
        }
    }
    Ok(targets)
}

fn cell(text: &str, form: Form) -> Cell<'_> {
    match form {
        Form::Csv if text.is_empty() => Cell::Null,
        Form::Tsv if text == "\\N" => Cell::Null,
        Form::Tsv if text.contains('\\') => Cell::Text(Cow::Owned(unescaped(text))),
        _ => Cell::Text(Cow::Borrowed(text)),
    }
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('b') => plain.push('\u{8}'),
            Some('f') => plain.push('\u{c}'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('t') => plain.push('\t'),
            Some('v') => plain.push('\u{b}'),
            Some(other) => plain.push(other),
            None => plain.push('\\'),
        }
    }
    plain
}

fn csv_error(file: &LocalFile, offset: u64, error: csv::Error) -> ReadError {
    match error.into_kind() {
        csv::ErrorKind::Io(cause) => damaged(file, offset, cause),
        other => ReadError::Corrupt { file: file.path.clone(), offset, why: format!("{other:?}") },
    }
}
