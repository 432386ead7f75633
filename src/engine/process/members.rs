//! Which processes belong to an attempt, decided from what `/proc` shows.
//!
//! A process belongs to an attempt when it is in the attempt's process group; when its environment has the attempt's
//! marks ([`Marks`]), which every process inherits from the one that started it; when it was seen to belong before;
//! or when a process that belongs is its parent.
//!
//! How far this can be promised: a process that leaves the group (`setsid`) is found by its marks, and one that also
//! drops its environment is found while its parent lives, or if it was seen before its parent ended. One that does
//! all of it between two looks (new session, empty environment, parent gone) cannot be found from `/proc`: only a
//! cgroup holds it (`cgroup`). Whoever ends processes therefore looks again and again, as often as `ROUNDS` says.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::time::Duration;

use procfs::process::{Process, Stat, all_processes};

use super::identity::Identity;

/// The variable with the attempt's fence.
pub(super) const FENCE: &str = "NOCTURNE_ATTEMPT_FENCE";
/// The variable with the scratch folder: two sites on one machine may have attempts of the same name.
pub(super) const SCRATCH: &str = "NOCTURNE_ATTEMPT_SCRATCH";

/// How often a group is looked at again for what it has forked meanwhile.
pub(super) const ROUNDS: usize = 200;
/// How long to wait between two looks at processes that are ending.
pub(super) const BETWEEN_ROUNDS: Duration = Duration::from_millis(10);

/// What every process of an attempt has in its environment, unless it drops it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) fence: String,
    pub(super) scratch: String,
}

/// A process as `/proc` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) identity: Identity,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) is_marked: bool,
}

/// Returns those that belong to the attempt led by `leader`, from what is seen now and what was known before.
pub(super) fn belonging(seen: &[Seen], leader: Identity, known: &BTreeSet<Identity>) -> BTreeSet<Identity> {
    // The number of a group is reused only when the group is empty; its new leader then has another start time.
    let is_ours = seen.iter().all(|p| p.identity.pid != leader.pid || p.identity == leader);
    let mut found: BTreeSet<Identity> = seen
        .iter()
        .filter(|p| (is_ours && p.group == leader.pid) || p.is_marked || known.contains(&p.identity))
        .map(|p| p.identity)
        .collect();
    loop {
        let pids: BTreeSet<i32> = found.iter().map(|identity| identity.pid).collect();
        let before = found.len();
        found.extend(seen.iter().filter(|p| pids.contains(&p.parent)).map(|p| p.identity));
        if found.len() == before {
            return found;
        }
    }
}

/// Returns the living processes visible to this one, except itself; zombies do nothing and do not count as living.
///
/// Environments are read only of processes that are in neither `known` nor `foreign`; those without marks are added to
/// `foreign`.
pub(super) fn look(marks: &Marks, known: &BTreeSet<Identity>, foreign: &mut BTreeSet<Identity>) -> Vec<Seen> {
    let Ok(processes) = all_processes() else { return Vec::new() };
    let me = i32::try_from(std::process::id()).unwrap_or(-1);
    let mut seen = Vec::new();
    let mut still_foreign = BTreeSet::new();
    // A process that ends while it is looked at is gone.
    for process in processes.flatten() {
        let Ok(stat) = process.stat() else { continue };
        if matches!(stat.state, 'Z' | 'X') || stat.pid == me || is_of_the_kernel(&stat) {
            continue;
        }
        let identity = Identity { pid: stat.pid, started: stat.starttime };
        let marks = if known.contains(&identity) {
            Found::Unclear
        } else if foreign.contains(&identity) {
            Found::None
        } else {
            found(&process, marks)
        };
        if marks == Found::None {
            still_foreign.insert(identity);
        }
        let is_marked = marks == Found::Ours;
        seen.push(Seen { identity, parent: stat.ppid, group: stat.pgrp, is_marked });
    }
    *foreign = still_foreign;
    seen
}

/// The marks that a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Ours,
    None,
    /// It is being replaced by another program, and has no environment at this instant.
    Unclear,
}

fn found(process: &Process, marks: &Marks) -> Found {
    // The environment of another user's process cannot be read: it is not one of ours.
    let Ok(environment) = process.environ() else { return Found::None };
    if environment.is_empty() {
        return Found::Unclear;
    }
    let is = |name: &str, value: &str| environment.get(OsStr::new(name)).is_some_and(|found| found == value);
    if is(FENCE, &marks.fence) && is(SCRATCH, &marks.scratch) { Found::Ours } else { Found::None }
}

/// The kernel's own threads belong to no attempt (`PF_KTHREAD`; their pid says nothing inside a container).
fn is_of_the_kernel(stat: &Stat) -> bool {
    stat.flags & 0x0020_0000 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pid: i32, parent: i32, group: i32) -> Seen {
        Seen { identity: Identity { pid, started: 1 }, parent, group, is_marked: false }
    }

    fn pids(found: &BTreeSet<Identity>) -> Vec<i32> {
        found.iter().map(|identity| identity.pid).collect()
    }

    const LEADER: Identity = Identity { pid: 10, started: 1 };

    #[test]
    fn the_group_its_descendants_and_the_marked_belong() {
        let marked = Seen { is_marked: true, ..seen(30, 1, 30) };
        let all = [seen(1, 0, 1), seen(10, 1, 10), seen(11, 10, 10), seen(20, 11, 20), seen(21, 20, 21), marked];

        assert_eq!(pids(&belonging(&all, LEADER, &BTreeSet::new())), [10, 11, 20, 21, 30]);
    }

    #[test]
    fn what_was_known_belongs_after_its_parent_is_gone() {
        let all = [seen(1, 0, 1), seen(20, 1, 20), seen(40, 1, 40)];
        let known = BTreeSet::from([Identity { pid: 20, started: 1 }, Identity { pid: 40, started: 9 }]);

        assert_eq!(pids(&belonging(&all, LEADER, &known)), [20]);
    }

    #[test]
    fn a_group_whose_number_is_used_again_is_left_alone() {
        let stranger = Seen { identity: Identity { pid: 10, started: 5 }, ..seen(10, 1, 10) };
        let all = [stranger, seen(11, 10, 10)];

        assert_eq!(pids(&belonging(&all, LEADER, &BTreeSet::new())), Vec::<i32>::new());
    }
}
