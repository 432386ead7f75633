//! A validated DAG: a schedule and its jobs, with nothing left to check.
//!
//! `spec` makes these from a file and refuses every mistake at once. Code that has a [`Dag`] may rely on it: every kind
//! exists, its params parse, every need names a job, and there is no cycle. The form is serialisable, because the state
//! store keeps each version that was run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::civil::Time;
use serde::{Deserialize, Serialize};

use super::ids::{DagName, JobName, KindName};
use super::retry::RetryPolicy;

/// One DAG.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dag {
    /// Its name, the same as its file's.
    pub name: DagName,
    /// Its purpose, in a sentence; may be empty.
    pub description: String,
    /// When it runs by itself; `None`: only on request.
    pub schedule: Option<Schedule>,
    /// The IANA name of the zone in which its dates and times are meant.
    pub timezone: String,
    /// By when a run should be done, in local time.
    pub deadline: Option<Time>,
    /// How many jobs may run at once; at least 1.
    pub max_parallel: usize,
    /// The jobs, by name.
    pub jobs: BTreeMap<JobName, Job>,
    /// The hash of the file's text: the DAG's version.
    pub version: String,
}

/// When a DAG runs by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The cron expression (5 or 6 fields, or `@daily` and its like), already parsed once.
    pub cron: String,
    /// What happens to a time that the clocks jump over.
    pub gap: GapPolicy,
    /// Which of two equal local times counts when clocks go back.
    pub fold: FoldPolicy,
    /// Which missed slots are caught up after downtime.
    pub catch_up: CatchUp,
    /// What happens when the earlier run is still running.
    pub overlap: OverlapPolicy,
}

/// What happens to a local time that does not exist (`dst.gap`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GapPolicy {
    /// It runs at the first instant after the gap.
    #[default]
    Next,
    /// It does not run that day.
    Skip,
}

/// Which of two equal local times counts (`dst.overlap`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FoldPolicy {
    /// The first.
    #[default]
    First,
    /// The second.
    Second,
}

/// Which missed slots are caught up (`catch_up`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// None of them.
    None,
    /// The latest one.
    #[default]
    Latest,
    /// All, in order.
    All,
}

/// What happens when a slot comes while the DAG's earlier run is still running (`overlap`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverlapPolicy {
    /// The slot is skipped, and that is recorded.
    #[default]
    Skip,
    /// The new run waits.
    Queue,
    /// The earlier run is cancelled.
    Replace,
    /// Both run.
    Allow,
}

/// A node of a DAG.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its name within the DAG.
    pub name: JobName,
    /// The kind that does it.
    pub kind: KindName,
    /// The kind's parameters (`with`), valid by the kind's schema.
    pub params: serde_json::Value,
    /// The jobs it needs.
    pub needs: Vec<JobName>,
    /// When it may start, given how its needs ended.
    pub when: When,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How often, and after what wait, a failed attempt is tried again.
    pub retry: RetryPolicy,
}

/// When a job may start, given how its needs ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// All needs succeeded.
    #[default]
    AllSuccess,
    /// All needs ended, however.
    AllDone,
    /// At least one need failed (all have ended).
    OneFailed,
    /// All needs ended and none failed; skipped ones are fine.
    NoneFailed,
    /// At least one need succeeded (all have ended).
    OneSuccess,
    /// At once, without waiting.
    Always,
}

impl Dag {
    /// Returns the DAG as it looks to a run of only some jobs: jobs that were not asked for are not waited for, and
    /// their latest results are used.
    pub fn asked_for(mut self, only: Option<&[JobName]>) -> Self {
        if let Some(only) = only {
            self.jobs.values_mut().for_each(|job| job.needs.retain(|need| only.contains(need)));
        }
        self
    }

    /// Returns the parameters of its jobs, by name.
    pub fn params(&self) -> BTreeMap<JobName, serde_json::Value> {
        self.jobs.values().map(|job| (job.name.clone(), job.params.clone())).collect()
    }

    /// Returns the jobs in an order in which they could run: by their depth in the graph, those that need nothing
    /// first, then by name.
    pub fn in_order(&self) -> Vec<&Job> {
        let depths = self.depths();
        let mut jobs: Vec<&Job> = self.jobs.values().collect();
        jobs.sort_by_key(|job| (depths.get(&job.name).copied().unwrap_or(0), &job.name));
        jobs
    }

    /// Returns for each job how many others come before it on the longest path to it.
    pub fn depths(&self) -> BTreeMap<JobName, usize> {
        let mut depths: BTreeMap<JobName, usize> = BTreeMap::new();
        // Without cycles, each pass settles at least the next level.
        for _ in 0..=self.jobs.len() {
            let mut has_moved = false;
            for job in self.jobs.values() {
                let deepest = job.needs.iter().map(|need| depths.get(need).map_or(0, |depth| depth + 1)).max();
                let depth = deepest.unwrap_or(0);
                has_moved |= depths.insert(job.name.clone(), depth) != Some(depth);
            }
            if !has_moved {
                break;
            }
        }
        depths
    }

    /// Returns `job` and every job that needs it, directly or indirectly, in the order of their names.
    pub fn with_dependents(&self, job: &JobName) -> Vec<JobName> {
        let mut needed_by: BTreeMap<&JobName, Vec<&JobName>> = BTreeMap::new();
        for dependent in self.jobs.values() {
            for need in &dependent.needs {
                needed_by.entry(need).or_default().push(&dependent.name);
            }
        }
        let mut found = BTreeSet::from([job]);
        let mut waiting = vec![job];
        while let Some(name) = waiting.pop() {
            let dependents = needed_by.get(name).into_iter().flatten().copied();
            waiting.extend(dependents.filter(|name| found.insert(*name)));
        }
        found.into_iter().filter(|name| self.jobs.contains_key(*name)).cloned().collect()
    }
}
