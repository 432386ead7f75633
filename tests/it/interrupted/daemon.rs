//! A daemon that is told to end, killed, stopped or replaced, on SQLite and on PostgreSQL: its nights continue.

use std::process::Stdio;

use nocturne::telemetry::spawn_blocking;
use sqlx::{Connection as _, PgConnection};

use super::{NIGHT, Running, Site, begin, emails, ended, go, runs, signal, site, site_with, text, wait_for_hold};
use crate::support::limit::Patience;
use crate::support::postgres;

const SUCCEEDED: &str = "succeeded";

/// Enqueues the night with the daemon as soon as it is running, and waits until its `hold` has begun.
fn enqueue(site: &Site) {
    let patience = Patience::new("a daemon to live");
    loop {
        patience.again();
        let detached = site.nocturne(&[&NIGHT[..], &["--detach"]].concat());
        match detached.status.code() {
            Some(0) => return wait_for_hold(site),
            Some(6) => {}
            other => panic!("{other:?}: {}", text(&detached)),
        }
    }
}

/// Begins the night beside a daemon as soon as that is running, and waits until its `hold` has begun.
fn follow(site: &Site) -> Running {
    site.write("dags/other.toml", "name = 'other'\n[jobs.say]\nkind = 'command'\nwith = { program = 'true' }\n");
    let patience = Patience::new("a daemon to live");
    while site.nocturne(&["run", "other", "--detach"]).status.code() != Some(0) {
        patience.again();
    }
    let follower = site.start(&NIGHT);
    wait_for_hold(site);
    follower
}

fn wait_until_succeeded(site: &Site) {
    let patience = Patience::new("the night to succeed");
    while runs(site)[0].1 != SUCCEEDED {
        patience.again();
    }
}

