//! Staging, verifying and settling snapshots.

use std::collections::BTreeSet;

use nocturne::lake::keys;
use nocturne::lake::{LakeError, Provenance, Staging};

use super::{Lakes, dataset, frame, publish};

#[tokio::test(flavor = "multi_thread")]
async fn a_settled_snapshot_is_read_back_as_it_was_written() {
    for (store, lake) in Lakes::open().await.iter() {
        let reference = publish(lake, vec![frame(0, 1000), frame(1000, 500)]).await;

        let read = lake.head_rows(&dataset(), 2000).await.unwrap();

        let sorted = read.sort(["id"], polars::prelude::SortMultipleOptions::default()).unwrap();
        assert!(sorted.equals_missing(&frame(0, 1500)), "{store}: {sorted}");
        assert_eq!(lake.latest(&dataset()).await.unwrap().unwrap().snapshot, reference.snapshot, "{store}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_frames_are_the_same_snapshot_on_every_store() {
    let mut snapshots = BTreeSet::new();
    for (_, lake) in Lakes::open().await.iter() {
        snapshots.insert(publish(lake, vec![frame(0, 100)]).await.snapshot);
        snapshots.insert(publish(lake, vec![frame(0, 100)]).await.snapshot);
    }

    assert_eq!(snapshots.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_by_its_content_is_written_once_and_never_changed() {
    for (store, lake) in Lakes::open().await.iter() {
        let key = dataset().part("data/aa.parquet");
        lake.put_new(&key, "content".into()).await.unwrap();
        lake.put_new(&key, "content".into()).await.unwrap();

        let refused = lake.put_new(&key, "other content".into()).await.unwrap_err();

        assert!(matches!(refused, LakeError::Changed { .. }), "{store}: {refused}");
        assert_eq!(lake.get(&key).await.unwrap(), "content", "{store}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_staged_and_not_settled_is_seen_by_no_reader() {
    for (store, lake) in Lakes::open().await.iter() {
        let first = publish(lake, vec![frame(0, 10)]).await;
        let mut staging = Staging::new(lake, dataset(), nocturne::lake::schema(&frame(0, 1)));
        staging.add(frame(0, 99), std::collections::BTreeMap::new()).await.unwrap();
        let staged = staging.finish(Provenance::default()).await.unwrap();

        assert_eq!(lake.stat(&dataset(), None).await.unwrap().rows, 10, "{store}");
        assert_eq!(lake.stat(&dataset(), Some(&staged.reference.snapshot)).await.unwrap().rows, 99, "{store}");
        assert_eq!(lake.stat(&dataset(), Some(&first.snapshot)).await.unwrap().rows, 10, "{store}");
    }
}

/// Replays a Delta log as a reader does: the paths that were added and not removed since.
async fn delta_files(lake: &nocturne::lake::Lake) -> (BTreeSet<String>, usize) {
    let mut active = BTreeSet::new();
    let commits = lake.list(&dataset().delta_log(None)).await.unwrap();
    for commit in &commits {
        let text = lake.get(&commit.location).await.unwrap();
        for line in std::str::from_utf8(&text).unwrap().lines() {
            let action: serde_json::Value = serde_json::from_str(line).unwrap();
            if let Some(path) = action["add"]["path"].as_str() {
                active.insert(path.to_owned());
            }
            if let Some(path) = action["remove"]["path"].as_str() {
                assert!(active.remove(path), "{path} was removed and never added");
            }
        }
    }
    (active, commits.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_delta_log_names_the_parts_of_the_settled_snapshot_after_every_night() {
    for (store, lake) in Lakes::open().await.iter() {
        for (night, frames) in
            [vec![frame(0, 10)], vec![frame(0, 10), frame(10, 5)], vec![frame(10, 5)]].into_iter().enumerate()
        {
            let reference = publish(lake, frames).await;
            lake.settle(&reference).await.unwrap();

            let manifest = lake.manifest_of(&dataset(), None).await.unwrap();
            let named: BTreeSet<String> = manifest.parts.into_iter().map(|part| part.path).collect();
            assert_eq!(delta_files(lake).await, (named, night + 1), "{store}, night {night}");
        }
    }
}

/// Without a protocol no reader opens the log: <https://github.com/delta-io/delta/blob/master/PROTOCOL.md>.
#[tokio::test(flavor = "multi_thread")]
async fn the_delta_log_begins_with_its_protocol_and_schema_and_says_them_once() {
    for (store, lake) in Lakes::open().await.iter() {
        for frames in [vec![frame(0, 10)], vec![frame(0, 10), frame(10, 5)]] {
            let reference = publish(lake, frames).await;
            lake.settle(&reference).await.unwrap();
        }

        let mut actions = Vec::new();
        for commit in lake.list(&dataset().delta_log(None)).await.unwrap() {
            let text = lake.get(&commit.location).await.unwrap();
            for line in std::str::from_utf8(&text).unwrap().lines() {
                let action: serde_json::Value = serde_json::from_str(line).unwrap();
                actions.push(action.as_object().unwrap().keys().next().unwrap().clone());
            }
        }

        assert_eq!(actions[..2], ["protocol", "metaData"], "{store}");
        assert!(
            !actions[2..].iter().any(|action| action == "protocol" || action == "metaData"),
            "{store}: {actions:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_gets_its_name_only_when_it_is_put_in_place() {
    for (store, lake) in Lakes::open().await.iter() {
        let name = "published/reports/nightly/2026-11-20/index.html";
        let file =
            lake.stage_file("night.2026-11-20.1.digest.1", name.to_owned(), "<p>Grüße</p>".into()).await.unwrap();
        assert!(lake.get_browsed(name).await.unwrap_err().is_not_found(), "{store}");

        lake.put_in_place(&file).await.unwrap();
        lake.put_in_place(&file).await.unwrap();

        assert_eq!(lake.get_browsed(name).await.unwrap(), "<p>Grüße</p>", "{store}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pointers_that_cannot_be_read_are_written_again() {
    for (store, lake) in Lakes::open().await.iter() {
        let first = publish(lake, vec![frame(0, 10)]).await;
        for broken in ["", "{ garbage"] {
            for key in [dataset().latest(), dataset().delta_log(Some(0))] {
                lake.put_pointer(&key, broken.into()).await.unwrap();
            }

            lake.settle(&first).await.unwrap();

            assert_eq!(lake.latest(&dataset()).await.unwrap().unwrap().snapshot, first.snapshot, "{store}");
            let (files, commits) = delta_files(lake).await;
            assert_eq!((files.len(), commits), (1, 1), "{store}: the log was begun anew");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_the_log_that_somebody_else_wrote_is_followed_and_not_taken_for_ours() {
    for (store, lake) in Lakes::open().await.iter() {
        publish(lake, vec![frame(0, 10)]).await;
        let ours = lake.get(&dataset().delta_log(Some(0))).await.unwrap();
        // A rival of the same length took the next version: it removed our part.
        let part = lake.manifest_of(&dataset(), None).await.unwrap().parts.remove(0).path;
        let rival = format!("{{\"remove\":{{\"path\":\"{part}\",\"dataChange\":true}}}}\n");
        lake.put_pointer(&dataset().delta_log(Some(1)), rival.into()).await.unwrap();

        let second = publish(lake, vec![frame(0, 10), frame(10, 5)]).await;

        assert_eq!(lake.latest(&dataset()).await.unwrap().unwrap().snapshot, second.snapshot, "{store}");
        assert_eq!(lake.get(&dataset().delta_log(Some(0))).await.unwrap(), ours, "{store}");
        assert_eq!(delta_files(lake).await.0.len(), 2, "{store}: the log names both parts");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_was_changed_in_the_store_is_found_by_verify() {
    for (store, lake) in Lakes::open().await.iter() {
        publish(lake, vec![frame(0, 10), frame(10, 5)]).await;
        let sound = lake.verify("restricted").await.unwrap();
        let part = lake.manifest_of(&dataset(), None).await.unwrap().parts.remove(0);
        let key = dataset().part(&part.path);
        lake.put_pointer(&key, "not the part".into()).await.unwrap();

        let found = lake.verify("restricted").await.unwrap();

        assert_eq!((sound.parts, sound.wrong.len()), (2, 0), "{store}");
        assert_eq!(found.wrong.keys().collect::<Vec<_>>(), vec![key.as_ref()], "{store}");
        assert_eq!(lake.verify("published").await.unwrap().wrong.len(), 1, "{store}: nothing to verify is no success");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_objects_than_a_page_of_a_listing_are_all_listed() {
    for (store, lake) in Lakes::open().await.iter() {
        for n in 0..1105 {
            lake.put_pointer(&keys::browsed(&format!("published/many/{n:04}")).unwrap(), "x".into()).await.unwrap();
        }

        let listed = lake.list(&keys::browsed("published/many").unwrap()).await.unwrap();

        assert_eq!(listed.len(), 1105, "{store}");
        assert!(listed.windows(2).all(|pair| pair[0].location < pair[1].location), "{store}");
    }
}
