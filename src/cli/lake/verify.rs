//! `nocturne lake verify`: reads every part and compares it with its manifest.

use super::failure::failure;
use crate::cli::progress::while_working;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::lake::Lake;

/// Read every part below a folder and compare it with its manifest.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Verify {
    /// The folder.
    #[arg(default_value = "restricted")]
    folder: String,
}

impl Verify {
    pub(super) async fn run(self, lake: &Lake, global: &Global) -> Result<ExitCode, Failure> {
        let verified = while_working(global, lake.verify(&self.folder)).await.map_err(failure)?;
        if global.json {
            output::json(&verified)?;
        } else {
            output::line(&format!("{} datasets, {} parts read and compared", verified.datasets, verified.parts))?;
            for (key, why) in &verified.wrong {
                output::line(&format!("WRONG {key}: {why}"))?;
            }
        }
        Ok(if verified.wrong.is_empty() { ExitCode::Done } else { ExitCode::RunFailed })
    }
}
