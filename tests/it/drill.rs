//! `nocturne drill kill9` with the real binary: it proves what it claims, and leaves nothing behind.

use std::path::Path;

use serde_json::Value;

use crate::support::site::{Site, text};

/// A site whose configuration and environment a drill must not use.
fn site() -> Site {
    Site::new("[lake]\nurl = 'lake-of-the-user'\n[state]\nurl = 'sqlite://state-of-the-user.db'\n")
}

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn drill(site: &Site, arguments: &[&str]) -> std::process::Output {
    let scratch = site.path().join("tmp");
    std::fs::create_dir_all(&scratch).unwrap();
    let environment = [
        ("TMPDIR", scratch.to_str().unwrap()),
        ("NOCTURNE__LAKE__URL", "another-lake"),
        ("NOCTURNE__MAIL__FOLDER", "another-outbox"),
    ];
    site.nocturne_with(&[&["drill", "kill9"], arguments].concat(), &environment)
}

#[test]
fn killed_nights_lose_nothing_and_double_nothing_and_the_drill_leaves_nothing_behind() {
    let site = site();
    std::fs::create_dir(site.path().join("tmp")).unwrap();
    let before = entries(site.path());

    let drilled = drill(&site, &["--nights", "2", "--seed", "3", "--json"]);

    let report: Value = serde_json::from_slice(&drilled.stdout).unwrap_or_else(|_| panic!("{}", text(&drilled)));
    assert_eq!(drilled.status.code(), Some(0), "{report:#}");
    assert_eq!((&report["lost"], &report["doubled"]), (&serde_json::json!([]), &serde_json::json!([])));
    assert_eq!((report["e_mails"].as_u64(), report["staged"].as_u64()), (Some(4), Some(0)), "{report:#}");
    assert!(report["files"].as_u64().unwrap() > 20, "{report:#}");
    let nights = report["nights"].as_array().unwrap();
    assert_eq!(nights.len(), 2);
    assert!(nights.iter().any(|night| night["kills"].as_u64().unwrap() > 0), "no moment hit a night: {report:#}");
    assert_eq!(entries(&site.path().join("tmp")), Vec::<String>::new());
    assert_eq!(entries(site.path()), before);
}

#[test]
fn a_drill_says_in_words_what_it_did_and_keeps_its_folder_when_asked() {
    let site = site();

    let drilled = drill(&site, &["--nights", "1", "--seed", "5", "--keep"]);

    let told = text(&drilled);
    assert_eq!(drilled.status.code(), Some(0), "{told}");
    for said in ["(--seed 5)", " 2026-11-03  ", "Lost: nothing.\n", "Doubled: nothing.\n", "Kept: "] {
        assert!(told.contains(said), "{said} is not in:\n{told}");
    }
    let kept = entries(&site.path().join("tmp"));
    assert_eq!(kept.len(), 1);
    assert_eq!(entries(&site.path().join("tmp").join(&kept[0])), ["killed", "undisturbed"]);
}
