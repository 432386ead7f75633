//! Whether a store keeps the promises that the lake is built on: an object is created only once, is visible at once,
//! and has a time.
//!
//! An object under a key of its own is written, written again, listed, read and removed. Objects of earlier probes that
//! were interrupted are removed too, once they are an hour old by the store's clock. In a folder nothing remains, not
//! even an empty folder.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use object_store::path::Path;

use super::keys;
use super::store::{Created, Lake, LakeError, Place};

/// From this age on, an object of another probe counts as abandoned.
const ABANDONED: SignedDuration = SignedDuration::from_hours(1);

/// The result of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Whether the listing showed the object at once.
    pub is_listed: bool,
    /// Whether a second writer of the same key was refused.
    pub is_created_once: bool,
    /// Whether the bytes read are those that were written first.
    pub is_read_back: bool,
    /// When the object was written, by the store's clock.
    pub written_at: Timestamp,
}

impl Lake {
    /// Writes, lists, reads and removes an object; `id` distinguishes this probe from others.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn probe(&self, id: &str) -> Result<Probe, LakeError> {
        let key = keys::probe(id);
        let seen = self.probe_with(&key).await;
        let removed = self.remove(&key).await;
        self.remove_empty_folders();
        let seen = seen?;
        removed?;
        Ok(seen)
    }

    async fn probe_with(&self, key: &Path) -> Result<Probe, LakeError> {
        let (first, second) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
        self.create(key, first.clone()).await?;
        let is_created_once = self.create(key, second).await? == Created::Before;
        let written_at = instant(self.head(key).await?.last_modified.timestamp_micros());
        let listed = self.list(&keys::probes()).await?;
        let is_listed = listed.iter().any(|object| object.location == *key);
        for other in listed.iter().filter(|object| object.location != *key) {
            if written_at.duration_since(instant(other.last_modified.timestamp_micros())) > ABANDONED {
                self.remove(&other.location).await?;
            }
        }
        Ok(Probe { is_listed, is_created_once, is_read_back: self.get(key).await? == first, written_at })
    }

    /// Removes the folders of the probe's object that contain nothing else.
    fn remove_empty_folders(&self) {
        let Place::Folder(folder) = self.place() else { return };
        for below in [keys::probes().to_string(), keys::RESTRICTED.to_owned()] {
            // A folder that is not empty stays.
            std::fs::remove_dir(folder.join(below)).unwrap_or_default();
        }
    }
}

fn instant(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::LakeOptions;

    async fn lake(url: &str) -> Lake {
        let options = LakeOptions {
            url: url.to_owned(),
            endpoint: None,
            region: None,
            access_key_id: None,
            secret_access_key: None,
            allow_http: false,
            scratch: "/nowhere".into(),
            if_missing: crate::lake::IfMissing::Create,
        };
        Lake::open(options).await.unwrap()
    }

    #[tokio::test]
    async fn a_folder_keeps_its_promises_and_is_as_it_was_afterwards() {
        let folder = tempfile::tempdir().unwrap();

        let probe = lake(folder.path().to_str().unwrap()).await.probe("a").await.unwrap();

        assert!(probe.is_listed && probe.is_created_once && probe.is_read_back, "{probe:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn another_probe_that_is_still_at_work_is_left_alone() {
        let lake = lake("memory://").await;
        lake.create(&keys::probe("other"), Bytes::from_static(b"first")).await.unwrap();

        lake.probe("mine").await.unwrap();

        let left: Vec<_> =
            lake.list(&keys::probes()).await.unwrap().into_iter().map(|object| object.location).collect();
        assert_eq!(left, [keys::probe("other")]);
    }
}
