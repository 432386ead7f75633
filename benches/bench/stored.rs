//! What many stored runs cost: 100,000 runs of three jobs, with their attempts and events, on SQLite.
//!
//! Two cores, 24 GiB, Linux, local disk, release build; the state store has 328 MiB. Whole commands, with the program's
//! start: `runs list` 13 ms, `runs list --dag night` 14 ms, `runs show` of the oldest run by its id 14 ms, `runs show
//! last` 27 ms. The statements alone: a run by its id 0.2 ms, the 20 newest 0.2 ms (15 ms when four ORDER BY terms made
//! SQLite sort them all). A night of three programs takes 181 ms on one stored run, and 181 ms on all of them.

use std::path::Path;
use std::time::Instant;

use nocturne::domain::ids::RunId;
use nocturne::store::{self, RunFilter};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

use crate::program::{Place, fastest};
use crate::say;

const RUNS: u32 = 100_000;

const DAG: &str = r#"
name = "night"
[jobs.one]
kind = "command"
with = { program = "true" }
[jobs.two]
kind = "command"
needs = ["one"]
with = { program = "true" }
[jobs.three]
kind = "command"
needs = ["two"]
with = { program = "true" }
"#;

pub(crate) async fn measure(folder: &Path) {
    let place = Place::new(folder, "", DAG);
    place.done(&["run", "night", "--date", "2026-11-20"]);
    let night = || fastest(5, || place.done(&["run", "night", "--date", "2026-11-20", "--force"]));
    let on_few = night();
    multiply(&place.url()).await;
    let size = std::fs::metadata(place.path().join("var/nocturne.db")).unwrap().len() / 1_048_576;
    say("Runs stored, and the size of their state store", &format!("{RUNS}, {size} MiB"));
    for (what, arguments) in [
        ("`runs list`", &["runs", "list"][..]),
        ("`runs list --dag night`", &["runs", "list", "--dag", "night"]),
        ("`runs show` of the oldest, by its id", &["runs", "show", "night.2000-01-01.100000"]),
        ("`runs show last`", &["runs", "show", "last"]),
    ] {
        say(what, &format!("{:.1?} (the whole command, the fastest of 20)", fastest(20, || place.done(arguments))));
    }
    let store = store::look(&place.url()).await.unwrap();
    let newest = RunFilter { limit: Some(20), ..RunFilter::default() };
    let id = RunId::from_stored("night.2000-01-01.50000".to_owned());
    for _ in 0..2 {
        let began = Instant::now();
        assert!(store.run(&id).await.unwrap().is_some());
        say("A look-up by id, the statement alone", &format!("{:.2?}", began.elapsed()));
        let began = Instant::now();
        assert_eq!(store.runs(&newest).await.unwrap().len(), 20);
        say("The 20 newest runs, the statement alone", &format!("{:.2?}", began.elapsed()));
    }
    say("A night of three programs, on few runs", &format!("{on_few:.0?}"));
    say("The same on all of them", &format!("{:.0?}", night()));
}

/// Stores the one run repeatedly, with other ids and earlier times.
async fn multiply(url: &str) {
    let mut state = SqliteConnection::connect(url).await.unwrap();
    sqlx::raw_sql("PRAGMA foreign_keys = OFF; BEGIN;").execute(&mut state).await.unwrap();
    for table in ["runs", "jobs", "attempts", "events"] {
        let columns = sqlx::query(AssertSqlSafe(format!("SELECT name FROM pragma_table_info('{table}')")))
            .fetch_all(&mut state)
            .await
            .unwrap();
        let columns: Vec<String> = columns.iter().map(|row| row.get("name")).filter(|name| name != "seq").collect();
        let values = columns.iter().map(|name| match name.as_str() {
            "run_id" => "'night.2000-01-01.' || i".to_owned(),
            "n" => "i".to_owned(),
            "logical_date" => "'2000-01-01'".to_owned(),
            "fence" => "fence || i".to_owned(),
            "queued_at" | "started_at" | "finished_at" | "at" => format!("{name} - i * 60000000"),
            other => other.to_owned(),
        });
        let values: Vec<String> = values.collect();
        let copy = format!(
            "WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {RUNS})
             INSERT INTO {table} ({}) SELECT {} FROM numbers, {table} AS once WHERE once.run_id = 'night.2026-11-20.1'",
            columns.join(", "),
            values.join(", "),
        );
        let copied = sqlx::query(AssertSqlSafe(copy)).execute(&mut state).await.unwrap();
        assert!(copied.rows_affected() >= u64::from(RUNS), "{table} was not copied");
    }
    sqlx::raw_sql("COMMIT; PRAGMA wal_checkpoint(TRUNCATE);").execute(&mut state).await.unwrap();
    state.close().await.unwrap();
}
