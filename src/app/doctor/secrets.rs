//! Secrets: present, usable, and kept from others. Their contents are never shown.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use secrecy::ExposeSecret as _;

use super::checked::{Checked, Subject};
use super::site::Site;
use crate::canvas::privacy::PrivacyKey;
use crate::config::{Environment as Variables, SecretReference};
use crate::telemetry::{chain, spawn_blocking};

pub(super) const THIS: Subject = Subject("secrets");

/// Where systemd puts credentials: their mode lets their group read them, and the folder keeps everybody else out.
const CREDENTIALS: &str = "/run/credentials";

/// Checks every secret that the configuration or a DAG refers to.
pub(super) fn check(site: &Site) -> BoxFuture<'_, Vec<Checked>> {
    async move {
        let (secrets, variables) = (secrets(site), site.variables.clone());
        if secrets.is_empty() {
            return vec![THIS.ok("all", "nothing refers to a secret")];
        }
        // A reference may name a pipe, which may never end.
        let look = move || secrets.iter().map(|(key, secret)| look(&variables, key, secret)).collect();
        spawn_blocking(look).await
    }
    .boxed()
}

/// Returns the references, by what they are for.
fn secrets(site: &Site) -> BTreeMap<String, SecretReference> {
    let config = &site.config;
    let named = [
        ("privacy.key", &config.privacy.key),
        ("lake.access_key_id", &config.lake.access_key_id),
        ("lake.secret_access_key", &config.lake.secret_access_key),
        ("mail.password", &config.mail.password),
        ("mail.oauth_token", &config.mail.oauth_token),
    ];
    let mut secrets: BTreeMap<String, SecretReference> =
        named.into_iter().filter_map(|(key, secret)| Some((key.to_owned(), secret.clone()?))).collect();
    for (name, webhook) in &config.alerts.webhooks {
        secrets.insert(format!("alerts.webhooks.{name}.secret"), webhook.secret.clone());
        if let Some(url) = SecretReference::of_text(&webhook.url) {
            secrets.insert(format!("alerts.webhooks.{name}.url"), url);
        }
    }
    for dag in &site.dags {
        for job in dag.jobs.values() {
            let of_job = job.params.get("secrets").cloned().map(serde_json::from_value::<BTreeMap<_, _>>);
            let of_job = of_job.and_then(Result::ok).unwrap_or_default();
            secrets.extend(
                of_job
                    .into_iter()
                    .map(|(name, secret): (String, _)| (format!("{} {} {name}", dag.name, job.name), secret)),
            );
        }
    }
    secrets
}

fn look(variables: &Variables, key: &str, secret: &SecretReference) -> Checked {
    let resolved = match secret.resolve(variables) {
        Ok(resolved) => resolved,
        Err(error) => {
            let advice = "put it there, readable by the user that runs nocturne, or correct the reference";
            return THIS.fail(key, chain(&error), advice);
        }
    };
    if key == "privacy.key"
        && let Err(error) = PrivacyKey::new(resolved.expose_secret().as_bytes())
    {
        return THIS.fail(key, error.to_string(), "make a key that is long enough; keep it as long as the lake");
    }
    let Some(path) = secret.file() else { return THIS.ok(key, format!("{secret:?} is set")) };
    match std::fs::metadata(path) {
        Ok(found) => keeping(key, path, found.mode() & 0o777),
        Err(error) => THIS.fail(key, format!("{}: {error}", path.display()), "correct the reference"),
    }
}

/// Judges who may read the file of a secret, by its mode.
fn keeping(key: &str, path: &Path, mode: u32) -> Checked {
    let shown = path.display();
    let advice = format!("`chmod 600 {shown}`, and give it to the user that runs nocturne");
    if mode & 0o007 != 0 {
        let found = format!("everybody on this machine may use {shown} (mode {mode:04o})");
        let renew = "; whoever has read it still has it, so think about another secret";
        return THIS.fail(key, found, format!("{advice}{renew}"));
    }
    let is_kept_by_folder = path.starts_with(PathBuf::from(CREDENTIALS));
    if mode & 0o070 != 0 && key == "privacy.key" && !is_kept_by_folder {
        return THIS.warn(key, format!("the group of {shown} may use it (mode {mode:04o})"), advice);
    }
    THIS.ok(key, format!("{shown} is there, with mode {mode:04o}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Verdict;

    #[test]
    fn what_everybody_may_read_is_no_secret() {
        let verdict = |key: &str, path: &str, mode| keeping(key, Path::new(path), mode).verdict;

        assert_eq!(verdict("privacy.key", "/etc/key", 0o644), Verdict::Fail);
        assert_eq!(verdict("mail.password", "/etc/key", 0o644), Verdict::Fail);
        assert_eq!(verdict("privacy.key", "/etc/key", 0o640), Verdict::Warn);
        assert_eq!(verdict("mail.password", "/etc/key", 0o640), Verdict::Ok);
        assert_eq!(verdict("privacy.key", "/run/credentials/nocturne.service/key", 0o440), Verdict::Ok);
        assert_eq!(verdict("privacy.key", "/etc/key", 0o600), Verdict::Ok);
    }
}
