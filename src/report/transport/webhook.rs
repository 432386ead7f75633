//! Webhooks: alerts posted as JSON, signed, to a receiver outside.
//!
//! Requests and signatures follow Standard Webhooks (<https://www.standardwebhooks.com>), for which most languages have a
//! library: `webhook-id` is the same for every try, so that a receiver can tell a repeated one; `webhook-timestamp` is
//! the time of the try; `webhook-signature` is `v1,` and the base64 of the HMAC-SHA-256 of `id.timestamp.body`. Nothing is
//! posted to a private address unless the configuration allows it, whatever a name resolves to, and no redirect is
//! followed. Errors name the webhook; its URL may be a secret, so neither errors nor logs hold it.

mod public;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, Proxy, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use super::receipt::{Receipt, TransportError};
use public::is_public;

/// How long a request may take in all, and its connection alone.
const REQUEST: Duration = Duration::from_secs(30);
const CONNECTION: Duration = Duration::from_secs(10);

/// The fewest bytes that a signing key may have: Standard Webhooks asks for as many.
const SHORTEST_KEY: usize = 24;

/// What a key in base64 begins with.
const BASE64_KEY: &str = "whsec_";

/// How to reach a receiver.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Its name in the configuration.
    pub name: String,
    /// Its URL.
    pub url: SecretString,
    /// The signing key: its text, or `whsec_` and base64.
    pub secret: SecretString,
    /// Where it may be.
    pub reach: Reach,
    /// The HTTP proxy through which it is reached.
    pub proxy: Option<String>,
    /// A PEM file of certificates to trust besides the well-known ones.
    pub ca_file: Option<PathBuf>,
}

/// Where a receiver may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// At a public address, with TLS.
    Public,
    /// Anywhere, also in the clear: the network is the site's own.
    Anywhere,
}

/// A receiver of alerts.
pub struct Webhook {
    name: String,
    url: Url,
    key: Vec<u8>,
    client: Client,
}

