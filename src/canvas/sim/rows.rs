//! The rows of an export: one struct per table, its fields the columns, with Canvas' names and types.
//!
//! A line is `{"key":{"id":…},"value":{…},"meta":{"ts":…}}`, as in a DAP snapshot; `meta.ts` is the time of the row's
//! last change. Columns that the simulation never fills and that Canvas may leave null are omitted, except for those
//! that features commonly read.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde::ser::Error;
use serde::{Serialize, Serializer};

use super::calendar::Seconds;

/// An instant, written as `2026-11-20T05:00:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At(pub(super) Seconds);

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
        let instant = Timestamp::from_second(self.0).map_err(S::Error::custom)?;
        serializer.serialize_str(&PRINTER.timestamp_to_string(&instant))
    }
}

/// One line of a table's file.
#[derive(Debug, Serialize)]
pub(super) struct Line<V> {
    pub(super) key: Key,
    pub(super) value: V,
    pub(super) meta: Meta,
}

#[derive(Debug, Serialize)]
pub(super) struct Key {
    pub(super) id: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct Meta {
    pub(super) ts: At,
}

impl<V> Line<V> {
    /// Returns the line of the row `id`, last changed at `ts`.
    pub(super) fn new(id: i64, ts: At, value: V) -> Self {
        Self { key: Key { id }, value, meta: Meta { ts } }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Account {
    pub(super) created_at: At,
    pub(super) updated_at: At,
    pub(super) workflow_state: &'static str,
    pub(super) name: &'static str,
    pub(super) parent_account_id: Option<i64>,
    pub(super) root_account_id: Option<i64>,
    pub(super) default_time_zone: String,
    pub(super) uuid: String,
}

#[derive(Debug, Serialize)]
pub(super) struct EnrollmentTerm<'a> {
    pub(super) name: &'a str,
    pub(super) created_at: At,
    pub(super) updated_at: At,
    pub(super) workflow_state: &'static str,
    pub(super) start_at: At,
    pub(super) end_at: At,
    pub(super) sis_source_id: &'a str,
    pub(super) term_code: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct CourseRow<'a> {
    pub(super) created_at: At,
    pub(super) updated_at: At,
    pub(super) workflow_state: &'static str,
    pub(super) account_id: i64,
    pub(super) enrollment_term_id: i64,
    pub(super) start_at: At,
    pub(super) conclude_at: At,
    pub(super) sis_source_id: String,
    pub(super) course_code: &'a str,
    pub(super) name: &'a str,
    pub(super) group_weighting_scheme: &'static str,
    pub(super) is_public: bool,
    pub(super) allow_student_organized_groups: bool,
    pub(super) template: bool,
    pub(super) homeroom_course: bool,
    pub(super) sync_enrollments_from_homeroom: bool,
    pub(super) restrict_enrollments_to_course_dates: bool,
    pub(super) time_zone: &'a str,
    pub(super) locale: &'static str,
    pub(super) uuid: String,
}

#[derive(Debug, Serialize)]
pub(super) struct CourseSection {
    pub(super) name: String,
    pub(super) course_id: i64,
    pub(super) created_at: At,
    pub(super) updated_at: At,
    pub(super) workflow_state: &'static str,
    pub(super) default_section: bool,
    pub(super) enrollment_term_id: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct AssignmentGroup {
    pub(super) name: &'static str,
    pub(super) created_at: At,
    pub(super) updated_at: At,
    pub(super) workflow_state: &'static str,
    pub(super) context_id: i64,
    pub(super) context_type: &'static str,
    pub(super) group_weight: f64,
    pub(super) position: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct AssignmentRow<'a> {
    pub(super) title: &'a str,
    pub(super) created_at: At,
    pub(super) updated_at: At,
    pub(super) workflow_state: &'static str,
    pub(super) due_at: At,
    pub(super) unlock_at: Option<At>,
    pub(super) lock_at: Option<At>,
    pub(super) points_possible: f64,
    pub(super) grading_type: &'static str,
    pub(super) submission_types: [&'static str; 1],
    pub(super) assignment_group_id: i64,
    pub(super) context_id: i64,
    pub(super) context_type: &'static str,
    pub(super) omit_from_final_grade: bool,
    pub(super) submissions_downloads: i64,
    pub(super) peer_review_count: i64,
    pub(super) peer_reviews_assigned: bool,
    pub(super) peer_reviews: bool,
    pub(super) automatic_peer_reviews: bool,
    pub(super) all_day: bool,
    pub(super) could_be_locked: bool,
    pub(super) grade_group_students_individually: bool,
    pub(super) anonymous_peer_reviews: bool,
    pub(super) turnitin_enabled: bool,
    pub(super) freeze_on_copy: bool,
    pub(super) only_visible_to_overrides: bool,
    pub(super) post_to_sis: bool,
    pub(super) moderated_grading: bool,
    pub(super) intra_group_peer_reviews: bool,
    pub(super) vericite_enabled: bool,
    pub(super) anonymous_instructor_annotations: bool,
    pub(super) anonymous_grading: bool,
    pub(super) graders_anonymous_to_graders: bool,
    pub(super) grader_count: i64,
    pub(super) grader_comments_visible_to_graders: bool,
    pub(super) grader_names_visible_to_final_grader: bool,
    pub(super) important_dates: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct User<'a> {
    pub(super) created_at: At,
    pub(super) updated_at: At,
    pub(super) workflow_state: &'static str,
    pub(super) name: String,
    pub(super) sortable_name: String,
    pub(super) short_name: &'a str,
    pub(super) time_zone: &'a str,
    pub(super) locale: &'static str,
    pub(super) uuid: String,
    pub(super) merged_into_user_id: Option<i64>,
    pub(super) deleted_at: Option<At>,
}

#[derive(Debug, Serialize)]
pub(super) struct Pseudonym<'a> {
    pub(super) user_id: i64,
    pub(super) created_at: At,
    pub(super) updated_at: At,
    pub(super) workflow_state: &'static str,
    pub(super) account_id: i64,
    pub(super) unique_id: &'a str,
    pub(super) sis_user_id: &'a str,
    pub(super) login_count: i64,
    pub(super) failed_login_count: i64,
    pub(super) deleted_at: Option<At>,
}

#[derive(Debug, Serialize)]
pub(super) struct Enrollment {
    pub(super) user_id: i64,
    pub(super) course_id: i64,
    pub(super) course_section_id: i64,
    #[serde(rename = "type")]
    pub(super) role: &'static str,
    pub(super) role_id: i64,
    pub(super) created_at: At,
    pub(super) updated_at: At,
    pub(super) workflow_state: &'static str,
    pub(super) start_at: Option<At>,
    pub(super) end_at: Option<At>,
    pub(super) completed_at: Option<At>,
    pub(super) grade_publishing_status: &'static str,
    pub(super) limit_privileges_to_course_section: bool,
    pub(super) self_enrolled: bool,
    pub(super) last_activity_at: Option<At>,
    pub(super) total_activity_time: Option<i64>,
    pub(super) associated_user_id: Option<i64>,
    pub(super) sis_pseudonym_id: Option<i64>,
}

#[derive(Debug, Serialize)]
pub(super) struct ScoreRow {
    pub(super) created_at: At,
    pub(super) updated_at: At,
    pub(super) workflow_state: &'static str,
    pub(super) enrollment_id: i64,
    pub(super) assignment_group_id: Option<i64>,
    pub(super) grading_period_id: Option<i64>,
    pub(super) course_score: bool,
    pub(super) current_score: Option<f64>,
    pub(super) final_score: f64,
    pub(super) unposted_current_score: Option<f64>,
    pub(super) unposted_final_score: f64,
    pub(super) current_points: f64,
    pub(super) unposted_current_points: f64,
    pub(super) final_points: f64,
    pub(super) unposted_final_points: f64,
    pub(super) override_score: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Submission {
    pub(super) course_id: i64,
    pub(super) user_id: i64,
    pub(super) assignment_id: i64,
    pub(super) created_at: At,
    pub(super) updated_at: At,
    pub(super) workflow_state: &'static str,
    pub(super) submitted_at: Option<At>,
    pub(super) graded_at: Option<At>,
    pub(super) posted_at: Option<At>,
    pub(super) score: Option<f64>,
    pub(super) grade: Option<String>,
    pub(super) published_score: Option<f64>,
    pub(super) published_grade: Option<String>,
    pub(super) attempt: Option<i64>,
    pub(super) submission_type: Option<&'static str>,
    pub(super) grader_id: Option<i64>,
    pub(super) cached_due_date: At,
    pub(super) excused: bool,
    pub(super) late_policy_status: Option<&'static str>,
    pub(super) points_deducted: Option<f64>,
    pub(super) cached_quiz_lti: bool,
    pub(super) redo_request: bool,
    pub(super) processed: bool,
    pub(super) grade_matches_current_submission: Option<bool>,
}

/// A row of `web_logs_daily.csv`.
#[derive(Debug, Serialize)]
pub(super) struct WebLogDay {
    pub(super) date: String,
    pub(super) user_id: i64,
    pub(super) course_id: i64,
    pub(super) granularity: &'static str,
    pub(super) web_application_controller: &'static str,
    pub(super) page_views: i64,
    pub(super) distinct_resources: i64,
    pub(super) cum_active_days: Option<i64>,
}

/// A row of `demographics.csv`.
#[derive(Debug, Serialize)]
pub(super) struct Demographics {
    pub(super) enrollment_id: i64,
    pub(super) user_id: i64,
    pub(super) course_id: i64,
    pub(super) gender: &'static str,
    pub(super) region: &'static str,
    pub(super) highest_education: &'static str,
    pub(super) imd_band: Option<&'static str>,
    pub(super) age_band: &'static str,
    pub(super) disability: &'static str,
    pub(super) num_of_prev_attempts: i64,
    pub(super) studied_credits: i64,
}
