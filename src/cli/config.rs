//! `nocturne config show|check|schema`: which values are in force, and where they come from.

use std::path::PathBuf;

use super::shapes::Shape;
use super::{ExitCode, Failure, Global, output};
use crate::config::{Config, Layers, Use, process_environment};
use crate::domain::spec::KindCatalogue as _;
use crate::jobs::{KindNames, site_rules};

/// Show and check the configuration.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// Show every key, its value and the layer it comes from. Secrets are references and never shown.
    Show,
    /// Check the configuration and the quality rules; print nothing when they are valid.
    Check,
    /// Print a JSON schema: of the configuration, for editors, or of what a command prints with `--json`.
    Schema {
        /// Of what.
        #[arg(long, value_enum, default_value_t)]
        of: Shape,
    },
}

pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, Failure> {
    match args {
        Args::Schema { of } => output::json(&of.schema())?,
        Args::Check => {
            let layers = Layers::read(&global.config, process_environment());
            let checked = layers.and_then(|layers| layers.with_kinds(KindNames.kinds()).config());
            if let (Err(mistakes), true) = (&checked, global.json) {
                return output::mistakes(mistakes);
            }
            let config = checked.map_err(invalid)?;
            let rules = site_rules(&config);
            if let (Err(mistakes), true) = (&rules, global.json) {
                return output::mistakes(mistakes);
            }
            rules.map_err(invalid)?;
            if global.json {
                output::json(&serde_json::json!({ "valid": true }))?;
            }
        }
        Args::Show => {
            let (config, layers) = load(&global.config)?;
            let settings = layers.redacted_dump(&config).map_err(|error| Failure::new(ExitCode::Invalid, error))?;
            if global.json {
                output::json(&settings)?;
            } else {
                let rows = settings.into_iter().map(|one| vec![one.path, one.value.to_string(), one.origin]);
                output::table(&["key", "value", "from"], &[], rows.collect())?;
            }
        }
    }
    Ok(ExitCode::Done)
}

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

fn invalid(mistakes: crate::domain::document::Mistakes) -> Failure {
    Failure::new(ExitCode::Invalid, anyhow::Error::new(mistakes).context("the configuration is not valid"))
}
