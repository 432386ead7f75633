//! What a kind is, in types, and how the engine runs it as a `JobRunner`.
//!
//! A kind is a name, a summary, an example, typed parameters and one function from input to outcome. The adapter
//! parses the parameters (they were validated with the DAG already), hands over the context and lets the engine see
//! only the object-safe trait. A kind has no effect of its own: it stages content-named data and returns an outcome.

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::shared::environment::Environment;
use crate::domain::fingerprint::{DependsOn, Fingerprint, Why};
use crate::domain::job::JobInput;
use crate::domain::measurement::HistoryWanted;
use crate::domain::outcome::{JobError, Outcome};
use crate::engine::{JobRunner, Parts};

/// A kind of job. How to add one: see `jobs/mod.rs`.
#[async_trait]
pub trait JobKind: Send + Sync + 'static {
    /// Its name in a DAG file.
    const NAME: &'static str;
    /// What it does, in a sentence.
    const SUMMARY: &'static str;
    /// A job as a DAG file has it; a test parses it.
    const EXAMPLE: &'static str;
    /// Whether it runs a program in its own process group, which it stops itself when told to; no child process is then
    /// put around it.
    const RUNS_IN_PARENT: bool = false;
    /// Which measurements of earlier nights it reads ([`JobInput::history`]).
    const HISTORY: HistoryWanted = HistoryWanted::NONE;
    /// The parameters (`with`).
    type Params: DeserializeOwned + Serialize + JsonSchema + Send + Sync;

    /// Returns what the outcome depends on besides parameters and code, under names that a person knows; `None`: always
    /// run.
    ///
    /// # Errors
    /// When the inputs cannot be read.
    async fn inputs(params: &Self::Params, cx: &JobContext) -> Result<Option<DependsOn>, JobError>;

    /// Does the job.
    ///
    /// # Errors
    /// Saying whether another try might help.
    async fn run(params: Self::Params, cx: &JobContext) -> Result<Outcome, JobError>;
}

/// What a body may use.
pub struct JobContext {
    /// What it is given.
    pub input: JobInput,
    /// What all bodies share.
    pub environment: Arc<Environment>,
    /// Takes parts of the outcome that must be committed before the job's end.
    pub parts: Arc<dyn Parts>,
    /// Whether it must stop.
    pub cancel: CancellationToken,
}

impl JobContext {
    /// Returns an error when the job was told to stop: bodies call it between their steps.
    ///
    /// # Errors
    /// When it was told to stop.
    pub fn go_on(&self) -> Result<(), JobError> {
        if self.cancel.is_cancelled() { Err(JobError::Cancelled) } else { Ok(()) }
    }
}

/// A kind as lists show it, with its runner.
pub struct Registered {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// An example stanza.
    pub example: &'static str,
    /// Makes the JSON schema of its parameters.
    pub params_schema: fn() -> serde_json::Value,
    /// Makes its runner.
    pub(super) runner: fn(Arc<Environment>) -> Arc<dyn JobRunner>,
}

/// Returns the registration of the kind `K`.
pub(super) fn register<K: JobKind>() -> Registered {
    Registered {
        name: K::NAME,
        summary: K::SUMMARY,
        example: K::EXAMPLE,
        params_schema: || schemars::schema_for!(K::Params).to_value(),
        runner: |environment| Arc::new(Adapter::<K> { environment, kind: PhantomData }),
    }
}

struct Adapter<K> {
    environment: Arc<Environment>,
    kind: PhantomData<fn() -> K>,
}

impl<K: JobKind> Adapter<K> {
    fn params(input: &JobInput) -> Result<K::Params, JobError> {
        serde_json::from_value(input.params.clone()).map_err(|error| {
            JobError::Fail(anyhow::anyhow!(
                "the parameters of `{}` do not fit the kind `{}`: {error}",
                input.job,
                K::NAME
            ))
        })
    }

    fn context(&self, input: JobInput, parts: Arc<dyn Parts>, cancel: CancellationToken) -> JobContext {
        JobContext { input, environment: Arc::clone(&self.environment), parts, cancel }
    }
}

#[async_trait]
impl<K: JobKind> JobRunner for Adapter<K> {
    async fn fingerprint(&self, input: &JobInput, cancel: &CancellationToken) -> Result<Option<Fingerprint>, JobError> {
        let params = Self::params(input)?;
        let cx = self.context(input.clone(), Arc::new(NoParts), cancel.clone());
        let inputs = K::inputs(&params, &cx).await?;
        Ok(inputs.map(|inputs| Fingerprint::new(K::NAME, &input.params, &inputs)))
    }

    async fn run(
        &self,
        input: JobInput,
        parts: Arc<dyn Parts>,
        cancel: CancellationToken,
    ) -> Result<Outcome, JobError> {
        let params = Self::params(&input)?;
        K::run(params, &self.context(input, parts, cancel)).await
    }

    fn history(&self) -> HistoryWanted {
        K::HISTORY
    }

    fn runs_in_parent(&self) -> bool {
        K::RUNS_IN_PARENT
    }
}

/// For looking at the inputs, which has no effect: nothing is handed over.
struct NoParts;

#[async_trait]
impl Parts for NoParts {
    fn note_why(&self, _: Why) {}

    async fn commit(&self, _: &str, _: Outcome) -> Result<(), JobError> {
        Err(JobError::Fail(anyhow::anyhow!("a fingerprint hands nothing over: this is a mistake in the program")))
    }
}
