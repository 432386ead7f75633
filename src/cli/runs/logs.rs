//! `nocturne runs logs`: what attempts have logged; with `--follow`, as they log it.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::named::find;
use crate::app::App;
use crate::cli::follow::unreachable;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::domain::ids::JobName;
use crate::domain::job::JobView;
use crate::store::RunRecord;
use crate::telemetry;

/// Show the log of a run's attempts.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The run.
    #[arg(default_value = "last")]
    run: String,
    /// Only this job.
    job: Option<JobName>,
    /// Only this attempt of each job: 1 is the first.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// Only this many lines at the end of each log.
    #[arg(long, value_name = "LINES")]
    tail: Option<usize>,
    /// Keep showing what is logged until the run is done.
    #[arg(long, short)]
    follow: bool,
}

/// How often a followed log is checked.
const LOOK: Duration = Duration::from_millis(250);

/// The log of an attempt.
struct Log {
    job: JobName,
    attempt: u32,
    path: PathBuf,
}

pub(super) async fn run(app: &App, args: &Args, global: &Global) -> Result<ExitCode, Failure> {
    let run = find(app, &args.run).await?;
    let jobs = app.store.jobs(&run.run_id).await.map_err(unreachable)?;
    refuse_unknown(&run, &jobs, args)?;
    if args.follow && global.json {
        let why = "--follow prints lines as they come: leave out --json";
        return Err(Failure::new(ExitCode::Usage, anyhow::anyhow!(why)));
    }
    if args.follow {
        return follow(app, run, args).await;
    }
    let logs = logs(app, &run, &jobs, args);
    if logs.is_empty() {
        let error = anyhow::anyhow!("no such attempt has begun in {}", run.run_id);
        return Err(Failure::new(ExitCode::NotFound, error));
    }
    let mut found = Vec::new();
    let mut gone = Vec::new();
    for log in &logs {
        match std::fs::read(&log.path) {
            Ok(bytes) => found.push((log, tail(&String::from_utf8_lossy(&bytes), args.tail))),
            Err(error) => gone.push(format!("{} attempt {}: {} ({error})", log.job, log.attempt, log.path.display())),
        }
    }
    if global.json {
        let shown: Vec<_> = found
            .iter()
            .map(|(log, text)| serde_json::json!({ "job": log.job, "attempt": log.attempt, "log": text }))
            .collect();
        output::json(&shown)?;
    } else {
        for (log, text) in &found {
            output::line(&format!("== {} attempt {}\n{}", log.job, log.attempt, text.trim_end()))?;
        }
    }
    if gone.is_empty() {
        return Ok(ExitCode::Done);
    }
    let error = anyhow::anyhow!(
        "these logs are not there, or not readable; logs are kept for as long as `[retention]` says, on the machine of the attempt:\n  {}",
        gone.join("\n  ")
    );
    Err(Failure::new(ExitCode::NotFound, error))
}

fn refuse_unknown(run: &RunRecord, jobs: &[JobView], args: &Args) -> Result<(), Failure> {
    match &args.job {
        Some(job) if !jobs.iter().any(|known| known.name == *job) => {
            let known: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
            let error = anyhow::anyhow!("{} has no job `{job}`; it has {}", run.run_id, known.join(", "));
            Err(Failure::new(ExitCode::NotFound, error))
        }
        _ => Ok(()),
    }
}

fn logs(app: &App, run: &RunRecord, jobs: &[JobView], args: &Args) -> Vec<Log> {
    let wanted = jobs.iter().filter(|job| args.job.as_ref().is_none_or(|only| job.name == *only));
    wanted
        .flat_map(|job| (1..=job.attempts).map(move |attempt| (job, attempt)))
        .filter(|(_, attempt)| args.attempt.is_none_or(|only| only == *attempt))
        .map(|(job, attempt)| {
            let (folder, id) = (&app.config.paths.logs, run.run_id.as_str());
            let path = telemetry::attempt_log(folder, id, job.name.as_str(), &attempt.to_string());
            Log { job: job.name.clone(), attempt, path }
        })
        .collect()
}

/// Returns the last lines of a text.
fn tail(text: &str, lines: Option<usize>) -> String {
    let Some(lines) = lines else { return text.to_owned() };
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Shows what is logged until the run is done, or a person stops watching.
async fn follow(app: &App, mut run: RunRecord, args: &Args) -> Result<ExitCode, Failure> {
    let mut seen: BTreeMap<PathBuf, u64> = BTreeMap::new();
    let mut shown: Option<PathBuf> = None;
    loop {
        // Read before the logs, so that what is logged before the end is shown.
        let jobs = app.store.jobs(&run.run_id).await.map_err(unreachable)?;
        for log in logs(app, &run, &jobs, args) {
            let is_first = !seen.contains_key(&log.path);
            let from = seen.entry(log.path.clone()).or_default();
            let Some(text) = read_from(&log.path, from) else { continue };
            if shown.as_ref() != Some(&log.path) {
                output::line(&format!("== {} attempt {}", log.job, log.attempt))?;
                shown = Some(log.path.clone());
            }
            let text = if is_first { tail(&text, args.tail) } else { text };
            output::line(text.trim_end())?;
        }
        if run.state.is_done() {
            output::line(&format!("== {} {}", run.run_id, run.state))?;
            return Ok(ExitCode::Done);
        }
        tokio::time::sleep(LOOK).await;
        run = find(app, run.run_id.as_str()).await?;
    }
}

/// Returns the complete lines that a file has after `from`, and moves `from` past them; `None` when there are none.
fn read_from(path: &Path, from: &mut u64) -> Option<String> {
    let mut file = std::fs::File::open(path).ok()?;
    file.seek(SeekFrom::Start(*from)).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let end = bytes.iter().rposition(|byte| *byte == b'\n')? + 1;
    *from += end as u64;
    Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_shown() {
        assert_eq!(tail("a\nb\nc\n", Some(2)), "b\nc");
        assert_eq!(tail("a\nb", Some(9)), "a\nb");
        assert_eq!(tail("a\nb\n", None), "a\nb\n");
    }

    #[test]
    fn a_line_is_shown_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut from) = (folder.path().join("log"), 0);

        std::fs::write(&path, "one\ntw").unwrap();
        let first = read_from(&path, &mut from);
        std::fs::write(&path, "one\ntwo\n").unwrap();
        let second = read_from(&path, &mut from);

        assert_eq!((first.as_deref(), second.as_deref()), (Some("one\n"), Some("two\n")));
        assert_eq!(read_from(&path, &mut from), None);
    }
}
