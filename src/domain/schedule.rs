//! When a schedule is due: a pure function of the clock on the wall.
//!
//! croner matches naive local times; the mapping to instants, with the DAG's stated policy for gaps and folds, is
//! here. Promises: between two instants every slot comes exactly once, in order, across any change of the clocks.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::dag::{CatchUp, FoldPolicy, GapPolicy, Schedule};

/// One time at which a schedule is due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// The instant.
    pub at: Timestamp,
    /// Its local date: the run's logical date.
    pub date: Date,
}

/// A schedule that cannot be planned with.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The cron expression does not parse.
    #[error("`{cron}` is no cron expression ({why}); 5 or 6 fields such as `30 2 * * *`, or `@daily`")]
    Cron {
        /// The expression.
        cron: String,
        /// The parser's words.
        why: String,
    },
    /// The zone is not known.
    #[error("`{0}` is no IANA time zone, such as `America/Detroit`")]
    Zone(String),
}

/// The most slots that one call returns: years of nights, minutes of a mistaken `* * * * * *`.
const MOST: usize = 10_000;

/// Returns the parsed expression.
///
/// # Errors
/// When it does not parse.
pub fn parse_cron(cron: &str) -> Result<croner::Cron, ScheduleError> {
    let parser = croner::parser::CronParser::builder().seconds(croner::parser::Seconds::Optional).build();
    parser.parse(cron).map_err(|error| ScheduleError::Cron { cron: cron.to_owned(), why: error.to_string() })
}

/// Returns the zone.
///
/// # Errors
/// When it is not known.
pub fn parse_zone(zone: &str) -> Result<TimeZone, ScheduleError> {
    TimeZone::get(zone).map_err(|_| ScheduleError::Zone(zone.to_owned()))
}

/// Returns the slots after `after`, up to and including `until`, in order.
///
/// # Errors
/// When the schedule does not parse.
pub fn due_between(
    schedule: &Schedule,
    zone: &str,
    after: Timestamp,
    until: Timestamp,
) -> Result<Vec<Slot>, ScheduleError> {
    let cron = parse_cron(&schedule.cron)?;
    let zone = parse_zone(zone)?;
    // A day earlier, because a local time may map to an instant hours from where its neighbours lie.
    let start = after.checked_sub(SignedDuration::from_hours(25)).unwrap_or(Timestamp::MIN);
    let mut slots = Vec::new();
    for local in cron.iter_from(zone.to_datetime(start), croner::Direction::Forward) {
        // Local times run ahead of or behind instants by a day at most.
        if local.date() > zone.to_datetime(until).date().saturating_add(jiff::Span::new().days(1)) {
            break;
        }
        if let Some(at) = instant(&local, &zone, schedule)
            && at > after
            && at <= until
        {
            slots.push(Slot { at, date: local.date() });
        }
        if slots.len() >= MOST {
            break;
        }
    }
    slots.sort();
    slots.dedup_by_key(|slot| slot.at);
    Ok(slots)
}

/// Returns the first slot after `after`, looking five years ahead.
///
/// # Errors
/// When the schedule does not parse.
pub fn next_after(schedule: &Schedule, zone: &str, after: Timestamp) -> Result<Option<Slot>, ScheduleError> {
    let mut from = after;
    for days in [2, 40, 370, 5 * 366] {
        let until = after.checked_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX);
        if let Some(slot) = due_between(schedule, zone, from, until)?.into_iter().next() {
            return Ok(Some(slot));
        }
        from = until;
    }
    Ok(None)
}

/// Returns which of the due slots are run: those on time, and of the missed ones what the policy wants.
///
/// A slot counts as missed when it is more than a minute old.
pub fn catch_up(policy: CatchUp, due: &[Slot], now: Timestamp) -> Vec<Slot> {
    let is_missed = |slot: &Slot| now.duration_since(slot.at) > SignedDuration::from_secs(60);
    match policy {
        CatchUp::All => due.to_vec(),
        CatchUp::Latest => due.last().cloned().into_iter().collect(),
        CatchUp::None => due.iter().filter(|slot| !is_missed(slot)).cloned().collect(),
    }
}

