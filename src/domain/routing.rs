//! Who is told of which alerts, and when again: routes beside the digest, which tells its readers of everything.
//!
//! Pure: from a route, what the night made of the alerts and what people did about them, to groups of news. A route tells
//! of an alert when it is new, when it gets worse, when it is resolved and when it is back, and reminds of it while nobody
//! has said that they see to it. What is silenced is not told, nor what follows from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::alert::{AlertEvent, AlertState, AlertStep, Cause, StandingAlert};
use super::check::Severity;
use super::ids::DagName;
use super::root_cause::root_causes;

/// Which alerts a route takes, and when it tells of one again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// How bad an alert must be.
    pub severity: Severity,
    /// The DAGs; empty: all.
    pub dags: Vec<String>,
    /// What must be behind it; empty: anything.
    pub causes: Vec<Cause>,
    /// Who must answer for the rule; empty: anybody, or nobody.
    pub owners: Vec<String>,
    /// After how many nights it reminds of an alert that nobody sees to; `None`: never.
    pub remind_nights: Option<u32>,
    /// How many nights must have found it, while nobody sees to it, before it is told at all; 1: it is told at once.
    pub after_nights: u32,
}

/// What a route tells of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// It is new.
    Opened,
    /// It had been resolved a short time ago, and is back.
    Returned,
    /// It got worse.
    Worse,
    /// Nobody has said that they see to it for as long as the route waits.
    Unattended,
    /// It still stands, and nobody has said that they see to it.
    Reminder,
    /// It is over.
    Resolved,
}

impl News {
    /// Returns the words for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Opened => "new",
            Self::Returned => "back",
            Self::Worse => "got worse",
            Self::Unattended => "unattended",
            Self::Reminder => "still stands",
            Self::Resolved => "resolved",
        }
    }
}

/// Alerts with one cause behind them, and what is told of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<'a> {
    /// What came first, or stands alone.
    pub root: &'a AlertStep,
    /// What is told of it; `None` where it is named only because others follow from it.
    pub news: Option<News>,
    /// What may follow from it, and is told.
    pub followers: Vec<(&'a AlertStep, News)>,
}

/// Returns what a route tells of a night's alerts, the worst group first. `people` says what people did about them; a
/// silence that is over is not in it.
pub fn groups<'a>(route: &Route, steps: &'a [AlertStep], people: &[StandingAlert]) -> Vec<Group<'a>> {
    let people: BTreeMap<&str, &StandingAlert> = people.iter().map(|alert| (alert.state.id.as_str(), alert)).collect();
    let roots = root_causes(steps);
    let mut groups: BTreeMap<&str, Group<'a>> = BTreeMap::new();
    for step in steps {
        let root = roots.get(step.state.id.as_str()).map_or(&step.state, |root| *root);
        let is_silenced = |alert: &AlertState| people.get(alert.id.as_str()).is_some_and(|a| a.silenced.is_some());
        if is_silenced(&step.state) || is_silenced(root) {
            continue;
        }
        let is_seen_to = |alert: &AlertState| people.get(alert.id.as_str()).is_some_and(|a| a.acknowledged.is_some());
        let attention = if is_seen_to(&step.state) || is_seen_to(root) { Attention::SeenTo } else { Attention::Nobody };
        let Some(news) = news(route, step, attention) else { continue };
        let Some(root) = steps.iter().find(|step| step.state.id == root.id) else { continue };
        let group = groups.entry(root.state.id.as_str()).or_insert(Group { root, news: None, followers: Vec::new() });
        if root.state.id == step.state.id {
            group.news = Some(news);
        } else {
            group.followers.push((step, news));
        }
    }
    let mut groups: Vec<Group<'a>> = groups.into_values().collect();
    let worst = |group: &Group<'_>| {
        let followers = group.followers.iter().map(|(step, _)| step.state.severity);
        followers.chain([group.root.state.severity]).max()
    };
    groups.sort_by_key(|group| (std::cmp::Reverse(worst(group)), group.root.state.opened_on, &group.root.state.id));
    groups
}

/// Whether somebody has said that they see to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attention {
    Nobody,
    SeenTo,
}

