//! Nothing grows for ever, and a backup can be restored: with the real program, on a site of its own.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use sqlx::{Connection as _, SqliteConnection};

use crate::support::site::{SMALL, Site, text};

const SITE: &str = r#"
[paths]
jobs = "dags"
[retention]
run_days = 2
runs_at_least = 2
"#;

/// A night of one job, which waits on a pipe if the file `wait` exists.
const DAG: &str = r#"
name = "night"
[jobs.say]
kind = "command"
with = { program = "sh", args = ["-c", "if test -e wait; then echo here > began.pipe; cat go.pipe; fi; echo done"] }
"#;

fn site() -> Site {
    let site = Site::new(&format!("{SMALL}{SITE}"));
    site.write("dags/night.toml", DAG);
    site
}

#[track_caller]
fn done(site: &Site, arguments: &[&str]) -> String {
    let output = site.nocturne(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output));
    text(&output)
}

fn night(site: &Site, date: &str) {
    done(site, &["run", "night", "--date", date]);
}

fn runs(site: &Site) -> Vec<String> {
    let listed: serde_json::Value = serde_json::from_slice(&site.nocturne(&["--json", "runs", "list"]).stdout).unwrap();
    listed["runs"].as_array().unwrap().iter().map(|run| run["run_id"].as_str().unwrap().to_owned()).collect()
}

fn execute(site: &Site, statements: &'static str) {
    let url = site.state_url();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut state = SqliteConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(statements).execute(&mut state).await.unwrap();
        state.close().await.unwrap();
    });
}

fn make_old(path: &Path, days: u64) {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 - days);
    File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

fn folders(site: &Site, below: &str) -> Vec<String> {
    // A folder that was never needed counts as an empty one.
    let Ok(found) = std::fs::read_dir(site.path().join(below)) else { return Vec::new() };
    let mut names: Vec<String> = found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_beyond_its_limits_goes_at_the_end_of_a_night_and_not_twice_a_day() {
    let site = site();
    for date in ["2026-11-10", "2026-11-11", "2026-11-12", "2026-11-13"] {
        night(&site, date);
    }
    for name in ["outcomes/night.2026-11-10.1.say.1.json", "processes/night.2026-11-13.1.say.1", "lake/parts/part"] {
        site.write(&format!("var/scratch/{name}"), "x");
        make_old(&site.path().join("var/scratch").join(name), 3);
    }
    execute(
        &site,
        "UPDATE runs SET queued_at = queued_at - 259200000000, finished_at = finished_at - 259200000000
         WHERE logical_date <> '2026-11-13'",
    );
    night(&site, "2026-11-14");
    assert_eq!(runs(&site).len(), 5, "it was done today");
    execute(&site, "DELETE FROM marks");

    night(&site, "2026-11-15");

    let left = ["night.2026-11-13.1", "night.2026-11-14.1", "night.2026-11-15.1"];
    let mut stored = runs(&site);
    stored.sort();
    assert_eq!(stored, left);
    assert_eq!(folders(&site, "var/logs"), left);
    assert_eq!(folders(&site, "var/scratch/outcomes"), Vec::<String>::new());
    assert_eq!(folders(&site, "var/scratch/processes"), Vec::<String>::new());
    assert_eq!(folders(&site, "var/scratch/lake/parts"), ["part"], "the lake's cache is the lake's");
    done(&site, &["db", "check"]);
}

#[test]
fn the_logs_of_a_night_that_runs_stay_and_the_oldest_go_beyond_the_bytes() {
    let site = Site::new(&format!("{SMALL}{SITE}log_mib = 1\n"));
    site.write("dags/night.toml", DAG);
    night(&site, "2026-11-10");
    night(&site, "2026-11-11");
    let big = "var/logs/night.2026-11-10.1/say.1.log";
    site.write(big, vec![b'x'; 2 << 20]);
    make_old(&site.path().join(big), 3);
    execute(&site, "DELETE FROM marks");

    night(&site, "2026-11-12");

    assert_eq!(folders(&site, "var/logs"), ["night.2026-11-11.1", "night.2026-11-12.1"]);
    assert_eq!(runs(&site).len(), 3, "the runs stay");
}

#[test]
fn a_backup_is_put_back_and_the_nights_go_on_from_it() {
    let site = site();
    site.write("dags/pull.toml", "name = 'pull'\n[jobs.pull]\nkind = 'canvas_pull'\nwith = { source = 'canvas' }\n");
    done(&site, &["run", "pull", "--date", "2026-11-18"]);
    done(&site, &["db", "backup", "kept.db"]);
    done(&site, &["run", "pull", "--date", "2026-11-20"]);

    let told = done(&site, &["db", "restore", "kept.db"]);

    assert!(told.contains("runs: 1, schema: 7") && told.contains("State and lake agree: 13 datasets"), "{told}");
    assert_eq!(runs(&site), ["pull.2026-11-18.1"]);
    let aside = folders(&site, "var").into_iter().find(|name| name.starts_with("nocturne.db.before-")).unwrap();
    let kept = format!("sqlite://var/{aside}");
    let checked = site.nocturne_with(&["db", "check"], &[("NOCTURNE__STATE__URL", &kept)]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked));
    done(&site, &["run", "pull", "--date", "2026-11-20"]);
    for check in [["db", "check"], ["lake", "verify"]] {
        done(&site, &check);
    }
}