impl Webhook {
    /// Returns the receiver with those settings; no connection is made yet.
    ///
    /// # Errors
    /// When the URL is none or is not allowed, the key is too short, or the proxy or the certificates cannot be used.
    pub fn new(settings: &WebhookSettings) -> Result<Self, TransportError> {
        let WebhookSettings { name, url, secret, reach, proxy, ca_file } = settings;
        let refused = |why: &str| refused(name, why);
        let url: Url = url.expose_secret().parse().map_err(|_| refused("its `url` is not a URL"))?;
        let is_private = *reach == Reach::Anywhere;
        if !(url.scheme() == "https" || url.scheme() == "http" && is_private) {
            return Err(refused("its `url` must begin with `https://`, or `allow_private = true` be set"));
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if !is_private && host.parse::<IpAddr>().is_ok_and(|address| !is_public(address)) {
            return Err(refused(PRIVATE));
        }
        let mut builder = Client::builder()
            .timeout(REQUEST)
            .connect_timeout(CONNECTION)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("nocturne/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(Resolver(*reach)));
        if let Some(proxy) = proxy {
            builder = builder.proxy(Proxy::all(proxy).map_err(|_| refused("its `proxy` is not a URL"))?);
        }
        if let Some(path) = ca_file {
            let unusable = |why: String| TransportError::Certificate { path: path.clone(), why };
            let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
            for certificate in Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let client = builder.build().map_err(|error| refused(&format!("no client can be made for it: {error}")))?;
        Ok(Self { key: key(secret.expose_secret()).map_err(refused)?, name: name.clone(), url, client })
    }

    /// Posts `body` under `id`, which is the same for every try.
    ///
    /// # Errors
    /// When the receiver is not reached or does not accept it.
    pub async fn post(&self, id: &str, body: &str, now: Timestamp) -> Result<Receipt, TransportError> {
        let seconds = now.as_second().to_string();
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds.as_str())
            .header("webhook-signature", format!("v1,{}", self.signature(id, &seconds, body)))
            .body(body.to_owned());
        let answer = request.send().await.map_err(|error| self.unreached(&error, REQUEST))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(Receipt { words: status.to_string() });
        }
        Err(TransportError::Webhook {
            name: self.name.clone(),
            is_gone: status == StatusCode::GONE,
            why: format!("it answered {status}"),
        })
    }

    /// Asks the receiver for anything: whatever it answers, it is there.
    ///
    /// # Errors
    /// When it is not reached within `limit`.
    pub async fn reach(&self, limit: Duration) -> Result<(), TransportError> {
        let asked = self.client.head(self.url.clone()).timeout(limit).send().await;
        asked.map(drop).map_err(|error| self.unreached(&error, limit))
    }

    fn signature(&self, id: &str, seconds: &str, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of every length");
        mac.update(format!("{id}.{seconds}.{body}").as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }

    fn unreached(&self, error: &reqwest::Error, limit: Duration) -> TransportError {
        // The chain of causes without reqwest's own words, which name the URL.
        let mut causes = Vec::new();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        let why = match (error.is_timeout(), causes.pop()) {
            (true, _) => format!("it did not answer within {} s", limit.as_secs()),
            (false, Some(cause)) => format!("it was not reached: {cause}"),
            (false, None) => "it was not reached".to_owned(),
        };
        TransportError::Webhook { name: self.name.clone(), is_gone: false, why }
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("name", &self.name).finish_non_exhaustive()
    }
}

const PRIVATE: &str = "it is at a private address: set `allow_private = true` if the network is your own";

/// Resolves names, and refuses those that stand for an address to which nothing may be posted.
struct Resolver(Reach);

/// A name that stands for an address to which nothing may be posted.
#[derive(Debug, thiserror::Error)]
#[error("{PRIVATE}")]
struct PrivateAddress;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if reach == Reach::Public && found.iter().any(|address| !is_public(address.ip())) {
                return Err(PrivateAddress.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn refused(name: &str, why: &str) -> TransportError {
    TransportError::Webhook { name: name.to_owned(), is_gone: false, why: why.to_owned() }
}

fn key(secret: &str) -> Result<Vec<u8>, &'static str> {
    let key = match secret.strip_prefix(BASE64_KEY) {
        Some(text) => {
            STANDARD.decode(text).map_err(|_| "its `secret` begins with `whsec_` and does not go on in base64")?
        }
        None => secret.as_bytes().to_vec(),
    };
    if key.len() < SHORTEST_KEY {
        return Err("its `secret` is too short to sign with: use at least 24 characters drawn at random");
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str, reach: Reach) -> WebhookSettings {
        WebhookSettings {
            name: "pager".to_owned(),
            url: url.to_owned().into(),
            secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned().into(),
            reach,
            proxy: None,
            ca_file: None,
        }
    }

    /// The program does so when it starts.
    fn provide_cryptography() {
        drop(rustls::crypto::ring::default_provider().install_default());
    }

    fn why(settings: &WebhookSettings) -> String {
        provide_cryptography();
        Webhook::new(settings).unwrap_err().to_string()
    }

    #[test]
    fn the_signature_is_that_of_the_standards_own_example() {
        provide_cryptography();
        let webhook = Webhook::new(&settings("https://example.org/", Reach::Public)).unwrap();

        let signature = webhook.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);

        assert_eq!(signature, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_private_address_is_refused_however_it_is_written() {
        for url in [
            "https://127.0.0.1/",
            "https://10.1.2.3/x",
            "https://[::1]/",
            "https://[::ffff:192.168.0.1]/",
            "https://0x7f.1/",
            "https://169.254.169.254/latest/meta-data",
        ] {
            assert!(why(&settings(url, Reach::Public)).contains("private address"), "{url}");
        }
        assert!(why(&settings("http://example.org/", Reach::Public)).contains("https://"));
    }

    #[test]
    fn errors_do_not_hold_the_url_or_the_key() {
        let short = WebhookSettings {
            secret: "hunter2".to_owned().into(),
            ..settings("https://example.org/t0ken", Reach::Public)
        };

        let told = [why(&short), why(&settings("https://10.0.0.1/t0ken", Reach::Public)), format!("{short:?}")];

        assert!(told.iter().all(|text| !text.contains("t0ken") && !text.contains("hunter2")), "{told:?}");
    }
}
