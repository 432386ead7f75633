//! Runs any program to its end, with its output in the attempt's log.
//!
//! Promises: the program gets the stated environment and nothing of this process's; its output goes to the log line by
//! line, in constant memory, with a limit for each line and for all of it, and with the stated secrets removed; told to
//! stop, it gets TERM, and KILL after the grace. The attempt ends with the program: processes that it left running are
//! ended too, so that nothing of this attempt works next to the following one, and a pipe that something still holds
//! open is not waited for.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::{FusedFuture, join};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::Level;

use super::group::{Group, Rules};
use super::memory::MemoryExceeded;
use super::output::Lines;
use crate::telemetry::{AttemptLog, line};

/// A program to run.
#[derive(Debug)]
pub struct Program {
    /// A path, or a name to look up in `PATH`.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// What must not appear in the log.
    pub secrets: Vec<String>,
    /// How long it may take to end when it is told to stop, before it is killed.
    pub grace: Duration,
}

/// How a program ended.
#[derive(Debug)]
pub enum ProgramEnd {
    /// By itself.
    Exited(ExitStatus),
    /// It held more memory than it may.
    OutOfMemory(MemoryExceeded),
    /// It was told to stop.
    Stopped,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub end: ProgramEnd,
    /// How many lines it printed.
    pub lines: u64,
}

/// How long processes that a program has left running may take to end before they are killed.
const LEFTOVER_GRACE: Duration = Duration::from_secs(2);
/// How long to wait after the end for output that is still in a pipe.
const LAST_OUTPUT: Duration = Duration::from_millis(500);
/// How much is read at once.
const PIECE: usize = 64 * 1024;

/// Runs a program until it ends, goes beyond its limits, or is told to stop.
///
/// # Errors
/// When it cannot be started or waited for.
pub async fn run(
    program: &Program,
    rules: &Rules,
    log: AttemptLog,
    cancel: &CancellationToken,
) -> anyhow::Result<Finished> {
    let mut command = Command::new(&program.program);
    command
        .args(&program.args)
        .env_clear()
        .envs(&program.environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let (group, mut child) = Group::start(&mut command, rules)
        .with_context(|| format!("starting `{}`: is it installed, and in PATH?", program.program))?;
    let output = Output { printed: Mutex::new(Printed { log, lines: 0 }), secrets: blots(&program.secrets) };
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let reading = join(output.read(out, Level::INFO), output.read(err, Level::WARN)).map(drop).fuse();
    tokio::pin!(reading);

    let waiting = || format!("waiting for `{}`", program.program);
    let ended = beside(reading.as_mut(), async {
        tokio::select! {
            status = child.wait() => Ok(ProgramEnd::Exited(status?)),
            exceeded = group.exceeds() => Ok::<_, std::io::Error>(ProgramEnd::OutOfMemory(exceeded)),
            () = cancel.cancelled() => Ok(ProgramEnd::Stopped),
        }
    });
    let mut end = ended.await.with_context(waiting)?;
    let grace = if matches!(end, ProgramEnd::Stopped) { program.grace } else { LEFTOVER_GRACE };
    let (left, status) = beside(reading.as_mut(), join(group.stop(grace), child.wait())).await;
    let status = status.with_context(waiting)?;
    if let Some(exceeded) = group.was_out_of_memory().filter(|_| !status.success()) {
        end = ProgramEnd::OutOfMemory(exceeded);
    }
    if !reading.is_terminated() {
        timeout(LAST_OUTPUT, reading).await.unwrap_or_default();
    }
    if left > 0 && matches!(end, ProgramEnd::Exited(_)) {
        output.say(Level::WARN, &format!("It had left {left} processes running, which were ended with it"));
    }
    let lines = output.lines();
    Ok(Finished { end, lines })
}

/// Does `work` while the output is read; reading stops when `work` is done.
async fn beside<T>(reading: Pin<&mut impl FusedFuture<Output = ()>>, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    if reading.is_terminated() {
        return work.await;
    }
    tokio::select! {
        done = &mut work => done,
        () = reading => work.await,
    }
}

/// Writes what a program prints to the log.
struct Output {
    printed: Mutex<Printed>,
    secrets: Vec<String>,
}

struct Printed {
    log: AttemptLog,
    lines: u64,
}

impl Output {
    async fn read(&self, stream: Option<impl AsyncRead + Unpin>, level: Level) {
        let Some(mut stream) = stream else { return };
        let (mut lines, mut piece) = (Lines::default(), vec![0; PIECE]);
        loop {
            match stream.read(&mut piece).await {
                // A broken pipe has no more output; the program's status says how it ended.
                Ok(0) | Err(_) => break,
                Ok(read) => self.keep(&mut lines, &piece[..read], level),
            }
        }
        lines.finish(|text| {
            self.printed().lines += 1;
            self.say(level, &text);
        });
    }

    fn printed(&self) -> MutexGuard<'_, Printed> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lines(&self) -> u64 {
        self.printed().lines
    }

    fn keep(&self, lines: &mut Lines, piece: &[u8], level: Level) {
        let mut printed = self.printed();
        let printed = &mut *printed;
        if printed.log.is_full() {
            printed.lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
            printed.log.drop_bytes(piece.len() as u64);
            return;
        }
        let mut kept = String::new();
        lines.take(piece, |text| {
            printed.lines += 1;
            kept.push_str(&line(level, &self.without_secrets(text)));
        });
        write(&mut printed.log, &kept);
    }

    fn say(&self, level: Level, text: &str) {
        let mut printed = self.printed();
        write(&mut printed.log, &line(level, &self.without_secrets(text.to_owned())));
    }

    fn without_secrets(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, secret| {
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), "***") } else { text }
        })
    }
}

