//! The object store behind the lake: a local folder, memory, or anything that speaks S3.
//!
//! Promises: what is content-named is written once and never changed ([`Lake::put_new`]); pointers are overwritten
//! whole. Local writes are synced to the disk. Every error names the key and says whether another try might help;
//! object_store itself retries for a few seconds when a store answers "try again", and jobs retry after that.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, RetryConfig,
};
use secrecy::{ExposeSecret as _, SecretString};

/// What to do when the lake has lost something.
pub(super) const ADVICE: &str = "restore the lake (`nocturne lake verify` looks at all of it), or start again from \
    empty: move the lake and the state store aside together (`nocturne config show` says where `lake.url` and \
    `state.url` are), then `nocturne run` pulls everything anew";

/// How to open a lake, or a source's prefix.
#[derive(Debug, Clone)]
pub struct LakeOptions {
    /// A folder, `memory://` or `s3://bucket/prefix`.
    pub url: String,
    /// The endpoint of an S3-compatible store.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The access key's id.
    pub access_key_id: Option<SecretString>,
    /// The secret access key.
    pub secret_access_key: Option<SecretString>,
    /// Whether plain HTTP is allowed.
    pub allow_http: bool,
    /// A local folder for copies of remote parts.
    pub scratch: PathBuf,
    /// What to do if a local folder does not exist.
    pub if_missing: IfMissing,
}

/// What to do if a lake's local folder does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    /// Create it.
    Create,
    /// Treat it as empty and leave it so: for commands that only look.
    Empty,
}

/// What can go wrong in the lake.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The lake cannot be opened.
    #[error("opening the lake at {url}")]
    Open {
        /// Where.
        url: String,
        /// The cause.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A call to the store failed.
    #[error("{operation} `{key}` in the lake at {url}")]
    Store {
        /// What was being done.
        operation: &'static str,
        /// On which key.
        key: String,
        /// Where.
        url: String,
        /// The cause.
        #[source]
        cause: object_store::Error,
    },
    /// A content-named object holds other content.
    #[error("`{key}` holds other bytes than its name says: the lake was changed by something else")]
    Changed {
        /// The key.
        key: String,
    },
    /// A manifest or pointer does not parse.
    #[error("`{key}` is not readable: {why}")]
    Unreadable {
        /// The key.
        key: String,
        /// Why.
        why: String,
    },
    /// There is nothing below a folder.
    #[error("the lake at {url} has nothing below `{folder}/` yet")]
    NothingBelow {
        /// The folder; empty for the whole lake.
        folder: String,
        /// The lake.
        url: String,
    },
    /// A dataset does not exist.
    #[error("there is no dataset `{dataset}` in the lake; `nocturne lake tree` shows what there is")]
    NoDataset {
        /// The dataset.
        dataset: String,
    },
    /// A dataset has no such snapshot.
    #[error("`{dataset}` has no snapshot {snapshot}; `nocturne lake ls {dataset}/_manifests` shows those there are")]
    NoSnapshot {
        /// The dataset.
        dataset: String,
        /// The snapshot.
        snapshot: crate::domain::ids::SnapshotId,
    },
    /// An object that a committed snapshot is made of is missing.
    #[error("`{key}` is gone from the lake at {url}, though the state store says that it is current; {advice}")]
    Lost {
        /// The key.
        key: String,
        /// Where.
        url: String,
        /// What to do.
        advice: &'static str,
    },
    /// polars could not read or write a part.
    #[error("{operation} a part of `{dataset}`")]
    Part {
        /// What was being done.
        operation: &'static str,
        /// The dataset.
        dataset: String,
        /// The cause.
        #[source]
        cause: polars::error::PolarsError,
    },
    /// A staged part is not what was written.
    #[error("a part of `{dataset}` was written but reads back differently ({why}): the store may be faulty")]
    Verify {
        /// The dataset.
        dataset: String,
        /// What differs.
        why: String,
    },
    /// A local file failed.
    #[error("{operation} the local file {path}")]
    Local {
        /// What was being done.
        operation: &'static str,
        /// The file.
        path: String,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// A key is not usable.
    #[error(transparent)]
    Key(#[from] super::keys::KeyError),
}

impl LakeError {
    /// Returns whether another try might work.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store { cause, .. } => matches!(cause, object_store::Error::Generic { .. }),
            Self::Local { .. } => true,
            _ => false,
        }
    }
}

impl LakeError {
    /// Returns whether the error means that the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Store { cause: object_store::Error::NotFound { .. }, .. })
    }
}

/// The lake. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lake {
    store: Arc<dyn ObjectStore>,
    url: String,
    place: Place,
    scratch: PathBuf,
}

/// When an object came into being that was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Created {
    /// By this call.
    Now,
    /// Before: it is unchanged.
    Before,
}

/// Where a lake is, as far as local readers care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In this folder.
    Folder(PathBuf),
    /// In memory.
    Memory,
    /// In a store that outside readers reach under this URL.
    Remote(String),
}

