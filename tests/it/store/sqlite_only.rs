//! What only SQLite has: a file with its permissions, many programs using it, backups, damage.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use nocturne::domain::outcome::Outcome;
use nocturne::store::{MigrationReport, RunFilter, StoreError, backup, check, migrate, open};
use sqlx::{AssertSqlSafe, Connection, Row as _, SqliteConnection};
use tokio::task::JoinSet;

use super::fixtures::{Place, at, full_outcome, new_run, running, skipped, succeed};

async fn change(place: &Place, sql: &str) {
    let mut connection = SqliteConnection::connect(&place.url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("PRAGMA foreign_keys = OFF; {sql}"))).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_programs_write_and_read_one_file_without_an_error() {
    let place = Arc::new(Place::sqlite());
    let mut programs = JoinSet::new();

    // Each with its own store on the same file, all of them migrating it at once.
    for _ in 0..16 {
        let place = Arc::clone(&place);
        programs.spawn(async move {
            let store = place.open().await;
            for _ in 0..4 {
                let run = store.create_run(new_run()).await.unwrap().unwrap();
                assert!(store.request_cancel(&run.run_id, "jo cancelled it", at(1)).await.unwrap());
                assert!(!store.runs(&RunFilter::default()).await.unwrap().is_empty());
                assert!(!store.jobs(&run.run_id).await.unwrap().is_empty());
            }
        });
    }
    while let Some(ended) = programs.join_next().await {
        ended.unwrap();
    }

    assert_eq!(place.open().await.runs(&RunFilter::default()).await.unwrap().len(), 64);
    let report = check(&place.url).await.unwrap();
    assert_eq!((report.runs, report.attempts, report.audit_entries, report.problems), (64, 0, 64, vec![]));
}

