//! The findings of a pull, kept so that an interrupted attempt changes neither them nor their order.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::check::Finding;

/// The findings of a pull, in the same order whatever was interrupted: by delivery, then by table.
#[derive(Debug, Default)]
pub(super) struct PullFindings {
    findings: BTreeMap<(Timestamp, usize), Vec<Finding>>,
    /// The deliveries whose own findings have been added.
    pub(super) introduced: BTreeSet<Timestamp>,
    /// The time up to which the source had been taken in before this run.
    pub(super) taken_before: Option<Timestamp>,
}

/// The position of the findings about a delivery as a whole, before all its tables.
pub(super) const DELIVERY: usize = 0;

impl PullFindings {
    pub(super) fn add(&mut self, at: Timestamp, place: usize, findings: Vec<Finding>) {
        if !findings.is_empty() {
            self.findings.entry((at, place)).or_default().extend(findings);
        }
    }

    pub(super) fn of(&self, at: Timestamp, place: usize) -> Vec<Finding> {
        self.findings.get(&(at, place)).cloned().unwrap_or_default()
    }

    /// Returns all of them.
    pub(super) fn all(&self) -> Vec<Finding> {
        self.findings.values().flatten().cloned().collect()
    }
}
