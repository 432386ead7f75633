//! Rows of JSON Lines: `{"key":{…},"value":{…},"meta":{…}}` as DAP delivers them, or one flat object.
//!
//! A line is read straight into the cells of the kept columns; what is dropped or unknown is skipped without being
//! built. A column that is left out is the same as a null. Values are not checked here, and no error quotes one.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::layout::{Layout, Slot};
use super::row::{Action, Cell, Row};

/// Reads one line, or says why it is not a row.
pub(super) fn read_line<'a>(line: &'a [u8], layout: &mut Layout) -> Result<Row<'a>, String> {
    layout.begin_row();
    let mut row = Row::new(layout.columns.len());
    let mut json = serde_json::Deserializer::from_slice(line);
    Whole { layout, row: &mut row }.deserialize(&mut json).map_err(|error| told(&error))?;
    json.end().map_err(|error| told(&error))?;
    Ok(row)
}

/// Returns what is wrong with a line. serde's own message could quote a value, so only the kind and position are
/// reported.
fn told(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Eof => "JSON that ends too early",
        serde_json::error::Category::Data | serde_json::error::Category::Io => "not an object of columns",
    };
    format!("{what}, at byte {} of the line", error.column())
}

/// A whole line.
struct Whole<'l, 'de> {
    layout: &'l mut Layout,
    row: &'l mut Row<'de>,
}

impl<'de> DeserializeSeed<'de> for Whole<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(part) = map.next_key_seed(PartName { layout: self.layout })? {
            match part {
                Part::Columns => map.next_value_seed(Section { layout: self.layout, row: self.row })?,
                Part::Meta => self.row.action = map.next_value::<Meta<'de>>()?.action.map(|word| Action::of(&word)),
                Part::Column(slot) => take(&mut map, slot, self.row)?,
            }
        }
        Ok(())
    }
}

/// The columns of `key` or `value`.
struct Section<'l, 'de> {
    layout: &'l mut Layout,
    row: &'l mut Row<'de>,
}

impl<'de> DeserializeSeed<'de> for Section<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Section<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of columns")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(slot) = map.next_key_seed(ColumnName { layout: self.layout })? {
            take(&mut map, slot, self.row)?;
        }
        Ok(())
    }

    /// A deleted row may come with `"value": null`.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// What a row says about itself; its time is not used (it does not tell when a value became visible).
#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default)]
    action: Option<Cow<'a, str>>,
}

enum Part {
    Columns,
    Meta,
    Column(Slot),
}

struct PartName<'l> {
    layout: &'l mut Layout,
}

impl<'de> DeserializeSeed<'de> for PartName<'_> {
    type Value = Part;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Part, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for PartName<'_> {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Part, E> {
        Ok(match name {
            "key" | "value" => Part::Columns,
            "meta" => Part::Meta,
            column => Part::Column(self.layout.slot(column)),
        })
    }
}

struct ColumnName<'l> {
    layout: &'l mut Layout,
}

impl<'de> DeserializeSeed<'de> for ColumnName<'_> {
    type Value = Slot;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Slot, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for ColumnName<'_> {
    type Value = Slot;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Slot, E> {
        Ok(self.layout.slot(name))
    }
}

fn take<'de, A: MapAccess<'de>>(map: &mut A, slot: Slot, row: &mut Row<'de>) -> Result<(), A::Error> {
    match slot {
        Slot::Kept(index) => row.cells[index] = map.next_value_seed(Value)?,
        Slot::Dropped | Slot::Unknown => {
            map.next_value::<IgnoredAny>()?;
        }
    }
    Ok(())
}

/// One value.
struct Value;

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Cell<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cell<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Cell<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Cell<'de>, E> {
        Ok(Cell::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Cell<'de>, E> {
        Ok(Cell::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Cell<'de>, E> {
        Ok(Cell::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Cell<'de>, E> {
        Ok(i64::try_from(value).map_or(Cell::Beyond, Cell::Int))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Cell<'de>, E> {
        Ok(Cell::Float(value))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Cell<'de>, E> {
        Ok(Cell::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Cell<'de>, E> {
        Ok(Cell::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Cell<'de>, A::Error> {
        let value = serde_json::Value::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Cell::Json(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Cell<'de>, A::Error> {
        let value = serde_json::Value::deserialize(SeqAccessDeserializer::new(seq))?;
        Ok(Cell::Json(value.to_string()))
    }
}
