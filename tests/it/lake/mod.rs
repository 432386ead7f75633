//! What the lake promises, on every kind of store: a folder, memory, and a server that speaks S3.

mod browsing;
mod publishing;
mod sources;

use nocturne::domain::outcome::SnapshotRef;
use nocturne::lake::{self, Dataset, Lake, LakeOptions, Provenance, Staging};
use polars::prelude::*;

use crate::support::s3::S3Server;

/// A lake on each kind of store, with what keeps the store running.
struct Lakes {
    lakes: Vec<(&'static str, Lake)>,
    _server: S3Server,
    _folder: tempfile::TempDir,
}

impl Lakes {
    async fn open() -> Self {
        let server = S3Server::start().await;
        let folder = tempfile::tempdir().unwrap();
        let local = |url: String| LakeOptions {
            url,
            endpoint: None,
            region: None,
            access_key_id: None,
            secret_access_key: None,
            allow_http: false,
            scratch: folder.path().join("scratch"),
            if_missing: nocturne::lake::IfMissing::Create,
        };
        let options = [
            ("folder", local(folder.path().join("lake").display().to_string())),
            ("memory", local("memory://".to_owned())),
            ("s3", server.options("some/prefix", &folder.path().join("scratch-s3"))),
        ];
        let mut lakes = Vec::new();
        for (name, options) in options {
            lakes.push((name, Lake::open(options).await.unwrap()));
        }
        Self { lakes, _server: server, _folder: folder }
    }

    fn iter(&self) -> impl Iterator<Item = (&'static str, &Lake)> {
        self.lakes.iter().map(|(name, lake)| (*name, lake))
    }
}

fn dataset() -> Dataset {
    Dataset::parse("restricted/tables/things").unwrap()
}

/// Rows with ids from `first`, of every type that tables have.
fn frame(first: i64, rows: i64) -> DataFrame {
    let ids: Vec<i64> = (first..first + rows).collect();
    let names: Vec<Option<String>> = ids.iter().map(|id| (id % 3 != 0).then(|| format!("Größe {id}"))).collect();
    let sizes: Vec<f64> = ids.iter().map(|id| *id as f64 / 3.0).collect();
    df!("id" => ids, "name" => names, "size" => sizes).unwrap()
}

/// Stages and settles a snapshot of these frames.
async fn publish(lake: &Lake, frames: Vec<DataFrame>) -> SnapshotRef {
    let mut staging = Staging::new(lake, dataset(), lake::schema(&frames[0]));
    for frame in frames {
        staging.add(frame, std::collections::BTreeMap::new()).await.unwrap();
    }
    let staged = staging.finish(Provenance::default()).await.unwrap();
    lake.settle(&staged.reference).await.unwrap();
    staged.reference
}
