//! The catalogue: every feature set and label, with its SQL and its contract.
//!
//! The sets of the binary are embedded; a folder laid out like `sql/` replaces them all, so that everything that runs
//! is in one place. A set is refused, with all its mistakes at once, before anything is built: its contract is checked
//! and its SQL rendered and linted for an arbitrary cutoff.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;

use super::contract::{RowRule, SetContract};
use super::cutoff::Cutoff;
use super::error::FeatureError;
use super::lint::lint;
use super::template::{render, time_literals};
use crate::domain::ids::TableName;

/// The tables that a build adds to those of the sources.
pub(super) const POPULATION: &str = "population";
/// The courses of the partition, with their week and their dates as known at the cutoff.
pub(super) const CALENDAR: &str = "calendar";

const EMBEDDED_POPULATION: &str = include_str!("../../sql/features/population.sql");

macro_rules! embedded {
    ($($role:ident $folder:literal $name:literal),+ $(,)?) => {
        [$((
            Role::$role,
            $name,
            include_str!(concat!("../../sql/", $folder, "/", $name, ".sql")),
            include_str!(concat!("../../sql/", $folder, "/", $name, ".toml")),
        )),+]
    };
}

/// What a set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It describes enrolments at a cutoff.
    Features,
    /// It says what became of them.
    Label,
}

impl Role {
    fn what(self) -> &'static str {
        match self {
            Self::Features => "feature set",
            Self::Label => "label",
        }
    }
}

/// One feature set or label.
#[derive(Debug, Clone)]
pub struct FeatureSet {
    /// Its name.
    pub name: TableName,
    /// What it is for.
    pub role: Role,
    /// Its contract.
    pub contract: SetContract,
    pub(super) sql: Arc<str>,
    pub(super) population_sql: Arc<str>,
    reads: BTreeSet<String>,
}

/// The feature sets and labels, by name.
#[derive(Debug, Clone)]
pub struct Catalogue {
    sets: BTreeMap<(Role, String), FeatureSet>,
}

impl Catalogue {
    /// Returns the sets of the binary.
    ///
    /// # Errors
    /// When one is refused.
    pub fn embedded() -> Result<Self, FeatureError> {
        let population: Arc<str> = EMBEDDED_POPULATION.into();
        let sets = embedded![
            Features "features" "assessment",
            Features "features" "engagement",
            Label "labels" "at_risk",
        ];
        let mut catalogue = Self { sets: BTreeMap::new() };
        for (role, name, sql, contract) in sets {
            catalogue.add(FeatureSet::new(&SetSource { role, name, sql, contract, population_sql: &population })?);
        }
        Ok(catalogue)
    }

    /// Reads the sets of a folder laid out like `sql/`: `features/population.sql`, and `features/<set>.sql` and
    /// `labels/<label>.sql`, each with its `.toml`.
    ///
    /// # Errors
    /// When a file cannot be read or a set is refused.
    pub fn from_folder(folder: &Path) -> Result<Self, FeatureError> {
        let features = folder.join("features");
        let population: Arc<str> = read(&features.join("population.sql"))?.into();
        let mut catalogue = Self { sets: BTreeMap::new() };
        for (role, within) in [(Role::Features, features), (Role::Label, folder.join("labels"))] {
            for name in names(&within)? {
                let sql = read(&within.join(format!("{name}.sql")))?;
                let contract = read(&within.join(format!("{name}.toml")))?;
                catalogue.add(FeatureSet::new(&SetSource {
                    role,
                    name: &name,
                    sql: &sql,
                    contract: &contract,
                    population_sql: &population,
                })?);
            }
        }
        Ok(catalogue)
    }

    /// Returns the feature set `name`.
    ///
    /// # Errors
    /// When there is none.
    pub fn features(&self, name: &str) -> Result<&FeatureSet, FeatureError> {
        self.find(Role::Features, name)
    }

    /// Returns the label `name`.
    ///
    /// # Errors
    /// When there is none.
    pub fn label(&self, name: &str) -> Result<&FeatureSet, FeatureError> {
        self.find(Role::Label, name)
    }

    /// Returns all sets: features, then labels, each by name.
    pub fn sets(&self) -> impl Iterator<Item = &FeatureSet> {
        self.sets.values()
    }

