//! Invented sources, each laid out in one of the ways in which exports are found.
//!
//! Only the layout is looked at here; the files are empty.

use super::*;
use crate::canvas::fixture::{Folder, gz};

const AT: &str = r#"{"at": "2026-11-20T05:00:00Z"}"#;

fn contracts() -> Contracts {
    Contracts::load(&["web_logs_daily".to_owned()], None).unwrap()
}

async fn find(folder: &Folder) -> Result<Vec<Delivery>, DeliveryError> {
    find_deliveries(folder, &contracts(), None).await
}

fn names(delivery: &Delivery) -> Vec<&str> {
    delivery.tables.iter().map(|table| table.table.as_str()).collect()
}

#[tokio::test]
async fn a_root_with_a_manifest_is_one_delivery_with_its_tables_in_reading_order() {
    let folder = Folder::new();
    folder.with("manifest.json", AT.as_bytes());
    folder.with("submissions/part-00001.jsonl.gz", &gz(""));
    folder.with("submissions/part-00000.jsonl.gz", &gz(""));
    folder.with("courses/job_7/part-00000-abc.json.gz", &gz(""));
    folder.with("web_logs_daily.csv.gz", &gz(""));

    let deliveries = find(&folder).await.unwrap();

    assert_eq!(deliveries.len(), 1);
    assert_eq!(names(&deliveries[0]), vec!["courses", "submissions", "web_logs_daily"]);
    let paths: Vec<&str> = deliveries[0].tables[1].files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, vec!["submissions/part-00000.jsonl.gz", "submissions/part-00001.jsonl.gz"]);
    assert_eq!(deliveries[0].row_mode(), RowMode::Snapshot);
    assert!(deliveries[0].findings.is_empty());
}

