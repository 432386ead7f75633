//! Which attempts get a child process: all except those of kinds that run a program in its own process group anyway.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::child::ProcessIsolation;
use crate::domain::ids::KindName;
use crate::domain::measurement::HistoryWanted;
use crate::domain::outcome::JobError;
use crate::engine::runner::{Assignment, Done, Isolation, Parts, Runners};
use crate::engine::thread::ThreadIsolation;

/// Carries each attempt out in the isolation that suits its kind.
pub struct ByKind {
    runners: Arc<dyn Runners>,
    here: ThreadIsolation,
    child: ProcessIsolation,
}

impl ByKind {
    /// Returns the isolation over these kinds.
    pub fn new(runners: Arc<dyn Runners>, child: ProcessIsolation) -> Self {
        Self { here: ThreadIsolation::new(Arc::clone(&runners)), runners, child }
    }
}

#[async_trait]
impl Isolation for ByKind {
    fn history(&self, kind: &KindName) -> HistoryWanted {
        self.here.history(kind)
    }

    async fn carry_out(
        &self,
        assignment: Assignment,
        parts: Arc<dyn Parts>,
        cancel: CancellationToken,
    ) -> Result<Done, JobError> {
        let runner = self.runners.runner(&assignment.input.kind);
        if runner.is_none_or(|runner| runner.runs_in_parent()) {
            return self.here.carry_out(assignment, parts, cancel).await;
        }
        self.child.carry_out(assignment, parts, cancel).await
    }
}
