//! The courses that may be planned: published, dated, of the chosen accounts.
//!
//! A course that is set aside is reported with its reason, never dropped silently. A course is a *sandbox* when neither
//! it nor its term has both a start and an end; it is *unpublished* unless its state is `available` or `completed`. A
//! course's own dates take precedence over its term's. A time zone that IANA does not know is replaced by the DAG's,
//! and this is reported.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use polars::prelude::*;

use super::compute::{on_deep_stack, run};
use super::cutoff::Cutoff;
use super::error::FeatureError;
use super::inputs::Inputs;
use super::visible::visible;

/// A course that may be planned.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// Its id.
    pub course_id: i64,
    /// The sub-account it belongs to.
    pub account_id: Option<i64>,
    /// Its term, as the tables' partitions name it.
    pub term: String,
    /// Its own zone.
    pub zone: TimeZone,
    /// When it begins.
    pub start_at: Timestamp,
    /// When it ends.
    pub conclude_at: Timestamp,
}

/// Which courses count.
#[derive(Debug, Clone)]
pub struct CourseRules {
    /// Only these sub-accounts; none: all.
    pub accounts: Option<BTreeSet<i64>>,
    /// The zone of a course that states none.
    pub default_zone: TimeZone,
}

/// The courses of an institution, as they were known at a cutoff.
#[derive(Debug, Clone, PartialEq)]
pub struct Courses {
    /// Those that may be planned, sorted by id.
    pub eligible: Vec<Course>,
    /// Those that may not, sorted by id, each with its reason.
    pub set_aside: Vec<(i64, SetAside)>,
    /// Courses in the default zone because their own is unknown to IANA, with what they state.
    pub unknown_zones: Vec<(i64, String)>,
}

/// Why a course is not planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetAside {
    /// It was never published, or was deleted.
    Unpublished,
    /// Neither it nor its term has both a start and an end.
    Sandbox,
    /// It ends before it begins.
    EndsBeforeStart,
    /// It belongs to a sub-account that was not chosen.
    OtherAccount,
}

/// Reads the courses as they were known at `cutoff`.
///
/// # Errors
/// When the table `courses` is missing or cannot be read.
pub fn read_courses(inputs: &Inputs, cutoff: Cutoff, rules: &CourseRules) -> Result<Courses, FeatureError> {
    let rows = on_deep_stack(|| collect(course_dates(inputs, cutoff, None)?))?;
    let mut courses = Courses { eligible: Vec::new(), set_aside: Vec::new(), unknown_zones: Vec::new() };
    for row in rows_of(&rows).map_err(FeatureError::compute("courses", "-"))? {
        let id = row.course_id;
        match judge(&row, rules) {
            Err(reason) => courses.set_aside.push((id, reason)),
            Ok((start_at, conclude_at)) => {
                let zone = match row.time_zone.map(TimeZone::get) {
                    None => rules.default_zone.clone(),
                    Some(Ok(zone)) => zone,
                    Some(Err(_)) => {
                        courses.unknown_zones.push((id, row.time_zone.unwrap_or_default().to_owned()));
                        rules.default_zone.clone()
                    }
                };
                let term = row.term_id.map_or_else(|| "none".to_owned(), |term| term.to_string());
                let account_id = row.account_id;
                courses.eligible.push(Course { course_id: id, account_id, term, zone, start_at, conclude_at });
            }
        }
    }
    Ok(courses)
}

/// Returns the visible courses with their dates, naive UTC, and what is needed to judge them.
pub(super) fn course_dates(
    inputs: &Inputs,
    cutoff: Cutoff,
    terms: Option<&BTreeSet<&str>>,
) -> Result<LazyFrame, FeatureError> {
    let courses = visible(inputs.required("courses", "courses")?, cutoff, terms)?.select([
        col("id").alias("course_id"),
        col("account_id"),
        col("enrollment_term_id"),
        col("workflow_state"),
        col("time_zone"),
        col("start_at"),
        col("conclude_at"),
    ]);
    let Some(table) = inputs.table("enrollment_terms") else {
        return Ok(courses);
    };
    let dates = visible(table, cutoff, None)?.select([
        col("id").alias("enrollment_term_id"),
        col("start_at").alias("term_start_at"),
        col("end_at").alias("term_end_at"),
    ]);
    Ok(courses
        .join(dates, [col("enrollment_term_id")], [col("enrollment_term_id")], JoinArgs::new(JoinType::Left))
        .with_columns([
            coalesce(&[col("start_at"), col("term_start_at")]).alias("start_at"),
            coalesce(&[col("conclude_at"), col("term_end_at")]).alias("conclude_at"),
        ])
        .drop(cols(["term_start_at", "term_end_at"])))
}

struct Row<'a> {
    course_id: i64,
    account_id: Option<i64>,
    term_id: Option<i64>,
    state: Option<&'a str>,
    time_zone: Option<&'a str>,
    start_at: Option<i64>,
    conclude_at: Option<i64>,
}

fn judge(row: &Row<'_>, rules: &CourseRules) -> Result<(Timestamp, Timestamp), SetAside> {
    if !matches!(row.state, Some("available" | "completed")) {
        return Err(SetAside::Unpublished);
    }
    if let Some(accounts) = &rules.accounts
        && !row.account_id.is_some_and(|account| accounts.contains(&account))
    {
        return Err(SetAside::OtherAccount);
    }
    let moment = |micros: Option<i64>| micros.and_then(|micros| Timestamp::from_microsecond(micros).ok());
    let (Some(start_at), Some(conclude_at)) = (moment(row.start_at), moment(row.conclude_at)) else {
        return Err(SetAside::Sandbox);
    };
    if conclude_at <= start_at { Err(SetAside::EndsBeforeStart) } else { Ok((start_at, conclude_at)) }
}

fn collect(frame: LazyFrame) -> Result<DataFrame, FeatureError> {
    let sorted = frame
        .sort(["course_id"], SortMultipleOptions::default())
        .with_columns([col("start_at").cast(DataType::Int64), col("conclude_at").cast(DataType::Int64)]);
    run("courses", "-", sorted)
}

fn rows_of(frame: &DataFrame) -> PolarsResult<Vec<Row<'_>>> {
    let id = frame.column("course_id")?.i64()?;
    let account = frame.column("account_id")?.i64()?;
    let term = frame.column("enrollment_term_id")?.i64()?;
    let state = frame.column("workflow_state")?.str()?;
    let zone = frame.column("time_zone")?.str()?;
    let start = frame.column("start_at")?.i64()?;
    let conclude = frame.column("conclude_at")?.i64()?;
    Ok((0..frame.height())
        .filter_map(|row| {
            Some(Row {
                course_id: id.get(row)?,
                account_id: account.get(row),
                term_id: term.get(row),
                state: state.get(row),
                time_zone: zone.get(row),
                start_at: start.get(row),
                conclude_at: conclude.get(row),
            })
        })
        .collect())
}

impl Courses {
    /// Returns how many courses are set aside, by reason.
    pub fn set_aside_by_reason(&self) -> BTreeMap<SetAside, usize> {
        let mut counts = BTreeMap::new();
        for (_, reason) in &self.set_aside {
            *counts.entry(*reason).or_default() += 1;
        }
        counts
    }
}
