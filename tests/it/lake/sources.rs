//! A folder or a prefix as a source of files.

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
