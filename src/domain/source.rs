//! Reading a delivery's bytes, wherever they are stored.
//!
//! The `files` source reads a folder or an object-store prefix through this trait; the lake implements it, `app` joins
//! the two. Listing is complete and sorted; a file is local while it is read, so that parsing is plain blocking work.

use std::path::PathBuf;

use async_trait::async_trait;

/// One file of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceFile {
    /// The path below the source's root, with `/`.
    pub path: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// A tag that changes when the content changes: an entity tag, or time and size.
    pub tag: String,
}

/// A source of files that could not be read: what, where and why.
#[derive(Debug, thiserror::Error)]
#[error("reading {what} of the source at {root}")]
pub struct SourceError {
    /// The root of the source.
    pub root: String,
    /// The file or listing that failed.
    pub what: String,
    /// Whether another try might work.
    pub is_transient: bool,
    /// The cause.
    #[source]
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}

/// A folder or prefix of files.
#[async_trait]
pub trait FileSource: Send + Sync {
    /// Returns the root, for messages.
    fn root(&self) -> String;

    /// Returns every file below the root, sorted by path.
    ///
    /// # Errors
    /// When the root does not exist or cannot be listed.
    async fn list(&self) -> Result<Vec<SourceFile>, SourceError>;

    /// Returns a local path that holds the file's bytes: the file itself, or a copy in the cache.
    ///
    /// # Errors
    /// When the file cannot be read.
    async fn local_copy(&self, file: &SourceFile) -> Result<PathBuf, SourceError>;
}
