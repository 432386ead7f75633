//! The current jobs of a run: read from the store once when the run is taken up, then updated from the store's answers.
//!
//! The state store is the truth: this only holds what one of its transactions has answered. Waits are measured on the
//! monotonic clock, so that setting the system clock neither hastens nor delays a retry; across a restart the stored
//! instant counts, but never for longer than the policy's longest wait.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::domain::dag::Dag;
use crate::domain::ids::JobName;
use crate::domain::job::JobView;
use crate::domain::run::JobState;
use crate::store::JobStanding;

/// The jobs of one run.
pub(super) struct Standings {
    jobs: BTreeMap<JobName, JobStanding>,
    states: BTreeMap<JobName, JobState>,
    /// The views of those that have begun, in that order; they are part of every attempt's input.
    begun: Vec<Arc<JobView>>,
    place: HashMap<JobName, usize>,
    unbegun: BTreeMap<JobName, Arc<JobView>>,
    /// Jobs between two attempts, and when the next may begin.
    waiting: BTreeMap<JobName, Instant>,
}

impl Standings {
    /// Returns the jobs as they are when their run is taken up, at `now`.
    pub(super) fn new(dag: &Dag, standings: Vec<JobStanding>, now: Timestamp) -> Self {
        let mut found = Self {
            jobs: BTreeMap::new(),
            states: BTreeMap::new(),
            begun: Vec::new(),
            place: HashMap::new(),
            unbegun: BTreeMap::new(),
            waiting: BTreeMap::new(),
        };
        for standing in standings {
            let longest = dag.jobs.get(&standing.view.name).map_or(Duration::ZERO, |job| job.retry.max_backoff);
            let wait = standing.not_before.map_or(Duration::ZERO, |at| until(now, at).min(longest));
            found.take(standing, wait);
        }
        found
    }

    /// Takes over what the store has answered about a job; its next attempt may begin after `wait`.
    pub(super) fn take(&mut self, standing: JobStanding, wait: Duration) {
        let name = standing.view.name.clone();
        self.show(Arc::new(standing.view.clone()));
        if standing.view.state == JobState::Retrying {
            self.waiting.insert(name.clone(), Instant::now() + wait);
        } else {
            self.waiting.remove(&name);
        }
        self.states.insert(name.clone(), standing.view.state);
        self.jobs.insert(name, standing);
    }

    fn show(&mut self, view: Arc<JobView>) {
        match self.place.get(&view.name) {
            Some(place) => self.begun[*place] = view,
            None if view.started_at.is_some() => {
                self.unbegun.remove(&view.name);
                self.place.insert(view.name.clone(), self.begun.len());
                self.begun.push(view);
            }
            None => drop(self.unbegun.insert(view.name.clone(), view)),
        }
    }

    pub(super) fn states(&self) -> &BTreeMap<JobName, JobState> {
        &self.states
    }

    pub(super) fn job(&self, name: &JobName) -> Option<&JobStanding> {
        self.jobs.get(name)
    }

    /// Returns the jobs whose next attempt may begin by now.
    pub(super) fn due(&self) -> Vec<JobName> {
        let now = Instant::now();
        self.waiting.iter().filter(|(_, at)| **at <= now).map(|(job, _)| job.clone()).collect()
    }

    /// Returns when the next of the waiting jobs may begin.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.values().min().copied()
    }

    /// Returns the run's other jobs as input for `job`: in the order in which they began, then the others by name. Jobs
    /// that were not asked for are shown as they last ended for the same date, if they did.
    pub(super) fn others(&self, job: &JobName, standing: Vec<JobView>) -> Vec<Arc<JobView>> {
        let mut stood: BTreeMap<JobName, Arc<JobView>> =
            standing.into_iter().map(|view| (view.name.clone(), Arc::new(view))).collect();
        let views = self.begun.iter().chain(self.unbegun.values()).filter(|view| view.name != *job);
        views.map(|view| stood.remove(&view.name).unwrap_or_else(|| Arc::clone(view))).collect()
    }
}

fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
}
