//! The DAG files of the site: `jobs/<name>.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::Value;

use super::AppError;
use crate::config::{Config, Mail};
use crate::domain::dag::Dag;
use crate::domain::document::{Mistake, Mistakes};
use crate::domain::ids::DagName;
use crate::domain::spec::{DagFile, KindCatalogue as _, parse_dag};
use crate::jobs::{KindNames, SiteKinds};
use crate::store::{RunFilter, StateStore, StoreError};

/// How many of a DAG's newest runs are searched for one that its schedule made.
const RECALLED: u32 = 50;

/// The folder of DAG files.
pub struct Dags {
    folder: PathBuf,
    zone: String,
    /// To whom e-mail may go.
    mail: Mail,
    /// The last reading of each file, for callers that ask repeatedly.
    read: Mutex<BTreeMap<String, Read>>,
}

/// A file as it was read.
struct Read {
    modified: Option<SystemTime>,
    size_bytes: u64,
    /// `None`: it is not valid, and that was logged.
    dag: Option<Dag>,
    last_valid: Option<Dag>,
}

/// A DAG file that was read: its name, and the DAG or what is wrong in it.
pub(crate) type ReadFile = (String, Result<Dag, AppError>);

impl Dags {
    /// Returns the DAGs of this configuration.
    pub fn of(config: &Config) -> Self {
        let (folder, zone) = (config.paths.jobs.clone(), config.institution.timezone.clone());
        Self { folder, zone, mail: config.mail.clone(), read: Mutex::default() }
    }

    /// Returns every DAG, by name.
    ///
    /// # Errors
    /// With every mistake in every file.
    pub fn all(&self) -> Result<Vec<Dag>, AppError> {
        let mut dags = Vec::new();
        let mut mistakes = Vec::new();
        for name in self.names()? {
            match self.one(&name) {
                Ok(dag) => dags.push(dag),
                Err(AppError::Dag(found)) => mistakes.extend(found.0),
                Err(other) => return Err(other),
            }
        }
        Mistakes::unless_none(mistakes, dags).map_err(AppError::Dag)
    }

