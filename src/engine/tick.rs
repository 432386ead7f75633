//! What a scheduler does at a given time: pure decisions, with the tests.
//!
//! [`due`] says which slots of a DAG get a run, which are skipped and why; [`to_take_up`] says which open runs may
//! begin. Both see only values, so a history of crashes, pauses and wrong clocks is a list of calls. Promises: a slot
//! is never lost because an earlier run was cut off, made by hand or has still to be caught up; an edited schedule
//! begins with its next slot, after what the old one still owed; a clock that goes back loses only what it had already
//! used up.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::dag::{Dag, OverlapPolicy, Schedule};
use crate::domain::ids::{DagName, RunId};
use crate::domain::run::{RunState, Trigger};
use crate::domain::schedule::{self, ScheduleError, Slot};
use crate::store::{Pause, RunRecord, Watermark};

/// How far in the future a slot may have been run early by a wrong clock without being run again.
const EARLY: SignedDuration = SignedDuration::from_hours(24);

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// The slots that a wrong clock has skipped after `after`, and all after `beyond`, are free again.
    Free {
        /// The present instant.
        after: Timestamp,
        /// After this even slots that were run are free.
        beyond: Timestamp,
    },
    /// The watermark is set, with the schedule by which the next slots are processed.
    SetWatermark(Watermark),
    /// The slot gets a run; these runs are cancelled first.
    Make {
        /// The slot.
        slot: Slot,
        /// Earlier runs that it replaces.
        cancel: Vec<RunId>,
    },
    /// The slot gets no run.
    Skip {
        /// The slot.
        slot: Slot,
        /// Why, for a person.
        why: String,
        /// Who is told.
        tells: Tells,
    },
}

/// Who is told of a slot that is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tells {
    /// Those who are owed an e-mail for it.
    Recipients,
    /// Nobody: a person has paused the schedule.
    Nobody,
}

/// The runs that a decision looks at.
#[derive(Debug, Clone, Copy)]
pub struct Runs<'a> {
    /// Those that are not done.
    pub open: &'a [RunRecord],
    /// Those that this scheduler is carrying out; for `due`, only those that were not cut off before.
    pub taken_up: &'a BTreeSet<RunId>,
}

/// A schedule as stored with a watermark.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    schedule: Schedule,
    timezone: String,
}

/// Returns what to do about a DAG's slots at `now`. A DAG without a schedule needs nothing.
///
/// # Errors
/// When its schedule cannot be used for planning.
pub fn due(
    dag: &Dag,
    watermark: Option<&Watermark>,
    runs: Runs<'_>,
    now: Timestamp,
) -> Result<Vec<Act>, ScheduleError> {
    let Some(schedule) = &dag.schedule else { return Ok(Vec::new()) };
    let present = Remembered { schedule: schedule.clone(), timezone: dag.timezone.clone() };
    let remembered = serde_json::to_string(&present).ok();
    let from_now = || Act::SetWatermark(Watermark { at: now, schedule: remembered.clone() });
    let Some(watermark) = watermark else {
        // A DAG that was never scheduled here begins with its next slot, not with past ones.
        return Ok(vec![from_now()]);
    };
    if watermark.at > now {
        let beyond = now.checked_add(EARLY).unwrap_or(Timestamp::MAX);
        return Ok(vec![Act::Free { after: now, beyond }, from_now()]);
    }
    let before = watermark.schedule.as_deref().and_then(|text| serde_json::from_str::<Remembered>(text).ok());
    match before {
        Some(before) if before != present => {
            let mut acts = before.owed(dag, watermark.at, runs, now)?;
            acts.push(from_now());
            Ok(acts)
        }
        Some(_) => present.owed(dag, watermark.at, runs, now),
        None => {
            let mut acts = vec![Act::SetWatermark(Watermark { at: watermark.at, schedule: remembered.clone() })];
            acts.extend(present.owed(dag, watermark.at, runs, now)?);
            Ok(acts)
        }
    }
}

