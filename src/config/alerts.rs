//! Who is told of alerts besides the digest's readers: routes, and the webhooks that they may name.
//!
//! The section is usually in a file of its own, `config/alerts.toml` (`paths.alerts`), which is a layer between the
//! defaults and the files given with `--config`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::environment::Environment;
use super::mail::{Mail, MailAddress, parse_mailbox};
use super::secret::{SecretError, SecretReference};
use crate::domain::alert::Cause;
use crate::domain::check::Severity;
use crate::domain::routing::Route;

/// Alerts.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    /// For how many nights after its end an alert that is found again is still the same one, and not told as new.
    #[schemars(range(max = 30))]
    pub cooldown_nights: u32,
    /// Who is told of which alerts, by the route's name.
    #[serde(default)]
    pub routes: BTreeMap<String, AlertRoute>,
    /// Where a route may post alerts as JSON, by name.
    #[serde(default)]
    pub webhooks: BTreeMap<String, Webhook>,
}

/// Who is told of which alerts.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertRoute {
    /// How bad an alert must be: `warning` or `error`.
    #[serde(default = "warning")]
    pub severity: Severity,
    /// The DAGs; without it, all.
    #[serde(default)]
    pub dags: Vec<String>,
    /// What must be behind it: `night`, `source`, `schema`, `quality`, `feature`, `model`; without it, anything.
    #[serde(default)]
    pub causes: Vec<Cause>,
    /// Who must answer for the rule (`owner` in the rule's file); without it, anybody.
    #[serde(default)]
    pub owners: Vec<String>,
    /// Who gets an e-mail.
    #[serde(default)]
    #[schemars(with = "Vec<MailAddress>")]
    pub to: Vec<String>,
    /// The webhook that is called, by its name in `alerts.webhooks`.
    pub webhook: Option<String>,
    /// After how many nights it reminds of an alert that nobody sees to; 0: never.
    #[serde(default = "weekly")]
    #[schemars(range(max = 365))]
    pub remind_nights: u32,
    /// How many nights must have found it, while nobody sees to it, before it is told: an escalation. 1: at once.
    #[serde(default = "at_once")]
    #[schemars(range(min = 1, max = 365))]
    pub after_nights: u32,
}

/// Where alerts are posted as JSON.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The `https://` URL, or a reference to it (`env:NAME`, `file:PATH`) where it is a secret itself.
    pub url: String,
    /// The key that signs what is posted: at least 24 characters, or `whsec_` and base64.
    pub secret: SecretReference,
    /// Whether it may be at a private address, or without TLS: a receiver on the campus' own network.
    #[serde(default)]
    pub allow_private: bool,
    /// The HTTP proxy through which it is reached.
    pub proxy: Option<String>,
    /// A file of certificates (PEM) to trust in addition to the well-known ones.
    pub ca_file: Option<PathBuf>,
}

const fn warning() -> Severity {
    Severity::Warning
}

const fn weekly() -> u32 {
    7
}

const fn at_once() -> u32 {
    1
}

impl AlertRoute {
    /// Returns which alerts it takes, and when it tells of one again.
    pub fn route(&self) -> Route {
        Route {
            severity: self.severity,
            dags: self.dags.clone(),
            causes: self.causes.clone(),
            owners: self.owners.clone(),
            remind_nights: (self.remind_nights > 0).then_some(self.remind_nights),
            after_nights: self.after_nights,
        }
    }
}

impl Webhook {
    /// Returns its URL.
    ///
    /// # Errors
    /// When it is a reference to what does not exist.
    pub fn address(&self, environment: &Environment) -> Result<SecretString, SecretError> {
        match SecretReference::of_text(&self.url) {
            Some(reference) => reference.resolve(environment),
            None => Ok(SecretString::from(self.url.as_str())),
        }
    }
}

