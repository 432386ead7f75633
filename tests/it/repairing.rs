//! Repairing, with the real binary: retry, backfill, mark, cancel, pause; each acts once, says what it did, and is
//! recorded in the audit log.

use std::time::{Duration, Instant};

use crate::support::limit::Running;
use crate::support::site::{SMALL, Site, text};

/// A site with the DAG `chain`: `first`, then `second`, which fails until the file `repaired` exists, then `third`.
fn chain() -> Site {
    let site = Site::new(&format!("{SMALL}\n[paths]\njobs = 'dags'\n"));
    let second = site.path().join("repaired");
    let header =
        "name = 'chain'\nschedule = '30 2 * * *'\ntimezone = 'America/Detroit'\n[defaults]\nretry = { attempts = 1 }\n";
    let job = |name: &str, needs: &str, script: &str| {
        format!(
            "[jobs.{name}]\nkind = 'command'\n{needs}\nwith = {{ program = 'sh', args = ['-c', '''{script}'''] }}\n"
        )
    };
    let jobs = [
        job("first", "", "echo first"),
        job("second", "needs = ['first']", &format!("test -e {}", second.display())),
        job("third", "needs = ['second']", "echo third"),
    ];
    site.write("dags/chain.toml", format!("{header}{}", jobs.join("")));
    site
}

/// A site with the DAG `slow`, whose job waits on the pipe `go` after it has written to the pipe `begun`.
fn slow(overlap: &str) -> Site {
    let site = Site::new(&format!("{SMALL}\n[paths]\njobs = 'dags'\n[engine]\nstop_grace_secs = 1\n"));
    site.pipe("begun");
    site.pipe("go");
    let (begun, go) = (site.path().join("begun"), site.path().join("go"));
    let script = format!("echo $NOCTURNE_RUN_ID > {}; read line < {}", begun.display(), go.display());
    let text = format!(
        "name = 'slow'\nschedule = '30 2 * * *'\noverlap = '{overlap}'\n[defaults]\nretry = {{ attempts = 1 }}\n\
         [jobs.wait]\nkind = 'command'\nwith = {{ program = 'sh', args = ['-c', '''{script}'''] }}\n"
    );
    site.write("dags/slow.toml", text);
    site
}

fn json(site: &Site, arguments: &[&str]) -> serde_json::Value {
    let output = site.nocturne(&[&["--json"], arguments].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output)))
}

fn states(site: &Site, run: &str) -> Vec<(String, String)> {
    let shown = json(site, &["runs", "show", run]);
    let jobs = shown["jobs"].as_array().unwrap().iter();
    let word = |job: &serde_json::Value, key: &str| job[key].as_str().unwrap().to_owned();
    let mut states: Vec<_> = jobs.map(|job| (word(job, "name"), word(job, "state"))).collect();
    states.sort();
    states
}

fn code(output: &std::process::Output) -> Option<i32> {
    output.status.code()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::yield_now();
    }
}

fn daemon(site: &Site) -> Running {
    let mut daemon = site.start(&["daemon"]);
    until("the daemon", || {
        assert!(!daemon.has_ended(), "the daemon has ended");
        let report = site.nocturne(&["--json", "doctor"]);
        let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
        let checks = report["checks"].as_array().unwrap();
        checks
            .iter()
            .any(|check| check["check"] == "owner" && check["found"].as_str().unwrap().contains("a daemon owns it"))
    });
    daemon
}

#[test]
fn a_retry_does_what_failed_and_all_that_needs_it_and_says_who_asked() {
    let site = chain();
    let failed = site.nocturne(&["run", "chain", "--date", "2026-11-17"]);
    site.write("repaired", "");

    let retried = site.nocturne(&["runs", "retry", "chain.2026-11-17", "--why", "the file is there now"]);
    let again = site.nocturne(&["runs", "retry", "chain.2026-11-17"]);

    assert_eq!((code(&failed), code(&retried)), (Some(1), Some(0)), "{}", text(&retried));
    let expected = [("first", "skipped"), ("second", "succeeded"), ("third", "succeeded")];
    assert_eq!(states(&site, "last"), expected.map(|(job, state)| (job.to_owned(), state.to_owned())));
    let run = &json(&site, &["runs", "show", "last"])["run"];
    assert_eq!((run["repairs"].as_str(), run["trigger"].as_str()), (Some("chain.2026-11-17.1"), Some("retry")));
    let audit = text(&site.nocturne(&["audit", "list"]));
    assert!(audit.contains("asked for the run chain.2026-11-17.2, which repairs chain.2026-11-17.1"), "{audit}");
    assert!(audit.contains(": the file is there now"), "{audit}");
    assert_eq!(code(&again), Some(5), "nothing failed in the newest run of that date: {}", text(&again));
}

