//! The contracts of the tables that a source may deliver: Canvas' own, and the site's.
//!
//! Canvas' contracts are files in `config/tables/`, compiled in: they say what each column is, what is personal and
//! what is dropped, and changing them means changing the program. A site's own tables (`web_logs_daily`, or any table
//! of the configuration) are added by name; a contract in the site's folder takes precedence over the built-in one. A
//! set with a mistake in it is refused, with all mistakes at once.
//!
//! How to add a table of Canvas: add its file to `config/tables/`, and its line to `CANVAS`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::domain::document::{Document, Mistake, Mistakes};
use crate::domain::ids::TableName;
use crate::domain::table::{TableContract, TermRule};

/// The contracts of a source, by table.
#[derive(Debug, Clone, PartialEq)]
pub struct Contracts(BTreeMap<TableName, TableContract>);

impl Contracts {
    /// Returns the contracts of Canvas' tables and of the `extra` ones; those in the site's own `folder` take
    /// precedence.
    ///
    /// # Errors
    /// With every mistake in a contract, every reference to something unknown, and every extra table without a
    /// contract.
    pub fn load(extra: &[String], folder: Option<&Path>) -> Result<Self, Mistakes> {
        let mut texts = Vec::new();
        let mut mistakes = Vec::new();
        for name in CANVAS.iter().map(|(name, _)| *name).chain(extra.iter().map(String::as_str)) {
            let own = folder.map(|folder| folder.join(format!("{name}.toml"))).filter(|path| path.is_file());
            let shipped = CANVAS.iter().chain(&SITE).find(|(known, _)| *known == name);
            match (own, shipped) {
                (Some(path), _) => match std::fs::read_to_string(&path) {
                    Ok(text) => texts.push((path.display().to_string(), text)),
                    Err(error) => {
                        mistakes.push(mistake(&path.display().to_string(), format!("cannot be read: {error}")));
                    }
                },
                (None, Some((_, text))) => texts.push((format!("config/tables/{name}.toml"), (*text).to_owned())),
                (None, None) => mistakes.push(mistake(
                    "sources",
                    format!(
                        "the table `{name}` has no contract: write {name}.toml into the source's `contracts` folder"
                    ),
                )),
            }
        }
        let mut contracts = Self(BTreeMap::new());
        for (file, text) in &texts {
            match read(file, text) {
                Ok(contract) => drop(contracts.0.insert(contract.name.clone(), contract)),
                Err(found) => mistakes.extend(found.0),
            }
        }
        if mistakes.is_empty() {
            mistakes.extend(contracts.dangling().into_iter().map(|message| mistake("contracts", message)));
        }
        Mistakes::unless_none(mistakes, contracts)
    }

    /// Keeps only the contracts of `tables`; an empty list keeps all.
    pub fn only(mut self, tables: &[String]) -> Self {
        self.0.retain(|name, _| tables.is_empty() || tables.iter().any(|table| table == name.as_str()));
        self
    }

    /// Returns the contract of `table`.
    pub fn find(&self, table: &str) -> Option<&TableContract> {
        self.0.values().find(|contract| contract.name.as_str() == table)
    }

    /// Returns the contracts, by name.
    pub fn iter(&self) -> impl Iterator<Item = &TableContract> {
        self.0.values()
    }

    /// Returns the contracts in the order in which the tables must be read, so that each row finds its term: terms,
    /// courses, enrolments, then the tables that depend on them.
    pub fn in_reading_order(&self) -> Vec<&TableContract> {
        let mut ordered: Vec<&TableContract> = self.0.values().collect();
        ordered.sort_by_key(|contract| match contract.term {
            TermRule::None => 0,
            TermRule::Term { .. } => 1,
            TermRule::Course { .. } if teaches_enrollments(contract) => 2,
            TermRule::Course { .. } => 3,
            TermRule::Enrollment { .. } => 4,
        });
        ordered
    }

    fn dangling(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        for table in self.0.values() {
            for (name, column) in &table.columns {
                let Some(target) = &column.refers_to else { continue };
                let found = target.split_once('.').and_then(|(to, key)| self.find(to)?.columns.get(key));
                match found {
                    None => mistakes.push(format!(
                        "table `{}`: `{name}` refers to `{target}`, which stands in no contract",
                        table.name
                    )),
                    Some(key) if key.person != column.person => mistakes.push(format!(
                        "table `{}`: `{name}` refers to `{target}` under another domain of pseudonyms, so they never meet",
                        table.name
                    )),
                    Some(_) => {}
                }
            }
        }
        mistakes
    }
}

/// Returns whether the table's rows say which enrolment belongs to which course.
pub(super) fn teaches_enrollments(contract: &TableContract) -> bool {
    sole_key(contract).is_some_and(|key| key.person.as_deref() == Some("enrollment"))
}

/// Returns the column that is the table's whole key.
pub(super) fn sole_key(contract: &TableContract) -> Option<&crate::domain::table::ColumnContract> {
    match contract.key.as_slice() {
        [only] => contract.columns.get(only),
        _ => None,
    }
}

