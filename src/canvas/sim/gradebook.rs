//! The running score of a course: what the gradebook shows at an instant.
//!
//! As Canvas does it: the groups' percentages by their weights; the current score leaves out what is not graded, the
//! final score counts it as zero; practice and excused work do not count; a hidden grade is in the unposted figures only.
//! It sees nothing at or after the instant it is asked for.

use super::behaviour::{Standing, Work};
use super::calendar::Seconds;
use super::courses::{Counting, Course};

/// The score of a student in a course at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    pub(super) posted: Totals,
    pub(super) unposted: Totals,
    /// When it last changed; nothing while there is no grade.
    pub(super) changed_at: Option<Seconds>,
}

/// One reading of the gradebook.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Totals {
    pub(super) current_score: Option<f64>,
    pub(super) final_score: f64,
    pub(super) points: f64,
}

/// Returns the score that `works` make in `course`, of what happened before `before`.
pub(super) fn score_as_of(course: &Course, works: &[Work], before: Seconds) -> Score {
    let happened = |at: Option<Seconds>| at.filter(|at| *at < before);
    let counted = || course.assignments.iter().zip(works).filter(|(a, _)| a.counting == Counting::Counted);
    let changed_at = counted().filter_map(|(_, work)| happened(work.posted_at).max(happened(work.graded_at))).max();
    Score {
        posted: totals(course, works, |work| happened(work.posted_at).is_some()),
        unposted: totals(course, works, |work| happened(work.graded_at).is_some()),
        changed_at,
    }
}

fn totals(course: &Course, works: &[Work], is_seen: impl Fn(&Work) -> bool) -> Totals {
    let mut graded = vec![(0.0, 0.0); course.groups.len()];
    let mut possible = vec![0.0; course.groups.len()];
    for (assignment, work) in course.assignments.iter().zip(works) {
        let seen = is_seen(work);
        if assignment.counting == Counting::Omitted || (seen && work.standing == Standing::Excused) {
            continue;
        }
        possible[assignment.group] += assignment.points_possible;
        if let (true, Some(score)) = (seen, work.score) {
            graded[assignment.group].0 += score;
            graded[assignment.group].1 += assignment.points_possible;
        }
    }
    let (mut current, mut current_weight, mut whole, mut whole_weight) = (0.0, 0.0, 0.0, 0.0);
    for ((group, (earned, of)), all) in course.groups.iter().zip(&graded).zip(&possible) {
        if *of > 0.0 {
            current += group.weight * earned / of;
            current_weight += group.weight;
        }
        if *all > 0.0 {
            whole += group.weight * earned / all;
            whole_weight += group.weight;
        }
    }
    Totals {
        current_score: (current_weight > 0.0).then(|| hundredths(100.0 * current / current_weight)),
        final_score: if whole_weight > 0.0 { hundredths(100.0 * whole / whole_weight) } else { 0.0 },
        points: graded.iter().map(|(earned, _)| earned).sum(),
    }
}

/// Returns a number to two decimals, as Canvas stores scores.
fn hundredths(score: f64) -> f64 {
    (score * 100.0).round() / 100.0
}
