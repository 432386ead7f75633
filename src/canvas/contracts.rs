//! The contracts of the tables that this program knows, and those of a site.
//!
//! How to add a table: write `config/tables/<table>.toml` (a test reads every file there) and its line in `KNOWN`;
//! or put the file into the folder that the source's `contracts` names, which needs no line. A table that Canvas does
//! not have is read only where the source's `extra` names it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::domain::document::{Document, Mistake, Mistakes};
use crate::domain::table::TableContract;

/// The tables of Canvas, in the order in which they are read: what others refer to comes first.
pub const CANVAS_TABLES: [&str; 11] = [
    "accounts",
    "enrollment_terms",
    "courses",
    "course_sections",
    "assignment_groups",
    "assignments",
    "users",
    "pseudonyms",
    "enrollments",
    "scores",
    "submissions",
];

/// The contracts that are part of the program.
const KNOWN: [(&str, &str); 13] = [
    ("accounts", include_str!("../../config/tables/accounts.toml")),
    ("enrollment_terms", include_str!("../../config/tables/enrollment_terms.toml")),
    ("courses", include_str!("../../config/tables/courses.toml")),
    ("course_sections", include_str!("../../config/tables/course_sections.toml")),
    ("assignment_groups", include_str!("../../config/tables/assignment_groups.toml")),
    ("assignments", include_str!("../../config/tables/assignments.toml")),
    ("users", include_str!("../../config/tables/users.toml")),
    ("pseudonyms", include_str!("../../config/tables/pseudonyms.toml")),
    ("enrollments", include_str!("../../config/tables/enrollments.toml")),
    ("scores", include_str!("../../config/tables/scores.toml")),
    ("submissions", include_str!("../../config/tables/submissions.toml")),
    ("web_logs_daily", include_str!("../../config/tables/web_logs_daily.toml")),
    ("demographics", include_str!("../../config/tables/demographics.toml")),
];

/// Returns the contracts of Canvas's tables and of the `extra` ones, in the order in which to read them.
///
/// # Errors
/// With every mistake in a contract, and every extra table that has none.
pub fn contracts(extra: &[String], folder: Option<&Path>) -> Result<Vec<TableContract>, Mistakes> {
    let mut texts: BTreeMap<&str, (String, String)> =
        KNOWN.iter().map(|(name, text)| (*name, (format!("config/tables/{name}.toml"), (*text).to_owned()))).collect();
    let mut mistakes = Vec::new();
    let wanted: Vec<&str> = CANVAS_TABLES.iter().copied().chain(extra.iter().map(String::as_str)).collect();
    for name in &wanted {
        if let Some(path) = folder.map(|folder| folder.join(format!("{name}.toml"))).filter(|path| path.is_file()) {
            match std::fs::read_to_string(&path) {
                Ok(text) => drop(texts.insert(name, (path.display().to_string(), text))),
                Err(error) => mistakes.push(mistake(&path.display().to_string(), format!("cannot be read: {error}"))),
            }
        }
    }
    let mut contracts = Vec::new();
    for name in wanted {
        let Some((file, text)) = texts.get(name) else {
            let message =
                format!("the table `{name}` has no contract: write {name}.toml into the source's `contracts` folder");
            mistakes.push(mistake("sources", message));
            continue;
        };
        match read(file, text) {
            Ok(contract) => contracts.push(contract),
            Err(found) => mistakes.extend(found.0),
        }
    }
    Mistakes::unless_none(mistakes, contracts)
}

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

    #[test]
    fn every_contract_that_is_shipped_is_sound_and_in_the_list() {
        let shipped = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/tables")).unwrap().count();

        let contracts = contracts(&["web_logs_daily".to_owned(), "demographics".to_owned()], None).unwrap();

        assert_eq!(contracts.len(), shipped);
    }

    #[test]
    fn no_kept_column_is_named_like_something_that_names_people() {
        let contracts = contracts(&["web_logs_daily".to_owned(), "demographics".to_owned()], None).unwrap();
        let telling =
            ["email", "login_id", "unique_id", "sortable", "short_name", "ip", "url", "body", "pronouns", "sis_user"];
        for contract in contracts {
            for (name, column) in contract.kept() {
                assert!(
                    !telling.iter().any(|word| name.split('_').any(|part| part == *word) || name == word),
                    "{}.{name}",
                    contract.name
                );
                let is_persons =
                    name == "user_id" || name.ends_with("_user_id") || name == "grader_id" || name == "enrollment_id";
                assert!(!is_persons || column.person.is_some(), "{}.{name} is a person's id", contract.name);
            }
        }
    }

    #[test]
    fn a_table_without_a_contract_is_refused_by_name() {
        let mistakes = contracts(&["attendance".to_owned()], None).unwrap_err();

        assert!(mistakes.to_string().contains("`attendance` has no contract"), "{mistakes}");
    }
}
