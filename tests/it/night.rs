//! A whole night of the simulated institution, with the real binary in an empty folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest as _, Sha256};

/// A small institution, so that a night is short.
const SITE: &str = r#"
[simulation]
students = 150
first_year = 2026
[features]
weeks = [4, 8]
"#;

struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("site.toml"), SITE).unwrap();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        for shared in ["jobs", "sql", "config"] {
            std::os::unix::fs::symlink(repository.join(shared), folder.path().join(shared)).unwrap();
        }
        Self(folder)
    }

    fn nocturne(&self, arguments: &[&str]) -> Output {
        self.nocturne_with(arguments, &[])
    }

    fn nocturne_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_nocturne"))
            .args(["--config", "site.toml"])
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    fn files(&self, below: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.0.path().join(below)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found.sort();
        found
    }

    /// The hash of every file of the lake that must be the same for the same inputs.
    fn hashes(&self) -> BTreeMap<String, String> {
        self.files("var/lake")
            .into_iter()
            .filter(|path| !path.ends_with("timings.json") && !path.to_string_lossy().contains("/staged/"))
            .map(|path| {
                let hash = hex::encode(Sha256::digest(fs::read(&path).unwrap()));
                (path.strip_prefix(self.0.path()).unwrap().display().to_string(), hash)
            })
            .collect()
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_night_runs_is_then_up_to_date_and_is_the_same_when_forced() {
    let site = Site::new();
    let night = ["run", "nightly", "--date", "2026-11-20"];

    let first = site.nocturne(&night);
    assert_eq!(first.status.code(), Some(0), "{}", text(&first));
    let before = site.hashes();
    assert!(before.len() > 20, "{before:?}");

    let second = site.nocturne(&night);
    assert_eq!(second.status.code(), Some(0), "{}", text(&second));
    assert_eq!(text(&second).matches("up to date").count(), 7, "{}", text(&second));

    let forced = site.nocturne_with(&[&night[..], &["--force"]].concat(), &[("POLARS_MAX_THREADS", "1")]);
    assert_eq!(forced.status.code(), Some(0), "{}", text(&forced));
    let after = site.hashes();
    let changed: Vec<&String> = before.keys().filter(|key| after.get(*key) != before.get(*key)).collect();
    assert_eq!(changed, Vec::<&String>::new(), "these files changed though their inputs did not");

    let letters = site.files("var/outbox").into_iter().filter(|path| path.extension().is_some_and(|e| e == "eml"));
    assert_eq!(letters.count(), 1, "no second e-mail goes out");
    nobody_is_named(&site);
}

/// Looks for every name and login of the institution in everything that was made of it.
fn nobody_is_named(site: &Site) {
    let export = site.0.path().join("var/scratch/simulation/2026-11-20");
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
    let database = fs::read(site.0.path().join("var/nocturne.db")).unwrap();
    let database = String::from_utf8_lossy(&database);
    assert!(names.iter().all(|name| !database.contains(name.as_str())), "the state store names a person");
}

#[test]
fn a_real_source_without_a_key_is_refused_with_what_to_do() {
    let site = Site::new();
    fs::write(site.0.path().join("site.toml"), "[sources.canvas]\nkind = 'files'\npath = 'exports'\n").unwrap();
    fs::create_dir(site.0.path().join("exports")).unwrap();

    let refused = site.nocturne(&["run", "nightly", "--date", "2026-11-20"]);

    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused));
    assert!(text(&refused).contains("privacy.key"), "{}", text(&refused));
}

#[test]
fn what_is_asked_for_and_not_there_is_told_by_name() {
    let site = Site::new();

    let dag = site.nocturne(&["run", "nighly"]);
    let run = site.nocturne(&["runs", "show", "nightly.2026-01-01.1"]);
    let dataset = site.nocturne(&["lake", "stat", "restricted/tables/users"]);

    assert_eq!((dag.status.code(), run.status.code(), dataset.status.code()), (Some(4), Some(4), Some(4)));
    assert!(text(&dag).contains("there are: nightly"), "{}", text(&dag));
}

#[test]
fn the_shipped_dags_and_configuration_are_valid() {
    let site = Site::new();

    let dags = site.nocturne(&["dags", "check"]);
    let config = site.nocturne(&["config", "check"]);

    assert_eq!((dags.status.code(), config.status.code()), (Some(0), Some(0)), "{}{}", text(&dags), text(&config));
}
