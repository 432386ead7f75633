//! What earlier nights measured, beside tonight: rows against what is usual, findings, and how many may need support.
//!
//! A night on which nothing was measured is absent, never a zero. Numbers of people are [`PeopleCount`]s: a night whose
//! count is not shown is absent too. Rows and findings are for operators, support is for everybody.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::PeopleCount;

/// How many nights are looked back on, tonight's included.
pub const NIGHTS: u8 = 14;

/// The rows of a table on the last [`NIGHTS`] nights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableNights {
    /// The table.
    pub table: String,
    /// The nights on which its rows were counted, the oldest first; the last is tonight.
    pub nights: Vec<RowsNight>,
    /// How many nights are comparable with tonight: the same weekday in about the same week of a term.
    pub comparable: usize,
    /// How many there must be before anything is called usual.
    pub fewest: usize,
}

/// The rows of a table on one night.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsNight {
    /// The night.
    pub date: Date,
    /// The rows.
    pub rows: u64,
    /// From how many to how many rows are usual on such a night; `None` where too few nights are comparable.
    pub usual: Option<(u64, u64)>,
}

/// What a night's e-mail told, by how bad it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What somebody had to act on.
    pub errors: u64,
    /// What somebody had to look at.
    pub warnings: u64,
    /// What was only worth knowing.
    pub notes: u64,
}

/// How many students of a term may have needed support, night by night.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupportTerm {
    /// The term.
    pub term: String,
    /// The nights whose count may be shown, the oldest first.
    pub nights: Vec<(Date, PeopleCount)>,
}

impl TableNights {
    /// Returns tonight.
    pub fn tonight(&self) -> Option<&RowsNight> {
        self.nights.last()
    }

    /// Returns whether there are more or fewer rows tonight than is usual.
    pub fn is_unusual(&self) -> bool {
        self.tonight().is_some_and(RowsNight::is_unusual)
    }
}

impl RowsNight {
    /// Returns whether there are more or fewer rows than is usual.
    pub fn is_unusual(&self) -> bool {
        self.usual.is_some_and(|(low, high)| self.rows < low || high < self.rows)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn rows_are_unusual_only_where_it_is_known_what_is_usual() {
        let night = |usual| RowsNight { date: date(2026, 11, 20), rows: 50, usual };

        assert!(night(Some((60, 90))).is_unusual() && night(Some((10, 49))).is_unusual());
        assert!(!night(Some((50, 50))).is_unusual() && !night(None).is_unusual());
    }
}
