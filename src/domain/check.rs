//! Findings: what a check found wrong, in words a person can act on.
//!
//! A check is a rule, a finding is a breach of it. Findings are values that travel in an outcome; the alert rules
//! decide later who is told about them. A finding names tables, columns, files and counts; it never quotes a value from
//! a row about a person.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; nothing to do.
    Info,
    /// The night goes on, and a person should look (exit code 9).
    Warning,
    /// Something is wrong in what was made; a person must act.
    Error,
}

impl Severity {
    /// Returns the word for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A breach of a check.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The rule that was breached: a stable, dotted name such as `schema.unknown_column`.
    pub check: String,
    /// What it is about: a table, `table.column`, a file, a model.
    pub subject: String,
    /// What was found, and why that matters, in one sentence.
    pub message: String,
    /// What to do about it, in one sentence.
    pub advice: String,
    /// How long people are told.
    #[serde(default, skip_serializing_if = "Told::is_default")]
    pub told: Told,
}

/// How long people are told of a finding that stands because nothing new has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// Every night while it stands: something is wrong.
    #[default]
    WhileItStands,
    /// In the night in which it was found: something happened.
    Once,
}

impl Told {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Finding {
    /// Returns a finding that is worth knowing.
    pub fn info(
        check: &str,
        subject: impl Into<String>,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Info, ..Self::warning(check, subject, message, advice) }
    }

    /// Returns a finding on which a person must act; `advice` says how.
    pub fn error(
        check: &str,
        subject: impl Into<String>,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Error, ..Self::warning(check, subject, message, advice) }
    }

    /// Returns a finding at which a person should look; `advice` says what to do.
    pub fn warning(
        check: &str,
        subject: impl Into<String>,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            check: check.to_owned(),
            subject: subject.into(),
            message: message.into(),
            advice: advice.into(),
            told: Told::WhileItStands,
        }
    }

    /// Returns the finding as one of which people are told once.
    #[must_use]
    pub fn told_once(self) -> Self {
        Self { told: Told::Once, ..self }
    }
}

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// The rule holds.
    Pass,
    /// The rule is breached within its warning limit.
    Warn,
    /// The rule is breached.
    Fail,
    /// The rule could not be evaluated: it looked at nothing, or its evaluation failed. Never a pass.
    Error,
    /// The rule does not apply now, for the stated reason.
    Skipped,
}

impl CheckStatus {
    /// Returns the word by which it is stored and published.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }
}

/// What follows when a rule is breached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// People are told, and the night goes on.
    #[default]
    Pass,
    /// Rows of a delivery that are bad are held back until the rule or the source is mended; what stood before stands.
    QuarantineRows,
    /// If the rule fails, the delivery of the table is not taken in; its last good version stands in.
    StopTable,
    /// If the rule fails, the job fails, and what needs it does not begin.
    StopNight,
}

impl Action {
    /// Returns the word for it, as in a file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::QuarantineRows => "quarantine_rows",
            Self::StopTable => "stop_table",
            Self::StopNight => "stop_night",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One check as it was evaluated: what was expected and what was observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckOutcome {
    /// The rule's stable name, such as `keys.unique`.
    pub check: String,
    /// The table, column or set that was looked at.
    pub subject: String,
    /// How it ended.
    pub status: CheckStatus,
    /// What was observed, in words.
    pub observed: String,
    /// What was expected, in words.
    pub expected: String,
    /// How many rows (or values) were looked at.
    pub looked_at: u64,
    /// What was found: bad rows, or the rule's value.
    #[serde(default)]
    pub value: Option<f64>,
    /// Why the rule matters.
    #[serde(default)]
    pub why: String,
    /// What to do about a breach, where the rule says.
    #[serde(default)]
    pub advice: Option<String>,
    /// Who answers for the rule.
    #[serde(default)]
    pub owner: Option<String>,
    /// What follows a breach.
    #[serde(default)]
    pub action: Action,
}

impl CheckOutcome {
    /// Returns a check that did not look at anything yet: the base of every other.
    pub fn skipped(check: impl Into<String>, subject: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            subject: subject.into(),
            status: CheckStatus::Skipped,
            observed: String::new(),
            expected: String::new(),
            looked_at: 0,
            value: None,
            why: String::new(),
            advice: None,
            owner: None,
            action: Action::Pass,
        }
    }
}
