//! The export: the world as it looked at an instant, written table by table.
//!
//! A row is present if it was created before the instant; a value is what it was then. Nothing that happens at or after
//! the instant has any effect. Rows are sorted by key; `meta.ts` and `updated_at` are the row's last change before the
//! instant (`last_activity_at` of an enrolment moves without them, as in Canvas).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::calendar::{self, Day, LocalDays, Seconds};
use super::courses::{Assignment, Counting, Course, CourseKind};
use super::people::Person;
use super::rows::{self, At};
use super::world::TermWorld;
use super::write::{CsvLines, FileFacts, JsonLines};
use crate::telemetry::progress;

/// The tables of an export, sorted, each with its file.
pub(super) const TABLES: [(&str, &str); 13] = [
    ("accounts", "accounts/part-00000.jsonl.gz"),
    ("assignment_groups", "assignment_groups/part-00000.jsonl.gz"),
    ("assignments", "assignments/part-00000.jsonl.gz"),
    ("course_sections", "course_sections/part-00000.jsonl.gz"),
    ("courses", "courses/part-00000.jsonl.gz"),
    ("demographics", "demographics.csv.gz"),
    ("enrollment_terms", "enrollment_terms/part-00000.jsonl.gz"),
    ("enrollments", "enrollments/part-00000.jsonl.gz"),
    ("pseudonyms", "pseudonyms/part-00000.jsonl.gz"),
    ("scores", "scores/part-00000.jsonl.gz"),
    ("submissions", "submissions/part-00000.jsonl.gz"),
    ("users", "users/part-00000.jsonl.gz"),
    ("web_logs_daily", "web_logs_daily.csv.gz"),
];

/// What is exported, and as of when.
pub(super) struct View<'a> {
    pub(super) terms: &'a [TermWorld],
    pub(super) zone: &'a str,
    pub(super) home: &'a LocalDays,
    /// The first day that is not covered.
    pub(super) as_of: Day,
    /// Its first instant; what happens from then on is not known.
    pub(super) before: Seconds,
}

/// A file that could not be written.
#[derive(Debug)]
pub(super) struct ExportError {
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

/// Writes all tables below `folder` and returns what was written, in the order of [`TABLES`].
///
/// # Errors
/// When a folder or file cannot be written.
pub(super) fn export_tables(view: &View<'_>, folder: &Path) -> Result<Vec<FileFacts>, ExportError> {
    let mut facts = Vec::with_capacity(TABLES.len());
    for (done, (table, file)) in (0..).zip(TABLES) {
        progress::report("tables", done, Some(TABLES.len() as u64));
        let path = folder.join(file);
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| view.write(table, &path));
        facts.push(written.map_err(|source| ExportError { path, source })?);
    }
    Ok(facts)
}

