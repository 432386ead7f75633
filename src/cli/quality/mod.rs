//! `nocturne quality list|show|run|suggest|quarantine|replay`: the rules of a site, what they found and hold back, and
//! suggestions for new ones.

mod list;
mod quarantine;
mod replay;
mod run;
mod suggest;

pub(super) use list::RuleShape;
pub(super) use quarantine::LedgerShape;
pub(super) use replay::ReplayShape;
pub(super) use run::RunShape;

use super::{ExitCode, Failure, Global};

/// List, show, evaluate and suggest quality rules.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// List every rule: those of the tables' contracts and those of the rule files.
    List(list::List),
    /// Show a rule, and what it found on the last nights.
    Show(list::Show),
    /// Evaluate the rules on the tables as they stand; nothing is recorded.
    Run(run::Run),
    /// Show how many rows rules hold back: the ledger of each rule, in = out + waiting.
    Quarantine(quarantine::Quarantine),
    /// Judge again the rows of a table that wait, and take in those that pass.
    Replay(replay::Replay),
    /// Write rules that a table keeps now, for a person to read and complete.
    Suggest(suggest::Suggest),
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    match args {
        Args::List(args) => args.run(global),
        Args::Show(args) => args.run(global).await,
        Args::Run(args) => args.run(global).await,
        Args::Quarantine(args) => args.run(global).await,
        Args::Replay(args) => args.run(global).await,
        Args::Suggest(args) => args.run(global).await,
    }
}