#[test]
fn a_retry_from_a_job_does_it_and_what_needs_it_however_they_ended() {
    let site = chain();
    site.write("repaired", "");
    site.nocturne(&["run", "chain", "--date", "2026-11-17"]);

    let retried = site.nocturne(&["runs", "retry", "last", "--from", "second"]);
    let unknown = site.nocturne(&["runs", "retry", "last", "--from", "nowhere"]);

    assert_eq!(code(&retried), Some(0), "{}", text(&retried));
    assert_eq!(states(&site, "last")[0], ("first".to_owned(), "skipped".to_owned()));
    assert_eq!(code(&unknown), Some(4), "{}", text(&unknown));
}

#[test]
fn a_backfill_runs_the_dates_that_have_no_run_and_says_what_it_leaves() {
    let site = chain();
    site.write("repaired", "");
    site.nocturne(&["run", "chain", "--date", "2026-11-17"]);
    let range = ["backfill", "chain", "--from", "2026-11-16", "--to", "2026-11-18"];

    let planned = site.nocturne(&[&range[..], &["--dry-run"]].concat());
    let before = json(&site, &["runs", "list"])["runs"].as_array().unwrap().len();
    let done = site.nocturne(&[&range[..], &["--newest-first"]].concat());
    let nothing = site.nocturne(&range);

    let told = text(&planned);
    assert!(told.contains("2026-11-17  stays as it is: chain.2026-11-17.1 succeeded"), "{told}");
    assert!(told.contains("those for earlier dates leave them") && told.contains("No e-mail goes out"), "{told}");
    assert_eq!((before, code(&planned), code(&done)), (1, Some(0), Some(0)), "{}", text(&done));
    let order: Vec<&str> =
        std::str::from_utf8(&done.stdout).unwrap().lines().filter(|line| line.contains(".1 ")).collect();
    assert!(order.len() == 2 && order[0].contains("2026-11-18") && order[1].contains("2026-11-16"), "{order:?}");
    assert!(text(&nothing).contains("Nothing to do: all 3 dates have a run"), "{}", text(&nothing));
}

#[test]
fn a_backfill_of_failed_dates_runs_those_and_leaves_the_others() {
    let site = chain();
    site.nocturne(&["run", "chain", "--date", "2026-11-16"]);
    site.write("repaired", "");
    site.nocturne(&["run", "chain", "--date", "2026-11-17"]);
    let range = ["backfill", "chain", "--from", "2026-11-16", "--to", "2026-11-17"];

    let failed = site.nocturne(&[&range[..], &["--reprocess", "failed"]].concat());
    let all = site.nocturne(&[&range[..], &["--reprocess", "all", "--parallel", "2"]].concat());

    assert!(text(&failed).contains("1/1  chain.2026-11-16.2  succeeded"), "{}", text(&failed));
    assert!(text(&all).contains("2 succeeded."), "{}", text(&all));
}

#[test]
fn a_backfill_that_was_killed_is_whole_and_the_same_command_goes_on_with_it() {
    let site = slow("skip");
    let range = ["backfill", "slow", "--from", "2026-11-16", "--to", "2026-11-18"];

    let mut first = site.start(&range);
    let begun = site.read_pipe("begun");
    first.kill().unwrap();
    first.wait().unwrap();
    let after_kill = json(&site, &["runs", "list"])["runs"].as_array().unwrap().len();
    let second = site.start(&range);
    let mut went_on = vec![begun];
    for _ in 0..3 {
        went_on.push(site.read_pipe("begun"));
        site.write_pipe("go", "on\n");
    }
    let done = second.wait_with_output().unwrap();

    assert_eq!(after_kill, 3, "all runs of a backfill are made at once");
    assert_eq!(code(&done), Some(0), "{}", text(&done));
    assert_eq!(went_on[0], went_on[1], "the run that was cut off comes first");
    assert!(text(&done).contains("3 succeeded."), "{}", text(&done));
}

#[test]
fn a_range_that_cannot_be_is_refused() {
    let site = chain();

    let backwards = site.nocturne(&["backfill", "chain", "--from", "2026-11-18", "--to", "2026-11-16"]);
    let future = site.nocturne(&["backfill", "chain", "--from", "2026-11-18", "--to", "2199-01-01"]);

    assert_eq!((code(&backwards), code(&future)), (Some(2), Some(2)));
    assert!(text(&backwards).contains("is after") && text(&future).contains("is in the future"));
}

