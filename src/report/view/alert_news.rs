//! What a route tells of a night's alerts: as an e-mail, and as the JSON that is posted to a webhook.
//!
//! The shape is stable and documented in the README ("Webhooks"); what changes it raises [`AlertNewsView::VERSION`]. It
//! names tables, columns, files and counts, and nobody.

use std::collections::BTreeMap;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::alert::{AlertState, AlertStep, Cause, StandingAlert};
use crate::domain::check::Severity;
use crate::domain::delivery::{Signature, Word};
use crate::domain::ids::DagName;
use crate::domain::routing::{Group, News};

/// What a route tells of a night's alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertNewsView {
    /// The version of this shape.
    pub version: u32,
    /// Whose night it is.
    pub institution: String,
    /// The DAG.
    #[schemars(with = "String")]
    pub dag: DagName,
    /// The logical date.
    #[schemars(with = "String")]
    pub logical_date: Date,
    /// Whether the students are invented.
    pub is_simulation: bool,
    /// The route.
    pub route: String,
    /// The alerts, grouped by what may be behind them, the worst first.
    pub groups: Vec<AlertGroup>,
    /// Whom to ask.
    pub contact: Option<String>,
}

/// Alerts with one cause behind them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertGroup {
    /// What came first, or stands alone.
    pub root: ToldAlert,
    /// What may follow from it.
    pub followers: Vec<ToldAlert>,
}

/// An alert, and what is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToldAlert {
    /// Its id, by which it is acknowledged and silenced.
    pub alert: String,
    /// What is told of it; `null` where it is named only because others follow from it.
    pub news: Option<News>,
    /// How bad it is.
    pub severity: Severity,
    /// What kind of change is behind it.
    pub cause: Cause,
    /// The check that was breached.
    pub check: String,
    /// What it is about.
    pub subject: String,
    /// Who answers for the rule, where it says.
    pub owner: Option<String>,
    /// What was found: of a rule which, and why it matters. How many rows is for operators.
    pub message: String,
    /// What to do.
    pub advice: String,
    /// The night that opened it.
    #[schemars(with = "String")]
    pub since: Date,
    /// How many nights have found it.
    pub nights: u32,
    /// Who said that somebody sees to it.
    pub acknowledged_by: Option<String>,
}

/// What is the same for all routes of a night.
#[derive(Debug, Clone, Copy)]
pub struct AlertNight<'a> {
    /// Whose night it is.
    pub institution: &'a str,
    /// The DAG.
    pub dag: &'a DagName,
    /// The logical date.
    pub logical_date: Date,
    /// Whether the students are invented.
    pub is_simulation: bool,
    /// Whom to ask.
    pub contact: Option<&'a str>,
    /// What people did about the alerts.
    pub people: &'a [StandingAlert],
}

impl AlertNewsView {
    /// The version of the shape.
    pub const VERSION: u32 = 1;

    /// Returns what a route tells of these groups.
    pub fn new(night: AlertNight<'_>, route: &str, groups: &[Group<'_>]) -> Self {
        let people: BTreeMap<&str, &StandingAlert> =
            night.people.iter().map(|alert| (alert.state.id.as_str(), alert)).collect();
        let told = |step: &AlertStep, news: Option<News>| ToldAlert::new(step, news, &people);
        let groups = groups.iter().map(|group| AlertGroup {
            root: told(group.root, group.news),
            followers: group.followers.iter().map(|(step, news)| told(step, Some(*news))).collect(),
        });
        Self {
            version: Self::VERSION,
            institution: night.institution.to_owned(),
            dag: night.dag.clone(),
            logical_date: night.logical_date,
            is_simulation: night.is_simulation,
            route: route.to_owned(),
            groups: groups.collect(),
            contact: night.contact.map(str::to_owned),
        }
    }

    /// Returns the worst severity among what is told.
    pub fn worst(&self) -> Severity {
        self.told().map(|(alert, _)| alert.severity).max().unwrap_or(Severity::Info)
    }

    /// Returns the first alert that stands, by its id; `None` if all that is told of is over.
    pub fn standing(&self) -> Option<&str> {
        let mut alerts = self.groups.iter().flat_map(|group| [&group.root].into_iter().chain(&group.followers));
        alerts.find(|alert| alert.news != Some(News::Resolved)).map(|alert| alert.alert.as_str())
    }

    /// Returns how many alerts are told of, by what is told: `2 new, 1 resolved`.
    pub fn summary(&self) -> String {
        let mut counts: BTreeMap<News, usize> = BTreeMap::new();
        self.told().for_each(|(_, news)| *counts.entry(news).or_default() += 1);
        let words = counts.into_iter().map(|(news, n)| format!("{n} {}", news.words()));
        words.collect::<Vec<_>>().join(", ")
    }

    /// Returns what it says, as far as a change in it is worth telling again.
    pub fn signature(&self) -> Signature {
        let told = self.told().map(|(alert, news)| format!("{} {}", alert.alert, news.words()));
        Signature::new(Word::Alerts, told.collect())
    }

    fn told(&self) -> impl Iterator<Item = (&ToldAlert, News)> {
        let alerts = self.groups.iter().flat_map(|group| group.followers.iter().chain([&group.root]));
        alerts.filter_map(|alert| Some((alert, alert.news?)))
    }
}

