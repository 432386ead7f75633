//! When a schedule is due: a pure function of the local time.
//!
//! croner matches naive local times; the mapping to instants, with the DAG's stated policy for gaps and folds, is here.
//! Promises: between two instants every slot comes exactly once, in order, across any clock change.
//!
//! The policy is about times of day ("at 02:30"). An hourly schedule (`*` or `*/n` in the hour field) follows real time
//! instead: it runs in both hours of a fold, and a time in a gap simply does not exist.

pub mod shift;

use croner::parser::{CronParser, Seconds, Year};
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

/// A schedule that cannot be used for planning.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The cron expression does not parse.
    #[error("`{cron}` is not a cron expression ({why}); 5 or 6 fields such as `30 2 * * *`, or `@daily`")]
    Cron {
        /// The expression.
        cron: String,
        /// The parser's words.
        why: String,
    },
    /// It parses, but its time never comes.
    #[error(
        "`{0}` never comes: no day has all its parts (such as a 30th of February); leave `schedule` out for a DAG that runs only when asked"
    )]
    Never(String),
    /// The zone is not known.
    #[error("`{0}` is not an IANA time zone, such as `America/Detroit`")]
    Zone(String),
}

/// The most slots that one call returns: decades of nights, or hours of a mistaken `* * * * * *`.
const MOST: usize = 10_000;

/// No zone ever changed its offset by more than a day (Samoa skipped one in 2011).
const LONGEST_SHIFT: SignedDuration = SignedDuration::from_hours(25);

/// Returns the parsed expression.
///
/// # Errors
/// When it does not parse.
pub fn parse_cron(cron: &str) -> Result<croner::Cron, ScheduleError> {
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    parser.parse(cron).map_err(|error| ScheduleError::Cron {
        cron: cron.to_owned(),
        why: error.to_string().trim_end_matches('.').to_owned(),
    })
}

/// Checks that the expression parses and that its time ever comes.
///
/// # Errors
/// When it does not parse, or its time never comes.
pub fn check_cron(cron: &str) -> Result<(), ScheduleError> {
    // The calendar repeats itself after 400 years; croner gives up only after thousands.
    let from = jiff::civil::date(2000, 1, 1).at(0, 0, 0, 0);
    let first = parse_cron(cron)?.iter_from(from, croner::Direction::Forward).next();
    first.map(|_| ()).ok_or_else(|| ScheduleError::Never(cron.to_owned()))
}

/// Returns the zone.
///
/// # Errors
/// When it is not known.
pub fn parse_zone(zone: &str) -> Result<TimeZone, ScheduleError> {
    TimeZone::get(zone).map_err(|_| ScheduleError::Zone(zone.to_owned()))
}

/// Returns the slots after `after`, up to and including `until`, in order; if there are more than 10,000, the latest
/// ones.
///
/// # Errors
/// When the schedule does not parse.
pub fn due_between(
    schedule: &Schedule,
    zone: &str,
    after: Timestamp,
    until: Timestamp,
) -> Result<Vec<Slot>, ScheduleError> {
    let planner = Planner::new(schedule, zone)?;
    let mut slots = planner.slots(after, until);
    slots.drain(..slots.len().saturating_sub(MOST));
    Ok(slots)
}

/// Returns the first slot after `after`, looking nine years ahead (a 29th of February may be eight years away).
///
/// # Errors
/// When the schedule does not parse.
pub fn next_after(schedule: &Schedule, zone: &str, after: Timestamp) -> Result<Option<Slot>, ScheduleError> {
    let planner = Planner::new(schedule, zone)?;
    let mut from = after;
    // Looks further and further ahead, so that a frequent schedule is not listed for years.
    for hours in [1, 26, 24 * 40, 24 * 370, 24 * 366 * 9] {
        let until = after.checked_add(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MAX);
        if let Some(slot) = planner.slots(from, until).into_iter().next() {
            return Ok(Some(slot));
        }
        from = until;
    }
    Ok(None)
}

/// Returns which of the due slots are run: those on time, and of the missed ones ([`is_missed`]) those that the policy
/// wants.
pub fn catch_up(policy: CatchUp, due: &[Slot], now: Timestamp) -> Vec<Slot> {
    match policy {
        CatchUp::All => due.to_vec(),
        CatchUp::Latest => due.last().cloned().into_iter().collect(),
        CatchUp::None => due.iter().filter(|slot| !is_missed(slot, now)).cloned().collect(),
    }
}

/// Returns whether a slot is more than a minute old.
pub fn is_missed(slot: &Slot, now: Timestamp) -> bool {
    now.duration_since(slot.at) > SignedDuration::from_secs(60)
}

/// A schedule and its zone, parsed.
struct Planner {
    cron: croner::Cron,
    zone: TimeZone,
    gap: GapPolicy,
    fold: Fold,
}

/// Which instants of a local time that comes twice are slots.
#[derive(Clone, Copy)]
enum Fold {
    First,
    Second,
    Both,
}

