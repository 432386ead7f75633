//! What the lint has refused so far, and how it records refusals.

use std::collections::BTreeSet;
use std::fmt;

use sqlparser::tokenizer::{Location, Span};

/// One construct that is refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// The line in the rendered SQL, from 1; 0 where the place is unknown.
    pub line: u64,
    /// The column, from 1; 0 where the place is unknown.
    pub column: u64,
    /// What was found, and why it is refused.
    pub problem: String,
    /// What to write instead.
    pub instead: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        write!(f, "{}; {}", self.problem, self.instead)
    }
}

/// The walk over the parsed text: what was refused so far, and the names met.
pub(super) struct Walk<'a> {
    pub(super) times: &'a [String],
    pub(super) refusals: Vec<Refusal>,
    pub(super) relations: BTreeSet<String>,
    pub(super) names: BTreeSet<String>,
    /// For each SELECT around the place that is looked at, the columns that its WHERE keeps from being null.
    pub(super) never_null: Vec<Vec<String>>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(times: &'a [String]) -> Self {
        Self { times, refusals: Vec::new(), relations: BTreeSet::new(), names: BTreeSet::new(), never_null: Vec::new() }
    }

    pub(super) fn refuse(&mut self, span: Span, problem: &str, instead: &str) {
        self.refuse_at(span.start, problem, instead);
    }

    pub(super) fn refuse_at(&mut self, at: Location, problem: &str, instead: &str) {
        self.refusals.push(Refusal {
            line: at.line,
            column: at.column,
            problem: problem.to_owned(),
            instead: instead.to_owned(),
        });
    }

    pub(super) fn refuse_nowhere(&mut self, problem: &str, instead: &str) {
        self.refuse(Span::empty(), problem, instead);
    }
}
