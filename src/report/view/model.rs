//! A model of the DAG: the version in use, how good it is against simpler ways to know, and what became of a new one.
//!
//! Every figure is shown beside that of a rule a person could apply and that of the courses' own history; a model that
//! is not clearly better than the rule is reported as such. A figure that is not defined, or was not computed, is `None`
//! and never a number. Nothing here is about one student.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::lineage::Basis;
use crate::report::format::three_decimals;

/// A model, as the report speaks of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInUse {
    /// The model's name, such as `at_risk`.
    pub name: String,
    /// The version in use, which makes the scores; `None` where there is none yet.
    pub champion: Option<ModelView>,
    /// What became of the newest version, where it is not in use.
    pub challenger: Option<Challenger>,
    /// Why no version was trained, where a job should have, in words.
    pub untrained: Option<String>,
    /// What the last e-mail said of the version in use.
    pub told: ToldVersion,
    /// Whether that e-mail said of its version that the figures are to be read with care.
    #[serde(default)]
    pub told_with_care: bool,
}

impl ModelInUse {
    /// Returns whether no e-mail has told yet of the version in use.
    pub fn is_new(&self) -> bool {
        self.champion.as_ref().is_some_and(|champion| self.told != ToldVersion::Version(champion.version.clone()))
    }

    /// Returns whether the version in use is to be read with care, and people have not been told so of this one, nor of
    /// the one before it.
    pub fn needs_new_care(&self) -> bool {
        self.is_new() && !self.told_with_care && self.champion.as_ref().is_some_and(|champion| !champion.beats_rule())
    }
}

/// What an earlier e-mail said of the version of a model that is in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToldVersion {
    /// No earlier e-mail is known that spoke of the model.
    Nothing,
    /// That no version was in use.
    NoVersion,
    /// That this version, short, was in use.
    Version(String),
}

/// A trained version that is not in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Challenger {
    /// Its version, short.
    pub version: String,
    /// What keeps it from use.
    pub state: ChallengerState,
    /// The gate's words.
    pub why: String,
    /// Its area under the ROC curve; `None` where it is not defined.
    pub auc: Option<f64>,
    /// The date of the run that trained it, where that is known.
    pub trained_for: Option<Date>,
}

/// What keeps a trained version from use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChallengerState {
    /// It did not meet the acceptance thresholds.
    Refused,
    /// It met them, and a person has to approve it.
    Waiting,
}

/// A version of a model and its figures, as they were measured when it was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelView {
    /// The model's name, such as `at_risk`.
    pub name: String,
    /// What it is asked, in words, such as `who may fail or withdraw`.
    pub question: String,
    /// The version, short.
    pub version: String,
    /// What it is, in words, such as `random forest, 200 trees`.
    pub algorithm: String,
    /// Why it is in use, in the gate's words.
    pub decision: String,
    /// The date of the run that trained it, where that is known.
    pub trained_for: Option<Date>,
    /// On what it was measured, in words, such as `2014B, 6 courses`.
    pub evaluated_on: String,
    /// Whether those figures rest on data as they were known then.
    pub basis: Basis,
    /// The area under the ROC curve over all weeks.
    pub auc: Option<Interval>,
    /// The same for the simple rule.
    pub rule_auc: Option<f64>,
    /// By how much the model's is above the rule's, on the same rows.
    pub gain_over_rule: Option<Interval>,
    /// The same as `auc` for the courses' past share of students in difficulty.
    pub base_rate_auc: Option<f64>,
    /// The champion before this one.
    pub previous: Option<PreviousModel>,
    /// The figures by course week, ascending.
    pub weeks: Vec<WeekView>,
}

impl ModelView {
    /// Returns the view with three decimals in each figure: from more, the counts of students behind it can be worked out.
    #[must_use]
    pub fn rounded(self) -> Self {
        let round = |figure: Option<f64>| figure.map(three_decimals);
        let weeks = self.weeks.into_iter().map(|week| WeekView {
            week: week.week,
            auc: week.auc.rounded(),
            rule_auc: round(week.rule_auc),
            base_rate_auc: round(week.base_rate_auc),
        });
        Self {
            auc: self.auc.map(Interval::rounded),
            rule_auc: round(self.rule_auc),
            gain_over_rule: self.gain_over_rule.map(Interval::rounded),
            base_rate_auc: round(self.base_rate_auc),
            previous: self.previous.map(|previous| PreviousModel { auc: round(previous.auc), ..previous }),
            weeks: weeks.collect(),
            ..self
        }
    }

    /// Returns whether it is clearly better than the simple rule: the whole interval of its gain is above 0.
    pub fn beats_rule(&self) -> bool {
        self.gain_over_rule.is_some_and(|gain| gain.low > 0.0)
    }
}

/// A figure with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The figure.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    fn rounded(self) -> Self {
        Self { value: three_decimals(self.value), low: three_decimals(self.low), high: three_decimals(self.high) }
    }
}

/// An earlier champion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreviousModel {
    /// Its version, short.
    pub version: String,
    /// Its area under the ROC curve in its own test.
    pub auc: Option<f64>,
    /// The term of that test.
    pub test_term: Option<String>,
}

/// The figures of one course week.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WeekView {
    /// The course week.
    pub week: u32,
    /// The model.
    pub auc: Interval,
    /// The simple rule.
    pub rule_auc: Option<f64>,
    /// The courses' past share.
    pub base_rate_auc: Option<f64>,
}
