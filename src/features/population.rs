//! Whom a partition is about: its courses' calendar and, by `sql/features/population.sql`, the enrolled students.
//!
//! The calendar takes a course's dates from the courses as they were known at the cutoff, so that a later change of a
//! course's end never reaches a past partition; the plan decides which courses are in it, and at which week. Test
//! students, sandboxes and unpublished courses never get here.

use std::collections::BTreeSet;

use polars::prelude::*;

use super::courses::course_dates;
use super::error::FeatureError;
use super::inputs::Inputs;
use super::plan::{AsOf, CourseWeek};

/// Returns the table `calendar`: `course_id`, `term`, `course_week`, `last_day`, `week_exact`, `start_at`, `conclude_at` (naive UTC).
///
/// # Errors
/// When the courses cannot be read.
pub(super) fn calendar(as_of: &AsOf, inputs: &Inputs, terms: &BTreeSet<&str>) -> Result<LazyFrame, FeatureError> {
    let of = |value: fn(&CourseWeek) -> i64| as_of.courses.iter().map(value).collect::<Vec<i64>>();
    let planned = df!(
        "course_id" => of(|course| course.course_id),
        "term" => as_of.courses.iter().map(|course| course.term.as_str()).collect::<Vec<_>>(),
        "course_week" => of(|course| course.course_week),
        "last_day" => of(|course| course.last_day),
        "week_exact" => as_of.courses.iter().map(|course| course.last_day as f64 / 7.0).collect::<Vec<_>>(),
    )
    .map_err(FeatureError::compute("calendar", &as_of.key))?;
    let dates = course_dates(inputs, as_of.cutoff, Some(terms))?.select([
        col("course_id"),
        col("start_at"),
        col("conclude_at"),
    ]);
    Ok(planned.lazy().join(dates, [col("course_id")], [col("course_id")], JoinArgs::new(JoinType::Left)))
}
