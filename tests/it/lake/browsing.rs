//! Browsing: the same answers wherever the lake is.

use std::collections::BTreeMap;

use nocturne::lake::LakeError;
use nocturne::telemetry::spawn_blocking;

use super::{Lakes, dataset, frame, publish};
use crate::support::s3::{ACCESS_KEY, BUCKET, S3Server, SECRET_KEY};
use crate::support::site::{SMALL, Site, text};

#[tokio::test(flavor = "multi_thread")]
async fn ls_tree_stat_and_schema_say_the_same_on_every_store() {
    let mut answers: BTreeMap<&str, String> = BTreeMap::new();
    for (store, lake) in Lakes::open().await.iter() {
        publish(lake, vec![frame(0, 10), frame(10, 5)]).await;
        let file = lake
            .stage_file("night.2026-11-20.1.digest.1", "published/reports/a b/ü.html".to_owned(), "page".into())
            .await
            .unwrap();
        lake.put_in_place(&file).await.unwrap();

        let tree = lake.tree("", 9).await.unwrap();
        let ls = lake.ls("restricted").await.unwrap();
        let stat = lake.stat(&dataset(), None).await.unwrap();

        let has =
            |end: &str, is_folder| tree.iter().any(|it| it.path.ends_with(end) && it.size_bytes.is_none() == is_folder);
        assert!(has("/things", true) && has("/ü.html", false), "{store}: {tree:?}");
        assert_eq!((stat.rows, stat.parts), (15, 2), "{store}");
        answers.insert(store, format!("{tree:?}\n{ls:?}\n{stat:?}"));
    }

    assert_eq!(answers["folder"], answers["s3"]);
    assert_eq!(answers["folder"], answers["memory"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_files_names_every_part_and_nothing_that_an_older_snapshot_left() {
    for (store, lake) in Lakes::open().await.iter() {
        publish(lake, vec![frame(0, 10)]).await;
        publish(lake, vec![frame(10, 5), frame(20, 5)]).await;

        let paths = lake.files(&dataset(), None).await.unwrap();

        let manifest = lake.manifest_of(&dataset(), None).await.unwrap();
        assert_eq!(paths.len(), 2, "{store}");
        for (path, part) in paths.iter().zip(&manifest.parts) {
            assert!(path.ends_with(&part.path), "{store}: {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_as_not_found() {
    for (store, lake) in Lakes::open().await.iter() {
        let stat = lake.stat(&dataset(), None).await.unwrap_err();
        let object = lake.get_browsed("published/nothing.html").await.unwrap_err();
        let folder = lake.ls("published/nowhere").await.unwrap_err();

        assert!(matches!(stat, LakeError::NoDataset { .. }), "{store}: {stat}");
        assert!(object.is_not_found(), "{store}: {object}");
        assert!(matches!(folder, LakeError::NothingBelow { .. }), "{store}: {folder}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_leaves_the_same_tree_on_s3_as_in_a_folder() {
    let server = S3Server::start().await;
    let on_s3 = format!(
        "{SMALL}[lake]\nurl = 's3://{BUCKET}/campus/lake'\nendpoint = '{}'\nallow_http = true\n\
         access_key_id = 'env:LAKE_ID'\nsecret_access_key = 'env:LAKE_SECRET'\n",
        server.endpoint
    );
    let trees = spawn_blocking(move || {
        let keys = [("LAKE_ID", ACCESS_KEY), ("LAKE_SECRET", SECRET_KEY)];
        [SMALL, &on_s3].map(|configuration| {
            let site = Site::new(configuration);
            for arguments in [
                &["run", "nightly", "--date", "2026-11-20", "--job", "pull", "--job", "quality"][..],
                &["lake", "verify"],
            ] {
                let output = site.nocturne_with(arguments, &keys);
                assert_eq!(output.status.code(), Some(0), "{}", text(&output));
            }
            let head = site.nocturne_with(&["lake", "head", "restricted/tables/courses"], &keys);
            assert!(text(&head).contains("course_code"), "{}", text(&head));
            text(&site.nocturne_with(&["lake", "tree", "--depth", "9"], &keys))
        })
    })
    .await;

    assert!(trees[0].lines().count() > 30, "{}", trees[0]);
    assert_eq!(trees[0], trees[1]);
}
