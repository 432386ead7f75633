//! The cutoff: where a feature's knowledge ends, on both clocks.
//!
//! Promises that week `w` of a course sees through the end of its day `7w` in the course's own zone (the local date of
//! the course's start is day 0), and that the logical date `D` sees through the end of `D - 1` in the DAG's zone.
//! `known_by` is a grace period after that instant: what the night that follows the cutoff could have learned. It
//! deliberately has no clock, no table and no course list: `plan` decides which cutoffs are built.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// A date or a duration that falls outside the calendar.
#[derive(Debug, thiserror::Error)]
#[error("the calendar does not reach {what}")]
pub struct CalendarError {
    what: String,
    source: jiff::Error,
}

/// Where knowledge ends: events before one instant, learned by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cutoff {
    /// Only what happened before this instant is visible.
    pub event_before: Timestamp,
    /// Only what had been learned by this instant is visible.
    pub known_by: Timestamp,
}

impl Cutoff {
    /// Returns the cutoff at `event_before`, which includes deliveries that came within `grace` after it.
    ///
    /// # Errors
    /// When the sum falls outside the calendar.
    pub fn at(event_before: Timestamp, grace: SignedDuration) -> Result<Self, CalendarError> {
        let known_by = event_before
            .checked_add(grace)
            .map_err(|source| CalendarError { what: format!("{grace:#} after {event_before}"), source })?;
        Ok(Self { event_before, known_by })
    }

    /// Returns the first calendar date that was not over. A day is over once it has ended in UTC by `known_by` (or half
    /// a day after `event_before`, if that is earlier), so that the local day that a cutoff ends is always over, and the
    /// day that begins there never is, on either side of Greenwich.
    pub fn date(&self) -> Date {
        let half_a_day = self.event_before.saturating_add(SignedDuration::from_hours(12));
        let by = half_a_day.map_or(self.known_by, |noon| noon.min(self.known_by));
        by.to_zoned(TimeZone::UTC).date()
    }

    /// Returns the cutoff of the logical date `date`: the start of that day in `zone`.
    ///
    /// # Errors
    /// When the day lies outside the calendar.
    pub fn of_date(date: Date, zone: &TimeZone, grace: SignedDuration) -> Result<Self, CalendarError> {
        Self::at(start_of_day(date, zone)?, grace)
    }

    /// Returns the cutoff of week `week` of a course that starts at `start`: the end of day `7 * week`, inclusive.
    ///
    /// # Errors
    /// When the day lies outside the calendar.
    pub fn of_week(start: Timestamp, zone: &TimeZone, week: u32, grace: SignedDuration) -> Result<Self, CalendarError> {
        let day_zero = start.to_zoned(zone.clone()).date();
        let after = day_zero
            .checked_add((i64::from(week) * 7 + 1).days())
            .map_err(|source| CalendarError { what: format!("week {week} after {day_zero}"), source })?;
        Self::at(start_of_day(after, zone)?, grace)
    }
}

/// Returns the index of the last day of a course that is over at `event_before` (day 0 holds `start`); negative before
/// the end of day 0.
pub fn last_whole_day(start: Timestamp, zone: &TimeZone, event_before: Timestamp) -> i64 {
    let day_zero = start.to_zoned(zone.clone()).date();
    let today = event_before.to_zoned(zone.clone()).date();
    i64::from((today - day_zero).get_days()) - 1
}

fn start_of_day(date: Date, zone: &TimeZone) -> Result<Timestamp, CalendarError> {
    date.to_zoned(zone.clone())
        .map(|midnight| midnight.timestamp())
        .map_err(|source| CalendarError { what: date.to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: SignedDuration = SignedDuration::from_hours(6);

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn week_two_sees_through_the_end_of_day_fourteen_across_a_change_of_clocks() {
        let start = at("2014-10-20T08:00:00-04:00");

        let cutoff = Cutoff::of_week(start, &zone("America/Detroit"), 2, GRACE).unwrap();

        assert_eq!(cutoff.event_before, at("2014-11-04T00:00:00-05:00"));
        assert_eq!(cutoff.known_by, at("2014-11-04T06:00:00-05:00"));
    }

    #[test]
    fn the_local_date_of_the_start_is_day_zero() {
        let late_evening = at("2014-10-05T02:30:00Z");

        assert_eq!(last_whole_day(late_evening, &zone("America/Detroit"), at("2014-10-06T00:00:00-04:00")), 1);
        assert_eq!(last_whole_day(late_evening, &zone("Europe/London"), at("2014-10-06T00:00:00+01:00")), 0);
    }

    #[test]
    fn the_last_whole_day_of_a_week_cutoff_is_seven_times_the_week() {
        let start = at("2014-02-01T00:00:00Z");
        let london = zone("Europe/London");

        for week in 0..40 {
            let cutoff = Cutoff::of_week(start, &london, week, GRACE).unwrap();
            assert_eq!(last_whole_day(start, &london, cutoff.event_before), 7 * i64::from(week));
        }
    }

    #[test]
    fn the_local_day_that_a_cutoff_ends_is_over_and_the_next_is_not() {
        for name in ["America/Los_Angeles", "America/Detroit", "Europe/London", "Europe/Berlin", "Europe/Helsinki"] {
            for date in ["2014-01-15", "2014-07-15"] {
                let date: Date = date.parse().unwrap();
                assert_eq!(Cutoff::of_date(date, &zone(name), GRACE).unwrap().date(), date, "{name}");
            }
        }
    }

    #[test]
    fn the_logical_date_begins_at_local_midnight() {
        let cutoff = Cutoff::of_date("2014-07-02".parse().unwrap(), &zone("Europe/London"), GRACE).unwrap();

        assert_eq!(cutoff.event_before, at("2014-07-01T23:00:00Z"));
    }
}
