//! Taking over from a released version: its database, its lake, and the night that it left unfinished.
//!
//! The state was written by that version itself (`tests/fixtures/released/`); the current program continues from it.

use std::path::Path;
use std::process::Output;

use flate2::read::GzDecoder;

use crate::support::site::{Site, text};

/// Unpacks what the released version left in a site of its own.
fn released() -> Site {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/released");
    let site = Site::new(&std::fs::read_to_string(fixture.join("site/site.toml")).unwrap());
    site.write("dags/night.toml", std::fs::read(fixture.join("site/dags/night.toml")).unwrap());
    let packed = std::fs::File::open(fixture.join("night.tar.gz")).unwrap();
    tar::Archive::new(GzDecoder::new(packed)).unpack(site.path()).unwrap();
    site.pipe("began.pipe");
    site.pipe("go.pipe");
    site
}

/// Runs the night of a date, and lets its `hold` end.
fn night(site: &Site, date: &str) -> Output {
    let night = site.start(&["run", "night", "--date", date]);
    assert_eq!(site.read_pipe("began.pipe"), "here\n");
    site.write_pipe("go.pipe", "go\n");
    night.wait_with_output().unwrap()
}

fn shown(site: &Site, run: &str) -> serde_json::Value {
    let shown = site.nocturne(&["--json", "runs", "show", run]);
    serde_json::from_slice(&shown.stdout).unwrap_or_else(|_| panic!("{}", text(&shown)))
}

fn attempts(shown: &serde_json::Value, name: &str) -> u64 {
    let job = shown["jobs"].as_array().unwrap().iter().find(|job| job["name"] == name).unwrap();
    job["attempts"].as_u64().unwrap()
}

fn emails_for(site: &Site, date: &str) -> usize {
    let files = site.files("var/outbox");
    let names = files.iter().map(|path| path.file_name().unwrap().to_string_lossy());
    names.filter(|name| name.contains(date) && name.ends_with(".eml")).count()
}

#[test]
fn a_database_on_which_the_released_version_is_at_work_is_left_alone() {
    let site = released();
    let lock = std::fs::File::options().create(true).append(true).open(site.path().join("var/scheduler.lock")).unwrap();
    lock.lock().unwrap();
    let before = std::fs::read(site.path().join("var/nocturne.db")).unwrap();

    for command in [&["run", "night", "--date", "2026-11-20"][..], &["daemon"], &["db", "migrate"]] {
        let refused = site.nocturne(command);

        assert_eq!(refused.status.code(), Some(8), "{command:?}: {}", text(&refused));
        assert!(text(&refused).contains("earlier version"), "{}", text(&refused));
    }
    let looked = site.nocturne(&["runs", "list"]);
    assert_eq!(looked.status.code(), Some(6), "{}", text(&looked));
    assert!(text(&looked).contains("`nocturne db migrate`"), "{}", text(&looked));
    assert!(std::fs::read(site.path().join("var/nocturne.db")).unwrap() == before, "the database was changed");
}

#[test]
fn a_night_that_the_released_version_left_in_the_middle_is_finished_and_the_next_one_runs() {
    let site = released();

    let resumed = night(&site, "2026-11-20");

    assert_eq!(resumed.status.code(), Some(0), "{}", text(&resumed));
    let run = shown(&site, "night.2026-11-20.1");
    assert_eq!(run["run"]["state"], "succeeded", "{run:#}");
    assert_eq!((attempts(&run, "pull"), attempts(&run, "hold")), (1, 2), "{run:#}");
    assert_eq!((emails_for(&site, "2026-11-19"), emails_for(&site, "2026-11-20")), (1, 1));

    let next = night(&site, "2026-11-21");

    assert_eq!(next.status.code(), Some(0), "{}", text(&next));
    assert_eq!(emails_for(&site, "2026-11-21"), 1);
    for check in [["db", "check"], ["lake", "verify"], ["quality", "quarantine"]] {
        let checked = site.nocturne(&check);
        assert_eq!(checked.status.code(), Some(0), "{}", text(&checked));
    }
}