fn instant(local: &DateTime, zone: &TimeZone, schedule: &Schedule) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(*local);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => ambiguous.unambiguous().ok(),
        AmbiguousOffset::Gap { .. } if schedule.gap == GapPolicy::Skip => None,
        // The first instant after the gap is the transition itself.
        AmbiguousOffset::Gap { .. } => {
            let before = ambiguous.earlier().ok()?;
            zone.following(before).next().map(|transition| transition.timestamp())
        }
        AmbiguousOffset::Fold { .. } => match schedule.fold {
            FoldPolicy::First => ambiguous.earlier().ok(),
            FoldPolicy::Second => ambiguous.later().ok(),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::dag::OverlapPolicy;

    fn schedule(cron: &str) -> Schedule {
        Schedule {
            cron: cron.to_owned(),
            gap: GapPolicy::Next,
            fold: FoldPolicy::First,
            catch_up: CatchUp::Latest,
            overlap: OverlapPolicy::Skip,
        }
    }

    fn slots(schedule: &Schedule, zone: &str, from: &str, to: &str) -> Vec<String> {
        let slots = due_between(schedule, zone, from.parse().unwrap(), to.parse().unwrap()).unwrap();
        slots.iter().map(|slot| format!("{} {}", slot.date, slot.at)).collect()
    }

    #[test]
    fn a_night_in_the_gap_runs_at_the_first_instant_after_it() {
        let nights = slots(&schedule("30 2 * * *"), "America/Detroit", "2026-03-07T12:00:00Z", "2026-03-09T12:00:00Z");

        assert_eq!(nights, ["2026-03-08 2026-03-08T07:00:00Z", "2026-03-09 2026-03-09T06:30:00Z"]);
    }

    #[test]
    fn a_night_in_the_gap_may_be_skipped() {
        let schedule = Schedule { gap: GapPolicy::Skip, ..schedule("30 2 * * *") };

        let nights = slots(&schedule, "America/Detroit", "2026-03-07T12:00:00Z", "2026-03-09T12:00:00Z");

        assert_eq!(nights, ["2026-03-09 2026-03-09T06:30:00Z"]);
    }

    #[test]
    fn a_night_in_the_fold_runs_once_at_the_stated_time() {
        let first = schedule("30 1 * * *");
        let second = Schedule { fold: FoldPolicy::Second, ..first.clone() };
        let (from, to) = ("2026-10-31T12:00:00Z", "2026-11-01T12:00:00Z");

        assert_eq!(slots(&first, "America/Detroit", from, to), ["2026-11-01 2026-11-01T05:30:00Z"]);
        assert_eq!(slots(&second, "America/Detroit", from, to), ["2026-11-01 2026-11-01T06:30:00Z"]);
    }

    #[test]
    fn of_missed_slots_the_latest_is_made_up_for() {
        let at = |text: &str| Slot { at: text.parse().unwrap(), date: "2026-01-01".parse().unwrap() };
        let due = [at("2026-01-01T02:30:00Z"), at("2026-01-02T02:30:00Z")];
        let now = "2026-01-02T09:00:00Z".parse().unwrap();

        assert_eq!(catch_up(CatchUp::Latest, &due, now), due[1..]);
        assert_eq!(catch_up(CatchUp::None, &due, now), []);
        assert_eq!(catch_up(CatchUp::All, &due, now), due);
    }

    proptest! {
        /// However the time is cut into pieces, the pieces' slots are those of the whole: none twice, none lost.
        #[test]
        fn no_slot_comes_twice_and_none_is_lost(
            zone in prop::sample::select(vec!["America/Detroit", "Europe/London", "Australia/Lord_Howe", "UTC"]),
            cron in prop::sample::select(vec!["30 2 * * *", "0 1 * * *", "15 */3 * * *", "0 0 1 * *", "30 1 * * 7"]),
            start in 1_700_000_000_i64..1_800_000_000,
            cuts in prop::collection::vec(1_i64..2_000_000, 1..6),
        ) {
            let schedule = schedule(cron);
            let start = Timestamp::from_second(start).unwrap();
            let mut pieces = Vec::new();
            let mut from = start;
            for cut in cuts {
                let until = from.checked_add(SignedDuration::from_secs(cut)).unwrap();
                pieces.extend(due_between(&schedule, zone, from, until).unwrap());
                from = until;
            }
            let whole = due_between(&schedule, zone, start, from).unwrap();

            prop_assert!(whole.is_sorted_by(|a, b| a.at < b.at));
            prop_assert_eq!(pieces, whole);
        }
    }
}
