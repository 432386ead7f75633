//! A TOML document checked against a JSON schema: every mistake at once, each with its line and what is allowed.
//!
//! One mechanism for DAG files, configuration, contracts and recipes. It promises that a document without mistakes fits
//! its schema, and that a mistake names file, line, key, what was found and what is allowed. It does not know what the
//! keys mean: cross checks belong to the owners of the documents, who add to the same list. However many mistakes there
//! are, the time it takes to find them grows with the text, and only the first hundred are printed.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use super::explain::Words;
use super::explain::explain;
use super::spans::{Inside, Place, Spans};

/// How many mistakes are printed; for the rest only their number.
pub const SHOWN: usize = 100;

/// A parsed document that remembers the position of every value.
#[derive(Debug, Clone)]
pub struct Document {
    /// The name that messages use for it, usually a path.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Its content.
    pub value: Value,
    spans: Spans,
}

/// What a document must look like: a JSON schema, compiled once for as many documents as there are.
#[derive(Debug, Clone)]
pub struct Shape {
    schema: Value,
    validator: Result<jsonschema::Validator, String>,
}

/// One mistake in a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The document, or the environment variable.
    pub file: String,
    /// The line, from 1; 0 where there is none.
    pub line: usize,
    /// The column, from 1; 0 where there is none.
    pub column: usize,
    /// The dotted path of the key.
    pub path: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

/// All mistakes that were found, in order of position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        } else {
            write!(f, "{}: ", self.file)?;
        }
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0.len();
        write!(f, "{n} mistake{}", if n == 1 { "" } else { "s" })?;
        for mistake in self.0.iter().take(SHOWN) {
            write!(f, "\n  {mistake}")?;
        }
        match n.saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

impl std::error::Error for Mistakes {}

impl Mistakes {
    /// Returns `value` if there are no mistakes, and otherwise all of them, sorted.
    ///
    /// # Errors
    /// When there is any mistake.
    pub fn unless_none<T>(mut mistakes: Vec<Mistake>, value: T) -> Result<T, Self> {
        if mistakes.is_empty() {
            return Ok(value);
        }
        mistakes.sort();
        mistakes.dedup();
        Err(Self(mistakes))
    }
}

impl Document {
    /// Parses `text`.
    ///
    /// # Errors
    /// With every syntax error.
    pub fn parse(name: impl Into<String>, text: impl Into<String>) -> Result<Self, Mistakes> {
        let (name, text) = (name.into(), text.into());
        let (table, errors) = DeTable::parse_recoverable(&text);
        if !errors.is_empty() {
            let spans = Spans::new(&text, Inside::Nothing);
            let mistakes = errors.iter().map(|error| {
                let (line, column) = spans.line_and_column(&text, error.span().map_or(0, |span| span.start));
                let message = format!("this is not TOML: {}", error.message());
                Mistake { file: name.clone(), line, column, path: String::new(), message }
            });
            let mistakes: Vec<Mistake> = mistakes.collect();
            Mistakes::unless_none(mistakes, ())?;
        }
        let (value, inside) = table_value(table.get_ref());
        let spans = Spans::new(&text, inside);
        Ok(Self { name, value, spans, text })
    }

    /// Returns a document that has content but no text: its mistakes have paths and no lines.
    pub fn of_value(name: impl Into<String>, value: Value) -> Self {
        Self { name: name.into(), text: String::new(), value, spans: Spans::default() }
    }

    /// Returns every place where the document does not fit `schema`.
    pub fn mistakes(&self, schema: &Value) -> Vec<Mistake> {
        self.mistakes_at(&[], &self.value, &Shape::new(schema.clone()))
    }

    /// Returns every place where `value`, found at `path` in this document, does not fit `shape`.
    pub fn mistakes_at(&self, path: &[&str], value: &Value, shape: &Shape) -> Vec<Mistake> {
        let validator = match &shape.validator {
            Ok(validator) => validator,
            Err(why) => return vec![self.mistake(path, format!("its schema is not valid: {why}"))],
        };
        let explained = validator.iter_errors(value).flat_map(|error| explain(&error, &shape.schema));
        let placed = explained.map(|(inside, message)| {
            let path: Vec<&str> = path.iter().copied().chain(inside.iter().map(String::as_str)).collect();
            self.mistake(&path, message)
        });
        placed.collect()
    }

    /// Returns a mistake at the key `path`.
    pub fn mistake(&self, path: &[&str], message: impl Into<String>) -> Mistake {
        let (line, column) = self.place(path);
        Mistake { file: self.name.clone(), line, column, path: path.join("."), message: message.into() }
    }

    /// Returns line and column of the key `path`, or of the nearest table around it.
    pub fn place(&self, path: &[&str]) -> (usize, usize) {
        self.spans.line_and_column(&self.text, self.spans.nearest(path))
    }

    /// Returns whether the document has anything at `path`.
    pub fn says(&self, path: &[&str]) -> bool {
        self.spans.find(path).is_some_and(|_| !path.is_empty())
    }
}

impl Shape {
    /// Returns the shape that `schema` describes.
    pub fn new(schema: Value) -> Self {
        let validator = jsonschema::validator_for(&schema).map_err(|error| error.to_string());
        Self { schema, validator }
    }
}

fn table_value(table: &DeTable<'_>) -> (Value, Inside) {
    let mut object = serde_json::Map::new();
    let mut keys = BTreeMap::new();
    for (key, value) in table {
        let (value, inside) = spanned_value(value);
        keys.insert(key.get_ref().to_string(), Place { at: key.span().start, inside });
        object.insert(key.get_ref().to_string(), value);
    }
    (Value::Object(object), Inside::Keys(keys))
}

fn spanned_value(value: &Spanned<DeValue<'_>>) -> (Value, Inside) {
    let plain = match value.get_ref() {
        DeValue::Array(items) => {
            let place = |item: &Spanned<DeValue<'_>>| {
                let (value, inside) = spanned_value(item);
                (value, Place { at: item.span().start, inside })
            };
            let (values, places) = items.iter().map(place).unzip();
            return (Value::Array(values), Inside::Items(places));
        }
        DeValue::Table(table) => return table_value(table),
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(b) => Value::Bool(*b),
        DeValue::Datetime(when) => Value::String(when.to_string()),
        DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix())
            .map_or_else(|_| Value::String(n.as_str().to_owned()), Value::from),
        DeValue::Float(n) => n
            .as_str()
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map_or_else(|| Value::String(n.as_str().to_owned()), Value::Number),
    };
    (plain, Inside::Nothing)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_syntax_error_names_its_line() {
        let error = Document::parse("a.toml", "a = 1\nb = = 2\n").unwrap_err();

        assert_eq!(error.0[0].line, 2);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,80}") {
            drop(Document::parse("a.toml", text));
        }
    }
}
