//! Certificates made for a test, and servers that show them.

use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A certificate of this machine that is valid.
pub(crate) fn valid() -> CertificateParams {
    CertificateParams::new(vec!["localhost".to_owned()]).unwrap()
}

/// A certificate of this machine that was valid in 2024.
pub(crate) fn expired() -> CertificateParams {
    let mut params = valid();
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2024, 12, 31);
    params
}

/// Returns the settings of a server that shows such a certificate, and the certificate in PEM form.
pub(crate) fn server(certificate: CertificateParams) -> (ServerConfig, String) {
    let key_pair = KeyPair::generate().unwrap();
    let certificate = certificate.self_signed(&key_pair).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key_pair.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (config, certificate.pem())
}

/// An HTTPS server that answers everything with the same time, and keeps what it was asked for.
pub(crate) struct HttpsServer {
    pub(crate) port: u16,
    /// The certificate that clients must trust, in PEM form.
    pub(crate) certificate_pem: String,
    asked: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl HttpsServer {
    /// Starts a server whose clock shows `date`.
    pub(crate) async fn start(certificate: CertificateParams, date: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (config, certificate_pem) = server(certificate);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) =
            (Arc::clone(&asked), format!("HTTP/1.1 403 Forbidden\r\ndate: {date}\r\nconnection: close\r\n\r\n"));
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Who does not trust the certificate hangs up.
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|n| n > 2) {
                    kept.lock().unwrap().push(std::mem::take(&mut line).trim().to_owned());
                }
                drop(stream.write_all(answer.as_bytes()).await);
                drop(stream.shutdown().await);
            }
        });
        Self { port, certificate_pem, asked, _task: task }
    }

    /// Returns every line that it was sent.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}
