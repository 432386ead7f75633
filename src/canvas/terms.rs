//! Which term a row belongs to: the partition of the tables.
//!
//! Courses state their term, enrolments their course; the term of every other row follows from one of them. A row whose
//! term is not found gets the term `none`, and is counted. The lookup is filled from the `courses` and `enrollments`
//! that are read, or, if a delivery holds changes only, from the current tables.

use std::collections::HashMap;
use std::sync::Arc;

use polars::prelude::*;

use super::contracts::teaches_enrollments;
use crate::domain::table::{TERM, TableContract, TermRule};

/// The term of a row that has none.
pub(super) const NO_TERM: &str = "none";

/// Courses and enrolments, and their terms.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TermLookup {
    courses: HashMap<i64, Arc<str>>,
    /// By the bytes of the pseudonym, half the size of its text: there may be tens of millions.
    enrollments: HashMap<[u8; 12], Arc<str>>,
}

impl TermLookup {
    /// Returns whether a table's rows supply the terms of other tables' rows: courses do, and enrolments, which state
    /// their course; a table that finds its own term through an enrolment supplies nothing.
    pub fn is_taught_by(contract: &TableContract) -> bool {
        let says_course = matches!(contract.term, TermRule::Course { .. });
        teaches_courses(contract) || (says_course && teaches_enrollments(contract))
    }

    /// Learns from a frame of `courses` or `enrollments` that holds its key and `_term`; other tables supply nothing.
    ///
    /// # Errors
    /// When the frame lacks those columns.
    pub fn learn(&mut self, contract: &TableContract, frame: &DataFrame) -> PolarsResult<()> {
        let (Some(key), true) = (contract.key.first(), Self::is_taught_by(contract)) else { return Ok(()) };
        let terms = frame.column(TERM)?.str()?.clone();
        let mut shared: HashMap<&str, Arc<str>> = HashMap::new();
        let mut share = |term| Arc::clone(shared.entry(term).or_insert_with(|| Arc::from(term)));
        if teaches_courses(contract) {
            for (course, term) in frame.column(key)?.i64()?.iter().zip(terms.iter()) {
                if let (Some(course), Some(term)) = (course, term) {
                    self.courses.insert(course, share(term));
                }
            }
        } else {
            for (enrollment, term) in frame.column(key)?.str()?.iter().zip(terms.iter()) {
                if let (Some(enrollment), Some(term)) = (enrollment.and_then(packed), term) {
                    self.enrollments.insert(enrollment, share(term));
                }
            }
        }
        Ok(())
    }

    /// Adds what `other` knows; if both know a term, that of `other` counts.
    pub fn extend(&mut self, other: Self) {
        self.courses.extend(other.courses);
        self.enrollments.extend(other.enrollments);
    }

    /// Returns the term of a course.
    pub fn of_course(&self, course: i64) -> Option<&str> {
        self.courses.get(&course).map(AsRef::as_ref)
    }

    /// Returns the term of an enrolment, by its pseudonym.
    pub fn of_enrollment(&self, pseudonym: &str) -> Option<&str> {
        self.enrollments.get(&packed(pseudonym)?).map(AsRef::as_ref)
    }
}

/// Returns the column that a rule uses.
pub(super) fn term_column(rule: &TermRule) -> Option<&str> {
    match rule {
        TermRule::None => None,
        TermRule::Term { column } | TermRule::Course { column } | TermRule::Enrollment { column } => Some(column),
    }
}

fn teaches_courses(contract: &TableContract) -> bool {
    contract.name.as_str() == "courses" && contract.key.len() == 1
}

fn packed(pseudonym: &str) -> Option<[u8; 12]> {
    let mut bytes = [0; 12];
    hex::decode_to_slice(pseudonym, &mut bytes).ok()?;
    Some(bytes)
}
