//! Which cutoffs are built: the training weeks of past courses, the logical date, and the instants at which labels
//! become known.
//!
//! Pure: from courses and dates to a sorted list of [`AsOf`], one for each distinct instant, whatever the order of the
//! courses. An [`AsOf`] is an input of a build like any other: its key, its instants and its (course, week) pairs are
//! part of the fingerprint. It deliberately does not read tables; `courses` does.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::courses::Course;
use super::cutoff::{CalendarError, Cutoff, last_whole_day};

/// What a plan is made for.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    /// The logical date.
    pub date: Date,
    /// The DAG's zone.
    pub zone: TimeZone,
    /// The course weeks at which past courses train, such as 2, 4, 6.
    pub weeks: BTreeSet<u32>,
    /// How long after a cutoff a delivery still belongs to it.
    pub grace: SignedDuration,
}

impl PlanRequest {
    /// Returns the cutoff of the logical date.
    ///
    /// # Errors
    /// When the date lies outside the calendar.
    pub fn cutoff(&self) -> Result<Cutoff, CalendarError> {
        Cutoff::of_date(self.date, &self.zone, self.grace)
    }
}

/// Why a course is in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The course is over: its week trains and serves as reference.
    Past,
    /// The course is running at the logical date: its students are scored.
    Current,
}

impl Stage {
    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Past => "past",
            Self::Current => "current",
        }
    }
}

/// One course in a partition, and how far it had come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CourseWeek {
    /// The course.
    pub course_id: i64,
    /// Its term, as the tables' partitions name it.
    pub term: String,
    /// Whole weeks seen.
    pub course_week: i64,
    /// The last day seen; the day of the start is 0.
    pub last_day: i64,
    /// Why it is here.
    pub stage: Stage,
}

/// One instant for which feature sets or labels are built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsOf {
    /// The partition's name: the local date where the instant is a midnight of the DAG's zone, else the UTC time.
    pub key: String,
    /// Where knowledge ends.
    pub cutoff: Cutoff,
    /// The courses, sorted by id.
    pub courses: Vec<CourseWeek>,
}

impl AsOf {
    /// Returns the terms of its courses: the only parts of divided tables that a build reads.
    pub fn terms(&self) -> BTreeSet<&str> {
        self.courses.iter().map(|course| course.term.as_str()).collect()
    }

    /// Returns why it is built: for scores as soon as one of its courses is running.
    pub fn stage(&self) -> Stage {
        if self.courses.iter().any(|course| course.stage == Stage::Current) { Stage::Current } else { Stage::Past }
    }
}

/// Plans the feature partitions: every requested week that a past course reached, and the logical date with the courses
/// in progress. Sorted by instant; the logical date has its partition only where a course is in progress.
///
/// # Errors
/// When a cutoff lies outside the calendar.
pub fn plan_partitions(courses: &[Course], request: &PlanRequest) -> Result<Vec<AsOf>, CalendarError> {
    let today = request.cutoff()?;
    let mut found: BTreeMap<Cutoff, Vec<CourseWeek>> = BTreeMap::new();
    for course in courses {
        if course.conclude_at <= today.event_before {
            for week in &request.weeks {
                let cutoff = Cutoff::of_week(course.start_at, &course.zone, *week, request.grace)?;
                if cutoff.event_before <= course.conclude_at {
                    found.entry(cutoff).or_default().push(course.week_at(cutoff.event_before, Stage::Past));
                }
            }
        } else if course.start_at <= today.event_before {
            found.entry(today).or_default().push(course.week_at(today.event_before, Stage::Current));
        }
    }
    Ok(into_partitions(found, &request.zone))
}

/// Plans the label partitions: one for each instant, up to the logical date, at which courses' labels become known
/// together, `lag` after their end. A label keeps what was known then.
///
/// # Errors
/// When a cutoff lies outside the calendar.
pub fn plan_labels(courses: &[Course], lag: SignedDuration, request: &PlanRequest) -> Result<Vec<AsOf>, CalendarError> {
    let today = request.cutoff()?;
    let mut found: BTreeMap<Cutoff, Vec<CourseWeek>> = BTreeMap::new();
    for course in courses {
        let known_at = Cutoff::at(course.conclude_at, lag)?.known_by;
        if known_at <= today.event_before {
            let cutoff = Cutoff::at(known_at, request.grace)?;
            found.entry(cutoff).or_default().push(course.week_at(known_at, Stage::Past));
        }
    }
    Ok(into_partitions(found, &request.zone))
}

