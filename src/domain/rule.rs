//! Quality rules as values: what is looked at, from when it matters, what follows, and who answers for it.
//!
//! A rule has one of two forms: a predicate that is true for bad rows, which are counted, or a value, one number. Both end
//! in a [`CheckStatus`] by a pure decision here; what evaluates them is `ml::quality`. A rule that looked at nothing is
//! skipped, and never passes.

use std::fmt;

use super::check::{Action, CheckStatus};
use super::ids::TableName;
use super::number::{figure, grouped};

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its id, `<table>.<name>`: unique, and stable from night to night.
    pub id: String,
    /// The table it is about.
    pub table: TableName,
    /// The column it is about, where it is about one.
    pub column: Option<String>,
    /// What is looked at.
    pub form: Form,
    /// What follows a breach.
    pub action: Action,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Why it matters, in a sentence.
    pub why: String,
    /// What to do about a breach, in a sentence.
    pub advice: Option<String>,
    /// Where it is stated: a file, or the table's contract.
    pub origin: String,
}

/// What is looked at, and from when it matters.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// Bad rows are counted.
    Rows {
        /// Which rows are bad.
        bad: BadRows,
        /// How many of them are too many.
        limits: RowLimits,
    },
    /// One number is computed.
    Value {
        /// Which.
        value: Value,
        /// Where it should be.
        expected: Expected,
    },
    /// The table's newest delivery is as new as its rhythm demands.
    Fresh,
}

/// Which rows are bad.
#[derive(Debug, Clone, PartialEq)]
pub enum BadRows {
    /// Those for which a SQL predicate over the table's columns is true.
    Where {
        /// The predicate.
        predicate: String,
        /// The column without whose value a row is not looked at; `None`: every row is.
        of: Option<String>,
    },
    /// Those whose text does not match a regular expression; an absent value is not bad.
    Unlike {
        /// The column.
        column: String,
        /// The pattern (Rust's `regex` syntax).
        pattern: String,
    },
    /// Those whose id leads nowhere. A row that came in since noon of the day before is given a night: its parent may
    /// be late.
    Dangling {
        /// The column.
        column: String,
        /// The table that it refers to.
        table: TableName,
        /// The column there.
        id: String,
    },
    /// Those that share the values of these columns with another row. For the table's key: as it was delivered, since
    /// the lake keeps each key once.
    Repeated(Vec<String>),
}

impl BadRows {
    /// Returns whether one row is enough to decide, so that a delivery can be judged where it comes in.
    pub fn is_decided_by_row(&self) -> bool {
        matches!(self, Self::Where { .. } | Self::Unlike { .. })
    }
}

/// From how many bad rows a rule warns, and fails: more than the limit. Without a limit it never does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowLimits {
    /// More than this warns.
    pub warn: Option<RowLimit>,
    /// More than this fails.
    pub error: Option<RowLimit>,
}

/// A number of rows, or a share of those looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RowLimit {
    /// Rows.
    Count(u64),
    /// A share, from 0 to 1.
    Share(f64),
}

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// What a query gives: one row, one column, a number.
    Sql(String),
    /// The table's rows.
    Rows,
    /// The rows that the last delivery changed: opened and closed versions.
    Changed,
    /// By what share of its rows a table has grown or shrunk since before the last delivery.
    RowChange,
    /// The share of rows without a value in a column, among those that came in with the last delivery.
    NullShare(String),
}

/// Where a value should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Expected {
    /// Between fixed ends.
    Within {
        /// Outside of it the rule warns.
        warn: Option<Range>,
        /// Outside of it the rule fails.
        error: Option<Range>,
    },
    /// Where it was on comparable nights: the same weekday, about the same week of a term.
    AsUsual {
        /// A robust deviation beyond this warns.
        warn: f64,
        /// A robust deviation beyond this fails.
        error: Option<f64>,
    },
}

/// The ends of a range; an absent one is open.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Range {
    /// The lower end.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

impl Range {
    /// Returns whether a value is in it; one that is not a number is not.
    pub fn holds(&self, value: f64) -> bool {
        !value.is_nan() && self.low.is_none_or(|low| value >= low) && self.high.is_none_or(|high| value <= high)
    }
}

impl Form {
    /// Returns what is looked at and where it should be, in words.
    pub fn words(&self) -> String {
        match self {
            Self::Fresh => "it is as new as its rhythm demands".to_owned(),
            Self::Rows { bad, limits } => format!("{} where {}", limits.words(), bad.words()),
            Self::Value { value, expected } => format!("{}: {}", value.words(), expected.words()),
        }
    }
}

