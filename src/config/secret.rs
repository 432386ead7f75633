//! Secrets are references; what they refer to is read where it is used and prints as `***`.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::environment::Environment;

/// A reference to a secret: `env:NAME` or `file:PATH`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("writeOnly" = true, "x-expected" = "a reference to the secret, `env:NAME` or `file:PATH`"))]
pub struct SecretReference(#[schemars(regex(pattern = r"^(env|file):.+$"))] String);

/// A secret that is not available.
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
    /// Returns the reference that `text` is; `None` if it is none.
    pub fn of_text(text: &str) -> Option<Self> {
        let name = text.strip_prefix("env:").or_else(|| text.strip_prefix("file:"))?;
        (!name.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Returns the file that it names; `None` if it names a variable.
    pub fn file(&self) -> Option<&Path> {
        self.0.strip_prefix("file:").map(Path::new)
    }

    /// Returns the secret without the line end that editors add.
    ///
    /// # Errors
    /// When it does not exist or is empty; the error names the reference, never the value.
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

/// Collects the variables that texts of the form `env:NAME` name, wherever they stand in `value`.
pub fn variables_in(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => names.extend(text.strip_prefix("env:").map(str::to_owned)),
        Value::Array(items) => items.iter().for_each(|item| variables_in(item, names)),
        Value::Object(keys) => keys.values().for_each(|value| variables_in(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl fmt::Debug for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn resolve(reference: &str, environment: &[(&str, &str)]) -> Result<SecretString, SecretError> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        SecretReference(reference.to_owned()).resolve(&environment)
    }

    #[test]
    fn a_secret_is_read_from_the_environment_or_a_file_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "hunter2\r\n").unwrap();

        let from_file = resolve(&format!("file:{}", file.display()), &[]).unwrap();
        let from_variable = resolve("env:KEY", &[("KEY", "hunter2")]).unwrap();

        assert_eq!(from_file.expose_secret(), "hunter2");
        assert_eq!(from_variable.expose_secret(), "hunter2");
        assert!(!format!("{from_file:?}").contains("hunter2"));
    }

    #[test]
    fn a_secret_that_is_not_there_is_named_by_its_reference() {
        let told = |reference: &str, environment: &[(&str, &str)]| {
            resolve(reference, environment).map(drop).unwrap_err().to_string()
        };

        assert_eq!(told("env:KEY", &[]), "the secret `env:KEY` is not there: set the environment variable KEY");
        assert_eq!(told("env:KEY", &[("KEY", "\n")]), "the secret `env:KEY` is empty");
        assert_eq!(told("file:/nowhere/key", &[]), "the secret `file:/nowhere/key` cannot be read");
    }
}
