//! How new a table is, and how new it should be.
//!
//! A delivery that was taken at an instant is complete through the end of the day before it, in the zone of the night.
//! Each table has its rhythm: one that comes once a week is not late on the third day. Pure.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How often a table is delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rhythm {
    /// Every day.
    #[default]
    Daily,
    /// Every week.
    Weekly,
    /// Once a term.
    Termly,
}

impl Rhythm {
    /// Returns the word for it, as in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Termly => "termly",
        }
    }

    /// Returns how many days lie between two deliveries; a term is half a year at most.
    const fn days(self) -> i64 {
        match self {
            Self::Daily => 1,
            Self::Weekly => 7,
            Self::Termly => 183,
        }
    }

    /// Returns the rhythm in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Daily => "every day",
            Self::Weekly => "every week",
            Self::Termly => "once a term",
        }
    }
}

/// Returns the last day through the end of which a delivery is complete; `None` at the edge of the calendar.
pub fn complete_through(delivered_at: Timestamp, zone: &TimeZone) -> Option<Date> {
    delivered_at.to_zoned(zone.clone()).date().yesterday().ok()
}

/// Returns whether a table that is complete through the end of `through` is older than it should be in the night of
/// `logical_date`, which covers through the end of the day before. `grace_days` may pass after a delivery is due.
pub fn is_late(through: Date, logical_date: Date, rhythm: Rhythm, grace_days: i64) -> bool {
    let covered = logical_date.yesterday().unwrap_or(logical_date);
    let age = covered.since(through).map_or(i64::MAX, |span| i64::from(span.get_days()));
    age > rhythm.days() - 1 + grace_days
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_delivery_is_complete_through_the_day_before_it_in_the_zone_of_the_night() {
        let detroit = TimeZone::get("America/Detroit").unwrap();
        let through = |at: &str| complete_through(at.parse().unwrap(), &detroit).unwrap();

        assert_eq!(through("2026-11-20T05:00:00Z"), date(2026, 11, 19), "midnight in Detroit");
        assert_eq!(through("2026-11-20T04:59:59Z"), date(2026, 11, 18), "the evening before");
    }

    #[test]
    fn each_table_is_late_by_its_own_rhythm() {
        let night = date(2026, 11, 20);
        let late = |through, rhythm| is_late(through, night, rhythm, 2);

        assert!(!late(date(2026, 11, 19), Rhythm::Daily));
        assert!(!late(date(2026, 11, 17), Rhythm::Daily) && late(date(2026, 11, 16), Rhythm::Daily));
        assert!(!late(date(2026, 11, 11), Rhythm::Weekly) && late(date(2026, 11, 10), Rhythm::Weekly));
        assert!(!late(date(2026, 6, 1), Rhythm::Termly) && late(date(2026, 5, 1), Rhythm::Termly));
        assert!(!late(date(2026, 11, 25), Rhythm::Daily), "a later delivery is not late for an earlier night");
    }
}