impl BadRows {
    fn words(&self) -> String {
        match self {
            Self::Where { predicate, .. } => predicate.clone(),
            Self::Unlike { column, pattern } => format!("`{column}` does not match `{pattern}`"),
            Self::Dangling { column, table, id } => format!("`{column}` is not in `{table}.{id}`"),
            Self::Repeated(columns) => format!("`{}` came before", columns.join("`, `")),
        }
    }
}

impl Value {
    fn words(&self) -> String {
        match self {
            Self::Sql(sql) => sql.split_whitespace().collect::<Vec<_>>().join(" "),
            Self::Rows => "rows".to_owned(),
            Self::Changed => "rows that the last delivery changed".to_owned(),
            Self::RowChange => "share by which the rows changed with the last delivery".to_owned(),
            Self::NullShare(column) => format!("share without `{column}` in the last delivery"),
        }
    }
}

impl Expected {
    /// Returns where the value should be, in words.
    pub fn words(&self) -> String {
        match self {
            Self::AsUsual { .. } => "as on comparable nights".to_owned(),
            Self::Within { warn, error } => warn.or(*error).unwrap_or_default().words(),
        }
    }

    /// Returns where a share from 0 to 1 should be, in words.
    pub fn words_of_share(&self) -> String {
        match self {
            Self::AsUsual { .. } => self.words(),
            Self::Within { warn, error } => warn.or(*error).unwrap_or_default().written(percent),
        }
    }
}

impl Range {
    fn words(&self) -> String {
        self.written(figure)
    }

    fn written(&self, number: impl Fn(f64) -> String) -> String {
        match (self.low.map(&number), self.high.map(&number)) {
            (Some(low), Some(high)) => format!("from {low} to {high}"),
            (Some(low), None) => format!("at least {low}"),
            (None, Some(high)) => format!("at most {high}"),
            (None, None) => "any number".to_owned(),
        }
    }
}

fn percent(share: f64) -> String {
    format!("{} %", (share * 1e6).round() / 1e4)
}

impl RowLimit {
    fn is_exceeded(self, bad: u64, of: u64) -> bool {
        match self {
            Self::Count(most) => bad > most,
            Self::Share(most) => bad as f64 > most * of as f64,
        }
    }
}

impl fmt::Display for RowLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(1) => f.write_str("1 row"),
            Self::Count(most) => write!(f, "{} rows", grouped(*most)),
            Self::Share(most) => f.write_str(&percent(*most)),
        }
    }
}

impl RowLimits {
    /// Returns how a rule ends that found `bad` of `looked_at` rows.
    pub fn status(&self, bad: u64, looked_at: u64) -> CheckStatus {
        let exceeded = |limit: Option<RowLimit>| limit.is_some_and(|limit| limit.is_exceeded(bad, looked_at));
        match looked_at {
            0 => CheckStatus::Skipped,
            _ if exceeded(self.error) => CheckStatus::Fail,
            _ if exceeded(self.warn) => CheckStatus::Warn,
            _ => CheckStatus::Pass,
        }
    }

    /// Returns whether everything that would warn fails already.
    pub fn never_warns(&self) -> bool {
        match (self.warn, self.error) {
            (Some(RowLimit::Count(warn)), Some(RowLimit::Count(error))) => warn >= error,
            (Some(RowLimit::Share(warn)), Some(RowLimit::Share(error))) => warn >= error,
            _ => false,
        }
    }

    /// Returns what is expected, in words.
    pub fn words(&self) -> String {
        match self.warn.or(self.error) {
            None => "it is only counted".to_owned(),
            Some(RowLimit::Count(0)) => "no row".to_owned(),
            Some(limit) => format!("at most {limit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RowLimits = RowLimits { warn: Some(RowLimit::Count(0)), error: Some(RowLimit::Share(0.05)) };

    #[test]
    fn bad_rows_warn_and_then_fail_by_their_limits() {
        let status = |bad| LIMITS.status(bad, 100);

        assert_eq!(
            [status(0), status(1), status(5), status(6)],
            [CheckStatus::Pass, CheckStatus::Warn, CheckStatus::Warn, CheckStatus::Fail]
        );
    }

    #[test]
    fn a_rule_that_looked_at_nothing_is_skipped() {
        assert_eq!(LIMITS.status(0, 0), CheckStatus::Skipped);
    }

    #[test]
    fn limits_are_told_in_words() {
        let words = |warn| RowLimits { warn, error: None }.words();

        assert_eq!(words(Some(RowLimit::Count(0))), "no row");
        assert_eq!(words(Some(RowLimit::Share(0.001))), "at most 0.1 %");
        assert_eq!(words(None), "it is only counted");
    }

    #[test]
    fn what_is_not_a_number_is_in_no_range() {
        assert!(!Range::default().holds(f64::NAN));
        assert!(Range { low: Some(0.0), high: None }.holds(1e9));
    }
}
