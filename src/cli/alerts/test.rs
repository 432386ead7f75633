//! `nocturne alerts test ROUTE`: an invented alert to each recipient of a route, and what each said.

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::{Tried, test_route};
use crate::cli::{ExitCode, Failure, Global, output};

/// What became of a test for one recipient, as `--json` shows it.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct TriedShape {
    /// A masked address, or a webhook.
    to: String,
    accepted: bool,
    /// The other side's words, or why it was not accepted.
    words: String,
}

impl TriedShape {
    fn of(tried: &Tried) -> Self {
        let (accepted, words) = match &tried.result {
            Ok(words) => (true, words.clone()),
            Err(error) => (false, error.to_string()),
        };
        Self { to: tried.to.clone(), accepted, words }
    }
}

pub(super) async fn run(route: &str, global: &Global) -> Result<ExitCode, Failure> {
    let Some(tried) = test_route(&global.config, route).await? else {
        let error = anyhow::anyhow!(
            "there is no route `{route}` in `alerts.routes`: `nocturne config show` lists those that there are"
        );
        return Err(Failure::new(ExitCode::NotFound, error));
    };
    let failed = tried.iter().filter(|one| one.result.is_err()).count();
    let code = if failed == 0 { ExitCode::Done } else { ExitCode::Unreachable };
    if global.json {
        output::json(&tried.iter().map(TriedShape::of).collect::<Vec<_>>())?;
        return Ok(code);
    }
    for Tried { to, result } in tried {
        output::line(&match result {
            Ok(words) => format!("{to}: accepted ({words})"),
            Err(error) => format!("{to}: NOT accepted: {:#}", anyhow::Error::new(error)),
        })?;
    }
    Ok(code)
}
