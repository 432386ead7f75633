//! Secrets are references; what they refer to is read where it is used and prints as `***`.

use std::fmt;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::layers::Environment;

/// A reference to a secret: `env:NAME` or `file:PATH`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct SecretReference(#[schemars(regex(pattern = r"^(env|file):.+$"))] String);

/// A secret that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("the secret `env:{0}` is not there: set the environment variable {0}")]
    NoVariable(String),
    /// The file cannot be read.
    #[error("the secret `file:{path}` cannot be read")]
    NoFile {
        /// The file.
        path: String,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// It is empty.
    #[error("the secret `{0}` is empty")]
    Empty(String),
}

impl SecretReference {
    /// Returns the secret, without the line end that editors leave.
    ///
    /// # Errors
    /// When it is not there or empty; the error names the reference, never the value.
    pub fn resolve(&self, environment: &Environment) -> Result<SecretString, SecretError> {
        let text = match self.0.split_once(':') {
            Some(("env", name)) => {
                environment.get(name).cloned().ok_or_else(|| SecretError::NoVariable(name.to_owned()))?
            }
            Some((_, path)) => {
                std::fs::read_to_string(path).map_err(|cause| SecretError::NoFile { path: path.to_owned(), cause })?
            }
            None => return Err(SecretError::Empty(self.0.clone())),
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(SecretError::Empty(self.0.clone()));
        }
        Ok(SecretString::from(text))
    }
}

impl fmt::Debug for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
