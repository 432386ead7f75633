//! The night as people read it: the report, and the digest that adds the night's times.
//!
//! What differs between two runs on the same inputs (durations, run id, attempts) is in [`NightView`] alone, so the
//! published report cannot hold it. A job that was up to date counts as succeeded here for the same reason.

use jiff::{Timestamp, ToSpan as _, civil::Date};
use serde::{Deserialize, Serialize};

use super::{
    Alert, DriftView, FlaggedTerm, ModelInUse, NIGHTS, QualityView, Resolved, SupportTerm, TableNights, TableView, Told,
};
use crate::domain::check::Severity;
use crate::domain::delivery::{EarlierEmail, Signature};
use crate::domain::ids::{DagName, RunId};
use crate::report::format::day_and_time;

/// What a night found, without anything that differs between two runs on the same inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportView {
    /// Whose night it is, such as `Riverbend University`.
    pub institution: String,
    /// The DAG.
    pub dag: DagName,
    /// The logical date: the report covers through the end of the day before.
    pub logical_date: Date,
    /// The IANA time zone in which times are shown.
    pub zone: String,
    /// Whether the students are invented.
    pub is_simulation: bool,
    /// The night of the last e-mail that told of rows, with which this one compares; `None` where none is known.
    #[serde(default)]
    pub since: Option<Date>,
    /// What changed since then, the largest change first; empty where there is nothing to compare with.
    pub changes: Vec<String>,
    /// The jobs in the order of the plan, without the one that writes this.
    pub jobs: Vec<JobView>,
    /// The tables that were read, sorted by name.
    pub tables: Vec<TableView>,
    /// Tables that were not read because what pulls them did not succeed, and that stand as they were.
    #[serde(default)]
    pub unread: Vec<String>,
    /// The rows of the tables on the last nights, against what is usual.
    #[serde(default)]
    pub rows: Vec<TableNights>,
    /// What e-mails told on earlier nights, the oldest first; a night without one is absent.
    #[serde(default)]
    pub told_before: Vec<(Date, Told)>,
    /// The quality checks; `None` where none were planned.
    pub quality: Option<QualityView>,
    /// Drift; `None` where it was not measured.
    pub drift: Option<DriftView>,
    /// Why drift was not measured, where a job should have, in words.
    pub drift_unmeasured: Option<String>,
    /// The models that the DAG's jobs name, by name.
    pub models: Vec<ModelInUse>,
    /// How many students may need support, by term.
    pub flagged: Vec<FlaggedTerm>,
    /// How many may have needed support, night by night, in the terms of `flagged`.
    #[serde(default)]
    pub support: Vec<SupportTerm>,
    /// What people are told, the worst first.
    pub alerts: Vec<Alert>,
    /// What tonight resolved, by check and subject.
    pub resolved: Vec<Resolved>,
    /// Alerts that stand, although what found them did not look tonight: what they are about.
    pub not_looked_at: Vec<String>,
    /// Why a section is missing: whole sentences, such as `Drift was not computed: nobody is enrolled.`
    pub notes: Vec<String>,
    /// Where to look next.
    pub pointers: Vec<Pointer>,
    /// Whose data these are, where they ask for it.
    pub attribution: Option<String>,
}

impl ReportView {
    /// Returns what tonight's e-mail tells.
    pub fn told(&self) -> Told {
        let count = |severity| self.alerts.iter().filter(|alert| alert.severity == severity).count() as u64;
        Told { errors: count(Severity::Error), warnings: count(Severity::Warning), notes: count(Severity::Info) }
    }

    /// Returns the last [`NIGHTS`] nights, tonight last, with what their e-mails told; `None` for a night without one.
    pub fn nights_told(&self) -> Vec<(Date, Option<Told>)> {
        let tonight = (self.logical_date, Some(self.told()));
        let earlier = (1..NIGHTS).rev().filter_map(|ago| self.logical_date.checked_sub(i64::from(ago).days()).ok());
        let earlier = earlier.map(|date| {
            let told = self.told_before.iter().find(|(night, _)| *night == date).map(|(_, told)| *told);
            (date, told)
        });
        earlier.chain([tonight]).collect()
    }
}

