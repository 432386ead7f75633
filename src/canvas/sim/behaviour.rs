//! A student's way through a course: from latent traits to page views, work handed in, marks and leaving.
//!
//! What can be predicted comes from two latent numbers, preparation (fixed) and drive (a weekly random walk that good
//! and bad marks push): they determine activity, punctuality, marks and the hazard of giving up. A student who gives up
//! goes quiet some weeks before leaving; some go quiet and stay. Shocks without warning keep the outcome realistic:
//! early weeks predict a little, late weeks much. This file decides what happens; `export` decides what of it is shown.

use std::collections::BTreeSet;

use super::calendar::{Day, LocalDays, Seconds};
use super::courses::{Assignment, Course, WorkKind};
use super::people::Person;
use super::random::{Dice, logistic};

/// Who takes which course, and when they are there.
pub(super) struct Scene<'a> {
    pub(super) person: &'a Person,
    pub(super) course: &'a Course,
    pub(super) home: &'a LocalDays,
    pub(super) presence: Presence,
}

/// The days on which a student is enrolled, as far as they are fixed beforehand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Presence {
    /// The day of enrolment.
    pub(super) from: Day,
    /// The day of leaving, for a student who leaves before the course begins.
    pub(super) until: Option<Day>,
    /// The first day away and the day of return, for a student who enrols again.
    pub(super) away: Option<(Day, Day)>,
}

/// What happened to a student in a course.
#[derive(Debug, Default)]
pub(super) struct Journey {
    /// One for each assignment of the course, in its order.
    pub(super) works: Vec<Work>,
    /// The days with activity, ascending.
    pub(super) days: Vec<ActiveDay>,
    /// When the student left the course for good.
    pub(super) left_at: Option<Seconds>,
}

/// What happened to one assignment: nothing yet, unless a time says so.
#[derive(Debug, Clone, Default)]
pub(super) struct Work {
    pub(super) submitted_at: Option<Seconds>,
    pub(super) graded_at: Option<Seconds>,
    pub(super) posted_at: Option<Seconds>,
    pub(super) score: Option<f64>,
    pub(super) points_deducted: Option<f64>,
    pub(super) standing: Standing,
}

/// The status of a piece of work relative to its due date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Standing {
    /// Handed in by then, or not due yet.
    #[default]
    OnTime,
    /// Handed in after it.
    Late,
    /// Not handed in; a zero was entered.
    Missing,
    /// Excused by the teacher.
    Excused,
}

/// A day on which a student looked at the course.
#[derive(Debug)]
pub(super) struct ActiveDay {
    pub(super) day: Day,
    /// The second of the day of the last view.
    pub(super) last_second: i64,
    pub(super) views: Vec<Views>,
}

/// The page views of a day on one part of a course.
#[derive(Debug, Clone, Copy)]
pub(super) struct Views {
    pub(super) controller: &'static str,
    pub(super) page_views: i64,
    pub(super) distinct_resources: i64,
}

/// Returns what happens to the student of the scene.
pub(super) fn live(dice: &mut Dice, scene: &Scene<'_>) -> Journey {
    let mut life = Life::begin(dice, scene);
    life.look_around(dice);
    let n_weeks = (scene.course.last_day - scene.course.first_day) / 7 + 1;
    for week in 0..n_weeks {
        if life.is_over(scene.course.first_day + 7 * week) {
            break;
        }
        life.drift(dice, week);
        life.hand_in_what_is_due(dice, week);
        life.visit(dice, week);
    }
    life.end()
}

/// Returns some visits of a teacher to the course.
pub(super) fn teach(dice: &mut Dice, course: &Course) -> Vec<ActiveDay> {
    let mut days = Vec::new();
    for day in course.first_day - 10..=course.last_day {
        if dice.chance(0.28) {
            days.push(active_day(dice, day, 4, &[]));
        }
    }
    days
}

/// The state of a student within a course.
struct Life<'a> {
    scene: &'a Scene<'a>,
    preparation: f64,
    drive: f64,
    last_mark: Option<f64>,
    resolve: Resolve,
    work_days: BTreeSet<Day>,
    journey: Journey,
}

/// Whether the student still means to finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolve {
    /// Means to.
    Firm,
    /// Has gone quiet, and leaves on that day, if any.
    Faded { leaves_on: Option<Day> },
}

