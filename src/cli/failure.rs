//! How a subcommand fails: an error and the exit code of its kind.

use std::io::Write as _;

use super::exit_code::ExitCode;
use crate::app::AppError;
use crate::domain::printable;
use crate::store::StoreError;
use crate::telemetry::chain;

/// A failed subcommand.
#[derive(Debug)]
pub struct Failure {
    code: ExitCode,
    error: anyhow::Error,
}

impl Failure {
    /// Returns a failure that ends with `code`.
    pub fn new(code: ExitCode, error: impl Into<anyhow::Error>) -> Self {
        Self { code, error: error.into() }
    }

    /// Returns the exit code.
    pub fn code(&self) -> ExitCode {
        self.code
    }

    /// Prints the error with its chain of causes to standard error; lists of mistakes print as they are,
    /// but for what would steer a terminal.
    pub fn print(&self) {
        let text = format!("error: {}", chain(&*self.error));
        // Where even standard error is closed there is nobody to tell; the exit code still says it.
        writeln!(std::io::stderr(), "{}", printable::lines(&text)).unwrap_or_default();
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        let code = match &error {
            AppError::Config(_)
            | AppError::Dag(_)
            | AppError::Secret(_)
            | AppError::Key(_)
            | AppError::Log(_)
            | AppError::Setup(_)
            | AppError::Mail(_) => ExitCode::Invalid,
            AppError::NoDag { .. } | AppError::Store(StoreError::Missing { .. }) => ExitCode::NotFound,
            AppError::Store(StoreError::EarlierOwner { .. }) => ExitCode::Owned,
            AppError::File { .. } | AppError::Store(_) | AppError::Lake(_) | AppError::Scheduler(_) => {
                ExitCode::Unreachable
            }
        };
        Self::new(code, error)
    }
}