#[test]
fn after_a_restore_nothing_goes_while_the_lake_lacks_what_the_state_names() {
    let site = site();
    site.write("dags/pull.toml", "name = 'pull'\n[jobs.pull]\nkind = 'canvas_pull'\nwith = { source = 'canvas' }\n");
    done(&site, &["run", "pull", "--date", "2026-11-18"]);
    for date in ["2026-11-10", "2026-11-11", "2026-11-12"] {
        night(&site, date);
    }
    execute(&site, "UPDATE runs SET queued_at = queued_at - 259200000000, finished_at = finished_at - 259200000000");
    execute(&site, "DELETE FROM marks");
    done(&site, &["db", "backup", "kept.db"]);
    let part = site.files("var/lake/restricted/tables/users/data").pop().unwrap();
    std::fs::rename(&part, site.path().join("part.aside")).unwrap();

    let restored = site.nocturne(&["db", "restore", "kept.db"]);

    let told = text(&restored);
    assert_eq!(restored.status.code(), Some(9), "{told}");
    assert!(
        told.contains("does not hold what the state store says is current: `restricted/tables/users/data/"),
        "{told}"
    );
    let told = done(&site, &["run", "night", "--date", "2026-11-13"]);
    assert!(told.contains("Nothing is removed"), "{told}");
    assert_eq!(runs(&site).len(), 5);

    std::fs::rename(site.path().join("part.aside"), &part).unwrap();
    night(&site, "2026-11-14");
    assert_eq!(runs(&site).len(), 3, "the newest two of `night`, and the pull, whose snapshots are current");
}

#[test]
fn a_restore_waits_for_nobody_and_takes_nothing_that_is_no_backup() {
    let site = site();
    night(&site, "2026-11-10");
    done(&site, &["db", "backup", "kept.db"]);
    let mut broken = std::fs::read(site.path().join("kept.db")).unwrap();
    broken[4096 * 2..].fill(0x5a);
    site.write("broken.db", broken);
    site.write("text.db", "no database at all");
    site.write("empty.db", "");

    for (from, why) in
        [("broken.db", "cannot be used"), ("text.db", ""), ("empty.db", "no state store"), ("gone.db", "")]
    {
        let refused = site.nocturne(&["db", "restore", from]);
        assert!(matches!(refused.status.code(), Some(5 | 6)), "{from}: {}", text(&refused));
        assert!(text(&refused).contains(why), "{from}: {}", text(&refused));
    }
    assert_eq!(runs(&site), ["night.2026-11-10.1"]);
    assert!(!folders(&site, "var").iter().any(|name| name.contains("before") || name.contains("restoring")));

    site.pipe("began.pipe");
    site.pipe("go.pipe");
    site.write("wait", "");
    let running = site.start(&["run", "night", "--date", "2026-11-11"]);
    site.read_pipe("began.pipe");
    let refused = site.nocturne(&["db", "restore", "kept.db"]);
    site.write_pipe("go.pipe", "go\n");
    assert_eq!(refused.status.code(), Some(8), "{}", text(&refused));
    assert_eq!(running.wait_with_output().unwrap().status.code(), Some(0));
}
