//! The verdict and the four answers: fresh? broken? can I trust it? what must I do?
//!
//! Pure: they are derived from the facts of a [`ReportView`], so a page can never say that all is well above
//! a table that says otherwise. The sentences are for a reader who knows neither Canvas nor statistics.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Basis, JobEnd, ModelView, ReportView, TableView};
use crate::domain::check::Severity;
use crate::domain::delivery::{Signature, Word};
use crate::domain::freshness::Rhythm;
use crate::report::format::{count_of, day, day_and_time, out_of_100};

/// The state of a night, or of one of its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All is well.
    Ok,
    /// The night is done, and a person should look at something.
    Warning,
    /// Something failed, and a person must act.
    Failed,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Its state.
    pub state: Verdict,
    /// The answer, in a sentence or two.
    pub sentence: String,
}

/// The answers to the four questions of the first screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FourAnswers {
    /// Is it fresh?
    pub fresh: Answer,
    /// Is anything broken?
    pub broken: Answer,
    /// Can I trust it?
    pub trust: Answer,
    /// What must I do?
    pub todo: Answer,
}

impl ReportView {
    /// Returns the night's verdict: the worst of its jobs, alerts, tables and checks.
    pub fn verdict(&self) -> Verdict {
        let answers = self.answers();
        let jobs_and_alerts = answers.broken.state.max(answers.todo.state);
        jobs_and_alerts.max(answers.fresh.state.min(Verdict::Warning)).max(answers.trust.state.min(Verdict::Warning))
    }

    /// Returns what an e-mail with this report says: the verdict, and the jobs that failed.
    pub fn signature(&self) -> Signature {
        let word = match self.verdict() {
            Verdict::Ok => Word::Ok,
            Verdict::Warning => Word::Look,
            Verdict::Failed => Word::Failed,
        };
        let failed = self.jobs.iter().filter(|job| job.end.is_trouble()).map(|job| job.name.clone());
        Signature::new(word, failed.collect())
    }

    /// Returns the verdict as a headline.
    pub fn headline(&self) -> String {
        let to_do = self.to_do();
        match self.verdict() {
            Verdict::Ok => "All is well".to_owned(),
            Verdict::Warning if to_do == 0 => "The night is done; read it with care".to_owned(),
            Verdict::Warning => {
                format!("The night is done; {} a look", needs(to_do))
            }
            Verdict::Failed => "Part of the night failed".to_owned(),
        }
    }

    /// Returns the answers to the four questions.
    pub fn answers(&self) -> FourAnswers {
        FourAnswers { fresh: self.fresh(), broken: self.broken(), trust: self.trust(), todo: self.todo() }
    }

    fn to_do(&self) -> usize {
        self.alerts.iter().filter(|alert| alert.severity >= Severity::Warning).count()
    }

    fn fresh(&self) -> Answer {
        if self.tables.is_empty() {
            return warning("No. No table was read, so nothing below is new.");
        }
        let of = count_of(self.tables.len(), "table", "tables");
        let mut wrong = Vec::new();
        let late: Vec<&TableView> = self.tables.iter().filter(|table| table.is_late).collect();
        if let Some(oldest) = late.iter().min_by_key(|table| (table.complete_through, &table.name)) {
            let verb = if late.len() == 1 { "is" } else { "are" };
            let until = match oldest.complete_through {
                Some(through) => format!("ends with {}", day(through)),
                None => "has no delivery that is known".to_owned(),
            };
            wrong.push(format!(
                "{} of {of} {verb} older than expected; the oldest, {}, {until} and should come {}.",
                late.len(),
                oldest.name,
                oldest.rhythm.words()
            ));
        }
        let stale: Vec<&str> =
            self.tables.iter().filter(|table| table.is_stale).map(|table| table.name.as_str()).collect();
        if !stale.is_empty() {
            wrong.push(format!(
                "{} of {of} could not be renewed ({}); the last good version stands in, and everything made from it \
                 says so.",
                stale.len(),
                listed(&stale),
            ));
        }
        if !wrong.is_empty() {
            return warning(format!("Not all of it. {}", wrong.join(" ")));
        }
        fine(format!("Yes. {}{}", self.complete_through(), self.newest_entry()))
    }

