//! What a process does with its secrets before it starts anything: it removes them from where others can read them.
//!
//! A job's program runs as the same user as the daemon. The environment with which the daemon was started is cleared
//! (`config::environment`), and its memory is made unreadable to others. Neither keeps the superuser out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::AppError;
use crate::config::{Config, Layers, Use, process_environment, start_again_without, variables_in};

/// Removes every variable of ours, and every one that the configuration or a DAG refers to, from the environment that
/// others can see; if there are any, this process starts again. Then no other process may read its memory.
///
/// # Errors
/// When the process cannot start itself again.
pub fn give_up(files: &[PathBuf]) -> Result<(), AppError> {
    let variables = process_environment();
    let mut names: BTreeSet<String> = variables.keys().filter(|name| name.starts_with("NOCTURNE__")).cloned().collect();
    // A configuration that is not valid is reported, with all its mistakes, when it is used.
    if let Ok(config) = Layers::read(files, variables).and_then(|layers| layers.config_for(Use::Looking)) {
        names.extend(config.secret_variables());
        names.extend(variables_of_dags(&config));
    }
    let failed = |cause| AppError::File { path: "/proc/self/exe".to_owned(), cause };
    start_again_without(&names).map_err(failed)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| failed(error.into()))
}

/// The variables that the parameters of DAGs refer to, as far as their files can be read.
fn variables_of_dags(config: &Config) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let Ok(entries) = std::fs::read_dir(&config.paths.jobs) else { return names };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| is_toml(path)) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        if let Ok(dag) = toml::from_str::<serde_json::Value>(&text) {
            variables_in(&dag, &mut names);
        }
    }
    names
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}
