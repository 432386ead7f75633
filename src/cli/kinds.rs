//! `nocturne kinds list|show`: the kinds of job.

use super::{ExitCode, Failure, Global, output};
use crate::jobs;

/// List the kinds of job, or show one.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// List the kinds, each with a one-sentence summary.
    List,
    /// Show a kind: its parameters' schema and an example.
    Show {
        /// The kind.
        kind: String,
    },
}

pub(super) fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let registry = jobs::registry();
    match args {
        Args::List if global.json => {
            let kinds: Vec<_> =
                registry.iter().map(|kind| serde_json::json!({ "name": kind.name, "summary": kind.summary })).collect();
            output::json(&kinds)?;
        }
        Args::List => {
            let rows = registry.iter().map(|kind| vec![kind.name.to_owned(), kind.summary.to_owned()]).collect();
            output::table(&["kind", "what it does"], &[], rows)?;
        }
        Args::Show { kind } => {
            let Some(found) = registry.iter().find(|registered| registered.name == kind) else {
                let names: Vec<&str> = registry.iter().map(|registered| registered.name).collect();
                let error = anyhow::anyhow!("there is no kind `{kind}`; there are {}", names.join(", "));
                return Err(Failure::new(ExitCode::NotFound, error));
            };
            if global.json {
                output::json(&serde_json::json!({
                    "name": found.name, "summary": found.summary, "params": (found.params_schema)(), "example": unindent(found.example),
                }))?;
            } else {
                output::line(&format!("{}: {}\n\n{}", found.name, found.summary, unindent(found.example)))?;
            }
        }
    }
    Ok(ExitCode::Done)
}

fn unindent(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}
