//! `nocturne watchdog`: sends what a dead daemon owes, and reports to a URL that the night is well. Run by a timer.

use super::{ExitCode, Failure, Global, output};
use crate::app::{Watch, Watchdog};

/// Send the e-mails that are owed when the deadline has passed and no daemon is running; run by a timer.
///
/// Exits with 0 when nobody is owed an e-mail, with 9 when it had to send one, with 6 when it could not.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(_: Args, global: &Global) -> Result<ExitCode, Failure> {
    let watchdog = Watchdog::open(&global.config)?;
    let watch = watchdog.watch().await.map_err(|error| Failure::new(ExitCode::Unreachable, error))?;
    let (word, line, code) = match watch {
        Watch::Well => ("well", "Nobody is owed an e-mail.".to_owned(), ExitCode::Done),
        Watch::Owner => ("owner", "An e-mail is owed, and a living daemon sees to it.".to_owned(), ExitCode::Done),
        Watch::Another => ("another", "Another watchdog is at work.".to_owned(), ExitCode::Done),
        Watch::Sent(n) => ("sent", format!("No daemon lives; sent {n} in its place."), ExitCode::Warnings),
        Watch::Failed(n) => ("failed", format!("No daemon lives, and {n} could not be sent."), ExitCode::Unreachable),
    };
    if global.json {
        let n = if let Watch::Sent(n) | Watch::Failed(n) = watch { n } else { 0 };
        output::json(&serde_json::json!({ "watch": word, "e_mails": n }))?;
    } else {
        output::line(&line)?;
    }
    Ok(code)
}