macro_rules! tables {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../config/tables/", $name, ".toml")))),+]
    };
}

/// What Canvas delivers.
const CANVAS: [(&str, &str); 11] = tables![
    "accounts",
    "assignment_groups",
    "assignments",
    "course_sections",
    "courses",
    "enrollment_terms",
    "enrollments",
    "pseudonyms",
    "scores",
    "submissions",
    "users",
];

/// Additional tables of a site, used only if the configuration names them.
const SITE: [(&str, &str); 2] = tables!["demographics", "web_logs_daily"];

fn read(file: &str, text: &str) -> Result<TableContract, Mistakes> {
    let document = Document::parse(file, text)?;
    Mistakes::unless_none(document.mistakes(&schemars::schema_for!(TableContract).to_value()), ())?;
    let contract: TableContract = serde_json::from_value(document.value.clone())
        .map_err(|error| Mistakes(vec![document.mistake(&[], error.to_string())]))?;
    let mistakes = contract.mistakes().into_iter().map(|message| document.mistake(&[], message)).collect();
    Mistakes::unless_none(mistakes, contract)
}

fn mistake(file: &str, message: String) -> Mistake {
    Mistake { file: file.to_owned(), line: 0, column: 0, path: String::new(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::table::ColumnType;

    fn all() -> Contracts {
        Contracts::load(&["web_logs_daily".to_owned(), "demographics".to_owned()], None).unwrap()
    }

    #[test]
    fn every_contract_is_read_and_has_no_mistakes() {
        let shipped = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/tables")).unwrap().count();

        assert_eq!(all().iter().count(), shipped);
    }

    #[test]
    fn the_tables_of_the_site_are_there_only_when_they_are_named() {
        assert!(Contracts::load(&[], None).unwrap().find("demographics").is_none());
        assert!(all().find("demographics").is_some());
    }

    #[test]
    fn every_column_of_a_name_an_address_or_free_text_is_dropped() {
        let personal = [
            ("users", "name"),
            ("users", "sortable_name"),
            ("users", "short_name"),
            ("users", "pronouns"),
            ("users", "uuid"),
            ("pseudonyms", "unique_id"),
            ("pseudonyms", "sis_user_id"),
            ("pseudonyms", "integration_id"),
            ("pseudonyms", "last_login_ip"),
            ("pseudonyms", "current_login_ip"),
            ("submissions", "body"),
            ("submissions", "url"),
            ("submissions", "grade"),
            ("submissions", "turnitin_data"),
            ("submissions", "lti_user_id"),
            ("courses", "self_enrollment_code"),
            ("courses", "syllabus_body"),
            ("assignments", "description"),
        ];
        for (table, column) in personal {
            let contracts = all();
            let found = &contracts.find(table).unwrap().columns[column];
            assert!(found.dropped.is_some(), "{table}.{column} is kept");
        }
    }

    #[test]
    fn every_id_of_a_person_has_the_domain_of_what_it_refers_to() {
        let contracts = all();
        let person = |table: &str, column: &str| contracts.find(table).unwrap().columns[column].person.clone();

        assert_eq!(person("scores", "enrollment_id"), person("enrollments", "id"));
        assert_eq!(person("enrollments", "sis_pseudonym_id"), person("pseudonyms", "id"));
        assert_eq!(person("submissions", "grader_id"), person("users", "id"));
        for table in contracts.iter() {
            for (name, column) in table.kept() {
                if name.contains("user_id") || name == "grader_id" {
                    assert_eq!(column.person.as_deref(), Some("user"), "{}.{name}", table.name);
                    assert_eq!(column.kind, ColumnType::Id);
                }
            }
        }
    }

    #[test]
    fn a_reference_into_another_domain_of_pseudonyms_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"
            name = "visits"
            about = "A visit."
            key = ["visitor"]
            [columns]
            visitor = { type = "id", person = "visitor", refers_to = "users.id" }
            place = { type = "id", refers_to = "places.id" }
        "#;
        std::fs::write(folder.path().join("visits.toml"), text).unwrap();

        let refused = Contracts::load(&["visits".to_owned()], Some(folder.path())).unwrap_err();

        insta::assert_snapshot!(refused, @"
        2 mistakes
          contracts: table `visits`: `place` refers to `places.id`, which stands in no contract
          contracts: table `visits`: `visitor` refers to `users.id` under another domain of pseudonyms, so they never meet
        ");
    }

    #[test]
    fn a_table_without_a_contract_is_refused_by_name() {
        let mistakes = Contracts::load(&["attendance".to_owned()], None).unwrap_err();

        assert!(mistakes.to_string().contains("`attendance` has no contract"), "{mistakes}");
    }

    #[test]
    fn terms_courses_and_enrolments_are_read_before_what_hangs_on_them() {
        let contracts = all();
        let order: Vec<&str> = contracts.in_reading_order().iter().map(|contract| contract.name.as_str()).collect();
        let place = |table: &str| order.iter().position(|&name| name == table).unwrap();

        assert!(place("courses") < place("enrollments"));
        assert!(place("enrollments") < place("submissions"));
        assert!(place("submissions") < place("scores"));
    }
}