    /// Returns every file by its name, with its DAG or what is wrong in it.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn each(&self) -> Result<Vec<ReadFile>, AppError> {
        Ok(self.names()?.into_iter().map(|name| (name.clone(), self.one(&name))).collect())
    }

    /// Returns the DAGs that are valid; the others are logged: one broken file must not stop the other schedules. A
    /// file is read, and logged, again when it has changed.
    pub fn all_that_are_valid(&self) -> Vec<Dag> {
        self.read_changed(|_, read| read.dag.clone())
    }

    /// Returns each DAG as it was when its file was last valid. If that was before this value was made, it is the form
    /// that last ran for a slot, from the state store; one that never ran is left out.
    ///
    /// # Errors
    /// When the state store cannot be read.
    pub async fn as_last_valid(&self, store: &dyn StateStore) -> Result<Vec<Dag>, StoreError> {
        let unknown = self.read_changed(|name, read| read.last_valid.is_none().then(|| name.to_owned()));
        for name in unknown {
            let Ok(dag) = name.parse::<DagName>() else { continue };
            let filter = RunFilter { dag: Some(dag), limit: Some(RECALLED), ..RunFilter::default() };
            let runs = store.runs(&filter).await?;
            if let Some(run) = runs.iter().find(|run| run.slot.is_some()) {
                let dag = store.dag_of(&run.run_id).await?;
                let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(known) = read.get_mut(&name) {
                    known.last_valid.get_or_insert(dag);
                }
            }
        }
        Ok(self.read_changed(|_, read| read.last_valid.clone()))
    }

    /// Whether every file can be read and is valid.
    pub fn are_all_valid(&self) -> bool {
        self.all().is_ok()
    }

    fn read_changed<T>(&self, choose: impl Fn(&str, &Read) -> Option<T>) -> Vec<T> {
        let names = match self.names() {
            Ok(names) => names,
            Err(error) => {
                tracing::error!("{:#}", anyhow::Error::new(error));
                return Vec::new();
            }
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.retain(|name, _| names.contains(name));
        for name in &names {
            let found = std::fs::metadata(self.folder.join(format!("{name}.toml")));
            let (modified, size_bytes) = found.map_or((None, 0), |found| (found.modified().ok(), found.len()));
            let is_known = read.get(name).is_some_and(|known| {
                modified.is_some() && known.modified == modified && known.size_bytes == size_bytes
            });
            if !is_known {
                let dag =
                    self.one(name).map_err(|error| tracing::error!(dag = %name, "{:#}", anyhow::Error::new(error)));
                let dag = dag.ok();
                let before = read.remove(name).and_then(|known| known.last_valid);
                let last_valid = dag.clone().or(before);
                read.insert(name.clone(), Read { modified, size_bytes, dag, last_valid });
            }
        }
        read.iter().filter_map(|(name, read)| choose(name, read)).collect()
    }

    /// Returns the DAG `name`.
    ///
    /// # Errors
    /// When there is none, or with every mistake in its file.
    pub fn one(&self, name: &str) -> Result<Dag, AppError> {
        // An invalid name is not looked up: it could be a path.
        let path = self.folder.join(format!("{name}.toml"));
        let why = match name.parse::<DagName>() {
            Err(error) => Some(error.to_string()),
            Ok(_) if !path.is_file() => Some("it is not a file that can be read".to_owned()),
            Ok(_) => None,
        };
        if let Some(why) = why {
            let known = self.names()?;
            if known.iter().any(|file| file == name) {
                let message = format!("{why}; rename the file, or take it out of the folder");
                let file = path.display().to_string();
                let mistake = Mistake { file, line: 0, column: 0, path: String::new(), message };
                return Err(AppError::Dag(Mistakes(vec![mistake])));
            }
            let folder = self.folder.display().to_string();
            return Err(AppError::NoDag { name: name.to_owned(), folder, known: known.join(", ") });
        }
        let shown = path.display().to_string();
        let bytes = std::fs::read(&path).map_err(|cause| AppError::File { path: shown.clone(), cause })?;
        let text = String::from_utf8(bytes).map_err(|error| AppError::Dag(not_text(&shown, &error)))?;
        parse_dag(DagFile { path: &shown, stem: name, text: &text }, &self.zone, &SiteKinds(&self.mail))
            .map_err(AppError::Dag)
    }

    /// Returns the DAG `name` with parameters set: `JOB.KEY=VALUE`, the value as TOML or as text.
    ///
    /// # Errors
    /// As [`Self::one`], and with every setting that names an unknown job or does not fit the kind.
    pub fn one_with(&self, name: &str, set: &[String]) -> Result<Dag, AppError> {
        let mut dag = self.one(name)?;
        let mut mistakes = Vec::new();
        for setting in set {
            if let Err(message) = apply(&mut dag, setting, &self.mail) {
                let file = format!("--set {setting}");
                mistakes.push(Mistake { file, line: 0, column: 0, path: String::new(), message });
            }
        }
        Mistakes::unless_none(mistakes, dag).map_err(AppError::Dag)
    }

    /// Returns the names of all files, valid or not.
    pub fn names(&self) -> Result<Vec<String>, AppError> {
        let failed = |cause| AppError::File { path: self.folder.display().to_string(), cause };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            // Editors leave hidden files beside the one that is being edited.
            let stem = stem.filter(|stem| !stem.starts_with('.'));
            if path.extension().is_some_and(|extension| extension == "toml") {
                names.extend(stem);
            }
        }
        names.sort();
        Ok(names)
    }
}

fn not_text(file: &str, error: &std::string::FromUtf8Error) -> Mistakes {
    let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len) + 1;
    let message = "found a byte that is not UTF-8; save the file as UTF-8".to_owned();
    Mistakes(vec![Mistake { file: file.to_owned(), line, column, path: String::new(), message }])
}

fn apply(dag: &mut Dag, setting: &str, mail: &Mail) -> Result<(), String> {
    let (path, text) = setting.split_once('=').ok_or("write JOB.KEY=VALUE")?;
    let (job, key) = path.split_once('.').ok_or("write JOB.KEY=VALUE")?;
    let job = dag.jobs.values_mut().find(|found| found.name.as_str() == job).ok_or("there is no such job")?;
    let parsed = toml::from_str::<toml::Table>(&format!("v = {text}")).ok().and_then(|mut table| table.remove("v"));
    let value = parsed.and_then(|value| serde_json::to_value(value).ok()).unwrap_or_else(|| Value::from(text));
    let mut params = job.params.clone();
    params[key] = value;
    if let Some(schema) = KindNames.params_schema(job.kind.as_str()) {
        let document = crate::domain::document::Document::of_value(setting, params.clone());
        let mistakes = document.mistakes(&schema);
        if let Some(mistake) = mistakes.first() {
            return Err(mistake.message.clone());
        }
    }
    if let Some((_, message)) = SiteKinds(mail).objections(job.kind.as_str(), &params).into_iter().next() {
        return Err(message);
    }
    job.params = params;
    Ok(())
}