impl<'a> Life<'a> {
    fn begin(dice: &mut Dice, scene: &'a Scene<'a>) -> Self {
        let person = scene.person;
        let resolve = match scene.presence.until {
            Some(day) => Resolve::Faded { leaves_on: Some(day) },
            None => Resolve::Firm,
        };
        Self {
            scene,
            preparation: 0.55 * person.ability + 0.6 * dice.normal(),
            drive: 0.2 * person.ability + 0.35 * person.diligence + 0.45 * dice.normal(),
            last_mark: None,
            resolve,
            work_days: BTreeSet::new(),
            journey: Journey { works: vec![Work::default(); scene.course.assignments.len()], ..Journey::default() },
        }
    }

    /// Returns the drive that is visible in the student's work.
    fn effort(&self) -> f64 {
        match self.resolve {
            Resolve::Firm => self.drive,
            Resolve::Faded { .. } => self.drive - 1.7,
        }
    }

    fn leaves_on(&self) -> Option<Day> {
        match self.resolve {
            Resolve::Firm => None,
            Resolve::Faded { leaves_on } => leaves_on,
        }
    }

    fn is_over(&self, day: Day) -> bool {
        self.leaves_on().is_some_and(|leaves| day >= leaves)
    }

    fn is_there(&self, day: Day) -> bool {
        let presence = self.scene.presence;
        let is_away = presence.away.is_some_and(|(first, back)| (first..back).contains(&day));
        day > presence.from && day <= self.scene.course.last_day && !is_away && !self.is_over(day)
    }

    /// Visits before the first day of the course.
    fn look_around(&mut self, dice: &mut Dice) {
        let first_day = self.scene.course.first_day;
        for day in first_day - 8..first_day {
            if dice.chance(logistic(-2.2 + 0.5 * self.drive)) && self.is_there(day) {
                self.journey.days.push(active_day(dice, day, 1, &[]));
            }
        }
    }

    /// Changes drive over a week, and decides whether the student gives up.
    fn drift(&mut self, dice: &mut Dice, week: i64) {
        self.drive = 0.93 * self.drive + 0.33 * dice.normal();
        if dice.chance(0.02) {
            self.drive -= 0.9;
        }
        if let Some(mark) = self.last_mark.take() {
            self.drive += ((mark - 0.66) * 0.8).clamp(-0.3, 0.15);
        }
        let hazard = logistic(-5.2 - 0.85 * self.drive - 0.45 * self.preparation);
        let gives_up = dice.chance(hazard);
        let leaves = dice.chance(0.85);
        let quiet_days = dice.whole(6, 24);
        if gives_up && self.resolve == Resolve::Firm && week <= self.scene.course.weeks {
            let day = self.scene.course.first_day + 7 * week + quiet_days;
            let last_chance = self.scene.course.last_day - 5;
            self.resolve = Resolve::Faded { leaves_on: (leaves && day < last_chance).then_some(day) };
        }
    }

    fn hand_in_what_is_due(&mut self, dice: &mut Dice, week: i64) {
        let course = self.scene.course;
        let week_start = course.first_day + 7 * week;
        for (index, assignment) in course.assignments.iter().enumerate() {
            if !(week_start..week_start + 7).contains(&assignment.due_day) {
                continue;
            }
            let work = self.work(dice, assignment, week_start);
            if let Some(score) = work.score {
                self.last_mark = Some(score / assignment.points_possible);
            }
            self.journey.works[index] = work;
        }
    }