impl Planner {
    fn new(schedule: &Schedule, zone: &str) -> Result<Self, ScheduleError> {
        let cron = parse_cron(&schedule.cron)?;
        let is_hourly = cron.pattern.hours.from_wildcard;
        let (gap, fold) = match (is_hourly, schedule.fold) {
            (true, _) => (GapPolicy::Skip, Fold::Both),
            (false, FoldPolicy::First) => (schedule.gap, Fold::First),
            (false, FoldPolicy::Second) => (schedule.gap, Fold::Second),
        };
        Ok(Self { cron, zone: parse_zone(zone)?, gap, fold })
    }

    fn slots(&self, after: Timestamp, until: Timestamp) -> Vec<Slot> {
        let (first, last) = self.local_range(after, until);
        let mut slots = Vec::new();
        for local in self.cron.iter_from(first, croner::Direction::Forward) {
            if local > last {
                break;
            }
            let instants = self.instants(local).into_iter().flatten().filter(|at| *at > after && *at <= until);
            slots.extend(instants.map(|at| Slot { at, date: local.date() }));
        }
        slots.sort();
        slots.dedup_by_key(|slot| slot.at);
        slots
    }

    /// The range of local times that contains all slots of the instants: wider than needed where the clocks change
    /// nearby.
    fn local_range(&self, after: Timestamp, until: Timestamp) -> (DateTime, DateTime) {
        let before = after.checked_sub(LONGEST_SHIFT).unwrap_or(Timestamp::MIN);
        let beyond = until.checked_add(LONGEST_SHIFT).unwrap_or(Timestamp::MAX);
        let changes = self.zone.following(before).take_while(|change| change.timestamp() <= beyond);
        let shift = changes.map(|change| self.shift_at(change.timestamp())).max().unwrap_or(SignedDuration::ZERO);
        let from = after.checked_sub(shift).unwrap_or(Timestamp::MIN);
        let to = until.checked_add(shift).unwrap_or(Timestamp::MAX);
        (self.zone.to_datetime(from), self.zone.to_datetime(to))
    }

    /// By how much the clocks change.
    fn shift_at(&self, change: Timestamp) -> SignedDuration {
        let just_before = change.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(change);
        let seconds = self.zone.to_offset(change).seconds() - self.zone.to_offset(just_before).seconds();
        SignedDuration::from_secs(i64::from(seconds.abs()))
    }

