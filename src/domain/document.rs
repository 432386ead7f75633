//! A TOML document checked against a JSON schema: every mistake at once, each with its line and what is allowed.
//!
//! One mechanism for DAG files, configuration, contracts and recipes. It promises that a document without mistakes
//! fits its schema, and that a mistake names file, line, key, what was found and what is allowed. It does not know
//! what the keys mean: cross checks are their owners' and are added to the same list.

use std::fmt;
use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use super::explain::among;
use super::explain::explain;

/// A parsed document that remembers where everything stands.
#[derive(Debug, Clone)]
pub struct Document {
    /// The name under which messages speak of it: a path, mostly.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Its content.
    pub value: Value,
    places: Vec<(Vec<String>, Range<usize>)>,
    /// The path of `value`, where it is a part of the text.
    prefix: Vec<String>,
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

/// All mistakes that were found, in order of their places.
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
        for mistake in &self.0 {
            write!(f, "\n  {mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

impl Mistakes {
    /// Returns `value` when there are no mistakes, and all of them, sorted, when there are.
    ///
    /// # Errors
    /// When there is a mistake.
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
            let mistakes = errors.iter().map(|error| {
                let (line, column) = line_and_column(&text, error.span().map_or(0, |span| span.start));
                let message = format!("this is not TOML: {}", error.message());
                Mistake { file: name.clone(), line, column, path: String::new(), message }
            });
            let mistakes: Vec<Mistake> = mistakes.collect();
            Mistakes::unless_none(mistakes, ())?;
        }
        let mut places = Vec::new();
        let value = table_value(table.get_ref(), &mut Vec::new(), &mut places);
        Ok(Self { name, value, places, prefix: Vec::new(), text })
    }

    /// Returns a document that has content and no text: its mistakes have paths and no lines.
    pub fn of_value(name: impl Into<String>, value: Value) -> Self {
        Self { name: name.into(), text: String::new(), value, places: Vec::new(), prefix: Vec::new() }
    }

    /// Returns the part of this document at `path`, whose content is `value`: its mistakes stand where they do here.
    pub fn part(&self, path: &[&str], value: Value) -> Self {
        Self { value, prefix: path.iter().map(|key| (*key).to_owned()).collect(), ..self.clone() }
    }

    /// Returns every place where the document does not fit `schema`.
    pub fn mistakes(&self, schema: &Value) -> Vec<Mistake> {
        let validator = match jsonschema::validator_for(schema) {
            Ok(validator) => validator,
            Err(error) => return vec![self.mistake(&[], format!("its schema is not valid: {error}"))],
        };
        let explained = validator.iter_errors(&self.value).flat_map(|error| explain(&error, schema));
        let placed = explained.map(|(inside, message)| {
            let path: Vec<&str> = self.prefix.iter().chain(&inside).map(String::as_str).collect();
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
        (0..=path.len())
            .rev()
            .find_map(|n| self.places.iter().find(|(place, _)| place.iter().eq(path[..n].iter())))
            .map_or((1, 1), |(_, span)| line_and_column(&self.text, span.start))
    }

    /// Returns whether the document says anything at `path`.
    pub fn says(&self, path: &[&str]) -> bool {
        self.places.iter().any(|(place, _)| place.iter().eq(path.iter()))
    }
}

fn table_value(table: &DeTable<'_>, path: &mut Vec<String>, places: &mut Vec<(Vec<String>, Range<usize>)>) -> Value {
    let mut object = serde_json::Map::new();
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        places.push((path.clone(), key.span()));
        object.insert(key.get_ref().to_string(), spanned_value(value, path, places));
        path.pop();
    }
    Value::Object(object)
}

fn spanned_value(
    value: &Spanned<DeValue<'_>>,
    path: &mut Vec<String>,
    places: &mut Vec<(Vec<String>, Range<usize>)>,
) -> Value {
    match value.get_ref() {
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
        DeValue::Array(items) => {
            let items = items.iter().enumerate().map(|(i, item)| {
                path.push(i.to_string());
                places.push((path.clone(), item.span()));
                let value = spanned_value(item, path, places);
                path.pop();
                value
            });
            Value::Array(items.collect())
        }
        DeValue::Table(table) => table_value(table, path, places),
    }
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at.min(text.len()))];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    (line, column)
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
