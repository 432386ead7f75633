//! Layers become one configuration, and each mistake knows its layer.
//!
//! The documents and the environment's values are merged (by the `config` crate), the whole is held against the schema
//! and the cross checks, and what is wrong is told where it was said: file and line, or the variable. A variable's text
//! is read as what its key wants: TOML, else the text itself, else a list with commas between its items.

use std::collections::BTreeMap;
use std::path::PathBuf;

use config::builder::DefaultState;
use config::{ConfigBuilder, File, FileFormat};
use serde_json::Value;

use super::checks::cross_checks;
use super::{Config, DEFAULT};
use crate::domain::document::{Document, Mistake, Mistakes};

/// The environment, as a value.
pub type Environment = BTreeMap<String, String>;

/// What every variable of ours begins with.
const PREFIX: &str = "NOCTURNE__";

/// What messages call the embedded defaults.
const DEFAULT_NAME: &str = "config/default.toml";

/// What a configuration is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// To run nights: everything must be right.
    Nights,
    /// To change something by hand in the state store: the sources may still be without their paths and keys.
    Acting,
    /// To look at what nights have left: nothing is made or changed, and the sources may be without paths and keys.
    Looking,
}

/// The layers before they are one.
#[derive(Debug, Clone)]
pub struct Layers {
    files: Vec<(PathBuf, String)>,
    environment: Environment,
}

impl Layers {
    /// Reads the files, in the order in which they win.
    ///
    /// # Errors
    /// With every file that cannot be read.
    pub fn read(files: &[PathBuf], environment: Environment) -> Result<Self, Mistakes> {
        let mut texts = Vec::new();
        let mut mistakes = Vec::new();
        for path in files {
            match std::fs::read_to_string(path) {
                Ok(text) => texts.push((path.clone(), text)),
                Err(error) => {
                    mistakes.push(nowhere(&path.display().to_string(), "", format!("cannot be read: {error}")));
                }
            }
        }
        Mistakes::unless_none(mistakes, Self { files: texts, environment })
    }

    /// Returns layers of these texts.
    pub fn from_texts(files: Vec<(PathBuf, String)>, environment: Environment) -> Self {
        Self { files, environment }
    }

    /// Returns the validated configuration.
    ///
    /// # Errors
    /// With every mistake in any layer.
    pub fn config(&self) -> Result<Config, Mistakes> {
        self.config_for(Use::Nights)
    }

    /// Returns the configuration, validated as far as `purpose` needs it.
    ///
    /// # Errors
    /// With every mistake in any layer.
    pub fn config_for(&self, purpose: Use) -> Result<Config, Mistakes> {
        let (config, mistakes) = self.config_with_mistakes(purpose)?;
        Mistakes::unless_none(mistakes, config)
    }

    /// Returns the configuration with the default in the place of each value of the wrong shape, and every mistake: for
    /// whoever looks at what is right beside what is wrong.
    ///
    /// # Errors
    /// With every mistake, where the layers make no configuration at all.
    pub fn config_with_mistakes(&self, purpose: Use) -> Result<(Config, Vec<Mistake>), Mistakes> {
        let documents = self.documents()?;
        let schema = schemars::schema_for!(Config).to_value();
        let mut overrides = self.overrides();
        let mut merged = merge(&documents, &overrides)?;
        let mut mistakes = self.placed(&documents, &merged, &schema);
        for path in overrides.keys().cloned().collect::<Vec<_>>() {
            if !mistakes.iter().any(|mistake| is_within(&mistake.path, &path)) {
                continue;
            }
            // What looks like a number may be meant as text, and text as a list.
            for reading in other_readings(&self.environment[&overrides[&path].0]) {
                let mut trial = overrides.clone();
                trial.entry(path.clone()).and_modify(|(_, value)| *value = reading);
                let tried = merge(&documents, &trial)?;
                let remaining = self.placed(&documents, &tried, &schema);
                if !remaining.iter().any(|mistake| is_within(&mistake.path, &path)) {
                    (overrides, merged, mistakes) = (trial, tried, remaining);
                    break;
                }
            }
        }
        // Where the shape is wrong the default stands in, so that one reading finds what makes no sense elsewhere too.
        let wrong: Vec<String> = mistakes.iter().map(|mistake| mistake.path.clone()).collect();
        for path in &wrong {
            put_default(&mut merged, &documents[0].value, path);
        }
        let config: Config = match serde_json::from_value(merged) {
            Ok(config) => config,
            Err(error) => {
                mistakes.push(nowhere("configuration", "", error.to_string()));
                return Err(Mistakes(mistakes));
            }
        };
        for (path, message) in cross_checks(&config, purpose) {
            if !wrong.iter().any(|wrong| is_within(&path, wrong) || is_within(wrong, &path)) {
                mistakes.push(self.at(&documents, &path, message));
            }
        }
        mistakes.sort();
        mistakes.dedup();
        Ok((config, mistakes))
    }

    /// Returns where the value at `path` comes from: a variable, a file with its line, or `default`.
    pub fn origin(&self, path: &str) -> String {
        // A file that does not parse has said nothing; `config` tells its mistakes.
        let documents = self.documents().unwrap_or_default();
        match self.layer_of(&documents, path) {
            Some(Layer::Variable(name)) => name,
            Some(Layer::Document(document)) if document.name != DEFAULT_NAME => {
                let (line, _) = document.place(&path.split('.').collect::<Vec<_>>());
                format!("{}:{line}", document.name)
            }
            Some(Layer::Document(_)) | None => "default".to_owned(),
        }
    }

