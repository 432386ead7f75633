//! The states of a run and of its jobs, and the only transitions between them.
//!
//! One `match` per state machine; any transition that it does not list is an error. The words are the same in the
//! database, the API, the command line and the logs.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::JobName;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident = $what:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Returns the state's word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord { found: text.to_owned(), what: $what, allowed: &[$($word),+] }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

/// A word that is not one of those allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not {what}; allowed: {}", allowed.join(", "))]
pub struct UnknownWord {
    /// What was found.
    pub found: String,
    /// What was expected.
    pub what: &'static str,
    /// The words that are allowed.
    pub allowed: &'static [&'static str],
}

words! {
    /// By what a run was asked for.
    Trigger = "what asks for a run" {
        /// Its DAG's schedule.
        Schedule = "schedule",
        /// A person, with `nocturne run`.
        Command = "command",
        /// A person, with `nocturne runs retry`.
        Retry = "retry",
        /// A person, with `nocturne backfill`.
        Backfill = "backfill",
    }
}

words! {
    /// The state of a run.
    RunState = "the state of a run" {
        /// It waits to be taken up.
        Queued = "queued",
        /// Its jobs are being done.
        Running = "running",
        /// Every job that mattered succeeded.
        Succeeded = "succeeded",
        /// A job failed.
        Failed = "failed",
        /// A person stopped it.
        Cancelled = "cancelled",
    }
}

words! {
    /// The state of a job within a run.
    JobState = "the state of a job" {
        /// It waits for its needs or a free place.
        Queued = "queued",
        /// An attempt runs.
        Running = "running",
        /// An attempt failed and another will follow.
        Retrying = "retrying",
        /// It is done; the reason says whether work was needed.
        Succeeded = "succeeded",
        /// Its last attempt failed.
        Failed = "failed",
        /// A person stopped it.
        Cancelled = "cancelled",
        /// Its `when` rule says that it is not wanted, or it was not asked for.
        Skipped = "skipped",
        /// A job it needs failed.
        UpstreamFailed = "upstream_failed",
    }
}

impl RunState {
    /// Returns whether nothing more will happen to the run.
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl RunState {
    /// Returns how a run ends whose jobs, all done, are in these states.
    pub fn of_jobs<'a>(jobs: impl IntoIterator<Item = &'a JobState> + Clone) -> Self {
        if jobs.clone().into_iter().any(|state| *state == JobState::Cancelled) {
            Self::Cancelled
        } else if jobs.into_iter().any(|state| state.is_failure()) {
            Self::Failed
        } else {
            Self::Succeeded
        }
    }
}

impl JobState {
    /// Returns whether nothing more will happen to the job in this run.
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Skipped | Self::UpstreamFailed)
    }

    /// Returns whether the job ended badly.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::UpstreamFailed)
    }
}

/// What happens to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// It was asked for.
    Queued {
        /// By what.
        trigger: Trigger,
    },
    /// A scheduler took it up (again).
    Started,
    /// It ended.
    Finished {
        /// How.
        state: RunState,
    },
    /// A person decided how one of its jobs counts, which changed how the run counts.
    Marked {
        /// How it counts now.
        state: RunState,
    },
}