    /// Through the end of which day the tables are complete: those that come every day, and the oldest of the others.
    fn complete_through(&self) -> String {
        let covered = self.logical_date.yesterday().unwrap_or(self.logical_date);
        let (daily, seldom): (Vec<&TableView>, Vec<&TableView>) =
            self.tables.iter().partition(|table| table.rhythm == Rhythm::Daily);
        let oldest_seldom = oldest(&seldom);
        let base = oldest(&daily).or(oldest_seldom).map_or(covered, |(through, _)| through.min(covered));
        let all = all_of(self.tables.len(), "table", "tables");
        let verb = if self.tables.len() == 1 { "is" } else { "are" };
        let as_expected = if base < covered { "as new as expected: " } else { "" };
        let seldom = oldest_seldom.filter(|(through, _)| *through < base);
        let seldom = seldom.map_or_else(String::new, |(through, table)| {
            format!(" ({}, which comes {}, through {})", table.name, table.rhythm.words(), day(through))
        });
        format!("{all} {verb} {as_expected}complete through the end of {}{seldom}.", day(base))
    }

    fn newest_entry(&self) -> String {
        let newest = self.tables.iter().filter_map(|table| table.newest_event).max();
        // An unknown zone is an error of the page, which shows times too; the sentence leaves the time out.
        let newest = newest.and_then(|at| day_and_time(at, &self.zone).ok());
        newest.map_or_else(String::new, |at| format!(" The newest entry is from {at}."))
    }

    fn broken(&self) -> Answer {
        let named = |is: fn(JobEnd) -> bool| -> Vec<&str> {
            self.jobs.iter().filter(|job| is(job.end)).map(|job| job.name.as_str()).collect()
        };
        let failed = named(|end| end.is_trouble() && end != JobEnd::UpstreamFailed);
        let waiting = named(|end| end == JobEnd::UpstreamFailed);
        if !failed.is_empty() || !waiting.is_empty() {
            let of = count_of(self.jobs.len(), "job", "jobs");
            let mut sentence = format!("Yes. {} of {of} did not succeed: {}.", failed.len(), listed(&failed));
            if !waiting.is_empty() {
                sentence.push_str(&format!(" Not begun because of that: {}.", listed(&waiting)));
            }
            return Answer { state: Verdict::Failed, sentence };
        }
        let held_back: u64 = self.tables.iter().map(|table| table.held_back).sum();
        let (found, evaluated) = self.quality.as_ref().map_or((0, 0), |q| (q.warned + q.failed, q.evaluated()));
        let jobs = format!("{} finished", all_of(self.jobs.len(), "job", "jobs"));
        if found == 0 && held_back == 0 {
            let checks = match evaluated {
                0 => String::new(),
                n => format!(", and {} passed", all_of(n, "check", "checks").to_lowercase()),
            };
            return fine(format!("No. {jobs}{checks}."));
        }
        let mut parts = Vec::new();
        if found > 0 {
            parts.push(format!("{found} of {} found something", count_of(evaluated, "check", "checks")));
        }
        if held_back > 0 {
            parts.push(format!("{} {} held back for not fitting", rows(held_back), were(held_back)));
        }
        warning(format!("Not the night itself: {}. But {}.", jobs.to_lowercase(), parts.join(", and ")))
    }

    fn trust(&self) -> Answer {
        let Some(model) = &self.model else {
            let state = self.broken().state.min(Verdict::Warning);
            let sentence = "There are no model figures tonight; the notes below say why.".to_owned();
            return Answer { state, sentence };
        };
        let ranked = format!(
            "Of two students, one who later had difficulty and one who did not, the model picked out the right one {} \
             times in 100 (a simple rule: {})",
            out_of_100(model.auc.value),
            out_of_100(model.rule_auc)
        );
        let cautions = self.cautions(model);
        if cautions.is_empty() {
            return fine(format!("Yes. {ranked}."));
        }
        warning(format!("With care. {ranked}. {}", cautions.join(" ")))
    }

    fn cautions(&self, model: &ModelView) -> Vec<String> {
        let mut cautions = Vec::new();
        if !model.beats_rule() {
            cautions.push("It is not clearly better than the rule.".to_owned());
        }
        if self.drift.as_ref().is_some_and(super::DriftView::is_alarming) {
            cautions.push("This term's students behave unlike those it learned from.".to_owned());
        }
        if self.tables.iter().any(|table| table.is_stale || table.is_late) {
            cautions.push("Part of what it sees is old.".to_owned());
        }
        if model.basis == Basis::Reconstructed && !cautions.is_empty() {
            cautions.push("Its past was reconstructed from history loaded later.".to_owned());
        }
        cautions
    }

