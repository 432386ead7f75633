//! How a command on the lake fails: which exit code each error of the lake ends in.

use crate::cli::{ExitCode, Failure};
use crate::lake::LakeError;

/// Returns the failure of the command that met `error`.
pub(super) fn failure(error: LakeError) -> Failure {
    let code = match &error {
        LakeError::NoDataset { .. } | LakeError::NoSnapshot { .. } | LakeError::NothingBelow { .. } => {
            ExitCode::NotFound
        }
        LakeError::Key(_) => ExitCode::Usage,
        error if error.is_not_found() => ExitCode::NotFound,
        _ => ExitCode::Unreachable,
    };
    Failure::new(code, error)
}
