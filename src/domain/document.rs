//! A TOML document checked against a JSON schema: every mistake at once, each with its line and what is allowed.
//!
//! One mechanism for DAG files, configuration, contracts and recipes. It promises that a document without mistakes
//! fits its schema, and that a mistake names file, line, key, what was found and what is allowed. It does not know
//! what the keys mean: cross checks are their owners' and are added to the same list.

use std::fmt;
use std::ops::Range;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::LocationSegment;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

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
            return Err(Mistakes(mistakes.collect()));
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
        validator.iter_errors(&self.value).flat_map(|error| self.explain(&error, schema)).collect()
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

    fn explain(&self, error: &jsonschema::ValidationError<'_>, schema: &Value) -> Vec<Mistake> {
        let inside = error.instance_path().iter().map(|segment| match segment {
            LocationSegment::Property(name) => name.to_string(),
            LocationSegment::Index(index) => index.to_string(),
        });
        let path: Vec<String> = self.prefix.iter().cloned().chain(inside).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let allowed = allowed_keys(schema, &error.schema_path().to_string());
                let explain = |key: &String| {
                    let path: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
                    self.mistake(&path, format!("unknown key; {}", among(key, &allowed)))
                };
                unexpected.iter().map(explain).collect()
            }
            kind => vec![self.mistake(&path, sentence(kind, error))],
        }
    }
}

fn sentence(kind: &ValidationErrorKind, error: &jsonschema::ValidationError<'_>) -> String {
    let found = described(error.instance());
    match kind {
        ValidationErrorKind::Required { property } => format!("the key {property} is missing"),
        ValidationErrorKind::Type { kind: TypeKind::Single(wanted) } => {
            format!("expected {}, found {found}", type_words(&wanted.to_string()))
        }
        ValidationErrorKind::Type { kind: TypeKind::Multiple(wanted) } => {
            let wanted: Vec<&str> =
                wanted.iter().map(|w| type_words(&w.to_string())).filter(|w| *w != "null").collect();
            format!("expected {}, found {found}", wanted.join(" or "))
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> =
                options.as_array().into_iter().flatten().map(|o| o.to_string().replace('"', "")).collect();
            format!("found {found}; {}", among(error.instance().as_str().unwrap_or_default(), &options))
        }
        ValidationErrorKind::OneOfNotValid { .. } | ValidationErrorKind::AnyOf { .. } => {
            let options = constants(error);
            if options.is_empty() {
                format!("found {found}: {error}")
            } else {
                format!("found {found}; {}", among(error.instance().as_str().unwrap_or_default(), &options))
            }
        }
        ValidationErrorKind::Minimum { limit } => format!("found {found}; the smallest allowed is {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("found {found}; the largest allowed is {limit}"),
        ValidationErrorKind::Pattern { pattern } => format!("found {found}; it must match {pattern}"),
        _ => error.to_string(),
    }
}

/// The words that a `oneOf` of constants (an enum with documented variants) allows.
fn constants(error: &jsonschema::ValidationError<'_>) -> Vec<String> {
    let (ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context }) = error.kind() else {
        return Vec::new();
    };
    let mut words = Vec::new();
    for option in context.iter().flatten() {
        match option.kind() {
            ValidationErrorKind::Constant { expected_value } => {
                words.extend(expected_value.as_str().map(str::to_owned));
            }
            ValidationErrorKind::Enum { options } => {
                words.extend(options.as_array().into_iter().flatten().filter_map(|o| o.as_str().map(str::to_owned)));
            }
            _ => {}
        }
    }
    words
}

/// Returns "allowed are …", led by "did you mean" where a word is near.
pub fn among(found: &str, allowed: &[String]) -> String {
    let near = allowed
        .iter()
        .map(|word| (strsim::damerau_levenshtein(found, word), word))
        .filter(|(d, word)| *d <= 1 + word.len() / 4)
        .min();
    let list =
        if allowed.is_empty() { "none is allowed here".to_owned() } else { format!("allowed: {}", allowed.join(", ")) };
    near.map_or(list.clone(), |(_, word)| format!("did you mean `{word}`? {list}"))
}

/// The keys that the schema around an `additionalProperties` knows.
fn allowed_keys(schema: &Value, at: &str) -> Vec<String> {
    let around = at.rsplit_once('/').map_or("", |(around, _)| around);
    let mut node = schema;
    for segment in around.split('/').filter(|segment| !segment.is_empty()) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        let inside = if segment == "$ref" {
            resolve(schema, node)
        } else {
            segment.parse::<usize>().ok().and_then(|i| node.get(i)).or_else(|| node.get(segment.as_str()))
        };
        match inside {
            Some(inside) => node = inside,
            None => return Vec::new(),
        }
    }
    node.get("properties").and_then(Value::as_object).map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
}

fn resolve<'a>(schema: &'a Value, node: &Value) -> Option<&'a Value> {
    schema.pointer(node.get("$ref")?.as_str()?.strip_prefix('#')?)
}

fn described(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(b) => format!("`{b}`"),
        Value::Number(n) => format!("the number {n}"),
        Value::String(s) => format!("the text \"{}\"", s.chars().take(60).collect::<String>()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
    }
}

fn type_words(json_type: &str) -> &'static str {
    match json_type {
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "text",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a table",
        _ => "null",
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
    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Sample {
        name: String,
        count: u32,
        #[serde(default)]
        inner: Inner,
    }

    #[derive(Deserialize, JsonSchema, Default)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Inner {
        policy: crate::domain::dag::CatchUp,
        limit: Option<f64>,
    }

    fn mistakes(text: &str) -> Vec<String> {
        let schema = schemars::schema_for!(Sample).to_value();
        let document = Document::parse("a.toml", text).unwrap();
        let mut mistakes = document.mistakes(&schema);
        mistakes.sort();
        mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_mistake_is_told_with_its_line_and_what_is_allowed() {
        let found = mistakes("nam = 'x'\ncount = 'three'\n[inner]\npolicy = 'lates'\nlimit = true\n");

        assert_eq!(
            found,
            [
                "a.toml:1:1: the key \"name\" is missing",
                "a.toml:1:1: `nam`: unknown key; did you mean `name`? allowed: name, count, inner",
                "a.toml:2:1: `count`: expected a whole number, found the text \"three\"",
                "a.toml:4:1: `inner.policy`: found the text \"lates\"; did you mean `latest`? allowed: none, latest, all",
                "a.toml:5:1: `inner.limit`: expected a number, found `true`",
            ]
        );
    }

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