impl Alerts {
    /// Returns the DAGs and owners that routes name and that there are not, each with the dotted path of its key: such a
    /// route would never tell of anything. Without `owners`, because the rules cannot be read, they are not looked at.
    pub fn unmatched(&self, dags: &BTreeSet<String>, owners: Option<&BTreeSet<String>>) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (name, route) in &self.routes {
            let of_dags = route.dags.iter().enumerate().map(|one| ("dags", "DAG", "in the folder of DAGs", one, dags));
            let of_owners = owners.into_iter().flat_map(|owners| {
                let named = route.owners.iter().enumerate();
                named.map(move |one| ("owners", "owner", "named by a quality rule", one, owners))
            });
            for (key, what, place, (at, named), known) in of_dags.chain(of_owners) {
                if !known.contains(named) {
                    let known = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                    let known =
                        if known.is_empty() { "there is none".to_owned() } else { format!("there are {known}") };
                    let message = format!("no {what} `{named}` is {place}; {known}");
                    problems.push((format!("alerts.routes.{name}.{key}.{at}"), message));
                }
            }
        }
        problems
    }

    /// Returns what makes no sense, each with the dotted path of its key.
    pub(super) fn problems(&self, mail: &Mail) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (name, route) in &self.routes {
            let mut note = |key: &str, what: String| problems.push((format!("alerts.routes.{name}{key}"), what));
            if !is_name(name) {
                note("", "a name has letters, digits, `-` and `_` only".to_owned());
            }
            if route.to.is_empty() && route.webhook.is_none() {
                note("", "nobody is told: add addresses (`to`) or a `webhook`".to_owned());
            }
            if route.severity == Severity::Info {
                note(".severity", "notes are told in the digest alone: write `warning` or `error`".to_owned());
            }
            for (place, address) in route.to.iter().enumerate() {
                let key =
                    |address: &str| parse_mailbox(address).map(|mailbox| mailbox.email.to_string().to_lowercase());
                if key(address)
                    .is_some_and(|own| route.to[..place].iter().any(|other| key(other).as_ref() == Some(&own)))
                {
                    note(&format!(".to.{place}"), "the address is in this list already".to_owned());
                }
                if parse_mailbox(address).is_some() && !mail.allows(address) {
                    let what = "e-mail may not go to this domain; add it to `mail.domains`, or take the address out";
                    note(&format!(".to.{place}"), what.to_owned());
                }
            }
            if let Some(webhook) = route.webhook.as_ref().filter(|webhook| !self.webhooks.contains_key(*webhook)) {
                let known: Vec<&str> = self.webhooks.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
                note(".webhook", format!("there is no webhook `{webhook}` in `alerts.webhooks`; {known}"));
            }
        }
        for (name, webhook) in &self.webhooks {
            let mut note =
                |key: &str, what: &str| problems.push((format!("alerts.webhooks.{name}{key}"), what.to_owned()));
            if !is_name(name) {
                note("", "a name has letters, digits, `-` and `_` only");
            }
            let is_reference = SecretReference::of_text(&webhook.url).is_some();
            let is_plain = webhook.url.starts_with("http://");
            if !is_reference && has_credentials(&webhook.url) {
                note(
                    ".url",
                    "what follows `?` or stands before `@` is usually a secret, and a file is not kept like one: write \
                     the whole URL into an environment variable or a file, and here `env:NAME` or `file:PATH`",
                );
            }
            if is_plain && !webhook.allow_private {
                note(
                    ".url",
                    "what is posted would be readable on its way: use `https://`, or `allow_private = true` on \
                              a network of your own",
                );
            } else if !is_reference && !is_plain && !webhook.url.starts_with("https://") {
                note(".url", "write an `https://` URL, or a reference to one: `env:NAME` or `file:PATH`");
            }
        }
        problems
    }
}

/// Whether a URL has a login or a query.
fn has_credentials(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    authority.contains('@') || rest.contains('?')
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, Layers};

    fn mistakes(text: &str) -> String {
        let layers = Layers::from_texts(vec![("alerts.toml".into(), text.to_owned())], Environment::new());
        layers.config().map(|_| String::new()).unwrap_or_else(|mistakes| mistakes.to_string())
    }

    #[test]
    fn a_route_needs_somebody_to_tell_and_a_webhook_that_exists() {
        let found = mistakes(
            "[alerts.routes.nobody]\nseverity = \"error\"\n\
             [alerts.routes.call]\nwebhook = \"pager\"\n\
             [alerts.webhooks.plain]\nurl = \"http://10.0.0.1/\"\nsecret = \"env:KEY\"\n",
        );

        assert!(found.contains("alerts.toml:1:16: `alerts.routes.nobody`: nobody is told"), "{found}");
        assert!(
            found.contains("alerts.toml:4:1: `alerts.routes.call.webhook`: there is no webhook `pager`"),
            "{found}"
        );
        assert!(found.contains("alerts.toml:6:1: `alerts.webhooks.plain.url`: what is posted would be"), "{found}");
    }

    #[test]
    fn a_webhook_with_a_secret_in_its_url_and_a_route_that_tells_of_nothing_are_refused() {
        let found = mistakes(
            "[alerts.routes.notes]\nseverity = \"info\"\nto = [\"a@example.edu\", \"A <A@Example.edu>\"]\n\
             [alerts.webhooks.one]\nurl = \"https://hooks.example.edu/x?token=abc\"\nsecret = \"env:KEY\"\n\
             [alerts.webhooks.two]\nurl = \"https://me:word@hooks.example.edu/\"\nsecret = \"env:KEY\"\n",
        );

        for said in [
            "`alerts.routes.notes.severity`: notes are told",
            "`alerts.routes.notes.to.1`: the address is in this list already",
            "`alerts.webhooks.one.url`: what follows `?`",
            "`alerts.webhooks.two.url`: what follows `?`",
        ] {
            assert!(found.contains(said), "{said}: {found}");
        }
        assert!(!found.contains("abc") && !found.contains("word"), "{found}");
    }

    #[test]
    fn a_route_that_names_what_there_is_not_says_what_there_is() {
        let text = "[alerts.routes.a]\ndags = [\"nigthly\"]\nowners = [\"dean\"]\nto = [\"a@example.edu\"]\n";
        let layers = Layers::from_texts(vec![("alerts.toml".into(), text.to_owned())], Environment::new());
        let known = ["nightly".to_owned()].into_iter().collect();

        let found = layers.config().unwrap().alerts.unmatched(&known, Some(&std::collections::BTreeSet::new()));

        assert_eq!(
            found,
            [
                ("alerts.routes.a.dags.0", "no DAG `nigthly` is in the folder of DAGs; there are nightly"),
                ("alerts.routes.a.owners.0", "no owner `dean` is named by a quality rule; there is none"),
            ]
            .map(|(path, message)| (path.to_owned(), message.to_owned()))
        );
    }

    #[test]
    fn a_route_that_makes_sense_is_taken() {
        let found = mistakes(
            "[alerts]\ncooldown_nights = 5\n\
             [alerts.routes.on-call]\nseverity = \"error\"\ncauses = [\"source\", \"model\"]\nto = [\"a@example.edu\"]\n\
             webhook = \"pager\"\nafter_nights = 2\n\
             [alerts.webhooks.pager]\nurl = \"env:PAGER_URL\"\nsecret = \"env:PAGER_KEY\"\n",
        );

        assert_eq!(found, "");
    }
}
