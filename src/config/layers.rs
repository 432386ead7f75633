//! Merges layers into one configuration in which each mistake knows its layer.
//!
//! The documents and the environment's values are merged, the whole is checked against the schema and the cross checks,
//! and mistakes are reported where the value was stated (`origins`). A variable's text is read as the type that its key
//! needs: TOML, else the text itself, else a list with commas between its items. The time for all this grows with the
//! text, which is limited: whatever is named as a configuration is checked within a second.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::checks::cross_checks;
use super::configuration::Config;
use super::environment::Environment;
use super::origins::{Origins, Overrides, is_within, nowhere, parsed};
use super::purpose::Use;
use crate::domain::document::{Document, Mistake, Mistakes, Shape};

/// How large a file may be, in bytes: a hundred times what a site's configuration takes, and less than what is likely
/// to be named by mistake.
const LARGEST: u64 = 2 << 20;

/// The layers before they are one.
#[derive(Debug, Clone)]
pub struct Layers {
    files: Vec<(PathBuf, String)>,
    environment: Environment,
    kinds: Vec<String>,
}

impl Layers {
    /// Reads the files; later ones take precedence.
    ///
    /// # Errors
    /// With every file that cannot be read or is too large.
    pub fn read(files: &[PathBuf], environment: Environment) -> Result<Self, Mistakes> {
        let mut texts = Vec::new();
        let mut mistakes = Vec::new();
        for path in files {
            match read_text(path) {
                Ok(text) => texts.push((path.clone(), text)),
                Err(why) => mistakes.push(nowhere(&path.display().to_string(), "", why)),
            }
        }
        let layers = Mistakes::unless_none(mistakes, Self::from_texts(texts, environment))?;
        layers.with_alerts_file()
    }

    /// Returns the layers with the file of alerts' routes below all other files, if there is one where they say it is.
    fn with_alerts_file(mut self) -> Result<Self, Mistakes> {
        // What does not parse, or says nothing of that kind, is reported with everything else.
        let Ok(origins) = Origins::parse(&self.files, &self.environment) else { return Ok(self) };
        let merged = merge(&origins.documents, &origins.overrides);
        let path = merged.get("paths").and_then(|paths| paths.get("alerts")).and_then(Value::as_str);
        let Some(path) = path.map(PathBuf::from).filter(|path| path.is_file()) else { return Ok(self) };
        let name = path.display().to_string();
        let text = read_text(&path).map_err(|why| Mistakes(vec![nowhere(&name, "", why)]))?;
        let document = Document::parse(name.as_str(), text.as_str())?;
        let others = document.value.as_object().into_iter().flatten().filter(|(section, _)| *section != "alerts");
        let allowed = "this file holds `alerts` only; write other sections into a file given with --config";
        let mistakes = others.map(|(section, _)| document.mistake(&[section], allowed)).collect();
        self.files.insert(0, (path, text));
        Mistakes::unless_none(mistakes, self)
    }

    /// Returns layers of these texts.
    pub fn from_texts(files: Vec<(PathBuf, String)>, environment: Environment) -> Self {
        Self { files, environment, kinds: Vec::new() }
    }

