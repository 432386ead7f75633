//! The sections about what is counted and reported, and with what limits: population, labels, features, quality, drift.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::freshness::Rhythm;
use crate::domain::spec::LONGEST_GRACE;

/// Who counts.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Population {
    /// Only courses of these accounts (ids); empty: all.
    #[schemars(inner(range(min = 1)))]
    pub accounts: Vec<i64>,
}

/// When labels are known and what they mean.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// Days after a course's end at which its results, withdrawals included, count as known.
    #[schemars(range(min = 0, max = 365))]
    pub lag_days: i64,
    /// A final mark below this is a fail, on 0 to 100.
    #[schemars(range(min = 0, max = 100))]
    pub pass_mark: f64,
}

/// Feature partitions.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Features {
    /// The course weeks of past courses on which models are trained.
    #[schemars(length(min = 1), inner(range(min = 1, max = 60)), extend("uniqueItems" = true))]
    pub weeks: Vec<u32>,
    /// How long after a cutoff a delivery still counts as known at it: the night that follows. At most `168h`.
    #[schemars(extend("x-longest" = LONGEST_GRACE))]
    pub delivery_grace: String,
}

/// Limits of the quality checks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// How many days a delivery may be late before its table is too old.
    #[schemars(range(min = 0, max = 3650))]
    pub fresh_days: i64,
    /// How often tables are delivered that are not delivered every day.
    #[serde(default)]
    pub rhythm: BTreeMap<String, Rhythm>,
    /// A larger change of a table's rows since the last night, as a share, is a warning.
    #[schemars(range(min = 0, max = 100))]
    pub row_change: f64,
    /// A larger share of references that lead nowhere is a warning.
    #[schemars(range(min = 0, max = 1))]
    pub orphan_share: f64,
}

/// Limits of drift.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// The Kolmogorov-Smirnov distance that counts as drift while there are too few terms to learn one.
    #[schemars(range(min = 0, max = 1))]
    pub fallback_ks: f64,
    /// The population stability index that counts as drift while there are too few terms to learn one.
    #[schemars(range(min = 0, max = 100))]
    pub fallback_psi: f64,
    /// The share of the model's importance that must have drifted for a warning.
    #[schemars(range(min = 0, max = 1))]
    pub alarm_share: f64,
}