impl View<'_> {
    fn write(&self, table: &str, path: &Path) -> io::Result<FileFacts> {
        match table {
            "demographics" => return self.demographics(CsvLines::create(path)?),
            "web_logs_daily" => return self.web_logs_daily(CsvLines::create(path)?),
            _ => {}
        }
        let mut out = JsonLines::create(path)?;
        match table {
            "accounts" => self.accounts(&mut out)?,
            "assignment_groups" => self.assignment_groups(&mut out)?,
            "assignments" => self.assignments(&mut out)?,
            "course_sections" => self.course_sections(&mut out)?,
            "courses" => self.courses(&mut out)?,
            "enrollment_terms" => self.enrollment_terms(&mut out)?,
            "enrollments" => self.enrollments(&mut out)?,
            "pseudonyms" => self.pseudonyms(&mut out)?,
            "scores" => self.scores(&mut out)?,
            "submissions" => self.submissions(&mut out)?,
            "users" => self.users(&mut out)?,
            other => return Err(io::Error::other(format!("the table {other} has no rows to write"))),
        }
        out.finish()
    }

    pub(super) fn is_known(&self, at: Seconds) -> bool {
        at < self.before
    }

    pub(super) fn known(&self, at: Option<Seconds>) -> Option<Seconds> {
        at.filter(|at| self.is_known(*at))
    }

    fn founded_at(&self) -> At {
        let first_day = self.terms.first().map_or(self.as_of, |world| world.term.first_day);
        At(self.home.at(first_day - FOUNDING_LEAD_DAYS, 12 * 3600))
    }

    fn accounts(&self, out: &mut JsonLines) -> io::Result<()> {
        let at = self.founded_at();
        let names = ["University of Lakeport (simulated)", "College of Sciences", "College of Letters"];
        for (id, name) in (1_i64..).zip(names) {
            let parent = (id > 1).then_some(1);
            let account = rows::Account {
                created_at: at,
                updated_at: at,
                workflow_state: "active",
                name,
                parent_account_id: parent,
                root_account_id: parent,
                default_time_zone: self.zone.to_owned(),
                uuid: format!("sim-account-{id}"),
            };
            out.write(id, at, account)?;
        }
        Ok(())
    }

    fn enrollment_terms(&self, out: &mut JsonLines) -> io::Result<()> {
        for TermWorld { term, .. } in self.terms {
            let at = At(self.home.at(term.first_day - TERM_LEAD_DAYS, 12 * 3600));
            if !self.is_known(at.0) {
                continue;
            }
            let row = rows::EnrollmentTerm {
                name: &term.name,
                created_at: at,
                updated_at: at,
                workflow_state: "active",
                start_at: At(self.home.start_of(term.first_day)),
                end_at: At(self.home.end_of(term.last_day)),
                sis_source_id: &term.code,
                term_code: &term.code,
            };
            out.write(term.index + 1, at, row)?;
        }
        Ok(())
    }

    /// Returns the courses that exist, sorted by id.
    fn known_courses(&self) -> impl Iterator<Item = &Course> {
        let courses = self.terms.iter().flat_map(|world| &world.courses);
        courses.filter(|course| self.is_known(course.created_at))
    }

    fn courses(&self, out: &mut JsonLines) -> io::Result<()> {
        for course in self.known_courses() {
            let (workflow_state, updated_at) = match course.kind {
                CourseKind::Sandbox => ("claimed", course.created_at),
                CourseKind::Taught if self.is_known(course.conclude_at) => ("completed", course.conclude_at),
                CourseKind::Taught => ("available", course.created_at),
            };
            let row = rows::CourseRow {
                created_at: At(course.created_at),
                updated_at: At(updated_at),
                workflow_state,
                account_id: course.account_id,
                enrollment_term_id: course.term + 1,
                start_at: At(course.start_at),
                conclude_at: At(course.conclude_at),
                sis_source_id: format!("LP-{}", course.id),
                course_code: &course.code,
                name: &course.name,
                group_weighting_scheme: "percent",
                is_public: false,
                allow_student_organized_groups: false,
                template: false,
                homeroom_course: false,
                sync_enrollments_from_homeroom: false,
                restrict_enrollments_to_course_dates: false,
                time_zone: &course.zone,
                locale: "en",
                uuid: format!("sim-course-{}", course.id),
            };
            out.write(course.id, At(updated_at), row)?;
        }
        Ok(())
    }

    fn course_sections(&self, out: &mut JsonLines) -> io::Result<()> {
        for course in self.known_courses() {
            let at = At(course.created_at);
            for (number, id) in (1_i64..).zip(&course.section_ids) {
                let row = rows::CourseSection {
                    name: format!("{}, section {number}", course.code),
                    course_id: course.id,
                    created_at: at,
                    updated_at: at,
                    workflow_state: "active",
                    default_section: number == 1,
                    enrollment_term_id: course.term + 1,
                };
                out.write(*id, at, row)?;
            }
        }
        Ok(())
    }

    fn assignment_groups(&self, out: &mut JsonLines) -> io::Result<()> {
        for course in self.known_courses() {
            let at = At(course.created_at);
            for (position, group) in (1_i64..).zip(&course.groups) {
                let row = rows::AssignmentGroup {
                    name: group.name,
                    created_at: at,
                    updated_at: at,
                    workflow_state: "available",
                    context_id: course.id,
                    context_type: "Course",
                    group_weight: group.weight,
                    position,
                };
                out.write(group.id, at, row)?;
            }
        }
        Ok(())
    }

    fn assignments(&self, out: &mut JsonLines) -> io::Result<()> {
        for course in self.known_courses() {
            for assignment in course.assignments.iter().filter(|a| self.is_known(a.created_at)) {
                out.write(assignment.id, At(assignment.created_at), assignment_row(course, assignment))?;
            }
        }
        Ok(())
    }

    /// Returns everyone whose account exists, sorted by id.
    fn known_people(&self) -> Vec<(&Person, At)> {
        let participations = self.terms.iter().flat_map(|world| &world.participations);
        let people: BTreeMap<i64, &Person> = participations.map(|p| (p.person.user_id, &p.person)).collect();
        let mut known = Vec::with_capacity(people.len());
        for person in people.into_values() {
            let first = usize::try_from(person.first_term).ok().and_then(|index| self.terms.get(index));
            let first_day = first.map_or(self.as_of, |world| world.term.first_day);
            let second = 7 * 3600 + person.user_id % 40_000;
            let created_at = self.home.at(first_day - person.account_lead_days, second);
            if self.is_known(created_at) {
                known.push((person, At(created_at)));
            }
        }
        known
    }

    fn users(&self, out: &mut JsonLines) -> io::Result<()> {
        for (person, at) in self.known_people() {
            let (given, family) = (person.given_name, person.family_name);
            let row = rows::User {
                created_at: at,
                updated_at: at,
                workflow_state: "registered",
                name: format!("{given} {family}"),
                sortable_name: format!("{family}, {given}"),
                short_name: given,
                time_zone: self.zone,
                locale: "en",
                uuid: format!("sim-user-{}", person.user_id),
                merged_into_user_id: None,
                deleted_at: None,
            };
            out.write(person.user_id, at, row)?;
        }
        Ok(())
    }

    fn pseudonyms(&self, out: &mut JsonLines) -> io::Result<()> {
        let mut logins: Vec<(i64, &Person, At)> = Vec::new();
        for (person, at) in self.known_people() {
            logins.extend(person.pseudonym_id.map(|id| (id, person, at)));
        }
        logins.sort_unstable_by_key(|(id, _, _)| *id);
        for (id, person, at) in logins {
            let row = rows::Pseudonym {
                user_id: person.user_id,
                created_at: at,
                updated_at: at,
                workflow_state: "active",
                account_id: 1,
                unique_id: &person.login,
                sis_user_id: &person.sis_id,
                login_count: 0,
                failed_login_count: 0,
                deleted_at: None,
            };
            out.write(id, at, row)?;
        }
        Ok(())
    }

    fn web_logs_daily(&self, mut out: CsvLines) -> io::Result<FileFacts> {
        let mut days: Vec<_> = Vec::new();
        for world in self.terms {
            for participation in &world.participations {
                let course_id = world.courses[participation.course].id;
                let known = participation.journey.days.iter().filter(|active| active.day < self.as_of);
                days.extend(known.map(|active| (active.day, participation.person.user_id, course_id, active)));
            }
        }
        days.sort_unstable_by_key(|(day, user_id, course_id, _)| (*day, *user_id, *course_id));
        let mut date = (Day::MIN, String::new());
        for (day, user_id, course_id, active) in days {
            if date.0 != day {
                date = (day, calendar::date_of(day).to_string());
            }
            for views in &active.views {
                out.write(rows::WebLogDay {
                    date: date.1.clone(),
                    user_id,
                    course_id,
                    granularity: "day",
                    web_application_controller: views.controller,
                    page_views: views.page_views,
                    distinct_resources: views.distinct_resources,
                    cum_active_days: None,
                })?;
            }
        }
        out.finish()
    }
}

