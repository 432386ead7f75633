//! What only PostgreSQL has: a server that may not be there, and many programs that migrate it at once.

use nocturne::store::{RunFilter, StoreError, backup, open, restore};
use sqlx::{Connection, PgConnection};

use super::commit::effects;
use super::fixtures::{Place, at, full_outcome, job, new_run, running, success};
use crate::support::limit::Patience;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_start_at_once_migrate_one_after_the_other() {
    let place = Place::postgres().await;

    let stores = futures::future::join_all((0..6).map(|_| place.open())).await;

    for store in &stores {
        store.create_run(new_run()).await.unwrap().unwrap();
    }
    assert_eq!(stores[0].runs(&RunFilter::default()).await.unwrap().len(), 6);
}

/// The commit waits for the audit log's head, its last row, when its caller goes away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_dropped_at_its_last_statement_leaves_nothing() {
    let place = Place::postgres().await;
    let store = place.open().await;
    let (run, claim) = running(&store).await;
    store.start_attempt(&claim, &job("pull"), at(2)).await.unwrap();
    let before = (store.events(&run.run_id, 0).await.unwrap(), store.jobs(&run.run_id).await.unwrap());
    let mut other = PgConnection::connect(&place.url).await.unwrap();
    let mut lock = other.begin().await.unwrap();
    sqlx::query("SELECT seq FROM audit_head FOR UPDATE").execute(&mut *lock).await.unwrap();

    let name = job("pull");
    let commit = store.end_attempt(&claim, &name, 1, success(full_outcome()), at(3));
    tokio::select! {
        ended = commit => panic!("it did not wait: {ended:?}"),
        () = until_one_waits(&place) => {}
    }
    lock.rollback().await.unwrap();

    let after = (store.events(&run.run_id, 0).await.unwrap(), store.jobs(&run.run_id).await.unwrap());
    assert_eq!(before, after);
    assert_eq!(effects(&*store).await, 0);
    store.end_attempt(&claim, &name, 1, success(full_outcome()), at(4)).await.unwrap();
    assert_eq!(effects(&*store).await, 5);
}

async fn until_one_waits(place: &Place) {
    let mut observer = PgConnection::connect(&place.url).await.unwrap();
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let patience = Patience::new("a statement to wait for a lock");
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut observer).await.unwrap() == 0 {
        patience.again();
    }
}

#[tokio::test]
async fn the_store_of_a_newer_program_is_refused() {
    let place = Place::postgres().await;
    drop(place.open().await);
    let mut connection = PgConnection::connect(&place.url).await.unwrap();
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (777, 'later', true, ''::bytea, 0)";
    sqlx::query(later).execute(&mut connection).await.unwrap();

    let Err(refused) = open(&place.url).await else { panic!("it was opened") };

    assert!(matches!(refused, StoreError::Newer { found: 777, .. }), "{refused}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("postgres://night:hunter2@localhost/state?host={}", folder.path().display());

    let Err(refused) = open(&url).await else { panic!("it was opened") };

    let chain = format!("{:#}", anyhow::Error::from(refused));
    assert!(chain.starts_with("opening the state store at postgres://night@/"), "{chain}");
    assert!(!chain.contains("hunter2"), "{chain}");
}

#[tokio::test]
async fn a_backup_is_left_to_the_server() {
    let place = Place::postgres().await;
    drop(place.open().await);
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("copy.db");

    let refused = backup(&place.url, &target).await.unwrap_err();

    assert!(refused.to_string().contains("`pg_dump`"), "{refused}");
    assert!(!target.exists());
}

#[tokio::test]
async fn a_restore_is_left_to_the_server_and_told_of_afterwards() {
    let place = Place::postgres().await;
    drop(place.open().await);

    let refused = restore(&place.url, std::path::Path::new("copy.db"), at(1)).await.unwrap_err();

    let told = refused.to_string();
    assert!(told.contains("`pg_restore`") && told.contains("`nocturne db restored`"), "{told}");
}
