//! The model in use, and how good it is against simpler ways to know.
//!
//! Every figure is shown beside that of a rule a person could apply and that of the courses' own history; a model that
//! is not clearly better than the rule is reported as such. Nothing here is about one student.

use serde::{Deserialize, Serialize};

use crate::domain::lineage::Basis;

/// The champion and its figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelView {
    /// The model's name, such as `at_risk`.
    pub name: String,
    /// What it is asked, in words, such as `who may fail or withdraw`.
    pub question: String,
    /// The champion's version, short.
    pub version: String,
    /// What it is, in words, such as `random forest, 200 trees`.
    pub algorithm: String,
    /// What happened to it tonight: a sentence, such as `Kept: the challenger was not better.`
    pub decision: String,
    /// On what it was measured, in words, such as `2014B, 6 courses`.
    pub evaluated_on: String,
    /// Whether those figures rest on data as they were known then.
    pub basis: Basis,
    /// The area under the ROC curve over all weeks.
    pub auc: Interval,
    /// The same for the simple rule.
    pub rule_auc: f64,
    /// The same for the courses' past share of students in difficulty.
    pub base_rate_auc: f64,
    /// The champion before this one, measured on the same data.
    pub previous: Option<PreviousModel>,
    /// The figures by course week, ascending.
    pub weeks: Vec<WeekView>,
}

impl ModelView {
    /// Returns whether it is clearly better than the simple rule: the lower end of its interval is above the rule.
    pub fn beats_rule(&self) -> bool {
        self.auc.low > self.rule_auc
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

/// An earlier champion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreviousModel {
    /// Its version, short.
    pub version: String,
    /// Its area under the ROC curve on the same data.
    pub auc: f64,
}

/// The figures of one course week.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WeekView {
    /// The course week.
    pub week: u32,
    /// The model.
    pub auc: Interval,
    /// The simple rule.
    pub rule_auc: f64,
    /// The courses' past share.
    pub base_rate_auc: f64,
}
