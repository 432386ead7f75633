//! The way to an SMTP server through a proxy: an HTTP proxy that tunnels (CONNECT), or SOCKS5.
//!
//! The proxy only passes bytes on; the conversation through it is private as any other, because STARTTLS is required
//! before anything is said.

use hyper::Uri;

/// A proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(super) uri: Uri,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
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
