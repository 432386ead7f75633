//! What a parent process sends to one that carries out an attempt, and the subcommand by which it starts it.
//!
//! `isolation` sends it and `child` reads it.

use serde::{Deserialize, Serialize};

use crate::config::{Config, Environment as Variables};

/// The hidden subcommand.
pub(super) const SUBCOMMAND: &str = "attempt";

/// What a child rebuilds its environment from; it has secrets in it and goes through a pipe only.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Setup {
    /// The configuration in force.
    pub(super) config: Config,
    /// The variables that its references name, and those that programs need.
    pub(super) variables: Variables,
}
