//! What is due at a deadline: a pure function from the promises and the runs to the notices to send.
//!
//! A slot promises its e-mails when it is taken; what is still only promised at the deadline is filled with a notice:
//! late, failed, or never began. No notice is sent for a deadline that passed more than a day ago: later nights say
//! more. A slot that was not taken by its deadline (its file was broken, the scheduler did not run) never began.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::domain::dag::Dag;
use crate::domain::delivery::{self, MailState};
use crate::domain::ids::{DagName, RunId};
use crate::domain::run::RunState;
use crate::domain::schedule::{self, Slot};
use crate::store::{MailRow, RunRecord};

/// How long after a deadline a notice is still worth sending.
const TOLD_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// A night whose promises are due.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// The DAG.
    pub dag: DagName,
    /// The logical date.
    pub logical_date: Date,
    /// What is promised to one audience.
    pub promised: Vec<MailRow>,
    /// What to do.
    pub action: Action,
}

/// What to do about promises that are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Their recipients are told the state of the night.
    Tell,
    /// They are closed: it is too late to be of use.
    Close,
}

/// The state of a night at its deadline.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// No run of it has begun; it may be queued.
    NeverBegan(Option<RunRecord>),
    /// It is still running.
    Running(RunRecord),
    /// It is over, and produced no digest.
    Over(RunRecord),
}

/// Returns the nights whose promises are due at `now`, by DAG, date and audience; `open` are the outbox's open rows.
pub fn due(open: &[MailRow], now: Timestamp) -> Vec<Due> {
    let mut nights: BTreeMap<(DagName, Date, String), Vec<MailRow>> = BTreeMap::new();
    for row in open {
        let is_due = row.state == MailState::Expected && row.deadline.is_some_and(|deadline| deadline <= now);
        if is_due {
            let key = (row.id.key.dag.clone(), row.id.key.logical_date, row.id.key.audience.clone());
            nights.entry(key).or_default().push(row.clone());
        }
    }
    let due = nights.into_iter().map(|((dag, logical_date, _), promised)| {
        let latest = promised.iter().filter_map(|row| row.deadline).max();
        let is_old = latest.is_some_and(|deadline| now.duration_since(deadline) > TOLD_WITHIN);
        Due { dag, logical_date, promised, action: if is_old { Action::Close } else { Action::Tell } }
    });
    due.collect()
}

/// Returns the slots of `dag` after `watermark` whose deadline has passed at `now` and which were never taken.
pub fn never_taken(dag: &Dag, watermark: Timestamp, now: Timestamp) -> Vec<Slot> {
    let Some(schedule) = dag.schedule.as_ref().filter(|_| dag.deadline.is_some()) else { return Vec::new() };
    // A slot is at most a day before its deadline.
    let oldest = now.checked_sub(TOLD_WITHIN * 2).unwrap_or(Timestamp::MIN);
    let slots = schedule::due_between(schedule, &dag.timezone, watermark.max(oldest), now).unwrap_or_default();
    let is_due = |slot: &Slot| delivery::deadline_of(dag, slot).is_some_and(|deadline| deadline <= now);
    slots.into_iter().filter(is_due).collect()
}

