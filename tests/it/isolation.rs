//! Jobs that misbehave: each ends alone, with a clear message, and the digest is sent.
//!
//! The processes are real, and so is what is done to them. A test knows from an attempt's marker that its process is
//! running, and looks in `/proc` for what happened to it.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use procfs::process::Process;

use crate::support::site::{SMALL, Site, text};

const DIGEST: &str = r#"
[jobs.digest]
kind = "send_report"
needs = ["bad"]
when = "all_done"
with = { report = "digest" }
"#;

/// A site with one DAG, `night`, of these jobs; one of them is called `bad`.
fn site(configuration: &str, jobs: &str) -> Site {
    let site = Site::new(&format!("{configuration}\n{SMALL}\n[paths]\njobs = 'dags'\n"));
    let header = "name = 'night'\nmax_parallel = 6\n[defaults]\nretry = { attempts = 1 }\n";
    site.write("dags/night.toml", format!("{header}{jobs}{DIGEST}"));
    site
}

const NIGHT: [&str; 4] = ["run", "night", "--date", "2026-11-20"];
const RUN: &str = "night.2026-11-20.1";

fn start(site: &Site) -> Child {
    site.command(&NIGHT, &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The state of a job, and why it failed.
fn job(site: &Site, name: &str) -> (String, String) {
    job_with(site, name, &[])
}

fn job_with(site: &Site, name: &str, environment: &[(&str, &str)]) -> (String, String) {
    let shown = site.nocturne_with(&["--json", "runs", "show", "last"], environment);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let jobs = shown["jobs"].as_array().unwrap();
    let job = jobs.iter().find(|job| job["name"] == name).unwrap();
    (job["state"].as_str().unwrap().to_owned(), job["error"].as_str().unwrap_or_default().to_owned())
}

fn log(site: &Site, name: &str) -> String {
    std::fs::read_to_string(site.path().join(format!("var/logs/{RUN}/{name}.1.log"))).unwrap()
}

fn the_digest_went_out(site: &Site) {
    let sent = site.files("var/outbox");
    assert!(sent.iter().any(|path| path.extension().is_some_and(|extension| extension == "eml")), "{sent:?}");
}

fn nothing_is_left(site: &Site) {
    for folder in ["var/scratch/processes", "var/scratch/outcomes"] {
        if site.path().join(folder).exists() {
            assert_eq!(site.files(folder), Vec::<std::path::PathBuf>::new());
        }
    }
}

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The process of an attempt, from its marker.
fn process_of(site: &Site, name: &str) -> i32 {
    let marker = site.path().join(format!("var/scratch/processes/{RUN}.{name}.1"));
    until("the attempt's marker", || {
        let text = std::fs::read_to_string(&marker).ok()?;
        let marker: serde_json::Value = serde_json::from_str(&text).ok()?;
        i32::try_from(marker["leader"]["pid"].as_i64()?).ok()
    })
}

fn signal(pid: i32, name: &str) {
    assert!(Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap().success());
}

fn lives(pid: i32) -> bool {
    Process::new(pid).and_then(|process| process.stat()).is_ok_and(|stat| stat.state != 'Z')
}

fn ended(night: Child) -> String {
    let output: Output = night.wait_with_output().unwrap();
    text(&output)
}

#[test]
fn commands_that_misbehave_end_alone_and_the_digest_goes_out() {
    let site = site(
        "[engine]\nstop_grace_secs = 1\nmemory_by_kind = { command = '96MiB' }",
        r#"
[jobs.bad]
kind = "command"
with = { program = "sh", args = ["-c", "x=0123456789abcdef; while :; do x=$x$x; done"] }
[jobs.deaf]
kind = "command"
timeout = "1s"
with = { program = "sh", args = ["-c", "trap '' TERM; echo here; while :; do sleep 302; done"] }
[jobs.endless_line]
kind = "command"
with = { program = "sh", args = ["-c", "head -c 200000000 /dev/zero | tr '\\0' x"] }
[jobs.suicide]
kind = "command"
with = { program = "sh", args = ["-c", "kill -9 $$"] }
[jobs.fifo]
kind = "command"
timeout = "1s"
with = { program = "cat", args = ["nobody.writes"] }
[jobs.background]
kind = "command"
with = { program = "sh", args = ["-c", "sleep 302 & echo done"] }
"#,
    );
    assert!(Command::new("mkfifo").arg(site.path().join("nobody.writes")).status().unwrap().success());

    let told = text(&site.nocturne(&NIGHT));

    let (state, why) = job(&site, "bad");
    assert_eq!(state, "failed", "{told}");
    assert!(why.contains("its limit is 96 MiB (`engine.memory_by_kind.command`)"), "{why}");
    for stuck in ["deaf", "fifo"] {
        let (state, why) = job(&site, stuck);
        assert_eq!(state, "failed", "{told}");
        assert!(why.contains("did not end within its time limit of 1s"), "{why}");
    }
    let (state, why) = job(&site, "suicide");
    assert_eq!((state.as_str(), why.starts_with("`sh` was killed by signal 9")), ("failed", true), "{why}");
    assert_eq!(job(&site, "endless_line").0, "succeeded", "{told}");
    assert!(log(&site, "endless_line").len() < 20_000);
    assert!(log(&site, "endless_line").contains("[cut: the line is 199983616 bytes longer]"));
    assert_eq!(job(&site, "background").0, "succeeded", "{told}");
    the_digest_went_out(&site);
    nothing_is_left(&site);
}

#[test]
fn a_kind_that_allocates_beyond_its_limit_ends_alone_and_the_digest_goes_out() {
    let site = site(
        "[engine]\nmemory_by_kind = { canvas_pull = '12MiB' }",
        "[jobs.bad]\nkind = 'canvas_pull'\nwith = { source = 'canvas' }\n",
    );

    let told = text(&site.nocturne(&NIGHT));

    let (state, why) = job(&site, "bad");
    assert_eq!(state, "failed", "{told}");
    assert!(why.contains("its limit is 12 MiB (`engine.memory_by_kind.canvas_pull`)"), "{why}");
    the_digest_went_out(&site);
    nothing_is_left(&site);
}

const PULL: &str = "[jobs.bad]\nkind = 'canvas_pull'\ntimeout = '2s'\nwith = { source = 'canvas' }\n";

#[test]
fn an_attempt_whose_process_is_killed_is_lost_and_the_night_goes_on() {
    let site = site("", &PULL.replace("2s", "1h"));
    let night = start(&site);
    signal(process_of(&site, "bad"), "KILL");

    let told = ended(night);

    assert!(log(&site, "bad").contains("the process of the attempt was killed by signal 9"), "{told}");
    the_digest_went_out(&site);
    nothing_is_left(&site);
}

#[test]
fn an_attempt_whose_process_hangs_is_killed_at_its_time_limit() {
    let site = site("[engine]\nstop_grace_secs = 1", PULL);
    let night = start(&site);
    let pid = process_of(&site, "bad");
    signal(pid, "STOP");

    let told = ended(night);

    let (state, why) = job(&site, "bad");
    assert_eq!(state, "failed", "{told}");
    assert!(why.contains("did not end within its time limit of 2s"), "{why}");
    assert!(!lives(pid));
    the_digest_went_out(&site);
    nothing_is_left(&site);
}

#[test]
fn an_attempt_that_is_cancelled_stops_by_itself_long_before_its_grace() {
    let site = site("[engine]\nstop_grace_secs = 3600", &PULL.replace("2s", "1h"));
    let night = start(&site);
    let pid = process_of(&site, "bad");
    signal(i32::try_from(night.id()).unwrap(), "INT");

    let told = ended(night);

    assert_eq!(job(&site, "bad").0, "cancelled", "{told}");
    assert!(!lives(pid));
    nothing_is_left(&site);
}

#[test]
fn a_child_ends_with_its_parent() {
    let site = site("", &PULL.replace("2s", "1h"));
    let mut night = start(&site);
    let pid = process_of(&site, "bad");

    night.kill().unwrap();
    night.wait().unwrap();

    until("the end of the child", || (!lives(pid)).then_some(()));
}

#[test]
fn what_survived_its_parent_is_ended_at_the_next_start() {
    let site = site(
        "",
        r#"
[jobs.bad]
kind = "command"
with = { program = "sh", args = ["-c", "[ -e once ] && exit 0; touch once; trap '' HUP; while :; do sleep 302; done"] }
"#,
    );
    let mut night = start(&site);
    let pid = process_of(&site, "bad");
    until("the program", || site.path().join("once").exists().then_some(()));
    night.kill().unwrap();
    night.wait().unwrap();
    assert!(lives(pid), "a program does not end with the daemon by itself");

    let told = text(&site.nocturne(&NIGHT));

    assert!(!lives(pid), "{told}");
    assert!(told.contains("Ended the processes of an attempt that survived their parent"), "{told}");
    assert_eq!(job(&site, "bad").0, "succeeded", "{told}");
    nothing_is_left(&site);
}

#[test]
fn no_secret_is_in_the_parents_environment_the_state_or_a_log() {
    let script = "tr '\\\\0' '\\\\n' < /proc/$PPID/environ; tr '\\\\0' '\\\\n' < /proc/$PPID/cmdline; \
                  [ ${#TOKEN} = 10 ] && echo \"has its $TOKEN\"; env";
    let site = site(
        "[privacy]\nkey = 'env:SITE_KEY'",
        &format!(
            "[jobs.bad]\nkind = 'command'\n\
             with = {{ program = 'sh', args = ['-c', \"{}\"], secrets = {{ TOKEN = 'env:SITE_TOKEN' }} }}\n",
            script.replace('"', "\\\"")
        ),
    );
    let variables = [
        ("SITE_KEY", "key-2718-key-2718-key-2718-key-2718"),
        ("SITE_TOKEN", "given-3141"),
        ("NOCTURNE__INSTITUTION__ATTRIBUTION", "attributed-1618"),
        ("INNOCENT", "shown-1414"),
    ];

    let told = text(&site.nocturne_with(&NIGHT, &variables));

    let log = log(&site, "bad");
    assert_eq!(job_with(&site, "bad", &variables).0, "succeeded", "{told}{log}");
    assert!(log.contains("INNOCENT=shown-1414"), "the parent's environment was not read: {log}");
    assert_eq!(log.matches("shown-1414").count(), 1, "the program has inherited it: {log}");
    assert!(log.contains("has its ***"), "{log}");
    for file in site.files("var") {
        let bytes = std::fs::read(&file).unwrap();
        for secret in ["2718", "given-3141"] {
            let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "{secret} is in {}", file.display());
        }
    }
    assert!(!log.contains("attributed-1618"), "{log}");
    let shown = text(&site.nocturne_with(&["--json", "dags", "show", "night"], &variables));
    assert!(shown.contains("env:SITE_TOKEN"), "{shown}");
}

#[test]
fn a_secret_that_is_not_there_is_named_by_its_reference() {
    let site =
        site("", "[jobs.bad]\nkind = 'command'\nwith = { program = 'true', secrets = { TOKEN = 'env:SITE_TOKEN' } }\n");

    site.nocturne(&NIGHT);

    let (state, why) = job(&site, "bad");
    assert_eq!(state, "failed");
    assert!(why.contains("the secret `TOKEN` of `bad`: the secret `env:SITE_TOKEN` is not there"), "{why}");
}

#[test]
fn in_threads_the_same_night_leaves_the_same() {
    let jobs = "[jobs.bad]\nkind = 'canvas_pull'\nwith = { source = 'canvas' }\n";
    let (in_children, in_threads) = (site("", jobs), site("[engine]\nisolation = 'thread'", jobs));

    for site in [&in_children, &in_threads] {
        site.nocturne(&NIGHT);
        assert_eq!(job(site, "bad").0, "succeeded");
    }

    let data = |site: &Site| -> Vec<_> {
        let files = site.files("var/lake/restricted/tables");
        files.iter().map(|file| file.strip_prefix(site.path()).unwrap().to_owned()).collect()
    };
    assert_eq!(data(&in_children), data(&in_threads));
}

#[test]
fn a_memory_limit_for_a_kind_that_there_is_not_is_refused() {
    let site = site("[engine]\nmemory_by_kind = { train = '1GiB' }", "[jobs.bad]\nkind = 'quality_check'\n");

    let refused = site.nocturne(&NIGHT);

    assert_eq!(refused.status.code(), Some(3));
    let told = text(&refused);
    assert!(told.contains("`engine.memory_by_kind.train`: there is no such kind; allowed: build_features"), "{told}");
}
