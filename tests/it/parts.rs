//! A pull that is interrupted between two tables: what it had handed over stays, and nothing is read or reported twice.

use std::collections::BTreeMap;
use std::fs;

use nocturne::store::RunFilter;
use sha2::{Digest as _, Sha256};

use crate::support::limit::Patience;
use crate::support::site::{SMALL, Site, text};

const SITE: &str = r#"
[sources.canvas]
kind = "files"
path = "exports"
anonymous = true
[paths]
jobs = "dags"
"#;

const DAG: &str = r#"
name = "night"
[jobs.pull]
kind = "canvas_pull"
with = { source = "canvas" }
retry = { attempts = 1 }
[jobs.digest]
kind = "send_report"
needs = ["pull"]
when = "all_done"
with = { report = "digest" }
"#;

const PART: &str = "exports/2026-11-20/submissions/part-00000.jsonl.gz";
const MANIFEST: &str = "exports/2026-11-20/manifest.json";

/// A site that has had a night for the export of the 17th, and has another of the 20th, in which a course has an
/// unknown column.
fn site() -> Site {
    let site = Site::new(&format!("{SMALL}{SITE}"));
    site.write("dags/night.toml", DAG);
    for date in ["2026-11-17", "2026-11-20"] {
        let made = site.nocturne(&["sim", "generate", &format!("exports/{date}"), "--date", date]);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    }
    add_column(&site);
    assert_eq!(night(&site, "2026-11-17").0, Some(0));
    site
}

fn add_column(site: &Site) {
    let name = "exports/2026-11-20/courses/part-00000.jsonl.gz";
    let packed = fs::read(site.path().join(name)).unwrap();
    let mut lines = String::new();
    std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(packed.as_slice()), &mut lines).unwrap();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, lines.replacen("\"value\":{", "\"value\":{\"novel\":1,", 1).as_bytes()).unwrap();
    site.write(name, gz.finish().unwrap());
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(site.path().join(MANIFEST)).unwrap()).unwrap();
    for table in ["courses", "submissions"] {
        assert!(manifest["tables"].as_object_mut().unwrap().remove(table).is_some(), "the manifest names {table}");
    }
    site.write(MANIFEST, manifest.to_string());
}

fn night(site: &Site, date: &str) -> (Option<i32>, String) {
    let output = site.nocturne(&["run", "night", "--date", date]);
    let shown = text(&site.nocturne(&["runs", "show", "last"]));
    (output.status.code(), format!("{}\n{shown}", text(&output)))
}

/// The hash of every file of the lake that must be the same for the same inputs.
fn hashes(site: &Site) -> BTreeMap<String, String> {
    let files = site.files("var/lake").into_iter().filter(|path| !path.ends_with("timings.json"));
    let hash = |path: &std::path::Path| hex::encode(Sha256::digest(fs::read(path).unwrap()));
    files.map(|path| (path.strip_prefix(site.path()).unwrap().display().to_string(), hash(&path))).collect()
}

/// How often each table was committed by the newest run, if there is one.
fn commits(site: &Site) -> BTreeMap<String, usize> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let events = runtime.block_on(async {
        let store = nocturne::store::look(&site.state_url()).await.unwrap();
        let newest = store.runs(&RunFilter { limit: Some(1), ..RunFilter::default() }).await.unwrap();
        store.events(&newest[0].run_id, 0).await.unwrap()
    });
    let mut commits = BTreeMap::new();
    for event in events.iter().map(|event| &event.event).filter(|event| event["event"] == "part_committed") {
        let (_, table) = event["part"].as_str().unwrap().split_once(' ').unwrap();
        *commits.entry(table.to_owned()).or_insert(0) += 1;
    }
    commits
}

fn runs(site: &Site) -> usize {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(nocturne::store::look(&site.state_url())).unwrap();
    runtime.block_on(store.runs(&RunFilter::default())).unwrap().len()
}

