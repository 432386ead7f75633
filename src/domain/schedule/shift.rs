//! Explains in words what a clock change does to the times of a schedule, for people who ask when a DAG runs.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::AmbiguousOffset;
use serde::Serialize;

use super::{Fold, Planner, ScheduleError};
use crate::domain::dag::Schedule;

/// A local time that a schedule names, and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// When it runs; `None` if it does not, because the clocks jump over that time.
    pub at: Option<Timestamp>,
    /// The logical date of its run.
    pub logical_date: Date,
    /// What the clocks do to it, in words, if they change.
    pub shift: Option<String>,
}

/// How many years to look ahead.
const YEARS: i16 = 9;

/// Returns the next local times that a schedule names after `after`, until `count` of them run.
///
/// # Errors
/// When the schedule does not parse.
pub fn planned_after(
    schedule: &Schedule,
    zone: &str,
    after: Timestamp,
    count: usize,
) -> Result<Vec<Planned>, ScheduleError> {
    let planner = Planner::new(schedule, zone)?;
    let begin = planner.zone.to_datetime(after);
    let from = begin.checked_sub(jiff::Span::new().days(1)).unwrap_or(begin);
    let until = begin.checked_add(jiff::Span::new().years(YEARS)).unwrap_or(DateTime::MAX);
    let mut planned: Vec<Planned> = Vec::new();
    let mut running = 0;
    for local in planner.cron.iter_from(from, croner::Direction::Forward).take_while(|local| *local <= until) {
        if running >= count {
            break;
        }
        let instants: Vec<Timestamp> = planner.instants(local).into_iter().flatten().collect();
        let shift = planner.shift_of(local, instants.first().copied());
        let logical_date = local.date();
        if instants.is_empty() && local > begin && shift.is_some() {
            planned.push(Planned { at: None, logical_date, shift: shift.clone() });
        }
        for at in instants.into_iter().filter(|at| *at > after) {
            planned.push(Planned { at: Some(at), logical_date, shift: shift.clone() });
            running += 1;
        }
    }
    // The hours of a fold interleave.
    planned
        .sort_by_key(|one| (one.at.map(|at| planner.zone.to_datetime(at).date()).unwrap_or(one.logical_date), one.at));
    planned.dedup_by_key(|one| one.at.unwrap_or(Timestamp::MIN));
    Ok(planned)
}

impl Planner {
    /// Returns what the clocks do to a local time, if they change. Hourly schedules follow real time.
    fn shift_of(&self, local: DateTime, at: Option<Timestamp>) -> Option<String> {
        if matches!(self.fold, Fold::Both) {
            return None;
        }
        let time = local.strftime("%H:%M");
        let wall = |at: Timestamp| at.to_zoned(self.zone.clone()).strftime("%H:%M %Z").to_string();
        match (self.zone.to_ambiguous_timestamp(local).offset(), at) {
            (AmbiguousOffset::Unambiguous { .. }, _) => None,
            (AmbiguousOffset::Gap { .. }, Some(at)) => Some(format!(
                "{time} does not exist that day, because the clocks go forward: it runs at {} (`dst.gap = \"next\"`)",
                wall(at)
            )),
            (AmbiguousOffset::Gap { .. }, None) => Some(format!(
                "{time} does not exist that day, because the clocks go forward: it does not run (`dst.gap = \"skip\"`)"
            )),
            (AmbiguousOffset::Fold { .. }, at) => {
                let which = if matches!(self.fold, Fold::First) { "first" } else { "second" };
                let at = at.map_or_else(String::new, |at| format!(", at {}", wall(at)));
                Some(format!(
                    "{time} comes twice that day, because the clocks go back: it runs the {which} time{at} (`dst.overlap = \"{which}\"`)"
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dag::{CatchUp, FoldPolicy, GapPolicy, OverlapPolicy};

    fn nightly(gap: GapPolicy, fold: FoldPolicy) -> Schedule {
        Schedule { cron: "30 2 * * *".to_owned(), gap, fold, catch_up: CatchUp::Latest, overlap: OverlapPolicy::Skip }
    }

    fn told(schedule: &Schedule, zone: &str, after: &str) -> Vec<String> {
        let planned = planned_after(schedule, zone, after.parse().unwrap(), 2).unwrap();
        let line = |one: Planned| {
            let at = one.at.map_or_else(|| "-".to_owned(), |at| at.to_string());
            format!("{at} {}", one.shift.unwrap_or_default()).trim_end().to_owned()
        };
        planned.into_iter().map(line).collect()
    }

    #[test]
    fn a_time_in_the_gap_says_when_it_runs_or_that_it_does_not() {
        let after = "2026-03-07T12:00:00Z";

        let next = told(&nightly(GapPolicy::Next, FoldPolicy::First), "America/Detroit", after);
        let skip = told(&nightly(GapPolicy::Skip, FoldPolicy::First), "America/Detroit", after);

        assert_eq!(
            next,
            [
                "2026-03-08T07:00:00Z 02:30 does not exist that day, because the clocks go forward: it runs at 03:00 EDT (`dst.gap = \"next\"`)",
                "2026-03-09T06:30:00Z"
            ]
        );
        assert_eq!(
            skip,
            [
                "- 02:30 does not exist that day, because the clocks go forward: it does not run (`dst.gap = \"skip\"`)",
                "2026-03-09T06:30:00Z",
                "2026-03-10T06:30:00Z"
            ]
        );
    }

    #[test]
    fn a_time_that_comes_twice_says_which_one_counts() {
        let after = "2026-10-24T12:00:00Z";

        let first = told(&nightly(GapPolicy::Next, FoldPolicy::First), "Europe/Berlin", after);
        let second = told(&nightly(GapPolicy::Next, FoldPolicy::Second), "Europe/Berlin", after);

        assert_eq!(
            first[0],
            "2026-10-25T00:30:00Z 02:30 comes twice that day, because the clocks go back: it runs the first time, at 02:30 CEST (`dst.overlap = \"first\"`)"
        );
        assert!(second[0].starts_with("2026-10-25T01:30:00Z") && second[0].contains("the second time, at 02:30 CET"));
    }

    #[test]
    fn an_hourly_schedule_follows_real_time_and_says_nothing() {
        let hourly = Schedule { cron: "0 * * * *".to_owned(), ..nightly(GapPolicy::Next, FoldPolicy::First) };

        let planned = planned_after(&hourly, "Europe/Berlin", "2026-10-24T23:30:00Z".parse().unwrap(), 4).unwrap();

        let at: Vec<String> = planned.iter().filter_map(|one| one.at).map(|at| at.to_string()).collect();
        assert_eq!(
            at,
            ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z", "2026-10-25T03:00:00Z"]
        );
        assert!(planned.iter().all(|one| one.shift.is_none()));
    }
}
