//! Alerts: findings that people are told of, and what is remembered of them from night to night.
//!
//! An alert is opened by a finding, and stands until the job that found it has looked again and found nothing. One that
//! comes back soon after (within the cool-down) is the same alert again, so that what comes and goes is not new every
//! other night. People acknowledge it ("somebody sees to it") or silence it for a while; neither ends it. Pure: [`next`]
//! is a function from the known alerts and tonight's findings to the new ones. For the same night it may be asked again
//! and says the same. Who is told of what is `routing`'s.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Severity;
use super::ids::{DagName, JobName, content_hash};
use super::manual::Manual;

/// What kind of change is behind an alert, the furthest upstream first: what comes later may follow from what is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The night itself: a job failed, a report could not be published.
    Night,
    /// A source: a delivery is missing, late, or could not be used.
    Source,
    /// A schema: a column or a value that no contract names, rows that do not fit.
    Schema,
    /// The data: a quality rule is breached.
    Quality,
    /// Features.
    Feature,
    /// A model, its scores, or drift.
    Model,
}

impl Cause {
    /// Returns the cause that the name of a check stands for.
    pub fn of(check: &str) -> Self {
        let (area, rest) = check.split_once('.').unwrap_or((check, ""));
        match (area, rest) {
            ("job" | "report", _) => Self::Night,
            ("delivery" | "source", _) | ("table", "fresh" | "stale" | "absent") => Self::Source,
            ("schema" | "row" | "key" | "column" | "type" | "table", _) => Self::Schema,
            ("features" | "labels", _) => Self::Feature,
            // `scores` is a table too, whose rules are about data.
            ("model" | "drift", _) | ("scores", "stale_input") => Self::Model,
            _ => Self::Quality,
        }
    }

    /// Returns the word for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Night => "night",
            Self::Source => "source",
            Self::Schema => "schema",
            Self::Quality => "quality",
            Self::Feature => "feature",
            Self::Model => "model",
        }
    }
}

/// The longest cool-down, in nights: for so long a store keeps resolved alerts at hand.
pub const LONGEST_COOLDOWN_NIGHTS: i32 = 30;

/// An alert as nights know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertState {
    /// Its id: short, unique.
    pub id: String,
    /// The DAG.
    #[schemars(with = "String")]
    pub dag: DagName,
    /// The check that was breached.
    pub check: String,
    /// What it is about.
    pub subject: String,
    /// The job that found it.
    #[schemars(with = "String")]
    pub job: JobName,
    /// Who answers for the rule, where it says.
    #[serde(default)]
    pub owner: Option<String>,
    /// What kind of change is behind it.
    pub cause: Cause,
    /// How bad it is.
    pub severity: Severity,
    /// How bad it was on the night before; `None` on its first.
    pub severity_before: Option<Severity>,
    /// How bad it ever was.
    #[serde(default)]
    pub worst: Option<Severity>,
    /// Why the rule matters, where it is a rule's.
    #[serde(default)]
    pub why: Option<String>,
    /// What was found.
    pub message: String,
    /// What to do.
    pub advice: String,
    /// The night that opened it.
    #[schemars(with = "String")]
    pub opened_on: Date,
    /// The last night that found it.
    #[schemars(with = "String")]
    pub seen_on: Date,
    /// On how many nights it was found, or repeated because nothing new had come to look at.
    pub nights: u32,
    /// How many of them have found it; `None` where an earlier version of the program did not record it.
    #[serde(default)]
    pub found: Option<u32>,
    /// The night that found it no more.
    #[schemars(with = "Option<String>")]
    pub resolved_on: Option<Date>,
    /// The last night that found it again after it had been resolved.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub returned_on: Option<Date>,
    /// How many times that was.
    #[serde(default)]
    pub returns: u32,
}

impl AlertState {
    /// Returns how many nights have found it.
    pub fn found_nights(&self) -> u32 {
        self.found.unwrap_or(self.nights)
    }
}

/// An alert with what people did about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StandingAlert {
    /// The alert.
    pub state: AlertState,
    /// Who said that somebody sees to it, and why.
    pub acknowledged: Option<Manual>,
    /// Until when nobody is reminded of it, and by whom.
    pub silenced: Option<Silence>,
}

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Silence {
    /// Until when.
    #[schemars(with = "String")]
    pub until: Timestamp,
    /// Who asked for it, and why.
    pub manual: Manual,
}