/// What happens to a job of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JobEvent {
    /// An attempt began.
    AttemptStarted {
        /// Its number, from 1.
        attempt: u32,
    },
    /// The attempt's outcome was committed.
    AttemptSucceeded {
        /// Its number.
        attempt: u32,
        /// Its summary.
        summary: String,
    },
    /// The attempt failed.
    AttemptFailed {
        /// Its number.
        attempt: u32,
        /// Why, with its chain of causes.
        error: String,
        /// When the next one begins; `None`: never.
        retry_at: Option<Timestamp>,
    },
    /// The attempt was lost: its process died. It counts against a budget of its own, not as a try of the policy.
    AttemptLost {
        /// Its number.
        attempt: u32,
        /// How; the oldest events do not say.
        #[serde(default = "lost")]
        why: String,
        /// Whether the budget is used up.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        gives_up: bool,
    },
    /// The attempt was stopped because its process was told to end; the next start continues the job. It does not count
    /// as a try.
    AttemptDrained {
        /// Its number.
        attempt: u32,
    },
    /// The commit was refused, because what it was going to replace has changed since the attempt read it.
    AttemptSuperseded {
        /// Its number.
        attempt: u32,
        /// What had changed.
        what: String,
        /// Whether that happened too often.
        gives_up: bool,
    },
    /// A part of the running attempt's outcome was committed.
    PartCommitted {
        /// The attempt's number.
        attempt: u32,
        /// The part's name.
        part: String,
    },
    /// The job's rule says that it is not wanted.
    Skipped {
        /// Why, in words.
        why: String,
    },
    /// A job it needs failed.
    UpstreamFailed {
        /// Which.
        upstream: JobName,
    },
    /// A person stopped it.
    Cancelled,
    /// A person decided how it counts.
    Marked {
        /// As what.
        state: JobState,
        /// Who decided, and why.
        said: String,
    },
}

impl fmt::Display for RunEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queued { .. } => f.write_str("another request for it"),
            Self::Started => f.write_str("its start"),
            Self::Finished { state } => write!(f, "an end as {state}"),
            Self::Marked { state } => write!(f, "a mark as {state}"),
        }
    }
}

impl fmt::Display for JobEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AttemptStarted { attempt } => write!(f, "the start of attempt {attempt}"),
            Self::AttemptSucceeded { attempt, .. } => write!(f, "the success of attempt {attempt}"),
            Self::AttemptFailed { attempt, .. } => write!(f, "the failure of attempt {attempt}"),
            Self::AttemptLost { attempt, .. } => write!(f, "the loss of attempt {attempt}"),
            Self::AttemptDrained { attempt } => write!(f, "the stop of attempt {attempt}"),
            Self::AttemptSuperseded { attempt, .. } => write!(f, "a refused commit of attempt {attempt}"),
            Self::PartCommitted { attempt, part } => write!(f, "the part `{part}` of attempt {attempt}"),
            Self::Skipped { .. } => f.write_str("a skip"),
            Self::UpstreamFailed { upstream } => write!(f, "the failure of `{upstream}`, which it needs,"),
            Self::Cancelled => f.write_str("a cancellation"),
            Self::Marked { state, .. } => write!(f, "a mark as {state}"),
        }
    }
}

/// The error of an attempt whose process died without an explanation.
pub const LOST: &str = "the attempt was lost: its process died";

fn lost() -> String {
    LOST.to_owned()
}

/// A transition that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {what} is {state}, and {event} cannot follow")]
pub struct IllegalTransition {
    /// `run` or `job`.
    pub what: &'static str,
    /// The state it is in.
    pub state: &'static str,
    /// The event.
    pub event: String,
}

impl RunState {
    /// Returns the state after `event`; a run begins as `None`.
    ///
    /// # Errors
    /// When the event cannot happen in this state.
    pub fn after(before: Option<Self>, event: &RunEvent) -> Result<Self, IllegalTransition> {
        match (before, event) {
            (None, RunEvent::Queued { .. }) => Ok(Self::Queued),
            (Some(Self::Queued | Self::Running), RunEvent::Started) => Ok(Self::Running),
            (Some(Self::Queued), RunEvent::Finished { state: Self::Cancelled }) => Ok(Self::Cancelled),
            (Some(Self::Running), RunEvent::Finished { state }) if state.is_done() => Ok(*state),
            (Some(Self::Succeeded | Self::Failed | Self::Cancelled), RunEvent::Marked { state }) if state.is_done() => {
                Ok(*state)
            }
            _ => Err(IllegalTransition {
                what: "run",
                state: before.map_or("not there", Self::as_str),
                event: event.to_string(),
            }),
        }
    }
}

