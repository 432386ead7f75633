//! What a term teaches: its courses, their sections, assignment groups and assignments.
//!
//! Subjects recur: two terms of three offer the same subject, with the same teacher and difficulty, so that a course
//! has earlier terms for comparison. Besides the taught courses a term has one unpublished sandbox. Everything a course
//! hands out exists before its first day; a due date is the last second of a day in the course's own zone.

use super::calendar::{Day, LocalDays, Seconds, Term};
use super::options::SimOptions;
use super::random::Dice;

/// The zone of the courses that are taught remotely.
pub(super) const REMOTE_ZONE: &str = "America/Los_Angeles";

/// Whether a course is part of what the institution teaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CourseKind {
    /// Published and taught.
    Taught,
    /// A teacher's playground, never published.
    Sandbox,
}

/// One course of one term.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) id: i64,
    pub(super) kind: CourseKind,
    pub(super) term: i64,
    pub(super) subject: i64,
    pub(super) account_id: i64,
    pub(super) code: String,
    pub(super) name: String,
    pub(super) zone: String,
    pub(super) first_day: Day,
    pub(super) last_day: Day,
    pub(super) created_at: Seconds,
    pub(super) start_at: Seconds,
    pub(super) conclude_at: Seconds,
    /// How many weeks have assignments.
    pub(super) weeks: i64,
    /// By how many points its marks are below the common mean.
    pub(super) difficulty: f64,
    pub(super) section_ids: Vec<i64>,
    pub(super) groups: Vec<Group>,
    pub(super) assignments: Vec<Assignment>,
}

/// A group of assignments that has a weight in the course's score.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: i64,
    pub(super) name: &'static str,
    pub(super) weight: f64,
}

/// How work is handed in, which decides how it is graded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WorkKind {
    /// A file, graded by a person some days later.
    Upload,
    /// A quiz, graded and posted as it is handed in.
    Quiz,
    /// The last and heaviest upload, whose mark is the hardest to predict from the weekly work.
    Project,
}

impl WorkKind {
    /// Returns Canvas' name for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Upload | Self::Project => "online_upload",
            Self::Quiz => "online_quiz",
        }
    }
}

/// Whether an assignment counts towards the score of the course.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    /// It counts.
    Counted,
    /// It is for practice only (`omit_from_final_grade`).
    Omitted,
}

/// One assignment.
#[derive(Debug)]
pub(super) struct Assignment {
    pub(super) id: i64,
    pub(super) title: String,
    pub(super) kind: WorkKind,
    pub(super) counting: Counting,
    /// The index of its group within the course.
    pub(super) group: usize,
    pub(super) points_possible: f64,
    pub(super) due_day: Day,
    pub(super) due_at: Seconds,
    pub(super) created_at: Seconds,
}

/// Returns the courses of a term, sorted by id, the sandbox last.
pub(super) fn courses_of(options: &SimOptions, term: &Term, home: &LocalDays, remote: &LocalDays) -> Vec<Course> {
    let offered = i64::from(options.courses_per_term);
    let catalogue = offered + offered / 2;
    let mut courses = Vec::new();
    for index in 0..=offered {
        let kind = if index == offered { CourseKind::Sandbox } else { CourseKind::Taught };
        let subject = if kind == CourseKind::Sandbox { catalogue } else { (term.index * offered + index) % catalogue };
        let is_remote = kind == CourseKind::Taught && subject % 8 == 5;
        let zone = if is_remote { REMOTE_ZONE } else { options.zone.as_str() };
        let days = if is_remote { remote } else { home };
        courses.push(course(options.seed, term, Place { index, kind, subject, zone, days, home }));
    }
    courses
}

/// The place of a course in its term.
#[derive(Clone, Copy)]
struct Place<'a> {
    index: i64,
    kind: CourseKind,
    subject: i64,
    zone: &'a str,
    days: &'a LocalDays,
    home: &'a LocalDays,
}

