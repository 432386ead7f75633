//! Values on the command line whose parsers' own error messages would say too little.
//!
//! How to add one: a function from the text to the value, or to a sentence that says what is expected; an argument
//! names it as its `value_parser`.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::domain::schedule::parse_zone;
use crate::domain::spec::parse_duration;

/// Returns the date given by `text`.
///
/// # Errors
/// With what is expected.
pub(super) fn parse_date(text: &str) -> Result<Date, String> {
    let wanted = "write a date of the calendar as year, month and day, such as `2026-11-20`";
    let is_plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date = text.parse::<Date>().ok().filter(|date| is_plain && (1900..=2200).contains(&date.year()));
    date.ok_or_else(|| wanted.to_owned())
}

/// Returns how long to wait, such as `30m`: a day at most.
///
/// # Errors
/// With what is expected.
pub(super) fn parse_wait(text: &str) -> Result<Duration, String> {
    parse_duration(text, "24h")
}

/// A point in time from which on to list: a date, or a time before now.
#[derive(Debug, Clone)]
pub(super) enum Since {
    /// The beginning of a date, in the given zone.
    Date(Date),
    /// This long before now.
    Before(Span),
}

impl Since {
    /// Returns the instant meant at `now`; dates begin in `zone`.
    pub(super) fn before(&self, now: Timestamp, zone: &str) -> Timestamp {
        let zone = parse_zone(zone).unwrap_or(TimeZone::UTC);
        match self {
            Self::Date(date) => date.to_zoned(zone).map_or(Timestamp::MIN, |begin| begin.timestamp()),
            Self::Before(span) => now.to_zoned(zone).checked_sub(*span).map_or(Timestamp::MIN, |then| then.timestamp()),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(date) = parse_date(text) {
            return Ok(Self::Date(date));
        }
        let span = text.parse::<Span>().ok().filter(|span| !span.is_negative() && !span.is_zero());
        span.map(Self::Before)
            .ok_or_else(|| "write a date (`2026-11-01`) or a time before now (`36h`, `7d`)".to_owned())
    }
}

/// Returns an instant as local time in `zone`, such as `Fri 20 Nov 2026 02:30 EST`; in UTC if the zone is not known.
pub(super) fn time_in(at: Timestamp, zone: &str) -> String {
    let zone = parse_zone(zone).unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%a %d %b %Y %H:%M %Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_before_now_is_read_as_a_date_or_a_span() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let since = |text: &str| text.parse::<Since>().map(|since| since.before(now, "America/Detroit").to_string());

        assert_eq!(since("2026-11-01").as_deref(), Ok("2026-11-01T04:00:00Z"));
        assert_eq!(since("36h").as_deref(), Ok("2026-11-19T00:00:00Z"));
        assert_eq!(since("7d").as_deref(), Ok("2026-11-13T12:00:00Z"));
        assert!(since("yesterday").is_err() && since("-1d").is_err() && since("0s").is_err());
    }

    #[test]
    fn a_date_is_read_or_the_form_of_one_is_told() {
        assert_eq!(parse_date("2026-11-20"), Ok(jiff::civil::date(2026, 11, 20)));
        for wrong in ["2026-13-45", "2026-02-30", "20261120", "today", "", "2026-11-20T10:00", "0026-11-20"] {
            let told = parse_date(wrong).unwrap_err();
            assert!(told.contains("such as `2026-11-20`"), "{wrong}: {told}");
        }
    }
}