impl Lake {
    /// Opens the lake; a missing local folder is created.
    ///
    /// # Errors
    /// When the URL is not usable or the folder cannot be created.
    pub async fn open(options: LakeOptions) -> Result<Self, LakeError> {
        let failed =
            |cause: Box<dyn std::error::Error + Send + Sync>| LakeError::Open { url: options.url.clone(), cause };
        let (store, place): (Arc<dyn ObjectStore>, Place) = if options.url == "memory://" {
            (Arc::new(InMemory::new()), Place::Memory)
        } else if let Some(rest) = options.url.strip_prefix("s3://") {
            (
                s3(rest, &options).map_err(|error| failed(error.into()))?,
                Place::Remote(options.url.trim_end_matches('/').to_owned()),
            )
        } else {
            let folder = PathBuf::from(options.url.strip_prefix("file://").unwrap_or(&options.url));
            if options.if_missing == IfMissing::Empty && !folder.exists() {
                let store = Arc::new(InMemory::new());
                return Ok(Self { store, url: options.url, place: Place::Memory, scratch: options.scratch });
            }
            std::fs::create_dir_all(&folder).map_err(|error| failed(error.into()))?;
            let folder = folder.canonicalize().map_err(|error| failed(error.into()))?;
            let local = LocalFileSystem::new_with_prefix(&folder).map_err(|error| failed(error.into()))?;
            (Arc::new(local.with_fsync(true)), Place::Folder(folder))
        };
        Ok(Self { store, url: options.url.clone(), place, scratch: options.scratch.clone() })
    }

    /// Returns the lake's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn scratch(&self) -> &FilePath {
        &self.scratch
    }

    /// Writes an object that is named by its content; if it exists already, it is the same.
    ///
    /// # Errors
    /// When the store fails, or the existing object has another size.
    pub async fn put_new(&self, key: &Path, bytes: Bytes) -> Result<(), LakeError> {
        let size = bytes.len() as u64;
        match self.create(key, bytes).await? {
            Created::Now => Ok(()),
            Created::Before if self.head(key).await?.size == size => Ok(()),
            Created::Before => Err(LakeError::Changed { key: key.to_string() }),
        }
    }

    /// Writes an object unless there is one under its key.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn create(&self, key: &Path, bytes: Bytes) -> Result<Created, LakeError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(key, bytes.into(), options).await {
            Ok(_) => Ok(Created::Now),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(Created::Before)
            }
            Err(cause) => Err(self.failed("writing", key, cause)),
        }
    }

    /// Writes a whole object, replacing an existing one: pointers and pages.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_pointer(&self, key: &Path, bytes: Bytes) -> Result<(), LakeError> {
        self.store.put(key, bytes.into()).await.map(drop).map_err(|cause| self.failed("writing", key, cause))
    }

    /// Removes an object; an object that does not exist counts as removed.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn remove(&self, key: &Path) -> Result<(), LakeError> {
        match self.store.delete(key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(self.failed("removing", key, cause)),
        }
    }

    /// Removes every object below a folder.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn remove_all(&self, folder: &Path) -> Result<(), LakeError> {
        for object in self.list(folder).await? {
            self.remove(&object.location).await?;
        }
        Ok(())
    }

    /// Returns an object's bytes.
    ///
    /// # Errors
    /// When it does not exist or the store fails.
    pub async fn get(&self, key: &Path) -> Result<Bytes, LakeError> {
        let read = async { self.store.get(key).await?.bytes().await };
        read.await.map_err(|cause| self.failed("reading", key, cause))
    }

    /// Returns the bytes of an object from `start` to its end.
    ///
    /// # Errors
    /// When it does not exist, is shorter, or the store fails.
    pub async fn get_tail(&self, key: &Path, start: u64) -> Result<Bytes, LakeError> {
        let options = GetOptions { range: Some(GetRange::Offset(start)), ..GetOptions::default() };
        let read = async { self.store.get_opts(key, options).await?.bytes().await };
        read.await.map_err(|cause| self.failed("reading", key, cause))
    }

    /// Returns an object's bytes, or `None` if it does not exist.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn get_if_there(&self, key: &Path) -> Result<Option<Bytes>, LakeError> {
        match self.get(key).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(LakeError::Store { cause: object_store::Error::NotFound { .. }, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns what the store knows of an object.
    ///
    /// # Errors
    /// When it does not exist or the store fails.
    pub async fn head(&self, key: &Path) -> Result<ObjectMeta, LakeError> {
        self.store.head(key).await.map_err(|cause| self.failed("looking at", key, cause))
    }

    /// Returns every object below `prefix`, sorted by key.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self, prefix: &Path) -> Result<Vec<ObjectMeta>, LakeError> {
        let listed = self.store.list(Some(prefix)).try_collect::<Vec<_>>().await;
        let mut objects = listed.map_err(|cause| self.failed("listing", prefix, cause))?;
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(objects)
    }

    /// Returns the error about a committed object: one that does not exist is lost.
    pub(super) fn lost_if_gone(&self, key: &Path, error: LakeError) -> LakeError {
        if !error.is_not_found() {
            return error;
        }
        LakeError::Lost { key: key.to_string(), url: self.url.clone(), advice: ADVICE }
    }

    fn failed(&self, operation: &'static str, key: &Path, cause: object_store::Error) -> LakeError {
        LakeError::Store { operation, key: key.to_string(), url: self.url.clone(), cause }
    }
}

fn s3(rest: &str, options: &LakeOptions) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let client = ClientOptions::new()
        .with_allow_http(options.allow_http)
        .with_connect_timeout(Duration::from_secs(10))
        .with_timeout(Duration::from_secs(300));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_allow_http(options.allow_http)
        .with_client_options(client)
        .with_retry(RetryConfig { max_retries: 5, retry_timeout: Duration::from_secs(60), ..RetryConfig::default() })
        .with_region(options.region.as_deref().unwrap_or("us-east-1"));
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_config(AmazonS3ConfigKey::Endpoint, endpoint);
    }
    if let (Some(id), Some(secret)) = (&options.access_key_id, &options.secret_access_key) {
        builder = builder.with_access_key_id(id.expose_secret()).with_secret_access_key(secret.expose_secret());
    }
    let store = builder.build()?;
    let prefix = prefix.trim_matches('/');
    Ok(if prefix.is_empty() { Arc::new(store) } else { Arc::new(PrefixStore::new(store, super::keys::key(prefix))) })
}