    /// Returns these layers for a program with these kinds of job: limits of other kinds are mistakes.
    pub fn with_kinds(self, kinds: Vec<String>) -> Self {
        Self { kinds, ..self }
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

    /// Returns the configuration with each value of the wrong shape replaced by its default, and every mistake: for
    /// checks that go on despite mistakes.
    ///
    /// # Errors
    /// With every mistake, if the layers do not yield a configuration at all.
    pub fn config_with_mistakes(&self, purpose: Use) -> Result<(Config, Vec<Mistake>), Mistakes> {
        let mut origins = Origins::parse(&self.files, &self.environment)?;
        let shape = Shape::new(schemars::schema_for!(Config).to_value());
        let (mut merged, mut mistakes) = self.read_as_meant(&mut origins, &shape);
        mistakes.append(&mut origins.unnamed);
        // Where the shape is wrong the default is used, so that one pass also finds what makes no sense elsewhere.
        let wrong = Paths(mistakes.iter().map(|mistake| mistake.path.clone()).collect());
        for path in &wrong.0 {
            put_default(&mut merged, &origins.documents[0].value, path);
        }
        let config: Config = match serde_path_to_error::deserialize(merged) {
            Ok(config) => config,
            Err(error) => {
                let path = dotted(error.path());
                // A value of the wrong shape for which there is no default is missing here, and told already.
                if !wrong.touch(&path) {
                    mistakes.push(origins.mistake(&path, error.into_inner().to_string()));
                }
                return Err(Mistakes(mistakes));
            }
        };
        for (path, message) in cross_checks(&config, purpose, &self.kinds) {
            if !wrong.touch(&path) {
                mistakes.push(origins.mistake(&path, message));
            }
        }
        mistakes.sort();
        mistakes.dedup();
        Ok((config, mistakes))
    }

    /// Returns mistakes that were found with what the configuration does not hold, each placed where its path was stated.
    pub fn mistakes_at(&self, found: Vec<(String, String)>) -> Vec<Mistake> {
        let placed = |origins: &Origins, (path, message): (String, String)| origins.mistake(&path, message);
        // A file that does not parse states nothing; `config` reports its mistakes.
        match Origins::parse(&self.files, &self.environment) {
            Ok(origins) => found.into_iter().map(|one| placed(&origins, one)).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Returns, for a path, where the value at it comes from: a variable, a file with its line, or `default`.
    pub fn origins(&self) -> impl Fn(&str) -> String {
        // A file that does not parse states nothing; `config` reports its mistakes.
        let origins = Origins::parse(&self.files, &self.environment).ok();
        move |path| origins.as_ref().map_or_else(|| "default".to_owned(), |origins| origins.origin(path))
    }

    /// Returns the merged value and what is wrong with its shape, each variable read as its key needs.
    fn read_as_meant(&self, origins: &mut Origins, shape: &Shape) -> (Value, Vec<Mistake>) {
        let mut merged = merge(&origins.documents, &origins.overrides);
        let mut mistakes = placed(origins, &merged, shape);
        for path in origins.overrides.keys().cloned().collect::<Vec<_>>() {
            if !mistakes.iter().any(|mistake| is_within(&mistake.path, &path)) {
                continue;
            }
            // What looks like a number may be meant as text, and text as a list.
            for reading in other_readings(&self.environment[&origins.overrides[&path].0]) {
                let mut trial = origins.overrides.clone();
                trial.entry(path.clone()).and_modify(|(_, value)| *value = reading);
                let tried = merge(&origins.documents, &trial);
                let remaining = placed(origins, &tried, shape);
                if !remaining.iter().any(|mistake| is_within(&mistake.path, &path)) {
                    (origins.overrides, merged, mistakes) = (trial, tried, remaining);
                    break;
                }
            }
        }
        (merged, mistakes)
    }
}

/// Returns the text of a file, or why it cannot be a configuration.
fn read_text(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("is larger than {} MiB, which no configuration is: name another file", LARGEST >> 20));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        format!("is not UTF-8 text: line {line}")
    })
}

/// Writes a path as keys and places with dots between them.
fn dotted(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let keys = path.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    });
    keys.collect::<Vec<_>>().join(".")
}

/// Dotted paths of keys.
struct Paths(BTreeSet<String>);

impl Paths {
    /// Returns whether one of them is `path`, contains it or is inside it.
    fn touch(&self, path: &str) -> bool {
        let within = format!("{path}.");
        path.match_indices('.').any(|(end, _)| self.0.contains(&path[..end]))
            || self.0.contains(path)
            || self.0.range(within.clone()..).next().is_some_and(|first| first.starts_with(&within))
    }
}

fn placed(origins: &Origins, merged: &Value, shape: &Shape) -> Vec<Mistake> {
    let whole = Document::of_value("configuration", Value::Null);
    let found = whole.mistakes_at(&[], merged, shape);
    found.into_iter().map(|mistake| origins.mistake(&mistake.path, mistake.message)).collect()
}

/// Returns the merged layers: later ones win, tables key by key, everything else as a whole.
fn merge(documents: &[Document], overrides: &Overrides) -> Value {
    let mut merged = Value::Object(Map::new());
    for document in documents {
        lay_over(&mut merged, &document.value);
    }
    for (path, (_, value)) in overrides {
        let around = |value, key: &str| Value::Object([(key.to_owned(), value)].into_iter().collect());
        lay_over(&mut merged, &path.rsplit('.').fold(value.clone(), around));
    }
    merged
}

fn lay_over(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(under.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

/// What else a variable's text may mean: the text itself, or a comma-separated list.
fn other_readings(text: &str) -> [Value; 2] {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    [Value::String(text.to_owned()), items.map(parsed).collect()]
}

/// Replaces the value at `path` by the default, or removes it if there is no default.
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