#[test]
fn a_marked_job_counts_as_a_person_says() {
    let site = chain();
    site.nocturne(&["run", "chain", "--date", "2026-11-17"]);

    let marked = site.nocturne(&["runs", "mark", "last", "second", "succeeded", "--why", "done by hand"]);
    let twice = site.nocturne(&["runs", "mark", "last", "second", "succeeded", "--why", "done by hand"]);
    let third = site.nocturne(&["runs", "mark", "last", "third", "succeeded", "--why", "not needed"]);

    assert_eq!((code(&marked), code(&twice), code(&third)), (Some(0), Some(5), Some(0)), "{}", text(&twice));
    assert!(text(&marked).contains("the run counts as failed") && text(&third).contains("the run counts as succeeded"));
    assert!(
        text(&site.nocturne(&["runs", "show", "last"])).contains("marked the job second as succeeded: done by hand")
    );
}

#[test]
fn a_run_of_the_daemon_is_cancelled_when_the_command_returns() {
    let site = slow("skip");
    let mut daemon = daemon(&site);
    let detached = site.nocturne(&["run", "slow", "--date", "2026-11-17", "--detach"]);
    site.read_pipe("begun");

    let begun = Instant::now();
    let cancelled = site.nocturne(&["runs", "cancel", "last", "--why", "a wrong date"]);
    let took = begun.elapsed();

    assert_eq!((code(&detached), code(&cancelled)), (Some(0), Some(0)), "{}", text(&cancelled));
    assert!(text(&cancelled).contains("slow.2026-11-17.1 is cancelled"), "{}", text(&cancelled));
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(code(&site.nocturne(&["runs", "cancel", "last"])), Some(5));
    daemon.signal("-TERM");
    daemon.wait().unwrap();
}

#[test]
fn a_run_that_nobody_carries_out_is_cancelled_at_once() {
    let site = slow("skip");
    let mut command = site.start(&["run", "slow", "--date", "2026-11-17"]);
    site.read_pipe("begun");
    command.kill().unwrap();
    command.wait().unwrap();

    let cancelled = site.nocturne(&["runs", "cancel", "last"]);

    assert_eq!(code(&cancelled), Some(0), "{}", text(&cancelled));
    assert_eq!(json(&site, &["runs", "show", "last"])["run"]["state"], "cancelled");
}

#[test]
fn a_manual_run_waits_for_the_one_that_is_open() {
    let site = slow("skip");
    let mut daemon = daemon(&site);
    site.nocturne(&["run", "slow", "--date", "2026-11-17", "--detach"]);
    let first = site.read_pipe("begun");

    let second = site.start(&["run", "slow", "--date", "2026-11-18"]);
    until("the second run", || json(&site, &["runs", "list"])["runs"].as_array().unwrap().len() == 2);
    site.write_pipe("go", "on\n");
    let next = site.read_pipe("begun");
    site.write_pipe("go", "on\n");
    let second = second.wait_with_output().unwrap();

    assert_eq!((first.trim(), next.trim()), ("slow.2026-11-17.1", "slow.2026-11-18.1"));
    assert_eq!(code(&second), Some(0), "{}", text(&second));
    assert!(text(&second).contains("slow.2026-11-18.1 begins when slow.2026-11-17.1 has ended"), "{}", text(&second));
    daemon.signal("-TERM");
    daemon.wait().unwrap();
}

#[test]
fn a_command_beside_another_begins_when_that_has_ended() {
    let site = slow("skip");
    let first = site.start(&["run", "slow", "--date", "2026-11-17"]);
    site.read_pipe("begun");

    let second = site.start(&["run", "slow", "--date", "2026-11-18"]);
    site.write_pipe("go", "on\n");
    let next = site.read_pipe("begun");
    site.write_pipe("go", "on\n");

    assert_eq!(next.trim(), "slow.2026-11-18.1");
    assert_eq!(code(&first.wait_with_output().unwrap()), Some(0));
    assert_eq!(code(&second.wait_with_output().unwrap()), Some(0));
}

#[test]
fn whoever_leaves_a_daemons_run_is_told_that_it_goes_on() {
    let site = slow("skip");
    let mut daemon = daemon(&site);
    let follower = site.start(&["run", "slow", "--date", "2026-11-17"]);
    site.read_pipe("begun");

    follower.signal("-INT");
    let left = follower.wait_with_output().unwrap();
    let late = site.nocturne(&["run", "slow", "--date", "2026-11-18", "--wait", "1ms"]);
    let state = json(&site, &["runs", "show", "slow.2026-11-17"])["run"]["state"].clone();

    assert_eq!((code(&left), code(&late)), (Some(130), Some(7)), "{}{}", text(&left), text(&late));
    assert!(text(&left).contains("slow.2026-11-17.1 goes on with the daemon"), "{}", text(&left));
    assert_eq!(state, "running");
    site.write_pipe("go", "on\n");
    assert_eq!(site.read_pipe("begun").trim(), "slow.2026-11-18.1", "it was made, and goes on without who waited");
    site.write_pipe("go", "on\n");
    daemon.signal("-TERM");
    daemon.wait().unwrap();
}

