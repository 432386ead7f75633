//! Checks that the shape of the configuration alone cannot express.
//!
//! Pure: from a configuration of the right shape to the keys that make no sense, with what is allowed. Nothing is
//! opened or resolved here: whether a folder, a server or a secret exists is found out when it is used.

use serde_json::Value;
use tracing_subscriber::EnvFilter;

use super::{Config, Engine, Lake, Log, Mail, MailTransport, Paths, Size, Source, SourceKind, Use, parse_mailbox};
use super::{Isolation, Retention, Security};
use crate::domain::document::Words;
use crate::domain::ids::{SourceName, TableName};
use crate::domain::schedule::parse_zone;
use crate::domain::spec::{LONGEST_GRACE, parse_duration};

/// The least and the most memory that an attempt may be limited to.
const MEMORY: [u64; 2] = [8 << 20, 64 << 40];

/// The least and the most that an attempt's log may be limited to.
const LOG: [u64; 2] = [1 << 10, 64 << 30];

/// Returns what makes no sense for `purpose`, each with the dotted path of its key; `kinds` are the available kinds of
/// job, if they are known.
pub(super) fn cross_checks(config: &Config, purpose: Use, kinds: &[String]) -> Vec<(String, String)> {
    let mut notes = Notes(Vec::new());
    notes.add("institution.timezone", parse_zone(&config.institution.timezone));
    notes.add("simulation.zone", parse_zone(&config.simulation.zone));
    for (at, trouble) in config.simulation.troubles.iter().enumerate() {
        for (key, problem) in trouble.problems() {
            notes.note(&format!("simulation.troubles.{at}.{key}"), problem);
        }
    }
    notes.add("features.delivery_grace", parse_duration(&config.features.delivery_grace, LONGEST_GRACE));
    if config.institution.name.trim().is_empty() {
        notes.note("institution.name", "the text is empty; reports and e-mails need the institution's name");
    }
    // A path that is not UTF-8 cannot be serialised; but a file could not put control characters into it either.
    if let Ok(whole) = serde_json::to_value(config) {
        control_characters(&whole, &mut String::new(), &mut notes);
    }
    paths(&config.paths, &mut notes);
    state(&config.state.url, &mut notes);
    lake(&config.lake, &mut notes);
    engine(config, kinds, &mut notes);
    log(&config.log, &mut notes);
    retention(&config.retention, &mut notes);
    for (name, source) in &config.sources {
        source_names(name, source, &mut notes);
        if purpose == Use::Nights {
            self::source(name, source, config, &mut notes);
        }
    }
    mail(&config.mail, &mut notes);
    notes.0.extend(config.alerts.problems(&config.mail));
    if let Some(url) = &config.watchdog.ping_url
        && !has_host(url, &["https", "http"])
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

    fn size(&mut self, path: &str, size: &Size, [least, most]: [u64; 2], allowed: &str) {
        if !(least..=most).contains(&size.bytes()) {
            self.note(path, format!("found `{}`; allowed: {allowed}", String::from(size.clone())));
        }
    }

    fn add<T, E: std::fmt::Display>(&mut self, path: &str, result: Result<T, E>) {
        if let Err(error) = result {
            self.note(path, error.to_string());
        }
    }
}

