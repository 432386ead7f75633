//! Disk: space and inodes where state, lake, scratch, logs and e-mails are written, measured against what is used.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rustix::fs::{StatVfs, statvfs};

use super::checked::{Checked, Subject, Verdict};
use super::site::{Site, nearest};
use crate::config::MailTransport;
use crate::telemetry::spawn_blocking;

pub(super) const THIS: Subject = Subject("disk");

const MIB: u64 = 1 << 20;

/// With less than this, no night is certain to finish.
const LEAST_BYTES: u64 = 256 * MIB;
/// With less than this, or less than a fifth of what is used, it is time to act.
const FEW_BYTES: u64 = 1024 * MIB;

const LEAST_INODES: u64 = 1_000;
const FEW_INODES: u64 = 20_000;

/// The most files that are measured: more would take too long.
const MOST_FILES: u64 = 500_000;

/// Checks every file system that is written to.
pub(super) fn check(site: &Site) -> BoxFuture<'_, Vec<Checked>> {
    async move {
        let paths = &site.config.paths;
        let mut folders = vec![("state", paths.state.clone()), ("scratch", paths.scratch.clone())];
        folders.push(("logs", paths.logs.clone()));
        folders.extend(site.lake_folder().map(|folder| ("lake", folder)));
        if site.config.mail.transport == MailTransport::Eml {
            folders.push(("e-mails", site.config.mail.folder.clone()));
        }
        spawn_blocking(move || look(&folders)).await
    }
    .boxed()
}

/// What is available on a file system, and how much of it is ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Space {
    free_bytes: u64,
    free_inodes: u64,
    /// 0 if the file system has no fixed number of them.
    inodes: u64,
    our_bytes: u64,
}

fn look(folders: &[(&'static str, PathBuf)]) -> Vec<Checked> {
    let mut systems: BTreeMap<u64, (Vec<&'static str>, PathBuf)> = BTreeMap::new();
    for (name, folder) in folders {
        let there = nearest(folder);
        let Ok(found) = std::fs::metadata(&there) else { continue };
        systems.entry(found.dev()).or_insert_with(|| (Vec::new(), there)).0.push(name);
    }
    let measured = systems.into_iter().map(|(device, (names, there))| match statvfs(&there) {
        Ok(found) => {
            let ours = folders.iter().filter(|(name, _)| names.contains(name)).map(|(_, folder)| folder.as_path());
            judge(&names, &space(&found, measure(ours, device)))
        }
        Err(error) => THIS.skipped(names[0], format!("{}: {error}", there.display())),
    });
    measured.collect()
}

fn space(found: &StatVfs, our_bytes: u64) -> Space {
    Space {
        free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        free_inodes: found.f_favail,
        inodes: found.f_files,
        our_bytes,
    }
}

/// Returns how many bytes files below these folders hold on a device; each file counts once, links are not followed.
fn measure<'a>(folders: impl Iterator<Item = &'a Path>, device: u64) -> u64 {
    let mut left: Vec<PathBuf> = folders.map(Path::to_owned).collect();
    let mut seen = std::collections::BTreeSet::new();
    let (mut bytes, mut files) = (0, 0);
    while let Some(folder) = left.pop() {
        let is_new = std::fs::canonicalize(&folder).is_ok_and(|folder| seen.insert(folder));
        let Some(entries) = is_new.then(|| std::fs::read_dir(&folder).ok()).flatten() else { continue };
        for entry in entries.flatten() {
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                left.push(entry.path());
            } else if found.dev() == device {
                bytes += found.blocks() * 512;
                files += 1;
            }
            if files == MOST_FILES {
                return bytes;
            }
        }
    }
    bytes
}

/// Judges a file system by what is stored on it; the first of these names the check.
fn judge(holds: &[&str], space: &Space) -> Checked {
    let wanted = FEW_BYTES.max(space.our_bytes / 5);
    let by_bytes = grade(space.free_bytes, LEAST_BYTES, wanted);
    let by_inodes = if space.inodes == 0 { Verdict::Ok } else { grade(space.free_inodes, LEAST_INODES, FEW_INODES) };
    let (free, ours) = (space.free_bytes / MIB, space.our_bytes / MIB);
    let advice = "make room, or give it a larger disk; `[retention]` says what is kept and for how long";
    let (check, all) = (holds[0], holds.join(", "));
    let found = if by_inodes > by_bytes {
        format!("only {} more files fit on the disk of {all}", space.free_inodes)
    } else {
        format!("{free} MiB are free for {all}, and {ours} MiB are in use by them")
    };
    match by_bytes.max(by_inodes) {
        Verdict::Fail => THIS.fail(check, found, advice),
        Verdict::Warn => THIS.warn(check, found, advice),
        _ => THIS.ok(check, found),
    }
}

fn grade(free: u64, least: u64, few: u64) -> Verdict {
    match free {
        free if free < least => Verdict::Fail,
        free if free < few => Verdict::Warn,
        _ => Verdict::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMY: Space = Space { free_bytes: 4 << 30, free_inodes: 1 << 20, inodes: 1 << 21, our_bytes: 0 };

    fn verdict(space: Space) -> Verdict {
        judge(&["state"], &space).verdict
    }

    #[test]
    fn what_is_there_says_how_much_room_is_little() {
        assert_eq!(verdict(ROOMY), Verdict::Ok);
        assert_eq!(verdict(Space { our_bytes: 40 << 30, ..ROOMY }), Verdict::Warn);
        assert_eq!(verdict(Space { free_bytes: 100 * MIB, ..ROOMY }), Verdict::Fail);
    }

    #[test]
    fn a_disk_without_inodes_is_full_and_one_that_has_no_fixed_number_is_not() {
        let none_left = Space { free_inodes: 10, ..ROOMY };

        assert_eq!(verdict(none_left), Verdict::Fail);
        assert_eq!(verdict(Space { inodes: 0, ..none_left }), Verdict::Ok);
    }

    #[test]
    fn a_folder_within_another_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("logs")).unwrap();
        std::fs::write(folder.path().join("logs/a"), vec![1; 100_000]).unwrap();
        let device = std::fs::metadata(folder.path()).unwrap().dev();

        let once = measure([folder.path()].into_iter(), device);
        let twice = measure([folder.path(), &folder.path().join("logs")].into_iter(), device);

        assert!(once >= 100_000 && once == twice, "{once} and {twice}");
    }
}
