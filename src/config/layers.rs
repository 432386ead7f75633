//! Layers become one configuration, and each mistake knows its layer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use config::builder::DefaultState;
use config::{ConfigBuilder, File, FileFormat};
use serde_json::Value;

use super::{Config, DEFAULT, SourceKind};
use crate::domain::document::{Document, Mistake, Mistakes};
use crate::domain::schedule::parse_zone;
use crate::domain::spec::parse_duration;

/// The environment, as a value.
pub type Environment = BTreeMap<String, String>;

/// What every variable of ours begins with.
const PREFIX: &str = "NOCTURNE__";

/// The layers before they are one.
#[derive(Debug, Clone)]
pub struct Layers {
    files: Vec<(PathBuf, String)>,
    environment: Environment,
}

/// Returns the process's environment. Nothing else reads it.
pub fn process_environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
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
        let documents = self.documents()?;
        let schema = schemars::schema_for!(Config).to_value();
        let mut overrides = self.overrides();
        let mut merged = merge(&documents, &overrides)?;
        let mut mistakes = self.placed(&documents, &merged, &schema);
        // What looks like a number in the environment is text where text is wanted.
        let wants_text: Vec<String> =
            mistakes.iter().filter(|m| m.message.starts_with("expected text")).map(|m| m.path.clone()).collect();
        let mut changed = false;
        for (path, (name, value)) in &mut overrides {
            if wants_text.contains(path) {
                *value = Value::String(self.environment[name].clone());
                changed = true;
            }
        }
        if changed {
            merged = merge(&documents, &overrides)?;
            mistakes = self.placed(&documents, &merged, &schema);
        }
        Mistakes::unless_none(mistakes, ())?;
        let config: Config = serde_json::from_value(merged)
            .map_err(|error| Mistakes(vec![nowhere("configuration", "", error.to_string())]))?;
        let mistakes = cross_checks(&config).into_iter().map(|(path, message)| self.at(&documents, &path, message));
        Mistakes::unless_none(mistakes.collect(), config)
    }

    /// Returns where the value at `path` comes from: a variable, a file, or `default`.
    pub fn origin(&self, path: &str) -> String {
        let documents = self.documents().unwrap_or_default();
        self.layer_of(&documents, path).map_or_else(
            || "default".to_owned(),
            |layer| match layer {
                Layer::Variable(name) => name,
                Layer::Document(document) => document.name.clone(),
            },
        )
    }

    fn documents(&self) -> Result<Vec<Document>, Mistakes> {
        let mut documents = vec![Document::parse("config/default.toml", DEFAULT)?];
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

    fn layer_of<'a>(&self, documents: &'a [Document], path: &str) -> Option<Layer<'a>> {
        if let Some((name, _)) = self.overrides().get(path) {
            return Some(Layer::Variable(name.clone()));
        }
        let keys: Vec<&str> = path.split('.').collect();
        // A missing key is reported where its table stands.
        (1..=keys.len())
            .rev()
            .find_map(|n| documents.iter().rev().find(|document| document.says(&keys[..n])).map(Layer::Document))
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

/// What the shape alone cannot say, by dotted path.
fn cross_checks(config: &Config) -> Vec<(String, String)> {
    let mut mistakes = Vec::new();
    let mut note = |path: &str, message: String| mistakes.push((path.to_owned(), message));
    if let Err(error) = parse_zone(&config.institution.timezone) {
        note("institution.timezone", error.to_string());
    }
    if let Err(error) = parse_zone(&config.simulation.zone) {
        note("simulation.zone", error.to_string());
    }
    if let Err(message) = parse_duration(&config.features.delivery_grace) {
        note("features.delivery_grace", message);
    }
    for (name, source) in &config.sources {
        if source.kind == SourceKind::Files && source.path.is_none() {
            let variable = format!("NOCTURNE__SOURCES__{}__PATH", name.to_uppercase());
            note(
                &format!("sources.{name}.path"),
                format!("a source of files needs the folder or prefix of its exports (or set {variable})"),
            );
        }
    }
    if config.mail.transport == super::MailTransport::Smtp && config.mail.host.is_none() {
        note("mail.host", "SMTP needs the host of the server".to_owned());
    }
    if config.features.weeks.is_empty() {
        note("features.weeks", "training needs at least one course week".to_owned());
    }
    mistakes
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
