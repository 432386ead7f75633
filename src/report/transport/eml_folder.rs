//! A folder of `.eml` files, each with its page for a browser beside it. A reader never sees half a file.

use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt;

use super::receipt::{Receipt, TransportError};
use crate::report::browser_page::browser_page;
use crate::store::Outgoing;

/// A folder of `.eml` files, each with its page for a browser beside it.
#[derive(Debug, Clone)]
pub struct EmlFolder {
    folder: PathBuf,
}

impl EmlFolder {
    /// Returns the folder at that path; it is made when the first e-mail is written.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    pub(super) async fn send(&self, mail: &Outgoing) -> Result<Receipt, TransportError> {
        let write = |path: &Path, source| TransportError::Write { path: path.to_owned(), source };
        tokio::fs::create_dir_all(&self.folder).await.map_err(|source| write(&self.folder, source))?;
        if let Some(page) = browser_page(&mail.message) {
            self.write_aside(&mail.message_id, &page_name(&mail.message_id), page.as_bytes()).await?;
        }
        let path = self
            .write_aside(&mail.message_id, &format!("{}.eml", file_stem(&mail.message_id)), mail.message.as_bytes())
            .await?;
        Ok(Receipt { words: path.display().to_string() })
    }

    /// Writes the bytes under another name, then renames: a reader never sees half a file.
    async fn write_aside(&self, message_id: &str, name: &str, bytes: &[u8]) -> Result<PathBuf, TransportError> {
        // Several e-mails may be written at once, and the page of one is that of the others.
        let (path, aside) =
            (self.folder.join(name), self.folder.join(format!(".{}.{name}.part", file_stem(message_id))));
        let written = async {
            let mut file = tokio::fs::File::create(&aside).await?;
            file.write_all(bytes).await?;
            file.sync_all().await?;
            tokio::fs::rename(&aside, &path).await
        };
        written.await.map_err(|source| TransportError::Write { path: path.clone(), source })?;
        Ok(path)
    }
}

/// Returns the name of the page for a browser, one for each DAG and audience: `nightly-digest.html` of the Message-ID
/// `nightly.2026-11-20.digest.…`.
pub fn page_name(message_id: &str) -> String {
    let mut parts = message_id.split('.');
    let (dag, audience) = (parts.next().unwrap_or("mail"), parts.nth(1).unwrap_or("mail"));
    format!("{}-{}.html", file_stem(dag), file_stem(audience))
}

/// Returns the part of a Message-ID before the `@`, with only what is safe in a file's name.
fn file_stem(message_id: &str) -> String {
    let local = message_id.split_once('@').map_or(message_id, |(local, _)| local);
    local.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}
