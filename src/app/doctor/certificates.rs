//! Certificates: for how many days the SMTP server's and those of HTTPS endpoints are still valid.
//!
//! An untrusted certificate is examined all the same, over a connection on which nothing else is sent. HTTPS servers
//! also state the time, which is compared with this machine's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use reqwest::tls::TlsInfo;
use reqwest::{Client, Url};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, RootCertStore};

use super::checked::{Checked, Subject};
use super::site::Site;
use super::{clock, mail};
use crate::config::{Config, MailTransport};

pub(super) const THIS: Subject = Subject("certificates");

/// With fewer days left, somebody should renew it.
const SOON_DAYS: i64 = 21;

/// How long an HTTPS server may take.
const ANSWER: Duration = Duration::from_secs(8);

/// Checks the certificates of all servers that are reached by TLS.
pub(super) fn check(site: &Site) -> BoxFuture<'_, Vec<Checked>> {
    async move {
        let mut checks = Vec::new();
        if site.config.mail.transport == MailTransport::Smtp {
            checks.push(smtp(site).await);
        }
        let origins = origins(&site.config);
        let asked = origins.iter().map(|(origin, key)| https(site, origin, key));
        checks.extend(futures::future::join_all(asked).await.into_iter().flatten());
        if checks.is_empty() {
            checks.push(THIS.ok("all", "no server is reached by TLS"));
        }
        checks
    }
    .boxed()
}

async fn smtp(site: &Site) -> Checked {
    let host = site.config.mail.host.as_deref().unwrap_or_default();
    let Ok(smtp) = mail::smtp(site) else { return THIS.skipped(host, "`[mail]` cannot be used") };
    match smtp.certificate().await {
        Ok(der) => days_left(host, not_after(&der), site.clock.now()),
        Err(_) => THIS.skipped(host, "the server did not show one: see e-mail"),
    }
}

/// Returns the origins of HTTPS servers that the configuration names, each with its key.
fn origins(config: &Config) -> BTreeMap<String, &'static str> {
    let mut urls = Vec::new();
    let uses_s3 = |url: &str| url.starts_with("s3://");
    let sources = config.sources.values().filter_map(|source| source.path.as_deref());
    if uses_s3(&config.lake.url) || sources.into_iter().any(uses_s3) {
        let region = config.lake.region.as_deref().unwrap_or("us-east-1");
        let aws = || format!("https://s3.{region}.amazonaws.com");
        urls.push((config.lake.endpoint.clone().unwrap_or_else(aws), "lake.endpoint"));
    }
    urls.extend(config.watchdog.ping_url.clone().map(|url| (url, "watchdog.ping_url")));
    let origin = |url: String| Url::parse(&url).ok().map(|url| url.origin().ascii_serialization());
    let origins = urls.into_iter().filter_map(|(url, key)| Some((origin(url)?, key)));
    origins.filter(|(origin, _)| origin.starts_with("https://")).collect()
}

/// Whether a connection is for work, or only for examining what a server presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    AsAlways,
    Anybody,
}

/// What an HTTPS server has presented.
struct Shown {
    certificate: Option<Vec<u8>>,
    /// What its clock says.
    date: Option<Timestamp>,
}

async fn https(site: &Site, origin: &str, key: &str) -> Vec<Checked> {
    let host = origin.trim_start_matches("https://");
    let now = site.clock.now();
    let refused = match ask(origin, Trust::AsAlways).await {
        Ok(shown) => return said(host, &shown, now),
        Err(error) => format!("{:#}", anyhow::Error::new(error.without_url())),
    };
    match ask(origin, Trust::Anybody).await {
        Ok(shown) => {
            let mut checks = said(host, &shown, now);
            let is_explained = checks.iter().any(|check| check.subject == THIS.0 && check.verdict.is_finding());
            if !is_explained {
                checks.retain(|check| check.subject != THIS.0);
                let advice = "renew it, or have the system trust the authority that signed it";
                checks.push(THIS.fail(host, format!("its certificate is not trusted: {refused}"), advice));
            }
            checks
        }
        Err(_) => {
            let advice =
                format!("correct `{key}`, or see that names are resolved and the firewall or proxy lets it through");
            vec![THIS.warn(host, format!("it cannot be reached: {refused}"), advice)]
        }
    }
}

