//! Processes that outlived a parent that was killed: found at the next start, and ended.
//!
//! While a group runs, a marker that names its leader is in `<scratch>/processes/<fence>`. It matters within one boot
//! only, so nothing is made durable. A start that owns the data folder reads the markers and ends what is left of each
//! group, including processes that left the group but still have its marks, before anything runs again.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::identity::{Identity, boot_id};
use super::members::{self, Marks, Seen};
use rustix::process::Signal;

/// The marker of a running group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Marker {
    pub(super) leader: Identity,
    pub(super) boot_id: String,
}

/// Returns the folder of the markers.
fn folder(scratch: &Path) -> PathBuf {
    scratch.join("processes")
}

/// Returns the folder of the attempts' results.
pub(super) fn results(scratch: &Path) -> PathBuf {
    scratch.join("outcomes")
}

/// Leaves an empty marker for a group that is about to be started: were this process killed before it can name the
/// leader, the next start still finds the group by its marks. Returns its path.
pub(super) fn announce(scratch: &Path, fence: &str) -> io::Result<PathBuf> {
    let folder = folder(scratch);
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(fence);
    std::fs::write(&path, "")?;
    Ok(path)
}

/// Writes the marker of a group and returns its path.
pub(super) fn mark(scratch: &Path, fence: &str, leader: Identity) -> io::Result<PathBuf> {
    let folder = folder(scratch);
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(fence);
    let marker = Marker { leader, boot_id: boot_id() };
    std::fs::write(&path, serde_json::to_vec(&marker)?)?;
    Ok(path)
}

/// Returns the scratch folder as it is written in the marks of processes: the same however a configuration spells it.
pub(super) fn name_of(scratch: &Path) -> String {
    let path = scratch.canonicalize().unwrap_or_else(|_| scratch.to_owned());
    path.to_string_lossy().into_owned()
}

/// Ends every group that survived its parent and returns how many there were; it also removes their markers and results
/// that nothing waits for any more.
///
/// Only the owner of the data folder may call it, before it starts anything.
///
/// # Errors
/// When the markers cannot be listed.
pub fn end_survivors(scratch: &Path) -> io::Result<usize> {
    let entries = match std::fs::read_dir(folder(scratch)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let boot = boot_id();
    let mut ended = 0;
    for entry in entries {
        let path = entry?.path();
        let fence = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let marks = Marks { fence, scratch: name_of(scratch) };
        // A torn marker names no process; the group's processes still have their marks.
        let marker = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Marker>(&bytes).ok());
        if end_group(marker.as_ref(), &boot, &marks) {
            warn!(fence = marks.fence, "Ended the processes of an attempt that survived their parent");
            ended += 1;
        }
        std::fs::remove_file(&path)?;
    }
    if results(scratch).exists() {
        std::fs::remove_dir_all(results(scratch))?;
    }
    Ok(ended)
}

/// Returns what is left of the group that `marker` names.
fn left(marker: Option<&Marker>, boot: &str, seen: &[Seen], known: &BTreeSet<Identity>) -> BTreeSet<Identity> {
    match marker {
        Some(marker) if marker.boot_id == boot => members::belonging(seen, marker.leader, known),
        // Nothing is left of another boot, and its pids now belong to other processes.
        Some(_) => BTreeSet::new(),
        None => members::belonging(seen, Identity { pid: -1, started: 0 }, known),
    }
}

/// Kills what is left of a group, again for whatever it forks; returns whether there was anything.
fn end_group(marker: Option<&Marker>, boot: &str, marks: &Marks) -> bool {
    let (mut known, mut foreign) = (BTreeSet::new(), BTreeSet::new());
    let mut was_there = false;
    for _ in 0..members::ROUNDS {
        let seen = members::look(marks, &known, &mut foreign);
        let alive = left(marker, boot, &seen, &known);
        if alive.is_empty() {
            return was_there;
        }
        was_there = true;
        for member in &alive {
            // One that has just ended needs no signal.
            member.signal(Signal::KILL).unwrap_or_default();
        }
        known.extend(alive);
        std::thread::sleep(members::BETWEEN_ROUNDS);
    }
    warn!(fence = marks.fence, "Some processes of an attempt could not be ended");
    was_there
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command};

    use super::*;

    fn seen(pid: i32, started: u64) -> Seen {
        Seen { identity: Identity { pid, started }, parent: 1, group: pid, is_marked: false }
    }

    #[test]
    fn only_the_same_process_of_the_same_boot_is_left() {
        let marker = Marker { leader: Identity { pid: 10, started: 7 }, boot_id: "b".to_owned() };
        let left = |boot: &str, seen: &[Seen]| left(Some(&marker), boot, seen, &BTreeSet::new()).len();

        assert_eq!(left("b", &[seen(10, 7)]), 1);
        assert_eq!(left("b", &[seen(10, 8)]), 0, "the number is used again");
        assert_eq!(left("c", &[seen(10, 7)]), 0, "the machine was started again");
        assert_eq!(left("b", &[]), 0);
    }

    fn sleeping(scratch: &Path, fence: &str) -> Child {
        Command::new("sleep")
            .arg("302")
            .env(members::FENCE, fence)
            .env(members::SCRATCH, name_of(scratch))
            .process_group(0)
            .spawn()
            .unwrap()
    }

    #[test]
    fn a_group_whose_parent_was_killed_before_it_could_name_it_is_ended() {
        let scratch = tempfile::tempdir().unwrap();
        announce(scratch.path(), "night.1.job.1").unwrap();
        let mut leader = sleeping(scratch.path(), "night.1.job.1");

        let ended = end_survivors(scratch.path()).unwrap();

        assert_eq!((ended, leader.wait().unwrap().success()), (1, false));
    }

    #[test]
    fn a_group_that_survived_is_ended_with_what_left_it_and_its_marker_is_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let mut leader = sleeping(scratch.path(), "night.1.job.1");
        let mut gone_its_own_way = sleeping(scratch.path(), "night.1.job.1");
        let mut other = sleeping(scratch.path(), "night.1.job.2");
        let identity = Identity::of(i32::try_from(leader.id()).unwrap()).unwrap();
        mark(scratch.path(), "night.1.job.1", identity).unwrap();

        std::fs::create_dir_all(results(scratch.path()).join("night.1.job.1")).unwrap();

        let ended = end_survivors(scratch.path()).unwrap();

        assert_eq!(ended, 1);
        assert!(!results(scratch.path()).exists());
        assert!(!leader.wait().unwrap().success());
        assert!(!gone_its_own_way.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none(), "another attempt's process was ended");
        assert_eq!(end_survivors(scratch.path()).unwrap(), 0);
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
