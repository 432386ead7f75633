//! One finding as it is reported to people; `report::alerts` decides which ones are.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::alert::{AlertEvent, Cause};
use crate::domain::check::Severity;

/// A finding that is sent to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// How bad it is.
    pub severity: Severity,
    /// The rule that was breached.
    pub check: String,
    /// What it is about.
    pub subject: String,
    /// What was found.
    pub message: String,
    /// What to do.
    pub advice: String,
    /// How often it was found.
    pub times: u32,
    /// The night in which it was found, where it is repeated from an earlier one.
    #[serde(default)]
    pub found_on: Option<Date>,
    /// What is remembered of it; `None` for what is only worth knowing, or told once.
    #[serde(default)]
    pub memory: Option<AlertMemory>,
}

impl Alert {
    /// Returns whether a person asked not to be reminded of it for now.
    pub fn is_silenced(&self) -> bool {
        self.memory.as_ref().is_some_and(|memory| memory.silenced_until.is_some())
    }
}

/// What is remembered of an alert from night to night.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertMemory {
    /// Its id, by which it is acknowledged and silenced.
    pub id: String,
    /// What kind of change is behind it.
    pub cause: Cause,
    /// What became of it tonight.
    pub event: AlertEvent,
    /// The night that opened it.
    pub since: Date,
    /// How many nights have found it.
    pub nights: u32,
    /// Who said that somebody sees to it.
    pub acknowledged_by: Option<String>,
    /// The day until which it is silenced, in the DAG's zone.
    pub silenced_until: Option<Date>,
    /// The alert further upstream from which it may follow: what it is about.
    pub follows_from: Option<String>,
}

/// An alert that tonight resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The check.
    pub check: String,
    /// What it was about.
    pub subject: String,
    /// The night that opened it.
    pub since: Date,
    /// How many nights had found it.
    pub nights: u32,
}
