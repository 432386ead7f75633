//! What a run prints about itself: the line above and the lines below.

use jiff::civil::Date;

use super::App;
use crate::config::{MailTransport, SourceKind};
use crate::domain::dag::Dag;
use crate::domain::job::JobView;
use crate::domain::run::RunState;
use crate::store::{OutboxMail, RunRecord};
use crate::telemetry::peak_memory_bytes;

impl App {
    /// Returns the line above a run: what, for when, on which data, and whether anything leaves the machine.
    pub fn banner(&self, dag: &Dag, date: Date) -> String {
        let is_simulated = self.config.sources.values().all(|source| source.kind == SourceKind::Simulation);
        let data =
            if is_simulated { "simulated Canvas, invented students" } else { self.config.institution.name.as_str() };
        let is_local = !self.config.lake.url.starts_with("s3://") && self.config.mail.transport == MailTransport::Eml;
        let leaves = if is_local { "Nothing leaves this machine." } else { "Lake or e-mail are elsewhere." };
        format!("Nocturne · {} {date} · {data}        {leaves}", dag.name)
    }

    /// Returns the lines below a run: how it ended, how long it took, what waits, and where to look.
    pub fn closing_lines(&self, run: &RunRecord, jobs: &[JobView], waiting: &[OutboxMail]) -> Vec<String> {
        let took = run.started_at.zip(run.finished_at).map(|(from, to)| to.duration_since(from).as_secs_f64());
        let memory = peak_memory_bytes().map(|bytes| format!(", {} MiB", bytes / (1024 * 1024))).unwrap_or_default();
        let word = match run.state {
            RunState::Succeeded => "Done",
            RunState::Cancelled => "Stopped",
            RunState::Failed => "Failed",
            RunState::Queued | RunState::Running => {
                let how = format!("nocturne run {} --date {}", run.dag, run.logical_date);
                return vec![format!("Left open: the next start goes on with it ({how}, or nocturne daemon).")];
            }
        };
        let mut lines = vec![format!("{word} in {:.1} s{memory}.", took.unwrap_or_default())];
        for mail in waiting {
            let why = mail.last_error.as_deref().unwrap_or("no answer");
            let tries = if mail.tries == 1 { "once".to_owned() } else { format!("{} times", mail.tries) };
            lines.push(format!("The e-mail `{}` stays in the outbox, tried {tries}: {why}", mail.mail.subject));
        }
        let findings: usize = jobs.iter().filter_map(|job| job.outcome.as_ref()).map(|o| o.findings.len()).sum();
        if findings > 0 {
            lines.push(format!("{findings} findings: nocturne runs show last"));
        }
        if run.state == RunState::Failed {
            lines.push("why: nocturne runs show last · logs: nocturne runs logs last".to_owned());
        }
        let read = match self.config.mail.transport {
            MailTransport::Eml => format!("Read {}", self.config.mail.folder.join("digest.html").display()),
            MailTransport::Smtp if waiting.is_empty() => "E-mail is sent".to_owned(),
            MailTransport::Smtp => "E-mail is tried again by the next run or the daemon".to_owned(),
        };
        lines.push(format!(
            "{read} · browse: nocturne lake tree published/ · why: nocturne runs show last · yours: README.md"
        ));
        lines
    }
}
