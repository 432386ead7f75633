//! The configuration as commands read it: its layers, and the whole that they make.

use std::path::PathBuf;

use super::{ExitCode, Failure};
use crate::config::{Config, Layers, Use, process_environment};
use crate::domain::document::Mistakes;
use crate::domain::spec::KindCatalogue as _;
use crate::jobs::KindNames;

/// Reads the layers and the configuration they make.
pub(super) fn load(files: &[PathBuf]) -> Result<(Config, Layers), Failure> {
    let layers = Layers::read(files, process_environment()).map_err(invalid)?.with_kinds(KindNames.kinds());
    let config = layers.config().map_err(invalid)?;
    Ok((config, layers))
}

/// Reads the layers and the configuration they make, as far as a command that only reads needs it.
pub(super) fn load_to_look(files: &[PathBuf]) -> Result<(Config, Layers), Failure> {
    let layers = Layers::read(files, process_environment()).map_err(invalid)?.with_kinds(KindNames.kinds());
    let config = layers.config_for(Use::Looking).map_err(invalid)?;
    Ok((config, layers))
}

/// Returns the failure of a configuration with mistakes.
pub(super) fn invalid(mistakes: Mistakes) -> Failure {
    Failure::new(ExitCode::Invalid, anyhow::Error::new(mistakes).context("the configuration is not valid"))
}
