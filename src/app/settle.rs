//! What follows a commit: the lake's pointers, files under their names, folder pages, the identity map.
//!
//! All of it is derived from what is committed *now*, and may be repeated at any time: `engine::settle` asks for one
//! target after the other, and again for those that could not be done.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use tracing::error;

use super::AppError;
use super::outbox::Outbox;
use crate::canvas::identity::{add_staged, remove_staged, staged_by};
use crate::canvas::privacy::PrivacyKey;
use crate::config::Config;
use crate::engine::Settler;
use crate::lake::{Lake, keys};
use crate::report::Renderer;
use crate::report::view::FolderView;
use crate::store::{StateStore, identities_target};
use crate::telemetry::spawn_blocking;

/// The words of targets that delete something: not while a restored backup and the lake may disagree.
const DELETING: [&str; 1] = ["staged"];

/// Does what follows a commit.
pub(super) struct Settle {
    lake: Lake,
    store: Arc<dyn StateStore>,
    renderer: Renderer,
    state_folder: PathBuf,
    privacy_key: Option<PrivacyKey>,
    outbox: Arc<Outbox>,
}

impl Settle {
    pub(super) fn new(
        config: &Config,
        (lake, store, outbox): (Lake, Arc<dyn StateStore>, Arc<Outbox>),
        privacy_key: Option<PrivacyKey>,
    ) -> Result<Self, AppError> {
        let renderer = Renderer::new().map_err(|error| AppError::Mail(error.into()))?;
        let state_folder = config.paths.state.clone();
        Ok(Self { lake, store, renderer, state_folder, privacy_key, outbox })
    }

    /// Makes the pointers of a dataset agree with its current snapshot.
    async fn dataset(&self, dataset: &str) -> anyhow::Result<()> {
        let snapshots = self.store.snapshots().await?;
        match snapshots.get(dataset) {
            Some(snapshot) => Ok(self.lake.settle(snapshot).await?),
            None => Ok(()),
        }
    }

    /// Puts a file under its name, and updates the pages of the folders above it.
    async fn file(&self, key: &str) -> anyhow::Result<()> {
        let Some(file) = self.store.published_file(key).await? else { return Ok(()) };
        match self.lake.put_in_place(&file).await {
            Ok(()) => {}
            Err(error) if error.is_not_found() => {
                // Its staged copy was used up: only the job that made it can make it again.
                error!(key, "A published file is missing or was changed; run its job again with --force");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        let mut folder = key;
        while let Some((above, _)) = folder.rsplit_once('/') {
            if above.starts_with(keys::PUBLISHED) {
                self.folder_page(above).await?;
            }
            folder = above;
        }
        Ok(())
    }

    /// Writes a published folder's page, unless the folder has a page of its own or is too deep.
    async fn folder_page(&self, folder: &str) -> anyhow::Result<()> {
        let page = keys::folder_index(folder);
        if folder.matches('/').count() >= 3 || self.store.published_file(&page).await?.is_some() {
            return Ok(());
        }
        let entries = self.lake.ls(folder).await?;
        let entries = entries
            .into_iter()
            .filter(|entry| entry.name != "index.html")
            .map(|entry| {
                let size_bytes = (!entry.name.ends_with('/')).then_some(entry.size_bytes);
                (entry.name.trim_end_matches('/').to_owned(), size_bytes)
            })
            .collect();
        let html = self.renderer.folder_index(&FolderView::new(folder, entries))?;
        self.lake.put_pointer(&keys::browsed(&page)?, html.into()).await?;
        Ok(())
    }

    /// Adds entries of the identity map that were committed, by the name under which they are staged.
    async fn identities(&self, staged: &str) -> anyhow::Result<()> {
        let key = self.privacy_key.clone().context("the identity map needs the pseudonym key (`privacy.key`)")?;
        let (folder, staged) = (self.state_folder.clone(), staged.to_owned());
        spawn_blocking(move || add_staged(&folder, &key, &staged)).await?;
        Ok(())
    }

    /// Removes what an attempt that ended without a commit had staged.
    async fn staged(&self, attempt: &str) -> anyhow::Result<()> {
        self.lake.remove_staged(attempt).await?;
        let (folder, by) = (self.state_folder.clone(), attempt.to_owned());
        for name in spawn_blocking(move || staged_by(&folder, &by)).await? {
            // Identities committed with a part are kept until they are settled.
            if !self.store.is_to_settle(&identities_target(&name)).await? {
                let folder = self.state_folder.clone();
                spawn_blocking(move || remove_staged(&folder, &name)).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Settler for Settle {
    fn has_committed(&self) {
        self.outbox.wake();
    }

    async fn settle(&self, target: &str) -> anyhow::Result<()> {
        let is_deleting = target.split_once(' ').is_some_and(|(word, _)| DELETING.contains(&word));
        if is_deleting && !self.store.is_collecting_allowed().await? {
            anyhow::bail!("a backup was put back: nothing is removed until state and lake are found to agree");
        }
        match target.split_once(' ') {
            Some(("dataset", dataset)) => self.dataset(dataset).await,
            Some(("file", key)) => self.file(key).await,
            Some(("identities", staged)) => self.identities(staged).await,
            Some(("staged", attempt)) => self.staged(attempt).await,
            _ => anyhow::bail!("`{target}` is not a target that this program knows: a newer one wrote it"),
        }
    }
}
