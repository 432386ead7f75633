//! Looking, with the real binary: what would run and why, what ran and why, logs, lists and graphs; and that looking
//! creates and changes nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::support::site::{SMALL, Site, text};

/// A site with a DAG of a pull and the checks after it, and one of programs.
fn site() -> Site {
    let site = Site::new(&format!("{SMALL}\n[paths]\njobs = 'dags'\n"));
    site.write(
        "dags/tables.toml",
        "name = 'tables'\nschedule = '30 2 * * *'\ntimezone = 'America/Detroit'\ndeadline = '06:30'\n\
         [jobs.pull]\nkind = 'canvas_pull'\nwith = { source = 'canvas' }\n\
         [jobs.check]\nkind = 'quality_check'\nneeds = ['pull']\nwith = {}\n",
    );
    site.write(
        "dags/programs.toml",
        "name = 'programs'\n[defaults]\nretry = { attempts = 2, backoff = '1ms' }\n\
         [jobs.say]\nkind = 'command'\nwith = { program = 'sh', args = ['-c', 'echo one; echo two; echo three'] }\n\
         [jobs.again]\nkind = 'command'\nneeds = ['say']\n\
         with = { program = 'sh', args = ['-c', 'echo try >> tries; test $(wc -l < tries) -ge 2 || exit 75'] }\n\
         [jobs.end]\nkind = 'command'\nneeds = ['again']\nwhen = 'all_done'\nwith = { program = 'echo', args = ['end'] }\n",
    );
    site
}

fn json(site: &Site, arguments: &[&str]) -> serde_json::Value {
    let output = site.nocturne(&[&["--json"], arguments].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output)))
}

fn code(output: &std::process::Output) -> Option<i32> {
    output.status.code()
}

/// Every file of the site with its bytes.
fn everything(site: &Site) -> BTreeMap<PathBuf, Vec<u8>> {
    site.files(".").into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// The commands that only look, each with its exit code before any night has run.
const LOOKING: [(&[&str], i32); 17] = [
    (&["run", "tables", "--dry-run"], 0),
    (&["runs", "list"], 4),
    (&["runs", "show", "last"], 4),
    (&["runs", "logs", "last"], 4),
    (&["runs", "diff", "last"], 4),
    (&["audit", "list"], 4),
    (&["audit", "verify"], 4),
    (&["backfill", "tables", "--from", "2026-11-01", "--to", "2026-11-02", "--dry-run"], 4),
    (&["dags", "list"], 0),
    (&["dags", "show", "tables"], 0),
    (&["dags", "check"], 0),
    (&["dags", "next", "tables"], 0),
    (&["dags", "graph", "tables"], 0),
    (&["kinds", "list"], 0),
    (&["config", "show"], 0),
    (&["lake", "tree"], 4),
    (&["db", "check"], 4),
];

#[test]
fn looking_before_the_first_night_makes_nothing() {
    let site = site();
    let before = everything(&site);

    for (arguments, expected) in LOOKING {
        let output = site.nocturne(arguments);
        assert_eq!(code(&output), Some(expected), "{arguments:?}: {}", text(&output));
    }

    assert_eq!(everything(&site), before);
    assert!(!site.path().join("var").exists());
}

#[test]
fn looking_after_a_night_changes_nothing() {
    let site = site();
    assert_eq!(code(&site.nocturne(&["run", "programs", "--date", "2026-11-20"])), Some(0));
    let before = everything(&site);

    for (arguments, _) in LOOKING {
        site.nocturne(arguments);
    }

    // SQLite's own files beside the database come and go with whoever has it open.
    let is_database = |path: &PathBuf| path.to_string_lossy().contains("nocturne.db-");
    let ours = |files: BTreeMap<PathBuf, Vec<u8>>| -> BTreeMap<PathBuf, Vec<u8>> {
        files.into_iter().filter(|(path, _)| !is_database(path)).collect()
    };
    let (before, after) = (ours(before), ours(everything(&site)));
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    let changed: Vec<_> = after.iter().filter(|(path, bytes)| before[*path] != **bytes).collect();
    let changed: Vec<_> = changed.iter().map(|(path, _)| path).collect();
    assert!(changed.is_empty(), "{changed:?}");
}

#[test]
fn looking_migrates_nothing_and_says_what_does() {
    let site = site();
    assert_eq!(code(&site.nocturne(&["db", "migrate"])), Some(0));
    let database = site.path().join("var/nocturne.db");
    rewind_schema(&database);

    let listed = site.nocturne(&["runs", "list"]);
    let checked = site.nocturne(&["db", "check"]);

    assert_eq!(code(&listed), Some(6), "{}", text(&listed));
    assert!(text(&listed).contains("`nocturne db migrate`"), "{}", text(&listed));
    assert!(text(&checked).contains("the schema is 6 and should be 7"), "{}", text(&checked));
}

/// Records in a database that its newest migration was never applied.
fn rewind_schema(database: &std::path::Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("sqlite://{}", database.display());
        let mut connection = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap();
        sqlx::query("DELETE FROM _sqlx_migrations WHERE version = 7").execute(&mut connection).await.unwrap();
    });
}

