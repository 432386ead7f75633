//! The part of the export about a person in a course: enrolments, scores, submissions, demographics.
//!
//! The same rule as in `export`: a row is present if it was created before the instant of the view, and shows what had
//! happened by then. A grade that is entered but not posted is in `score`, not in `published_score`. Two enrolments of
//! one student in a course share their submissions, as in Canvas.

use std::io;

use super::behaviour::{Standing, Work};
use super::calendar::Seconds;
use super::courses::{Assignment, Course};
use super::export::View;
use super::gradebook::{self, Score};
use super::people;
use super::rows::{self, At};
use super::world::{Membership, Participation, Role};
use super::write::{CsvLines, FileFacts, JsonLines};

impl View<'_> {
    /// Returns the enrolments that exist, sorted by id, each with its participation and course.
    fn known_memberships(&self) -> impl Iterator<Item = (&Participation, &Course, &Membership)> {
        let all = self.terms.iter().flat_map(|world| {
            let participations = world.participations.iter();
            participations.flat_map(move |p| p.memberships.iter().map(move |m| (p, &world.courses[p.course], m)))
        });
        all.filter(|(_, _, membership)| self.is_known(membership.created_at))
    }

    pub(super) fn enrollments(&self, out: &mut JsonLines) -> io::Result<()> {
        for (participation, course, membership) in self.known_memberships() {
            let end = membership.left_at.unwrap_or(course.conclude_at).min(course.conclude_at);
            let (workflow_state, updated_at) = match (self.is_known(end), membership.left_at) {
                (false, _) => ("active", membership.created_at),
                (true, Some(_)) => ("deleted", end),
                (true, None) => ("completed", end),
            };
            let (role, role_id) = match participation.role {
                Role::Student => ("StudentEnrollment", 3),
                Role::Teacher => ("TeacherEnrollment", 4),
                Role::TestStudent => ("StudentViewEnrollment", 7),
            };
            let row = rows::Enrollment {
                user_id: participation.person.user_id,
                course_id: course.id,
                course_section_id: membership.section_id,
                role,
                role_id,
                created_at: At(membership.created_at),
                updated_at: At(updated_at),
                workflow_state,
                start_at: None,
                end_at: None,
                completed_at: (workflow_state == "completed").then_some(At(end)),
                grade_publishing_status: "unpublished",
                limit_privileges_to_course_section: false,
                self_enrolled: false,
                last_activity_at: self.last_activity(participation, membership, end),
                total_activity_time: None,
                associated_user_id: None,
                sis_pseudonym_id: participation.person.pseudonym_id,
            };
            out.write(membership.id, At(updated_at), row)?;
        }
        Ok(())
    }

    /// Returns the last activity during the enrolment, before the instant of the view.
    fn last_activity(&self, participation: &Participation, membership: &Membership, end: Seconds) -> Option<At> {
        let days = participation.journey.days.iter().rev();
        let mut instants = days.map(|active| self.home.at(active.day, active.last_second));
        instants.find(|at| self.is_known(*at) && *at < end && *at > membership.created_at).map(At)
    }

    pub(super) fn scores(&self, out: &mut JsonLines) -> io::Result<()> {
        for (participation, course, membership) in self.known_memberships() {
            if participation.role == Role::Teacher {
                continue;
            }
            let left_at = self.known(membership.left_at);
            let until = left_at.unwrap_or(self.before);
            let score = gradebook::score_as_of(course, &participation.journey.works, until);
            let id = 500_000_000 + membership.id;
            let row = score_row(membership, score, left_at);
            out.write(id, row.updated_at, row)?;
        }
        Ok(())
    }

    pub(super) fn submissions(&self, out: &mut JsonLines) -> io::Result<()> {
        for world in self.terms {
            for (position, participation) in (0_i64..).zip(&world.participations) {
                let Some(first) = participation.memberships.first() else { continue };
                let course = &world.courses[participation.course];
                for (number, (assignment, work)) in
                    (0_i64..).zip(course.assignments.iter().zip(&participation.journey.works))
                {
                    let created_at = first.created_at.max(assignment.created_at);
                    if !self.is_known(created_at) {
                        continue;
                    }
                    let known = Work {
                        submitted_at: self.known(work.submitted_at),
                        graded_at: self.known(work.graded_at),
                        posted_at: self.known(work.posted_at),
                        ..work.clone()
                    };
                    let user_id = participation.person.user_id;
                    let row = submission_row(Slot { user_id, course, assignment, created_at }, &known);
                    let id = 100_000_000 * (world.term.index + 1) + 100 * position + number;
                    out.write(id, row.updated_at, row)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn demographics(&self, mut out: CsvLines) -> io::Result<FileFacts> {
        for (participation, course, membership) in self.known_memberships() {
            if participation.role != Role::Student {
                continue;
            }
            let circumstances = &participation.person.circumstances;
            out.write(rows::Demographics {
                enrollment_id: membership.id,
                user_id: participation.person.user_id,
                course_id: course.id,
                gender: circumstances.gender,
                region: circumstances.region,
                highest_education: circumstances.education,
                imd_band: circumstances.deprivation_band,
                age_band: circumstances.age_band,
                disability: circumstances.disability,
                num_of_prev_attempts: participation.previous_attempts,
                studied_credits: circumstances.studied_credits,
            })?;
        }
        out.finish()
    }
}

fn score_row(membership: &Membership, score: Score, left_at: Option<Seconds>) -> rows::ScoreRow {
    let updated_at = [Some(membership.created_at), score.changed_at, left_at].into_iter().flatten().max();
    rows::ScoreRow {
        created_at: At(membership.created_at),
        updated_at: At(updated_at.unwrap_or(membership.created_at)),
        workflow_state: if left_at.is_some() { "deleted" } else { "active" },
        enrollment_id: membership.id,
        assignment_group_id: None,
        grading_period_id: None,
        course_score: true,
        current_score: score.posted.current_score,
        final_score: score.posted.final_score,
        unposted_current_score: score.unposted.current_score,
        unposted_final_score: score.unposted.final_score,
        current_points: score.posted.points,
        unposted_current_points: score.unposted.points,
        final_points: score.posted.points,
        unposted_final_points: score.unposted.points,
        override_score: None,
    }
}

/// A student's place for an assignment, whether something is handed in or not.
#[derive(Clone, Copy)]
struct Slot<'a> {
    user_id: i64,
    course: &'a Course,
    assignment: &'a Assignment,
    created_at: Seconds,
}

/// Returns the row of a piece of work; its times say what has happened.
fn submission_row(slot: Slot<'_>, work: &Work) -> rows::Submission {
    let Slot { user_id, course, assignment, created_at } = slot;
    let is_graded = work.graded_at.is_some();
    let is_posted = work.posted_at.is_some();
    let is_submitted = work.submitted_at.is_some();
    let workflow_state = match (is_graded, is_submitted) {
        (true, _) => "graded",
        (false, true) => "submitted",
        (false, false) => "unsubmitted",
    };
    let score = work.score.filter(|_| is_graded);
    let published_score = work.score.filter(|_| is_posted);
    let late_policy_status = match work.standing {
        Standing::Late if is_submitted => Some("late"),
        Standing::Missing if is_graded => Some("missing"),
        _ => None,
    };
    let updated_at = [Some(created_at), work.submitted_at, work.graded_at, work.posted_at].into_iter().flatten().max();
    rows::Submission {
        course_id: course.id,
        user_id,
        assignment_id: assignment.id,
        created_at: At(created_at),
        updated_at: At(updated_at.unwrap_or(created_at)),
        workflow_state,
        submitted_at: work.submitted_at.map(At),
        graded_at: work.graded_at.map(At),
        posted_at: work.posted_at.map(At),
        score,
        grade: score.map(|score| score.to_string()),
        published_score,
        published_grade: published_score.map(|score| score.to_string()),
        attempt: is_submitted.then_some(1),
        submission_type: is_submitted.then_some(assignment.kind.as_str()),
        grader_id: is_graded.then(|| people::teacher_id(course.subject)),
        cached_due_date: At(assignment.due_at),
        excused: is_graded && work.standing == Standing::Excused,
        late_policy_status,
        points_deducted: work.points_deducted.filter(|_| is_graded),
        cached_quiz_lti: false,
        redo_request: false,
        processed: true,
        grade_matches_current_submission: is_graded.then_some(true),
    }
}
