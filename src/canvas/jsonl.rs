//! JSON Lines as the DAP writes them: `{"key":{…},"value":{…},"meta":{…}}`, and flat objects.
//!
//! Each line is deserialised straight into cells; no tree of values is built. A record without `value` and with the
//! action `D` is a deletion. An omitted property is a null.

use std::io::BufRead;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::cell::Cell;
use super::reader::{Action, LocalFile, Place, ReadError, Reading, damaged, next_line};
use crate::domain::table::TableContract;

/// Reads a file's records.
pub(super) fn read<R: BufRead>(
    file: &LocalFile,
    mut content: R,
    contract: &TableContract,
    reading: &mut Reading<'_>,
) -> Result<(), ReadError> {
    let failed = |cause| ReadError::Frame { table: contract.name.to_string(), cause };
    let mut offset = 0;
    let mut line = Vec::new();
    loop {
        let read = next_line(&mut content, &mut line).map_err(|cause| damaged(file, offset, cause))?;
        let Some(read) = read else { return Ok(()) };
        let text = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| offset == 0).unwrap_or(&line);
        let place = Place { file: &file.path, offset, line: text };
        offset += read as u64;
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let mut record =
            Record { row: vec![Cell::Null; reading.columns.width()], action: Action::Upsert, unknown: Vec::new() };
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let parsed = Section { reading, record: &mut record, level: Level::Top }
            .deserialize(&mut deserializer)
            .and_then(|()| deserializer.end());
        if parsed.is_err() {
            reading.hold_back("not_json", &place);
            continue;
        }
        for name in std::mem::take(&mut record.unknown) {
            reading.note_unknown(&name);
        }
        reading.take(record.action, &mut record.row, &place).map_err(failed)?;
    }
}

struct Record<'de> {
    row: Vec<Cell<'de>>,
    action: Action,
    unknown: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Top,
    Values,
    Meta,
}

/// One object of a record: the whole, its key or value, or its meta.
struct Section<'r, 'a, 'de> {
    reading: &'r Reading<'a>,
    record: &'r mut Record<'de>,
    level: Level,
}

impl<'de> DeserializeSeed<'de> for Section<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Section<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Section { reading, record, level } = self;
        while let Some(name) = entries.next_key::<std::borrow::Cow<'de, str>>()? {
            let inner = match (level, name.as_ref()) {
                (Level::Top, "key" | "value") => Some(Level::Values),
                (Level::Top, "meta") => Some(Level::Meta),
                _ => None,
            };
            if let Some(level) = inner {
                entries.next_value_seed(Section { reading, record, level })?;
                continue;
            }
            if level == Level::Meta {
                if name == "action" {
                    let action: Cell<'de> = entries.next_value()?;
                    if action == Cell::Text("D".into()) {
                        record.action = Action::Delete;
                    }
                } else {
                    entries.next_value::<IgnoredAny>()?;
                }
                continue;
            }
            match reading.columns.place(&name) {
                Some(Some(place)) => record.row[place] = entries.next_value()?,
                Some(None) => drop(entries.next_value::<IgnoredAny>()?),
                None => {
                    entries.next_value::<IgnoredAny>()?;
                    record.unknown.push(name.into_owned());
                }
            }
        }
        Ok(())
    }
}
