//! One scheduler owns a data folder.
//!
//! The lock is the operating system's on an open file, so it is gone with the process, however that ends.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::AppError;

/// The lock of a data folder, held until it is dropped.
#[derive(Debug)]
pub struct SchedulerLock {
    _file: File,
}

impl SchedulerLock {
    /// Takes the lock of `folder`; `None` when another process has it.
    ///
    /// # Errors
    /// When the lock's file cannot be made.
    pub fn take(folder: &Path) -> Result<Option<Self>, AppError> {
        let path = folder.join("scheduler.lock");
        let failed = |cause| AppError::File { path: path.display().to_string(), cause };
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(cause)) => Err(failed(cause)),
        }
    }

    /// Returns whether a process has the lock of `folder`; nothing is made.
    ///
    /// # Errors
    /// When the lock's file cannot be used.
    pub fn is_held(folder: &Path) -> Result<bool, AppError> {
        let path = folder.join("scheduler.lock");
        let failed = |cause| AppError::File { path: path.display().to_string(), cause };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(cause) => return Err(failed(cause)),
        };
        // Shared, so that two who look do not see each other.
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(cause)) => Err(failed(cause)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_and_is_free_again_after_it() {
        let folder = tempfile::tempdir().unwrap();

        let first = SchedulerLock::take(folder.path()).unwrap();
        assert!(first.is_some());
        assert!(SchedulerLock::is_held(folder.path()).unwrap());
        assert!(SchedulerLock::take(folder.path()).unwrap().is_none());

        drop(first);
        assert!(!SchedulerLock::is_held(folder.path()).unwrap());
        assert!(SchedulerLock::take(folder.path()).unwrap().is_some());
    }
}