fn news(route: &Route, step: &AlertStep, attention: Attention) -> Option<News> {
    let AlertStep { state, event } = step;
    let after = route.after_nights.max(1);
    if !takes(route, state) || state.nights < after {
        return None;
    }
    let is_escalation = after > 1;
    if is_escalation && attention == Attention::SeenTo && *event != AlertEvent::Resolved {
        return None;
    }
    let waited = state.nights - after;
    match event {
        AlertEvent::Resolved => Some(News::Resolved),
        AlertEvent::Opened => Some(News::Opened),
        AlertEvent::Worse if is_escalation && waited == 0 => Some(News::Unattended),
        AlertEvent::Worse => Some(News::Worse),
        AlertEvent::Same | AlertEvent::Returned if is_escalation && waited == 0 => Some(News::Unattended),
        AlertEvent::Same => {
            let is_due = route.remind_nights.is_some_and(|nights| waited > 0 && waited.is_multiple_of(nights.max(1)));
            (is_due && attention == Attention::Nobody).then_some(News::Reminder)
        }
        AlertEvent::Returned => Some(News::Returned),
        AlertEvent::NotLookedAt => None,
    }
}

fn takes(route: &Route, alert: &AlertState) -> bool {
    let is_owned = || alert.owner.as_ref().is_some_and(|owner| route.owners.contains(owner));
    let is_named = |dag: &DagName| route.dags.iter().any(|name| name == dag.as_str());
    // The end of what was told as an error is told, too, however it ended.
    alert.severity.max(alert.worst.unwrap_or(alert.severity)) >= route.severity
        && (route.dags.is_empty() || is_named(&alert.dag))
        && (route.causes.is_empty() || route.causes.contains(&alert.cause))
        && (route.owners.is_empty() || is_owned())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::civil::date;

    use super::*;
    use crate::domain::alert::Silence;
    use crate::domain::manual::Manual;

    fn route() -> Route {
        Route {
            severity: Severity::Warning,
            dags: vec![],
            causes: vec![],
            owners: vec![],
            remind_nights: Some(7),
            after_nights: 1,
        }
    }

    fn step(id: &str, event: AlertEvent, nights: u32) -> AlertStep {
        let state = AlertState {
            id: id.to_owned(),
            dag: "nightly".parse().unwrap(),
            check: "users.unique".to_owned(),
            subject: format!("table_{id}"),
            job: "quality".parse().unwrap(),
            owner: Some("registrar".to_owned()),
            cause: Cause::Quality,
            severity: Severity::Warning,
            severity_before: None,
            worst: None,
            why: None,
            message: "what".to_owned(),
            advice: "do".to_owned(),
            opened_on: date(2026, 11, 20),
            seen_on: date(2026, 11, 20),
            nights,
            found: None,
            resolved_on: None,
            returned_on: None,
            returns: 0,
        };
        AlertStep { state, event }
    }

    fn people(step: &AlertStep) -> StandingAlert {
        StandingAlert { state: step.state.clone(), acknowledged: None, silenced: None }
    }

    fn seen_to(step: &AlertStep) -> StandingAlert {
        StandingAlert { acknowledged: Some(Manual { by: "ann".to_owned(), why: None }), ..people(step) }
    }

    fn silenced(step: &AlertStep) -> StandingAlert {
        let manual = Manual { by: "ann".to_owned(), why: None };
        StandingAlert { silenced: Some(Silence { until: Timestamp::MAX, manual }), ..people(step) }
    }

    fn told(route: &Route, step: &AlertStep, people: &StandingAlert) -> Option<News> {
        groups(route, std::slice::from_ref(step), std::slice::from_ref(people)).first().and_then(|group| group.news)
    }

    #[test]
    fn an_alert_is_told_when_it_is_new_worse_or_over_and_not_every_night() {
        let tell = |event, nights| {
            let step = step("a", event, nights);
            told(&route(), &step, &people(&step))
        };

        assert_eq!(tell(AlertEvent::Opened, 1), Some(News::Opened));
        assert_eq!(tell(AlertEvent::Same, 2), None);
        assert_eq!(tell(AlertEvent::Worse, 3), Some(News::Worse));
        assert_eq!(tell(AlertEvent::Returned, 4), Some(News::Returned));
        assert_eq!(tell(AlertEvent::NotLookedAt, 8), None);
        assert_eq!(tell(AlertEvent::Resolved, 5), Some(News::Resolved));
    }

    #[test]
    fn people_are_reminded_until_somebody_sees_to_it() {
        let eighth = step("a", AlertEvent::Same, 8);
        let never = Route { remind_nights: None, ..route() };

        assert_eq!(told(&route(), &eighth, &people(&eighth)), Some(News::Reminder));
        assert_eq!(told(&route(), &eighth, &seen_to(&eighth)), None);
        assert_eq!(told(&never, &eighth, &people(&eighth)), None);
        assert_eq!(told(&route(), &step("a", AlertEvent::Same, 9), &people(&eighth)), None);
    }

    #[test]
    fn what_is_silenced_is_not_told() {
        for event in [AlertEvent::Opened, AlertEvent::Worse, AlertEvent::Resolved] {
            let step = step("a", event, 1);
            assert_eq!(told(&route(), &step, &silenced(&step)), None);
        }
    }

    #[test]
    fn an_escalation_is_told_once_nobody_has_seen_to_it_for_its_nights() {
        let escalation = Route { after_nights: 3, remind_nights: None, ..route() };
        let tell = |event, nights| {
            let step = step("a", event, nights);
            told(&escalation, &step, &people(&step))
        };

        assert_eq!(tell(AlertEvent::Opened, 1), None);
        assert_eq!(tell(AlertEvent::Resolved, 2), None);
        assert_eq!(tell(AlertEvent::Same, 3), Some(News::Unattended));
        assert_eq!(tell(AlertEvent::Same, 4), None);
        assert_eq!(tell(AlertEvent::Resolved, 4), Some(News::Resolved));
        let third = step("a", AlertEvent::Same, 3);
        assert_eq!(told(&escalation, &third, &seen_to(&third)), None);
        let over = step("a", AlertEvent::Resolved, 4);
        assert_eq!(told(&escalation, &over, &seen_to(&over)), Some(News::Resolved));
    }

    #[test]
    fn the_end_of_what_was_an_error_is_told_to_those_who_hear_of_errors() {
        let errors = Route { severity: Severity::Error, ..route() };
        let mut over = step("a", AlertEvent::Resolved, 3);
        over.state.worst = Some(Severity::Error);

        assert_eq!(told(&errors, &over, &people(&over)), Some(News::Resolved));
    }

    #[test]
    fn a_route_takes_what_its_severity_dags_causes_and_owners_say() {
        let step = step("a", AlertEvent::Opened, 1);
        let takes = |route: &Route| told(route, &step, &people(&step)).is_some();

        assert!(!takes(&Route { severity: Severity::Error, ..route() }));
        assert!(!takes(&Route { dags: vec!["weekly".to_owned()], ..route() }));
        assert!(takes(&Route { dags: vec!["nightly".to_owned()], ..route() }));
        assert!(!takes(&Route { causes: vec![Cause::Source], ..route() }));
        assert!(takes(&Route { causes: vec![Cause::Quality, Cause::Model], ..route() }));
        assert!(!takes(&Route { owners: vec!["library".to_owned()], ..route() }));
        assert!(takes(&Route { owners: vec!["registrar".to_owned()], ..route() }));
    }

    #[test]
    fn what_follows_from_an_alert_is_told_below_it() {
        let mut late = step("a", AlertEvent::Same, 2);
        (late.state.check, late.state.cause) = ("table.fresh".to_owned(), Cause::Source);
        let mut drift = step("b", AlertEvent::Opened, 1);
        (drift.state.check, drift.state.cause) = ("drift.alarm".to_owned(), Cause::Model);
        let steps = [late.clone(), drift.clone()];

        let told = groups(&route(), &steps, &[people(&late), people(&drift)]);
        let silent = groups(&route(), &steps, &[silenced(&late), people(&drift)]);

        assert_eq!(told.len(), 1);
        assert_eq!((told[0].root, told[0].news), (&steps[0], None));
        assert_eq!(told[0].followers, [(&steps[1], News::Opened)]);
        assert_eq!(silent, []);
    }
}
