//! What people ask for by hand: who asked, why, and what for.
//!
//! Every manual act is recorded in the audit log, in the words that [`Manual::did`] makes.

use serde::{Deserialize, Serialize};

use super::ids::RunId;
use super::run::Trigger;

/// Who asked for something by hand, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Manual {
    /// The account's name on its machine.
    pub by: String,
    /// The reason, as the person gave it.
    pub why: Option<String>,
}

impl Manual {
    /// Returns the audit entry of an act, such as `jo cancelled the run: the export was incomplete`.
    pub fn did(&self, act: &str) -> String {
        match &self.why {
            Some(why) => format!("{} {act}: {why}", self.by),
            None => format!("{} {act} (no reason given)", self.by),
        }
    }
}

/// Why a run was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What triggered it.
    pub trigger: Trigger,
    /// Who asked for it; `None` for a schedule.
    pub manual: Option<Manual>,
    /// The run that it repairs.
    pub repairs: Option<RunId>,
    /// The backfill to which it belongs.
    pub backfill: Option<String>,
}

impl Asked {
    /// Returns the request of a schedule.
    pub const fn by_schedule() -> Self {
        Self { trigger: Trigger::Schedule, manual: None, repairs: None, backfill: None }
    }

    /// Returns a request made on the command line.
    pub const fn by_command(manual: Manual) -> Self {
        Self { trigger: Trigger::Command, manual: Some(manual), repairs: None, backfill: None }
    }

    /// Returns a repair of a run.
    pub const fn as_retry(manual: Manual, repairs: RunId) -> Self {
        Self { trigger: Trigger::Retry, manual: Some(manual), repairs: Some(repairs), backfill: None }
    }

    /// Returns a run of a backfill.
    pub const fn as_backfill(manual: Manual, backfill: String) -> Self {
        Self { trigger: Trigger::Backfill, manual: Some(manual), repairs: None, backfill: Some(backfill) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_says_who_did_it_and_why() {
        let jo = |why: Option<&str>| Manual { by: "jo".to_owned(), why: why.map(str::to_owned) };

        assert_eq!(jo(Some("summer")).did("paused DAG nightly"), "jo paused DAG nightly: summer");
        assert_eq!(jo(None).did("cancelled the run"), "jo cancelled the run (no reason given)");
    }
}