#[test]
fn a_dry_run_says_what_would_run_and_which_input_changed() {
    let site = site();
    let first = json(&site, &["run", "tables", "--date", "2026-11-20", "--dry-run"]);
    assert_eq!(code(&site.nocturne(&["run", "tables", "--date", "2026-11-20"])), Some(0));

    let same = json(&site, &["run", "tables", "--date", "2026-11-20", "--dry-run"]);
    let forced = json(&site, &["run", "tables", "--date", "2026-11-20", "--dry-run", "--force"]);
    let only = json(&site, &["run", "tables", "--date", "2026-11-20", "--dry-run", "--job", "check"]);
    let limits = &[("NOCTURNE__QUALITY__FRESH_DAYS", "9")];
    let with_limits = site.nocturne_with(&["run", "tables", "--date", "2026-11-20", "--dry-run"], limits);
    let tomorrow = site.nocturne(&["run", "tables", "--date", "2026-11-21", "--dry-run"]);

    let will = |shown: &serde_json::Value| -> Vec<String> {
        let jobs = shown["jobs"].as_array().unwrap().iter();
        jobs.map(|job| format!("{} {}", job["job"].as_str().unwrap(), job["will"].as_str().unwrap())).collect()
    };
    assert_eq!(will(&first), ["pull run", "check run"]);
    assert_eq!(first["jobs"][0]["because"]["why"], "first");
    assert_eq!(will(&same), ["pull keep", "check keep"]);
    assert_eq!((will(&forced), &forced["jobs"][0]["because"]["why"]), (will(&first), &"forced".into()));
    assert_eq!(will(&only), ["pull skip", "check keep"]);
    assert!(
        text(&with_limits).contains("the settings `quality` changed since tables.2026-11-20.1"),
        "{}",
        text(&with_limits)
    );
    let tomorrow = text(&tomorrow);
    assert!(tomorrow.contains("would run") && tomorrow.contains("pull"), "{tomorrow}");
    assert_eq!(json(&site, &["runs", "list"])["runs"].as_array().unwrap().len(), 1, "nothing was run");
}

