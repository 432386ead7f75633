//! Shows how far something is that takes more than two seconds: on a terminal a status line, otherwise a line on standard
//! error now and then.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::Global;
use crate::telemetry::progress;

/// How long something goes on before its progress is shown where there is no terminal, and how long until it is shown
/// again.
const QUIET: Duration = Duration::from_secs(2);
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// How often a command's own progress is looked at.
const LOOK: Duration = Duration::from_millis(150);

/// Where progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Talk {
    /// Lines for a person.
    Lines,
    /// Nothing: the caller prints JSON.
    Nothing,
}

impl Talk {
    /// Returns what the global arguments ask for.
    pub(super) fn of(global: &Global) -> Self {
        if global.json { Self::Nothing } else { Self::Lines }
    }
}

/// The status line of a terminal; hidden where there is none.
pub(super) fn status_line(talk: Talk, template: &str) -> ProgressBar {
    if talk == Talk::Nothing || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(1);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Progress where there is no terminal: a line now and then, for whoever reads the log of a night.
pub(super) struct PlainProgress {
    talk: Talk,
    next: Instant,
}

impl PlainProgress {
    pub(super) fn new(talk: Talk) -> Self {
        Self { talk, next: Instant::now() + QUIET }
    }

    /// Prints `progress` if it is time to.
    pub(super) fn show(&mut self, progress: &str) {
        let is_plain = self.talk == Talk::Lines && !std::io::stderr().is_terminal();
        if !is_plain || progress.is_empty() || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + BETWEEN_LINES;
        // Where nobody reads it, the work goes on.
        writeln!(std::io::stderr(), " ...  {progress}").unwrap_or_default();
    }
}

/// Shows how far this process is while it does `work`.
pub(super) async fn while_working<T>(global: &Global, work: impl Future<Output = T>) -> T {
    progress::report_here();
    let talk = Talk::of(global);
    let (line, mut plain) = (status_line(talk, " {spinner} {msg} {elapsed}"), PlainProgress::new(talk));
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                line.finish_and_clear();
                return done;
            }
            () = tokio::time::sleep(LOOK) => {
                let shown = progress::here().map_or_else(String::new, |progress| progress.to_string());
                plain.show(&shown);
                line.set_message(shown);
            }
        }
    }
}
