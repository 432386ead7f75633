//! E-mail: files to look at by default, or real e-mails through a configured server.
//!
//! What counts as an address is decided here, both for the configuration and for what is sent.

use std::path::PathBuf;

use jiff::civil::Date;
use lettre::message::Mailbox;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::SecretReference;

/// E-mail.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// How e-mail is sent.
    pub transport: MailTransport,
    /// The folder of `.eml` files (`transport = "eml"`).
    pub folder: PathBuf,
    /// The SMTP server's host.
    pub host: Option<String>,
    /// The SMTP server's port; without it that of the security chosen.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// How the connection is secured.
    pub security: Security,
    /// The user to log in as.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<SecretReference>,
    /// An access token to log in with (XOAUTH2) in place of a password. A file is read anew for each login, so that
    /// whatever renews the token only has to write it there.
    #[serde(default)]
    pub oauth_token: Option<SecretReference>,
    /// A file of certificates (PEM) to trust in addition to the well-known ones.
    pub ca_file: Option<PathBuf>,
    /// A proxy through which the SMTP server is reached: `http://HOST:PORT` (it must allow CONNECT to the server's port) or
    /// `socks5://HOST:PORT`.
    #[serde(default)]
    pub proxy: Option<String>,
    /// The sender.
    pub from: String,
    /// Who gets the digest: those who run the night.
    pub to: Vec<String>,
    /// Who gets the readers' e-mail, where a DAG has a job for it (`audience = "reader"`): deans, analysts.
    #[serde(default)]
    pub readers: Vec<String>,
    /// The first night of which readers are told; those before go to operators only.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub readers_from: Option<Date>,
    /// The domains to which e-mail may go, subdomains included; empty: any.
    #[serde(default)]
    pub domains: Vec<String>,
    /// The address under which the folder `published/` of the lake is found, for the link to the report.
    #[serde(default)]
    pub report_url: Option<String>,
    /// The address that answers go to.
    pub reply_to: Option<String>,
    /// The name by which this machine introduces itself to the SMTP server; without it the machine's own, if that has a
    /// domain.
    pub hello_name: Option<String>,
}

/// Returns `text` as `Name <address>` or an address, if a mail server could deliver to it: its domain has a dot, or is
/// this machine.
pub fn parse_mailbox(text: &str) -> Option<Mailbox> {
    let mailbox: Mailbox = text.parse().ok()?;
    let domain = mailbox.email.domain();
    let is_reachable = domain.contains('.') || domain == "localhost";
    (is_reachable && !text.chars().any(char::is_control)).then_some(mailbox)
}

impl Mail {
    /// Returns whether e-mail may go to an address: `text` as [`parse_mailbox`] takes it.
    pub fn allows(&self, text: &str) -> bool {
        let Some(mailbox) = parse_mailbox(text) else { return false };
        let domain = mailbox.email.domain().to_ascii_lowercase();
        let is_within = |allowed: &String| {
            let allowed = allowed.to_ascii_lowercase();
            domain == allowed || domain.ends_with(&format!(".{allowed}"))
        };
        self.domains.is_empty() || self.domains.iter().any(is_within)
    }
}

/// The shape of an address in the parameters of a job: what [`parse_mailbox`] takes has it. It is not quoted in
/// mistakes, for it may be a person's.
#[derive(JsonSchema)]
#[schemars(extend("writeOnly" = true, "x-expected" = "an address such as `name@example.edu` or `Name <name@example.edu>`"))]
#[expect(dead_code, reason = "only its schema is used")]
pub struct MailAddress(
    #[schemars(regex(pattern = r"^[^\x00-\x1f\x7f]*[^\s@<>]@(localhost|[^\s@<>]+\.[^\s@<>]+)>?$"))] String,
);

/// How e-mail is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailTransport {
    /// As files; nothing leaves the machine.
    Eml,
    /// Through an SMTP server.
    Smtp,
}

/// How the connection to the SMTP server is secured. There is no unsecured connection, and no fallback to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// Plain greeting, then TLS before anything else (port 587).
    Starttls,
    /// TLS from the first byte (port 465).
    Tls,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::document::{Document, Shape};

    #[test]
    fn the_schema_of_an_address_takes_what_can_be_delivered_to_and_refuses_what_is_none() {
        let shape = Shape::new(schemars::schema_for!(MailAddress).to_value());
        let is_taken = |text: &str| {
            let document = Document::of_value("address", serde_json::Value::from(text));
            document.mistakes_at(&[], &document.value, &shape).is_empty()
        };

        let good = ["a@example.edu", "Dean <b@example.edu>", "\"Büro, 2\" <c.d+e@sub.example.edu>", "root@localhost"];
        for good in good {
            assert!(parse_mailbox(good).is_some() && is_taken(good), "{good}");
        }
        for wrong in ["", "dean", "dean@campus", "@example.edu", "a@", "a@example.edu\nBcc: b@example.edu", "a b"] {
            assert!(parse_mailbox(wrong).is_none() && !is_taken(wrong), "{wrong}");
        }
    }
}
