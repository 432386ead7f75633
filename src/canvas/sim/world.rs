//! The institution's world, term by term: who takes which course, and what happens to them.
//!
//! A term is a function of the options and its number (and of what students took before, which is one too), complete to
//! its end; no date of export is used here. Besides ordinary students it has the special cases of real data: a second
//! section, a drop before the first day, a return after leaving, a test student and a teacher for each course.

use std::collections::BTreeMap;

use super::behaviour::{self, Journey, Presence, Scene, Work};
use super::calendar::{Day, LocalDays, Seconds, Term};
use super::courses::{self, Course, CourseKind};
use super::options::SimOptions;
use super::people::{self, Person};
use super::random::Dice;
use crate::telemetry::progress;

/// Everything that happens in one term.
pub(super) struct TermWorld {
    pub(super) term: Term,
    /// Sorted by id, the sandbox last.
    pub(super) courses: Vec<Course>,
    /// By course, students first.
    pub(super) participations: Vec<Participation>,
}

/// One person in one course.
pub(super) struct Participation {
    pub(super) role: Role,
    pub(super) person: Person,
    /// The index of the course within the term.
    pub(super) course: usize,
    /// How often a student took the subject before.
    pub(super) previous_attempts: i64,
    /// One row of `enrollments` each, in order of time.
    pub(super) memberships: Vec<Membership>,
    pub(super) journey: Journey,
}

/// An enrolment of a person in a section.
pub(super) struct Membership {
    pub(super) id: i64,
    pub(super) section_id: i64,
    pub(super) created_at: Seconds,
    pub(super) left_at: Option<Seconds>,
}

/// A person's role in a course.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Student,
    Teacher,
    TestStudent,
}

/// Returns the terms up to number `last`.
pub(super) fn terms_to(options: &SimOptions, last: i64, home: &LocalDays, remote: &LocalDays) -> Vec<TermWorld> {
    let mut taken: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    let mut worlds = Vec::new();
    for index in 0..=last {
        progress::report("terms", index.unsigned_abs(), Some(last.unsigned_abs() + 1));
        let term = Term::new(options.first_year, index);
        let courses = courses::courses_of(options, &term, home, remote);
        let mut builder =
            Builder { options, home, courses: &courses, term: &term, next_enrollment: 0, all: Vec::new() };
        for (course, takers) in rosters(options, index, &courses, &mut taken).into_iter().enumerate() {
            builder.add_course(course, takers);
        }
        let participations = builder.all;
        worlds.push(TermWorld { term, courses, participations });
    }
    worlds
}

/// A student who takes a course.
struct Taker {
    person: Person,
    previous_attempts: i64,
}

/// Returns who takes each course of the term, and records it in `taken` (subjects by user).
fn rosters(
    options: &SimOptions,
    term: i64,
    courses: &[Course],
    taken: &mut BTreeMap<i64, Vec<i64>>,
) -> Vec<Vec<Taker>> {
    let mut rosters: Vec<Vec<Taker>> = courses.iter().map(|_| Vec::new()).collect();
    let places = i64::from(options.students);
    for place in 0..places {
        let person = people::student(options.seed, places, place, term);
        let mut dice = Dice::new(options.seed, "choice", &[term, place]);
        let wanted = dice.whole(1, 2);
        let mut order: Vec<usize> = (0..courses.len()).filter(|i| courses[*i].kind == CourseKind::Taught).collect();
        dice.shuffle(&mut order);
        let history = taken.entry(person.user_id).or_default();
        let mut chosen = 0;
        for index in order {
            let subject = courses[index].subject;
            let previous_attempts = history.iter().filter(|other| **other == subject).fold(0, |n, _| n + 1);
            let repeats = dice.chance(0.25);
            if chosen == wanted || (previous_attempts > 0 && !repeats) {
                continue;
            }
            history.push(subject);
            rosters[index].push(Taker { person: person.clone(), previous_attempts });
            chosen += 1;
        }
    }
    rosters
}

/// Fills one term.
struct Builder<'a> {
    options: &'a SimOptions,
    home: &'a LocalDays,
    courses: &'a [Course],
    term: &'a Term,
    next_enrollment: i64,
    all: Vec<Participation>,
}

/// The few students of a course whose enrolment is unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Ordinary,
    DropsBeforeTheFirstDay,
    Returns,
    HasTwoSections,
}

