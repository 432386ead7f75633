//! The verdict and the four answers: fresh? broken? can I trust it? what must I do?
//!
//! Pure: they are derived from the facts of a [`ReportView`], so a page can never say that all is well above
//! a table that says otherwise. The sentences are for a reader who knows neither Canvas nor statistics.

use serde::{Deserialize, Serialize};

use super::{Alert, JobEnd, ReportView};
use crate::domain::alert::Cause;
use crate::domain::check::Severity;
use crate::domain::delivery::{Signature, Word};
use crate::report::format::{count_of, rows};

/// The finding for tables that are older than they should be, which the first answer tells.
const LATE: &str = "table.fresh";

/// The state of a night.
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

/// The state of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was looked at, and is as it should be.
    Ok,
    /// It was not looked at, for the stated reason: no cause for alarm, and not "fine".
    Unmeasured,
    /// It is to be read with care, as people were told before: nothing new to look at, and not "fine".
    Caution,
    /// A person should look at it.
    Warning,
    /// Something failed, and a person must act.
    Failed,
}

impl State {
    /// Returns what it makes of a night.
    const fn verdict(self) -> Verdict {
        match self {
            Self::Ok | Self::Unmeasured | Self::Caution => Verdict::Ok,
            Self::Warning => Verdict::Warning,
            Self::Failed => Verdict::Failed,
        }
    }
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Its state.
    pub state: State,
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
        let states = [answers.fresh.state, answers.broken.state, answers.trust.state, answers.todo.state];
        states.into_iter().map(State::verdict).max().unwrap_or(Verdict::Ok)
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
            Verdict::Ok => self.all_is_well().to_owned(),
            Verdict::Warning if to_do == 0 => "The night is done; read the figures with care".to_owned(),
            Verdict::Warning => {
                format!("The night is done; {} a look", needs(to_do))
            }
            Verdict::Failed => "Part of the night failed".to_owned(),
        }
    }

    /// The headline of a night on which nothing is wrong.
    pub(super) fn all_is_well(&self) -> &'static str {
        let is_open = self.jobs.iter().any(|job| job.end.is_open());
        if is_open { "All is well so far; the night is not over" } else { "All is well" }
    }

    /// Returns the answers to the four questions.
    pub fn answers(&self) -> FourAnswers {
        FourAnswers { fresh: self.fresh(), broken: self.broken(), trust: self.trust(), todo: self.todo() }
    }

    /// The alerts of which nobody asked not to be reminded.
    fn unsilenced(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().filter(|alert| !alert.is_silenced())
    }

    /// What was found in the data that no rule counts: what the pull could not take in, or take as it was. A check that was
    /// stopped leaves what its rules found as alerts alone, which are among them.
    pub(super) fn found_beside_the_rules(&self) -> impl Iterator<Item = &Alert> {
        let is_of_data = |alert: &&Alert| {
            let cause = alert.memory.as_ref().map(|memory| memory.cause);
            matches!(cause, Some(Cause::Source | Cause::Schema | Cause::Quality)) && alert.severity >= Severity::Warning
        };
        let is_rule = move |alert: &Alert| {
            let problems = self.quality.iter().flat_map(|quality| &quality.problems);
            alert.check == LATE || problems.into_iter().any(|problem| problem.check == alert.check)
        };
        self.alerts.iter().filter(is_of_data).filter(move |alert| !is_rule(alert))
    }

    fn to_do(&self) -> usize {
        self.unsilenced().filter(|alert| alert.severity >= Severity::Warning).count()
    }

    fn broken(&self) -> Answer {
        let failed = self.named(|end| end.is_trouble() && end != JobEnd::UpstreamFailed);
        let waiting = self.named(|end| end == JobEnd::UpstreamFailed);
        let open = self.named(JobEnd::is_open);
        if !failed.is_empty() || !waiting.is_empty() {
            let of = count_of(self.jobs.len(), "job", "jobs");
            let word =
                if self.jobs.iter().any(|job| job.end == JobEnd::Cancelled) { "did not succeed" } else { "failed" };
            let mut sentence = if failed.is_empty() {
                format!("Yes. {} of {of} could not begin: {}.", waiting.len(), listed(&waiting))
            } else {
                format!("Yes. {} of {of} {word}: {}.", failed.len(), listed(&failed))
            };
            if !failed.is_empty() && !waiting.is_empty() {
                sentence.push_str(&format!(" Not begun because of that: {}.", listed(&waiting)));
            }
            if !open.is_empty() {
                sentence.push_str(&format!(" When this was written, {}.", unfinished(&open)));
            }
            sentence.push_str(&self.checks_in_words());
            return Answer { state: State::Failed, sentence };
        }
        let held_back: u64 = self.tables.iter().map(|table| table.held_back + table.waiting).sum();
        let (found, evaluated) = self.quality.as_ref().map_or((0, 0), |q| (q.troubled(), q.evaluated() + q.errors));
        let jobs = self.jobs_in_words();
        let by_pull = self.found_beside_the_rules().filter(|alert| !self.is_told_otherwise(alert)).count();
        if found == 0 && held_back == 0 && by_pull == 0 {
            return match evaluated {
                0 => {
                    let sentence = format!("Not as far as was looked: {}, and no check was made.", lower_first(&jobs));
                    Answer { state: State::Unmeasured, sentence }
                }
                n => {
                    let passed = lower_first(&all_of(n, "check", "checks"));
                    if !open.is_empty() {
                        let sentence =
                            format!("Not as far as was looked: {}, and {passed} passed.", lower_first(&jobs));
                        return Answer { state: State::Unmeasured, sentence };
                    }
                    fine(format!("No. {jobs}, and {passed} passed{}.", self.idle_rules()))
                }
            };
        }
        warning(format!("{jobs}, but {}.", self.troubles_in_words(by_pull).join(", and ")))
    }

    /// What is wrong in the data: what rules found, `by_pull` other things, and rows that were held back.
    fn troubles_in_words(&self, by_pull: usize) -> Vec<String> {
        let held_back: u64 = self.tables.iter().map(|table| table.held_back).sum();
        let in_quarantine: u64 = self.tables.iter().map(|table| table.waiting).sum();
        let (found, evaluated) = self.quality.as_ref().map_or((0, 0), |q| (q.troubled(), q.evaluated() + q.errors));
        let mut parts = Vec::new();
        if found > 0 {
            let problems = self.quality.iter().flat_map(|quality| &quality.problems);
            let rules: Vec<&str> = problems.map(|problem| problem.check.as_str()).collect();
            let checks = count_of(evaluated, "check", "checks");
            parts.push(format!("{found} of {checks} found a problem ({})", listed(&rules)));
        }
        if by_pull > 0 {
            parts.push(format!(
                "{} in what was delivered",
                count_of(by_pull, "problem was found", "problems were found")
            ));
        }
        if held_back > 0 {
            parts.push(format!("{} {} held back for not fitting", rows(held_back), were(held_back)));
        }
        if in_quarantine > 0 {
            let verb = if in_quarantine == 1 { "waits" } else { "wait" };
            parts.push(format!("{} {verb} in quarantine because of a rule", rows(in_quarantine)));
        }
        parts
    }

    /// Whether a finding is told as a number of rows, or by the first answer.
    fn is_told_otherwise(&self, alert: &Alert) -> bool {
        match alert.check.as_str() {
            "rows.quarantined" => self.tables.iter().any(|table| table.held_back > 0),
            "quarantine.waiting" => self.tables.iter().any(|table| table.waiting > 0),
            "table.empty" => self.tables.iter().any(|table| table.rows == 0),
            _ => false,
        }
    }

    /// What the checks found on a night of which a job failed.
    fn checks_in_words(&self) -> String {
        let Some(quality) = &self.quality else {
            return match self.found_beside_the_rules().count() {
                0 => " The data were not checked.".to_owned(),
                n => format!(" {} found in the data.", count_of(n, "problem was", "problems were")),
            };
        };
        match (quality.troubled(), quality.evaluated() + quality.errors) {
            (_, 0) => " The data were not checked.".to_owned(),
            (0, n) => format!(" {} of the data passed.", all_of(n, "check", "checks")),
            (found, n) => format!(" {found} of {} of the data found a problem.", count_of(n, "check", "checks")),
        }
    }

    /// How the jobs of a night ended of which none failed.
    fn jobs_in_words(&self) -> String {
        let (skipped, open) = (self.named(|end| end == JobEnd::Skipped), self.named(JobEnd::is_open));
        let finished = self.jobs.len() - skipped.len() - open.len();
        if finished == self.jobs.len() {
            return format!("{} finished", all_of(finished, "job", "jobs"));
        }
        let mut words = format!("{} finished", count_of(finished, "job", "jobs"));
        if !skipped.is_empty() {
            let verb = if skipped.len() == 1 { "was" } else { "were" };
            words.push_str(&format!(", {} {verb} skipped", listed(&skipped)));
        }
        if !open.is_empty() {
            words.push_str(&format!(", {}", unfinished(&open)));
        }
        words
    }

    /// The jobs that ended in a certain way.
    pub(super) fn named(&self, is: fn(JobEnd) -> bool) -> Vec<&str> {
        self.jobs.iter().filter(|job| is(job.end)).map(|job| job.name.as_str()).collect()
    }

    /// The answer where nobody has to act: on a night that is not well, its figures are to be read with care.
    fn nothing_to_do(&self) -> Answer {
        let is_serious = |alert: &&Alert| alert.is_silenced() && alert.severity >= Severity::Warning;
        let silenced = self.alerts.iter().filter(is_serious).count();
        if silenced > 0 {
            let known = count_of(silenced, "thing is known and silenced", "things are known and silenced");
            return fine(format!("Nothing new: {known} (listed below)."));
        }
        let states = [self.fresh().state, self.broken().state, self.trust().state];
        match states.into_iter().max() {
            Some(State::Ok | State::Unmeasured | State::Caution) | None => fine("Nothing."),
            Some(State::Warning | State::Failed) => fine("Nothing but to read the figures with care."),
        }
    }

    /// What is to be said of rules that had nothing to look at.
    pub(super) fn idle_rules(&self) -> String {
        match self.quality.as_ref().map_or(0, |quality| quality.skipped) {
            0 => String::new(),
            1 => " (one more had nothing to check, or nothing yet to compare with)".to_owned(),
            n => format!(" ({n} more had nothing to check, or nothing yet to compare with)"),
        }
    }

    fn todo(&self) -> Answer {
        let worst = self.unsilenced().map(|alert| alert.severity).max();
        // Only a job that failed makes a night FAILED: what was found in the data is for a person to look at.
        let state = match worst {
            _ if self.jobs.iter().any(|job| job.end.is_trouble()) => State::Failed,
            Some(Severity::Error | Severity::Warning) => State::Warning,
            Some(Severity::Info) | None => return self.nothing_to_do(),
        };
        let Some(first) = self.unsilenced().find(|alert| alert.severity >= Severity::Warning) else {
            let sentence = "See to the jobs that failed; what is known of them is silenced (listed below).".to_owned();
            return Answer { state, sentence };
        };
        let (subject, advice) = (first.subject.as_str(), first.advice.as_str());
        let sentence = match self.to_do() {
            1 => format!("One thing, about `{subject}`. {advice}"),
            n => format!("{n} things, listed below. First, about `{subject}`: {advice}"),
        };
        Answer { state, sentence }
    }
}

