//! What a repair does, decided before any run is created: pure, with the tests.
//!
//! [`to_retry`] says which jobs of a run are repeated, [`plan_backfill`] which dates of a range get a run.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};

use crate::domain::dag::Dag;
use crate::domain::ids::{JobName, RunId};
use crate::domain::job::JobView;
use crate::domain::run::{JobState, RunState};
use crate::domain::schedule::{self, ScheduleError};
use crate::store::RunRecord;

/// Returns the jobs of a run to repeat: those that failed, were cancelled, or did not begin for that reason, and all
/// that need one of them; in the order of their names. Empty when nothing failed.
pub fn to_retry(dag: &Dag, jobs: &[JobView]) -> Vec<JobName> {
    let ended_badly = |state| matches!(state, JobState::Failed | JobState::UpstreamFailed | JobState::Cancelled);
    let bad = jobs.iter().filter(|job| ended_badly(job.state));
    let again: BTreeSet<JobName> = bad.flat_map(|job| dag.with_dependents(&job.name)).collect();
    again.into_iter().collect()
}

/// Which dates that have a run already get another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reprocess {
    /// None of them.
    None,
    /// Those whose last run failed or was cancelled.
    Failed,
    /// All of them.
    All,
}

impl Reprocess {
    /// Returns the word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Failed => "failed",
            Self::All => "all",
        }
    }
}

/// The order in which the dates of a backfill are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The oldest first.
    OldestFirst,
    /// The newest first.
    NewestFirst,
}

/// A date of a backfill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedDate {
    /// The logical date.
    pub date: Date,
    /// What happens to it.
    pub does: Does,
}

/// What happens to a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    /// It gets a run; this is the run that it had before.
    Run(Option<(RunId, RunState)>),
    /// It keeps the run that it has.
    Keep(RunId, RunState),
    /// It has a run that is not done.
    Wait(RunId),
}

/// Returns the dates from `first` through `last` on which the DAG's schedule has a slot; every date if it has no
/// schedule.
///
/// # Errors
/// When the schedule or its zone cannot be used for planning.
pub fn dates_of(dag: &Dag, first: Date, last: Date) -> Result<Vec<Date>, ScheduleError> {
    let zone = schedule::parse_zone(&dag.timezone)?;
    let Some(planned) = &dag.schedule else {
        return Ok(first.series(1.day()).take_while(|date| *date <= last).collect());
    };
    let midnight = |date: Date| date.to_zoned(zone.clone()).map_or(Timestamp::MAX, |zoned| zoned.timestamp());
    let just_before = |at: Timestamp| at.checked_sub(1.nanosecond()).unwrap_or(at);
    let mut dates = BTreeSet::new();
    // Day by day: a schedule that fires every minute has more slots in a year than are planned at once.
    for date in first.series(1.day()).take_while(|date| *date <= last) {
        let end = date.tomorrow().map_or(Timestamp::MAX, midnight);
        let slots = schedule::due_between(planned, &dag.timezone, just_before(midnight(date)), just_before(end))?;
        dates.extend(slots.into_iter().map(|slot| slot.date));
    }
    Ok(dates.into_iter().filter(|date| (first..=last).contains(date)).collect())
}

/// Returns what happens to each date, in the order in which they are done; `runs` are the DAG's runs of these dates. If
/// a date has several runs, the newest counts.
pub fn plan_backfill(dates: &[Date], runs: &[RunRecord], reprocess: Reprocess, order: Order) -> Vec<PlannedDate> {
    let mut planned: Vec<PlannedDate> = dates
        .iter()
        .map(|date| {
            let of_date = runs.iter().filter(|run| run.logical_date == *date);
            let newest = of_date.max_by_key(|run| (run.queued_at, run.run_id.clone()));
            PlannedDate { date: *date, does: fate(newest, reprocess) }
        })
        .collect();
    if order == Order::NewestFirst {
        planned.reverse();
    }
    planned
}

