//! What a reader is told: a dean or an analyst, who knows neither jobs nor tables' sizes.
//!
//! Made from the whole report by leaving out: no job names, no exact counts, no commands. It holds what may be published:
//! whoever opens the report in the lake sees the same. The four answers are those of the report in other words, so that the
//! two can never disagree.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::answers::listed;
use super::answers::{Answer, FourAnswers, State, Verdict};
use super::{DriftView, FlaggedTerm, ModelInUse, ReportView, SupportTerm};
use crate::domain::check::CheckStatus;
use crate::domain::freshness::Rhythm;
use crate::domain::ids::DagName;
use crate::report::format::count_of;

/// What readers are told of a night.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReaderView {
    /// Whose night it is.
    pub institution: String,
    /// The DAG.
    pub dag: DagName,
    /// The logical date.
    pub logical_date: Date,
    /// Whether the students are invented.
    pub is_simulation: bool,
    /// The verdict.
    pub verdict: Verdict,
    /// The verdict as a headline.
    pub headline: String,
    /// The four answers, in a reader's words.
    pub answers: FourAnswers,
    /// How many students may need support, by term.
    pub flagged: Vec<FlaggedTerm>,
    /// How many may have needed support, night by night.
    pub support: Vec<SupportTerm>,
    /// The models.
    pub models: Vec<ModelInUse>,
    /// Drift; `None` where it was not measured.
    pub drift: Option<DriftView>,
    /// Why drift was not measured, where a job should have.
    pub drift_unmeasured: Option<String>,
    /// How new the tables are, by name.
    pub tables: Vec<ReaderTable>,
    /// The quality rules that found something: what they are about, and how they ended.
    pub findings: Vec<ReaderFinding>,
    /// Where the whole report can be opened, if it has an address.
    pub report_link: Option<String>,
    /// Whom to ask.
    pub contact: Option<String>,
    /// Whose data these are, where they ask for it.
    pub attribution: Option<String>,
}

/// How new a table is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderTable {
    /// Its name.
    pub name: String,
    /// The last day through the end of which it is complete.
    pub complete_through: Option<Date>,
    /// How often it is delivered.
    pub rhythm: Rhythm,
    /// Whether it is older than it should be.
    pub is_late: bool,
    /// Whether a delivery of it could not be used.
    pub is_stale: bool,
}

/// A quality rule that found something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderFinding {
    /// The rule.
    pub rule: String,
    /// The table or column.
    pub subject: String,
    /// How it ended.
    pub status: CheckStatus,
    /// Why it matters.
    pub why: String,
}

impl ReportView {
    /// Returns what readers are told.
    pub fn for_readers(&self) -> ReaderView {
        let tables = self.tables.iter().map(|table| ReaderTable {
            name: table.name.clone(),
            complete_through: table.complete_through,
            rhythm: table.rhythm,
            is_late: table.is_late,
            is_stale: table.is_stale,
        });
        let problems = self.quality.iter().flat_map(|quality| &quality.problems);
        let findings = problems.map(|problem| ReaderFinding {
            rule: problem.check.clone(),
            subject: problem.subject.clone(),
            status: problem.status,
            why: problem.why.clone(),
        });
        ReaderView {
            institution: self.institution.clone(),
            dag: self.dag.clone(),
            logical_date: self.logical_date,
            is_simulation: self.is_simulation,
            verdict: self.verdict(),
            headline: self.headline_for_readers().to_owned(),
            answers: self.answers_for_readers(),
            flagged: self.flagged.clone(),
            support: self.support.clone(),
            models: self.models.clone(),
            drift: self.drift.clone(),
            drift_unmeasured: self.drift_unmeasured.clone(),
            tables: tables.collect(),
            findings: findings.collect(),
            report_link: None,
            contact: None,
            attribution: self.attribution.clone(),
        }
    }