pub(super) fn fine(sentence: impl Into<String>) -> Answer {
    Answer { state: State::Ok, sentence: sentence.into() }
}

pub(super) fn warning(sentence: impl Into<String>) -> Answer {
    Answer { state: State::Warning, sentence: sentence.into() }
}

pub(super) fn all_of(count: usize, one: &str, many: &str) -> String {
    match count {
        1 => format!("The one {one}"),
        2 => format!("Both {many}"),
        n => format!("All {}", count_of(n, one, many)),
    }
}

/// Returns a sentence's beginning as it reads after a colon.
fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

fn needs(points: usize) -> String {
    if points == 1 { "one thing needs".to_owned() } else { format!("{points} things need") }
}

const fn were(count: u64) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

/// Returns what is said of jobs that had not ended when a report was written.
pub(super) fn unfinished(jobs: &[&str]) -> String {
    format!("{} {} not done yet", listed(jobs), if jobs.len() == 1 { "was" } else { "were" })
}

/// Returns up to three names, and how many more there are.
pub(super) fn listed(names: &[&str]) -> String {
    match names.len() {
        0..=3 => names.join(", "),
        n => format!("{} and {} more", names[..3].join(", "), n - 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alert::AlertEvent;
    use crate::domain::check::{CheckOutcome, CheckStatus};
    use crate::report::view::{AlertMemory, DigestView, QualityView, ToldVersion};

    fn gain(report: &mut ReportView) -> &mut crate::report::view::Interval {
        report.models[0].champion.as_mut().unwrap().gain_over_rule.as_mut().unwrap()
    }

    #[test]
    fn a_good_night_is_well_and_asks_for_nothing() {
        let report = ReportView::sample(Verdict::Ok);

        assert_eq!((report.verdict(), report.headline().as_str()), (Verdict::Ok, "All is well"));
        assert_eq!(report.answers().todo.sentence, "Nothing.");
    }

    #[test]
    fn what_the_pull_found_is_broken_data_though_every_rule_passed() {
        let mut report = ReportView::sample(Verdict::Ok);
        let mut alert = ReportView::sample(Verdict::Warning).alerts.remove(0);
        (alert.check, alert.severity) = ("schema.unknown_column".to_owned(), Severity::Warning);
        alert.memory = Some(AlertMemory {
            id: "0a1b2c3d".to_owned(),
            cause: Cause::Schema,
            event: AlertEvent::Opened,
            since: report.logical_date,
            nights: 1,
            acknowledged_by: None,
            silenced_until: None,
            follows_from: None,
        });
        report.alerts = vec![alert];

        let answers = report.answers();

        assert_eq!((answers.broken.state, answers.trust.state), (State::Warning, State::Warning));
        assert!(answers.broken.sentence.contains("1 problem was found in what was delivered"), "{:?}", answers.broken);
        assert!(answers.trust.sentence.contains("Something is wrong with the data"), "{:?}", answers.trust);
    }

    #[test]
    fn what_still_runs_when_the_report_is_written_is_said_and_not_fine() {
        let mut report = ReportView::sample(Verdict::Ok);
        report.jobs[0].end = JobEnd::Running;
        let (name, rest) = (report.jobs[0].name.clone(), report.jobs.len() - 1);

        let (broken, headline) = (report.answers().broken, report.headline());
        report.tables.clear();
        let fresh = report.answers().fresh;

        assert_eq!(headline, "All is well so far; the night is not over");

        assert_eq!(broken.state, State::Unmeasured);
        assert!(broken.sentence.contains(&format!("{rest} jobs finished, {name} was not done yet")), "{broken:?}");
        assert_eq!(
            fresh.sentence,
            format!("Not known yet. No table had been read when this was written; {name} was not done yet.")
        );
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
        let is_new_and_weak = |report: &mut ReportView| {
            gain(report).low = -0.01;
            report.models[0].told = ToldVersion::NoVersion;
        };
        assert_eq!(with(is_new_and_weak), Verdict::Warning);
        assert_eq!(with(|report| report.quality.as_mut().unwrap().failed = 1), Verdict::Warning);
        assert_eq!(with(|report| report.jobs[3].end = JobEnd::Failed), Verdict::Failed);
    }

    #[test]
    fn a_night_without_checks_or_with_skipped_jobs_says_so() {
        let mut report = ReportView::sample(Verdict::Ok);
        report.jobs[4].end = JobEnd::Skipped;
        report.quality = None;

        let broken = report.answers().broken;

        assert_eq!(broken.state, State::Unmeasured);
        assert_eq!(
            broken.sentence,
            "Not as far as was looked: 5 jobs finished, score was skipped, and no check was made."
        );
    }

    #[test]
    fn a_check_that_looked_at_nothing_is_not_a_pass() {
        let outcome = CheckOutcome {
            status: CheckStatus::Error,
            observed: "nothing".to_owned(),
            expected: "rows".to_owned(),
            ..CheckOutcome::skipped("nulls", "scores")
        };

        let quality = QualityView::of(&[outcome]);

        assert_eq!((quality.passed, quality.errors, quality.problems.len()), (0, 1, 1));
    }

    #[test]
    fn one_of_a_thing_is_not_spoken_of_as_many() {
        let mut report = ReportView::sample(Verdict::Ok);
        report.tables.truncate(1);
        report.jobs.truncate(1);
        report.tables[0].held_back = 1;

        let answers = report.answers();

        assert!(answers.fresh.sentence.starts_with("Yes. The one table is complete"), "{}", answers.fresh.sentence);
        assert_eq!(answers.broken.sentence, "The one job finished, but 1 row was held back for not fitting.");
    }
}
