//! Pseudonyms: what a person's id becomes on intake, and the key that makes them.
//!
//! Under one key, the same id of the same domain becomes the same pseudonym everywhere; without the key nobody can
//! reverse it, or test guessed ids. The key itself is held only as the prepared state of its HMAC: it cannot be
//! printed. [`gate`] decides whether a source may be read at all. `config` reads the key from its secret reference.

use std::collections::HashMap;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The shortest secret that may be a key, in bytes.
pub const SHORTEST_KEY_BYTES: usize = 32;

/// The public key of demonstrations: anyone has it, so it protects nobody.
const DEMO_KEY: &[u8; 32] = b"nocturne demo key: anyone has it";

/// The hexadecimal digits of a pseudonym.
const PSEUDONYM_DIGITS: usize = 24;

/// The most pseudonyms that one reader caches for a domain; beyond it the cache is emptied and fills again.
const REMEMBERED: usize = 400_000;

/// Why a key or a source was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrivacyError {
    /// The secret is too short to be a key.
    #[error(
        "`privacy.key` holds {found} bytes and needs {SHORTEST_KEY_BYTES} or more: make one with `openssl rand -hex 32`, \
         keep it as long as the lake, and name it by a secret reference"
    )]
    ShortKey {
        /// The bytes found.
        found: usize,
    },
    /// A real source has no key.
    #[error(
        "the source `{source_name}` may name people and `privacy.key` is not set: make a key (openssl rand -hex 32 > \
         privacy.key; chmod 600 privacy.key), set `privacy.key = \"file:…/privacy.key\"`, and keep it as long as the lake; \
         or, only if its data name nobody already, set `sources.{source_name}.anonymous = true`"
    )]
    NoKey {
        /// The source.
        source_name: String,
    },
    /// The existing data were made under another key.
    #[error(
        "`{dataset}` was made under the privacy key {before}, and this one is {now}: pseudonyms of two keys must not mix; \
         use the old key, or a new lake"
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

/// What kind of people a source holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceNature {
    /// Invented people.
    Simulation,
    /// People whose identities were removed before the delivery, as the configuration declares.
    Anonymous,
    /// Real people; the default for a source.
    Real,
}

impl SourceNature {
    /// Returns whether the map back from pseudonyms to ids is kept for such a source.
    pub fn keeps_identities(self) -> bool {
        self == Self::Real
    }
}

/// The key under which ids become pseudonyms.
#[derive(Clone)]
pub struct PrivacyKey {
    mac: Hmac<Sha256>,
    key_id: String,
}

impl PrivacyKey {
    /// Returns the key made from `secret`.
    ///
    /// # Errors
    /// When the secret is shorter than [`SHORTEST_KEY_BYTES`].
    pub fn new(secret: &[u8]) -> Result<Self, PrivacyError> {
        if secret.len() < SHORTEST_KEY_BYTES {
            return Err(PrivacyError::ShortKey { found: secret.len() });
        }
        Ok(Self::prepare(secret))
    }

    /// Returns the public demonstration key.
    pub fn demo() -> Self {
        Self::prepare(DEMO_KEY)
    }

    /// Returns the key's id: eight digits that distinguish keys, made from a derived value, never from the key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns the pseudonym of `id` in `domain`: 24 hexadecimal digits.
    pub fn pseudonym(&self, domain: &str, id: &str) -> String {
        text_of(self.digits(domain, id))
    }

    /// Returns 32 bytes derived from the key for the purpose `label`; different labels give unrelated bytes.
    pub(super) fn derive(&self, label: &str, content: &[u8]) -> [u8; 32] {
        let mut mac = self.mac.clone();
        mac.update(label.as_bytes());
        mac.update(&[0x1e]);
        mac.update(content);
        mac.finalize().into_bytes().into()
    }

    fn digits(&self, domain: &str, id: &str) -> [u8; PSEUDONYM_DIGITS] {
        let mut mac = self.mac.clone();
        mac.update(domain.as_bytes());
        mac.update(&[0x1f]);
        mac.update(id.as_bytes());
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let mut digits = [0_u8; PSEUDONYM_DIGITS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(digest) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 0x0f)];
        }
        digits
    }

    fn prepare(secret: &[u8]) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
        let mut key = Self { mac, key_id: String::new() };
        key.key_id = hex::encode(&key.derive("nocturne key id", b"")[..4]);
        key
    }
}

impl fmt::Debug for PrivacyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivacyKey({})", self.key_id)
    }
}