#[test]
fn a_paused_dag_runs_by_hand_only_when_that_is_meant_and_is_shown_as_paused() {
    let site = chain();
    site.write("repaired", "");

    let paused = site.nocturne(&["dags", "pause", "chain", "--why", "summer"]);
    let refused = site.nocturne(&["run", "chain", "--date", "2026-11-17"]);
    let meant = site.nocturne(&["run", "chain", "--date", "2026-11-17", "--even-if-paused"]);
    let listed = text(&site.nocturne(&["dags", "list"]));
    let shown = text(&site.nocturne(&["dags", "show", "chain"]));
    let runs = text(&site.nocturne(&["runs", "list"]));
    let twice = site.nocturne(&["dags", "pause", "chain"]);
    let resumed = site.nocturne(&["dags", "resume", "chain"]);

    assert_eq!((code(&paused), code(&refused), code(&meant)), (Some(0), Some(5), Some(0)), "{}", text(&meant));
    assert!(text(&refused).contains("`nocturne dags resume chain`"), "{}", text(&refused));
    assert!(
        listed.contains("paused by") && shown.contains("is paused since") && runs.contains("summer"),
        "{listed}{shown}{runs}"
    );
    assert_eq!((code(&twice), code(&resumed)), (Some(5), Some(0)));
    assert!(text(&resumed).contains("it runs next on"), "{}", text(&resumed));
}

#[test]
fn the_same_backfill_twice_at_once_is_one() {
    let site = chain();
    site.write("repaired", "");
    assert_eq!(code(&site.nocturne(&["db", "migrate"])), Some(0));
    let backfill = ["backfill", "chain", "--from", "2026-11-02", "--to", "2026-11-06"];

    let both: Vec<Running> = (0..4).map(|_| site.start(&backfill)).collect();
    for one in both {
        let ended = one.wait_with_output().unwrap();
        assert_eq!(code(&ended), Some(0), "{}", text(&ended));
    }

    let listed = json(&site, &["runs", "list", "--limit", "100"]);
    let mut dates: Vec<&str> =
        listed["runs"].as_array().unwrap().iter().map(|run| run["logical_date"].as_str().unwrap()).collect();
    dates.sort_unstable();
    assert_eq!(dates, ["2026-11-02", "2026-11-03", "2026-11-04", "2026-11-05", "2026-11-06"]);
}

#[test]
fn a_backfill_is_cancelled_by_its_id_and_a_retry_that_was_killed_goes_on() {
    let site = slow("skip");
    let mut backfill = site.start(&["backfill", "slow", "--from", "2026-11-02", "--to", "2026-11-04"]);
    site.read_pipe("begun");
    backfill.kill().unwrap();
    backfill.wait().unwrap();
    let again = site.start(&["backfill", "slow", "--from", "2026-11-02", "--to", "2026-11-04"]);
    site.read_pipe("begun");
    again.signal("-TERM");
    drop(again.wait_with_output().unwrap());
    let id = json(&site, &["runs", "show", "slow.2026-11-04"])["run"]["backfill"].as_str().unwrap().to_owned();

    let cancelled = site.nocturne(&["runs", "cancel", &id, "--why", "the wrong week"]);

    assert_eq!(code(&cancelled), Some(0), "{}", text(&cancelled));
    assert!(text(&cancelled).contains("3 runs are cancelled"), "{}", text(&cancelled));
    let mut retry = site.start(&["runs", "retry", "slow.2026-11-02"]);
    site.read_pipe("begun");
    retry.kill().unwrap();
    retry.wait().unwrap();
    let resumed = site.start(&["runs", "retry", "slow.2026-11-02"]);
    site.read_pipe("begun");
    site.write_pipe("go", "go\n");
    let ended = resumed.wait_with_output().unwrap();
    assert_eq!(code(&ended), Some(0), "{}", text(&ended));
    let run = &json(&site, &["runs", "show", "slow.2026-11-02"])["run"];
    assert_eq!((run["run_id"].as_str(), run["taken_up"].as_u64()), (Some("slow.2026-11-02.2"), Some(2)), "{run}");
}

#[test]
fn a_date_far_ahead_is_refused() {
    let site = chain();

    let far = site.nocturne(&["run", "chain", "--date", "2099-01-01"]);

    assert_eq!(code(&far), Some(5), "{}", text(&far));
    assert!(text(&far).contains("days ahead of"), "{}", text(&far));
}