impl JobState {
    /// Returns the state after `event`.
    ///
    /// # Errors
    /// When the event cannot happen in this state.
    pub fn after(self, event: &JobEvent) -> Result<Self, IllegalTransition> {
        match (self, event) {
            (Self::Queued | Self::Retrying, JobEvent::AttemptStarted { .. }) => Ok(Self::Running),
            (Self::Running, JobEvent::AttemptSucceeded { .. }) => Ok(Self::Succeeded),
            (Self::Running, JobEvent::AttemptFailed { retry_at: Some(_), .. }) => Ok(Self::Retrying),
            (Self::Running, JobEvent::AttemptFailed { retry_at: None, .. }) => Ok(Self::Failed),
            (
                Self::Running,
                JobEvent::AttemptLost { gives_up: true, .. } | JobEvent::AttemptSuperseded { gives_up: true, .. },
            ) => Ok(Self::Failed),
            (
                Self::Running,
                JobEvent::AttemptLost { .. } | JobEvent::AttemptSuperseded { .. } | JobEvent::AttemptDrained { .. },
            ) => Ok(Self::Retrying),
            (Self::Running, JobEvent::PartCommitted { .. }) => Ok(Self::Running),
            (Self::Queued, JobEvent::Skipped { .. }) => Ok(Self::Skipped),
            (Self::Queued, JobEvent::UpstreamFailed { .. }) => Ok(Self::UpstreamFailed),
            (Self::Queued | Self::Running | Self::Retrying, JobEvent::Cancelled) => Ok(Self::Cancelled),
            (
                Self::Failed | Self::UpstreamFailed | Self::Cancelled | Self::Skipped,
                JobEvent::Marked { state: Self::Succeeded, .. },
            ) => Ok(Self::Succeeded),
            (Self::Succeeded, JobEvent::Marked { state: Self::Failed, .. }) => Ok(Self::Failed),
            _ => Err(IllegalTransition { what: "job", state: self.as_str(), event: event.to_string() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_follow_is_said_in_words() {
        let mark = JobEvent::Marked { state: JobState::Succeeded, said: "jo marked it".to_owned() };
        let refused = JobState::Succeeded.after(&mark).unwrap_err().to_string();

        assert_eq!(refused, "the job is succeeded, and a mark as succeeded cannot follow");
    }

    #[test]
    fn a_job_that_is_done_stays_done() {
        let states =
            [JobState::Succeeded, JobState::Failed, JobState::Cancelled, JobState::Skipped, JobState::UpstreamFailed];
        for state in states {
            assert!(state.is_done());
            assert!(state.after(&JobEvent::AttemptStarted { attempt: 2 }).is_err(), "{state}");
            assert!(state.after(&JobEvent::Cancelled).is_err(), "{state}");
        }
    }

    #[test]
    fn a_lost_attempt_is_followed_by_another() {
        let lost = |gives_up| JobEvent::AttemptLost { attempt: 1, why: lost(), gives_up };

        let state = JobState::Running.after(&lost(false)).unwrap();

        assert_eq!(state.after(&JobEvent::AttemptStarted { attempt: 2 }).unwrap(), JobState::Running);
        assert_eq!(JobState::Running.after(&lost(true)).unwrap(), JobState::Failed);
    }

    #[test]
    fn a_drained_attempt_is_followed_by_another() {
        let state = JobState::Running.after(&JobEvent::AttemptDrained { attempt: 1 }).unwrap();

        assert_eq!((state, state.is_done()), (JobState::Retrying, false));
    }

    #[test]
    fn a_lost_attempt_of_the_oldest_events_is_read() {
        let event: JobEvent = serde_json::from_str(r#"{"event":"attempt_lost","attempt":1}"#).unwrap();

        assert_eq!(event, JobEvent::AttemptLost { attempt: 1, why: LOST.to_owned(), gives_up: false });
    }

    #[test]
    fn a_running_run_may_be_taken_up_again_after_a_crash() {
        assert_eq!(RunState::after(Some(RunState::Running), &RunEvent::Started).unwrap(), RunState::Running);
        assert!(RunState::after(Some(RunState::Failed), &RunEvent::Started).is_err());
    }

    #[test]
    fn the_words_are_those_of_the_design() {
        for word in ["queued", "running", "retrying", "succeeded", "failed", "cancelled", "skipped", "upstream_failed"]
        {
            assert_eq!(word.parse::<JobState>().unwrap().as_str(), word);
        }
    }
}
