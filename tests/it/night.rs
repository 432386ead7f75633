//! A whole night of the simulated institution, with the real binary in an empty folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use nocturne::canvas::contracts::Contracts;
use polars::prelude::{ParquetReader, SerReader as _};
use sha2::{Digest as _, Sha256};

use crate::support::site::{Site, text};

/// A small institution, so that a night is short.
const SMALL: &str = r#"
[simulation]
students = 150
first_year = 2026
[features]
weeks = [4, 8]
"#;

/// The hash of every file of the lake that must be the same for the same inputs.
fn hashes(site: &Site) -> BTreeMap<String, String> {
    site.files("var/lake")
        .into_iter()
        .filter(|path| !path.ends_with("timings.json") && !path.to_string_lossy().contains("/staged/"))
        .map(|path| {
            let hash = hex::encode(Sha256::digest(fs::read(&path).unwrap()));
            (path.strip_prefix(site.path()).unwrap().display().to_string(), hash)
        })
        .collect()
}

#[test]
fn a_night_runs_is_then_up_to_date_and_is_the_same_when_forced() {
    let site = Site::new(SMALL);
    let night = ["run", "nightly", "--date", "2026-11-20"];

    // So few students teach a model no more than the simple rule knows: its e-mail says LOOK.
    let first = site.nocturne(&night);
    assert_eq!(first.status.code(), Some(9), "{}", text(&first));
    let before = hashes(&site);
    assert!(before.len() > 20, "{before:?}");

    let second = site.nocturne(&night);
    assert_eq!(second.status.code(), Some(0), "{}", text(&second));
    assert_eq!(text(&second).matches("up to date").count(), 7, "{}", text(&second));

    let forced = site.nocturne_with(&[&night[..], &["--force"]].concat(), &[("POLARS_MAX_THREADS", "1")]);
    assert_eq!(forced.status.code(), Some(9), "{}", text(&forced));
    let after = hashes(&site);
    let changed: Vec<&String> = before.keys().filter(|key| after.get(*key) != before.get(*key)).collect();
    assert_eq!(changed, Vec::<&String>::new(), "these files changed though their inputs did not");

    let emails = site.files("var/outbox").into_iter().filter(|path| path.extension().is_some_and(|e| e == "eml"));
    assert_eq!(emails.count(), 1, "no second e-mail goes out");
    nobody_is_named(&site);
    every_id_of_a_person_is_a_pseudonym(&site);
}

/// Checks every person's column of every part under `restricted/`: it holds pseudonyms and nothing else.
fn every_id_of_a_person_is_a_pseudonym(site: &Site) {
    let contracts = Contracts::load(&["web_logs_daily".to_owned(), "demographics".to_owned()], None).unwrap();
    let of_tables: BTreeSet<(String, String)> = contracts
        .iter()
        .flat_map(|table| table.kept().map(move |(name, column)| (table.name.to_string(), name.clone(), column)))
        .filter(|(_, _, column)| column.person.is_some())
        .map(|(table, name, _)| (table, name))
        .collect();
    let is_pseudonym = |text: &str| text == "auto" || text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let mut looked_at = BTreeSet::new();
    for path in
        site.files("var/lake/restricted").into_iter().filter(|path| path.extension() == Some("parquet".as_ref()))
    {
        let dataset = path.parent().and_then(Path::parent).and_then(Path::file_name).unwrap().to_str().unwrap();
        let frame = ParquetReader::new(fs::File::open(&path).unwrap()).finish().unwrap();
        for column in frame.columns() {
            let name = column.name().to_string();
            let is_persons = ["user_id", "enrollment_id"].contains(&name.as_str())
                || of_tables.contains(&(dataset.to_owned(), name.clone()));
            if !is_persons {
                continue;
            }
            for value in column.str().unwrap().iter().flatten() {
                assert!(is_pseudonym(value), "{dataset}.{name} holds what is no pseudonym");
                looked_at.insert((dataset.to_owned(), name.clone()));
            }
        }
    }
    for (dataset, column) in
        [("users", "id"), ("submissions", "grader_id"), ("assessment", "user_id"), ("at_risk", "enrollment_id")]
    {
        assert!(looked_at.contains(&(dataset.to_owned(), column.to_owned())), "{dataset}.{column} was not looked at");
    }
}

/// Looks for every name and login of the institution in everything that was made from it.
fn nobody_is_named(site: &Site) {
    let export = site.path().join("var/scratch/simulation/2026-11-20");
    let mut names = Vec::new();
    for (table, columns) in [("users", ["name", "sortable_name"]), ("pseudonyms", ["unique_id", "sis_user_id"])] {
        let file = fs::File::open(export.join(table).join("part-00000.jsonl.gz")).unwrap();
        for line in std::io::read_to_string(flate2::read::MultiGzDecoder::new(file)).unwrap().lines() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            names.extend(columns.iter().filter_map(|column| record["value"][column].as_str().map(str::to_owned)));
        }
    }
    names.retain(|name| name.len() >= 6);
    assert!(names.len() > 100, "the test would look for nothing");
    for folder in ["var/lake", "var/logs", "var/outbox"] {
        for path in site.files(folder) {
            let shown = path.display().to_string();
            let bytes = fs::read(&path).unwrap();
            let content = String::from_utf8_lossy(&bytes);
            for name in &names {
                assert!(!content.contains(name.as_str()), "{shown} names a person");
                assert!(!shown.contains(name.as_str()), "a file name names a person: {shown}");
            }
        }
    }
    let database = fs::read(site.path().join("var/nocturne.db")).unwrap();
    let database = String::from_utf8_lossy(&database);
    assert!(names.iter().all(|name| !database.contains(name.as_str())), "the state store names a person");
}

#[test]
fn a_real_source_without_a_key_is_refused_with_what_to_do() {
    let site = Site::new("[sources.canvas]\nkind = 'files'\npath = 'exports'\n");
    fs::create_dir(site.path().join("exports")).unwrap();

    let refused = site.nocturne(&["run", "nightly", "--date", "2026-11-20"]);

    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused));
    assert!(text(&refused).contains("privacy.key"), "{}", text(&refused));
}

#[test]
fn what_is_asked_for_and_not_there_is_told_by_name() {
    let site = Site::new(SMALL);

    let dag = site.nocturne(&["run", "nighly"]);
    let run = site.nocturne(&["runs", "show", "nightly.2026-01-01.1"]);
    let dataset = site.nocturne(&["lake", "stat", "restricted/tables/users"]);

    assert_eq!((dag.status.code(), run.status.code(), dataset.status.code()), (Some(4), Some(4), Some(4)));
    assert!(text(&dag).contains("there are: nightly"), "{}", text(&dag));
}

#[test]
fn the_shipped_dags_and_configuration_are_valid() {
    let site = Site::new(SMALL);

    let dags = site.nocturne(&["dags", "check"]);
    let config = site.nocturne(&["config", "check"]);

    assert_eq!((dags.status.code(), config.status.code()), (Some(0), Some(0)), "{}{}", text(&dags), text(&config));
}