impl Builder<'_> {
    fn add_course(&mut self, course: usize, takers: Vec<Taker>) {
        for (position, taker) in takers.into_iter().enumerate() {
            let case = match position % 25 {
                6 => Case::DropsBeforeTheFirstDay,
                11 if course == 1 => Case::Returns,
                1 if self.courses[course].section_ids.len() > 1 => Case::HasTwoSections,
                _ => Case::Ordinary,
            };
            self.add_student(course, taker, case);
        }
        self.add_staff(course);
    }

    fn add_student(&mut self, course: usize, taker: Taker, case: Case) {
        let (courses, home) = (self.courses, self.home);
        let at = &courses[course];
        let mut dice = Dice::new(self.options.seed, "participation", &[at.id, taker.person.user_id]);
        let is_late = dice.chance(0.08) && case == Case::Ordinary;
        let lead_days = dice.whole(9, 50);
        let late_days = dice.whole(0, 8);
        let from = if is_late { at.first_day + late_days } else { self.term.first_day - lead_days };
        let drop_day = at.first_day - dice.whole(1, 6);
        let gap = (at.first_day + dice.whole(3, 6), at.first_day + dice.whole(9, 13));
        let presence = Presence {
            from,
            until: (case == Case::DropsBeforeTheFirstDay).then_some(drop_day),
            away: (case == Case::Returns).then_some(gap),
        };
        let enrolled_second = dice.whole(8 * 3600, 20 * 3600);
        let section = dice.pick(&at.section_ids);
        let scene = Scene { person: &taker.person, course: at, home, presence };
        let journey = behaviour::live(&mut dice, &scene);
        let created_at = home.at(from, enrolled_second);
        let memberships = match case {
            Case::Ordinary | Case::DropsBeforeTheFirstDay => {
                vec![self.membership(section, created_at, journey.left_at)]
            }
            Case::HasTwoSections => {
                let sections = at.section_ids.iter();
                sections.map(|section| self.membership(*section, created_at, journey.left_at)).collect()
            }
            Case::Returns => vec![
                self.membership(section, created_at, Some(home.start_of(gap.0))),
                self.membership(
                    section,
                    home.at(gap.1, 7 * 3600),
                    journey.left_at.map(|at| at.max(home.end_of(gap.1))),
                ),
            ],
        };
        self.all.push(Participation {
            role: Role::Student,
            person: taker.person,
            course,
            previous_attempts: taker.previous_attempts,
            memberships,
            journey,
        });
    }

    /// Adds the teacher and the test student of a course.
    fn add_staff(&mut self, course: usize) {
        let at = &self.courses[course];
        let seed = self.options.seed;
        let section = at.section_ids[0];
        let days = if at.kind == CourseKind::Taught {
            behaviour::teach(&mut Dice::new(seed, "teaching", &[at.id]), at)
        } else {
            Vec::new()
        };
        let memberships = vec![self.membership(section, at.created_at + 60, None)];
        let journey = Journey { days, ..Journey::default() };
        let person = people::teacher(seed, at.subject);
        self.all.push(Participation {
            role: Role::Teacher,
            person,
            course,
            previous_attempts: 0,
            memberships,
            journey,
        });

        let person = people::test_student(seed, at.id, at.term);
        let memberships = vec![self.membership(section, at.created_at + 120, None)];
        let journey = self.trial(at, at.first_day - 2);
        let role = Role::TestStudent;
        self.all.push(Participation { role, person, course, previous_attempts: 0, memberships, journey });
    }

    /// Returns what a teacher does as the test student: tries the first quiz before the course begins.
    fn trial(&self, course: &Course, day: Day) -> Journey {
        let mut works = vec![Work::default(); course.assignments.len()];
        let at = Some(self.home.at(day, 11 * 3600));
        works[0] = Work {
            submitted_at: at,
            graded_at: at,
            posted_at: at,
            score: Some(course.assignments[0].points_possible),
            ..Work::default()
        };
        Journey { works, ..Journey::default() }
    }

    fn membership(&mut self, section_id: i64, created_at: Seconds, left_at: Option<Seconds>) -> Membership {
        self.next_enrollment += 1;
        let id = 1_000_000 * (self.term.index + 1) + self.next_enrollment;
        Membership { id, section_id, created_at, left_at }
    }
}
