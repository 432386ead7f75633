//! What ARCHITECTURE.md promises about the code: imports go down only, no circles of files, readable sizes, one module
//! for each external dependency, and every kind in the registry.
//!
//! The table of directions is here and nowhere else. A check that looked at nothing fails; `facts` proves that each
//! finds what it is meant to find.

mod facts;
mod kinds;
mod sizes;
mod source;
mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use source::{Purpose, SourceFile};
use tree::{SRC, Tree, files, root};

/// Each layer or peer module at the top of `src/`, and those that it may import.
fn may_import() -> BTreeMap<&'static str, Vec<&'static str>> {
    let base = ["domain", "config", "telemetry"];
    let stores = ["store", "lake", "canvas"];
    let middle = ["engine", "features", "ml", "report"];
    let with = |lists: &[&[&'static str]]| lists.concat();
    BTreeMap::from([
        ("domain", vec![]),
        ("config", vec!["domain"]),
        ("telemetry", vec!["domain"]),
        ("store", base.to_vec()),
        ("lake", base.to_vec()),
        ("canvas", base.to_vec()),
        ("engine", with(&[&base, &stores])),
        ("features", with(&[&base, &stores])),
        ("ml", with(&[&base, &stores, &["features"]])),
        ("report", with(&[&base, &stores])),
        ("jobs", with(&[&base, &stores, &middle])),
        ("app", with(&[&base, &stores, &middle, &["jobs"]])),
        ("cli", with(&[&base, &stores, &middle, &["jobs", "app"]])),
    ])
}

/// Checks the imports, those of tests included, against the table of directions.
fn upward_imports(tree: &Tree) -> Vec<String> {
    let table = may_import();
    let top = |file: &SourceFile| file.module().first().cloned().unwrap_or_default();
    let mut breaches = Vec::new();
    for need in tree.needs() {
        let (from, to) = (top(&tree.files[need.from]), top(&tree.files[need.to]));
        if ["", "main"].contains(&from.as_str()) || from == to {
            continue;
        }
        let allowed = table.get(from.as_str()).unwrap_or_else(|| panic!("`{from}` is not in the table of directions"));
        if !allowed.contains(&to.as_str()) {
            breaches.push(format!("{} imports {}", tree.files[need.from].path, need.path));
        }
    }
    breaches.sort();
    breaches.dedup();
    breaches
}

/// The keys of the lake that are written as text outside `lake::keys`. Sentences for people may name a path.
fn keys_spelt(tree: &Tree) -> Vec<String> {
    let begins = |text: &str, root: &str| text.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
    let is_key = |text: &str| {
        ["restricted", "published"].iter().any(|root| begins(text, root) || text.contains(&format!("/{root}/")))
    };
    let mut breaches = Vec::new();
    assert!(tree.program().any(|file| !file.literals.is_empty()), "no literal was read: the check looked at nothing");
    for file in tree.program().filter(|file| file.path != "src/lake/keys.rs") {
        for literal in &file.literals {
            if literal.purpose == Purpose::Program && is_key(&literal.text) {
                breaches.push(format!("{}:{}: {:?}", file.path, literal.line, literal.text));
            }
        }
    }
    breaches
}

/// The crates that belong to one place but are named elsewhere.
fn crates_out_of_place(tree: &Tree) -> Vec<String> {
    let place = |file: &SourceFile, krate: &str| match krate {
        "smartcore" => file.path == "src/ml/model.rs",
        "sqlx" => file.module().starts_with(&["store".to_owned()]),
        "object_store" => file.module().starts_with(&["lake".to_owned()]),
        "polars" => !file.module().starts_with(&["domain".to_owned()]),
        _ => true,
    };
    let mut breaches = Vec::new();
    assert!(tree.files.iter().any(|file| !file.mentions.is_empty()), "no path was read: the check looked at nothing");
    for file in &tree.files {
        let imports = file.imports.iter().map(|one| (&one.path, one.purpose));
        for (path, purpose) in imports.chain(file.mentions.iter().map(|one| (&one.path, one.purpose))) {
            let krate = path.first().map_or("", String::as_str);
            if purpose == Purpose::Program && !place(file, krate) {
                breaches.push(format!("{} names {krate}", file.path));
            }
        }
    }
    breaches.dedup();
    breaches
}

#[test]
fn imports_go_down_only() {
    assert_eq!(upward_imports(&SRC), Vec::<String>::new());
}

#[test]
fn no_files_need_each_other_in_a_circle() {
    let circles = SRC.circles();
    let shown: Vec<String> = circles.iter().map(|circle| SRC.needs_within(circle).join("\n")).collect();
    assert!(circles.is_empty(), "{} circles of files:\n\n{}", circles.len(), shown.join("\n\n"));
}

#[test]
fn only_lake_keys_spells_keys_of_the_lake() {
    assert_eq!(keys_spelt(&SRC), Vec::<String>::new());
}

#[test]
fn foreign_crates_stay_in_their_place() {
    assert_eq!(crates_out_of_place(&SRC), Vec::<String>::new());
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut bare = Vec::new();
    for folder in ["src", "tests/it", "benches"] {
        for path in files(&root().join(folder), "rs") {
            if !fs::read_to_string(&path).unwrap().starts_with("//! ") {
                bare.push(path);
            }
        }
    }
    assert_eq!(bare, Vec::<PathBuf>::new(), "files without a //! header");
}

#[test]
fn ring_is_the_only_crypto_provider() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();

    assert!(lock.contains("name = \"ring\""));
    for other in ["aws-lc-rs", "aws-lc-sys", "openssl-sys", "native-tls"] {
        assert!(!lock.contains(&format!("name = \"{other}\"")), "{other} has entered Cargo.lock");
    }
}