    fn add(&mut self, set: FeatureSet) {
        self.sets.insert((set.role, set.name.to_string()), set);
    }

    fn find(&self, role: Role, name: &str) -> Result<&FeatureSet, FeatureError> {
        self.sets.get(&(role, name.to_owned())).ok_or_else(|| FeatureError::Unknown {
            what: role.what(),
            name: name.to_owned(),
            known: self
                .sets
                .values()
                .filter(|set| set.role == role)
                .map(|set| set.name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        })
    }
}

/// The texts that a set is made of.
#[derive(Debug, Clone, Copy)]
pub struct SetSource<'a> {
    /// Whether it is a feature set or a label.
    pub role: Role,
    /// Its name.
    pub name: &'a str,
    /// Its SQL.
    pub sql: &'a str,
    /// Its contract, in TOML.
    pub contract: &'a str,
    /// The SQL of the population over which it is built.
    pub population_sql: &'a Arc<str>,
}

impl FeatureSet {
    /// Returns the set made from these texts.
    ///
    /// # Errors
    /// When the contract or the SQL is refused.
    pub fn new(source: &SetSource<'_>) -> Result<Self, FeatureError> {
        let SetSource { role, name, sql, contract, population_sql } = *source;
        let set = name.to_owned();
        let refused = |mistakes| FeatureError::ContractMistakes { set: name.to_owned(), mistakes };
        let name = TableName::from_str(name).map_err(|error| refused(vec![error.to_string()]))?;
        let contract: SetContract =
            toml::from_str(contract).map_err(|source| FeatureError::Contract { set, source: Box::new(source) })?;
        let mistakes = contract.mistakes();
        if !mistakes.is_empty() {
            return Err(refused(mistakes));
        }
        let mut set = Self {
            name,
            role,
            contract,
            sql: sql.into(),
            population_sql: Arc::clone(population_sql),
            reads: BTreeSet::new(),
        };
        set.reads = set.find_reads()?;
        if set.reads.contains("demographics") {
            let mistake = "its SQL reads `demographics`, which is for the fairness audit alone".to_owned();
            return Err(FeatureError::ContractMistakes { set: set.name.to_string(), mistakes: vec![mistake] });
        }
        Ok(set)
    }

    /// Returns the set with some of its parameters changed.
    ///
    /// # Errors
    /// When the contract does not name one of them.
    pub fn with_params(mut self, params: &BTreeMap<String, f64>) -> Result<Self, FeatureError> {
        let known = self.contract.params.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let mistakes: Vec<String> = params
            .keys()
            .filter(|name| !self.contract.params.contains_key(*name))
            .map(|name| format!("there is no parameter `{name}`; there are {known}"))
            .collect();
        if !mistakes.is_empty() {
            return Err(FeatureError::ContractMistakes { set: self.name.to_string(), mistakes });
        }
        self.contract.params.extend(params.iter().map(|(name, value)| (name.clone(), *value)));
        Ok(self)
    }

    /// Returns the source tables that a build reads, those of the population and the calendar included, sorted.
    pub fn reads(&self) -> &BTreeSet<String> {
        &self.reads
    }

    /// Whether the set has one row for each enrolment of the population.
    pub(super) fn covers_population(&self) -> bool {
        self.contract.rows == RowRule::Population
    }

    /// Renders and lints the SQL for a cutoff.
    ///
    /// # Errors
    /// When it cannot be rendered or is refused.
    pub fn rendered(&self, cutoff: Cutoff) -> Result<Rendered, FeatureError> {
        let (sql, reads) = self.checked(self.name.as_str(), &self.sql, cutoff)?;
        let population = if self.covers_population() || reads.contains(POPULATION) {
            Some(self.checked(POPULATION, &self.population_sql, cutoff)?)
        } else {
            None
        };
        Ok(Rendered { sql, reads, population })
    }

    fn checked(&self, set: &str, sql: &str, cutoff: Cutoff) -> Result<(String, BTreeSet<String>), FeatureError> {
        let rendered = render(set, sql, cutoff, &self.contract.params)?;
        let linted = lint(&rendered, &time_literals(cutoff))
            .map_err(|refusals| FeatureError::Lint { set: set.to_owned(), refusals })?;
        Ok((rendered, linted.reads))
    }