/// SQLite does not wait when two programs turn WAL on at once: the window is short, so many files are made.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn programs_that_make_one_file_at_once_all_open_it() {
    for _ in 0..20 {
        let place = Arc::new(Place::sqlite());
        let mut programs = JoinSet::new();
        for _ in 0..4 {
            let place = Arc::clone(&place);
            programs.spawn(async move { open(&place.url).await.map(drop) });
        }
        while let Some(opened) = programs.join_next().await {
            opened.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn the_file_and_its_journal_are_for_the_owner_alone() {
    let place = Place::sqlite();
    let store = place.open().await;
    running(&store).await;

    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        let mode = std::fs::metadata(place.folder().join("var").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_backup_is_a_whole_store_and_overwrites_nothing() {
    let place = Place::sqlite();
    let store = place.open().await;
    let (run, claim) = running(&store).await;
    succeed(&store, &claim, "pull", full_outcome()).await;
    let target = place.folder().join("copy.db");

    backup(&place.url, &target).await.unwrap();

    assert_eq!(std::fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
    let copy_url = format!("sqlite://{}", target.display());
    assert_eq!(check(&copy_url).await.unwrap().problems, Vec::<String>::new());
    let copy = open(&copy_url).await.unwrap();
    assert_eq!(copy.jobs(&run.run_id).await.unwrap(), store.jobs(&run.run_id).await.unwrap());
    let again = backup(&place.url, &target).await.unwrap_err();
    assert!(matches!(again, StoreError::BackupExists { .. }), "{again}");
}

#[tokio::test]
async fn migrating_says_from_where_to_where() {
    let place = Place::sqlite();

    let migrations = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/migrations/sqlite")).unwrap().count();
    let now = i64::try_from(migrations).unwrap();
    assert_eq!(migrate(&place.url).await.unwrap(), MigrationReport { before: 0, now });
    assert_eq!(migrate(&place.url).await.unwrap(), MigrationReport { before: now, now });
}

#[tokio::test]
async fn the_store_of_a_newer_program_is_refused_and_left_alone() {
    let place = Place::sqlite();
    drop(place.open().await);
    change(
        &place,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (777, 'later', 1, x'00', 0)",
    )
    .await;

    let Err(refused) = open(&place.url).await else { panic!("it was opened") };

    let text = refused.to_string();
    assert!(text.contains("written by a newer nocturne (schema 777, this one knows "), "{text}");
    assert!(matches!(check(&place.url).await, Err(StoreError::Newer { .. })));
}

#[tokio::test]
async fn a_migration_that_was_changed_afterwards_is_refused() {
    let place = Place::sqlite();
    drop(place.open().await);
    change(&place, "UPDATE _sqlx_migrations SET checksum = x'00'").await;

    assert!(matches!(open(&place.url).await, Err(StoreError::Migrate { .. })));
}

#[tokio::test]
async fn a_check_finds_a_changed_audit_entry_and_a_cut_off_end() {
    let place = Place::sqlite();
    let store = place.open().await;
    for second in 1..=3 {
        store.skip_slot(&skipped(at(second), "paused"), None, at(second)).await.unwrap();
    }
    let problems = async || check(&place.url).await.unwrap().problems;
    assert_eq!(problems().await, Vec::<String>::new());

    change(&place, "UPDATE audit_log SET entry = 'nothing happened' WHERE seq = 2").await;
    let changed = problems().await;
    change(&place, "DELETE FROM audit_log WHERE seq = 2").await;
    let taken_out = problems().await;
    change(&place, "DELETE FROM audit_log WHERE seq > 1").await;
    let cut_off = problems().await;

    assert_eq!(changed, ["audit log: entry 2 or the one before it was changed"]);
    assert_eq!(taken_out[0], "audit log: entry 2 is missing");
    assert_eq!(cut_off, ["audit log: it ends at entry 1, and 3 were written"]);
}

#[tokio::test]
async fn a_check_names_states_that_are_none_and_rows_that_lead_nowhere() {
    let place = Place::sqlite();
    let store = place.open().await;
    let (_, claim) = running(&store).await;
    succeed(&store, &claim, "pull", full_outcome()).await;
    change(
        &place,
        "UPDATE jobs SET state = 'sleeping' WHERE job = 'digest';
         UPDATE attempts SET state = 'done', outcome = '{';
         INSERT INTO events (at, run_id, event) VALUES (0, 'nightly.2031-01-01.1', '{}');",
    )
    .await;

    let problems = check(&place.url).await.unwrap().problems;

    assert_eq!(
        problems,
        [
            "a row of `events` names a row of `runs` that is not there",
            "run nightly.2026-11-20.1, job `digest`: `state` is not readable (sleeping)",
            "run nightly.2026-11-20.1, job `pull`, attempt 1: `state` is not readable (done)",
            "run nightly.2026-11-20.1, job `pull`, attempt 1: `outcome` is not readable \
             (JSON of 1 characters, line 1 column 1)",
        ]
    );
    let unreadable = store.jobs(&claim.run_id).await.unwrap_err();
    assert!(unreadable.to_string().ends_with("is not readable; run `nocturne db check`"), "{unreadable}");
}

#[tokio::test]
async fn what_is_not_there_is_not_made_by_a_check() {
    let place = Place::sqlite();

    let refused = check(&place.url).await.unwrap_err();

    assert!(refused.to_string().contains("nothing has run here yet"), "{refused}");
    assert!(!place.folder().join("var").exists());
}

#[tokio::test]
async fn a_url_that_is_no_store_is_refused_with_those_that_are() {
    for (url, shown) in [("mysql://root:hunter2@db/x", "mysql"), ("var/nocturne.db", "(no scheme)")] {
        let Err(refused) = open(url).await else { panic!("{url} was opened") };

        let text = refused.to_string();
        assert!(text.contains(shown) && text.contains("sqlite://") && !text.contains("hunter2"), "{text}");
    }
    assert!(matches!(open("sqlite://:memory:").await, Err(StoreError::Url { .. })));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "This is not a database, and was not meant to be one.".repeat(100)).unwrap();

    let Err(refused) = open(&format!("sqlite://{}", path.display())).await else { panic!("it was opened") };

    assert!(refused.to_string().starts_with("opening the state store at sqlite:///"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_made_while_others_write_is_one_whole_state() {
    let place = Arc::new(Place::sqlite());
    let owner = Arc::new(place.open().await);
    let mut programs = JoinSet::new();
    for _ in 0..4 {
        let owner = Arc::clone(&owner);
        programs.spawn(async move {
            for n in 0..12 {
                let (_, claim) = running(&owner).await;
                let audit = vec![format!("entry {n}")];
                succeed(&owner, &claim, "pull", Outcome { audit, ..Outcome::default() }).await;
            }
        });
    }

    let mut copies = 0;
    while !programs.is_empty() {
        let target = place.folder().join(format!("copy-{copies}.db"));
        backup(&place.url, &target).await.unwrap();
        copies += 1;
        let report = check(&format!("sqlite://{}", target.display())).await.unwrap();
        assert_eq!(report.problems, Vec::<String>::new(), "copy {copies}");
        assert!(report.attempts <= report.runs && report.audit_entries <= report.attempts, "{report:?}");
        while let Some(ended) = programs.try_join_next() {
            ended.unwrap();
        }
    }
    assert!(copies > 1, "there was one copy, which may have been made before anybody wrote");
    assert_eq!(check(&place.url).await.unwrap().runs, 48);
}

#[tokio::test]
async fn lists_of_runs_read_no_more_runs_than_they_show() {
    let place = Place::sqlite();
    drop(place.open().await);
    let mut state = SqliteConnection::connect(&place.url).await.unwrap();

    for (name, statement) in [
        ("runs_newest", include_str!("../../../sql/state/runs_newest.sql")),
        ("runs_of_dag", include_str!("../../../sql/state/runs_of_dag.sql")),
        ("runs_of_date", include_str!("../../../sql/state/runs_of_date.sql")),
        ("runs_open", include_str!("../../../sql/state/runs_open.sql")),
        ("run_select", include_str!("../../../sql/state/run_select.sql")),
    ] {
        let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
        let steps: Vec<String> =
            plan.fetch_all(&mut state).await.unwrap().iter().map(|step| step.get("detail")).collect();
        let first = &steps[0];
        assert!(first.contains("USING") && first.contains("INDEX"), "{name} reads every run: {steps:?}");
        let sorts_all = steps.iter().any(|step| step == "USE TEMP B-TREE FOR ORDER BY");
        let is_of_few = first.contains("runs_open") || first.contains("logical_date");
        assert!(!sorts_all || is_of_few, "{name} sorts every run: {steps:?}");
    }
    state.close().await.unwrap();
}