fn fate(newest: Option<&RunRecord>, reprocess: Reprocess) -> Does {
    let Some(run) = newest else { return Does::Run(None) };
    let again = || Does::Run(Some((run.run_id.clone(), run.state)));
    match (run.state, reprocess) {
        (RunState::Queued | RunState::Running, _) => Does::Wait(run.run_id.clone()),
        (_, Reprocess::All) => again(),
        (RunState::Failed | RunState::Cancelled, Reprocess::Failed) => again(),
        _ => Does::Keep(run.run_id.clone(), run.state),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::civil::date;

    use super::*;
    use crate::domain::dag::{CatchUp, FoldPolicy, GapPolicy, Job, OverlapPolicy, Schedule, When};
    use crate::domain::job::Force;
    use crate::domain::retry::RetryPolicy;
    use crate::domain::run::Trigger;

    fn dag(cron: Option<&str>, needs: &[(&str, &[&str])]) -> Dag {
        let job = |(name, needs): &(&str, &[&str])| Job {
            name: name.parse().unwrap(),
            kind: "command".parse().unwrap(),
            params: serde_json::Value::Null,
            needs: needs.iter().map(|need| need.parse().unwrap()).collect(),
            when: When::AllSuccess,
            timeout: Duration::from_secs(1),
            retry: RetryPolicy::default(),
        };
        let schedule = cron.map(|cron| Schedule {
            cron: cron.to_owned(),
            gap: GapPolicy::Next,
            fold: FoldPolicy::First,
            catch_up: CatchUp::Latest,
            overlap: OverlapPolicy::Skip,
        });
        Dag {
            name: "nightly".parse().unwrap(),
            description: String::new(),
            schedule,
            timezone: "America/Detroit".to_owned(),
            deadline: None,
            max_parallel: 1,
            jobs: needs.iter().map(job).map(|job| (job.name.clone(), job)).collect(),
            version: String::new(),
        }
    }

    fn view(name: &str, state: JobState) -> JobView {
        serde_json::from_value(serde_json::json!({
            "name": name, "kind": "command", "state": state, "attempts": 1, "started_at": null, "finished_at": null,
            "outcome": null, "error": null
        }))
        .unwrap()
    }

    fn run(day: i8, n: u32, state: RunState) -> RunRecord {
        let dag = "nightly".parse().unwrap();
        RunRecord {
            run_id: RunId::new(&dag, date(2026, 11, day), n),
            dag,
            dag_version: String::new(),
            logical_date: date(2026, 11, day),
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
            queued_at: Timestamp::from_second(i64::from(day) * 1000 + i64::from(n)).unwrap(),
            started_at: None,
            finished_at: None,
        }
    }

    fn names(jobs: &[JobName]) -> Vec<&str> {
        jobs.iter().map(JobName::as_str).collect()
    }

    #[test]
    fn a_retry_does_what_failed_and_all_that_needs_it() {
        let dag = dag(None, &[("pull", &[]), ("quality", &["pull"]), ("train", &["pull"]), ("digest", &["train"])]);
        let jobs = [
            view("pull", JobState::Succeeded),
            view("quality", JobState::Succeeded),
            view("train", JobState::Failed),
            view("digest", JobState::Succeeded),
        ];

        assert_eq!(names(&to_retry(&dag, &jobs)), ["digest", "train"]);
        assert_eq!(names(&to_retry(&dag, &jobs[..2])), Vec::<&str>::new());
    }

    #[test]
    fn the_dates_of_a_backfill_are_those_of_the_schedule_in_its_zone() {
        let nights = dates_of(&dag(Some("30 2 * * *"), &[]), date(2026, 10, 31), date(2026, 11, 2)).unwrap();
        let mondays = dates_of(&dag(Some("30 2 * * 1"), &[]), date(2026, 11, 1), date(2026, 11, 30)).unwrap();
        let hourly = dates_of(&dag(Some("0 * * * *"), &[]), date(2026, 11, 1), date(2026, 11, 2)).unwrap();
        let by_hand = dates_of(&dag(None, &[]), date(2026, 11, 1), date(2026, 11, 3)).unwrap();

        assert_eq!(nights, [date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 2)]);
        assert_eq!(mondays.len(), 5);
        assert_eq!(hourly, [date(2026, 11, 1), date(2026, 11, 2)]);
        assert_eq!(by_hand.len(), 3);
    }

    #[test]
    fn a_date_gets_a_run_as_it_is_asked_for() {
        let dates: Vec<Date> = (1..=4).map(|day| date(2026, 11, day)).collect();
        let runs = [
            run(2, 1, RunState::Succeeded),
            run(3, 1, RunState::Succeeded),
            run(3, 2, RunState::Failed),
            run(4, 1, RunState::Running),
        ];
        let runs_again = |reprocess| {
            let planned = plan_backfill(&dates, &runs, reprocess, Order::OldestFirst);
            let again = planned.iter().filter(|one| matches!(one.does, Does::Run(_)));
            again.map(|one| one.date.day()).collect::<Vec<_>>()
        };

        assert_eq!(runs_again(Reprocess::None), [1]);
        assert_eq!(runs_again(Reprocess::Failed), [1, 3]);
        assert_eq!(runs_again(Reprocess::All), [1, 2, 3]);
    }

    #[test]
    fn the_newest_date_comes_first_where_that_is_asked_for() {
        let dates = [date(2026, 11, 1), date(2026, 11, 2)];

        let planned = plan_backfill(&dates, &[], Reprocess::None, Order::NewestFirst);

        assert_eq!(planned.iter().map(|one| one.date).collect::<Vec<_>>(), [dates[1], dates[0]]);
    }
}