impl ToldAlert {
    fn new(step: &AlertStep, news: Option<News>, people: &BTreeMap<&str, &StandingAlert>) -> Self {
        let state = &step.state;
        let acknowledged = people.get(state.id.as_str()).and_then(|alert| alert.acknowledged.as_ref());
        Self {
            alert: state.id.clone(),
            news,
            severity: state.severity,
            cause: state.cause,
            check: state.check.clone(),
            subject: state.subject.clone(),
            owner: state.owner.clone(),
            message: message(state, news),
            advice: state.advice.clone(),
            since: state.opened_on,
            nights: state.found_nights(),
            acknowledged_by: acknowledged.map(|manual| manual.by.clone()),
        }
    }
}

/// What is told of an alert outside the circle of operators: of a rule which, and why it matters, and not how many rows,
/// which may be how many people.
fn message(alert: &AlertState, news: Option<News>) -> String {
    let verb = if news == Some(News::Resolved) { "no longer breaks" } else { "breaks" };
    match &alert.why {
        Some(why) => format!("`{}` {verb} the rule `{}`. {}.", alert.subject, alert.check, why.trim_end_matches('.')),
        None => alert.message.clone(),
    }
}

impl AlertNewsView {
    /// Returns an invented view: what `alerts test` sends, and templates are checked with.
    pub fn sample(institution: &str, dag: &DagName, logical_date: Date) -> Self {
        let told = |alert: &str, (check, subject): (&str, &str), message: &str, advice: &str| ToldAlert {
            alert: alert.to_owned(),
            news: Some(News::Opened),
            severity: Severity::Warning,
            cause: Cause::of(check),
            check: check.to_owned(),
            subject: subject.to_owned(),
            owner: Some("registrar".to_owned()),
            message: message.to_owned(),
            advice: advice.to_owned(),
            since: logical_date,
            nights: 1,
            acknowledged_by: None,
        };
        let late = "This is a test and nothing is wrong: the delivery of `submissions` is said to be two days late.";
        let drift = "This is a test and nothing is wrong: the features are said to have drifted.";
        Self {
            version: Self::VERSION,
            institution: institution.to_owned(),
            dag: dag.clone(),
            logical_date,
            is_simulation: true,
            route: "test".to_owned(),
            groups: vec![AlertGroup {
                root: told("0a1b2c3d", ("table.fresh", "submissions"), late, "Nothing: it is a test."),
                followers: vec![told("4e5f6071", ("drift.alarm", "at_risk"), drift, "Nothing: it is a test.")],
            }],
            contact: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn sample() -> AlertNewsView {
        AlertNewsView::sample("Riverbend University", &"nightly".parse().unwrap(), date(2026, 11, 20))
    }

    #[test]
    fn a_summary_counts_what_is_told_and_not_what_is_only_named() {
        let mut view = sample();
        let over = ToldAlert { news: Some(News::Resolved), ..view.groups[0].root.clone() };
        view.groups[0].root.news = None;
        view.groups[0].followers.push(over);

        assert_eq!(view.summary(), "1 new, 1 resolved");
    }

    #[test]
    fn another_alert_or_other_news_of_it_is_another_signature() {
        let (view, mut other) = (sample(), sample());
        other.groups[0].root.news = Some(News::Worse);

        assert_eq!(view.signature(), sample().signature());
        assert_ne!(view.signature(), other.signature());
    }

    #[test]
    fn what_is_posted_keeps_its_shape() {
        let posted = serde_json::to_string_pretty(&sample()).unwrap();

        insta::assert_snapshot!(posted);
    }
}
