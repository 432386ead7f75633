//! The identity map: which pseudonym is which Canvas id, encrypted and kept separately from the lake.
//!
//! One file, `identity.map`, ChaCha20-Poly1305 under a key derived from the privacy key; opening it with another key
//! fails and says so. The nonce is the start of a keyed hash (HMAC-SHA256, with its own label) of the plain text: equal
//! texts give equal files, which reveals only that nothing changed, and two different texts share a nonce with a chance
//! of about 2^-96 for each pair of them; no randomness is needed and no counter can be lost. Nothing is written for
//! simulated and anonymous sources. The caller records in the audit log who opens it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};

use super::privacy::PrivacyKey;

/// The domains whose ids are kept: those by which a person is found in Canvas.
pub const IDENTITY_DOMAINS: [&str; 2] = ["login", "user"];

/// The file's name.
const FILE: &str = "identity.map";

/// The folder of entries that wait for their commit.
const STAGED: &str = "identities.staged";

/// What the file begins with: the format and its version.
const MAGIC: &[u8; 8] = b"NOCTID01";

const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 12;

/// Pseudonyms and the ids they stand for, by domain. It cannot be printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Identities(BTreeMap<String, BTreeMap<String, String>>);

/// Why an identity map cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read.
    #[error("reading the identity map {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// The file cannot be written.
    #[error("writing the identity map {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// The file belongs to another key.
    #[error(
        "the identity map {path} was written under the privacy key {found}, and the key here is {wanted}: use that key"
    )]
    OtherKey {
        /// The file.
        path: PathBuf,
        /// The id of the key it was written under.
        found: String,
        /// The id of the key at hand.
        wanted: String,
    },
    /// The file is not an identity map, or was changed.
    #[error("the identity map {path} is damaged or was changed: put it back from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

impl Identities {
    /// Adds one identity.
    pub fn add(&mut self, domain: &str, pseudonym: &str, id: &str) {
        match self.0.get_mut(domain) {
            Some(known) if known.contains_key(pseudonym) => {}
            Some(known) => {
                known.insert(pseudonym.to_owned(), id.to_owned());
            }
            None => {
                self.0.insert(domain.to_owned(), BTreeMap::from([(pseudonym.to_owned(), id.to_owned())]));
            }
        }
    }

    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: Self) {
        for (domain, identities) in other.0 {
            self.0.entry(domain).or_default().extend(identities);
        }
    }

    /// Returns the Canvas id that `pseudonym` stands for. The caller must record this in the audit log.
    pub fn id_of(&self, domain: &str, pseudonym: &str) -> Option<&str> {
        self.0.get(domain)?.get(pseudonym).map(String::as_str)
    }

    /// Forgets one person's pseudonym; returns whether it was there.
    pub fn forget(&mut self, domain: &str, pseudonym: &str) -> bool {
        self.0.get_mut(domain).is_some_and(|known| known.remove(pseudonym).is_some())
    }

    /// Returns how many identities there are.
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identities(…)")
    }
}

/// Opens the identity map in `folder`; an empty one if there is no file yet.
///
/// # Errors
/// When the file cannot be read, is damaged, or belongs to another key.
pub fn open_identities(folder: &Path, key: &PrivacyKey) -> Result<Identities, IdentityError> {
    Ok(unseal(folder.join(FILE), key)?.unwrap_or_default())
}

/// Writes `new` as a sealed file of that name next to the map, for [`add_staged`] to add after its commit.
///
/// # Errors
/// When the file cannot be written.
pub fn stage_identities(folder: &Path, key: &PrivacyKey, name: &str, new: &Identities) -> Result<(), IdentityError> {
    let staged = folder.join(STAGED);
    fs::create_dir_all(&staged).map_err(|cause| IdentityError::Write { path: staged.clone(), cause })?;
    seal(staged.join(name), key, new)
}