/// One job of the night.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// The job's name.
    pub name: String,
    /// How it ended.
    pub end: JobEnd,
    /// One line: what it did, or why it failed; empty where it has done neither yet. It holds no durations.
    pub summary: String,
    /// The night whose work stands, where there was nothing new for it to do.
    #[serde(default)]
    pub stands_from: Option<Date>,
}

/// How a job ended, as far as a reader is concerned. What was up to date has succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobEnd {
    /// It did its work, or its work was up to date.
    Succeeded,
    /// It was skipped for a stated reason.
    Skipped,
    /// It failed.
    Failed,
    /// A job it needs failed.
    UpstreamFailed,
    /// Somebody cancelled it.
    Cancelled,
    /// It was still running when this was written.
    Running,
    /// It had not begun when this was written.
    Queued,
}

impl JobEnd {
    /// Returns whether it had not ended when this was written.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Queued)
    }

    /// Returns whether the night is worse for it.
    pub const fn is_trouble(self) -> bool {
        matches!(self, Self::Failed | Self::UpstreamFailed | Self::Cancelled)
    }
}

/// A command or a link, with what it shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// What a reader finds there.
    pub what: String,
    /// The command to type, or the address to open.
    pub at: String,
}

/// The e-mail of one night: the report and the night's own facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DigestView {
    /// What the night found.
    pub report: ReportView,
    /// How the night went.
    pub night: NightView,
    /// Where the whole report can be opened, if it has an address.
    pub report_link: Option<String>,
    /// Whom to ask, in words; shown in the footer.
    pub contact: Option<String>,
    /// The last e-mail about this night that the same readers got.
    #[serde(default)]
    pub earlier: Option<EarlierEmail>,
}

impl DigestView {
    /// Returns what an e-mail that says `signature` corrects, as a sentence; `None` where an earlier one said the same, or
    /// was no digest.
    pub fn correction(&self, signature: &Signature) -> Option<String> {
        let earlier = self.earlier.as_ref()?;
        if earlier.signature == *signature || !earlier.signature.word.is_digest() {
            return None;
        }
        // An unknown zone is an error of the page, which shows times too.
        let at = day_and_time(earlier.at, &self.report.zone).ok()?;
        Some(format!("This corrects the e-mail of {at}: \u{201c}{}\u{201d}.", earlier.subject))
    }
}

/// How a night went, in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NightView {
    /// The run.
    pub run_id: RunId,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it has taken until this was written.
    pub seconds: f64,
    /// When each job ran, in the order of the plan.
    pub spans: Vec<JobSpan>,
}

/// When a job ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpan {
    /// The job's name.
    pub name: String,
    /// How it ended.
    pub end: JobEnd,
    /// Seconds from the run's start to the job's first attempt.
    pub start_offset_seconds: f64,
    /// Seconds from its first attempt to its end.
    pub seconds: f64,
    /// How many attempts it took; 0 where none was made.
    pub attempts: u32,
    /// Whether there was nothing to do.
    pub is_up_to_date: bool,
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_night_without_an_e_mail_is_no_night_without_findings() {
        let mut report = ReportView::sample(Verdict::Ok);
        report.told_before = vec![(date(2026, 11, 19), Told { warnings: 2, ..Told::default() })];

        let nights = report.nights_told();

        assert_eq!((nights.len(), nights[0].0, nights[0].1), (usize::from(NIGHTS), date(2026, 11, 7), None));
        assert_eq!(nights[12], (date(2026, 11, 19), Some(Told { errors: 0, warnings: 2, notes: 0 })));
        assert_eq!(nights[13], (date(2026, 11, 20), Some(Told::default())));
    }
}
