//! Drift: whether this term's students look like those the model learned from.
//!
//! Plain figures, made by `ml`; the thresholds come with them. The alarm weighs features by how much the model relies
//! on them, because on course data something unimportant always moves.

use serde::{Deserialize, Serialize};

/// What the drift comparison found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftView {
    /// What tonight is compared with, in words, such as `week 9 of the terms 2013J and 2014B`.
    pub reference: String,
    /// Features that were compared.
    pub looked_at: usize,
    /// Features beyond their threshold.
    pub drifted: usize,
    /// The share of the model's importance that the drifted features carry, 0 to 1; where that is not known, their share of
    /// the features.
    pub weighted_share: f64,
    /// Whether it is known how much the model relies on each feature.
    #[serde(default = "yes")]
    pub is_weighted: bool,
    /// Whether what is usual was learnt from earlier terms; otherwise the configured limit counts.
    #[serde(default = "yes")]
    pub is_learnt: bool,
    /// The share from which the alarm is raised, 0 to 1.
    pub alarm_share: f64,
    /// The features that moved most, the furthest beyond its threshold first.
    pub top: Vec<FeatureDrift>,
    /// How many features beyond their threshold are not among them.
    #[serde(default)]
    pub unlisted: usize,
    /// The same for the scores themselves.
    pub scores: Option<FeatureDrift>,
}

impl DriftView {
    /// Returns whether enough of what matters has moved.
    pub fn is_alarming(&self) -> bool {
        self.weighted_share >= self.alarm_share
    }
}

/// What an earlier version of the program took for granted.
const fn yes() -> bool {
    true
}

/// How far one feature has moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureDrift {
    /// The feature's name.
    pub feature: String,
    /// What it means, in a few words.
    pub label: String,
    /// The measure, such as `PSI`.
    pub method: String,
    /// The distance between then and now.
    pub distance: f64,
    /// The distance that is usual between terms.
    pub threshold: f64,
    /// How much the model relies on it, 0 to 1; `None` where that is not known.
    pub importance: Option<f64>,
}

impl FeatureDrift {
    /// Returns whether it moved further than is usual.
    pub fn is_beyond(&self) -> bool {
        self.distance > self.threshold
    }
}
