//! Which jobs of a DAG a person has asked for: some of them, or one and all that need it.
//!
//! A job that the DAG does not have is an error that names those that it has.

use super::{ExitCode, Failure};
use crate::domain::dag::Dag;
use crate::domain::ids::JobName;

/// Returns the jobs that were asked for; `None`: all.
pub(super) fn wanted(dag: &Dag, jobs: &[JobName], from: Option<&JobName>) -> Result<Option<Vec<JobName>>, Failure> {
    for job in jobs.iter().chain(from) {
        if !dag.jobs.contains_key(job) {
            let known: Vec<&str> = dag.jobs.keys().map(JobName::as_str).collect();
            let error = anyhow::anyhow!("`{}` has no job `{job}`; it has {}", dag.name, known.join(", "));
            return Err(Failure::new(ExitCode::NotFound, error));
        }
    }
    Ok(match from {
        Some(job) => Some(dag.with_dependents(job)),
        None if jobs.is_empty() => None,
        None => Some(jobs.to_vec()),
    })
}
