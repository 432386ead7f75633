//! A local folder or an object-store prefix as a source of files.
//!
//! A local file is read where it lies; a remote one is copied to scratch, named by its path and tag, so that a
//! changed file is never taken for the old one.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::keys;
use super::store::{Lake, LakeError, LakeOptions};
use crate::domain::ids::content_hash;
use crate::domain::source::{FileSource, SourceError, SourceFile};

/// Opens a folder or prefix as a source of files; a folder that is not there is an error, not an empty source.
///
/// # Errors
/// When it cannot be opened.
pub async fn open_source(options: LakeOptions) -> Result<Arc<dyn FileSource>, LakeError> {
    if options.url.starts_with("s3://") {
        return Ok(Arc::new(RemoteFiles { lake: Lake::open(options).await? }));
    }
    let folder = PathBuf::from(options.url.strip_prefix("file://").unwrap_or(&options.url));
    if !folder.is_dir() {
        let cause = std::io::Error::new(std::io::ErrorKind::NotFound, "there is no such folder");
        return Err(LakeError::Local { operation: "opening the source", path: folder.display().to_string(), cause });
    }
    Ok(Arc::new(LocalFiles { folder }))
}

struct LocalFiles {
    folder: PathBuf,
}

impl LocalFiles {
    fn failed(&self, what: &FilePath, cause: std::io::Error) -> SourceError {
        SourceError {
            root: self.root(),
            what: what.display().to_string(),
            is_transient: cause.kind() != std::io::ErrorKind::NotFound,
            cause: cause.into(),
        }
    }
}

#[async_trait]
impl FileSource for LocalFiles {
    fn root(&self) -> String {
        self.folder.display().to_string()
    }

    async fn list(&self) -> Result<Vec<SourceFile>, SourceError> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).map_err(|cause| self.failed(&folder, cause))? {
                let path = entry.map_err(|cause| self.failed(&folder, cause))?.path();
                let meta = std::fs::metadata(&path).map_err(|cause| self.failed(&path, cause))?;
                if meta.is_dir() {
                    folders.push(path);
                    continue;
                }
                let modified = meta.modified().map_err(|cause| self.failed(&path, cause))?;
                let modified = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_micros();
                let inside = path.strip_prefix(&self.folder).unwrap_or(&path);
                let inside: Vec<_> = inside.components().map(|c| c.as_os_str().to_string_lossy()).collect();
                files.push(SourceFile {
                    path: inside.join("/"),
                    size_bytes: meta.len(),
                    tag: format!("{modified}-{}", meta.len()),
                });
            }
        }
        files.sort();
        Ok(files)
    }

    async fn local_copy(&self, file: &SourceFile) -> Result<PathBuf, SourceError> {
        Ok(self.folder.join(&file.path))
    }
}

struct RemoteFiles {
    lake: Lake,
}

impl RemoteFiles {
    fn failed(&self, what: &str, error: LakeError) -> SourceError {
        let is_transient = error.is_transient();
        SourceError { root: self.root(), what: what.to_owned(), is_transient, cause: error.into() }
    }
}

#[async_trait]
impl FileSource for RemoteFiles {
    fn root(&self) -> String {
        self.lake.url().to_owned()
    }

    async fn list(&self) -> Result<Vec<SourceFile>, SourceError> {
        let objects = self.lake.list(&keys::key("")).await.map_err(|error| self.failed("the listing", error))?;
        let files = objects.into_iter().map(|object| SourceFile {
            path: object.location.to_string(),
            size_bytes: object.size,
            tag: object.e_tag.unwrap_or_else(|| format!("{}-{}", object.last_modified, object.size)),
        });
        Ok(files.collect())
    }

    async fn local_copy(&self, file: &SourceFile) -> Result<PathBuf, SourceError> {
        let name = file.path.rsplit('/').next().unwrap_or("file");
        let hash = content_hash(format!("{}\n{}\n{}", self.root(), file.path, file.tag).as_bytes());
        let path = self.lake.scratch().join("source").join(&hash[..32]).join(name);
        if !path.is_file() {
            let bytes = self.lake.get(&keys::key(&file.path)).await.map_err(|error| self.failed(&file.path, error))?;
            super::cache::write_aside(&path, &bytes).map_err(|error| self.failed(&file.path, error))?;
        }
        Ok(path)
    }
}
