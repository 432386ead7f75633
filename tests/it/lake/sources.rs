//! A folder or a prefix as a source of files.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use nocturne::domain::source::FileSource;
use nocturne::lake::{LakeOptions, open_source};

use crate::support::closed::ClosedPort;
use crate::support::s3::S3Server;

async fn content(source: &dyn FileSource) -> Vec<(String, String)> {
    let mut content = Vec::new();
    for file in source.list().await.unwrap() {
        let local = source.local_copy(&file).await.unwrap();
        content.push((file.path, std::fs::read_to_string(local).unwrap()));
    }
    content
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_gives_the_files_that_a_folder_gives_and_a_changed_one_anew() {
    let server = S3Server::start().await;
    let scratch = tempfile::tempdir().unwrap();
    let folder = server.bucket().join("exports/night");
    std::fs::create_dir_all(folder.join("users/job 1")).unwrap();
    std::fs::write(folder.join("manifest.json"), "{}").unwrap();
    std::fs::write(folder.join("users/job 1/part-0.jsonl"), "one").unwrap();

    let remote = open_source(server.options("exports/night", scratch.path())).await.unwrap();
    let url = folder.display().to_string();
    let local = open_source(LakeOptions { url, ..server.options("", scratch.path()) }).await.unwrap();

    let first = content(&*remote).await;
    assert_eq!(first, content(&*local).await);
    assert_eq!(first.len(), 2);

    std::fs::write(folder.join("users/job 1/part-0.jsonl"), "another").unwrap();
    assert_eq!(content(&*remote).await[1].1, "another");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_signature_says_where_and_holds_no_secret() {
    let server = S3Server::start().await;
    let scratch = tempfile::tempdir().unwrap();
    let secret = "not-the-secret-of-anybody".to_owned();
    let options = LakeOptions { secret_access_key: Some(secret.clone().into()), ..server.options("x", scratch.path()) };

    let source = open_source(options).await.unwrap();
    let error = source.list().await.unwrap_err();

    let told = format!("{error:#?} {error}");
    assert!(told.contains("s3://lake/x") && !told.contains(&secret), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_reached_says_where_and_that_another_try_may_help() {
    let server = S3Server::start().await;
    let scratch = tempfile::tempdir().unwrap();
    let closed = ClosedPort::new();
    let endpoint = Some(format!("http://{}", closed.address()));
    let options = LakeOptions { endpoint, ..server.options("x", scratch.path()) };

    let error = open_source(options).await.unwrap().list().await.unwrap_err();

    assert!(error.is_transient && error.to_string().contains("s3://lake/x"), "{error}");
}

/// A folder of a delivery with one part in it.
fn delivery() -> (tempfile::TempDir, PathBuf) {
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("export");
    std::fs::create_dir_all(folder.join("users")).unwrap();
    std::fs::write(folder.join("users/part-0.jsonl"), "one").unwrap();
    (above, folder)
}

async fn listed(folder: &Path) -> Result<Vec<String>, String> {
    let scratch = tempfile::tempdir().unwrap();
    let options = LakeOptions {
        url: folder.display().to_string(),
        endpoint: None,
        region: None,
        access_key_id: None,
        secret_access_key: None,
        allow_http: false,
        scratch: scratch.path().to_owned(),
        if_missing: nocturne::lake::IfMissing::Create,
    };
    match open_source(options).await.unwrap().list().await {
        Ok(files) => Ok(files.into_iter().map(|file| file.path).collect()),
        Err(error) => {
            assert!(!error.is_transient, "another try does not help");
            Err(format!("{:#}", anyhow::Error::new(error)))
        }
    }
}

#[tokio::test]
async fn what_is_no_regular_file_is_refused_with_its_name_and_never_opened() {
    let (_above, folder) = delivery();
    assert!(Command::new("mkfifo").arg(folder.join("users/part-1.jsonl")).status().unwrap().success());

    let told = listed(&folder).await.unwrap_err();

    assert!(told.contains("part-1.jsonl") && told.contains("a named pipe, not a regular file"), "{told}");
}

#[tokio::test]
async fn a_link_out_of_the_folder_or_to_a_folder_is_refused() {
    for (target, why) in [("../secret", "leads out of the folder"), ("..", "link to a folder"), ("gone", "nowhere")] {
        let (above, folder) = delivery();
        std::fs::write(above.path().join("secret"), "not for the lake").unwrap();
        let target = if target == ".." { folder.clone() } else { folder.join(target) };
        symlink(target, folder.join("users/part-1.jsonl")).unwrap();

        let told = listed(&folder).await.unwrap_err();

        assert!(told.contains("part-1.jsonl") && told.contains(why), "{told}");
    }
}

#[tokio::test]
async fn a_link_to_a_file_of_the_folder_is_read_also_where_the_folder_is_a_link() {
    let (above, folder) = delivery();
    symlink(folder.join("users/part-0.jsonl"), folder.join("users/part-1.jsonl")).unwrap();
    symlink(&folder, above.path().join("newest")).unwrap();

    let files = listed(&above.path().join("newest")).await.unwrap();

    assert_eq!(files, ["users/part-0.jsonl", "users/part-1.jsonl"]);
}