#[test]
fn a_run_says_why_each_of_its_jobs_ran() {
    let site = site();
    for date in ["2026-11-20", "2026-11-20", "2026-11-21"] {
        assert_eq!(code(&site.nocturne(&["run", "tables", "--date", date])), Some(0));
    }

    let why = |run: &str| -> Vec<String> {
        let shown = json(&site, &["runs", "show", run]);
        let jobs = shown["jobs"].as_array().unwrap().iter();
        jobs.map(|job| job["why"]["why"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(why("tables.2026-11-20.1"), ["first", "first"]);
    assert_eq!(why("tables.2026-11-20.2"), ["unchanged", "unchanged"]);
    assert_eq!(why("tables.2026-11-21"), ["changed", "changed"]);
    let shown = text(&site.nocturne(&["runs", "show", "tables.2026-11-21"]));
    assert!(shown.contains("since tables.2026-11-20.2"), "{shown}");
    let log = text(&site.nocturne(&["runs", "logs", "tables.2026-11-21", "check"]));
    assert!(log.contains("It runs because the logical date changed"), "{log}");

    site.write("dags/wrong.toml", "name = 'wrong'\n[jobs.fail]\nkind = 'command'\nwith = { program = 'false' }\n");
    assert_eq!(code(&site.nocturne(&["run", "wrong", "--date", "2026-11-21"])), Some(1));
    let failed = json(&site, &["runs", "show", "wrong.2026-11-21"]);
    let failed = failed["jobs"].as_array().unwrap().iter().find(|job| job["name"] == "fail").unwrap().clone();
    assert_eq!((&failed["state"], &failed["why"]["why"]), (&"failed".into(), &"always".into()), "{failed}");
}

#[test]
fn two_nights_are_compared_by_rows_figures_and_shares_of_nulls() {
    let site = site();
    for date in ["2026-11-20", "2026-11-21"] {
        assert_eq!(code(&site.nocturne(&["run", "tables", "--date", date])), Some(0));
    }

    let differs = json(&site, &["runs", "diff", "tables.2026-11-20", "tables.2026-11-21"]);
    let same = text(&site.nocturne(&["runs", "diff", "last", "last"]));

    let datasets = differs["changes"]["datasets"].as_array().unwrap();
    assert!(datasets.iter().any(|one| one["rows_before"] != one["rows_after"]), "{differs}");
    let figures = differs["changes"]["figures"].as_array().unwrap();
    assert!(figures.iter().any(|one| one["figure"].as_str().unwrap().starts_with("table.rows table=")), "{differs}");
    assert!(same.contains("Nothing differs"), "{same}");
    let shown = text(&site.nocturne(&["runs", "diff", "tables.2026-11-20"]));
    assert!(shown.contains("tables.2026-11-20.1 → tables.2026-11-21.1") && shown.contains("FIGURE"), "{shown}");
}

#[test]
fn the_log_of_one_attempt_is_found_and_cut() {
    let site = site();
    assert_eq!(code(&site.nocturne(&["run", "programs", "--date", "2026-11-20"])), Some(0));

    let second = text(&site.nocturne(&["runs", "logs", "last", "again", "--attempt", "2"]));
    let tail = text(&site.nocturne(&["runs", "logs", "last", "say", "--tail", "1"]));
    let followed = site.nocturne(&["runs", "logs", "last", "--follow"]);
    let none = site.nocturne(&["runs", "logs", "last", "say", "--attempt", "7"]);
    let nowhere = site.nocturne(&["runs", "logs", "last", "nowhere"]);
    std::fs::remove_dir_all(site.path().join("var/logs")).unwrap();
    let gone = site.nocturne(&["runs", "logs", "last", "say"]);

    assert!(second.contains("== again attempt 2") && !second.contains("attempt 1"), "{second}");
    assert!(tail.lines().count() == 2 && tail.contains("ended well"), "{tail}");
    let followed_text = text(&followed);
    assert!(
        followed_text.contains("== say attempt 1") && followed_text.contains("programs.2026-11-20.1 succeeded"),
        "{followed_text}"
    );
    assert_eq!((code(&followed), code(&none), code(&nowhere), code(&gone)), (Some(0), Some(4), Some(4), Some(4)));
    assert!(text(&gone).contains("`[retention]`"), "{}", text(&gone));
}

#[test]
fn a_log_is_followed_to_the_end_of_its_run() {
    let site = Site::new(&format!("{SMALL}\n[paths]\njobs = 'dags'\n"));
    site.pipe("begun");
    site.pipe("go");
    let (begun, go) = (site.path().join("begun"), site.path().join("go"));
    let script = format!("echo early; echo on > {}; read line < {}; echo late", begun.display(), go.display());
    let text_of_dag = format!(
        "name = 'slow'\n[jobs.wait]\nkind = 'command'\nwith = {{ program = 'sh', args = ['-c', '''{script}'''] }}\n"
    );
    site.write("dags/slow.toml", text_of_dag);
    let run = site.start(&["run", "slow", "--date", "2026-11-20"]);
    site.read_pipe("begun");

    let follower = site.start(&["runs", "logs", "last", "--follow"]);
    site.write_pipe("go", "on\n");
    let followed = text(&follower.wait_with_output().unwrap());

    assert_eq!(code(&run.wait_with_output().unwrap()), Some(0));
    assert!(followed.contains("early") && followed.contains("late"), "{followed}");
    assert!(followed.trim_end().ends_with("== slow.2026-11-20.1 succeeded"), "{followed}");
}

#[test]
fn runs_are_listed_by_state_dag_and_time_in_the_zone_of_their_dag() {
    let site = site();
    site.nocturne(&["run", "programs", "--date", "2026-11-20"]);
    site.nocturne(&["run", "programs", "--date", "2026-11-21", "--set", "say.program='false'"]);

    let listed = |arguments: &[&str]| -> Vec<String> {
        let shown = json(&site, &[&["runs", "list"], arguments].concat());
        let runs = shown["runs"].as_array().unwrap().iter();
        runs.map(|run| run["run_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(&["--state", "failed"]), ["programs.2026-11-21.1"]);
    assert_eq!(listed(&["--state", "succeeded"]), ["programs.2026-11-20.1"]);
    assert_eq!(listed(&["--dag", "tables"]), Vec::<String>::new());
    assert_eq!(listed(&["--since", "1h"]).len(), 2);
    assert_eq!(listed(&["--since", "2199-01-01"]), Vec::<String>::new());
    assert_eq!(listed(&["--limit", "1"]), ["programs.2026-11-21.1"]);
    assert_eq!(code(&site.nocturne(&["runs", "list", "--state", "odd"])), Some(2));
    let shown = text(&site.nocturne(&["runs", "list"]));
    assert!(shown.contains(" EST") || shown.contains(" EDT"), "{shown}");
}

#[test]
fn one_broken_file_spoils_no_list_and_is_named() {
    let site = site();
    site.write("dags/broken.toml", "name = 3\n");

    let listed = site.nocturne(&["dags", "list"]);
    let checked = site.nocturne(&["dags", "check"]);
    let checked_json = site.nocturne(&["--json", "dags", "check", "broken"]);
    let run = site.nocturne(&["run", "programs", "--date", "2026-11-20"]);

    let told = text(&listed);
    assert!(told.contains("tables") && told.contains("`nocturne dags check broken`"), "{told}");
    assert_eq!((code(&listed), code(&checked), code(&run)), (Some(0), Some(3), Some(0)), "{}", text(&run));
    let mistakes: serde_json::Value = serde_json::from_slice(&checked_json.stdout).unwrap();
    assert_eq!((mistakes["valid"].as_bool(), code(&checked_json)), (Some(false), Some(3)));
    assert_eq!(mistakes["mistakes"].as_array().unwrap().len(), 2, "{mistakes}");
}

#[test]
fn a_dag_is_shown_with_its_schedule_and_drawn() {
    let site = site();

    let shown = text(&site.nocturne(&["dags", "show", "tables"]));
    let by_hand = text(&site.nocturne(&["dags", "show", "programs"]));
    let drawn = text(&site.nocturne(&["dags", "graph", "programs"]));
    let mermaid = text(&site.nocturne(&["dags", "graph", "programs", "--format", "mermaid"]));
    let next = site.nocturne(&["dags", "next", "programs"]);

    for part in ["30 2 * * * in America/Detroit", "next run", "deadline   06:30", "overlap = skip"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(by_hand.contains("none: it runs when asked") && by_hand.contains("all_done"), "{by_hand}");
    assert_eq!(drawn, "say\n    again  after say\n        end    after again (when all are done)\n");
    assert!(
        mermaid.starts_with("flowchart LR") && mermaid.contains("job_again -. when all are done .-> job_end"),
        "{mermaid}"
    );
    assert_eq!(code(&next), Some(4), "{}", text(&next));
}

#[test]
fn every_command_that_shows_something_has_a_json_shape() {
    let site = site();
    assert_eq!(code(&site.nocturne(&["run", "tables", "--date", "2026-11-20"])), Some(0));
    let shapes: [(&[&str], &str); 47] = [
        (&["run", "tables", "--date", "2026-11-20"], "jobs outbox run to_settle"),
        (&["run", "tables", "--dry-run"], "dag jobs logical_date"),
        (&["runs", "list"], "paused runs skipped"),
        (&["runs", "show", "last"], "audit e_mails findings_of_failed_jobs jobs run"),
        (&["runs", "logs", "last"], "[attempt job log]"),
        (&["runs", "diff", "last", "last"], "after before changes"),
        (&["audit", "list"], "[at entry job run_id seq]"),
        (&["audit", "verify"], "entries problems"),
        (
            &["backfill", "tables", "--from", "2026-11-01", "--to", "2026-11-02", "--dry-run"],
            "dag dates newest_run open",
        ),
        (&["dags", "list"], "[dag name next_run paused valid]"),
        (&["dags", "show", "tables"], "dag next_run paused"),
        (&["dags", "check"], "dags valid"),
        (&["dags", "next", "tables"], "dag next paused"),
        (&["dags", "graph", "tables"], "dag edges jobs"),
        (&["kinds", "list"], "[name summary]"),
        (&["kinds", "show", "command"], "example name params summary"),
        (&["config", "show"], "[origin path value]"),
        (&["config", "check"], "valid"),
        (&["db", "migrate"], "before now"),
        (&["db", "check"], "attempts audit_entries problems runs schema"),
        (&["alerts", "list"], "[]"),
        (&["alerts", "history"], "[]"),
        (&["quality", "list"], "[action advice column expected owner rule stated_in table why]"),
        (
            &["quality", "show", "courses.unique"],
            "action advice column expected nights owner quarantine rule stated_in table why",
        ),
        (&["quality", "run", "--date", "2026-11-20"], "dag logical_date rules"),
        (&["quality", "suggest", "courses"], "rules table"),
        (&["quality", "quarantine"], "[]"),
        (&["quality", "replay", "courses", "--dry-run"], "rules table"),
        (&["lake", "stat", "restricted/tables/courses"], "dataset facts inputs parts rows schema size_bytes snapshot"),
        (&["lake", "verify"], "datasets parts wrong"),
        (&["lake", "ls", "restricted"], "[name objects size_bytes]"),
        (&["lake", "du", "restricted"], "[name objects size_bytes]"),
        (&["lake", "tree", "restricted"], "[path size_bytes]"),
        (&["lake", "schema", "restricted/tables/accounts"], "[dtype name]"),
        (&["lake", "files", "restricted/tables/courses"], "[text]"),
        (&["dags", "pause", "tables"], "dag paused"),
        (&["dags", "resume", "tables"], "dag paused"),
        (&["runs", "mark", "last", "check", "failed", "--why", "wrong"], "as job run run_state"),
        (&["runs", "retry", "last"], "jobs outbox run to_settle"),
        (&["backfill", "tables", "--from", "2026-11-19", "--to", "2026-11-19"], "backfill runs"),
        (&["sim", "generate", "export", "--date", "2026-11-20"], "as_of at tables"),
        (&["db", "backup", "state.bak"], "backup"),
        (&["db", "restore", "state.bak"], "agreement restored"),
        (&["db", "restored"], "agreement"),
        (&["report", "send", "--waiting"], "e_mails sent_by"),
        (&["watchdog"], "e_mails watch"),
        (&["doctor"], "checks verdict"),
    ];

    for (arguments, expected) in shapes {
        assert_eq!(shape(&json(&site, arguments)), expected, "{arguments:?}");
    }
}

#[test]
fn rows_have_types_in_json_and_files_are_those_that_are_there() {
    let site = site();
    assert_eq!(code(&site.nocturne(&["run", "tables", "--date", "2026-11-20"])), Some(0));
    let terms = "restricted/tables/enrollment_terms";

    let rows = json(&site, &["lake", "head", terms, "-n", "2"]);
    let files = json(&site, &["lake", "files", terms]);
    let query = text(&site.nocturne(&["lake", "files", terms, "--for", "duckdb"]));

    let row = &rows[0];
    assert!(row["id"].is_i64() && row["name"].is_string() && row["integration_id"].is_null(), "{row}");
    assert!(row["start_at"].as_str().unwrap().ends_with('Z'), "{row}");
    let files: Vec<&str> = files.as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    assert!(!files.is_empty() && files.iter().all(|file| std::path::Path::new(file).is_file()), "{files:?}");
    assert!(files.iter().all(|file| query.contains(&format!("'{file}'"))), "{query}");
}

/// The keys of an object, in order; for a list, those of its first object in brackets.
fn shape(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(object) => {
            let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
            keys.sort_unstable();
            keys.join(" ")
        }
        serde_json::Value::String(_) => "text".to_owned(),
        serde_json::Value::Array(list) => format!("[{}]", list.first().map(shape).unwrap_or_default()),
        other => format!("not an object: {other}"),
    }
}

#[test]
fn parameters_jobs_and_warnings_are_taken_from_the_command_line() {
    let site = site();
    let night = ["run", "programs", "--date", "2026-11-20"];

    let set = site.nocturne(&[&night[..], &["--set", "say.args=['-c', 'echo otherwise']"]].concat());
    let log = text(&site.nocturne(&["runs", "logs", "last", "say"]));
    let wrong = site.nocturne(&[&night[..], &["--set", "say.colour='red'"]].concat());
    let from = site.nocturne(&[&night[..], &["--from", "again"]].concat());
    let states = json(&site, &["runs", "show", "last"])["jobs"].as_array().unwrap().clone();
    let both = site.nocturne(&[&night[..], &["--from", "again", "--job", "say"]].concat());
    let wrong_date = site.nocturne(&["run", "programs", "--date", "2026-13-45"]);

    assert_eq!((code(&set), code(&wrong), code(&from), code(&both)), (Some(0), Some(3), Some(0), Some(2)));
    assert!(log.contains("otherwise"), "{log}");
    let skipped: Vec<&str> =
        states.iter().filter(|job| job["state"] == "skipped").map(|job| job["name"].as_str().unwrap()).collect();
    assert_eq!(skipped, ["say"]);
    assert!(code(&wrong_date) == Some(2) && text(&wrong_date).contains("2026-11-20"), "{}", text(&wrong_date));
}
