//! Where attempts run, as the configuration says, and what they inherit.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::error::AppError;
use super::setup::{SUBCOMMAND, Setup};
use crate::config::{Config, Environment as Variables, Isolation as Where};
use crate::engine::process::{self, ByKind, MemoryLimit, MemoryMeans, ProcessIsolation, ProcessSettings};
use crate::engine::thread::ThreadIsolation;
use crate::engine::{Isolation, Runners};
use crate::jobs::{Environment, Kinds};

/// What programs need in order to be found and to print: all that a `command` inherits, and no secret.
const FOR_PROGRAMS: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// What libraries in a child process also read from its environment; everything else reaches it through a pipe.
const FOR_LIBRARIES: [&str; 11] = [
    "POLARS_MAX_THREADS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// Returns what a `command` inherits.
pub(super) fn inherited(variables: &Variables) -> Variables {
    only(variables, |name| FOR_PROGRAMS.contains(&name))
}

/// Returns the means of limiting memory; determined, and prepared, on first use.
pub(super) fn means() -> MemoryMeans {
    static MEANS: OnceLock<MemoryMeans> = OnceLock::new();
    MEANS.get_or_init(process::means).clone()
}

/// Returns the isolation that the configuration asks for.
pub(super) fn isolation(environment: Arc<Environment>, variables: &Variables) -> Result<Arc<dyn Isolation>, AppError> {
    let config = Arc::clone(&environment.config);
    let means = environment.memory_means;
    let runners: Arc<dyn Runners> = Arc::new(Kinds(environment));
    if config.engine.isolation == Where::Thread {
        return Ok(Arc::new(ThreadIsolation::new(runners)));
    }
    let setup = Setup { config: (*config).clone(), variables: needed(&config, variables) };
    let (scratch, logs) = (config.paths.scratch.clone(), config.paths.logs.clone());
    let settings = ProcessSettings {
        // The running program, even if its file has since been replaced by another version.
        program: PathBuf::from("/proc/self/exe"),
        arguments: vec![SUBCOMMAND.to_owned()],
        environment: only(variables, |name| FOR_PROGRAMS.contains(&name) || FOR_LIBRARIES.contains(&name)),
        setup: serde_json::to_value(&setup).map_err(|error| AppError::Setup(error.to_string()))?,
        scratch,
        logs,
        log_bytes: config.log.attempt_bytes.bytes(),
        limit: Box::new(move |kind| {
            let (bytes, key) = config.engine.memory_of(kind.as_str());
            MemoryLimit { bytes, key }
        }),
        means,
    };
    Ok(Arc::new(ByKind::new(runners, ProcessIsolation::new(settings))))
}

/// Ends what attempts of a dead owner have left running.
pub(super) fn end_survivors(config: &Config) -> Result<usize, AppError> {
    let scratch = &config.paths.scratch;
    process::end_survivors(scratch).map_err(|cause| AppError::File { path: scratch.display().to_string(), cause })
}

/// The variables that a child rebuilds its environment from: those that the configuration refers to, and what programs
/// need.
fn needed(config: &Config, variables: &Variables) -> BTreeMap<String, String> {
    let referred = config.secret_variables();
    only(variables, |name| referred.contains(name) || FOR_PROGRAMS.contains(&name))
}

fn only(variables: &Variables, keep: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
    variables.iter().filter(|(name, _)| keep(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}
