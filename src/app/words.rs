//! What a run prints about itself: the line before it and the lines after it.

use jiff::civil::Date;

use super::App;
use crate::config::{MailTransport, SourceKind};
use crate::domain::dag::Dag;
use crate::domain::delivery::MailState;
use crate::domain::job::JobView;
use crate::domain::number::count_of;
use crate::domain::run::{JobState, RunState};
use crate::report::mail::masked;
use crate::report::transport::page_name;
use crate::store::{MailRow, RunRecord};
use crate::telemetry::peak_memory_bytes;

impl App {
    /// Returns the line before a run: what, for when, on which data, and whether anything leaves the machine.
    pub fn banner(&self, dag: &Dag, date: Date) -> String {
        let is_simulated = self.config.sources.values().all(|source| source.kind == SourceKind::Simulation);
        let data =
            if is_simulated { "simulated Canvas, invented students" } else { self.config.institution.name.as_str() };
        let is_local = !self.config.lake.url.starts_with("s3://")
            && self.config.mail.transport == MailTransport::Eml
            && self.config.alerts.webhooks.is_empty();
        let leaves = if is_local { "Nothing leaves this machine." } else { "Lake, e-mail or webhooks are elsewhere." };
        format!("Nocturne · {} {date} · {data}        {leaves}", dag.name)
    }

    /// Returns the lines after a run: how it ended, how long it took, what waits, and where to look.
    ///
    /// `mails` are the e-mails of the run's night; `unsent` those of any night that were not handed over.
    pub fn closing_lines(
        &self,
        run: &RunRecord,
        jobs: &[JobView],
        mails: &[MailRow],
        unsent: &[MailRow],
    ) -> Vec<String> {
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
        lines.extend(unsent.iter().map(unsent_line));
        let findings: usize = jobs.iter().filter_map(|job| job.outcome.as_ref()).map(|o| o.findings.len()).sum();
        if findings > 0 {
            lines.push(format!("{}: nocturne runs show last", count_of(findings, "finding", "findings")));
        }
        let mut closing = vec![self.mail_words(mails, jobs)];
        if jobs.iter().filter_map(|job| job.outcome.as_ref()).any(|outcome| !outcome.files.is_empty()) {
            closing.push("browse: nocturne lake tree published/".to_owned());
        }
        closing.push("why: nocturne runs show last".to_owned());
        if run.state == RunState::Failed {
            closing.push("logs: nocturne runs logs last".to_owned());
        }
        closing.push("yours: README.md".to_owned());
        lines.push(closing.join(" · "));
        lines
    }

    /// Returns what became of the e-mails of this run's jobs, and of the alerts that routes tell. Another run of the night
    /// may have written others.
    fn mail_words(&self, mails: &[MailRow], jobs: &[JobView]) -> String {
        let of_run = |mail: &&MailRow| {
            let audience = &mail.id.key.audience;
            let wrote = |job: &JobView| job.name.as_str() == audience && job.state != JobState::Skipped;
            audience.starts_with("alerts.") || jobs.iter().any(wrote)
        };
        let mails: Vec<&MailRow> = mails.iter().filter(of_run).collect();
        let sent: Vec<&MailRow> = mails.iter().copied().filter(|mail| mail.state == MailState::Sent).collect();
        let waits = mails.iter().any(|mail| mail.state == MailState::Waiting);
        let is_partly = waits || mails.iter().any(|mail| mail.state == MailState::GivenUp);
        // Of several audiences, the one whose job publishes the report: the operators'.
        let publishes = |audience: &str| {
            let job = jobs.iter().find(|job| job.name.as_str() == audience);
            job.and_then(|job| job.outcome.as_ref()).is_some_and(|outcome| !outcome.files.is_empty())
        };
        let newest = sent.iter().max_by_key(|mail| (publishes(&mail.id.key.audience), mail.ended_at));
        match (self.config.mail.transport, newest) {
            (MailTransport::Eml, Some(mail)) => {
                let page = page_name(mail.message_id.as_deref().unwrap_or_default());
                format!("Read {}", self.config.mail.folder.join(page).display())
            }
            (MailTransport::Smtp, Some(_)) if is_partly => "Part of the e-mail is sent".to_owned(),
            (MailTransport::Smtp, Some(_)) => "E-mail is sent".to_owned(),
            (_, None) if waits => {
                "E-mail waits; the daemon or the next run tries again, or: nocturne report send --waiting".to_owned()
            }
            (_, None) if mails.iter().any(|mail| mail.state == MailState::GivenUp) => "E-mail was given up".to_owned(),
            (_, None) => "No e-mail was written".to_owned(),
        }
    }
}

/// Returns a line about an e-mail that was not handed over; its recipient is masked.
fn unsent_line(mail: &MailRow) -> String {
    let subject = mail.subject.as_deref().unwrap_or("(no subject)");
    let to = masked(&mail.recipient.address);
    let why = mail.last_error.as_deref().unwrap_or("no answer");
    let tries = if mail.tries == 1 { "once".to_owned() } else { format!("{} times", mail.tries) };
    match mail.state {
        MailState::GivenUp => format!("The e-mail `{subject}` to {to} was given up, tried {tries}: {why}"),
        _ => format!("The e-mail `{subject}` to {to} waits, tried {tries}: {why}"),
    }
}
