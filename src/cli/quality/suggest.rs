//! `nocturne quality suggest`: a rule file from what a table keeps now.

use crate::app::App;
use crate::canvas::contracts::Contracts;
use crate::cli::layers::load_to_look;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::lake::{Dataset, versions};
use crate::ml::quality;
use crate::telemetry::spawn_blocking;

/// Write rules that a table keeps now, for a person to read and complete.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Suggest {
    /// The table.
    table: String,
}

impl Suggest {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let (config, _) = load_to_look(&global.config)?;
        let mut contract = None;
        for source in config.sources.values() {
            let contracts = Contracts::load(&source.extra, source.contracts.as_deref());
            let contracts = contracts.map_err(|mistakes| Failure::new(ExitCode::Invalid, mistakes))?;
            contract = contract.or_else(|| contracts.find(&self.table).cloned());
        }
        let not_found = |error| Failure::new(ExitCode::NotFound, error);
        let contract = contract.ok_or_else(|| not_found(anyhow::anyhow!("no source has a table `{}`", self.table)))?;
        let lake = App::lake_to_look_at(&global.config).await?;
        let unreachable = |error| Failure::new(ExitCode::Unreachable, error);
        let dataset = Dataset::table(&contract.name);
        let manifest = lake.manifest_of(&dataset, None).await;
        let manifest = manifest.map_err(|error| not_found(anyhow::Error::from(error)))?;
        let rows = lake.current_rows(&dataset, &manifest).await.map_err(unreachable)?;
        let Some(rows) = rows else {
            return Err(not_found(anyhow::anyhow!("`{}` has no row to learn from", self.table)));
        };
        let n_rows = versions::current_parts(&manifest).map(|part| part.rows).sum();
        let file = spawn_blocking(move || quality::suggest(&contract, &rows, n_rows)).await;
        let file = file.map_err(|error| Failure::new(ExitCode::RunFailed, error))?;
        if global.json {
            output::json(&file)?;
            return Ok(ExitCode::Done);
        }
        let text = toml::to_string(&file).map_err(|error| Failure::new(ExitCode::RunFailed, error))?;
        let head = format!(
            "# Suggestions from what `{}` holds now. Keep what should always hold, say why, and put it into\n\
             # {}/{}.toml.",
            self.table,
            config.paths.quality.display(),
            self.table
        );
        output::line(&format!("{head}\n{text}"))?;
        Ok(ExitCode::Done)
    }
}
