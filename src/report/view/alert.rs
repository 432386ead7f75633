//! One finding as it is reported to people; `report::alerts` decides which ones are.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::check::Severity;

/// A finding that is sent to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is sent.
    pub route: Route,
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
}

/// Where an alert is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// Into the night's e-mail.
    Email,
}