impl Remembered {
    /// Returns what the schedule owes since its watermark.
    fn owed(&self, dag: &Dag, since: Timestamp, runs: Runs<'_>, now: Timestamp) -> Result<Vec<Act>, ScheduleError> {
        let slots = schedule::due_between(&self.schedule, &self.timezone, since, now)?;
        let wanted = schedule::catch_up(self.schedule.catch_up, &slots, now);
        let is_made_up_for = wanted.len() > 1 || wanted.iter().any(|slot| schedule::is_missed(slot, now));
        let act = |slot: Slot| {
            if !wanted.contains(&slot) {
                let why = "it was missed, and is not made up for (`catch_up`)".to_owned();
                return Act::Skip { slot, why, tells: Tells::Recipients };
            }
            let others: Vec<&RunRecord> = runs.open.iter().filter(|run| run.dag == dag.name).collect();
            match self.schedule.overlap {
                OverlapPolicy::Replace => {
                    Act::Make { slot, cancel: others.iter().map(|run| run.run_id.clone()).collect() }
                }
                OverlapPolicy::Skip if !is_made_up_for => match others.iter().find(|run| is_in_the_way(run, runs)) {
                    Some(run) => {
                        let why = format!("the earlier run {} was still open (`overlap = \"skip\"`)", run.run_id);
                        Act::Skip { slot, why, tells: Tells::Recipients }
                    }
                    None => Act::Make { slot, cancel: Vec::new() },
                },
                // It waits for the others: see `to_take_up`.
                OverlapPolicy::Skip | OverlapPolicy::Queue | OverlapPolicy::Allow => {
                    Act::Make { slot, cancel: Vec::new() }
                }
            }
        };
        Ok(slots.into_iter().map(act).collect())
    }
}

/// Returns what these acts become while the DAG's schedule is paused: every slot is skipped, and nobody is told.
pub fn while_paused(acts: Vec<Act>, pause: &Pause) -> Vec<Act> {
    let why = match &pause.manual.why {
        Some(why) => format!("{} paused the schedule: {why}", pause.manual.by),
        None => format!("{} paused the schedule", pause.manual.by),
    };
    let skipped = |act| match act {
        Act::Make { slot, .. } | Act::Skip { slot, .. } => Act::Skip { slot, why: why.clone(), tells: Tells::Nobody },
        Act::Free { .. } | Act::SetWatermark(_) => act,
    };
    acts.into_iter().map(skipped).collect()
}

/// Whether an open run costs the next slot: only a complete run, made when its slot came, that is proceeding normally.
/// A run that was cut off or caught up is late through no fault of its schedule, and one made by hand does not count as
/// a scheduled night.
fn is_in_the_way(run: &RunRecord, runs: Runs<'_>) -> bool {
    let goes_on = run.state == RunState::Queued || (run.taken_up <= 1 && runs.taken_up.contains(&run.run_id));
    let slot = run.slot.map(|at| Slot { at, date: run.logical_date });
    let was_in_time = slot.is_none_or(|slot| !schedule::is_missed(&slot, run.queued_at));
    run.trigger == Trigger::Schedule && run.only.is_none() && goes_on && was_in_time
}

/// What an open run may run beside, among the runs of its DAG.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// No other run: they are carried out one after the other.
    None,
    /// At most this many runs of its backfill at once, and no others.
    OfBackfill(u32),
    /// Any (`overlap = "allow"`).
    Any,
}

/// Returns the open runs that may begin now, in order: those left running first, then the queued ones, scheduled ones
/// before those asked for by hand, and backfills last, each oldest first. Those of one DAG begin one after the other,
/// unless `beside` allows more.
pub fn to_take_up(runs: Runs<'_>, beside: &BTreeMap<RunId, Beside>) -> Vec<RunId> {
    let mut open: Vec<&RunRecord> = runs.open.iter().filter(|run| !run.state.is_done()).collect();
    open.sort_by_key(|run| {
        (run.state == RunState::Queued, rank(run), run.slot.unwrap_or(run.queued_at), run.run_id.clone())
    });
    let mut at_work: Vec<&RunRecord> = open.iter().filter(|run| runs.taken_up.contains(&run.run_id)).copied().collect();
    let mut waiting: BTreeSet<&DagName> = BTreeSet::new();
    let mut chosen = Vec::new();
    for run in open.iter().filter(|run| !runs.taken_up.contains(&run.run_id)) {
        let others = || at_work.iter().filter(|other| other.dag == run.dag);
        let may_begin = match beside.get(&run.run_id).copied().unwrap_or(Beside::None) {
            Beside::Any => true,
            // A waiting run is not overtaken.
            _ if waiting.contains(&run.dag) => false,
            Beside::OfBackfill(most) => {
                others().all(|other| other.backfill == run.backfill) && others().count() < most.max(1) as usize
            }
            Beside::None => others().next().is_none(),
        };
        if may_begin {
            at_work.push(run);
            chosen.push(run.run_id.clone());
        } else {
            waiting.insert(&run.dag);
        }
    }
    chosen
}

/// The order in which queued runs get their turn: no scheduled night waits for a backfill.
const fn rank(run: &RunRecord) -> u8 {
    match run.trigger {
        Trigger::Schedule => 0,
        Trigger::Command | Trigger::Retry => 1,
        Trigger::Backfill => 2,
    }
}

#[cfg(test)]
mod tests;
