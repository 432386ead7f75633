//! One value as a file has it, and the same value as its contract types it.
//!
//! Reading is generous in form (numbers as text in delimited files, fractions of any length, any offset) and strict
//! in meaning: what does not fit is a [`Misfit`], never a silent null. A misfit names the rule, never the value.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::domain::table::ColumnType;

/// A value as it was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    /// A list or an object, as JSON.
    Json(String),
}

/// A value as its contract types it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Typed<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    /// Microseconds since 1970 in UTC.
    Instant(i64),
    /// Days since 1970.
    Day(i32),
}

/// Why a value does not fit: the rule's name, without the value.
pub(super) type Misfit = &'static str;

/// What Canvas writes for an enumeration's value that its schema does not know yet.
pub(super) const UNSPECIFIED: &str = "__dap_unspecified__";
/// What Canvas writes in place of a text that is too long.
const OVERSIZED: [&str; 2] = ["__dap_oversized_truncated__", "__cd2_oversized_truncated__"];

impl<'a> Cell<'a> {
    /// The value that this is in a column of `kind`.
    pub(super) fn typed(self, kind: ColumnType) -> Result<Typed<'a>, Misfit> {
        match (kind, self) {
            (_, Cell::Null) => Ok(Typed::Null),
            (_, Cell::Text(text)) if OVERSIZED.contains(&&*text) => Ok(Typed::Null),
            (ColumnType::Id | ColumnType::Int, Cell::Int(n)) => Ok(Typed::Int(n)),
            (ColumnType::Id | ColumnType::Int, Cell::Text(text)) => whole(&text).map(Typed::Int),
            (ColumnType::Int, Cell::Float(n)) => whole_float(n),
            (ColumnType::Id, Cell::Float(_)) => Err("not_a_whole_number"),
            (ColumnType::Float, Cell::Int(n)) => Ok(Typed::Float(n as f64)),
            (ColumnType::Float, Cell::Float(n)) if n.is_finite() => Ok(Typed::Float(n)),
            (ColumnType::Float, Cell::Text(text)) => number(&text).map(Typed::Float),
            (ColumnType::Bool, Cell::Bool(b)) => Ok(Typed::Bool(b)),
            (ColumnType::Bool, Cell::Text(text)) => truth(&text).map(Typed::Bool),
            (ColumnType::Timestamp, Cell::Text(text)) => instant(&text).map(Typed::Instant),
            (ColumnType::Date, Cell::Text(text)) => day(&text).map(Typed::Day),
            (ColumnType::Text | ColumnType::Json, Cell::Text(text)) => Ok(Typed::Text(text)),
            (ColumnType::Text | ColumnType::Json, Cell::Json(text)) => Ok(Typed::Text(text.into())),
            (ColumnType::Text | ColumnType::Json, Cell::Int(n)) => Ok(Typed::Text(n.to_string().into())),
            (ColumnType::Text | ColumnType::Json, Cell::Float(n)) => Ok(Typed::Text(n.to_string().into())),
            (ColumnType::Text | ColumnType::Json, Cell::Bool(b)) => Ok(Typed::Text(b.to_string().into())),
            (ColumnType::Id | ColumnType::Int, _) => Err("not_a_whole_number"),
            (ColumnType::Float, _) => Err("not_a_number"),
            (ColumnType::Bool, _) => Err("not_true_or_false"),
            (ColumnType::Timestamp, _) => Err("not_an_instant"),
            (ColumnType::Date, _) => Err("not_a_date"),
        }
    }
}

fn whole(text: &str) -> Result<i64, Misfit> {
    text.trim().parse().map_err(|_| "not_a_whole_number")
}

fn whole_float(n: f64) -> Result<Typed<'static>, Misfit> {
    // Beyond 2^53 a float does not hold whole numbers exactly.
    if n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0 {
        return format!("{n:.0}").parse().map(Typed::Int).map_err(|_| "not_a_whole_number");
    }
    Err("not_a_whole_number")
}

fn number(text: &str) -> Result<f64, Misfit> {
    text.trim().parse().ok().filter(|n: &f64| n.is_finite()).ok_or("not_a_number")
}

fn truth(text: &str) -> Result<bool, Misfit> {
    match text.trim() {
        "true" | "t" | "True" | "1" => Ok(true),
        "false" | "f" | "False" | "0" => Ok(false),
        _ => Err("not_true_or_false"),
    }
}

fn instant(text: &str) -> Result<i64, Misfit> {
    text.trim().parse::<Timestamp>().map(Timestamp::as_microsecond).map_err(|_| "not_an_instant")
}

fn day(text: &str) -> Result<i32, Misfit> {
    let date: Date = text.trim().parse().map_err(|_| "not_a_date")?;
    let epoch = jiff::civil::date(1970, 1, 1);
    date.since(epoch).map(|span| span.get_days()).map_err(|_| "not_a_date")
}

impl<'de> Deserialize<'de> for Cell<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CellVisitor)
    }
}

struct CellVisitor;

impl<'de> Visitor<'de> for CellVisitor {
    type Value = Cell<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Cell<'de>, E> {
        Ok(Cell::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Cell<'de>, E> {
        Ok(Cell::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Cell<'de>, E> {
        Ok(Cell::Int(n))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Cell<'de>, E> {
        Ok(i64::try_from(n).map_or_else(|_| Cell::Text(n.to_string().into()), Cell::Int))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Cell<'de>, E> {
        Ok(Cell::Float(n))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cell<'de>, E> {
        Ok(Cell::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cell<'de>, E> {
        Ok(Cell::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Cell<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<serde_json::Value>()? {
            list.push(item);
        }
        Ok(Cell::Json(serde_json::Value::Array(list).to_string()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Cell<'de>, A::Error> {
        let mut map = serde_json::Map::new();
        while let Some((key, value)) = entries.next_entry::<String, serde_json::Value>()? {
            map.insert(key, value);
        }
        Ok(Cell::Json(serde_json::Value::Object(map).to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Cell<'_> {
        Cell::Text(text.into())
    }

    #[test]
    fn values_are_read_in_any_usual_form() {
        assert_eq!(text("42").typed(ColumnType::Id), Ok(Typed::Int(42)));
        assert_eq!(Cell::Int(10_720_000_000_000_001).typed(ColumnType::Id), Ok(Typed::Int(10_720_000_000_000_001)));
        assert_eq!(text("t").typed(ColumnType::Bool), Ok(Typed::Bool(true)));
        assert_eq!(text("1970-01-01T01:00:00.5+01:00").typed(ColumnType::Timestamp), Ok(Typed::Instant(500_000)));
        assert_eq!(text("1970-02-01").typed(ColumnType::Date), Ok(Typed::Day(31)));
        assert_eq!(Cell::Float(3.0).typed(ColumnType::Int), Ok(Typed::Int(3)));
    }

    #[test]
    fn what_does_not_fit_names_its_rule_and_not_its_value() {
        assert_eq!(text("many").typed(ColumnType::Float), Err("not_a_number"));
        assert_eq!(Cell::Float(3.5).typed(ColumnType::Id), Err("not_a_whole_number"));
        assert_eq!(text("2014-01-01T00:00:00").typed(ColumnType::Timestamp), Err("not_an_instant"));
        assert_eq!(Cell::Bool(true).typed(ColumnType::Float), Err("not_a_number"));
    }
}