fn course(seed: u64, term: &Term, place: Place<'_>) -> Course {
    let Place { index, kind, subject, zone, days, home } = place;
    let mut subject_dice = Dice::new(seed, "subject", &[subject]);
    let difficulty = 3.5 * subject_dice.normal();
    let account_id = 2 + subject % 2;
    let weeks = if kind == CourseKind::Sandbox { 1 } else { subject_dice.whole(10, 14) };
    let late_start = if subject % 5 == 3 { subject_dice.whole(2, 4) } else { 0 };
    let mut dice = Dice::new(seed, "course", &[term.index, index]);
    let (prefix, title) = SUBJECTS[usize::try_from(subject).unwrap_or(0) % SUBJECTS.len()];
    let number = 101 + subject;
    let id = 1000 * (term.index + 1) + index;
    let first_day = term.first_day + late_start;
    let (code, name) = match kind {
        CourseKind::Taught => (format!("{prefix} {number}"), format!("{title}, {}", term.name)),
        CourseKind::Sandbox => (format!("SANDBOX {}", term.code), format!("Sandbox, {}", term.name)),
    };
    let mut course = Course {
        id,
        kind,
        term: term.index,
        subject,
        account_id,
        code,
        name,
        zone: zone.to_owned(),
        first_day,
        last_day: term.last_day,
        created_at: home.at(term.first_day - 70, 9 * 3600 + 60 * index),
        start_at: days.start_of(first_day),
        conclude_at: days.end_of(term.last_day),
        weeks,
        difficulty: difficulty + dice.normal(),
        section_ids: if index % 3 == 0 { vec![id * 10 + 1, id * 10 + 2] } else { vec![id * 10 + 1] },
        groups: vec![
            Group { id: id * 10 + 1, name: "Assignments", weight: 35.0 },
            Group { id: id * 10 + 2, name: "Quizzes", weight: 25.0 },
            Group { id: id * 10 + 3, name: "Project", weight: 40.0 },
        ],
        assignments: Vec::new(),
    };
    add_assignments(&mut course, &mut dice, days, home);
    course
}

fn add_assignments(course: &mut Course, dice: &mut Dice, days: &LocalDays, home: &LocalDays) {
    let weekday = dice.whole(3, 6);
    let mut plan = vec![(1, "Practice quiz".to_owned(), WorkKind::Quiz, Counting::Omitted, 1, 10.0)];
    for week in 1..=course.weeks {
        plan.push(if week % 2 == 1 {
            (week, format!("Quiz {}", week / 2 + 1), WorkKind::Quiz, Counting::Counted, 1, 20.0)
        } else {
            (week, format!("Assignment {}", week / 2), WorkKind::Upload, Counting::Counted, 0, 50.0)
        });
    }
    plan.push((course.weeks + 2, "Project".to_owned(), WorkKind::Project, Counting::Counted, 2, 100.0));
    for (number, (week, title, kind, counting, group, points_possible)) in (1_i64..).zip(plan) {
        let due_day = (course.first_day + 7 * (week - 1) + weekday).min(course.last_day - LAST_DUE_DAYS);
        course.assignments.push(Assignment {
            id: course.id * 100 + number,
            title,
            kind,
            counting,
            group,
            points_possible,
            due_day,
            due_at: days.end_of(due_day),
            created_at: home.at(course.first_day - 40 + number, 10 * 3600),
        });
    }
}

/// How long before the end of a course the last work is due, so that it can be late and still be graded.
const LAST_DUE_DAYS: Day = 9;

const SUBJECTS: [(&str, &str); 24] = [
    ("BIOL", "Life in Fresh Water"),
    ("HIST", "Trade and Ports"),
    ("MATH", "Sets and Proofs"),
    ("LING", "Sounds of Language"),
    ("CHEM", "Reactions and Rates"),
    ("PHIL", "Reason and Doubt"),
    ("STAT", "Data and Chance"),
    ("ENGL", "Writing for Readers"),
    ("PHYS", "Waves and Light"),
    ("ARTS", "Seeing and Drawing"),
    ("COMP", "Programs and Machines"),
    ("ECON", "Markets and Choice"),
    ("GEOL", "Rivers and Rocks"),
    ("MUSC", "Harmony"),
    ("ASTR", "The Near Sky"),
    ("SOCI", "Cities"),
    ("ENVS", "Forests and Fire"),
    ("THEA", "Stage and Voice"),
    ("NURS", "Care of the Body"),
    ("POLS", "Parliaments"),
    ("ENGR", "Bridges"),
    ("ANTH", "Kin and Custom"),
    ("BOTN", "Seeds"),
    ("CLAS", "Myths Retold"),
];
