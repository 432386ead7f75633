//! Permissions: who runs the program, what others may read of what it stores, and what it cannot write.
//!
//! Where all data are invented nobody could be harmed, and what would otherwise be a warning is only reported.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use procfs::process::Process;
use rustix::fs::{Access, access};
use rustix::process::geteuid;

use super::checked::{Checked, Subject};
use super::site::{Site, Stakes};
use crate::telemetry::spawn_blocking;

pub(super) const THIS: Subject = Subject("permissions");

/// Checks user, umask, folders and files.
pub(super) fn check(site: &Site) -> BoxFuture<'_, Vec<Checked>> {
    async move {
        let (paths, stakes) = (&site.config.paths, site.stakes());
        let mut folders = vec![("state", paths.state.clone()), ("scratch", paths.scratch.clone())];
        folders.push(("logs", paths.logs.clone()));
        folders.extend(site.lake_folder().map(|folder| ("lake", folder)));
        let umask = Process::myself().ok().and_then(|process| process.status().ok()?.umask);
        let mut checks = vec![user(geteuid().is_root(), stakes)];
        checks.extend(umask.map(|umask| self::umask(umask, stakes)));
        let looked = spawn_blocking(move || {
            let mut checks: Vec<Checked> =
                folders.iter().filter_map(|(name, path)| folder(name, path, stakes)).collect();
            checks.extend(files(&folders[0].1, stakes));
            checks
        });
        checks.extend(looked.await);
        checks
    }
    .boxed()
}

fn user(is_root: bool, stakes: Stakes) -> Checked {
    let advice = "run it as a user of its own (`User=` in the unit, `USER` in the image), and look again as that user";
    match (is_root, stakes) {
        (false, _) => THIS.ok("user", "this is not the superuser"),
        (true, Stakes::Invented) => THIS.ok("user", "this is the superuser; with real data use a user of its own"),
        (true, Stakes::Real) => {
            THIS.warn("user", "this is the superuser: a mistake in a job could do anything to this machine", advice)
        }
    }
}

fn umask(umask: u32, stakes: Stakes) -> Checked {
    if umask & 0o007 == 0o007 {
        return THIS.ok("umask", format!("umask {umask:04o}: others cannot read new files"));
    }
    let found = format!("umask {umask:04o}: others may read or write new files");
    match stakes {
        Stakes::Invented => THIS.ok("umask", format!("{found}; with real data use 0077")),
        Stakes::Real => THIS.warn("umask", found, "start it with umask 0077 (`UMask=0077` in the unit)"),
    }
}

/// Returns the result for a folder; `None` if it does not exist yet.
fn folder(name: &str, path: &Path, stakes: Stakes) -> Option<Checked> {
    let mode = std::fs::metadata(path).ok()?.mode() & 0o777;
    if access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let found = format!("{} may not be read and written by this user (mode {mode:04o})", path.display());
        return Some(THIS.fail(name, found, "give it to the user that runs nocturne, and look again as that user"));
    }
    Some(kept_from_others(name, path, mode, stakes))
}

fn kept_from_others(name: &str, path: &Path, mode: u32, stakes: Stakes) -> Checked {
    let shown = path.display();
    if mode & 0o007 == 0 {
        return THIS.ok(name, format!("{shown} is closed to others (mode {mode:04o})"));
    }
    let found = format!("others on this machine may look into {shown} (mode {mode:04o})");
    match stakes {
        Stakes::Invented => THIS.ok(name, format!("{found}; with real data close it")),
        Stakes::Real => THIS.warn(name, found, format!("`chmod o= {shown}`")),
    }
}

/// Checks the files directly in the state folder: the database, the identity map.
fn files(state: &Path, stakes: Stakes) -> Option<Checked> {
    let entries = std::fs::read_dir(state).ok()?.flatten();
    let open = entries.filter_map(|entry| {
        let found = entry.metadata().ok()?;
        let mode = found.mode() & 0o777;
        (found.is_file() && mode & 0o007 != 0).then(|| (entry.path(), mode))
    });
    let mut open: Vec<(PathBuf, u32)> = open.collect();
    open.sort();
    if open.is_empty() {
        return Some(THIS.ok("state files", format!("none in {} may be read by others", state.display())));
    }
    let found = format!("others may read {} files in {}", open.len(), state.display());
    Some(match stakes {
        Stakes::Invented => THIS.ok("state files", format!("{found}; with real data close them")),
        Stakes::Real => {
            let lines = open.iter().map(|(path, mode)| format!("{} (mode {mode:04o})", path.display())).collect();
            THIS.warn("state files", found, "`chmod 600` for each of them").with_details(lines)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Verdict;

    #[test]
    fn what_others_may_read_is_a_warning_once_the_data_are_real() {
        let at_stake = |stakes| {
            let path = Path::new("var");
            [user(true, stakes), umask(0o022, stakes), kept_from_others("state", path, 0o755, stakes)]
                .map(|check| check.verdict)
        };

        assert_eq!(at_stake(Stakes::Real), [Verdict::Warn; 3]);
        assert_eq!(at_stake(Stakes::Invented), [Verdict::Ok; 3]);
        assert_eq!(umask(0o027, Stakes::Real).verdict, Verdict::Ok);
        assert_eq!(kept_from_others("state", Path::new("var"), 0o750, Stakes::Real).verdict, Verdict::Ok);
    }

    #[test]
    fn open_files_in_the_state_folder_are_named() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("identities.bin");
        std::fs::write(&file, "x").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();

        let open = files(folder.path(), Stakes::Real).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();

        assert_eq!((open.verdict, open.details.len()), (Verdict::Warn, 1));
        assert_eq!(files(folder.path(), Stakes::Real).unwrap().verdict, Verdict::Ok);
    }
}
