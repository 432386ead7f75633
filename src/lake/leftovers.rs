//! What a killed process leaves in a local lake: files that it was still writing.
//!
//! object_store first writes an object in a folder under `<name>#<number>` and then renames it, so no reader ever sees
//! half a file; a kill in between leaves a file that nothing names. A new owner removes them, because no other process
//! writes. Stores behind a URL have none: an unfinished upload is not an object.

use std::fs;
use std::io;
use std::path::Path;

use tracing::info;

use super::store::{Lake, LakeError, Place};
use crate::telemetry::spawn_blocking;

impl Lake {
    /// Removes the files that a killed process was writing, and returns how many there were.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn remove_half_written(&self) -> Result<u64, LakeError> {
        let Place::Folder(folder) = self.place().clone() else { return Ok(0) };
        let failed = |cause: io::Error| LakeError::Open { url: self.url().to_owned(), cause: cause.into() };
        let removed = spawn_blocking(move || remove_below(&folder)).await.map_err(failed)?;
        if removed > 0 {
            info!(files = removed, "Removed files that a killed process was still writing");
        }
        Ok(removed)
    }
}

fn remove_below(folder: &Path) -> io::Result<u64> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            removed += remove_below(&entry.path())?;
        } else if is_half_written(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Keys of the lake have no `#`: it would be percent-encoded.
fn is_half_written(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_being_written_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("restricted/tables/users/data");
        fs::create_dir_all(&below).unwrap();
        for name in ["aa.parquet", "aa.parquet#1", "bb.parquet#12", "b#.parquet", "c#x"] {
            fs::write(below.join(name), "x").unwrap();
        }

        let removed = remove_below(folder.path()).unwrap();

        let mut left: Vec<_> = fs::read_dir(&below).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!((removed, left), (2, vec!["aa.parquet".into(), "b#.parquet".into(), "c#x".into()]));
    }
}
