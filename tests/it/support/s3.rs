//! A real S3 server in process: s3s over a folder of its own, with signatures checked, on a port of its own.
//!
//! It serves until the test ends.

use std::path::Path;
use std::sync::Once;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use nocturne::lake::LakeOptions;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The one bucket.
pub(crate) const BUCKET: &str = "lake";
/// The access key that the server knows.
pub(crate) const ACCESS_KEY: &str = "test-access-key";
/// The secret that goes with it.
pub(crate) const SECRET_KEY: &str = "test-secret-key";

/// A running server.
pub(crate) struct S3Server {
    pub(crate) endpoint: String,
    folder: tempfile::TempDir,
    _task: JoinSet<()>,
}

impl S3Server {
    /// Starts a server with an empty bucket.
    pub(crate) async fn start() -> Self {
        // The client speaks plain HTTP here, and still asks for a provider of cryptography.
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let service = {
            let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
            builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
            builder.build()
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let server = Builder::new(TokioExecutor::new());
                let service = service.clone();
                connections.spawn(async move { drop(server.serve_connection(TokioIo::new(socket), service).await) });
            }
        });
        Self { endpoint, folder, _task: task }
    }

    /// Returns the folder that holds the bucket's objects.
    pub(crate) fn bucket(&self) -> std::path::PathBuf {
        self.folder.path().join(BUCKET)
    }

    /// Returns the options of a lake, or a source, under `prefix` of the bucket.
    pub(crate) fn options(&self, prefix: &str, scratch: &Path) -> LakeOptions {
        LakeOptions {
            url: format!("s3://{BUCKET}/{prefix}"),
            endpoint: Some(self.endpoint.clone()),
            region: None,
            access_key_id: Some(ACCESS_KEY.to_owned().into()),
            secret_access_key: Some(SECRET_KEY.to_owned().into()),
            allow_http: true,
            scratch: scratch.to_path_buf(),
            if_missing: nocturne::lake::IfMissing::Create,
        }
    }
}