    fn todo(&self) -> Answer {
        let worst = self.alerts.iter().map(|alert| alert.severity).max();
        // Only a job that failed makes a night FAILED: what was found in the data is for a person to look at.
        let state = match worst {
            _ if self.jobs.iter().any(|job| job.end.is_trouble()) => Verdict::Failed,
            Some(Severity::Error | Severity::Warning) => Verdict::Warning,
            Some(Severity::Info) | None => return fine("Nothing."),
        };
        let first = self.alerts.first().map_or("", |alert| alert.advice.as_str());
        let sentence = match self.to_do() {
            1 => format!("One thing. {first}"),
            n => format!("{n} things, listed below. First: {first}"),
        };
        Answer { state, sentence }
    }
}

/// Returns the oldest of these tables, and the day through the end of which it is complete.
fn oldest<'a>(tables: &[&'a TableView]) -> Option<(Date, &'a TableView)> {
    let dated = tables.iter().filter_map(|table| Some((table.complete_through?, *table)));
    dated.min_by_key(|(through, table)| (*through, &table.name))
}

fn fine(sentence: impl Into<String>) -> Answer {
    Answer { state: Verdict::Ok, sentence: sentence.into() }
}

fn warning(sentence: impl Into<String>) -> Answer {
    Answer { state: Verdict::Warning, sentence: sentence.into() }
}

fn all_of(count: usize, one: &str, many: &str) -> String {
    match count {
        1 => format!("The one {one}"),
        n => format!("All {}", count_of(n, one, many)),
    }
}

fn needs(points: usize) -> String {
    if points == 1 { "one point needs".to_owned() } else { format!("{points} points need") }
}

fn rows(count: u64) -> String {
    format!("{} {}", crate::report::format::grouped(count), if count == 1 { "row" } else { "rows" })
}

const fn were(count: u64) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

/// Returns up to three names, and how many more there are.
fn listed(names: &[&str]) -> String {
    match names.len() {
        0..=3 => names.join(", "),
        n => format!("{} and {} more", names[..3].join(", "), n - 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::check::{CheckOutcome, CheckStatus};
    use crate::report::view::{DigestView, QualityView};

    #[test]
    fn a_good_night_is_well_and_asks_for_nothing() {
        let report = ReportView::sample(Verdict::Ok);

        assert_eq!((report.verdict(), report.headline().as_str()), (Verdict::Ok, "All is well"));
        assert_eq!(report.answers().todo.sentence, "Nothing.");
    }

    #[test]
    fn a_night_between_terms_is_well() {
        assert_eq!(DigestView::sample_between_terms().report.verdict(), Verdict::Ok);
    }

    #[test]
    fn each_thing_that_is_wrong_is_a_warning_by_itself() {
        let with = |change: fn(&mut ReportView)| {
            let mut report = ReportView::sample(Verdict::Ok);
            change(&mut report);
            report.verdict()
        };

        assert_eq!(with(|report| report.tables[0].is_stale = true), Verdict::Warning);
        assert_eq!(with(|report| report.tables[0].is_late = true), Verdict::Warning);
        assert_eq!(with(|report| report.tables[0].held_back = 1), Verdict::Warning);
        assert_eq!(with(|report| report.tables.clear()), Verdict::Warning);
        assert_eq!(with(|report| report.drift.as_mut().unwrap().weighted_share = 0.5), Verdict::Warning);
        assert_eq!(with(|report| report.model.as_mut().unwrap().auc.low = 0.5), Verdict::Warning);
        assert_eq!(with(|report| report.quality.as_mut().unwrap().failed = 1), Verdict::Warning);
        assert_eq!(with(|report| report.jobs[3].end = JobEnd::Failed), Verdict::Failed);
    }

    #[test]
    fn a_check_that_looked_at_nothing_is_not_a_pass() {
        let outcome = CheckOutcome {
            check: "nulls".to_owned(),
            subject: "scores".to_owned(),
            status: CheckStatus::Error,
            observed: "nothing".to_owned(),
            expected: "rows".to_owned(),
            looked_at: 0,
        };

        let quality = QualityView::of(&[outcome]);

        assert_eq!((quality.passed, quality.failed, quality.problems.len()), (0, 1, 1));
    }

    #[test]
    fn one_of_a_thing_is_not_spoken_of_as_many() {
        let mut report = ReportView::sample(Verdict::Ok);
        report.tables.truncate(1);
        report.jobs.truncate(1);
        report.tables[0].held_back = 1;

        let answers = report.answers();

        assert!(answers.fresh.sentence.starts_with("Yes. The one table is complete"), "{}", answers.fresh.sentence);
        assert_eq!(
            answers.broken.sentence,
            "Not the night itself: the one job finished. But 1 row was held back for not fitting."
        );
    }
}
