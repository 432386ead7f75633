//! What a start must do with the runs it finds: a pure decision.
//!
//! A run that is `running` when a scheduler starts was left by a process that died (one scheduler owns a data
//! folder, and this one has just got the lock): it is resumed. Resuming is safe: attempts left running become lost,
//! staged data are content-named, and what was committed is not done again.

use crate::domain::dag::OverlapPolicy;
use crate::domain::ids::{DagName, RunId};
use crate::domain::run::RunState;
use crate::store::RunRecord;

/// Returns the runs to take up at a start, in the order in which to do so: first those left running, then the queued, oldest first.
pub fn to_take_up(open: &[RunRecord]) -> Vec<RunId> {
    let mut runs: Vec<&RunRecord> = open.iter().filter(|run| !run.state.is_done()).collect();
    runs.sort_by_key(|run| (run.state == RunState::Queued, run.queued_at, run.run_id.clone()));
    runs.into_iter().map(|run| run.run_id.clone()).collect()
}

/// What to do with a new run of `dag` while others are open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlap {
    /// It may begin.
    Begin,
    /// It waits for the others.
    Wait,
    /// It is not made.
    Skip,
    /// The others are cancelled first.
    Replace(Vec<RunId>),
}

/// Returns what `policy` says of a new run of `dag`, given the open runs.
pub fn overlap(policy: OverlapPolicy, dag: &DagName, open: &[RunRecord]) -> Overlap {
    let others: Vec<RunId> =
        open.iter().filter(|run| run.dag == *dag && !run.state.is_done()).map(|run| run.run_id.clone()).collect();
    match policy {
        _ if others.is_empty() => Overlap::Begin,
        OverlapPolicy::Allow => Overlap::Begin,
        OverlapPolicy::Queue => Overlap::Wait,
        OverlapPolicy::Skip => Overlap::Skip,
        OverlapPolicy::Replace => Overlap::Replace(others),
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use jiff::Timestamp;

    use super::*;
    use crate::domain::job::Force;

    fn run(dag: &str, n: u32, state: RunState) -> RunRecord {
        let dag = DagName::from_str(dag).unwrap();
        let date = jiff::civil::date(2026, 11, 20);
        RunRecord {
            run_id: RunId::new(&dag, date, n),
            dag,
            dag_version: String::new(),
            logical_date: date,
            trigger: "command".to_owned(),
            slot: None,
            only: None,
            force: Force::No,
            state,
            cancel_requested: false,
            queued_at: Timestamp::from_second(i64::from(n)).unwrap(),
            started_at: None,
            finished_at: None,
        }
    }

    #[test]
    fn what_was_left_running_comes_before_what_waits() {
        let open = [run("a", 1, RunState::Queued), run("a", 2, RunState::Running), run("a", 3, RunState::Succeeded)];

        let order = to_take_up(&open);

        assert_eq!(order, vec![open[1].run_id.clone(), open[0].run_id.clone()]);
    }

    #[test]
    fn only_open_runs_of_the_same_dag_are_in_the_way() {
        let open = [run("a", 1, RunState::Running), run("b", 2, RunState::Running)];
        let b = DagName::from_str("b").unwrap();
        let c = DagName::from_str("c").unwrap();

        assert_eq!(overlap(OverlapPolicy::Skip, &b, &open), Overlap::Skip);
        assert_eq!(overlap(OverlapPolicy::Skip, &c, &open), Overlap::Begin);
        assert_eq!(overlap(OverlapPolicy::Replace, &b, &open), Overlap::Replace(vec![open[1].run_id.clone()]));
    }
}