    /// Decides what happens to an assignment that is due this week.
    fn work(&mut self, dice: &mut Dice, assignment: &Assignment, week_start: Day) -> Work {
        let effort = self.effort();
        let is_excused = dice.chance(0.012);
        let is_done = dice.chance(logistic(2.6 + 1.15 * effort));
        let is_late = dice.chance(logistic(-2.1 - 0.85 * effort));
        let late_days = 1 + dice.streak(0.45, 4);
        let lead_days = dice.streak(logistic(-0.9 + 0.4 * effort), 5);
        let second = dice.whole(8 * 3600, 23 * 3600);
        let mark = self.mark(dice, assignment);
        let grading_days = dice.whole(2, 5);
        let posting_days = dice.whole(0, 1);
        let teacher_second = dice.whole(9 * 3600, 17 * 3600);

        let home = self.scene.home;
        let last_day = self.scene.course.last_day;
        let before_due = (assignment.due_day - lead_days).max(week_start);
        let enrolled_on = self.scene.presence.from;
        if is_excused || assignment.due_day <= enrolled_on {
            let at = Some(home.at(before_due.max(enrolled_on + 1), teacher_second));
            return Work { graded_at: at, posted_at: at, standing: Standing::Excused, ..Work::default() };
        }
        let day = if is_late { assignment.due_day + late_days } else { before_due };
        if !is_done || !self.is_there(day) {
            let at = Some(home.at((assignment.due_day + 7).min(last_day - 1), teacher_second));
            let standing = Standing::Missing;
            return Work { graded_at: at, posted_at: at, score: Some(0.0), standing, ..Work::default() };
        }
        self.work_days.insert(day);
        let mut submitted_at = home.at(day, second);
        if !is_late {
            submitted_at = submitted_at.min(assignment.due_at - 60);
        }
        let deducted = if is_late { assignment.points_possible * 0.05 * late_days as f64 } else { 0.0 };
        let (graded_at, posted_at) = match assignment.kind {
            WorkKind::Quiz => (submitted_at, submitted_at),
            WorkKind::Upload | WorkKind::Project => (
                home.at((day + grading_days).min(last_day - 1), teacher_second),
                home.at((day + grading_days + posting_days).min(last_day - 1), teacher_second + 1800),
            ),
        };
        Work {
            submitted_at: Some(submitted_at),
            graded_at: Some(graded_at),
            posted_at: Some(posted_at),
            score: Some((half_points(mark * assignment.points_possible) - deducted).max(0.0)),
            points_deducted: is_late.then_some(deducted),
            standing: if is_late { Standing::Late } else { Standing::OnTime },
        }
    }

    /// Returns the share of the points that the work earns.
    fn mark(&self, dice: &mut Dice, assignment: &Assignment) -> f64 {
        let (bonus, noise) = match assignment.kind {
            WorkKind::Quiz => (4.0, 15.0),
            WorkKind::Upload => (0.0, 15.0),
            WorkKind::Project => (-3.0, 25.0),
        };
        let points = 76.5 + 6.5 * self.preparation + 5.0 * self.effort() + bonus - self.scene.course.difficulty;
        ((points + noise * dice.normal()) / 100.0).clamp(0.0, 1.0)
    }

    /// Visits the course on some days of the week, and on those on which work is handed in.
    fn visit(&mut self, dice: &mut Dice, week: i64) {
        let course = self.scene.course;
        let tail = if week >= course.weeks { -1.8 } else { 0.0 };
        let first_day = course.first_day + 7 * week;
        for day in first_day..first_day + 7 {
            let weekend = if day - first_day >= 5 { -0.6 } else { 0.0 };
            let is_active = dice.chance(logistic(-0.75 + 0.7 * self.effort() + tail + weekend));
            let works = self.work_days.remove(&day);
            if !self.is_there(day) || !(is_active || works) {
                continue;
            }
            let extra: &[&'static str] = if works { &["assignments"] } else { &[] };
            self.journey.days.push(active_day(dice, day, 3, extra));
        }
    }

    /// Ends the story: nothing happens after the student leaves.
    fn end(mut self) -> Journey {
        let home = self.scene.home;
        self.journey.left_at = self.leaves_on().map(|day| home.at(day, 9 * 3600 + (day * 7919) % 25_000));
        let end =
            self.journey.left_at.unwrap_or(self.scene.course.conclude_at.min(home.end_of(self.scene.course.last_day)));
        for work in &mut self.journey.works {
            if work.submitted_at.is_none_or(|at| at >= end) && work.graded_at.is_none_or(|at| at >= end) {
                *work = Work::default();
            }
            work.graded_at = work.graded_at.filter(|at| *at < end);
            work.posted_at = work.posted_at.filter(|at| *at < end);
        }
        self.journey
    }
}

/// The parts of a course that are looked at besides its home page.
const OTHER_CONTROLLERS: [&str; 5] = ["context_modules", "files", "wiki_pages", "quizzes/quizzes", "discussion_topics"];

fn active_day(dice: &mut Dice, day: Day, eagerness: i64, extra: &[&'static str]) -> ActiveDay {
    let mut controllers = vec!["courses"];
    controllers.extend(extra);
    if dice.chance(0.22) {
        controllers.push(dice.pick(&OTHER_CONTROLLERS));
    }
    controllers.sort_unstable();
    let views = controllers.into_iter().map(|controller| {
        let page_views = 1 + dice.whole(0, eagerness) + dice.streak(0.7, 40);
        Views { controller, page_views, distinct_resources: 1 + dice.whole(0, (page_views - 1).min(6)) }
    });
    let views = views.collect();
    ActiveDay { day, last_second: dice.whole(7 * 3600, 24 * 3600 - 60), views }
}

fn half_points(points: f64) -> f64 {
    (points * 2.0).round() / 2.0
}