fn attempts(site: &Site, name: &str) -> u64 {
    let shown = site.nocturne(&["--json", "runs", "show", "last"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let job = shown["jobs"].as_array().unwrap().iter().find(|job| job["name"] == name).unwrap();
    job["attempts"].as_u64().unwrap()
}

fn end(daemon: Running) {
    signal(&daemon, "-TERM");
    let (code, told) = ended(&daemon.wait_with_output().unwrap());
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn a_daemon_that_is_told_to_end_leaves_its_night_running_and_the_next_goes_on_with_it() {
    let site = site();
    let daemon = site.start(&["daemon"]);
    enqueue(&site);

    end(daemon);
    let between = runs(&site);
    let next = site.start(&["daemon"]);
    wait_for_hold(&site);
    go(&site);
    wait_until_succeeded(&site);
    end(next);

    assert_eq!(between, vec![("night.2026-11-20.1".to_owned(), "running".to_owned())]);
    assert_eq!((attempts(&site, "pull"), attempts(&site, "hold")), (1, 2));
    assert_eq!(emails(&site), 1);
}

#[test]
fn a_command_that_is_told_to_end_says_how_the_night_goes_on_and_it_does() {
    let site = site();
    let night = begin(&site);

    signal(&night, "-TERM");
    let (code, told) = ended(&night.wait_with_output().unwrap());
    let between = runs(&site);
    let next = begin(&site);
    go(&site);
    let (next_code, next_told) = ended(&next.wait_with_output().unwrap());

    assert_eq!(code, Some(143), "{told}");
    assert!(told.contains("Left open: the next start goes on with it"), "{told}");
    assert_eq!(between[0].1, "running");
    assert_eq!(next_code, Some(0), "{next_told}");
    assert_eq!((runs(&site).len(), emails(&site)), (1, 1));
}

#[test]
fn a_night_does_not_end_because_nobody_reads_what_it_says_or_its_terminal_is_gone() {
    let site = site();
    let mut command = site.command(&NIGHT, &[]);
    let mut night = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // As in `nocturne run night | head -1`.
    drop(night.stdout.take());
    let night = Running::new(night);
    wait_for_hold(&site);

    signal(&night, "-HUP");
    go(&site);
    let (code, _) = ended(&night.wait_with_output().unwrap());

    assert_eq!(code, Some(0));
    assert_eq!((runs(&site)[0].1.as_str(), emails(&site)), (SUCCEEDED, 1));
}

#[test]
fn a_second_daemon_is_refused_and_one_on_standby_takes_over_from_a_dead_one() {
    let site = site();
    let mut first = site.start(&["daemon"]);
    enqueue(&site);

    let (code, told) = ended(&site.nocturne(&["daemon"]));
    let standby = site.start(&["daemon", "--standby"]);
    first.kill().unwrap();
    first.wait().unwrap();
    wait_for_hold(&site);
    go(&site);
    wait_until_succeeded(&site);
    end(standby);

    assert_eq!(code, Some(8), "{told}");
    assert!(told.contains("--standby"), "{told}");
    assert_eq!((attempts(&site, "pull"), attempts(&site, "hold"), emails(&site)), (1, 2, 1));
}

#[test]
fn whoever_follows_the_run_of_a_daemon_that_dies_is_told_so_and_the_next_goes_on_with_it() {
    let site = site();
    let mut daemon = site.start(&["daemon"]);
    let follower = follow(&site);
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    // What the dead daemon had begun still waits; it must not be taken for the next attempt's.
    go(&site);

    let (code, told) = ended(&follower.wait_with_output().unwrap());

    assert_eq!(code, Some(6), "{told}");
    assert!(told.contains("the run stays open"), "{told}");
    let next = begin(&site);
    go(&site);
    assert_eq!(next.wait_with_output().unwrap().status.code(), Some(0));
    assert_eq!(runs(&site).len(), 2, "the other one and the night");
}

#[test]
fn a_daemon_whose_database_is_taken_away_says_so_and_ends() {
    let site = site();
    let daemon = site.start(&["daemon"]);
    enqueue(&site);
    std::fs::rename(site.path().join("var/nocturne.db"), site.path().join("var/elsewhere.db")).unwrap();

    let (code, told) = ended(&daemon.wait_with_output().unwrap());

    assert_eq!(code, Some(6), "{told}");
    assert!(told.contains("was removed or replaced while it was in use"), "{told}");
    assert!(!site.path().join("var/nocturne.db").exists(), "it made another");
}

#[test]
fn the_schedule_of_a_daemon_fires() {
    let site = site();
    site.write(
        "dags/night.toml",
        "name = 'night'\nschedule = '* * * * * *'\n[jobs.say]\nkind = 'command'\nwith = { program = 'true' }\n",
    );
    let daemon = site.start(&["daemon"]);

    let patience = Patience::new("two nights to succeed");
    while runs(&site).iter().filter(|(_, state)| state == SUCCEEDED).count() < 2 {
        patience.again();
    }
    end(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_a_night_is_whole_and_an_owner_that_stood_still_commits_nothing_more() {
    let url = postgres::new_database().await;
    spawn_blocking(move || stand_still(&url)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_a_night_goes_on_when_every_connection_of_it_is_cut() {
    let url = postgres::new_database().await;
    let configuration = format!("[state]\nurl = \"{url}\"\n");
    let (site, daemon) = spawn_blocking(move || {
        let site = site_with(&configuration);
        let daemon = site.start(&["daemon"]);
        enqueue(&site);
        (site, daemon)
    })
    .await;

    let mut beside = PgConnection::connect(&url).await.unwrap();
    let cut = sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    let cut = cut.fetch_all(&mut beside).await.unwrap().len();

    spawn_blocking(move || {
        go(&site);
        wait_until_succeeded(&site);
        end(daemon);
        assert!(cut > 0, "there was no connection to cut");
        assert_eq!((attempts(&site, "pull"), attempts(&site, "hold"), emails(&site)), (1, 1, 1));
    })
    .await;
}

fn stand_still(url: &str) {
    let site = site_with(&format!("[state]\nurl = \"{url}\"\n"));
    let first = site.start(&["daemon"]);
    enqueue(&site);

    // After its tenure: the standby takes over, ends nothing of the first's, and does the night's `hold` again.
    signal(&first, "-STOP");
    let standby = site.start(&["daemon", "--standby"]);
    wait_for_hold(&site);
    signal(&first, "-CONT");
    go(&site);
    wait_until_succeeded(&site);
    let (code, told) = ended(&first.wait_with_output().unwrap());
    end(standby);

    assert_eq!(code, Some(6), "{told}");
    assert!(told.contains("another scheduler has taken over"), "{told}");
    assert_eq!(runs(&site).len(), 1);
    assert_eq!((attempts(&site, "pull"), attempts(&site, "hold"), emails(&site)), (1, 2, 1));
    assert_eq!(site.nocturne(&["db", "check"]).status.code(), Some(0));
}
