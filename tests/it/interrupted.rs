//! Nights that are interrupted: killed, stopped, or already under way. Nothing is lost, nothing is done twice.
//!
//! A job of the night waits on a pipe, so that a test knows how far the night is without looking at a clock.

use std::process::Output;

use nocturne::telemetry::spawn_blocking;
use sqlx::Connection as _;

use crate::support::limit::{Patience, Running};
use crate::support::site::{SMALL, Site, text};

mod daemon;

const SITE: &str = r#"
[paths]
jobs = "dags"
[engine]
stop_grace_secs = 1
"#;

const DAG: &str = r#"
name = "night"
[jobs.pull]
kind = "canvas_pull"
with = { source = "canvas" }
[jobs.hold]
kind = "command"
needs = ["pull"]
with = { program = "sh", args = ["-c", "echo here > began.pipe && cat go.pipe"] }
[jobs.digest]
kind = "send_report"
needs = ["hold"]
when = "all_done"
with = { report = "digest" }
"#;

const NIGHT: [&str; 4] = ["run", "night", "--date", "2026-11-20"];

fn site() -> Site {
    site_with("")
}

fn site_with(configuration: &str) -> Site {
    let site = Site::new(&format!("{SMALL}{SITE}{configuration}"));
    site.write("dags/night.toml", DAG);
    site.pipe("began.pipe");
    site.pipe("go.pipe");
    site
}

/// Starts a night and waits until its `hold` has begun.
fn begin(site: &Site) -> Running {
    let night = site.start(&NIGHT);
    wait_for_hold(site);
    night
}

fn wait_for_hold(site: &Site) {
    assert_eq!(site.read_pipe("began.pipe"), "here\n");
}

/// Lets `hold` end.
fn go(site: &Site) {
    site.write_pipe("go.pipe", "go\n");
}

fn signal(child: &Running, name: &str) {
    child.signal(name);
}

fn ended(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), text(output))
}

fn runs(site: &Site) -> Vec<(String, String)> {
    let listed = site.nocturne(&["--json", "runs", "list"]);
    // Before the first start has made the state store there is nothing to list.
    if let Some(4 | 6) = listed.status.code() {
        return Vec::new();
    }
    let runs: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let word = |run: &serde_json::Value, key: &str| run[key].as_str().unwrap().to_owned();
    runs["runs"].as_array().unwrap().iter().map(|run| (word(run, "run_id"), word(run, "state"))).collect()
}

fn emails(site: &Site) -> usize {
    let files = site.files("var/outbox");
    files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "eml")).count()
}

#[test]
fn a_night_that_is_killed_goes_on_where_it_was_and_sends_one_e_mail() {
    let site = site();
    let mut killed = begin(&site);
    let before = site.files("var/lake");
    killed.kill().unwrap();
    killed.wait().unwrap();
    // What the dead night had begun still waits; it must not be taken for the next attempt's.
    go(&site);

    let resumed = begin(&site);
    go(&site);
    let (code, told) = ended(&resumed.wait_with_output().unwrap());

    assert_eq!(code, Some(0), "{told}");
    assert_eq!(runs(&site), vec![("night.2026-11-20.1".to_owned(), "succeeded".to_owned())]);
    assert_eq!(emails(&site), 1);
    let after = site.files("var/lake");
    assert!(before.iter().all(|file| after.contains(file)), "what was staged was staged again under other names");
    let pulled = text(&site.nocturne(&["--json", "runs", "show", "last"]));
    let shown: serde_json::Value = serde_json::from_str(&pulled).unwrap();
    let attempts = |name: &str| {
        let job = shown["jobs"].as_array().unwrap().iter().find(|job| job["name"] == name).unwrap();
        job["attempts"].as_u64().unwrap()
    };
    assert_eq!((attempts("pull"), attempts("hold")), (1, 2), "{pulled}");
}

#[test]
fn a_night_that_is_told_to_stop_stops_cleanly_and_the_next_is_whole() {
    let site = site();
    let night = begin(&site);
    signal(&night, "-INT");
    let (code, told) = ended(&night.wait_with_output().unwrap());

    assert_eq!(code, Some(130), "{told}");
    assert_eq!(runs(&site)[0].1, "cancelled", "{told}");
    assert!(told.contains("Stopped"), "{told}");

    let next = begin(&site);
    go(&site);
    let (code, told) = ended(&next.wait_with_output().unwrap());
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("up to date"), "the pull was done before: {told}");
}

#[test]
fn a_second_night_on_the_same_folder_waits_for_the_first_and_a_daemon_is_refused() {
    let site = site();
    let first = begin(&site);

    let late = ended(&site.nocturne(&[&NIGHT[..], &["--wait", "100ms"]].concat()));
    let daemon = ended(&site.nocturne(&["daemon"]));

    assert_eq!((late.0, daemon.0), (Some(7), Some(8)), "{}{}", late.1, daemon.1);
    assert!(late.1.contains("no run was made"), "{}", late.1);
    assert!(daemon.1.contains("owns the data folder"), "{}", daemon.1);
    go(&site);
    assert_eq!(first.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn a_night_that_a_daemon_owns_is_enqueued_there_and_followed() {
    let site = site();
    site.write("dags/other.toml", "name = 'other'\n[jobs.say]\nkind = 'command'\nwith = { program = 'true' }\n");
    let mut daemon = site.start(&["daemon"]);
    // The daemon registers as owner in the state store; a command before that is refused, and asks again.
    let patience = Patience::new("the daemon to live");
    let night = loop {
        patience.again();
        assert!(!daemon.has_ended(), "{}", text(&daemon.wait_with_output().unwrap()));
        let detached = site.nocturne(&[&NIGHT[..], &["--detach"]].concat());
        match detached.status.code() {
            Some(0) => break String::from_utf8(detached.stdout).unwrap(),
            Some(6) => {}
            other => panic!("{other:?}: {}", text(&detached)),
        }
    };
    wait_for_hold(&site);
    let followed = site.nocturne(&["run", "other", "--date", "2026-11-20"]);
    let late = site.nocturne(&[&NIGHT[..], &["--wait", "100ms"]].concat());
    signal(&daemon, "-TERM");
    let (code, told) = ended(&daemon.wait_with_output().unwrap());

    assert_eq!(night.trim(), "night.2026-11-20.1");
    assert_eq!(followed.status.code(), Some(0), "{}", text(&followed));
    assert_eq!(late.status.code(), Some(7), "{}", text(&late));
    assert!(text(&late).contains("begins when night.2026-11-20.1 has ended"), "{}", text(&late));
    assert_eq!(code, Some(0), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_whose_state_cannot_be_written_ends_and_says_so() {
    let (site, night) = spawn_blocking(|| {
        let site = site();
        let night = begin(&site);
        (site, night)
    })
    .await;
    let url = site.state_url();
    let mut state = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("ALTER TABLE attempts RENAME TO gone").execute(&mut state).await.unwrap();

    let (code, told) = spawn_blocking(move || {
        go(&site);
        ended(&night.wait_with_output().unwrap())
    })
    .await;

    assert_eq!(code, Some(6), "{told}");
    assert!(told.contains("carrying out run night.2026-11-20.1"), "{told}");
}
