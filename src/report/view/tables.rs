//! The tables a night read, and what the checks said about them.
//!
//! Counts here are of rows, not of people. A rule that looked at nothing is skipped, one that could not be evaluated
//! an error; neither passes. Which rows were held back
//! is recorded in the quarantine, never in a view.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::check::{CheckOutcome, CheckStatus};
use crate::domain::freshness::Rhythm;
use crate::domain::number::count_of;

/// One table as of tonight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableView {
    /// The table's name.
    pub name: String,
    /// Its current rows.
    pub rows: u64,
    /// Rows more (or fewer) than before: in what a pull leaves, than the table had; in a report, than the last e-mail told.
    /// `None` where there is no number to compare with.
    pub change: Option<i64>,
    /// When the newest thing in it happened; `None` for a table that describes no events.
    pub newest_event: Option<Timestamp>,
    /// The time of its newest delivery; `None` where an earlier version of the program did not record it.
    #[serde(default)]
    pub delivered_at: Option<Timestamp>,
    /// The last day through the end of which it is complete.
    #[serde(default)]
    pub complete_through: Option<Date>,
    /// How often it is delivered.
    #[serde(default)]
    pub rhythm: Rhythm,
    /// Whether it is older than it should be.
    #[serde(default)]
    pub is_late: bool,
    /// Whether a delivery of it could not be used, and an earlier snapshot stands in.
    pub is_stale: bool,
    /// Rows that did not fit and were held back.
    pub held_back: u64,
    /// Rows that wait in quarantine because a rule holds them back.
    #[serde(default)]
    pub waiting: u64,
    /// What came tonight; `None`: nothing, or an earlier version of the program did not record it.
    #[serde(default)]
    pub delivered: Option<DeliveredRows>,
}

/// What came of a table in one night.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveredRows {
    /// Rows, as they were delivered.
    pub rows: u64,
    /// Of them those whose key came again later in the same delivery.
    pub duplicates: u64,
    /// Versions that were opened or closed.
    pub changed: u64,
}

/// What the quality checks said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QualityView {
    /// Rules that hold.
    pub passed: usize,
    /// Rules breached within their warning limit.
    pub warned: usize,
    /// Rules breached.
    pub failed: usize,
    /// Rules that could not be evaluated.
    #[serde(default)]
    pub errors: usize,
    /// Rules that do not apply tonight.
    pub skipped: usize,
    /// What did not pass, the worst first.
    pub problems: Vec<CheckOutcome>,
}

impl QualityView {
    /// Returns the view of `outcomes`.
    pub fn of(outcomes: &[CheckOutcome]) -> Self {
        let count = |wanted: &[CheckStatus]| outcomes.iter().filter(|outcome| wanted.contains(&outcome.status)).count();
        let mut problems: Vec<CheckOutcome> =
            outcomes.iter().filter(|outcome| badness(outcome.status) > 0).cloned().collect();
        problems.sort_by(|a, b| {
            let key = |outcome: &CheckOutcome| (outcome.subject.clone(), outcome.check.clone());
            badness(b.status).cmp(&badness(a.status)).then_with(|| key(a).cmp(&key(b)))
        });
        Self {
            passed: count(&[CheckStatus::Pass]),
            warned: count(&[CheckStatus::Warn]),
            failed: count(&[CheckStatus::Fail]),
            errors: count(&[CheckStatus::Error]),
            skipped: count(&[CheckStatus::Skipped]),
            problems,
        }
    }

    /// Returns the view of what several jobs checked; `None` where none did.
    pub fn together(views: Vec<Self>) -> Option<Self> {
        views.into_iter().reduce(|mut all, view| {
            all.passed += view.passed;
            all.warned += view.warned;
            all.failed += view.failed;
            all.errors += view.errors;
            all.skipped += view.skipped;
            all.problems.extend(view.problems);
            all.problems.sort_by_key(|problem| std::cmp::Reverse(badness(problem.status)));
            all
        })
    }

    /// Returns how many rules were evaluated.
    pub const fn evaluated(&self) -> usize {
        self.passed + self.warned + self.failed
    }

    /// Returns how many rules found something, or could not be evaluated.
    pub const fn troubled(&self) -> usize {
        self.warned + self.failed + self.errors
    }

    /// Returns the numbers in words: every rule is in one of them.
    pub fn words(&self) -> String {
        let all = self.evaluated() + self.errors + self.skipped;
        let mut words = format!("{}: {} passed", count_of(all, "rule", "rules"), self.passed);
        for (count, word) in [
            (self.warned, "warned"),
            (self.failed, "failed"),
            (self.errors, "could not be evaluated"),
            (self.skipped, "skipped"),
        ] {
            if count > 0 {
                words.push_str(&format!(", {count} {word}"));
            }
        }
        words
    }
}

const fn badness(status: CheckStatus) -> u8 {
    match status {
        CheckStatus::Pass | CheckStatus::Skipped => 0,
        CheckStatus::Warn => 1,
        CheckStatus::Fail | CheckStatus::Error => 2,
    }
}
