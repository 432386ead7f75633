//! What is examined: the configuration and the DAGs, as far as they are valid, and what is at stake.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::app::Dags;
use crate::config::{Config, Environment as Variables, Layers, SourceKind, Use, process_environment};
use crate::domain::clock::Clock;
use crate::domain::dag::Dag;
use crate::domain::document::{Mistake, Mistakes};
use crate::domain::spec::KindCatalogue as _;
use crate::jobs::KindNames;
use crate::store::{self, Health};
use crate::telemetry::{SystemClock, chain};

/// How long the state store may take to answer.
const STORE: Duration = Duration::from_secs(15);

/// What is examined.
pub(super) struct Site {
    /// The configuration, with defaults where it is wrong.
    pub(super) config: Arc<Config>,
    /// What is wrong with it.
    pub(super) mistakes: Vec<Mistake>,
    /// Whether there is any configuration; otherwise it is the default one.
    has_configuration: bool,
    /// The environment.
    pub(super) variables: Variables,
    /// The clock.
    pub(super) clock: Arc<dyn Clock>,
    /// The DAGs whose files are valid.
    pub(super) dags: Vec<Dag>,
    /// What is wrong with the others, or with their folder.
    pub(super) broken: Vec<String>,
    /// The state store's health, once it has been asked for.
    health: OnceCell<Result<Option<Health>, String>>,
}

/// Whom a mistake could harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stakes {
    /// Nobody: all data are invented.
    Invented,
    /// People.
    Real,
}

impl Site {
    /// Reads the configuration and the DAGs.
    pub(super) fn read(files: &[PathBuf]) -> Self {
        let variables = process_environment();
        let layers = Layers::read(files, variables.clone());
        let read = layers.and_then(|layers| layers.with_kinds(KindNames.kinds()).config_with_mistakes(Use::Nights));
        let (config, mistakes, has_configuration) = match read {
            Ok((config, mistakes)) => (Some(config), mistakes, true),
            Err(Mistakes(mistakes)) => (None, mistakes, false),
        };
        // The embedded default is valid: a test checks it against its schema.
        let default = || Layers::from_texts(Vec::new(), Variables::new()).config();
        let config = config.or_else(|| default().ok());
        let config = Arc::new(config.expect("the embedded default is a valid configuration"));
        let (dags, broken) = dags(&config);
        Self {
            config,
            mistakes,
            has_configuration,
            variables,
            clock: Arc::new(SystemClock),
            dags,
            broken,
            health: OnceCell::new(),
        }
    }

    /// Returns whether the configuration's values in a section cannot be relied on.
    pub(super) fn is_wrong(&self, section: &str) -> bool {
        !self.has_configuration || self.mistakes.iter().any(|mistake| section_of(&mistake.path) == section)
    }

    /// Returns whom a mistake could harm.
    pub(super) fn stakes(&self) -> Stakes {
        let is_invented = self.config.sources.values().all(|source| source.kind == SourceKind::Simulation);
        if is_invented { Stakes::Invented } else { Stakes::Real }
    }

    /// Returns the state store's health, `None` where there is no store yet, or why it cannot be determined.
    pub(super) async fn health(&self) -> &Result<Option<Health>, String> {
        let look = async || match tokio::time::timeout(STORE, store::health(&self.config.state.url)).await {
            Ok(looked) => looked.map_err(|error| chain(&error)),
            Err(_) => Err(format!("there was no answer within {} s", STORE.as_secs())),
        };
        self.health.get_or_init(look).await
    }

    /// Returns the folder of the lake, where it is one.
    pub(super) fn lake_folder(&self) -> Option<PathBuf> {
        let url = &self.config.lake.url;
        let is_elsewhere = url.starts_with("s3://") || url == "memory://";
        (!is_elsewhere).then(|| PathBuf::from(url.strip_prefix("file://").unwrap_or(url)))
    }
}

/// Returns the nearest existing folder: `path` itself or one above it.
pub(super) fn nearest(path: &Path) -> PathBuf {
    let there = path.ancestors().find(|path| path.exists() && !path.as_os_str().is_empty());
    there.map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn section_of(path: &str) -> &str {
    path.split('.').next().unwrap_or_default()
}

fn dags(config: &Config) -> (Vec<Dag>, Vec<String>) {
    let dags = Dags::of(config);
    let names = match dags.names() {
        Ok(names) => names,
        Err(error) => return (Vec::new(), vec![format!("{:#}", anyhow::Error::new(error))]),
    };
    let (mut valid, mut broken) = (Vec::new(), BTreeSet::new());
    for name in names {
        match dags.one(&name) {
            Ok(dag) => valid.push(dag),
            Err(crate::app::AppError::Dag(Mistakes(mistakes))) => {
                broken.extend(mistakes.iter().map(Mistake::to_string));
            }
            Err(other) => {
                broken.insert(format!("{:#}", anyhow::Error::new(other)));
            }
        }
    }
    (valid, broken.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_folder_of_one_that_is_not_there_is_above_it() {
        let folder = tempfile::tempdir().unwrap();

        assert_eq!(nearest(&folder.path().join("a/b")), folder.path());
        assert_eq!(nearest(folder.path()), folder.path());
        assert_eq!(nearest(Path::new("no/such/folder")), Path::new("."));
    }
}
