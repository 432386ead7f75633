//! Rows of CSV and TSV, with DAP's column names (`key.id`, `value.score`, `meta.action`) or plain ones.
//!
//! TSV is PostgreSQL's COPY text: `\N` is null, backslashes escape. CSV is RFC 4180; an empty field and `NULL` are
//! null, because exports disagree and none of them can distinguish the empty text from it. There is always a header;
//! fields that were spread out (`value.settings.locale`) are joined into one JSON value again.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::layout::{Layout, Slot};
use super::row::{Action, Cell, Row};

/// The two kinds of delimited text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Csv,
    Tsv,
}

/// What each column of one file is, in the file's order.
#[derive(Debug)]
pub(super) struct Header {
    dialect: Dialect,
    fields: Vec<Field>,
}

#[derive(Debug)]
enum Field {
    Column(usize),
    PartOf { column: usize, part: String },
    Action,
    Unknown(String),
    Skipped,
}

impl Header {
    /// Reads the names of a header, or says why it is not one.
    pub(super) fn read<'a>(
        dialect: Dialect,
        names: impl Iterator<Item = &'a [u8]>,
        layout: &mut Layout,
    ) -> Result<Self, String> {
        let mut fields = Vec::new();
        let mut columns = std::collections::BTreeSet::new();
        for (place, name) in names.enumerate() {
            let name = std::str::from_utf8(name).map_err(|_| format!("name {} is not UTF-8", place + 1))?;
            let field = field(name.trim(), layout);
            if let Field::Column(column) = &field
                && !columns.insert(*column)
            {
                return Err(format!("the column `{}` is there twice", layout.columns[*column].name));
            }
            fields.push(field);
        }
        if columns.is_empty() {
            return Err("it names no column of the contract; is the first line a header?".to_owned());
        }
        for field in &fields {
            if let Field::Column(index) | Field::PartOf { column: index, .. } = field {
                layout.mark_seen(*index);
            }
        }
        Ok(Self { dialect, fields })
    }

    /// Reads one row of fields, or says why it is not one.
    pub(super) fn row<'a>(
        &self,
        mut values: impl Iterator<Item = &'a [u8]>,
        layout: &mut Layout,
    ) -> Result<Row<'a>, String> {
        let mut row = Row::new(layout.columns.len());
        let mut parts: BTreeMap<usize, serde_json::Map<String, serde_json::Value>> = BTreeMap::new();
        for field in &self.fields {
            let Some(value) = values.next() else { return Err("fewer fields than the header".to_owned()) };
            if matches!(field, Field::Skipped) {
                continue;
            }
            let cell = self.cell(value)?;
            match field {
                Field::Column(index) => row.cells[*index] = cell,
                Field::PartOf { column, part } => {
                    let whole = parts.entry(*column).or_default();
                    if let Cell::Text(text) = cell {
                        whole.insert(part.clone(), serde_json::Value::String(text.into_owned()));
                    }
                }
                Field::Action => {
                    row.action = match &cell {
                        Cell::Text(word) => Some(Action::of(word)),
                        _ => None,
                    };
                }
                Field::Unknown(name) => layout.count_unknown(name),
                Field::Skipped => {}
            }
        }
        if values.next().is_some() {
            return Err("more fields than the header".to_owned());
        }
        for (column, whole) in parts {
            row.cells[column] =
                if whole.is_empty() { Cell::Null } else { Cell::Json(serde_json::Value::Object(whole).to_string()) };
        }
        Ok(row)
    }

    fn cell<'a>(&self, value: &'a [u8]) -> Result<Cell<'a>, String> {
        let text = std::str::from_utf8(value).map_err(|_| "a field that is not UTF-8".to_owned())?;
        Ok(match self.dialect {
            Dialect::Csv if text.is_empty() || text == "NULL" => Cell::Null,
            Dialect::Tsv if text == "\\N" => Cell::Null,
            Dialect::Tsv if text.contains('\\') => Cell::Text(Cow::Owned(unescape(text))),
            Dialect::Csv | Dialect::Tsv => Cell::Text(Cow::Borrowed(text)),
        })
    }
}

fn field(name: &str, layout: &Layout) -> Field {
    match name {
        "meta.action" => return Field::Action,
        "meta.ts" => return Field::Skipped,
        _ => {}
    }
    let column = name.strip_prefix("key.").or_else(|| name.strip_prefix("value.")).unwrap_or(name);
    match layout.find(column) {
        Slot::Kept(index) => Field::Column(index),
        Slot::Dropped => Field::Skipped,
        Slot::Unknown => match layout.part_of(column) {
            Some((Slot::Kept(column), part)) => Field::PartOf { column, part },
            Some(_) => Field::Skipped,
            None => Field::Unknown(column.to_owned()),
        },
    }
}

fn unescape(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_copy_text_are_undone() {
        assert_eq!(unescape(r"a\tb\\n\nc\"), "a\tb\\n\nc\\");
    }
}