/// Notes every text with a control character: it could forge a header of an e-mail or a line of a log.
fn control_characters(value: &Value, path: &mut String, notes: &mut Notes) {
    let length = path.len();
    let mut within = |key: &str, value: &Value| {
        path.push_str(if length == 0 { "" } else { "." });
        path.push_str(key);
        control_characters(value, path, notes);
        path.truncate(length);
    };
    match value {
        Value::Object(keys) => keys.iter().for_each(|(key, value)| within(key, value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, value)| within(&at.to_string(), value)),
        Value::String(text) if text.chars().any(char::is_control) => {
            notes.note(path, "the text holds a control character such as a line break; remove it");
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a URL has one of these schemes, and a host.
fn has_host(url: &str, schemes: &[&str]) -> bool {
    url.split_once("://").is_some_and(|(scheme, rest)| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        schemes.contains(&scheme) && !host.is_empty() && !host.contains(char::is_whitespace)
    })
}

fn paths(paths: &Paths, notes: &mut Notes) {
    let Paths { state, jobs, sql, models, quality, alerts, scratch, logs } = paths;
    let all = [
        ("state", state),
        ("jobs", jobs),
        ("sql", sql),
        ("models", models),
        ("quality", quality),
        ("alerts", alerts),
        ("scratch", scratch),
        ("logs", logs),
    ];
    for (key, path) in all {
        if path.as_os_str().is_empty() {
            notes.note(
                &format!("paths.{key}"),
                "the path is empty; write a folder (`.` is the working directory) or a file",
            );
        }
    }
}

fn engine(config: &Config, kinds: &[String], notes: &mut Notes) {
    let Engine { memory, memory_by_kind, isolation, .. } = &config.engine;
    if config.lake.url.starts_with("memory://") && *isolation == Isolation::Process {
        let message = "a lake in memory is seen by one process only: set `engine.isolation = \"thread\"` with it";
        notes.note("lake.url", message);
    }
    notes.size("engine.memory", memory, MEMORY, "`8MiB` to `64TiB`");
    let words = Words::new(kinds.to_vec());
    for (kind, size) in memory_by_kind {
        let path = format!("engine.memory_by_kind.{kind}");
        notes.size(&path, size, MEMORY, "`8MiB` to `64TiB`");
        if !kinds.is_empty() && !kinds.contains(kind) {
            notes.note(&path, format!("there is no such kind; {}", words.among(kind)));
        }
    }
}

fn log(log: &Log, notes: &mut Notes) {
    notes.add("log.filter", EnvFilter::try_new(&log.filter));
    notes.size("log.attempt_bytes", &log.attempt_bytes, LOG, "`1KiB` to `64GiB`");
}

fn retention(retention: &Retention, notes: &mut Notes) {
    let Retention { runs, runs_at_least, .. } = retention;
    if runs_at_least > runs {
        let message = format!(
            "found {runs}, and `retention.runs_at_least` keeps {runs_at_least} of each DAG: raise this, or lower that"
        );
        notes.note("retention.runs", message);
    }
}

fn state(url: &str, notes: &mut Notes) {
    let allowed = "allowed: `sqlite://PATH`, `postgres://USER@HOST/DATABASE`";
    match url.split_once("://") {
        Some(("sqlite" | "postgres" | "postgresql", rest)) if !rest.is_empty() => {}
        Some((scheme, _)) => notes.note("state.url", format!("`{scheme}://` is not a usable state store; {allowed}")),
        None => notes.note("state.url", format!("the state store needs a URL; {allowed}")),
    }
}

fn lake(lake: &Lake, notes: &mut Notes) {
    let scheme = lake.url.split_once("://");
    match scheme {
        Some(("s3", rest)) if rest.split('/').next().unwrap_or_default().is_empty() => {
            notes.note("lake.url", "the bucket is missing; write `s3://bucket/prefix`");
        }
        Some(("file", "")) => notes.note("lake.url", "the folder is missing; write `file:///srv/lake`, or a path"),
        Some(("memory" | "s3" | "file", _)) => {}
        None if !lake.url.is_empty() => {}
        _ => notes.note("lake.url", "allowed: a folder, `memory://`, `s3://bucket/prefix`"),
    }
    if let Some(endpoint) = &lake.endpoint {
        if !has_host(endpoint, &["https", "http"]) {
            notes.note("lake.endpoint", "the endpoint needs a URL such as `https://s3.example.edu`");
        } else if endpoint.starts_with("http://") && !lake.allow_http {
            notes.note("lake.endpoint", "plain HTTP is used only where `lake.allow_http = true` says so");
        }
    }
    match (&lake.access_key_id, &lake.secret_access_key) {
        (Some(_), None) => notes.note("lake.secret_access_key", "there is an `access_key_id` and no secret to it"),
        (None, Some(_)) => notes.note("lake.access_key_id", "there is a `secret_access_key` and no id to it"),
        _ => {}
    }
}

fn source_names(name: &str, source: &Source, notes: &mut Notes) {
    notes.add(&format!("sources.{name}"), name.parse::<SourceName>());
    for (index, table) in source.extra.iter().enumerate() {
        notes.add(&format!("sources.{name}.extra.{index}"), table.parse::<TableName>());
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

fn login(mail: &Mail, notes: &mut Notes) {
    match (&mail.user, &mail.password, &mail.oauth_token) {
        (_, Some(_), Some(_)) => {
            notes.note("mail.oauth_token", "there is a `password` too: log in by one of them, and take the other out");
        }
        (Some(_), None, None) => {
            notes.note("mail.password", "to log in, SMTP needs with `user` a `password` or an `oauth_token`");
        }
        (None, Some(_), None) => notes.note("mail.user", "to log in, SMTP needs both `user` and `password`"),
        (None, None, Some(_)) => notes.note("mail.user", "to log in, SMTP needs both `user` and `oauth_token`"),
        _ => {}
    }
}

fn mail(mail: &Mail, notes: &mut Notes) {
    if mail.transport == MailTransport::Smtp && mail.host.as_ref().is_none_or(String::is_empty) {
        notes.note("mail.host", "SMTP needs the host of the server");
    }
    if mail.transport == MailTransport::Eml && mail.folder.as_os_str().is_empty() {
        notes.note("mail.folder", "the path is empty; write the folder of the `.eml` files");
    }
    login(mail, notes);
    if let Some(proxy) = &mail.proxy {
        let has_port =
            proxy.rsplit_once(':').is_some_and(|(_, port)| port.trim_end_matches('/').parse::<u16>().is_ok());
        if !has_host(proxy, &["http", "socks5"]) || !has_port || proxy.contains('@') {
            notes.note("mail.proxy", "write `http://HOST:PORT` or `socks5://HOST:PORT`, without a user");
        }
        if mail.security == Security::Tls {
            notes.note("mail.proxy", "through a proxy, set `mail.security = \"starttls\"`");
        }
    }
    if mail.to.is_empty() {
        notes.note("mail.to", "nobody would get the digest; name at least one address");
    }
    if mail
        .hello_name
        .as_ref()
        .is_some_and(|name| name.is_empty() || !name.is_ascii() || name.contains(char::is_whitespace))
    {
        notes.note("mail.hello_name", "this is not the name of a machine; write one such as `night.example.edu`");
    }
    let listed = [("to", &mail.to), ("readers", &mail.readers)].into_iter().flat_map(|(list, addresses)| {
        addresses.iter().enumerate().map(move |(index, address)| (format!("mail.{list}.{index}"), address))
    });
    let listed: Vec<(String, &String)> = listed.collect();
    for (path, address) in &listed {
        if parse_mailbox(address).is_some() && !mail.allows(address) {
            notes.note(path, "e-mail may not go to this domain; add it to `mail.domains`, or take the address out");
        }
    }
    if mail.report_url.as_deref().is_some_and(|url| !has_host(url, &["http", "https"])) {
        notes.note(
            "mail.report_url",
            "this is not the address of a page; write one such as `https://reports.example.edu`",
        );
    }
    let from = ("mail.from".to_owned(), &mail.from);
    let reply_to = mail.reply_to.as_ref().map(|address| ("mail.reply_to".to_owned(), address));
    for (path, address) in listed.into_iter().chain([from]).chain(reply_to) {
        if parse_mailbox(address).is_none() {
            let what = "this is not an address that a mail server can deliver to";
            notes.note(&path, format!("{what}; write `name@example.edu` or `Name <name@example.edu>`"));
        }
    }
}