/// Requests the root of a server and nothing else; any answer will do.
async fn ask(origin: &str, trust: Trust) -> Result<Shown, reqwest::Error> {
    let client = Client::builder()
        .timeout(ANSWER)
        .connect_timeout(ANSWER)
        .redirect(reqwest::redirect::Policy::none())
        .tls_info(true)
        .tls_danger_accept_invalid_certs(trust == Trust::Anybody)
        .build()?;
    let answer = client.head(origin).send().await?;
    let info = answer.extensions().get::<TlsInfo>();
    let date = answer.headers().get(reqwest::header::DATE).and_then(|date| date.to_str().ok());
    Ok(Shown {
        certificate: info.and_then(TlsInfo::peer_certificate).map(<[u8]>::to_vec),
        date: date.and_then(|date| rfc2822::parse(date).ok()).map(|date| date.timestamp()),
    })
}

fn said(host: &str, shown: &Shown, now: Timestamp) -> Vec<Checked> {
    let mut checks = Vec::new();
    checks.extend(shown.certificate.as_deref().map(|der| days_left(host, not_after(der), now)));
    // The header has whole seconds.
    let ahead = |date: Timestamp| date.duration_since(now);
    checks.extend(shown.date.map(|date| clock::skew(clock::THIS, host, host, ahead(date))));
    checks
}

fn days_left(host: &str, not_after: Option<Timestamp>, now: Timestamp) -> Checked {
    let Some(not_after) = not_after else {
        return THIS.skipped(host, "its certificate does not say until when it is valid");
    };
    let left = not_after.duration_since(now);
    let days = left.as_hours() / 24;
    let until = not_after.strftime("%Y-%m-%d");
    let advice = "have it renewed; where that happens by itself, find out why it has not";
    if left <= SignedDuration::ZERO {
        return THIS.fail(host, format!("its certificate expired on {until}, {} days ago", -days), advice);
    }
    if days < SOON_DAYS {
        return THIS.warn(host, format!("its certificate expires on {until}, in {days} days"), advice);
    }
    THIS.ok(host, format!("its certificate is valid for {days} days, until {until}"))
}

/// Returns until when a certificate is valid. The verifier is asked whether it is valid at the end of time, and reports
/// when it expired: its validity is checked before anything else about it.
fn not_after(der: &[u8]) -> Option<Timestamp> {
    let certificate = CertificateDer::from(der);
    let mut roots = RootCertStore::empty();
    // It does not matter that it vouches for itself: only its dates are needed.
    roots.add(certificate.clone()).ok()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()?;
    let end_of_time = UnixTime::since_unix_epoch(Duration::from_secs(u64::from(u32::MAX) * 1000));
    let name = ServerName::try_from("localhost").ok()?;
    match verifier.verify_server_cert(&certificate, &[], &name, &[], end_of_time) {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Timestamp::from_second(i64::try_from(not_after.as_secs()).ok()?).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Verdict;
    use crate::config::Layers;

    fn certificate(until: i32) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["mail.example.edu".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 3, 1);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_says_until_when_it_is_valid() {
        let until = |year| not_after(&certificate(year)).map(|at| at.to_string());

        assert_eq!(until(2024), Some("2024-03-01T00:00:00Z".to_owned()));
        assert_eq!(until(2031), Some("2031-03-01T00:00:00Z".to_owned()));
        assert_eq!(not_after(b"no certificate"), None);
    }

    #[test]
    fn fewer_than_21_days_are_a_warning_and_none_fail() {
        let now: Timestamp = "2026-11-20T02:30:00Z".parse().unwrap();
        let left = |hours| days_left("x", Some(now + SignedDuration::from_hours(hours)), now);

        assert_eq!(
            [left(22 * 24).verdict, left(20 * 24).verdict, left(-50).verdict],
            [Verdict::Ok, Verdict::Warn, Verdict::Fail]
        );
        assert_eq!(left(-50).found, "its certificate expired on 2026-11-18, 2 days ago");
    }

    #[test]
    fn every_server_is_asked_once_and_never_for_the_ping() {
        let text = "[lake]\nurl = 's3://b'\nendpoint = 'https://s3.example.edu/x'\n\
            [watchdog]\nping_url = 'https://ping.example.edu/secret'\n";
        let layers = Layers::from_texts(vec![("a.toml".into(), text.to_owned())], BTreeMap::new());

        let origins: Vec<_> = origins(&layers.config().unwrap()).into_iter().collect();

        assert_eq!(
            origins,
            [
                ("https://ping.example.edu".to_owned(), "watchdog.ping_url"),
                ("https://s3.example.edu".to_owned(), "lake.endpoint"),
            ]
        );
    }
}