    fn instants(&self, local: DateTime) -> [Option<Timestamp>; 2] {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        match (ambiguous.offset(), self.fold) {
            (AmbiguousOffset::Unambiguous { .. }, _) => [ambiguous.unambiguous().ok(), None],
            (AmbiguousOffset::Gap { .. }, _) if self.gap == GapPolicy::Skip => [None, None],
            // The first instant after the gap is the transition itself.
            (AmbiguousOffset::Gap { .. }, _) => {
                let before = ambiguous.earlier().ok();
                let transition = before.and_then(|before| self.zone.following(before).next());
                [transition.map(|transition| transition.timestamp()), None]
            }
            (AmbiguousOffset::Fold { .. }, Fold::First) => [ambiguous.earlier().ok(), None],
            (AmbiguousOffset::Fold { .. }, Fold::Second) => [ambiguous.later().ok(), None],
            (AmbiguousOffset::Fold { .. }, Fold::Both) => [ambiguous.earlier().ok(), ambiguous.later().ok()],
        }
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

    #[test]
    fn a_schedule_of_every_hour_follows_real_time_through_gap_and_fold() {
        let hourly = schedule("30 * * * *");

        let spring = slots(&hourly, "America/Detroit", "2026-03-08T05:00:00Z", "2026-03-08T09:00:00Z");
        let autumn = slots(&hourly, "America/Detroit", "2026-11-01T04:00:00Z", "2026-11-01T08:00:00Z");

        let times = |slots: &[String]| slots.iter().map(|slot| slot[22..27].to_owned()).collect::<Vec<_>>();
        assert_eq!(times(&spring), ["05:30", "06:30", "07:30", "08:30"]);
        assert_eq!(times(&autumn), ["04:30", "05:30", "06:30", "07:30"]);
    }

    #[test]
    fn a_night_at_midnight_keeps_its_date_where_midnight_is_in_the_gap() {
        let nights = slots(&schedule("0 0 * * *"), "America/Havana", "2026-03-07T12:00:00Z", "2026-03-09T12:00:00Z");

        assert_eq!(nights, ["2026-03-08 2026-03-08T05:00:00Z", "2026-03-09 2026-03-09T04:00:00Z"]);
    }

    #[test]
    fn a_day_that_a_zone_skips_has_its_night_at_the_first_instant_after() {
        let skipped = slots(&schedule("30 2 * * *"), "Pacific/Apia", "2011-12-29T12:30:00Z", "2011-12-31T12:00:00Z");

        assert_eq!(skipped, ["2011-12-30 2011-12-30T10:00:00Z", "2011-12-31 2011-12-30T12:30:00Z"]);
    }

    #[test]
    fn a_schedule_of_every_second_is_bounded_to_the_latest() {
        let due = due_between(
            &schedule("* * * * * *"),
            "UTC",
            "2026-01-01T00:00:00Z".parse().unwrap(),
            "2026-01-02T00:00:00Z".parse().unwrap(),
        )
        .unwrap();

        assert_eq!((due.len(), due.last().unwrap().at), (MOST, "2026-01-02T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_schedule_that_never_comes_has_no_next_slot() {
        let next = |cron: &str| next_after(&schedule(cron), "UTC", "2026-01-01T00:00:00Z".parse().unwrap()).unwrap();

        assert_eq!(next("0 0 30 2 *"), None);
        assert_eq!(next("0 0 29 2 *").unwrap().date, "2028-02-29".parse().unwrap());
        assert_eq!(next("@daily").unwrap().date, "2026-01-02".parse().unwrap());
    }

    #[test]
    fn a_time_that_never_comes_is_told_from_a_rare_one() {
        for never in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 0 30 2 *"] {
            assert!(matches!(check_cron(never), Err(ScheduleError::Never(_))), "{never}");
        }
        for rare in ["0 0 29 2 *", "0 0 L 2 *", "0 0 31 12 *", "30 2 * * *", "@yearly"] {
            assert!(check_cron(rare).is_ok(), "{rare}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_what_is_allowed() {
        let told = |cron: &str| parse_cron(cron).unwrap_err().to_string();

        insta::assert_snapshot!(
            [told(""), told("30 25 * * *"), told("every night"), parse_zone("Detroit").unwrap_err().to_string()].join("\n"),
            @r#"
        `` is not a cron expression (CronPattern cannot be an empty string); 5 or 6 fields such as `30 2 * * *`, or `@daily`
        `30 25 * * *` is not a cron expression (Component error: Number out of bounds); 5 or 6 fields such as `30 2 * * *`, or `@daily`
        `every night` is not a cron expression (Invalid pattern: Pattern must have 5 or 6 fields when years are disallowed); 5 or 6 fields such as `30 2 * * *`, or `@daily`
        `Detroit` is not an IANA time zone, such as `America/Detroit`
        "#
        );
    }

    proptest! {
        /// However the time is cut into pieces, the slots of the pieces are those of the whole: none twice, none lost.
        #[test]
        fn no_slot_comes_twice_and_none_is_lost(
            zone in prop::sample::select(vec!["America/Detroit", "Europe/London", "Australia/Lord_Howe", "UTC"]),
            cron in prop::sample::select(vec![
                "30 2 * * *", "0 1 * * *", "15 */3 * * *", "0 0 1 * *", "30 1 * * 7", "*/20 * * * *", "45 1,2 * * *",
            ]),
            fold in prop::sample::select(vec![FoldPolicy::First, FoldPolicy::Second]),
            gap in prop::sample::select(vec![GapPolicy::Next, GapPolicy::Skip]),
            start in 1_700_000_000_i64..1_800_000_000,
            cuts in prop::collection::vec(1_i64..2_000_000, 1..6),
        ) {
            let schedule = Schedule { fold, gap, ..schedule(cron) };
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

        /// Walking from slot to slot goes forward and meets exactly the slots that are due.
        #[test]
        fn walking_from_slot_to_slot_meets_them_all(
            zone in prop::sample::select(vec!["America/Detroit", "Europe/London", "Australia/Lord_Howe", "UTC"]),
            cron in prop::sample::select(vec!["30 2 * * *", "0 1 * * *", "15 */6 * * *", "30 1 * * 7"]),
            start in 1_700_000_000_i64..1_800_000_000,
        ) {
            let schedule = schedule(cron);
            let start = Timestamp::from_second(start).unwrap();
            let mut walked = Vec::new();
            let mut from = start;
            for _ in 0..12 {
                let next = next_after(&schedule, zone, from).unwrap().unwrap();
                prop_assert!(next.at > from);
                from = next.at;
                walked.push(next);
            }

            prop_assert_eq!(walked, due_between(&schedule, zone, start, from).unwrap());
        }

        /// A nightly schedule has one slot for every local date, whatever the clocks do.
        #[test]
        fn every_date_has_its_night(
            zone in prop::sample::select(vec!["America/Detroit", "Europe/London", "Australia/Lord_Howe", "UTC"]),
            hour in 0_u8..24,
            minute in 0_u8..60,
            fold in prop::sample::select(vec![FoldPolicy::First, FoldPolicy::Second]),
            year in 2020_i16..2035,
        ) {
            let schedule = Schedule { fold, ..schedule(&format!("{minute} {hour} * * *")) };
            let tz = parse_zone(zone).unwrap();
            let day = |date: Date| tz.to_timestamp(date.at(0, 0, 0, 0)).unwrap();
            let (first, last) = (jiff::civil::date(year, 1, 1), jiff::civil::date(year + 1, 1, 1));
            let almost = |at: Timestamp| at.checked_sub(SignedDuration::from_nanos(1)).unwrap();

            let due = due_between(&schedule, zone, almost(day(first)), almost(day(last))).unwrap();

            let dates: Vec<Date> = due.iter().map(|slot| slot.date).collect();
            let all: Vec<Date> = first.series(jiff::Span::new().days(1)).take_while(|date| *date < last).collect();
            prop_assert_eq!(dates, all);
        }
    }
}
