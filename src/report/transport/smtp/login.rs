//! How to log in to an SMTP server: by password, or by an access token (XOAUTH2).
//!
//! The secret is read for each login, so that a file with a token may be renewed while the program runs. It is printed
//! nowhere: neither in errors nor in what a value of these types shows of itself.

use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;

use crate::config::SecretError;

/// How to log in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user.
    pub user: String,
    /// By what.
    pub by: LoginBy,
    /// The password or the token.
    pub secret: ReadSecret,
}

/// By what a user logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginBy {
    /// A password (PLAIN or LOGIN).
    Password,
    /// An access token (XOAUTH2).
    Token,
}

/// Reads a secret where it is kept.
#[derive(Clone)]
pub struct ReadSecret(Arc<dyn Fn() -> Result<SecretString, SecretError> + Send + Sync>);

impl ReadSecret {
    /// Returns what reads a secret by calling `read`.
    pub fn by(read: impl Fn() -> Result<SecretString, SecretError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Reads the secret.
    ///
    /// # Errors
    /// When it is not there.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        (self.0)()
    }

    /// Returns what gives a secret that is known and does not change.
    pub fn known(secret: &str) -> Self {
        let secret = SecretString::from(secret);
        Self::by(move || Ok(secret.clone()))
    }
}

impl fmt::Debug for ReadSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