/// Returns the state of a night, given the runs of its DAG and date: that of the run to which the promise was made,
/// else of the latest that is still running, else of the latest that began.
pub fn standing(runs: &[RunRecord], promised_to: Option<&RunId>) -> Standing {
    let latest = |is: &dyn Fn(&RunRecord) -> bool| runs.iter().filter(|run| is(run)).max_by_key(|run| run.queued_at);
    let promised = latest(&|run| Some(&run.run_id) == promised_to);
    let run = promised
        .or_else(|| latest(&|run| run.state == RunState::Running))
        .or_else(|| latest(&|run| run.started_at.is_some()))
        .or_else(|| latest(&|_| true));
    match run {
        None => Standing::NeverBegan(None),
        Some(run) if run.state.is_done() => Standing::Over(run.clone()),
        Some(run) if run.started_at.is_some() => Standing::Running(run.clone()),
        Some(run) => Standing::NeverBegan(Some(run.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dag::{CatchUp, FoldPolicy, GapPolicy, OverlapPolicy, Schedule};
    use crate::domain::delivery::{MailId, MailKey, Recipient};
    use crate::domain::job::Force;
    use crate::domain::run::Trigger;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn row(recipient: &str, state: MailState, deadline: Option<Timestamp>) -> MailRow {
        MailRow {
            id: MailId {
                key: MailKey {
                    dag: "nightly".parse().unwrap(),
                    logical_date: jiff::civil::date(2026, 11, 20),
                    audience: "digest".to_owned(),
                    recipient: recipient.to_owned(),
                },
                revision: 0,
            },
            state,
            recipient: Recipient { address: recipient.to_owned(), header: String::new() },
            promised_to: None,
            skipped: None,
            deadline,
            signature: None,
            message_id: None,
            subject: None,
            since: at("2026-11-20T07:30:00Z"),
            tries: 0,
            last_error: None,
            ended_at: None,
        }
    }

    fn run(n: u32, state: RunState, started: bool) -> RunRecord {
        let dag: DagName = "nightly".parse().unwrap();
        let date = jiff::civil::date(2026, 11, 20);
        RunRecord {
            run_id: RunId::new(&dag, date, n),
            dag,
            dag_version: String::new(),
            logical_date: date,
            trigger: Trigger::Schedule,
            manual: None,
            repairs: None,
            backfill: None,
            slot: None,
            only: None,
            force: Force::No,
            state,
            cancel_requested: false,
            taken_up: 1,
            queued_at: Timestamp::from_second(i64::from(n)).unwrap(),
            started_at: started.then_some(Timestamp::UNIX_EPOCH),
            finished_at: None,
        }
    }

    #[test]
    fn what_is_only_promised_at_its_deadline_is_due_and_nothing_else() {
        let deadline = at("2026-11-20T11:30:00Z");
        let rows = [
            row("a@x.example", MailState::Expected, Some(deadline)),
            row("b@x.example", MailState::Waiting, None),
            row("c@x.example", MailState::Expected, None),
            row("d@x.example", MailState::Expected, Some(deadline)),
        ];

        assert_eq!(due(&rows, deadline - SignedDuration::from_secs(1)), vec![]);
        let due = due(&rows, deadline);

        assert_eq!(due.len(), 1);
        let told: Vec<&str> = due[0].promised.iter().map(|row| row.recipient.address.as_str()).collect();
        assert_eq!((due[0].action, told), (Action::Tell, vec!["a@x.example", "d@x.example"]));
    }

    #[test]
    fn a_deadline_of_days_ago_is_closed_without_an_e_mail() {
        let deadline = at("2026-11-17T11:30:00Z");

        let due = due(&[row("a@x.example", MailState::Expected, Some(deadline))], at("2026-11-20T11:30:00Z"));

        assert_eq!(due[0].action, Action::Close);
    }

    #[test]
    fn a_night_stands_as_the_run_that_was_promised() {
        let over = run(1, RunState::Failed, true);
        let running = run(2, RunState::Running, true);
        let queued = run(3, RunState::Queued, false);
        let runs = [over.clone(), running.clone(), queued.clone()];

        assert_eq!(standing(&runs, Some(&over.run_id)), Standing::Over(over));
        assert_eq!(standing(&runs, Some(&queued.run_id)), Standing::NeverBegan(Some(queued.clone())));
        assert_eq!(standing(&runs, None), Standing::Running(running));
        assert_eq!(standing(&[], None), Standing::NeverBegan(None));
    }

    #[test]
    fn a_slot_that_nobody_took_never_began() {
        let mut dag = Dag {
            name: "nightly".parse().unwrap(),
            description: String::new(),
            schedule: Some(Schedule {
                cron: "30 2 * * *".to_owned(),
                gap: GapPolicy::Next,
                fold: FoldPolicy::First,
                catch_up: CatchUp::Latest,
                overlap: OverlapPolicy::Skip,
            }),
            timezone: "UTC".to_owned(),
            deadline: Some("06:30".parse().unwrap()),
            max_parallel: 1,
            jobs: std::collections::BTreeMap::new(),
            version: String::new(),
        };
        let taken = |dag: &Dag, watermark, now| {
            never_taken(dag, at(watermark), at(now)).into_iter().map(|slot| slot.at).collect::<Vec<_>>()
        };

        assert_eq!(taken(&dag, "2026-11-19T02:30:00Z", "2026-11-20T06:30:00Z"), vec![at("2026-11-20T02:30:00Z")]);
        assert_eq!(taken(&dag, "2026-11-19T02:30:00Z", "2026-11-20T06:29:59Z"), vec![]);
        assert_eq!(taken(&dag, "2026-11-20T02:30:00Z", "2026-11-20T06:30:00Z"), vec![]);
        dag.deadline = None;
        assert_eq!(taken(&dag, "2026-11-19T02:30:00Z", "2026-11-20T06:30:00Z"), vec![]);
    }
}
