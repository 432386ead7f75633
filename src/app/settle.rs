//! What follows a commit: the lake's pointers, files under their names, folder pages.
//!
//! All of it is derived from what is committed, and may be done again at any time: a crash between a commit and its
//! pointers is repaired at the next start. What cannot be done now is logged and stays to be done.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use tracing::error;

use super::AppError;
use super::outbox::Outbox;
use crate::domain::outcome::Outcome;
use crate::engine::AfterCommit;
use crate::lake::{Lake, keys};
use crate::report::Renderer;
use crate::report::view::{FolderEntry, FolderView};
use crate::store::StateStore;

/// Does what follows a commit.
pub(super) struct Settle {
    lake: Lake,
    store: Arc<dyn StateStore>,
    renderer: Renderer,
    outbox: Arc<Outbox>,
}

impl Settle {
    pub(super) fn new(lake: Lake, store: Arc<dyn StateStore>, outbox: Arc<Outbox>) -> Result<Self, AppError> {
        let renderer = Renderer::new().map_err(|error| AppError::Mail(error.into()))?;
        Ok(Self { lake, store, renderer, outbox })
    }

    /// Brings every committed snapshot's pointers in line.
    pub(super) async fn repair(&self) {
        match self.store.snapshots().await {
            Ok(snapshots) => {
                for snapshot in snapshots.values() {
                    if let Err(error) = self.lake.settle(snapshot).await {
                        error!(dataset = %snapshot.dataset, "{:#}", anyhow::Error::new(error));
                    }
                }
            }
            Err(error) => error!("{:#}", anyhow::Error::new(error)),
        }
    }

    pub(super) async fn files(&self, outcome: &Outcome) {
        let mut folders = BTreeSet::new();
        for file in &outcome.files {
            if let Err(error) = self.lake.put_in_place(file).await {
                error!(key = %file.key, "{:#}", anyhow::Error::new(error));
                continue;
            }
            let mut folder = file.key.as_str();
            while let Some((above, _)) = folder.rsplit_once('/') {
                folders.insert(above.to_owned());
                folder = above;
            }
        }
        for folder in folders.iter().filter(|folder| folder.starts_with(keys::PUBLISHED)) {
            self.folder_page(folder, outcome).await;
        }
    }

    /// Writes a published folder's page, unless the folder has a page of its own.
    async fn folder_page(&self, folder: &str, outcome: &Outcome) {
        let page = keys::folder_index(folder);
        if outcome.files.iter().any(|file| file.key == page) {
            return;
        }
        let written = async {
            let entries = self.lake.ls(folder).await?;
            if folder.matches('/').count() >= 3 {
                return Ok(());
            }
            let entries = entries
                .into_iter()
                .filter(|entry| entry.name != "index.html")
                .map(|entry| FolderEntry {
                    size_bytes: (!entry.name.ends_with('/')).then_some(entry.size_bytes),
                    about: String::new(),
                    name: entry.name,
                })
                .collect();
            let view = FolderView { path: folder.to_owned(), about: String::new(), entries };
            let html = self.renderer.folder_index(&view)?;
            self.lake.put_pointer(&keys::browsed(&page)?, html.into()).await?;
            Ok::<_, anyhow::Error>(())
        };
        if let Err(error) = written.await {
            error!(key = %page, "{error:#}");
        }
    }
}

#[async_trait]
impl AfterCommit for Settle {
    async fn settle(&self, outcome: &Outcome) {
        for snapshot in &outcome.snapshots {
            if let Err(error) = self.lake.settle(snapshot).await {
                error!(dataset = %snapshot.dataset, "{:#}", anyhow::Error::new(error));
            }
        }
        self.files(outcome).await;
        self.outbox.wake();
    }
}