    fn documents(&self) -> Result<Vec<Document>, Mistakes> {
        let mut documents = vec![Document::parse(DEFAULT_NAME, DEFAULT)?];
        let mut mistakes = Vec::new();
        for (path, text) in &self.files {
            match Document::parse(path.display().to_string(), text.as_str()) {
                Ok(document) => documents.push(document),
                Err(found) => mistakes.extend(found.0),
            }
        }
        Mistakes::unless_none(mistakes, documents)
    }

    /// The environment's values by dotted path, each with its variable's name.
    fn overrides(&self) -> BTreeMap<String, (String, Value)> {
        self.environment
            .iter()
            .filter_map(|(name, text)| {
                let path = name.strip_prefix(PREFIX)?.to_lowercase().replace("__", ".");
                Some((path, (name.clone(), parsed(text))))
            })
            .collect()
    }

    fn placed(&self, documents: &[Document], merged: &Value, schema: &Value) -> Vec<Mistake> {
        let whole = Document::of_value("configuration", merged.clone());
        whole.mistakes(schema).into_iter().map(|m| self.at(documents, &m.path.clone(), m.message)).collect()
    }

    fn at(&self, documents: &[Document], path: &str, message: String) -> Mistake {
        match self.layer_of(documents, path) {
            Some(Layer::Variable(name)) => nowhere(&name, path, message),
            Some(Layer::Document(document)) => document.mistake(&path.split('.').collect::<Vec<_>>(), message),
            None => nowhere("configuration", path, message),
        }
    }

    /// The layer that says what stands at `path`, or what stands around it.
    fn layer_of<'a>(&self, documents: &'a [Document], path: &str) -> Option<Layer<'a>> {
        let said = self.overrides().into_iter().find(|(said, _)| is_within(path, said) || is_within(said, path));
        let keys: Vec<&str> = path.split('.').collect();
        let document = |keys: &[&str]| documents.iter().rev().find(|document| document.says(keys));
        match said {
            // A variable below the key is to blame where no document has a table.
            Some((said, (name, _)))
                if is_within(path, &said) || !document(&keys).is_some_and(|d| has_table(d, &keys)) =>
            {
                Some(Layer::Variable(name))
            }
            // A missing key is reported where its table stands.
            _ => (1..=keys.len()).rev().find_map(|n| document(&keys[..n])).map(Layer::Document),
        }
    }
}

enum Layer<'a> {
    Variable(String),
    Document(&'a Document),
}

fn nowhere(file: &str, path: &str, message: String) -> Mistake {
    Mistake { file: file.to_owned(), line: 0, column: 0, path: path.to_owned(), message }
}

fn merge(documents: &[Document], overrides: &BTreeMap<String, (String, Value)>) -> Result<Value, Mistakes> {
    let mut builder = ConfigBuilder::<DefaultState>::default();
    for document in documents {
        builder = builder.add_source(File::from_str(&document.text, FileFormat::Toml));
    }
    let mut mistakes = Vec::new();
    for (path, (name, value)) in overrides {
        builder = match serde_json::from_value::<config::Value>(value.clone())
            .map_err(|error| error.to_string())
            .and_then(|value| builder.clone().set_override(path, value).map_err(|error| error.to_string()))
        {
            Ok(builder) => builder,
            Err(message) => {
                mistakes.push(nowhere(name, path, format!("names no key: {message}")));
                builder
            }
        };
    }
    let built = builder.build().and_then(config::Config::try_deserialize::<Value>);
    match built {
        Ok(value) => Mistakes::unless_none(mistakes, value),
        Err(error) => Err(Mistakes(vec![nowhere("configuration", "", error.to_string())])),
    }
}

/// The value that a variable's text means: TOML where it is one, else the text itself.
fn parsed(text: &str) -> Value {
    let is_datetime = |value: &toml::Value| matches!(value, toml::Value::Datetime(_));
    match toml::from_str::<toml::Table>(&format!("v = {text}")).ok().and_then(|mut table| table.remove("v")) {
        Some(value) if !is_datetime(&value) => {
            serde_json::to_value(value).unwrap_or_else(|_| Value::String(text.to_owned()))
        }
        _ => Value::String(text.to_owned()),
    }
}

/// What else a variable's text may mean: the text itself, or a list of what stands between its commas.
fn other_readings(text: &str) -> [Value; 2] {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    [Value::String(text.to_owned()), items.map(parsed).collect()]
}

/// Puts the default in the place of the value at `path`, or nothing where there is none.
fn put_default(merged: &mut Value, default: &Value, path: &str) {
    let (mut merged, mut default) = (merged, Some(default));
    let mut keys = path.split('.').peekable();
    while let Some(key) = keys.next() {
        let Value::Object(table) = merged else { return };
        default = default.and_then(|default| default.get(key));
        // A list is replaced as a whole: its items have no defaults.
        let is_last = keys.peek().is_none() || table.get(key).is_some_and(Value::is_array);
        if is_last {
            match default {
                Some(default) => table.insert(key.to_owned(), default.clone()),
                None => table.remove(key),
            };
            return;
        }
        let Some(inside) = table.get_mut(key) else { return };
        merged = inside;
    }
}

fn has_table(document: &Document, keys: &[&str]) -> bool {
    keys.iter().try_fold(&document.value, |value, key| value.get(key)).is_some_and(Value::is_object)
}

/// Returns whether `path` is `key` or lies within it.
fn is_within(path: &str, key: &str) -> bool {
    path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
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
