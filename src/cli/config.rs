//! `nocturne config show|check|schema`: which values are in force, and where they come from.

use std::collections::BTreeSet;

use super::layers::{invalid, load};
use super::shapes::Shape;
use super::{ExitCode, Failure, Global, output};
use crate::app::{AppError, Dags};
use crate::config::{Layers, Use, process_environment};
use crate::domain::document::Mistakes;
use crate::domain::spec::KindCatalogue as _;
use crate::jobs::{KindNames, site_rules};

/// Show and check the configuration.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// Show every key, its value and the layer it comes from. Secrets are references and never shown.
    Show,
    /// Check the configuration, the quality rules and the recipients of every DAG; print nothing when they are valid.
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
            let checked = layers.and_then(|layers| check(&layers.with_kinds(KindNames.kinds())));
            if let (Err(mistakes), true) = (&checked, global.json) {
                return output::mistakes(mistakes);
            }
            checked.map_err(invalid)?;
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

/// Finds every mistake in the configuration, in the quality rules, in what routes of alerts name, and in the recipients
/// that DAGs name.
fn check(layers: &Layers) -> Result<(), Mistakes> {
    let (config, mut mistakes) = layers.config_with_mistakes(Use::Nights)?;
    let owners: Option<BTreeSet<String>> = match site_rules(&config) {
        Ok(rules) => Some(rules.into_iter().filter_map(|rule| rule.owner).collect()),
        Err(Mistakes(found)) => {
            mistakes.extend(found);
            None
        }
    };
    let dags = Dags::of(&config).names().unwrap_or_default().into_iter().collect();
    mistakes.extend(layers.mistakes_at(config.alerts.unmatched(&dags, owners.as_ref())));
    // What else is wrong in a DAG file is for `nocturne dags check` to say; a folder without files has no recipients.
    for (_, dag) in Dags::of(&config).each().unwrap_or_default() {
        if let Err(AppError::Dag(Mistakes(found))) = dag {
            mistakes.extend(found.into_iter().filter(|mistake| is_recipient(&mistake.path)));
        }
    }
    Mistakes::unless_none(mistakes, ())
}

/// Whether a path in a DAG file is that of a recipient: `jobs.digest.with.to.0`.
fn is_recipient(path: &str) -> bool {
    let keys: Vec<&str> = path.split('.').collect();
    matches!(keys.as_slice(), ["jobs", _, "with", "to", ..])
}