/// A finding of tonight that people are told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The check.
    pub check: String,
    /// What it is about.
    pub subject: String,
    /// The job that found it.
    pub job: JobName,
    /// Who answers for the rule, where it says.
    pub owner: Option<String>,
    /// Why the rule matters, where it is a rule's.
    pub why: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub message: String,
    /// What to do.
    pub advice: String,
    /// Whether it is repeated from an earlier night, because nothing new has come to look at.
    pub is_repeated: bool,
}

/// What a night makes of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertEvent {
    /// It is new.
    Opened,
    /// It had been resolved within the cool-down, and was found again.
    Returned,
    /// It was found again, and is worse.
    Worse,
    /// It was found again.
    Same,
    /// What found it did not look tonight: it stands.
    NotLookedAt,
    /// It was looked for, and not found.
    Resolved,
}

impl AlertEvent {
    /// Returns the word by which it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Returned => "returned",
            Self::Worse => "worse",
            Self::Same => "same",
            Self::NotLookedAt => "not_looked_at",
            Self::Resolved => "resolved",
        }
    }

    /// Returns the words for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Opened => "new",
            Self::Returned => "came back",
            Self::Worse => "got worse",
            Self::Same => "found again",
            Self::NotLookedAt => "not looked at",
            Self::Resolved => "resolved",
        }
    }
}

/// An alert after a night.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertStep {
    /// The alert.
    pub state: AlertState,
    /// What became of it.
    pub event: AlertEvent,
}

/// A night, and for how long after its end an alert that is found again is still the same one.
#[derive(Debug, Clone, Copy)]
pub struct Night<'a> {
    /// The DAG.
    pub dag: &'a DagName,
    /// The logical date.
    pub date: Date,
    /// The cool-down, in nights.
    pub cooldown_nights: u32,
}

/// Returns the alerts after a night, by check and subject: those that stand, those that are new or came back, and those
/// that it resolves. `known` are those that stand, and those that were resolved a short time ago; `looked_at` says
/// whether what found a standing alert has looked again tonight.
pub fn next(
    night: Night<'_>,
    known: &[StandingAlert],
    seen: &[Seen],
    looked_at: &dyn Fn(&AlertState) -> bool,
) -> Vec<AlertStep> {
    let mut found: BTreeMap<(&str, &str), &Seen> = BTreeMap::new();
    for one in seen {
        let known = found.entry((&one.check, &one.subject)).or_insert(one);
        if one.severity > known.severity {
            *known = one;
        }
    }
    let mut steps: BTreeMap<(String, String), AlertStep> = BTreeMap::new();
    let mut known: Vec<&AlertState> = known.iter().map(|alert| &alert.state).collect();
    known.retain(|alert| alert.dag == *night.dag && alert.opened_on <= night.date);
    // What stands comes before what was resolved, and of the latter what was resolved last.
    known.sort_by_key(|alert| (!stands(alert, night.date), Reverse(alert.resolved_on), &alert.id));
    for alert in known {
        let key = (alert.check.as_str(), alert.subject.as_str());
        let step = if stands(alert, night.date) {
            match found.remove(&key) {
                Some(seen) => again(alert, seen, night.date),
                None => not_found(alert, night.date, looked_at(alert)),
            }
        } else {
            match found.get(&key) {
                Some(seen) if is_cooling_down(alert, night) => {
                    let step = returned(alert, seen, night.date);
                    found.remove(&key);
                    step
                }
                _ => continue,
            }
        };
        steps.entry((alert.check.clone(), alert.subject.clone())).or_insert(step);
    }
    for (key, seen) in found {
        steps.insert((key.0.to_owned(), key.1.to_owned()), opened(night.dag, night.date, seen));
    }
    steps.into_values().collect()
}

/// Whether an alert stands when the night of `date` begins; what this night itself resolved did.
fn stands(alert: &AlertState, date: Date) -> bool {
    alert.resolved_on.is_none_or(|resolved| resolved >= date)
}

fn is_cooling_down(alert: &AlertState, night: Night<'_>) -> bool {
    let nights = alert.resolved_on.map(|resolved| (night.date - resolved).get_days());
    nights.is_some_and(|nights| nights >= 0 && nights.unsigned_abs() <= night.cooldown_nights)
}

