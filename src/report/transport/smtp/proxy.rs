//! The way to an SMTP server through a proxy: an HTTP proxy that tunnels (CONNECT), or SOCKS5.
//!
//! The proxy only passes bytes on; the conversation through it is private as any other, because STARTTLS is required
//! before anything is said.

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use tokio::net::TcpStream;
use tower_service::Service as _;

use super::{REACHING, Smtp};
use crate::report::transport::receipt::{Stage, TransportError};
use crate::telemetry::chain;

/// A proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    uri: Uri,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http,
    Socks5,
}

impl Proxy {
    /// Returns the proxy at a URL such as `http://proxy.example.edu:3128` or `socks5://proxy.example.edu:1080`; the name
    /// of the server is looked up by the proxy. `None` if it is neither, names no port, or holds a user.
    pub fn parse(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let kind = match uri.scheme_str()? {
            "http" => Kind::Http,
            "socks5" => Kind::Socks5,
            _ => return None,
        };
        let authority = uri.authority()?;
        let is_plain = !authority.as_str().contains('@') && !authority.host().is_empty() && uri.path().len() <= 1;
        (is_plain && uri.port_u16().is_some() && uri.query().is_none()).then_some(Self { uri, kind })
    }
}

impl Smtp {
    /// Returns a connection to the server that leads through the proxy.
    pub(super) async fn through(&self, proxy: &Proxy) -> Result<TcpStream, TransportError> {
        let limit = REACHING.min(self.settings.timeout);
        let refused = |why: String| self.failed(Stage::Connect, true, format!("the proxy {}: {why}", proxy.uri));
        let server: Uri = format!("http://{}:{}", self.settings.host, self.settings.port).parse().map_err(|error| {
            self.failed(Stage::Connect, false, format!("this is not the name of a server: {error}"))
        })?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(limit));
        let tunnelling = async {
            match proxy.kind {
                Kind::Http => {
                    Tunnel::new(proxy.uri.clone(), connector).call(server).await.map_err(|error| chain(&error))
                }
                Kind::Socks5 => {
                    SocksV5::new(proxy.uri.clone(), connector).call(server).await.map_err(|error| chain(&error))
                }
            }
        };
        match tokio::time::timeout(limit, tunnelling).await {
            Ok(Ok(stream)) => Ok(stream.into_inner()),
            Ok(Err(why)) => Err(refused(why)),
            Err(_) => Err(refused(format!("no answer within {} s", limit.as_secs_f64()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_scheme_a_host_and_a_port_and_nothing_secret() {
        for good in ["http://proxy.example.edu:3128", "socks5://127.0.0.1:1080", "http://[::1]:8080/"] {
            assert!(Proxy::parse(good).is_some(), "{good}");
        }
        for wrong in ["proxy:3128", "https://proxy:3128", "http://proxy", "http://me:secret@proxy:1", "http://p:1/x?y"]
        {
            assert!(Proxy::parse(wrong).is_none(), "{wrong}");
        }
    }
}
