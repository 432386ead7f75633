//! What is kept and what may be deleted: a decision about runs, logs and scratch files, from facts about them.
//!
//! A run that is open, one that something in use refers to, and the newest runs of a DAG are never deleted; of the
//! others, those beyond the limits of age and count are. Of the logs the oldest are deleted first, also to stay within
//! a number of bytes. Pure: the store deletes what these functions name, `app` removes the files.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::ids::{DagName, RunId};

/// How long scratch files that nobody removed are left alone: a process may still be using them.
const SCRATCH_REST: SignedDuration = SignedDuration::from_hours(24);

/// How many runs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunLimits {
    /// Finished runs that are older are deleted.
    pub days: u32,
    /// The most runs kept of each DAG.
    pub at_most: u32,
    /// How many of the newest runs of each DAG are kept, however old.
    pub at_least: u32,
}

/// A run, as far as it matters for keeping it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRun {
    /// The run.
    pub run_id: RunId,
    /// Its DAG.
    pub dag: DagName,
    /// When it was asked for.
    pub queued_at: Timestamp,
    /// When it ended; `None`: it is open.
    pub ended_at: Option<Timestamp>,
    /// Whether something in use refers to it: a current snapshot, a model in use or under trial, the last success of a
    /// job, an e-mail that was not sent.
    pub is_in_use: bool,
}

/// Returns the runs to delete, oldest first.
pub fn runs_that_go(runs: &[StoredRun], limits: RunLimits, now: Timestamp) -> Vec<RunId> {
    let mut by_dag: BTreeMap<&DagName, Vec<&StoredRun>> = BTreeMap::new();
    for run in runs {
        by_dag.entry(&run.dag).or_default().push(run);
    }
    let oldest = days_before(now, limits.days);
    let mut going: Vec<&StoredRun> = Vec::new();
    for runs in by_dag.values_mut() {
        runs.sort_by(|a, b| (b.queued_at, &b.run_id).cmp(&(a.queued_at, &a.run_id)));
        going.extend(runs.iter().enumerate().filter_map(|(place, run)| {
            let ended_at = run.ended_at?;
            let is_kept = run.is_in_use || place < index(limits.at_least);
            let is_beyond = ended_at < oldest || place >= index(limits.at_most);
            (!is_kept && is_beyond).then_some(*run)
        }));
    }
    going.sort_by(|a, b| (a.queued_at, &a.run_id).cmp(&(b.queued_at, &b.run_id)));
    going.into_iter().map(|run| run.run_id.clone()).collect()
}

/// How much of the logs is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Logs of runs that were last written before so many days are deleted.
    pub days: u32,
    /// The logs of at most so many runs.
    pub runs: u32,
    /// At most so many bytes.
    pub bytes: u64,
}

/// The folder of a run's logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFolder {
    /// Its name: the run's id.
    pub name: String,
    /// When something was last written in it.
    pub written_at: Timestamp,
    /// Bytes in it.
    pub bytes: u64,
}

/// The log folders of all runs, and what became of the runs.
#[derive(Debug, Clone, Copy)]
pub struct LogsOfRuns<'a> {
    /// One folder for each run.
    pub folders: &'a [LogFolder],
    /// The runs that are open.
    pub open: &'a BTreeSet<String>,
    /// The runs that were deleted.
    pub deleted: &'a BTreeSet<String>,
}

/// Returns the log folders to delete: those of deleted runs, and the oldest beyond the limits. Those of open runs are
/// kept, and count towards the limits.
pub fn logs_that_go(logs: LogsOfRuns<'_>, limits: LogLimits, now: Timestamp) -> Vec<String> {
    let LogsOfRuns { folders, open, deleted } = logs;
    let mut newest_first: Vec<&LogFolder> = folders.iter().collect();
    newest_first.sort_by(|a, b| (b.written_at, &b.name).cmp(&(a.written_at, &a.name)));
    let oldest = days_before(now, limits.days);
    let (mut kept, mut bytes, mut going) = (0, 0_u64, Vec::new());
    for folder in newest_first {
        let with_it = bytes.saturating_add(folder.bytes);
        let is_beyond = folder.written_at < oldest || kept >= index(limits.runs) || with_it > limits.bytes;
        if !open.contains(&folder.name) && (is_beyond || deleted.contains(&folder.name)) {
            going.push(folder.name.clone());
            continue;
        }
        (kept, bytes) = (kept + 1, with_it);
    }
    going
}

/// What an attempt left in scratch: a file or a folder whose name begins with the attempt's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScratchEntry {
    /// Its name.
    pub name: String,
    /// When it was last changed.
    pub changed_at: Timestamp,
}

/// Returns the scratch entries to delete: those untouched for a day that belong to no running attempt. `running` has
/// the names of attempts, `<run>.<job>.<attempt>`.
pub fn scratch_that_goes<'a>(entries: &'a [ScratchEntry], running: &[String], now: Timestamp) -> Vec<&'a str> {
    let rested = now.checked_sub(SCRATCH_REST).unwrap_or(Timestamp::MIN);
    // `a.pull.1` is not the attempt to which `a.pull.12` belongs.
    let is_of = |entry: &str, attempt: &str| {
        entry.strip_prefix(attempt).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let goes =
        |entry: &&ScratchEntry| entry.changed_at < rested && !running.iter().any(|attempt| is_of(&entry.name, attempt));
    entries.iter().filter(goes).map(|entry| entry.name.as_str()).collect()
}

