//! The running score of a course: what the gradebook shows at an instant.
//!
//! As in Canvas: the groups' percentages by their weights; the current score leaves out what is not graded, the final
//! score counts it as zero; practice and excused work do not count; a hidden grade is in the unposted figures only.
//! Nothing at or after the given instant counts.

use super::behaviour::{Standing, Work};
use super::calendar::Seconds;
use super::courses::{Counting, Course};

/// The score of a student in a course at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    pub(super) posted: Totals,
    pub(super) unposted: Totals,
    /// When it last changed; `None` while there is no grade.
    pub(super) changed_at: Option<Seconds>,
}

/// One reading of the gradebook.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Totals {
    pub(super) current_score: Option<f64>,
    pub(super) final_score: f64,
    pub(super) points: f64,
}

/// Returns the score of `works` in `course`, from what happened before `before`.
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

/// Returns a number rounded to two decimals, as Canvas stores scores.
fn hundredths(score: f64) -> f64 {
    (score * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::calendar::{LocalDays, Term};
    use super::super::courses;
    use super::super::options::SimOptions;
    use super::*;

    fn graded(score: f64, graded_at: Seconds, posted_at: Seconds) -> Work {
        Work { score: Some(score), graded_at: Some(graded_at), posted_at: Some(posted_at), ..Work::default() }
    }

    fn course() -> Course {
        let days = LocalDays::new(TimeZone::UTC, 0, 0);
        courses::courses_of(&SimOptions::default(), &Term::new(2024, 0), &days, &days).remove(0)
    }

    #[test]
    fn the_current_score_leaves_out_what_is_not_graded_and_the_final_score_counts_it_as_zero() {
        let course = course();
        let mut works = vec![Work::default(); course.assignments.len()];
        works[0] = graded(0.0, 10, 10);
        works[1] = graded(15.0, 10, 10);

        let score = score_as_of(&course, &works, 11);

        let n_quizzes = course.assignments.iter().filter(|a| a.group == 1).count() - 1;
        assert_eq!(score.posted.current_score, Some(75.0));
        assert_eq!(score.posted.final_score, hundredths(25.0 * 0.75 / n_quizzes as f64));
        assert_eq!(score.changed_at, Some(10));
    }

    #[test]
    fn a_grade_is_hidden_until_posted_and_unknown_until_given() {
        let course = course();
        let mut works = vec![Work::default(); course.assignments.len()];
        works[1] = graded(10.0, 10, 20);

        let (before, hidden, shown) =
            (score_as_of(&course, &works, 10), score_as_of(&course, &works, 20), score_as_of(&course, &works, 21));

        assert_eq!((before.unposted.current_score, before.changed_at), (None, None));
        assert_eq!((hidden.posted.current_score, hidden.unposted.current_score), (None, Some(50.0)));
        assert_eq!((shown.posted.current_score, shown.changed_at), (Some(50.0), Some(20)));
    }

    #[test]
    fn excused_work_does_not_count_at_all() {
        let course = course();
        let excused = Work { standing: Standing::Excused, score: None, ..graded(0.0, 5, 5) };
        let mut works = vec![excused; course.assignments.len()];
        works[1] = graded(20.0, 10, 10);

        let score = score_as_of(&course, &works, 11);

        assert_eq!((score.posted.current_score, score.posted.final_score), (Some(100.0), 100.0));
    }
}
