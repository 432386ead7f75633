//! A receiver of webhooks in process, over TLS: it keeps what is posted and answers as it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::tls;

/// The signing key that both sides know.
pub(crate) const SECRET: &str = "whsec_bm9jdHVybmUncyB0ZXN0cyBrbm93IHRoaXMga2V5";

/// What was posted.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    /// The request line.
    pub(crate) line: String,
    /// Its headers, by name in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// Its body.
    pub(crate) body: String,
}

impl Posted {
    /// Whether it is signed by the key, as Standard Webhooks asks.
    pub(crate) fn is_signed(&self) -> bool {
        let key = STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        let (id, at) = (&self.headers["webhook-id"], &self.headers["webhook-timestamp"]);
        mac.update(format!("{id}.{at}.{}", self.body).as_bytes());
        self.headers["webhook-signature"] == format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// A running receiver.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    pub(crate) certificate_pem: String,
    posted: Arc<Mutex<Vec<Posted>>>,
    _task: JoinSet<()>,
}

impl Receiver {
    /// Starts a receiver that answers its first requests with these codes, and all others with 204.
    pub(crate) async fn start(answers: &'static [u16]) -> Self {
        // A client in the test's own process asks for a provider of cryptography.
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (config, certificate_pem) = tls::server(tls::valid());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let posted = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&posted);
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                let mut stream = BufReader::new(stream);
                let (mut line, mut headers) = (String::new(), BTreeMap::new());
                stream.read_line(&mut line).await.unwrap();
                let mut header = String::new();
                while stream.read_line(&mut header).await.is_ok_and(|n| n > 2) {
                    let (name, value) = header.split_once(':').unwrap();
                    headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
                    header.clear();
                }
                let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
                stream.read_exact(&mut body).await.unwrap();
                let body = String::from_utf8(body).unwrap();
                let n = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(Posted { line: line.trim().to_owned(), headers, body });
                    kept.len()
                };
                let code = answers.get(n - 1).copied().unwrap_or(204);
                let answer = format!("HTTP/1.1 {code} Said\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                drop(stream.write_all(answer.as_bytes()).await);
                drop(stream.shutdown().await);
            }
        });
        Self { port, certificate_pem, posted, _task: task }
    }

    /// Returns what was posted so far.
    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }
}
