//! Reaching an SMTP server through a proxy, within the time that reaching one directly may take.

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use tokio::net::TcpStream;
use tower_service::Service as _;

use super::proxy::{Kind, Proxy};
use super::{REACHING, Smtp};
use crate::report::transport::receipt::{Stage, TransportError};
use crate::telemetry::chain;

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
