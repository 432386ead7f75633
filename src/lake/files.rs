//! A local folder or an object-store prefix as a source of files.
//!
//! A local file is read in place; a remote one is copied to scratch, named by its path and tag, so that a changed file
//! is never taken for the old one. In a local folder only regular files and links to files inside it are taken:
//! anything else is refused by name before it is opened, because reading a named pipe may never end and a link may lead
//! anywhere.

use std::fs::Metadata;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::keys;
use super::store::{Lake, LakeError, LakeOptions};
use crate::domain::ids::content_hash;
use crate::domain::source::{FileSource, SourceError, SourceFile};

/// Opens a folder or prefix as a source of files; a missing folder is an error, not an empty source.
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

    fn refused(&self, path: &FilePath, what: &str) -> SourceError {
        SourceError {
            root: self.root(),
            what: path.display().to_string(),
            is_transient: false,
            cause: format!("it is {what}; take it out of the delivery").into(),
        }
    }
}

/// The kind of an entry in a folder.
enum Kind {
    /// A folder, to be listed.
    Folder,
    /// A regular file, or a link to one below the root.
    File(Metadata),
    /// Something that is not read; says what it is.
    Other(String),
}

/// Looks at an entry without opening it. `root` is the folder of the source, with links resolved.
fn kind_of(root: &FilePath, path: &FilePath) -> std::io::Result<Kind> {
    let meta = std::fs::symlink_metadata(path)?;
    if !meta.is_symlink() {
        return Ok(if meta.is_dir() { Kind::Folder } else { file_or_other(meta) });
    }
    let target = match std::fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Kind::Other("a link that leads nowhere".to_owned()));
        }
        Err(error) => return Err(error),
    };
    let meta = std::fs::metadata(&target)?;
    Ok(if !target.starts_with(root) {
        Kind::Other("a link that leads out of the folder".to_owned())
    } else if meta.is_dir() {
        Kind::Other("a link to a folder".to_owned())
    } else {
        file_or_other(meta)
    })
}

fn file_or_other(meta: Metadata) -> Kind {
    let kind = meta.file_type();
    let what = if kind.is_file() {
        return Kind::File(meta);
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_block_device() || kind.is_char_device() {
        "a device"
    } else {
        "something else"
    };
    Kind::Other(format!("{what}, not a regular file"))
}

#[async_trait]
impl FileSource for LocalFiles {
    fn root(&self) -> String {
        self.folder.display().to_string()
    }

    async fn list(&self) -> Result<Vec<SourceFile>, SourceError> {
        let mut files = Vec::new();
        let root = std::fs::canonicalize(&self.folder).map_err(|cause| self.failed(&self.folder, cause))?;
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).map_err(|cause| self.failed(&folder, cause))? {
                let path = entry.map_err(|cause| self.failed(&folder, cause))?.path();
                let meta = match kind_of(&root, &path).map_err(|cause| self.failed(&path, cause))? {
                    Kind::Folder => {
                        folders.push(path);
                        continue;
                    }
                    Kind::File(meta) => meta,
                    Kind::Other(what) => return Err(self.refused(&path, &what)),
                };
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