/// How long before the first term the institution was set up.
const FOUNDING_LEAD_DAYS: Day = 200;
/// How long before its first day a term is entered.
pub(super) const TERM_LEAD_DAYS: Day = 150;

fn assignment_row<'a>(course: &Course, assignment: &'a Assignment) -> rows::AssignmentRow<'a> {
    rows::AssignmentRow {
        title: &assignment.title,
        created_at: At(assignment.created_at),
        updated_at: At(assignment.created_at),
        workflow_state: "published",
        due_at: At(assignment.due_at),
        unlock_at: None,
        lock_at: None,
        points_possible: assignment.points_possible,
        grading_type: "points",
        submission_types: [assignment.kind.as_str()],
        assignment_group_id: course.groups[assignment.group].id,
        context_id: course.id,
        context_type: "Course",
        omit_from_final_grade: assignment.counting == Counting::Omitted,
        submissions_downloads: 0,
        peer_review_count: 0,
        peer_reviews_assigned: false,
        peer_reviews: false,
        automatic_peer_reviews: false,
        all_day: false,
        could_be_locked: false,
        grade_group_students_individually: false,
        anonymous_peer_reviews: false,
        turnitin_enabled: false,
        freeze_on_copy: false,
        only_visible_to_overrides: false,
        post_to_sis: false,
        moderated_grading: false,
        intra_group_peer_reviews: false,
        vericite_enabled: false,
        anonymous_instructor_annotations: false,
        anonymous_grading: false,
        graders_anonymous_to_graders: false,
        grader_count: 0,
        grader_comments_visible_to_graders: false,
        grader_names_visible_to_final_grader: false,
        important_dates: false,
    }
}
