//! What a rule file says: `config/quality/*.toml`, each with rules about one table.
//!
//! A rule has one of two forms, `rows` or `value`, or a shorthand for one. These are the words of a file and no more; what
//! they mean is in `parse`.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::domain::check::Action;
use crate::domain::rule::RowLimit;

/// A file of rules.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// The table that the rules are about.
    pub table: String,
    /// The rules, by name; a rule's id is `<table>.<name>`. One with the name of a rule that follows from the contract
    /// takes its place.
    #[serde(default)]
    pub rules: BTreeMap<String, RuleSpec>,
}

/// A rule as it is written: exactly one form or shorthand, limits, and what follows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RuleSpec {
    /// Form: a SQL predicate over the table's columns that is true for bad rows. `{{ as_of }}` is the start of the logical
    /// date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// Form: a SQL query over the tables that gives one number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Form: the same, from a file beside the rule file, such as `checks/enrolled.sql`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<String>,
    /// Shorthand: the column has a value in every row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_null: Option<String>,
    /// Shorthand: the column has one of these values, or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_of: Option<OneOf>,
    /// Shorthand: the column lies between these ends, which belong to it, or has no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_range: Option<InRange>,
    /// Shorthand: the whole text of the column matches a regular expression, or is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<Matches>,
    /// Shorthand: the column's ids are found in another table; a parent may be a night late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refers_to: Option<RefersTo>,
    /// Shorthand: no two rows share the values of these columns; for the table's key, no two rows of a delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique: Option<Vec<String>>,
    /// Shorthand: the number of rows that stand, or that the last delivery changed, or by what share they grew or shrank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row_count: Option<Counted>,
    /// Shorthand: the share of rows without a value in this column, among those of the last delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_share: Option<String>,
    /// Switches the rule of this name off that follows from the contract, and says why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off: Option<String>,
    /// Of rows: more bad ones than this warn; a number, or a share such as `"0.5 %"`. Without `warn` and `error`, one bad
    /// row warns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn: Option<Limit>,
    /// Of rows: more bad ones than this fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Limit>,
    /// Of a value: below this it warns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_below: Option<f64>,
    /// Of a value: above this it warns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_above: Option<f64>,
    /// Of a value: below this it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_below: Option<f64>,
    /// Of a value: above this it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_above: Option<f64>,
    /// Of a value: it is compared with comparable nights, instead of with fixed limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
    /// With `against`: a robust deviation beyond this warns (6 if not set).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_deviation: Option<f64>,
    /// With `against`: a robust deviation beyond this fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_deviation: Option<f64>,
    /// What follows a breach. `quarantine_rows` is for predicates over a row's own columns.
    pub action: Action,
    /// Who answers for it, such as an address or a team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Why it matters, in a sentence. It is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What to do about a breach, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// A column and its values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneOf {
    /// The column.
    pub column: String,
    /// The values.
    pub values: Vec<String>,
}

/// A column and the ends of its range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InRange {
    /// The column.
    pub column: String,
    /// The smallest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The largest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

/// A column and its pattern.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Matches {
    /// The column.
    pub column: String,
    /// The pattern.
    pub pattern: String,
}

/// A column and what it refers to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefersTo {
    /// The column.
    pub column: String,
    /// `<table>.<column>`.
    pub to: String,
}

/// Which rows are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Those that stand.
    Standing,
    /// Those that the last delivery changed.
    Changed,
    /// By what share of them the table has grown or shrunk since before the last delivery.
    SinceLastNight,
}

/// With what a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Against {
    /// Nights of the same weekday in about the same week of a term.
    #[serde(rename = "same weekday, same week of term")]
    Usual,
}

/// A number of rows, or a share as text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit(pub RowLimit);

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl de::Visitor<'_> for Reader {
            type Value = Limit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of rows, or a share such as \"0.5 %\"")
            }

            fn visit_u64<E: de::Error>(self, rows: u64) -> Result<Limit, E> {
                Ok(Limit(RowLimit::Count(rows)))
            }

            fn visit_i64<E: de::Error>(self, rows: i64) -> Result<Limit, E> {
                u64::try_from(rows).map(|rows| Limit(RowLimit::Count(rows))).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Limit, E> {
                let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
                match percent.filter(|percent| (0.0..=100.0).contains(percent)) {
                    Some(percent) => Ok(Limit(RowLimit::Share(percent / 100.0))),
                    None => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        from.deserialize_any(Reader)
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            RowLimit::Count(rows) => to.serialize_u64(rows),
            share @ RowLimit::Share(_) => to.collect_str(&share),
        }
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+(\\.[0-9]+)? ?%$" })
    }
}