#[tokio::test]
async fn folders_are_deliveries_in_the_order_of_their_times_not_of_their_names() {
    let folder = Folder::new();
    folder.with("a/manifest.json", br#"{"since": "2026-11-01T00:00:00Z", "until": "2026-11-08T00:00:00Z"}"#);
    folder.with("a/users/part-0.jsonl.gz", &gz(""));
    folder.with("b/manifest.json", br#"{"as_of": "2026-10-31"}"#);
    folder.with("b/users/part-0.jsonl.gz", &gz(""));

    let deliveries = find(&folder).await.unwrap();

    let folders: Vec<&str> = deliveries.iter().map(|delivery| delivery.folder.as_str()).collect();
    assert_eq!(folders, vec!["b", "a"]);
    assert_eq!(deliveries[1].row_mode(), RowMode::Incremental);
}

#[tokio::test]
async fn deliveries_without_a_time_are_refused_all_at_once_with_what_to_add() {
    let folder = Folder::new();
    folder.with("a/users/part-0.jsonl.gz", &gz(""));
    folder.with("b/manifest.json", br#"{"as_of": null}"#);
    folder.with("c/manifest.json", AT.as_bytes());

    let refused = find(&folder).await.unwrap_err();

    insta::assert_snapshot!(refused, @r#"these deliveries of the source at the source do not say when they were made: a, b; add to `manifest.json` in each the key `at` (the instant of a full export, such as "2026-11-20T05:00:00Z"), or `since` and `until` (of changes)"#);
}

#[tokio::test]
async fn one_export_without_a_time_takes_the_stated_one_and_two_do_not() {
    let folder = Folder::new();
    let at: Timestamp = "2026-11-20T05:00:00Z".parse().unwrap();
    folder.with("a/users/part-0.jsonl.gz", &gz(""));

    let one = find_deliveries(&folder, &contracts(), Some(at)).await.unwrap();
    folder.with("b/users/part-0.jsonl.gz", &gz(""));
    let two = find_deliveries(&folder, &contracts(), Some(at)).await;

    assert_eq!(one[0].mode, DeliveryMode::Snapshot { at });
    assert!(matches!(two, Err(DeliveryError::Timeless { .. })));
}

#[tokio::test]
async fn a_promise_without_a_file_stands_and_a_table_without_rows_did_not_change() {
    let folder = Folder::new();
    let manifest = r#"{"at": "2026-11-20T05:00:00Z", "tables": {"users": {"rows": 3, "sha256": "ab"}, "courses": {"rows": 0},
        "quizzes": {"rows": 9}}}"#;
    folder.with("manifest.json", manifest.as_bytes());

    let delivery = find(&folder).await.unwrap().remove(0);

    assert_eq!(names(&delivery), vec!["users"]);
    assert_eq!((delivery.tables[0].files.len(), delivery.tables[0].expected_rows), (0, Some(3)));
    assert_eq!(delivery.unchanged.iter().map(TableName::as_str).collect::<Vec<_>>(), vec!["courses"]);
    assert_eq!(delivery.findings.len(), 1);
    assert_eq!(delivery.findings[0].subject, "quizzes");
}

#[tokio::test]
async fn what_belongs_to_no_table_is_told_by_place_and_number() {
    let folder = Folder::new();
    folder.with("old.zip", b"x");
    folder.with("a/manifest.json", AT.as_bytes());
    folder.with("a/users/part-0.parquet", b"x");
    folder.with("a/users/_SUCCESS", b"");
    folder.with("a/quizzes/part-0.jsonl.gz", &gz(""));
    folder.with("a/job_9/part-0.jsonl.gz", &gz(""));
    folder.with("a/notes.txt", b"x");
    folder.with("a/courses/part-0.jsonl.gz", &gz(""));

    let delivery = find(&folder).await.unwrap().remove(0);

    assert_eq!(names(&delivery), vec!["courses"]);
    let told: Vec<&str> = delivery.findings.iter().map(|finding| finding.message.as_str()).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    One file at `a/job_9` belongs to no table that has a contract; it was not read.
    One file at `a/notes.txt` belongs to no table that has a contract; it was not read.
    One file at `a/quizzes` belongs to no table that has a contract; it was not read.
    One file at `a/users` belongs to no table that has a contract; it was not read.
    The file `a/users/part-0.parquet` stands among a table's files in a format that is not read; its rows are missing.
    One file at `old.zip` belongs to no table that has a contract; it was not read.
    ");
}

#[tokio::test]
async fn a_hash_is_held_against_a_table_only_where_it_is_one_file() {
    let folder = Folder::new();
    let manifest = r#"{"at": "2026-11-20T05:00:00Z", "tables": {"users": {"rows": 3, "sha256": "ab"},
        "courses": {"rows": 3, "sha256": "cd"}}}"#;
    folder.with("manifest.json", manifest.as_bytes());
    folder.with("users/part-0.jsonl.gz", &gz(""));
    folder.with("users/part-1.jsonl.gz", &gz(""));
    folder.with("courses/part-0.jsonl.gz", &gz(""));

    let delivery = find(&folder).await.unwrap().remove(0);
    let local = delivery.tables[1].local_files(&folder).await.unwrap();

    assert_eq!(names(&delivery), vec!["users", "courses"]);
    assert_eq!(delivery.tables[0].sha256, None);
    assert_eq!(delivery.tables[1].sha256.as_deref(), Some("cd"));
    assert_eq!(local[0].sha256.as_deref(), Some("cd"));
}

#[tokio::test]
async fn a_source_without_deliveries_says_what_one_looks_like() {
    let folder = Folder::new();
    folder.with("holiday/photo.jpg", b"x");

    let refused = find(&folder).await.unwrap_err();

    insta::assert_snapshot!(refused, @"the source at the source holds no delivery among its 1 files: a delivery is a folder with `manifest.json` and a folder for each table");
}

#[tokio::test]
async fn a_manifest_that_is_no_json_is_named() {
    let folder = Folder::new();
    folder.with("a/manifest.json", b"at: today");

    let refused = find(&folder).await.unwrap_err();

    assert!(
        refused.to_string().starts_with("the manifest `a/manifest.json` of the source at the source cannot be used")
    );
}
