//! `nocturne doctor`: what is wrong with the machine, the servers and the configuration, before a night finds out.
//!
//! `--json` prints `{ "verdict": V, "checks": [ … ] }`, each check `{ "subject", "check", "verdict", "found", "advice",
//! "details" }`: `verdict` is `ok`, `skipped`, `warn` or `fail` (of the whole: the worst of its findings, else `ok`),
//! `found` a sentence, `advice` what to do or null, `details` lines. Exit code 0 when nothing warns or fails, else 9.

use std::io::Write as _;

use super::{ExitCode, Failure, Global, output};
use crate::app::doctor::{Checked, Report, Verdict, examine};

/// Check everything that a night needs, and say what is wrong and what to do. Nothing is changed.
///
/// Exits with 0 when all is well, with 9 when something needs attention.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(_: Args, global: &Global) -> Result<ExitCode, Failure> {
    let report = examine(&global.config).await;
    if global.json {
        output::json(&report)?;
    } else {
        output::line(&text(&report))?;
    }
    let code = if report.verdict.is_finding() { ExitCode::Warnings } else { ExitCode::Done };
    // A check that hangs still blocks a thread, and the runtime would wait for that thread.
    std::io::stdout().flush().unwrap_or_default();
    std::process::exit(code as i32)
}

/// Returns the checks by subject, one line each, followed by what to do where something is not well.
fn text(report: &Report) -> String {
    let width = report.checks.iter().map(|check| check.check.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    let mut subject = "";
    for check in &report.checks {
        if check.subject != subject {
            subject = check.subject;
            lines.push(subject.to_owned());
        }
        lines.push(format!("  {:<4} {:<width$}  {}", word(check.verdict), check.check, check.found));
        lines.extend(below(check).map(|line| format!("       {:<width$}  {line}", "")));
    }
    lines.push(String::new());
    lines.push(summary(report));
    lines.join("\n")
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Skipped => "--",
        Verdict::Warn => "WARN",
        Verdict::Fail => "FAIL",
    }
}

fn below(check: &Checked) -> impl Iterator<Item = String> {
    let details = check.details.iter().flat_map(|detail| detail.lines()).map(|line| format!("· {line}"));
    details.chain(check.advice.iter().map(|advice| format!("→ {advice}")))
}

fn summary(report: &Report) -> String {
    let [ok, skipped, warn, fail] =
        [Verdict::Ok, Verdict::Skipped, Verdict::Warn, Verdict::Fail].map(|verdict| report.count(verdict));
    format!("{ok} well, {warn} to look at, {fail} wrong, {skipped} not looked at")
}
