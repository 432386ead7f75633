//! The house holds: imports go down only, every file says what it is for, and no file grows beyond reading.
//!
//! The table of directions is here and nowhere else. A check that looked at nothing fails.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and the rooms it may import.
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
        ("http", with(&[&base, &stores, &middle, &["jobs", "app"]])),
        ("cli", with(&[&base, &stores, &middle, &["jobs", "app", "http"]])),
    ])
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no .{extension} file below {}: the check would look at nothing", folder.display());
    found
}

fn room_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.strip_suffix(".rs").unwrap_or(&first).to_owned()
}

fn before_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

/// The rooms that `text` names behind `crate::`, in grouped imports too.
fn rooms_named(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => rooms.push(std::mem::take(&mut word)),
                    _ if depth == 0 => word.push(c),
                    _ => {}
                }
            }
            rooms.push(word);
        } else {
            rooms.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    rooms.iter().map(|room| room.trim().split("::").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn imports_go_down_only() {
    let table = may_import();
    let mut breaches = Vec::new();

    for path in files(&root().join("src"), "rs") {
        let room = room_of(&path);
        if room == "main" || room == "lib" {
            continue;
        }
        let allowed = table.get(room.as_str()).unwrap_or_else(|| panic!("`{room}` is not in the table of directions"));
        for named in rooms_named(&fs::read_to_string(&path).unwrap()) {
            if table.contains_key(named.as_str()) && named != room && !allowed.contains(&named.as_str()) {
                breaches.push(format!("{} imports {named}", path.display()));
            }
        }
    }

    assert_eq!(breaches, Vec::<String>::new());
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut bare = Vec::new();
    for folder in ["src", "tests/it"] {
        for path in files(&root().join(folder), "rs") {
            if !fs::read_to_string(&path).unwrap().starts_with("//! ") {
                bare.push(path);
            }
        }
    }
    assert_eq!(bare, Vec::<PathBuf>::new(), "files without a //! header");
}

#[test]
fn no_file_is_longer_than_600_lines_before_its_tests() {
    let long: Vec<String> = files(&root().join("src"), "rs")
        .into_iter()
        .filter_map(|path| {
            let lines = before_tests(&fs::read_to_string(&path).unwrap()).lines().count();
            (lines > 600).then(|| format!("{}: {lines}", path.display()))
        })
        .collect();
    assert_eq!(long, Vec::<String>::new());
}

#[test]
fn only_one_file_names_smartcore_and_only_keys_builds_object_paths() {
    let mut breaches = Vec::new();
    for path in files(&root().join("src"), "rs") {
        let text = fs::read_to_string(&path).unwrap();
        let inside = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        if before_tests(&text).contains("smartcore::") && inside != "src/ml/model.rs" {
            breaches.push(format!("{inside} names smartcore"));
        }
        if before_tests(&text).contains("polars") && room_of(&path) == "domain" {
            breaches.push(format!("{inside} names polars"));
        }
        let only_in_store_and_lake = [("sqlx::", "store"), ("object_store::", "lake")];
        for (krate, room) in only_in_store_and_lake {
            if before_tests(&text).lines().any(|line| !line.trim_start().starts_with("//") && line.contains(krate))
                && room_of(&path) != room
            {
                breaches.push(format!("{inside} names {krate}"));
            }
        }
    }
    assert_eq!(breaches, Vec::<String>::new());
}

#[test]
fn ring_is_the_only_crypto_provider() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();

    assert!(lock.contains("name = \"ring\""));
    for other in ["aws-lc-rs", "aws-lc-sys", "openssl-sys", "native-tls"] {
        assert!(!lock.contains(&format!("name = \"{other}\"")), "{other} has entered Cargo.lock");
    }
}

#[test]
fn every_kind_is_registered() {
    let registry = fs::read_to_string(root().join("src/jobs/mod.rs")).unwrap();
    let mut kinds = 0;
    for path in files(&root().join("src/jobs"), "rs") {
        let text = fs::read_to_string(&path).unwrap();
        let module = path.file_stem().unwrap().to_string_lossy().into_owned();
        if text.contains("\nimpl JobKind for ") {
            kinds += 1;
            assert!(registry.contains(&format!("register::<{module}::")), "`{module}` is a kind and not in the list");
        }
    }
    assert!(kinds >= 8, "{kinds} kinds were found: the check looked at too little");
}
