//! The result of a check: a verdict, what was found in a plain sentence, and what to do.
//!
//! Nothing here ever holds a secret: a check names references and files, never what is in them.

use serde::Serialize;

/// How a check ended, in order of severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All is well.
    Ok,
    /// It could not be checked, and the sentence says why.
    Skipped,
    /// Nights run, and something needs attention.
    Warn,
    /// Nights fail, or something that must hold does not.
    Fail,
}

impl Verdict {
    /// Returns the verdict's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    /// Returns whether a person has something to do.
    pub const fn is_finding(self) -> bool {
        matches!(self, Self::Warn | Self::Fail)
    }
}

/// One check, done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What was checked, such as `database`.
    pub subject: &'static str,
    /// Which check of it, such as `schema`, or the name of the item where there may be several.
    pub check: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do; nothing where all is well.
    pub advice: Option<String>,
    /// More of what was found, a line each.
    pub details: Vec<String>,
}

impl Checked {
    /// Adds lines of detail.
    pub(super) fn with_details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }
}

/// What is checked; it makes the results of its checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subject(pub(super) &'static str);

impl Subject {
    /// Returns the result that all is well.
    pub(super) fn ok(self, check: &str, found: impl Into<String>) -> Checked {
        self.answer(check, Verdict::Ok, found.into(), None)
    }

    /// Returns the result that it could not be checked.
    pub(super) fn skipped(self, check: &str, why: impl Into<String>) -> Checked {
        self.answer(check, Verdict::Skipped, why.into(), None)
    }

    /// Returns the result that something needs attention.
    pub(super) fn warn(self, check: &str, found: impl Into<String>, advice: impl Into<String>) -> Checked {
        self.answer(check, Verdict::Warn, found.into(), Some(advice.into()))
    }

    /// Returns the result that something does not work.
    pub(super) fn fail(self, check: &str, found: impl Into<String>, advice: impl Into<String>) -> Checked {
        self.answer(check, Verdict::Fail, found.into(), Some(advice.into()))
    }

    fn answer(self, check: &str, verdict: Verdict, found: String, advice: Option<String>) -> Checked {
        Checked { subject: self.0, check: check.to_owned(), verdict, found, advice, details: Vec::new() }
    }
}
