//! A private folder below the system's folder for temporary files, which is removed when it is dropped.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::config::Environment as Variables;

/// A folder that only this user may read.
#[derive(Debug)]
pub(super) struct TemporaryFolder {
    path: PathBuf,
    is_kept: bool,
}

/// How often removing a folder is tried while a killed process is still ending in it.
const TRIES: u32 = 1000;

impl TemporaryFolder {
    /// Makes one below `TMPDIR`, or below `/tmp` if that is not set.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn new(variables: &Variables, name: &str) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let above = variables.get("TMPDIR").filter(|path| !path.is_empty()).map_or("/tmp", String::as_str);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = Path::new(above).join(format!("{name}-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path: path.canonicalize()?, is_kept: false }),
                // An earlier process with the same id has left it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 10_000 => {}
                Err(error) => return Err(io::Error::new(error.kind(), format!("making {}: {error}", path.display()))),
            }
        }
    }

    /// Keeps it.
    pub(super) fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Returns where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let mut removed = std::fs::remove_dir_all(&self.path);
        for _ in 1..TRIES {
            if removed.is_ok() {
                return;
            }
            std::thread::yield_now();
            removed = std::fs::remove_dir_all(&self.path);
        }
        if let Err(error) = removed {
            tracing::warn!(path = %self.path.display(), %error, "Could not remove a temporary folder");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn it_is_closed_to_others_and_gone_in_the_end_unless_it_is_kept() {
        let above = tempfile::tempdir().unwrap();
        let variables = Variables::from([("TMPDIR".to_owned(), above.path().display().to_string())]);
        let folder = TemporaryFolder::new(&variables, "scratch").unwrap();
        let path = folder.path().to_owned();

        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        drop(folder);
        let mut kept = TemporaryFolder::new(&variables, "kept").unwrap();
        let kept_at = kept.path().to_owned();
        kept.keep();
        drop(kept);

        assert!(!path.exists() && kept_at.is_dir());
    }
}