    fn headline_for_readers(&self) -> &'static str {
        match self.verdict() {
            Verdict::Ok => self.all_is_well(),
            Verdict::Warning => "Read the figures with care",
            Verdict::Failed => "Part of the night failed",
        }
    }

    fn answers_for_readers(&self) -> FourAnswers {
        let FourAnswers { fresh, broken, trust, .. } = self.answers();
        FourAnswers {
            fresh,
            broken: Answer { sentence: self.broken_for_readers(broken.state), ..broken },
            trust: Answer { sentence: trust.sentence.replace('`', ""), ..trust },
            todo: self.to_do_for_readers(),
        }
    }

    fn broken_for_readers(&self, state: State) -> String {
        let evaluated = self.quality.as_ref().map_or(0, |quality| quality.evaluated() + quality.errors);
        let is_open = self.jobs.iter().any(|job| job.end.is_open());
        let work = if is_open {
            "Part of the night's work was not done when this was written"
        } else {
            "The night's work was done"
        };
        match state {
            State::Unmeasured if is_open && evaluated > 0 => {
                format!(
                    "Not known yet. {work}; {} of the data found no problem.",
                    count_of(evaluated, "check", "checks")
                )
            }
            State::Ok => format!(
                "No. The night's work was done, and {} of the data found no problem{}.",
                count_of(evaluated, "check", "checks"),
                self.idle_rules()
            ),
            State::Unmeasured | State::Caution => {
                let joined = if is_open { "and" } else { "but" };
                format!("Not as far as was looked. {work}, {joined} the data were not checked.")
            }
            State::Warning if self.quality.as_ref().is_some_and(|quality| quality.troubled() > 0) => {
                if self.wrong_by_rule().next().is_none() {
                    return format!("{work}, but part of the data is late.");
                }
                let tables = match self.troubled_tables().as_slice() {
                    [] => String::new(),
                    tables => format!(": {}", listed(tables)),
                };
                let mut problems = self.quality.iter().flat_map(|quality| &quality.problems);
                let why = match (problems.next(), problems.next()) {
                    (Some(one), None) if !one.why.is_empty() => format!(" {}.", one.why.trim_end_matches('.')),
                    _ => String::new(),
                };
                format!("{work}, but something is wrong in the data{tables}.{why}")
            }
            State::Warning => format!("{work}, but some of what was delivered did not fit."),
            State::Failed => {
                "Yes. Part of the night failed; what could not be made anew is missing here or from an earlier night."
                    .to_owned()
            }
        }
    }

    /// What a reader does about a night: never more than to read with care. Where nobody has anything to do, nobody was told.
    fn to_do_for_readers(&self) -> Answer {
        let (state, sentence) = match self.verdict() {
            Verdict::Ok => (State::Ok, "Nothing."),
            Verdict::Warning if self.answers().todo.state <= State::Caution => {
                (State::Warning, "Nothing today; do not judge single students by the figures.")
            }
            Verdict::Warning => (
                State::Warning,
                "Nothing today; do not judge single students by the figures. The data team has been told.",
            ),
            Verdict::Failed => (State::Failed, "Rely on the last good report. The data team has been told."),
        };
        Answer { state, sentence: sentence.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::view::ToldVersion;

    #[test]
    fn where_nobody_has_anything_to_do_readers_are_not_told_that_somebody_was_told() {
        let mut report = ReportView::sample(Verdict::Ok);
        report.models[0].champion.as_mut().unwrap().gain_over_rule = None;
        report.models[0].told = ToldVersion::NoVersion;

        let todo = report.for_readers().answers.todo;

        assert_eq!(todo.sentence, "Nothing today; do not judge single students by the figures.");
    }

    #[test]
    fn readers_are_told_the_same_verdict_without_jobs_and_counts() {
        for verdict in [Verdict::Ok, Verdict::Warning, Verdict::Failed] {
            let report = ReportView::sample(verdict);

            let reader = report.for_readers();

            assert_eq!(reader.verdict, report.verdict());
            let states =
                |answers: &FourAnswers| [&answers.fresh, &answers.broken, &answers.trust].map(|answer| answer.state);
            assert_eq!(states(&reader.answers), states(&report.answers()));
            let told = serde_json::to_string(&reader).unwrap();
            for table in &report.tables {
                assert!(!told.contains(&crate::report::format::grouped(table.rows)) || table.rows < 1000, "{told}");
            }
            for job in &report.jobs {
                assert!(!reader.answers.broken.sentence.split([' ', ',']).any(|word| word == job.name), "{told}");
            }
            assert!(!told.contains("nocturne "), "no commands: {told}");
        }
    }
}
