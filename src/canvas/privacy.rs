//! Pseudonyms at the door: the same person has the same pseudonym everywhere, and nobody can go back without the key.
//!
//! A pseudonym is HMAC-SHA256 of the id's domain and the id, 96 bits of it as 24 hex digits: among a hundred million
//! ids the chance that any two collide is below one in ten million million. The key is a secret; its own id, which
//! every manifest carries, is made of a label under the key and tells nothing of it.

use std::collections::HashMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// How many pseudonyms of a domain are remembered, because the same people come again and again.
const REMEMBERED: usize = 200_000;

/// The public key of simulated and anonymous data. It protects nobody, and is there so that no real key is used up on them.
const DEMO: &[u8] = b"nocturne public demo key: it protects nobody";

/// The key of the pseudonyms.
#[derive(Clone)]
pub struct PrivacyKey {
    mac: Hmac<Sha256>,
    id: String,
}

/// Why data may not be read.
#[derive(Debug, thiserror::Error)]
pub enum PrivacyError {
    /// A source that may name people has no key.
    #[error(
        "the source `{source_name}` may name people and no pseudonym key is configured: make one (head -c 32 /dev/urandom | base64 > privacy.key; \
         chmod 600 privacy.key), set `privacy.key = \"file:…/privacy.key\"`, and keep it as long as the lake; \
         or, only if its data name nobody already, set `sources.{source_name}.anonymous = true`"
    )]
    NoKey {
        /// The source.
        source_name: String,
    },
    /// The key is too short.
    #[error("the pseudonym key has {found} characters; it needs at least 32")]
    TooShort {
        /// How many it has.
        found: usize,
    },
    /// The lake was made with another key.
    #[error(
        "`{dataset}` was made with the pseudonym key {before}, and this one is {now}: pseudonyms of two keys must not mix; use the old key, or a new lake"
    )]
    OtherKey {
        /// The dataset.
        dataset: String,
        /// The id of its key.
        before: String,
        /// The id of this key.
        now: String,
    },
}

impl std::fmt::Debug for PrivacyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivacyKey({})", self.id)
    }
}

impl PrivacyKey {
    /// Returns the key that `secret` is.
    ///
    /// # Errors
    /// When it is shorter than 32 characters.
    pub fn new(secret: &SecretString) -> Result<Self, PrivacyError> {
        let secret = secret.expose_secret().as_bytes();
        if secret.len() < 32 {
            return Err(PrivacyError::TooShort { found: secret.len() });
        }
        Ok(Self::of(secret))
    }

    /// Returns the public demo key.
    pub fn demo() -> Self {
        Self::of(DEMO)
    }

    /// Returns the key's id: it tells keys apart and nothing else.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the pseudonym of an id in a domain such as `user`.
    pub fn pseudonym(&self, domain: &str, id: &str) -> String {
        let mut mac = self.mac.clone();
        mac.update(domain.as_bytes());
        mac.update(&[0x1f]);
        mac.update(id.as_bytes());
        hex::encode(&mac.finalize().into_bytes()[..12])
    }

    fn of(secret: &[u8]) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
        let mut label = mac.clone();
        label.update(b"nocturne key id");
        let id = hex::encode(&label.finalize().into_bytes()[..4]);
        Self { mac, id }
    }
}

/// Returns the key under which a source is read: the configured one, or the demo key where nobody is named.
///
/// # Errors
/// When the source may name people and there is no key.
pub fn key_for(
    source_name: &str,
    names_nobody: NamesNobody,
    configured: Option<&PrivacyKey>,
) -> Result<PrivacyKey, PrivacyError> {
    match (configured, names_nobody) {
        (Some(key), _) => Ok(key.clone()),
        (None, NamesNobody::Yes) => Ok(PrivacyKey::demo()),
        (None, NamesNobody::No) => Err(PrivacyError::NoKey { source_name: source_name.to_owned() }),
    }
}

/// Whether a source's data name nobody already: it is simulated, or declared anonymous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamesNobody {
    /// They name nobody.
    Yes,
    /// They may name people.
    No,
}

/// Makes pseudonyms and remembers the recent ones.
pub(super) struct Pseudonyms<'a> {
    key: &'a PrivacyKey,
    known: HashMap<String, HashMap<String, String>>,
}

impl<'a> Pseudonyms<'a> {
    pub(super) fn new(key: &'a PrivacyKey) -> Self {
        Self { key, known: HashMap::new() }
    }

    /// The pseudonym of an id. Automatic graders have negative ids in Canvas and are nobody.
    pub(super) fn of(&mut self, domain: &str, id: &str) -> String {
        if id.starts_with('-') {
            return "auto".to_owned();
        }
        if !self.known.contains_key(domain) {
            self.known.insert(domain.to_owned(), HashMap::new());
        }
        let Some(known) = self.known.get_mut(domain) else { return self.key.pseudonym(domain, id) };
        if let Some(pseudonym) = known.get(id) {
            return pseudonym.clone();
        }
        let pseudonym = self.key.pseudonym(domain, id);
        if known.len() < REMEMBERED {
            known.insert(id.to_owned(), pseudonym.clone());
        }
        pseudonym
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> PrivacyKey {
        PrivacyKey::new(&SecretString::from(text)).unwrap()
    }

    #[test]
    fn a_pseudonym_is_the_hmac_of_domain_and_id() {
        // printf 'user\x1f42' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        let pseudonym = key("0123456789abcdef0123456789abcdef").pseudonym("user", "42");

        assert_eq!(pseudonym, "b2b791f6c31664e6043df539");
    }

    #[test]
    fn domains_and_keys_part_the_same_id() {
        let (a, b) = (key(&"a".repeat(32)), key(&"b".repeat(32)));

        assert_ne!(a.pseudonym("user", "42"), a.pseudonym("enrollment", "42"));
        assert_ne!(a.pseudonym("user", "42"), b.pseudonym("user", "42"));
        assert_ne!(a.id(), b.id());
    }

    #[test]
    fn a_short_key_and_a_missing_one_are_refused_with_what_to_do() {
        let short = PrivacyKey::new(&SecretString::from("short")).unwrap_err();
        let missing = key_for("canvas", NamesNobody::No, None).unwrap_err();

        assert_eq!(short.to_string(), "the pseudonym key has 5 characters; it needs at least 32");
        assert!(missing.to_string().contains("privacy.key"));
        assert!(key_for("canvas", NamesNobody::Yes, None).is_ok());
    }
}
