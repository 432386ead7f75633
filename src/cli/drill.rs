//! `nocturne drill kill9`: kills nights of an invented institution, and shows that nothing is lost or done twice.
//!
//! `--json` prints `{ "seed", "nights": [{ "date", "undisturbed_secs", "kills", "run_again": [{ "job", "attempts" }],
//! "recoveries": [{ "taken_up_secs", "done_secs" }] }], "lost": [TEXT], "doubled": [TEXT], "files", "staged", "e_mails",
//! "folder" }`. Exit code 0 when nothing was lost or doubled, else 1.

use clap::value_parser;
use tokio_util::sync::CancellationToken;

use super::output::Listener;
use super::{ExitCode, Failure, Global};
use crate::app::drill::{Afterwards, Drill, Night, Recovery, Report, kill9};
use crate::app::{Interrupt, Signals};
use crate::domain::clock::Clock as _;
use crate::engine::Stop;
use crate::telemetry::SystemClock;

/// Prove on this machine that a night survives being killed.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// Kill nights of an invented institution at random moments, and compare them with undisturbed ones.
    ///
    /// It runs in its own scratch folder and touches nothing else; nothing leaves the machine.
    Kill9 {
        /// How many nights.
        #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=100))]
        nights: u32,
        /// The seed of the random moments; a new one each time if not given.
        #[arg(long)]
        seed: Option<u64>,
        /// Keep the scratch folder; it is kept anyway when something was lost or doubled.
        #[arg(long)]
        keep: bool,
    },
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let Args::Kill9 { nights, seed, keep } = args;
    let seed = seed.unwrap_or_else(|| SystemClock.now().subsec_nanosecond().unsigned_abs().into());
    let afterwards = if keep { Afterwards::Keep } else { Afterwards::Remove };
    let stop = Stop::draining(&CancellationToken::new());
    let signals = Signals::listen(&stop, Interrupt::Drains);
    let mut listener = Listener::default();
    if !global.json {
        listener.line(&format!(
            "Killing {nights} nights of an invented institution at random moments (--seed {seed}). Nothing leaves this machine."
        ));
    }
    let on_night = |night: &Night| {
        if !global.json {
            listener.line(&night_line(night));
        }
    };
    let drilled = stop.drain.run_until_cancelled(kill9(Drill { nights, seed, afterwards }, on_night)).await;
    let Some(drilled) = drilled else {
        return Ok(if signals.code() == Some(130) { ExitCode::Interrupted } else { ExitCode::Terminated });
    };
    let report = drilled.map_err(|error| Failure::new(ExitCode::Unreachable, error))?;
    if global.json {
        listener.json(&report)?;
    } else {
        closing_lines(&report).iter().for_each(|line| listener.line(line));
    }
    Ok(if report.is_well() { ExitCode::Done } else { ExitCode::RunFailed })
}

fn night_line(night: &Night) -> String {
    let kills = match night.kills {
        0 => "was over before its moment came".to_owned(),
        1 => "killed once".to_owned(),
        kills => format!("killed {kills} times"),
    };
    let again: Vec<String> =
        night.run_again.iter().map(|again| format!("{} ({} attempts)", again.job, again.attempts)).collect();
    let again = if again.is_empty() { "nothing".to_owned() } else { again.join(", ") };
    format!(" {}  {kills}; run again: {again}", night.date)
}

fn closing_lines(report: &Report) -> Vec<String> {
    let kills: u32 = report.nights.iter().map(|night| night.kills).sum();
    let mut lines = vec![format!(
        "Compared with undisturbed nights after {kills} kills: {} files of the lake, {} e-mails, {} staged files left.",
        report.files, report.e_mails, report.staged
    )];
    lines.push(listed("Lost", &report.lost));
    lines.push(listed("Doubled", &report.doubled));
    let recoveries: Vec<Recovery> = report.nights.iter().flat_map(|night| night.recoveries.clone()).collect();
    let longest = |of: &dyn Fn(&Recovery) -> Option<f64>| recoveries.iter().filter_map(of).reduce(f64::max);
    if let Some(taken_up) = longest(&|recovery| Some(recovery.taken_up_secs)) {
        let done = longest(&|recovery| recovery.done_secs);
        let done = done.map_or_else(String::new, |done| format!(" and was done after {done:.1} s"));
        let count = recoveries.len();
        lines.push(format!(
            "Recovery: {count} times a new process went on with a run; at the latest it had it after {taken_up:.1} s{done}."
        ));
    }
    lines.extend(report.folder.as_ref().map(|folder| format!("Kept: {}", folder.display())));
    lines
}

fn listed<'a>(word: &str, what: impl IntoIterator<Item = &'a String>) -> String {
    let mut text = what.into_iter().fold(format!("{word}:"), |text, line| format!("{text}\n  {line}"));
    if text.ends_with(':') {
        text.push_str(" nothing.");
    }
    text
}