    fn find_reads(&self) -> Result<BTreeSet<String>, FeatureError> {
        let rendered =
            self.rendered(Cutoff { event_before: Timestamp::UNIX_EPOCH, known_by: Timestamp::UNIX_EPOCH })?;
        let mut reads = rendered.reads;
        reads.extend(rendered.population.into_iter().flat_map(|(_, reads)| reads));
        reads.remove(CALENDAR);
        reads.remove(POPULATION);
        reads.insert("courses".to_owned());
        Ok(reads)
    }
}

/// A set's SQL for one cutoff.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The set's own SQL.
    pub sql: String,
    /// The tables that it reads.
    pub reads: BTreeSet<String>,
    /// The population's SQL and what it reads, where the set needs it.
    pub population: Option<(String, BTreeSet<String>)>,
}

fn read(path: &Path) -> Result<String, FeatureError> {
    std::fs::read_to_string(path).map_err(|source| FeatureError::File { path: path.to_owned(), source })
}

/// The sets of a folder, by name: its `.sql` files except the population's.
fn names(folder: &Path) -> Result<BTreeSet<String>, FeatureError> {
    let failed = |source| FeatureError::File { path: folder.to_owned(), source };
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_sql = path.extension().is_some_and(|extension| extension == "sql");
        if let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).filter(|name| is_sql && *name != POPULATION)
        {
            names.insert(name.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = r#"
        grain = "One row."
        key = ["enrollment_id"]
        owner = "tests"
        version = 1
        rows = "any"
        params = { least = 3.0 }
        [columns]
        enrollment_id = { type = "text", about = "The enrolment.", class = "key" }
    "#;

    fn set(sql: &str) -> Result<FeatureSet, FeatureError> {
        FeatureSet::new(&SetSource {
            role: Role::Features,
            name: "demo",
            sql,
            contract: CONTRACT,
            population_sql: &EMBEDDED_POPULATION.into(),
        })
    }

    #[test]
    fn the_sets_of_the_binary_are_those_of_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
        let names = |catalogue: Catalogue| -> Vec<(Role, String)> { catalogue.sets.into_keys().collect() };

        let embedded = names(Catalogue::embedded().unwrap());

        assert_eq!(embedded, names(Catalogue::from_folder(&folder).unwrap()));
        assert_eq!(embedded.len(), 3);
    }

    #[test]
    fn a_set_says_which_tables_it_reads() {
        let catalogue = Catalogue::embedded().unwrap();

        let reads = |set: &FeatureSet| set.reads().iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(reads(catalogue.features("engagement").unwrap()), "courses enrollments web_logs_daily");
        assert_eq!(reads(catalogue.features("assessment").unwrap()), "assignments courses enrollments submissions");
        assert_eq!(reads(catalogue.label("at_risk").unwrap()), "courses enrollments scores");
    }

    #[test]
    fn an_unknown_set_names_those_there_are() {
        let error = Catalogue::embedded().unwrap().features("engagment").unwrap_err();

        insta::assert_snapshot!(error, @"there is no feature set `engagment`: write `engagment.sql` and `engagment.toml`, or use one of assessment, engagement");
    }

    #[test]
    fn demographics_are_never_read() {
        let error = set("SELECT d.enrollment_id FROM demographics AS d").unwrap_err();

        insta::assert_snapshot!(error, @r"
        the contract of `demo` is refused:
          its SQL reads `demographics`, which is for the fairness audit alone
        ");
    }

    #[test]
    fn sql_that_the_lint_refuses_makes_no_set() {
        let error = set("SELECT e.id AS enrollment_id\nFROM enrollments AS e\nWHERE e.created_at < NOW()").unwrap_err();

        insta::assert_snapshot!(error, @r"
        the SQL of `demo` is refused:
          line 3, column 22: `now` is the wall clock: a rebuild would differ; use {{ as_of }}
        ");
    }

    #[test]
    fn a_parameter_that_the_contract_does_not_name_is_refused() {
        let set = set("SELECT e.id AS enrollment_id FROM enrollments AS e WHERE e.n > {{ least }}").unwrap();

        let error = set.with_params(&BTreeMap::from([("most".to_owned(), 5.0)])).unwrap_err();

        insta::assert_snapshot!(error, @r"
        the contract of `demo` is refused:
          there is no parameter `most`; there are least
        ");
    }
}
