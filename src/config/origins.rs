//! Which layer states what: the documents and the environment's values, each parsed once.
//!
//! A mistake is reported where the value was stated: file and line, or the variable. A variable's text is read as TOML,
//! else as the text itself; other readings of it are left to `layers`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::configuration::DEFAULT;
use super::environment::Environment;
use crate::domain::document::{Document, Mistake, Mistakes};

/// The prefix of all of this program's variables.
const PREFIX: &str = "NOCTURNE__";

/// The name of the embedded defaults in messages.
const DEFAULT_NAME: &str = "config/default.toml";

/// The environment's values by dotted path, each with its variable's name.
pub(super) type Overrides = BTreeMap<String, (String, Value)>;

/// The layers, parsed.
pub(super) struct Origins {
    /// The embedded defaults, then the files; later ones take precedence.
    pub(super) documents: Vec<Document>,
    /// The values that the environment puts over them.
    pub(super) overrides: Overrides,
    /// Variables that name no key.
    pub(super) unnamed: Vec<Mistake>,
}

enum Layer<'a> {
    Variable(&'a str),
    Document(&'a Document),
}

impl Origins {
    /// Parses the layers.
    ///
    /// # Errors
    /// With every syntax error in every file.
    pub(super) fn parse(files: &[(PathBuf, String)], environment: &Environment) -> Result<Self, Mistakes> {
        let mut documents = vec![Document::parse(DEFAULT_NAME, DEFAULT)?];
        let mut mistakes = Vec::new();
        for (path, text) in files {
            match Document::parse(path.display().to_string(), text.as_str()) {
                Ok(document) => documents.push(document),
                Err(found) => mistakes.extend(found.0),
            }
        }
        let (mut overrides, mut unnamed) = (Overrides::new(), Vec::new());
        for (name, text) in environment {
            let Some(path) = name.strip_prefix(PREFIX) else { continue };
            let path = path.to_lowercase().replace("__", ".");
            if path.split('.').any(str::is_empty) {
                unnamed.push(nowhere(name, "", "names no key; write NOCTURNE__SECTION__KEY".to_owned()));
            } else {
                overrides.insert(path, (name.clone(), parsed(text)));
            }
        }
        Mistakes::unless_none(mistakes, Self { documents, overrides, unnamed })
    }

    /// Returns a mistake at `path`, placed where the value was stated.
    pub(super) fn mistake(&self, path: &str, message: String) -> Mistake {
        match self.layer_of(path) {
            Some(Layer::Variable(name)) => nowhere(name, path, message),
            Some(Layer::Document(document)) => document.mistake(&path.split('.').collect::<Vec<_>>(), message),
            None => nowhere("configuration", path, message),
        }
    }

    /// Returns where the value at `path` comes from: a variable, a file with its line, or `default`.
    pub(super) fn origin(&self, path: &str) -> String {
        match self.layer_of(path) {
            Some(Layer::Variable(name)) => name.to_owned(),
            Some(Layer::Document(document)) if document.name != DEFAULT_NAME => {
                let (line, _) = document.place(&path.split('.').collect::<Vec<_>>());
                format!("{}:{line}", document.name)
            }
            Some(Layer::Document(_)) | None => "default".to_owned(),
        }
    }

    /// The layer that states the value at `path`, or the nearest table around it.
    fn layer_of(&self, path: &str) -> Option<Layer<'_>> {
        let said = self.overrides.iter().find(|(said, _)| is_within(path, said) || is_within(said, path));
        let keys: Vec<&str> = path.split('.').collect();
        let document = |keys: &[&str]| self.documents.iter().rev().find(|document| document.says(keys));
        match said {
            // A variable below the key is the cause if no document has a table there.
            Some((said, (name, _)))
                if is_within(path, said) || !document(&keys).is_some_and(|d| has_table(d, &keys)) =>
            {
                Some(Layer::Variable(name))
            }
            // A missing key is reported at its table.
            _ => (1..=keys.len()).rev().find_map(|n| document(&keys[..n])).map(Layer::Document),
        }
    }
}

/// Returns a mistake that has no line.
pub(super) fn nowhere(file: &str, path: &str, message: String) -> Mistake {
    Mistake { file: file.to_owned(), line: 0, column: 0, path: path.to_owned(), message }
}

/// Returns whether `path` is `key` or inside it.
pub(super) fn is_within(path: &str, key: &str) -> bool {
    path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Returns the value of a variable's text: parsed as TOML if possible, else the text itself.
pub(super) fn parsed(text: &str) -> Value {
    let is_datetime = |value: &toml::Value| matches!(value, toml::Value::Datetime(_));
    match toml::from_str::<toml::Table>(&format!("v = {text}")).ok().and_then(|mut table| table.remove("v")) {
        Some(value) if !is_datetime(&value) => {
            serde_json::to_value(value).unwrap_or_else(|_| Value::String(text.to_owned()))
        }
        _ => Value::String(text.to_owned()),
    }
}

fn has_table(document: &Document, keys: &[&str]) -> bool {
    keys.iter().try_fold(&document.value, |value, key| value.get(key)).is_some_and(Value::is_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_means_toml_where_it_is_toml() {
        assert_eq!(parsed("7"), Value::from(7));
        assert_eq!(parsed("[2, 4]"), serde_json::json!([2, 4]));
        assert_eq!(parsed("true"), Value::Bool(true));
        assert_eq!(parsed("/var/x"), Value::from("/var/x"));
        assert_eq!(parsed("2014-12-02"), Value::from("2014-12-02"));
    }
}