/// Returns the instant that is so many days before `now`.
pub fn days_before(now: Timestamp, days: u32) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MIN)
}

fn index(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    fn run(dag: &str, days_ago: u32) -> StoredRun {
        let at = days_before(now(), days_ago);
        StoredRun {
            run_id: RunId::from_stored(format!("{dag}.{days_ago}")),
            dag: dag.parse().unwrap(),
            queued_at: at,
            ended_at: Some(at),
            is_in_use: false,
        }
    }

    fn gone(runs: &[StoredRun], limits: RunLimits) -> Vec<String> {
        runs_that_go(runs, limits, now()).iter().map(ToString::to_string).collect()
    }

    const LIMITS: RunLimits = RunLimits { days: 400, at_most: 1000, at_least: 2 };

    #[test]
    fn old_runs_go_and_the_newest_of_each_dag_stay_however_old() {
        let runs = [run("a", 600), run("a", 500), run("a", 401), run("a", 3), run("b", 900), run("b", 800)];

        assert_eq!(gone(&runs, LIMITS), ["a.600", "a.500"]);
    }

    #[test]
    fn beyond_the_count_the_oldest_go() {
        let runs: Vec<_> = (0..5).map(|days| run("a", days)).collect();

        assert_eq!(gone(&runs, RunLimits { at_most: 3, ..LIMITS }), ["a.4", "a.3"]);
    }

    #[test]
    fn what_is_open_or_in_use_stays() {
        let mut runs = [run("a", 900), run("a", 800), run("a", 700), run("a", 2), run("a", 1)];
        runs[0].ended_at = None;
        runs[1].is_in_use = true;

        assert_eq!(gone(&runs, LIMITS), ["a.700"]);
    }

    proptest! {
        #[test]
        fn nothing_that_must_stay_goes(
            facts in proptest::collection::vec((0_u32..3, 0_u32..1000, any::<bool>(), any::<bool>()), 0..40),
            days in 1_u32..500, at_most in 1_u32..20, at_least in 0_u32..5,
        ) {
            let runs: Vec<StoredRun> = facts.iter().enumerate().map(|(n, (dag, days_ago, is_open, is_in_use))| {
                let one = run(["a", "b", "c"][*dag as usize], *days_ago);
                StoredRun {
                    run_id: RunId::from_stored(format!("{n}")),
                    ended_at: one.ended_at.filter(|_| !is_open),
                    is_in_use: *is_in_use,
                    ..one
                }
            }).collect();

            let going = runs_that_go(&runs, RunLimits { days, at_most, at_least }, now());

            for run in &runs {
                let newer = runs.iter().filter(|other| other.dag == run.dag && other.queued_at > run.queued_at).count();
                let goes = going.contains(&run.run_id);
                prop_assert!(!goes || run.ended_at.is_some() && !run.is_in_use);
                let is_young = run.ended_at.is_none_or(|ended| ended >= days_before(now(), days));
                prop_assert!(!goes || !is_young || newer + 1 > at_most as usize || runs.iter().filter(
                    |other| other.dag == run.dag && other.queued_at == run.queued_at).count() > 1);
            }
            for dag in ["a", "b", "c"] {
                let of_dag = runs.iter().filter(|run| run.dag.as_str() == dag);
                let left = of_dag.clone().filter(|run| !going.contains(&run.run_id)).count();
                prop_assert!(left >= (at_least as usize).min(of_dag.count()));
            }
        }
    }

    fn folder(name: &str, days_ago: u32, bytes: u64) -> LogFolder {
        LogFolder { name: name.to_owned(), written_at: days_before(now(), days_ago), bytes }
    }

    #[test]
    fn logs_go_by_age_by_count_and_by_bytes_oldest_first_and_those_of_open_runs_never() {
        let folders = [
            folder("open", 300, 50),
            folder("old", 200, 1),
            folder("c", 3, 40),
            folder("b", 2, 40),
            folder("a", 1, 40),
        ];
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let gone = |limits, deleted: &[&str]| {
            let (open, deleted) = (names(&["open"]), names(deleted));
            logs_that_go(LogsOfRuns { folders: &folders, open: &open, deleted: &deleted }, limits, now())
        };
        let limits = LogLimits { days: 90, runs: 100, bytes: 1000 };

        assert_eq!(gone(limits, &[]), ["old"]);
        assert_eq!(gone(limits, &["b", "open"]), ["b", "old"]);
        assert_eq!(gone(LogLimits { runs: 2, ..limits }, &[]), ["c", "old"]);
        assert_eq!(gone(LogLimits { bytes: 90, ..limits }, &[]), ["c", "old"]);
    }

    #[test]
    fn scratch_of_an_attempt_that_runs_or_ended_today_stays() {
        let entry = |name: &str, days| ScratchEntry { name: name.to_owned(), changed_at: days_before(now(), days) };
        let entries = [entry("n.1.pull.1", 2), entry("n.1.pull.12.json", 2), entry("n.1.pull.2.json", 0)];

        assert_eq!(scratch_that_goes(&entries, &["n.1.pull.1".to_owned()], now()), ["n.1.pull.12.json"]);
    }
}
