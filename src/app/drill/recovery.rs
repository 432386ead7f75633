//! How long recovery took: from the start of a new process until it took the run up, and until the run was done.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// A process that continued a run that another had left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Recovery {
    /// Seconds until the run was taken up.
    pub taken_up_secs: f64,
    /// Seconds until the run was done; nothing where this process was killed in its turn.
    pub done_secs: Option<f64>,
}

/// A run as its events record it.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    pub(super) queued_at: Timestamp,
    pub(super) finished_at: Option<Timestamp>,
    /// When processes took it up, in order.
    pub(super) taken_up: Vec<Timestamp>,
}

/// Returns the recoveries of a run, given when each of its processes was started, in order. A process that was started
/// before there was a run to continue recovered nothing.
pub(super) fn recoveries(run: &Recorded, started: &[Timestamp]) -> Vec<Recovery> {
    let seconds = |from: Timestamp, to: Timestamp| to.duration_since(from).max(SignedDuration::ZERO).as_secs_f64();
    let mut recoveries = Vec::new();
    for (n, start) in started.iter().enumerate().filter(|(_, start)| run.queued_at < **start) {
        let next = started.get(n + 1);
        let is_its = |at: &&Timestamp| *at >= start && next.is_none_or(|next| *at < next);
        let Some(at) = run.taken_up.iter().find(is_its) else { continue };
        let done = run.finished_at.as_ref().filter(is_its);
        let done_secs = done.map(|done| seconds(*start, *done));
        recoveries.push(Recovery { taken_up_secs: seconds(*start, *at), done_secs });
    }
    recoveries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).unwrap()
    }

    #[test]
    fn each_process_that_went_on_with_the_run_is_a_recovery() {
        let run = Recorded { queued_at: at(1), finished_at: Some(at(29)), taken_up: vec![at(1), at(11), at(22)] };

        let found = recoveries(&run, &[at(0), at(10), at(20)]);

        assert_eq!(
            found,
            [Recovery { taken_up_secs: 1.0, done_secs: None }, Recovery { taken_up_secs: 2.0, done_secs: Some(9.0) }]
        );
    }

    #[test]
    fn a_process_that_was_killed_before_it_took_the_run_up_recovered_nothing() {
        let run = Recorded { queued_at: at(1), finished_at: Some(at(29)), taken_up: vec![at(1), at(22)] };

        assert_eq!(recoveries(&run, &[at(0), at(10), at(20)]).len(), 1);
        assert_eq!(recoveries(&run, &[at(0)]), []);
    }

    #[test]
    fn a_run_that_was_made_by_the_second_process_was_not_recovered_by_it() {
        let run = Recorded { queued_at: at(11), finished_at: Some(at(15)), taken_up: vec![at(11)] };

        assert_eq!(recoveries(&run, &[at(0), at(10)]), []);
    }
}
