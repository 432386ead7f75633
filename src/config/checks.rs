//! What the shape of the configuration alone cannot say.
//!
//! Pure: from a configuration of the right shape to the keys that make no sense, with what is allowed. Nothing is
//! opened or resolved here: whether a folder, a server or a secret is there shows when it is used.

use tracing_subscriber::EnvFilter;

use super::{Config, Isolation, Lake, Mail, MailTransport, Source, SourceKind, Use, parse_mailbox};
use crate::domain::schedule::parse_zone;
use crate::domain::spec::parse_duration;

/// Returns what makes no sense for `purpose`, each with the dotted path of its key.
pub(super) fn cross_checks(config: &Config, purpose: Use) -> Vec<(String, String)> {
    let mut notes = Notes(Vec::new());
    notes.add("institution.timezone", parse_zone(&config.institution.timezone));
    notes.add("simulation.zone", parse_zone(&config.simulation.zone));
    notes.add("features.delivery_grace", parse_duration(&config.features.delivery_grace));
    notes.add("log.filter", EnvFilter::try_new(&config.log.filter));
    state(&config.state.url, &mut notes);
    lake(&config.lake, &mut notes);
    if config.lake.url.starts_with("memory://") && config.engine.isolation == Isolation::Process {
        let message = "a lake in memory is seen by one process only: set `engine.isolation = \"thread\"` with it";
        notes.note("lake.url", message);
    }
    for (name, source) in config.sources.iter().filter(|_| purpose == Use::Nights) {
        self::source(name, source, config, &mut notes);
    }
    mail(&config.mail, &mut notes);
    if let Some(url) = &config.watchdog.ping_url
        && !(url.starts_with("https://") || url.starts_with("http://"))
    {
        notes.note("watchdog.ping_url", "write a URL such as `https://ping.example.edu/nocturne`");
    }
    notes.0
}

struct Notes(Vec<(String, String)>);

impl Notes {
    fn note(&mut self, path: &str, message: impl Into<String>) {
        self.0.push((path.to_owned(), message.into()));
    }

    fn add<T, E: std::fmt::Display>(&mut self, path: &str, result: Result<T, E>) {
        if let Err(error) = result {
            self.note(path, error.to_string());
        }
    }
}

fn state(url: &str, notes: &mut Notes) {
    let allowed = "allowed: `sqlite://PATH`, `postgres://USER@HOST/DATABASE`";
    match url.split_once("://") {
        Some(("sqlite" | "postgres" | "postgresql", rest)) if !rest.is_empty() => {}
        Some((scheme, _)) => notes.note("state.url", format!("`{scheme}://` is no usable state store; {allowed}")),
        None => notes.note("state.url", format!("the state store needs a URL; {allowed}")),
    }
}

fn lake(lake: &Lake, notes: &mut Notes) {
    let scheme = lake.url.split_once("://");
    match scheme {
        Some(("s3", "")) => notes.note("lake.url", "the bucket is missing; write `s3://bucket/prefix`"),
        Some(("memory" | "s3" | "file", _)) => {}
        None if !lake.url.is_empty() => {}
        _ => notes.note("lake.url", "allowed: a folder, `memory://`, `s3://bucket/prefix`"),
    }
    if let Some(endpoint) = &lake.endpoint {
        match endpoint.split_once("://") {
            Some(("https", _)) => {}
            Some(("http", _)) if lake.allow_http => {}
            Some(("http", _)) => {
                notes.note("lake.endpoint", "plain HTTP is used only where `lake.allow_http = true` says so");
            }
            _ => notes.note("lake.endpoint", "the endpoint needs a URL such as `https://s3.example.edu`"),
        }
    }
    match (&lake.access_key_id, &lake.secret_access_key) {
        (Some(_), None) => notes.note("lake.secret_access_key", "there is an `access_key_id` and no secret to it"),
        (None, Some(_)) => notes.note("lake.access_key_id", "there is a `secret_access_key` and no id to it"),
        _ => {}
    }
}

fn source(name: &str, source: &Source, config: &Config, notes: &mut Notes) {
    if source.kind != SourceKind::Files {
        return;
    }
    if source.path.as_ref().is_none_or(String::is_empty) {
        let variable = format!("NOCTURNE__SOURCES__{}__PATH", name.to_uppercase());
        let message = format!("a source of files needs the folder or prefix of its exports (or set {variable})");
        notes.note(&format!("sources.{name}.path"), message);
    }
    if !source.anonymous && config.privacy.key.is_none() {
        let message = format!(
            "the source `{name}` names people, so its ids become pseudonyms under a key of your own: set `privacy.key` \
             to `env:NAME` or `file:PATH` (only data that name nobody already may say `anonymous = true`)"
        );
        notes.note(&format!("sources.{name}.kind"), message);
    }
}

fn mail(mail: &Mail, notes: &mut Notes) {
    if mail.transport == MailTransport::Smtp && mail.host.as_ref().is_none_or(String::is_empty) {
        notes.note("mail.host", "SMTP needs the host of the server");
    }
    if mail.user.is_some() != mail.password.is_some() {
        let missing = if mail.user.is_some() { "mail.password" } else { "mail.user" };
        notes.note(missing, "to log in, SMTP needs both `user` and `password`");
    }
    if mail.to.is_empty() {
        notes.note("mail.to", "nobody would get the digest; name at least one address");
    }
    if mail
        .hello_name
        .as_ref()
        .is_some_and(|name| name.is_empty() || !name.is_ascii() || name.contains(char::is_whitespace))
    {
        notes.note("mail.hello_name", "this is no name of a machine; write one such as `night.example.edu`");
    }
    let addresses = mail.to.iter().enumerate().map(|(index, address)| (format!("mail.to.{index}"), address));
    let from = ("mail.from".to_owned(), &mail.from);
    let reply_to = mail.reply_to.as_ref().map(|address| ("mail.reply_to".to_owned(), address));
    for (path, address) in addresses.chain([from]).chain(reply_to) {
        if parse_mailbox(address).is_none() {
            let what = "this is no address that a mail server can deliver to";
            notes.note(&path, format!("{what}; write `name@example.edu` or `Name <name@example.edu>`"));
        }
    }
}
