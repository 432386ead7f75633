//! What an attempt does in a child process: it rebuilds the environment of job bodies and does the work.
//!
//! The configuration is the parent's, as it is in force there, so that files and variables that have changed meanwhile
//! make no difference between a run's attempts. The state store is not opened: what a body may know is in its input,
//! and what it wants is in its outcome.

use std::sync::Arc;

use anyhow::Context as _;

use super::environment::{EnvironmentParts, environment};
use super::setup::Setup;
use crate::engine::Runners;
use crate::engine::process::{MemoryMeans, inside};
use crate::jobs::Kinds;
use crate::lake::IfMissing;
use crate::telemetry::{self, AttemptLog, SystemClock, progress};

/// Carries out the attempt that this process's parent orders.
///
/// # Errors
/// When the order cannot be read or the outcome cannot be written: the parent then says that the attempt was lost.
pub async fn carry_out() -> anyhow::Result<()> {
    let mut order =
        inside::read_order().context("reading the order of an attempt: only a nocturne process starts this")?;
    progress::report_beside(&order.log);
    let log = AttemptLog::open(&order.log, order.log_bytes).context("opening the attempt's log")?;
    telemetry::init_attempt(log).map_err(|error| anyhow::anyhow!("starting the attempt's log: {error}"))?;
    let setup = std::mem::take(&mut order.setup);
    let handed_over = inside::carry_out(order, runners(setup).await).await;
    progress::end();
    handed_over.context("handing the attempt's outcome over")
}

async fn runners(setup: serde_json::Value) -> anyhow::Result<Arc<dyn Runners>> {
    let setup: Setup =
        serde_json::from_value(setup).context("reading the configuration that the parent process sent")?;
    let means = || MemoryMeans::Sampling("the parent process does it".to_owned());
    let parts = EnvironmentParts { clock: Arc::new(SystemClock), memory_means: means, lake: IfMissing::Create };
    let environment = environment(&Arc::new(setup.config), &setup.variables, parts).await?;
    Ok(Arc::new(Kinds(Arc::new(environment))))
}