fn write(log: &mut AttemptLog, lines: &str) {
    // A log that cannot be written must not stop a night: the line is counted as dropped, which the next line reports.
    if log.write(lines).is_err() {
        log.drop_bytes(lines.len() as u64);
    }
}

/// The texts that are removed: each line of each secret, except those so short that they would occur in any text.
fn blots(secrets: &[String]) -> Vec<String> {
    let lines = secrets.iter().flat_map(|secret| secret.lines());
    lines.map(str::trim).filter(|line| line.len() >= 4).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{MemoryLimit, MemoryMeans};
    use super::*;

    struct Staged {
        folder: tempfile::TempDir,
        program: Program,
        log_bytes: u64,
        memory: Option<u64>,
    }

    impl Staged {
        fn shell(script: &str) -> Self {
            let path = std::env::vars().find(|(name, _)| name == "PATH").unwrap();
            Self {
                folder: tempfile::tempdir().unwrap(),
                program: Program {
                    program: "sh".to_owned(),
                    args: vec!["-c".to_owned(), script.to_owned()],
                    environment: BTreeMap::from([path]),
                    secrets: Vec::new(),
                    grace: Duration::from_secs(60),
                },
                log_bytes: 1 << 20,
                memory: None,
            }
        }

        async fn run(&self, cancel: &CancellationToken) -> Finished {
            let rules = Rules {
                fence: "night.1.job.1".to_owned(),
                scratch: self.folder.path().to_owned(),
                memory: self.memory.map(|bytes| MemoryLimit { bytes, key: "engine.memory".to_owned() }),
                means: MemoryMeans::Sampling("a test".to_owned()),
            };
            let log = AttemptLog::open(&self.log_file(), self.log_bytes).unwrap();
            timeout(Duration::from_secs(100), run(&self.program, &rules, log, cancel)).await.unwrap().unwrap()
        }

        async fn to_its_end(&self) -> (Option<i32>, Finished) {
            let finished = self.run(&CancellationToken::new()).await;
            let ProgramEnd::Exited(status) = &finished.end else { panic!("{finished:?}: {}", self.log()) };
            (status.code(), finished)
        }

        fn log_file(&self) -> std::path::PathBuf {
            self.folder.path().join("job.1.log")
        }

        /// The log without the times.
        fn log(&self) -> String {
            let text = std::fs::read_to_string(self.log_file()).unwrap();
            text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned() + "\n").collect()
        }
    }

    fn exists(path: &Path) -> impl Future<Output = ()> {
        let path = path.to_owned();
        async move {
            while !path.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    #[tokio::test]
    async fn a_program_has_the_stated_environment_and_nothing_of_this_process() {
        let mut staged = Staged::shell("env");
        staged.program.environment.insert("STATED".to_owned(), "yes".to_owned());

        assert_eq!(staged.to_its_end().await.0, Some(0));

        let log = staged.log();
        let mut names: Vec<&str> =
            log.lines().map(|line| line.trim_start_matches("INFO  ").split('=').next().unwrap()).collect();
        names.sort_unstable();
        // `PWD` and the like are the shell's own.
        names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
        assert_eq!(names, ["NOCTURNE_ATTEMPT_FENCE", "NOCTURNE_ATTEMPT_SCRATCH", "PATH", "STATED"]);
    }

    #[tokio::test]
    async fn both_streams_are_in_the_log_and_secrets_are_not() {
        let mut staged = Staged::shell("echo out; echo hunter2 and more >&2; exit 75");
        staged.program.secrets = vec!["hunter2\n".to_owned()];

        let (code, finished) = staged.to_its_end().await;

        assert_eq!((code, finished.lines), (Some(75), 2));
        let log = staged.log();
        assert!(log.contains("INFO  out\n") && log.contains("WARN  *** and more\n"), "{log}");
    }

    #[tokio::test]
    async fn a_program_whose_background_child_holds_the_pipe_ends_at_once_and_takes_it_along() {
        let staged = Staged::shell("sleep 302 & echo $!");

        let (code, _) = staged.to_its_end().await;

        let log = staged.log();
        let pid: i32 = log.lines().next().unwrap().trim_start_matches("INFO ").trim().parse().unwrap();
        assert_eq!(code, Some(0));
        assert!(log.contains("left 1 processes running"), "{log}");
        assert!(procfs::process::Process::new(pid).and_then(|p| p.stat()).map_or(true, |stat| stat.state == 'Z'));
    }

    #[tokio::test]
    async fn told_to_stop_a_program_may_tidy_up_and_one_that_does_not_is_killed() {
        for (script, expected) in [
            ("trap 'echo tidy; exit 0' TERM; touch here; while :; do sleep 302 & wait; done", "INFO  tidy\n"),
            ("trap '' TERM; touch here; while :; do sleep 302; done", ""),
        ] {
            let mut staged = Staged::shell(&format!("cd $DIR; {script}"));
            let folder = staged.folder.path().to_string_lossy().into_owned();
            staged.program.environment.insert("DIR".to_owned(), folder);
            staged.program.grace = Duration::from_secs(if expected.is_empty() { 0 } else { 60 });
            let cancel = CancellationToken::new();

            let here = staged.folder.path().join("here");
            let (finished, ()) = join(staged.run(&cancel), exists(&here).map(|()| cancel.cancel())).await;

            assert!(matches!(finished.end, ProgramEnd::Stopped), "{finished:?}");
            assert_eq!(staged.log(), expected);
        }
    }

    #[tokio::test]
    async fn output_without_a_line_end_costs_one_line_and_output_without_end_stops_at_the_limit() {
        let endless_line = Staged::shell("head -c 50000000 /dev/zero | tr '\\0' x");
        let (code, finished) = endless_line.to_its_end().await;
        assert_eq!((code, finished.lines), (Some(0), 1));
        assert!(endless_line.log().ends_with("x [cut: the line is 49983616 bytes longer]\n"));

        let endless_lines = Staged::shell("yes | head -c 50000000");
        let (code, finished) = endless_lines.to_its_end().await;
        assert_eq!((code, finished.lines), (Some(0), 25_000_000));
        assert!(std::fs::metadata(endless_lines.log_file()).unwrap().len() < (1 << 20) + 200);
        let log = endless_lines.log();
        assert!(log.lines().last().unwrap().contains("has reached its limit of 1048576 bytes"), "no word of it");
    }

    #[tokio::test]
    async fn a_program_that_allocates_without_end_is_ended_and_what_it_used_is_told() {
        let mut staged = Staged::shell("x=0123456789abcdef; while :; do x=$x$x; done");
        staged.memory = Some(64 << 20);

        let finished = staged.run(&CancellationToken::new()).await;

        let ProgramEnd::OutOfMemory(exceeded) = finished.end else { panic!("{finished:?}") };
        assert!(exceeded.to_string().contains("its limit is 64 MiB (`engine.memory`)"), "{exceeded}");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let mut staged = Staged::shell("");
        staged.program.program = "no-such-program".to_owned();
        let rules = Rules {
            fence: "f".to_owned(),
            scratch: staged.folder.path().to_owned(),
            memory: None,
            means: MemoryMeans::Sampling("a test".to_owned()),
        };
        let log = AttemptLog::open(&staged.log_file(), 1).unwrap();

        let error = run(&staged.program, &rules, log, &CancellationToken::new()).await.unwrap_err();

        assert_eq!(error.to_string(), "starting `no-such-program`: is it installed, and in PATH?");
    }
}
