//! Fingerprints: what an outcome was made from, entry by entry, and which entries have changed.
//!
//! A kind names what its outcome depends on ([`DependsOn`]); program, kind and parameters are added here. A job is up
//! to date if its fingerprint is that of its last success; if not, the entries that differ say why it runs ([`Why`]).
//! Values are kept as hashes: a fingerprint is stored and must not quote data.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::code;
use super::ids::{RunId, content_hash};

/// What an outcome depends on besides program, kind and parameters: texts, by names that a person recognises.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DependsOn(BTreeMap<String, String>);

impl DependsOn {
    /// Adds an entry, such as ``table `users` ``, with everything that matters about it as text.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.0.insert(name.into(), value.to_string());
        self
    }
}

/// What an outcome was made from: a hash for each entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(BTreeMap<String, String>);

/// The part of a hash that is kept for each entry: 128 bits.
const KEPT: usize = 32;

impl Fingerprint {
    /// Returns the fingerprint of a job of `kind` with `params` and these inputs.
    pub fn new(kind: &str, params: &serde_json::Value, inputs: &DependsOn) -> Self {
        let fixed = [
            ("the program", code::PROGRAM.to_owned()),
            ("the kind", kind.to_owned()),
            ("the parameters", params.to_string()),
        ];
        let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value));
        let entries = inputs.0.clone().into_iter().chain(fixed);
        let hashed = entries.map(|(name, value)| (name, content_hash(value.as_bytes()).chars().take(KEPT).collect()));
        Self(hashed.collect())
    }

    /// Returns what differs from an earlier fingerprint, by name.
    pub fn changes_since(&self, earlier: &Self) -> Vec<Change> {
        let gone = earlier.0.keys().filter(|name| !self.0.contains_key(*name));
        let gone = gone.map(|name| Change { what: name.clone(), how: How::Gone });
        let differ = self.0.iter().filter_map(|(name, hash)| {
            let how = match earlier.0.get(name) {
                None => How::New,
                Some(before) if before != hash => How::Changed,
                Some(_) => return None,
            };
            Some(Change { what: name.clone(), how })
        });
        let mut changes: Vec<Change> = differ.chain(gone).collect();
        // What a person has set comes before the many tables.
        changes.sort_by_key(|change| (!change.what.starts_with("the "), change.what.clone()));
        changes
    }
}

/// An entry of a fingerprint that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// Its name.
    pub what: String,
    /// How it differs.
    pub how: How,
}

/// How an entry differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It has another value.
    Changed,
    /// It was not there.
    New,
    /// It is no longer there.
    Gone,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.how {
            How::Changed => write!(f, "{} changed", self.what),
            How::New => write!(f, "{} is new", self.what),
            How::Gone => write!(f, "{} is gone", self.what),
        }
    }
}

/// Why a job runs, or need not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// It has never succeeded.
    First,
    /// A person asked to do it again (`--force`).
    Forced,
    /// What it depends on is not known beforehand, so it runs every time.
    Always,
    /// Its last success does not say what it was made from: an earlier version recorded it, or a person marked it, or one
    /// with the same inputs, as failed.
    NotRecorded,
    /// What it depends on has changed.
    Changed {
        /// The run of the last success.
        since: RunId,
        /// What differs.
        changes: Vec<Change>,
    },
    /// It is up to date: nothing has changed.
    Unchanged {
        /// The run of the last success.
        since: RunId,
    },
}

/// How many changes are named.
const NAMED: usize = 3;

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("it has not succeeded before"),
            Self::Forced => f.write_str("it was forced"),
            Self::Always => f.write_str("it runs every time"),
            Self::NotRecorded => f.write_str(
                "its last success does not count: it was marked as failed, or recorded by an earlier version",
            ),
            Self::Unchanged { since } => write!(f, "nothing has changed since {since}"),
            Self::Changed { since, changes } => {
                let named: Vec<String> = changes.iter().take(NAMED).map(Change::to_string).collect();
                write!(f, "{}", named.join(", "))?;
                match changes.len().saturating_sub(NAMED) {
                    0 => {}
                    more => write!(f, " and {more} more")?,
                }
                write!(f, " since {since}")
            }
        }
    }
}

/// The last success of a job, as far as a decision needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// The run in which it was.
    pub run_id: RunId,
    /// What its outcome was made from; `None` where that was not recorded.
    pub fingerprint: Option<Fingerprint>,
}

/// Returns why a job whose fingerprint is `present` runs, or that it need not.
pub fn why(present: Option<&Fingerprint>, earlier: Option<&Earlier>) -> Why {
    let Some(present) = present else { return Why::Always };
    let Some(earlier) = earlier else { return Why::First };
    let since = earlier.run_id.clone();
    let Some(before) = &earlier.fingerprint else { return Why::NotRecorded };
    let changes = present.changes_since(before);
    if changes.is_empty() { Why::Unchanged { since } } else { Why::Changed { since, changes } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(inputs: &[(&str, &str)]) -> Fingerprint {
        let inputs = inputs.iter().fold(DependsOn::default(), |inputs, (name, value)| inputs.with(*name, value));
        Fingerprint::new("score", &serde_json::json!({}), &inputs)
    }

    fn earlier(fingerprint: Option<Fingerprint>) -> Earlier {
        Earlier { run_id: RunId::from_stored("nightly.2026-11-19.1".to_owned()), fingerprint }
    }

    #[test]
    fn what_differs_is_named() {
        let before = earlier(Some(of(&[("table `users`", "a"), ("table `terms`", "a"), ("the date", "19")])));

        let why =
            why(Some(&of(&[("table `users`", "b"), ("table `courses`", "a"), ("the date", "19")])), Some(&before));

        assert_eq!(
            why.to_string(),
            "table `courses` is new, table `terms` is gone, table `users` changed since nightly.2026-11-19.1"
        );
    }

    #[test]
    fn more_than_three_changes_are_counted() {
        let names = ["a", "b", "c", "d", "e"];
        let before: Vec<_> = names.iter().map(|name| (*name, "1")).collect();
        let after: Vec<_> = names.iter().map(|name| (*name, "2")).collect();

        let why = why(Some(&of(&after)), Some(&earlier(Some(of(&before)))));

        assert_eq!(why.to_string(), "a changed, b changed, c changed and 2 more since nightly.2026-11-19.1");
    }

    #[test]
    fn the_same_inputs_are_up_to_date_and_other_parameters_are_not() {
        let (one, other) =
            (of(&[("a", "1")]), Fingerprint::new("score", &serde_json::json!({"x": 1}), &DependsOn::default()));

        assert!(matches!(why(Some(&one), Some(&earlier(Some(one.clone())))), Why::Unchanged { .. }));
        assert_eq!(
            other.changes_since(&one),
            [
                Change { what: "the parameters".to_owned(), how: How::Changed },
                Change { what: "a".to_owned(), how: How::Gone }
            ]
        );
    }

    #[test]
    fn without_a_fingerprint_or_an_earlier_success_a_job_runs() {
        let present = of(&[]);

        assert_eq!(why(None, Some(&earlier(Some(present.clone())))), Why::Always);
        assert_eq!(why(Some(&present), None), Why::First);
        assert_eq!(why(Some(&present), Some(&earlier(None))), Why::NotRecorded);
    }
}
