//! Names and identifiers, one newtype per idea.
//!
//! A name is checked once, when it is made; after that it may be used in a path, a key or a log line without another
//! check. Names never hold anything about a person. This file does not build object keys (`lake::keys` does).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name that is not usable, with what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a usable {what}: use 1 to 64 of a-z, 0-9, `_` and `-`, beginning with a letter")]
pub struct NameError {
    /// Which kind of name was expected.
    pub what: &'static str,
    /// What was found.
    pub found: String,
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|first| first.is_ascii_lowercase())
        && text.len() <= 64
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $what:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                if is_name(&text) { Ok(Self(text)) } else { Err(NameError { what: $what, found: text }) }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

names! {
    /// The name of a DAG; its file is `jobs/<name>.toml`.
    DagName = "DAG name";
    /// The name of a job within its DAG.
    JobName = "job name";
    /// The name of a kind of job, as a DAG file writes it.
    KindName = "kind name";
    /// The name of a source of student data, as the configuration writes it.
    SourceName = "source name";
    /// The name of a table, a feature set, a label or a model.
    TableName = "table name";
}

/// One run of a DAG: `<dag>.<logical date>.<n>`, the n-th run of that DAG for that date.
///
/// Readable, unique in a state store, and usable as a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// Returns the id of the `n`-th run (from 1) of `dag` for `date`.
    pub fn new(dag: &DagName, date: jiff::civil::Date, n: u32) -> Self {
        Self(format!("{dag}.{date}.{n}"))
    }

    /// Returns the id that the state store holds as `text`.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a snapshot: the first 32 hex digits of the SHA-256 of what it holds, so the same content has the same id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SnapshotId(String);

impl SnapshotId {
    /// Returns the id of the content whose canonical bytes are `content`.
    pub fn of(content: &[u8]) -> Self {
        Self(content_hash(content)[..32].to_owned())
    }

    /// Returns the id that a manifest or the state store holds as `text`.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the SHA-256 of `bytes` as 64 lower-case hex digits.
pub fn content_hash(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_refuse_what_a_path_or_a_shell_could_misread() {
        for bad in ["", "../x", "Nightly", "a b", "1st", "a/b", "é", &"x".repeat(65)] {
            assert!(DagName::from_str(bad).is_err(), "{bad:?} was accepted");
        }
        assert_eq!(DagName::from_str("nightly-2").unwrap().as_str(), "nightly-2");
    }

    #[test]
    fn the_same_content_has_the_same_snapshot_id() {
        assert_eq!(SnapshotId::of(b"a"), SnapshotId::of(b"a"));
        assert_ne!(SnapshotId::of(b"a"), SnapshotId::of(b"b"));
    }
}