/// Returns the key to read the source `source_name` of `nature` with.
///
/// # Errors
/// When a real source has no key.
pub fn gate(source_name: &str, nature: SourceNature, key: Option<&PrivacyKey>) -> Result<PrivacyKey, PrivacyError> {
    match (key, nature) {
        (Some(key), _) => Ok(key.clone()),
        (None, SourceNature::Simulation | SourceNature::Anonymous) => Ok(PrivacyKey::demo()),
        (None, SourceNature::Real) => Err(PrivacyError::NoKey { source_name: source_name.to_owned() }),
    }
}

/// Returns an id as a number, so that `007` and `7` are the same; `None` if it is not a number of 64 bits.
pub(super) fn canonical_id(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Makes the pseudonyms of one domain and caches the latest of them, for one reader.
#[derive(Debug)]
pub(super) struct Pseudonyms {
    key: PrivacyKey,
    domain: String,
    remembered: HashMap<i64, [u8; PSEUDONYM_DIGITS]>,
}

impl Pseudonyms {
    pub(super) fn new(key: &PrivacyKey, domain: &str) -> Self {
        Self { key: key.clone(), domain: domain.to_owned(), remembered: HashMap::new() }
    }

    /// Returns the pseudonym of a numeric id.
    pub(super) fn of_number(&mut self, id: i64) -> String {
        if let Some(digits) = self.remembered.get(&id) {
            return text_of(*digits);
        }
        let digits = self.key.digits(&self.domain, &id.to_string());
        if self.remembered.len() >= REMEMBERED {
            self.remembered.clear();
        }
        self.remembered.insert(id, digits);
        text_of(digits)
    }

    /// Returns the pseudonym of an id that is not a number.
    pub(super) fn of_text(&self, id: &str) -> String {
        text_of(self.key.digits(&self.domain, id))
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn text_of(digits: [u8; PSEUDONYM_DIGITS]) -> String {
    String::from_utf8(digits.to_vec()).expect("hexadecimal digits are ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_the_hmac_that_other_tools_compute() {
        // printf 'user\x1f4711' | openssl dgst -sha256 -hmac 'nocturne demo key: anyone has it'
        assert_eq!(PrivacyKey::demo().pseudonym("user", "4711"), "4d6d8bfa22fca70f085f3b19");
    }

    #[test]
    fn the_same_id_has_another_pseudonym_in_another_domain_and_under_another_key() {
        let key = PrivacyKey::new(&[7; 32]).unwrap();

        assert_ne!(key.pseudonym("user", "1"), key.pseudonym("login", "1"));
        assert_ne!(key.pseudonym("user", "1"), PrivacyKey::demo().pseudonym("user", "1"));
        assert_ne!(key.pseudonym("user1", "1"), key.pseudonym("user", "11"));
    }

    #[test]
    fn a_remembered_pseudonym_is_the_computed_one() {
        let key = PrivacyKey::demo();
        let mut pseudonyms = Pseudonyms::new(&key, "user");

        let first = pseudonyms.of_number(10_720_000_000_000_001);

        assert_eq!(first, key.pseudonym("user", "10720000000000001"));
        assert_eq!(pseudonyms.of_number(10_720_000_000_000_001), first);
        assert_eq!(pseudonyms.of_text("10720000000000001"), first);
    }

    #[test]
    fn the_key_cannot_be_printed_and_its_id_is_not_of_the_key() {
        let key = PrivacyKey::new(b"0123456789abcdef0123456789abcdef").unwrap();

        let printed = format!("{key:?}");

        assert_eq!(printed, format!("PrivacyKey({})", key.key_id()));
        assert_eq!(key.key_id().len(), 8);
        assert!(!crate::domain::ids::content_hash(b"0123456789abcdef0123456789abcdef").starts_with(key.key_id()));
    }

    #[test]
    fn a_real_source_without_a_key_is_refused_with_how_to_make_one() {
        let refused = gate("canvas", SourceNature::Real, None).unwrap_err().to_string();

        assert!(refused.contains("`privacy.key`") && refused.contains("openssl rand -hex 32"), "{refused}");
        assert_eq!(gate("canvas", SourceNature::Simulation, None).unwrap().key_id(), PrivacyKey::demo().key_id());
        assert_eq!(gate("canvas", SourceNature::Anonymous, None).unwrap().key_id(), PrivacyKey::demo().key_id());
    }

    #[test]
    fn a_short_secret_is_no_key_and_is_not_repeated_in_the_refusal() {
        let refused = PrivacyKey::new(b"hunter2").unwrap_err();

        assert_eq!(refused, PrivacyError::ShortKey { found: 7 });
        assert!(!refused.to_string().contains("hunter2"));
    }
}