impl Course {
    fn week_at(&self, event_before: Timestamp, stage: Stage) -> CourseWeek {
        let last_day = last_whole_day(self.start_at, &self.zone, event_before);
        CourseWeek {
            course_id: self.course_id,
            term: self.term.clone(),
            course_week: last_day.div_euclid(7).max(0),
            last_day,
            stage,
        }
    }
}

fn into_partitions(found: BTreeMap<Cutoff, Vec<CourseWeek>>, zone: &TimeZone) -> Vec<AsOf> {
    found
        .into_iter()
        .map(|(cutoff, mut courses)| {
            courses.sort();
            AsOf { key: key(cutoff.event_before, zone), cutoff, courses }
        })
        .collect()
}

/// A key depends on its instant alone, so that a partition keeps its name when other courses join the plan.
fn key(instant: Timestamp, zone: &TimeZone) -> String {
    let local = instant.to_zoned(zone.clone());
    let begins_a_day = local.date().to_zoned(zone.clone()).is_ok_and(|midnight| midnight.timestamp() == instant);
    if begins_a_day { local.date().to_string() } else { instant.strftime("%Y-%m-%dT%H-%M-%SZ").to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(course_id: i64, term: &str, zone: &str, start_at: &str, conclude_at: &str) -> Course {
        Course {
            course_id,
            account_id: Some(1),
            term: term.to_owned(),
            zone: TimeZone::get(zone).unwrap(),
            start_at: start_at.parse().unwrap(),
            conclude_at: conclude_at.parse().unwrap(),
        }
    }

    fn request(date: &str, weeks: &[u32]) -> PlanRequest {
        PlanRequest {
            date: date.parse().unwrap(),
            zone: TimeZone::get("Europe/London").unwrap(),
            weeks: weeks.iter().copied().collect(),
            grace: SignedDuration::from_hours(6),
        }
    }

    fn courses() -> Vec<Course> {
        vec![
            course(3, "2", "Europe/London", "2014-10-04T00:00:00Z", "2015-06-30T23:59:59Z"),
            course(1, "1", "Europe/London", "2013-10-05T00:00:00Z", "2014-06-30T23:59:59Z"),
            course(2, "1", "America/Detroit", "2013-10-05T04:00:00Z", "2014-06-30T23:59:59Z"),
        ]
    }

    #[test]
    fn past_courses_give_weeks_and_running_ones_the_logical_date() {
        let plan = plan_partitions(&courses(), &request("2014-12-02", &[2, 4])).unwrap();

        let keys: Vec<_> = plan.iter().map(|as_of| (as_of.key.as_str(), as_of.courses[0].course_id)).collect();
        assert_eq!(
            keys,
            vec![
                ("2013-10-20", 1),
                ("2013-10-20T04-00-00Z", 2),
                ("2013-11-03", 1),
                ("2013-11-03T04-00-00Z", 2),
                ("2014-12-02", 3),
            ]
        );
        assert_eq!((plan[4].courses[0].course_week, plan[4].courses[0].last_day), (8, 58));
        assert_eq!(plan[4].courses[0].stage, Stage::Current);
        assert_eq!(plan[0].courses[0].course_week, 2);
    }

    #[test]
    fn the_order_of_the_courses_does_not_matter() {
        let mut reversed = courses();
        reversed.reverse();
        let request = request("2014-12-02", &[2, 4]);

        assert_eq!(plan_partitions(&courses(), &request).unwrap(), plan_partitions(&reversed, &request).unwrap());
    }

    #[test]
    fn a_course_that_is_not_over_trains_nothing() {
        let plan = plan_partitions(&courses(), &request("2014-06-30", &[2])).unwrap();

        assert_eq!(plan.len(), 1);
        assert!(plan[0].courses.iter().all(|course| course.stage == Stage::Current));
    }

    #[test]
    fn a_week_after_the_end_of_a_course_is_not_planned() {
        let short = [course(1, "1", "Europe/London", "2013-10-05T00:00:00Z", "2013-10-30T00:00:00Z")];

        assert_eq!(plan_partitions(&short, &request("2014-12-02", &[2, 4])).unwrap().len(), 1);
    }

    #[test]
    fn labels_become_known_a_lag_after_the_end() {
        let lag = SignedDuration::from_hours(7 * 24);

        let before = plan_labels(&courses(), lag, &request("2014-07-07", &[])).unwrap();
        let after = plan_labels(&courses(), lag, &request("2014-07-09", &[])).unwrap();

        assert_eq!(before, vec![]);
        assert_eq!(after.len(), 1);
        assert_eq!(after[0].key, "2014-07-07T23-59-59Z");
        assert_eq!(after[0].courses.len(), 2);
    }
}