fn opened(dag: &DagName, date: Date, seen: &Seen) -> AlertStep {
    let Seen { check, subject, job, owner, why, severity, message, advice, is_repeated: _ } = seen.clone();
    let id = content_hash(format!("{dag}/{check}/{subject}/{date}").as_bytes()).chars().take(8).collect();
    let cause = Cause::of(&check);
    let state = AlertState {
        id,
        dag: dag.clone(),
        check,
        subject,
        job,
        owner,
        cause,
        severity,
        severity_before: None,
        worst: Some(severity),
        why,
        message,
        advice,
        opened_on: date,
        seen_on: date,
        nights: 1,
        found: Some(u32::from(!seen.is_repeated)),
        resolved_on: None,
        returned_on: None,
        returns: 0,
    };
    AlertStep { state, event: AlertEvent::Opened }
}

/// A standing alert that was not found.
fn not_found(alert: &AlertState, date: Date, was_looked_at: bool) -> AlertStep {
    let (resolved_on, event) =
        if was_looked_at { (Some(date), AlertEvent::Resolved) } else { (None, AlertEvent::NotLookedAt) };
    AlertStep { state: AlertState { resolved_on, ..alert.clone() }, event }
}

/// An alert that had been resolved, and was found again.
fn returned(alert: &AlertState, seen: &Seen, date: Date) -> AlertStep {
    let back = AlertState { returned_on: Some(date), returns: alert.returns + 1, ..alert.clone() };
    AlertStep { event: AlertEvent::Returned, ..again(&back, seen, date) }
}

