//! The options that stand before and after every subcommand, and mean the same for all of them.
//!
//! The command line itself (`Cli`) reads them; a subcommand is given them with its own arguments.

use std::path::PathBuf;

/// What every subcommand is given.
pub(crate) struct Global {
    /// The configuration files over the defaults, in the order in which they win.
    pub(super) config: Vec<PathBuf>,
    /// Whether results are shown as JSON.
    pub(super) json: bool,
}