/// Adds the entries that were staged under a name to the map, and removes the staged file; if that file is gone, they
/// have been added already.
///
/// # Errors
/// When a file cannot be opened, or the new map cannot be written.
pub fn add_staged(folder: &Path, key: &PrivacyKey, name: &str) -> Result<(), IdentityError> {
    // Two calls at once would each miss what the other adds; other processes are excluded by the store's ownership.
    static ADDING: Mutex<()> = Mutex::new(());
    let _adding = ADDING.lock().unwrap_or_else(PoisonError::into_inner);
    let path = folder.join(STAGED).join(name);
    let Some(new) = unseal(path, key)? else { return Ok(()) };
    let mut identities = open_identities(folder, key)?;
    let before = identities.len();
    identities.merge(new);
    if identities.len() > before {
        write_identities(folder, key, &identities)?;
    }
    remove_staged(folder, name)
}

/// Returns the names under which an attempt has staged entries: its own, and those that begin with it and a dot.
///
/// # Errors
/// When the folder cannot be read.
pub fn staged_by(folder: &Path, attempt: &str) -> Result<Vec<String>, IdentityError> {
    let path = folder.join(STAGED);
    let read = |cause| IdentityError::Read { path: path.clone(), cause };
    let entries = match fs::read_dir(&path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(read)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(read)?.file_name().to_string_lossy().into_owned();
        if name.strip_prefix(attempt).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Removes the entries that were staged under a name, if there are any.
///
/// # Errors
/// When the file cannot be removed.
pub fn remove_staged(folder: &Path, name: &str) -> Result<(), IdentityError> {
    let path = folder.join(STAGED).join(name);
    match fs::remove_file(&path) {
        Ok(()) => Ok(()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(IdentityError::Write { path, cause }),
    }
}

fn unseal(path: PathBuf, key: &PrivacyKey) -> Result<Option<Identities>, IdentityError> {
    let sealed = match fs::read(&path) {
        Ok(sealed) => sealed,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(IdentityError::Read { path, cause }),
    };
    let damaged = || IdentityError::Damaged { path: path.clone() };
    let (head, text) = sealed.split_at_checked(MAGIC.len() + KEY_ID_BYTES + NONCE_BYTES).ok_or_else(damaged)?;
    let (aad, nonce) = head.split_at(MAGIC.len() + KEY_ID_BYTES);
    let key_id = aad.strip_prefix(MAGIC.as_slice()).ok_or_else(damaged)?;
    if key_id != key.key_id().as_bytes() {
        let found = std::str::from_utf8(key_id).map_err(|_| damaged())?.to_owned();
        return Err(IdentityError::OtherKey { path, found, wanted: key.key_id().to_owned() });
    }
    let nonce = Nonce::try_from(nonce).map_err(|_| damaged())?;
    let plain = cipher(key).decrypt(&nonce, Payload { msg: text, aad }).map_err(|_| damaged())?;
    serde_json::from_slice(&plain).map(|found| Some(Identities(found))).map_err(|_| damaged())
}

/// Writes `identities` as the whole identity map in `folder` (an erasure removes entries).
///
/// # Errors
/// When the file cannot be written.
pub fn write_identities(folder: &Path, key: &PrivacyKey, identities: &Identities) -> Result<(), IdentityError> {
    seal(folder.join(FILE), key, identities)
}

fn seal(path: PathBuf, key: &PrivacyKey, identities: &Identities) -> Result<(), IdentityError> {
    let plain = serde_json::to_vec(&identities.0).expect("text always serialises");
    let mut sealed = MAGIC.to_vec();
    sealed.extend_from_slice(key.key_id().as_bytes());
    let nonce: [u8; NONCE_BYTES] =
        *key.derive("nocturne identity map nonce", &plain).first_chunk().expect("32 bytes begin with 12");
    let text = cipher(key)
        .encrypt(&Nonce::from(nonce), Payload { msg: &plain, aad: &sealed })
        .expect("a map of this size is below the cipher's limit of 256 GiB");
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&text);
    replace(&path, &sealed).map_err(|cause| IdentityError::Write { path, cause })
}

fn cipher(key: &PrivacyKey) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(&key.derive("nocturne identity map key", b"").into())
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let aside = PathBuf::from(aside);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stages and adds, as a pull and its commit do; returns how many there are then.
    fn add_identities(folder: &Path, key: &PrivacyKey, new: &Identities) -> Result<usize, IdentityError> {
        stage_identities(folder, key, "night.2026-11-20.1.pull.1", new)?;
        add_staged(folder, key, "night.2026-11-20.1.pull.1")?;
        assert!(fs::read_dir(folder.join(STAGED)).unwrap().next().is_none(), "a staged file was left");
        Ok(open_identities(folder, key)?.len())
    }

    #[test]
    fn what_was_staged_and_not_committed_is_in_no_map() {
        let folder = tempfile::tempdir().unwrap();
        let key = PrivacyKey::demo();
        stage_identities(folder.path(), &key, "lost", &some(&[("aa", "17")])).unwrap();

        remove_staged(folder.path(), "lost").unwrap();
        add_staged(folder.path(), &key, "lost").unwrap();

        assert!(open_identities(folder.path(), &key).unwrap().is_empty());
    }

    fn some(pairs: &[(&str, &str)]) -> Identities {
        let mut identities = Identities::default();
        for (pseudonym, id) in pairs {
            identities.add("user", pseudonym, id);
        }
        identities
    }

    #[test]
    fn what_was_added_on_two_nights_is_found_under_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let key = PrivacyKey::demo();

        add_identities(folder.path(), &key, &some(&[("aa", "17"), ("bb", "18")])).unwrap();
        let total = add_identities(folder.path(), &key, &some(&[("bb", "18"), ("cc", "19")])).unwrap();

        assert_eq!(total, 3);
        let opened = open_identities(folder.path(), &key).unwrap();
        assert_eq!(opened.id_of("user", "cc"), Some("19"));
        assert_eq!(opened.id_of("login", "cc"), None);
    }

    #[test]
    fn the_same_identities_are_the_same_bytes_and_hold_no_plain_id() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let bytes = folders.each_ref().map(|folder| {
            add_identities(folder.path(), &PrivacyKey::demo(), &some(&[("aa", "4711471147114711")])).unwrap();
            fs::read(folder.path().join(FILE)).unwrap()
        });

        assert_eq!(bytes[0], bytes[1]);
        assert!(!String::from_utf8_lossy(&bytes[0]).contains("4711"));
    }

    #[test]
    fn another_key_is_told_apart_from_damage() {
        let folder = tempfile::tempdir().unwrap();
        let key = PrivacyKey::new(&[9; 32]).unwrap();
        add_identities(folder.path(), &key, &some(&[("aa", "17")])).unwrap();

        let other = open_identities(folder.path(), &PrivacyKey::demo()).unwrap_err();
        let path = folder.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        let damaged = open_identities(folder.path(), &key).unwrap_err();

        assert!(matches!(other, IdentityError::OtherKey { .. }), "{other}");
        assert!(matches!(damaged, IdentityError::Damaged { .. }), "{damaged}");
    }

    #[test]
    fn an_erased_person_has_no_way_back() {
        let folder = tempfile::tempdir().unwrap();
        let key = PrivacyKey::demo();
        let mut identities = some(&[("aa", "17"), ("bb", "18")]);
        assert!(identities.forget("user", "aa"));

        write_identities(folder.path(), &key, &identities).unwrap();

        assert_eq!(open_identities(folder.path(), &key).unwrap().id_of("user", "aa"), None);
    }

    #[test]
    fn identities_cannot_be_printed() {
        assert_eq!(format!("{:?}", some(&[("aa", "17")])), "Identities(…)");
    }
}