/// A standing alert that was found again. Within its own night nothing is counted twice, and a night that only repeats what
/// an earlier one found has not found it.
fn again(alert: &AlertState, seen: &Seen, date: Date) -> AlertStep {
    let is_new_night = alert.seen_on < date;
    let severity_before = if is_new_night { Some(alert.severity) } else { alert.severity_before };
    let state = AlertState {
        job: seen.job.clone(),
        owner: seen.owner.clone(),
        severity: seen.severity,
        severity_before,
        worst: alert.worst.max(Some(alert.severity)).max(Some(seen.severity)),
        why: seen.why.clone(),
        message: seen.message.clone(),
        advice: seen.advice.clone(),
        seen_on: date.max(alert.seen_on),
        nights: alert.nights + u32::from(is_new_night),
        found: Some(alert.found_nights() + u32::from(is_new_night && !seen.is_repeated)),
        resolved_on: None,
        ..alert.clone()
    };
    let event = match severity_before {
        None => AlertEvent::Opened,
        Some(_) if alert.returned_on == Some(date) => AlertEvent::Returned,
        Some(before) if seen.severity > before => AlertEvent::Worse,
        Some(_) => AlertEvent::Same,
    };
    AlertStep { state, event }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn dag() -> DagName {
        "nightly".parse().unwrap()
    }

    fn seen(check: &str, severity: Severity) -> Seen {
        Seen {
            check: check.to_owned(),
            subject: "users".to_owned(),
            job: "quality".parse().unwrap(),
            owner: None,
            why: None,
            severity,
            message: "what".to_owned(),
            advice: "do".to_owned(),
            is_repeated: false,
        }
    }

    #[test]
    fn a_night_that_only_repeats_a_finding_has_not_found_it_again() {
        let first = night(20, &[], &[seen("users.unique", Severity::Warning)], true);
        let repeated = Seen { is_repeated: true, ..seen("users.unique", Severity::Warning) };

        let second = night(21, &first, &[repeated], true);

        let AlertState { nights, found, .. } = second[0].state;
        assert_eq!((second[0].event, nights, found), (AlertEvent::Same, 2, Some(1)));
    }

    fn known(steps: &[AlertStep]) -> Vec<StandingAlert> {
        let known = |step: &AlertStep| StandingAlert { state: step.state.clone(), acknowledged: None, silenced: None };
        steps.iter().map(known).collect()
    }

    fn night(day: i8, before: &[AlertStep], found: &[Seen], looked: bool) -> Vec<AlertStep> {
        let night = Night { dag: &dag(), date: date(2026, 11, day), cooldown_nights: 3 };
        next(night, &known(before), found, &|_| looked)
    }

    #[test]
    fn an_alert_is_opened_gets_worse_and_is_resolved() {
        let first = night(20, &[], &[seen("users.unique", Severity::Warning)], true);
        let second = night(21, &first, &[seen("users.unique", Severity::Error)], true);
        let third = night(22, &second, &[seen("users.unique", Severity::Error)], true);
        let fourth = night(23, &third, &[], true);

        let told = |steps: &[AlertStep]| (steps[0].event, steps[0].state.nights, steps[0].state.opened_on);
        assert_eq!(told(&first), (AlertEvent::Opened, 1, date(2026, 11, 20)));
        assert_eq!(told(&second), (AlertEvent::Worse, 2, date(2026, 11, 20)));
        assert_eq!(told(&third), (AlertEvent::Same, 3, date(2026, 11, 20)));
        assert_eq!(told(&fourth), (AlertEvent::Resolved, 3, date(2026, 11, 20)));
        assert_eq!(fourth[0].state.resolved_on, Some(date(2026, 11, 23)));
    }

    #[test]
    fn what_was_not_looked_at_is_not_resolved() {
        let first = night(20, &[], &[seen("users.unique", Severity::Warning)], true);

        let second = night(21, &first, &[], false);

        assert_eq!((second[0].event, second[0].state.nights), (AlertEvent::NotLookedAt, 1));
        assert_eq!(second[0].state.resolved_on, None);
    }

    #[test]
    fn an_alert_that_comes_back_within_the_cool_down_is_the_same_and_later_a_new_one() {
        let first = night(20, &[], &[seen("users.unique", Severity::Warning)], true);
        let gone = night(21, &first, &[], true);

        let soon = night(24, &gone, &[seen("users.unique", Severity::Error)], true);
        let late = night(25, &gone, &[seen("users.unique", Severity::Warning)], true);

        assert_eq!((soon[0].event, soon[0].state.nights, soon[0].state.returns), (AlertEvent::Returned, 2, 1));
        assert_eq!((&soon[0].state.id, soon[0].state.resolved_on), (&first[0].state.id, None));
        assert_eq!((late[0].event, late[0].state.nights, late[0].state.returns), (AlertEvent::Opened, 1, 0));
        assert_ne!(late[0].state.id, first[0].state.id);
    }

    #[test]
    fn an_alert_that_was_resolved_before_and_is_not_found_is_not_spoken_of() {
        let first = night(20, &[], &[seen("users.unique", Severity::Warning)], true);
        let gone = night(21, &first, &[], true);

        assert_eq!(night(22, &gone, &[], true), []);
    }

    #[test]
    fn causes_are_ordered_from_the_source_to_the_model() {
        let causes = ["table.fresh", "schema.unknown_column", "users.unique", "features.contract", "drift.alarm"];

        let found: Vec<Cause> = causes.iter().map(|check| Cause::of(check)).collect();

        assert!(found.is_sorted() && found.len() == 5, "{found:?}");
        assert_eq!(Cause::of("job.failed"), Cause::Night);
        assert_eq!(Cause::of("scores.stale_input"), Cause::Model);
    }

    #[test]
    fn a_rule_about_the_table_of_scores_is_about_the_data() {
        assert_eq!(Cause::of("scores.score_is_percent"), Cause::Quality);
        assert_eq!(Cause::of("scores.unique"), Cause::Quality);
    }

    proptest! {
        #[test]
        fn the_same_night_asked_again_says_the_same(
            nights in prop::collection::vec(prop::collection::vec((0_u8..4, any::<bool>()), 0..4), 1..6),
        ) {
            let mut before: Vec<AlertStep> = Vec::new();
            for (day, found) in (1_i8..).zip(nights) {
                let found: Vec<Seen> = found
                    .into_iter()
                    .map(|(n, bad)| seen(&format!("rule.{n}"), if bad { Severity::Error } else { Severity::Warning }))
                    .collect();
                let this = Night { dag: &dag(), date: date(2026, 11, day), cooldown_nights: 2 };
                let once = next(this, &known(&before), &found, &|_| true);
                // What the store gives for the same night: what it knew before, as this night left it.
                let mut stored = once.clone();
                stored.extend(before.iter().filter(|old| once.iter().all(|new| new.state.id != old.state.id)).cloned());
                let twice = next(this, &known(&stored), &found, &|_| true);
                prop_assert_eq!(&once, &twice);
                before = stored;
            }
        }
    }
}
