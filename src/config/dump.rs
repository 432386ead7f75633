//! The settings in force and where they come from, without secrets.
//!
//! Secrets are references anyway; a password in a URL is shown as `***`, and so is the path of a webhook.

use serde::Serialize;
use serde_json::Value;

use super::{Config, Layers};

/// One key that is in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// The dotted path of the key.
    pub path: String,
    /// Its value, without what must not be shown.
    pub value: Value,
    /// The layer it comes from: a variable, a file with its line, or `default`.
    pub origin: String,
}

impl Layers {
    /// Returns every key of the configuration made from these layers, in the order of the sections.
    ///
    /// # Errors
    /// When a value cannot be written as text (a path that is not UTF-8).
    pub fn redacted_dump(&self, config: &Config) -> Result<Vec<Setting>, serde_json::Error> {
        let mut settings = Vec::new();
        let origin = self.origins();
        flatten(serde_json::to_value(config)?, String::new(), &mut |path, value| {
            settings.push(Setting { origin: origin(&path), value: redacted(&path, value), path });
        });
        Ok(settings)
    }
}

fn flatten(value: Value, path: String, keep: &mut impl FnMut(String, Value)) {
    match value {
        Value::Object(keys) => {
            for (key, value) in keys {
                let path = if path.is_empty() { key } else { format!("{path}.{key}") };
                flatten(value, path, keep);
            }
        }
        Value::Null => {}
        value => keep(path, value),
    }
}

fn redacted(path: &str, value: Value) -> Value {
    match value {
        Value::String(text) if path.starts_with("alerts.webhooks.") && path.ends_with(".url") => {
            Value::String(without_path(&text))
        }
        Value::String(text) => Value::String(without_password(&text)),
        Value::Array(items) => items.into_iter().map(|item| redacted(path, item)).collect(),
        value => value,
    }
}

/// `scheme://host/***`: who knows the path of a webhook may call it.
fn without_path(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    match rest.split_once('/') {
        Some((host, path)) if !path.is_empty() => format!("{scheme}://{host}/***"),
        _ => text.to_owned(),
    }
}

/// `scheme://user:password@host` with `***` for the password, also for one in the query.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let authority = match authority.rsplit_once('@') {
        Some((login, host)) => {
            let user = login.split_once(':').map_or(login.to_owned(), |(user, _)| format!("{user}:***"));
            format!("{user}@{host}")
        }
        None => authority.to_owned(),
    };
    let (path, query) = tail.split_once('?').map_or((tail, None), |(path, query)| (path, Some(query)));
    let hidden = |pair: &str| match pair.split_once('=') {
        Some((key, _)) if key.to_lowercase().contains("password") => format!("{key}=***"),
        _ => pair.to_owned(),
    };
    let query = query.map(|query| format!("?{}", query.split('&').map(hidden).collect::<Vec<_>>().join("&")));
    format!("{scheme}://{authority}{path}{}", query.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn every_value_names_its_layer_and_no_password_shows() {
        let file =
            (PathBuf::from("site.toml"), "[state]\nurl = 'postgres://night:hunter2@db/n?password=x'\n".to_owned());
        let environment = [("NOCTURNE__MAIL__TO".to_owned(), "a@x.edu, b@x.edu".to_owned())].into_iter().collect();
        let layers = Layers::from_texts(vec![file], environment);
        let config = layers.config().unwrap();

        let dump = layers.redacted_dump(&config).unwrap();

        let line = |path: &str| {
            let setting = dump.iter().find(|setting| setting.path == path).unwrap();
            format!("{} ({})", setting.value, setting.origin)
        };
        assert_eq!(line("state.url"), r#""postgres://night:***@db/n?password=***" (site.toml:2)"#);
        assert_eq!(line("mail.to"), r#"["a@x.edu","b@x.edu"] (NOCTURNE__MAIL__TO)"#);
        assert_eq!(line("labels.lag_days"), "7 (default)");
    }

    #[test]
    fn the_path_of_a_webhook_is_not_shown() {
        assert_eq!(without_path("https://hooks.example.edu/T1/B2/abc"), "https://hooks.example.edu/***");
        assert_eq!(without_path("https://hooks.example.edu"), "https://hooks.example.edu");
        assert_eq!(without_path("env:PAGER_URL"), "env:PAGER_URL");
    }

    #[test]
    fn only_passwords_are_hidden() {
        let same =
            ["sqlite://var/nocturne.db", "var/lake", "s3://bucket/p@q:r", "postgres://night@db.example.edu/n?a=b"];
        for text in same {
            assert_eq!(without_password(text), text);
        }
        assert_eq!(without_password("postgres://u:p@ss:word@db/n"), "postgres://u:***@db/n");
    }
}
