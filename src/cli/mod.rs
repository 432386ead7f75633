//! The command line: one file per subcommand; results go to standard output, messages to standard error.
//!
//! Every subcommand that shows something has `--json`, a stable shape. No colour and no progress bar where there is
//! no terminal. An error is printed once, here, with its chain of causes, and ends in the exit code of its kind.
//!
//! How to add a subcommand: a file with `Args` and `run`, a variant of `Command`, an arm in `Command::run`.

#[cfg(test)]
mod advice;
mod alerts;
mod attempt;
mod audit;
mod backfill;
mod completions;
mod config;
mod daemon;
mod dags;
mod db;
mod doctor;
mod drill;
mod dry_run;
mod exit_code;
mod failure;
mod follow;
mod global;
mod kinds;
mod lake;
mod launch;
mod layers;
mod mails;
mod output;
mod progress;
mod quality;
mod report;
mod run;
mod runs;
mod shapes;
mod sim;
mod values;
mod wanted;
mod watchdog;

use std::path::PathBuf;

use clap::{CommandFactory as _, Parser, Subcommand};

pub use exit_code::ExitCode;
pub use failure::Failure;
pub(crate) use global::Global;

/// Runs a university's learning-analytics night, in one binary.
#[derive(Debug, Parser)]
#[command(name = "nocturne", version, about, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    /// A configuration file that overrides the defaults; may be given several times, later ones win.
    #[arg(long, global = true, value_name = "FILE")]
    config: Vec<PathBuf>,

    /// Show results as JSON.
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run a DAG once and follow it to its end.
    Run(run::Args),
    /// Run the schedules of all DAGs, until told to stop.
    Daemon(daemon::Args),
    /// Run a DAG for each date in a range.
    Backfill(backfill::Args),
    /// List, show and check the DAGs; pause and resume their schedules.
    #[command(subcommand)]
    Dags(dags::Args),
    /// List and show runs and their logs; retry, mark, cancel and compare them.
    #[command(subcommand)]
    Runs(runs::Args),
    /// List the kinds of job, or show one.
    #[command(subcommand)]
    Kinds(kinds::Args),
    /// Browse the lake, in the same way on a folder and on S3.
    #[command(subcommand)]
    Lake(lake::Args),
    /// List and show alerts; acknowledge and silence them.
    #[command(subcommand)]
    Alerts(alerts::Args),
    /// List, show, evaluate and suggest quality rules.
    #[command(subcommand)]
    Quality(quality::Args),
    /// Hand over the e-mails that wait.
    #[command(subcommand)]
    Report(report::Args),
    /// Generate the data of the simulated institution.
    #[command(subcommand)]
    Sim(sim::Args),
    /// Show and check the configuration.
    #[command(subcommand)]
    Config(config::Args),
    /// Read and verify the audit log.
    #[command(subcommand)]
    Audit(audit::Args),
    /// Maintain the state store.
    #[command(subcommand)]
    Db(db::Args),
    /// Check everything that a night needs, and say what is wrong and what to do. Nothing is changed.
    Doctor(doctor::Args),
    /// Prove on this machine that a night survives being killed.
    #[command(subcommand)]
    Drill(drill::Args),
    /// Send the e-mails that are owed when the deadline has passed and no daemon is running; run by a timer.
    Watchdog(watchdog::Args),
    /// Print completions for a shell.
    Completions(completions::Args),
    /// Carry out one attempt, as the parent process orders: not for people.
    #[command(hide = true)]
    Attempt(attempt::Args),
}

/// Runs the program and returns its exit code.
pub async fn main() -> std::process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { ExitCode::Usage } else { ExitCode::Done };
            return match error.print() {
                Ok(()) => code.into(),
                Err(_) => ExitCode::Usage.into(),
            };
        }
    };
    let global = Global { config: cli.config, json: cli.json };
    match cli.command.run(&global).await {
        Ok(code) => code.into(),
        Err(failure) => {
            failure.print();
            failure.code().into()
        }
    }
}

impl Command {
    async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        if matches!(self, Self::Run(_) | Self::Daemon(_) | Self::Backfill(_) | Self::Runs(runs::Args::Retry(_))) {
            // They start programs, which must not find a secret in their parent's environment.
            crate::app::secrets::give_up(&global.config)?;
        }
        match self {
            Self::Run(args) => run::run(args, global).await,
            Self::Daemon(args) => daemon::run(args, global).await,
            Self::Backfill(args) => backfill::run(args, global).await,
            Self::Dags(args) => dags::run(args, global).await,
            Self::Runs(args) => runs::run(args, global).await,
            Self::Kinds(args) => kinds::run(args, global),
            Self::Lake(args) => lake::run(args, global).await,
            Self::Alerts(args) => alerts::run(args, global).await,
            Self::Quality(args) => quality::run(args, global).await,
            Self::Report(args) => report::run(args, global).await,
            Self::Sim(args) => sim::run(args, global).await,
            Self::Config(args) => config::run(&args, global),
            Self::Audit(args) => audit::run(args, global).await,
            Self::Db(args) => db::run(args, global).await,
            Self::Doctor(args) => doctor::run(args, global).await,
            Self::Drill(args) => drill::run(args, global).await,
            Self::Watchdog(args) => watchdog::run(args, global).await,
            Self::Completions(args) => completions::run(&args, &mut Cli::command()),
            Self::Attempt(args) => attempt::run(args).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