#[test]
fn a_pull_that_is_killed_between_two_tables_goes_on_with_the_next_and_says_what_it_would_have_said() {
    let (calm, stormy) = (site(), site());
    let (code, undisturbed) = night(&calm, "2026-11-20");
    assert_eq!(code, Some(9), "{undisturbed}");
    assert!(undisturbed.contains("novel"), "{undisturbed}");
    let mut killed = stormy.start(&["run", "night", "--date", "2026-11-20"]);
    let patience = Patience::new("a part of the second night");
    while runs(&stormy) < 2 || commits(&stormy).is_empty() {
        patience.again();
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let before = commits(&stormy);

    let (code, told) = night(&stormy, "2026-11-20");

    assert_eq!(code, Some(9), "{told}");
    assert!(!before.contains_key("submissions") && !before.contains_key("courses"), "it was killed late: {before:?}");
    assert!(commits(&calm).len() > before.len() && commits(&calm).values().all(|times| *times == 1));
    assert_eq!(commits(&stormy), commits(&calm));
    assert_eq!(hashes(&stormy), hashes(&calm));
    let findings = |told: &str| told.lines().filter(|line| line.contains("novel")).count();
    assert_eq!(findings(&told), findings(&undisturbed), "{told}\nundisturbed:\n{undisturbed}");
}

/// Two sites of the same kind whose rule holds back rows of the export of the 20th, which have had the night of the 17th.
fn holding_sites() -> [Site; 2] {
    [(), ()].map(|()| {
        let site = Site::new(&format!("{SMALL}{SITE}quality = \"rules\"\n"));
        site.write("dags/night.toml", DAG);
        for date in ["2026-11-17", "2026-11-20"] {
            let made = site.nocturne(&["sim", "generate", &format!("exports/{date}"), "--date", date]);
            assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        }
        spoil(&site);
        hold_back(&site, 5000);
        assert_eq!(night(&site, "2026-11-17").0, Some(0));
        site
    })
}

fn hold_back(site: &Site, limit: u32) {
    let rule = format!(
        "table = 'submissions'\n[rules.impossible]\nrows = 'score > {limit}'\naction = 'quarantine_rows'\nwhy = 'w'\n"
    );
    site.write("rules/submissions.toml", rule);
}

/// Gives some rows of the 20th an impossible score.
fn spoil(site: &Site) {
    let mut lines = String::new();
    let packed = fs::read(site.path().join(PART)).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(packed.as_slice()), &mut lines).unwrap();
    let spoilt: String = lines
        .lines()
        .enumerate()
        .map(|(n, line)| {
            let (before, rest) = line.split_once("\"score\":").unwrap();
            let (_, after) = rest.split_once(',').unwrap();
            if n < 9 { format!("{before}\"score\":9000.5,{after}\n") } else { format!("{line}\n") }
        })
        .collect();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, spoilt.as_bytes()).unwrap();
    site.write(PART, gz.finish().unwrap());
    site.write(MANIFEST, "{\"at\": \"2026-11-20T05:00:00Z\"}");
}

fn ledger(site: &Site) -> serde_json::Value {
    let told = site.nocturne(&["--json", "quality", "quarantine"]);
    serde_json::from_slice(&told.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&told)))
}

/// Starts a night of the 20th and kills it as soon as `is_time`.
fn kill(site: &Site, what: &'static str, is_time: impl Fn() -> bool) {
    let mut killed = site.start(&["run", "night", "--date", "2026-11-20"]);
    let patience = Patience::new(what);
    while !is_time() {
        patience.again();
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
}

#[test]
fn rows_that_wait_are_neither_lost_nor_doubled_when_the_pull_is_killed() {
    let [calm, stormy] = holding_sites();
    let held = |site: &Site| night(site, "2026-11-20");
    kill(&stormy, "the first part", || runs(&stormy) == 2 && !commits(&stormy).is_empty());
    kill(&stormy, "the part with the rows that wait", || commits(&stormy).contains_key("submissions"));

    let (undisturbed, told) = (held(&calm), held(&stormy));

    assert_eq!((undisturbed.0, told.0), (Some(9), Some(9)), "{}\n{}", undisturbed.1, told.1);
    assert_eq!(ledger(&calm)[0]["in"], 9, "{}", ledger(&calm));
    assert_eq!(ledger(&stormy), ledger(&calm));
    assert_eq!(hashes(&stormy), hashes(&calm));
    let waits =
        |told: &str| told.lines().filter(|line| line.contains("9 rows wait")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(waits(&told.1), waits(&undisturbed.1));
    assert!(!waits(&told.1).is_empty(), "{}", told.1);

    hold_back(&calm, 10_000);
    hold_back(&stormy, 10_000);
    let before = runs(&stormy);
    kill(&stormy, "the run that lets the rows pass", || runs(&stormy) > before);
    let (undisturbed, told) = (held(&calm), held(&stormy));

    assert_eq!((undisturbed.0, told.0), (Some(0), Some(0)), "{}\n{}", undisturbed.1, told.1);
    assert_eq!(ledger(&calm)[0]["released"], 9, "{}", ledger(&calm));
    assert!(commits(&calm).is_empty(), "no delivery is taken in again: {:?}", commits(&calm));
    assert_eq!(ledger(&stormy), ledger(&calm));
    assert_eq!(hashes(&stormy), hashes(&calm));
}

#[test]
fn a_pull_that_fails_for_good_keeps_what_it_had_handed_over_and_its_findings_are_told() {
    let site = site();
    let whole = fs::read(site.path().join(PART)).unwrap();
    fs::remove_dir_all(site.path().join("var")).unwrap();
    fs::remove_dir_all(site.path().join("exports/2026-11-17")).unwrap();
    site.write(PART, &whole[..whole.len() / 2]);

    let (code, told) = night(&site, "2026-11-20");

    assert_eq!(code, Some(1), "{told}");
    let digest = fs::read_to_string(site.path().join("var/outbox/night-digest.html")).unwrap();
    assert!(digest.contains("novel"), "the digest says nothing of what the courses bring");
    let listed = text(&site.nocturne(&["lake", "ls", "restricted/tables"]));
    assert!(listed.contains("courses") && !listed.contains("submissions"), "{listed}");
    site.write(PART, whole);
    let (code, told) = night(&site, "2026-11-20");
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(commits(&site), BTreeMap::from([("submissions".to_owned(), 1)]), "{told}");
}
