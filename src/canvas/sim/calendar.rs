//! Days and terms: when the institution teaches, and the instants of its local days.
//!
//! Three terms a year without a gap: each starts on the first Monday of January, May or September and lasts to the
//! evening before the next, so one is always in progress. Days are counted from 1970-01-01 and instants in seconds from
//! then, UTC; only this file turns one into the other, through the zone's rules.

use jiff::civil::{Date, Weekday, date};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// A day, counted from 1970-01-01.
pub(super) type Day = i64;
/// An instant, in seconds from 1970-01-01T00:00:00Z.
pub(super) type Seconds = i64;

/// One term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    /// The number of the term, from 0.
    pub(super) index: i64,
    /// Its name, such as `Autumn 2026`.
    pub(super) name: String,
    /// Its short code, such as `2026C`.
    pub(super) code: String,
    /// Its first day, a Monday.
    pub(super) first_day: Day,
    /// Its last day, a Sunday.
    pub(super) last_day: Day,
}

impl Term {
    /// Returns the `index`-th term of an institution whose first year is `first_year`.
    pub(super) fn new(first_year: i16, index: i64) -> Self {
        let (year, season) = year_and_season(first_year, index);
        let (next_year, next_season) = year_and_season(first_year, index + 1);
        let (name, letter) = [("Winter", 'A'), ("Summer", 'B'), ("Autumn", 'C')][season];
        Self {
            index,
            name: format!("{name} {year}"),
            code: format!("{year}{letter}"),
            first_day: day_of(first_monday(year, season)),
            last_day: day_of(first_monday(next_year, next_season)) - 1,
        }
    }
}

/// The local days of one time zone.
#[derive(Debug)]
pub(super) struct LocalDays {
    zone: TimeZone,
    first_day: Day,
    midnights: Vec<Seconds>,
}

impl LocalDays {
    /// Returns the days of `zone`; those from `first_day` to `last_day` are looked up once.
    pub(super) fn new(zone: TimeZone, first_day: Day, last_day: Day) -> Self {
        let midnights = (first_day..=last_day).map(|day| midnight(&zone, day)).collect();
        Self { zone, first_day, midnights }
    }

    /// Returns the instant at which `day` begins.
    pub(super) fn start_of(&self, day: Day) -> Seconds {
        let known = usize::try_from(day - self.first_day).ok().and_then(|index| self.midnights.get(index));
        known.copied().unwrap_or_else(|| midnight(&self.zone, day))
    }

    /// Returns the last second of `day`.
    pub(super) fn end_of(&self, day: Day) -> Seconds {
        self.start_of(day + 1) - 1
    }

    /// Returns the instant `second` seconds after `day` began, within the day.
    pub(super) fn at(&self, day: Day, second: i64) -> Seconds {
        (self.start_of(day) + second).min(self.end_of(day))
    }
}

/// Returns the day of a date.
pub(super) fn day_of(at: Date) -> Day {
    at.duration_since(EPOCH).as_hours() / 24
}

/// Returns the date of a day.
pub(super) fn date_of(day: Day) -> Date {
    EPOCH.saturating_add(Span::new().try_days(day).unwrap_or_default())
}

const EPOCH: Date = date(1970, 1, 1);

fn midnight(zone: &TimeZone, day: Day) -> Seconds {
    let start = date_of(day).to_zoned(zone.clone());
    start.map_or(day * 86_400, |start| Timestamp::as_second(start.timestamp()))
}

/// Returns the calendar year and the season (0 winter, 1 summer, 2 autumn) of a term.
fn year_and_season(first_year: i16, index: i64) -> (i16, usize) {
    let years = i16::try_from(index / 3).unwrap_or(i16::MAX);
    let season = usize::try_from(index % 3).unwrap_or(0);
    (first_year.saturating_add(years), season)
}

fn first_monday(year: i16, season: usize) -> Date {
    let month = [1, 5, 9][season];
    let first = Date::new(year, month, 1).expect("options and terms are held within the years 1990 to 2200");
    first.nth_weekday_of_month(1, Weekday::Monday).expect("every month has a first Monday")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_follow_each_other_without_a_gap_and_start_on_mondays() {
        for index in 0..60 {
            let (term, next) = (Term::new(2024, index), Term::new(2024, index + 1));

            assert_eq!(term.last_day + 1, next.first_day);
            assert_eq!(date_of(term.first_day).weekday(), Weekday::Monday);
            assert!((119..=126).contains(&(next.first_day - term.first_day)), "{} has an odd length", term.code);
        }
        assert_eq!(Term::new(2024, 8).code, "2026C");
        assert_eq!(date_of(Term::new(2024, 8).first_day), date(2026, 9, 7));
    }

    #[test]
    fn a_day_of_a_clock_change_ends_where_the_next_begins() {
        let days = LocalDays::new(TimeZone::get("America/Detroit").unwrap(), 0, 0);
        let change = day_of(date(2026, 11, 1));

        assert_eq!(days.start_of(change + 1) - days.start_of(change), 25 * 3600);
        assert_eq!(days.end_of(change) + 1, days.start_of(change + 1));
    }
}
