//! The third answer: can I trust it? What is said of the models in use, and what was not measured.
//!
//! Pure, as the other answers. A model is spoken of by the figures of the version that makes the scores; one that is
//! not clearly better than a simple rule, or whose input is old or unlike what it learned from, is to be read with care.
//! That is a LOOK on the night on which it is new: when such a version comes into use in place of a better one or of none,
//! or the input is so. What people have been told once stays in the sentence. What was not measured is named, and is
//! never "fine".

use std::collections::BTreeSet;

use super::answers::{Answer, State, listed};
use super::model::ChallengerState;
use super::{Alert, Basis, DriftView, Interval, ModelInUse, ModelView, ReportView};
use crate::domain::check::CheckOutcome;
use crate::report::format::out_of_100;

/// The finding for outcomes of a term that are unlike those of earlier ones.
const UNUSUAL_LABELS: &str = "labels.share_unusual";

/// The finding for a version in use that does not meet the thresholds of its recipe.
const BELOW_THRESHOLDS: &str = "model.below_thresholds";

impl ReportView {
    pub(super) fn trust(&self) -> Answer {
        if self.models.is_empty() {
            return self.trust_without_model();
        }
        let is_any_used = self.models.iter().any(|model| model.champion.is_some());
        let mut sentences = if is_any_used { self.cautions() } else { Vec::new() };
        let is_unusual = !sentences.is_empty();
        let mut state = match (is_unusual, is_any_used && self.flagged.is_empty()) {
            (true, _) => State::Warning,
            (false, true) => State::Unmeasured,
            (false, false) => State::Ok,
        };
        for model in &self.models {
            let (of_model, sentence) = self.trust_in(model);
            state = state.max(of_model);
            sentences.push(if self.models.len() > 1 { format!("`{}`: {sentence}", model.name) } else { sentence });
        }
        if let Some(why) = &self.drift_unmeasured {
            state = state.max(State::Unmeasured);
            sentences
                .push(format!("Whether this term's students are like those of earlier terms was not measured: {why}."));
        }
        let lead = match state {
            State::Unmeasured if !is_any_used => "There are no scores to trust.",
            _ if is_any_used && self.flagged.is_empty() => {
                "There are no new scores to trust: no student was scored tonight."
            }
            State::Ok => "Yes.",
            State::Unmeasured => "As far as it was measured, yes.",
            State::Caution | State::Warning | State::Failed if is_unusual => {
                "With care: tonight's number of students who may need support can be too high or too low."
            }
            State::Caution | State::Warning | State::Failed => "With care: take the figures as a rough guide.",
        };
        Answer { state, sentence: format!("{lead} {}", sentences.join(" ")) }
    }

    fn trust_without_model(&self) -> Answer {
        let cautions = self.cautions();
        let (state, sentence) = match &self.quality {
            _ if !cautions.is_empty() => (State::Warning, format!("With care. {}", cautions.join(" "))),
            Some(quality) if quality.evaluated() > 0 => {
                (State::Ok, "Yes, as far as the checks of the data go: they found nothing.".to_owned())
            }
            _ => (State::Unmeasured, "That was not measured: there is no result of a check.".to_owned()),
        };
        Answer { state, sentence: format!("{sentence} No model is used.") }
    }

    fn trust_in(&self, model: &ModelInUse) -> (State, String) {
        let Some(champion) = &model.champion else {
            return (State::Unmeasured, format!("No model is in use yet{}.", why_none(model)));
        };
        let (ranked, of_version) = match champion.auc {
            Some(auc) => (self.ranked(auc, champion.rule_auc), caution(champion)),
            None => (String::new(), Some("How well the model ranks students is not known: its test could not tell.")),
        };
        let is_below = |alert: &Alert| alert.check == BELOW_THRESHOLDS && alert.subject == model.name;
        let below = self.alerts.iter().any(is_below).then_some("It does not meet the thresholds that are set for it.");
        let state = match of_version {
            _ if below.is_some() || model.needs_new_care() => State::Warning,
            Some(_) => State::Caution,
            None => return (State::Ok, ranked),
        };
        let past = (champion.auc.is_some() && champion.basis == Basis::Reconstructed)
            .then_some("It was tested on past records, so it may do less well in real use.");
        let said = [Some(ranked.as_str()).filter(|words| !words.is_empty()), of_version, past, below];
        (state, said.into_iter().flatten().collect::<Vec<_>>().join(" "))
    }

    /// How well a model ranks students, beside chance and the simple rule.
    fn ranked(&self, auc: Interval, rule: Option<f64>) -> String {
        // Of several models, what chance would give is not said again and again.
        let chance = (self.models.len() == 1).then(|| "by chance it would in 50".to_owned());
        let rule = rule.map(|rule| format!("a simple rule of thumb does in {}", out_of_100(rule)));
        let beside: Vec<String> = chance.into_iter().chain(rule).collect();
        let beside = if beside.is_empty() { String::new() } else { format!(" ({})", beside.join("; ")) };
        format!(
            "Of 100 pairs of students, one who later had difficulty and one who did not, the model gave the first the \
             higher risk in {}{beside}.",
            out_of_100(auc.value),
        )
    }

    /// The tables in which a rule found something, or the pull, each once.
    pub(super) fn troubled_tables(&self) -> Vec<&str> {
        let of_rules = self.wrong_by_rule().map(|problem| problem.subject.as_str());
        let others = self.found_beside_the_rules().map(|alert| alert.subject.as_str());
        let tables: BTreeSet<&str> = of_rules.chain(others).filter_map(|subject| subject.split('.').next()).collect();
        tables.into_iter().filter(|name| self.tables.iter().any(|table| table.name == *name)).collect()
    }

    /// Whether a rule found something, or the pull.
    fn is_data_troubled(&self) -> bool {
        self.wrong_by_rule().next().is_some() || self.found_beside_the_rules().next().is_some()
    }

    /// What rules found wrong in the data; that a table is old is another matter.
    pub(super) fn wrong_by_rule(&self) -> impl Iterator<Item = &CheckOutcome> {
        let problems = self.quality.iter().flat_map(|quality| &quality.problems);
        problems.filter(|problem| !problem.check.ends_with(".fresh"))
    }

    /// Why tonight's scores are to be read with care, whatever the version.
    fn cautions(&self) -> Vec<String> {
        let mut cautions = Vec::new();
        if self.drift.as_ref().is_some_and(DriftView::is_alarming) {
            cautions.push("This term's students behave unlike those the model learned from.".to_owned());
        }
        if self.is_data_troubled() {
            cautions.push(match self.troubled_tables().as_slice() {
                [] => "Something is wrong with the data.".to_owned(),
                tables => format!("Something is wrong with the data: {}.", listed(tables)),
            });
        }
        let old = self.tables.iter().filter(|table| table.is_stale || table.is_late).map(|table| table.name.as_str());
        let old: Vec<&str> = old.chain(self.unread.iter().map(String::as_str)).collect();
        if !old.is_empty() {
            cautions.push(format!("Part of the data is old: {}.", listed(&old)));
        }
        if self.alerts.iter().any(|alert| alert.check == UNUSUAL_LABELS) {
            cautions.push("The outcomes of the newest term are unlike those of earlier terms.".to_owned());
        }
        cautions
    }
}

/// Why the scores of a version are to be read with care on every night.
fn caution(model: &ModelView) -> Option<&'static str> {
    match model.gain_over_rule {
        _ if model.beats_rule() => None,
        Some(_) => Some("The model is not clearly better than that rule."),
        None => Some("Whether the model is better than a simple rule is not known."),
    }
}

/// Why a model has no version in use, as the end of a sentence.
fn why_none(model: &ModelInUse) -> String {
    match (&model.challenger, &model.untrained) {
        (Some(challenger), _) if challenger.state == ChallengerState::Waiting => {
            ": the first one waits for a person's approval".to_owned()
        }
        (Some(_), _) => ": the newest version was not good enough to be used".to_owned(),
        (None, Some(why)) => format!(": {why}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ToldVersion, Verdict};
    use super::*;
    use crate::domain::alert::Cause;
    use crate::domain::check::Severity;

    fn with(change: impl FnOnce(&mut ReportView)) -> Answer {
        let mut report = ReportView::sample(Verdict::Ok);
        change(&mut report);
        report.trust()
    }

    fn champion(report: &mut ReportView) -> &mut ModelView {
        report.models[0].champion.as_mut().unwrap()
    }

    #[test]
    fn what_was_not_measured_is_not_fine_and_is_named() {
        let answer = with(|report| {
            report.drift = None;
            report.drift_unmeasured = Some("nobody is enrolled".to_owned());
        });

        assert_eq!(answer.state, State::Unmeasured);
        assert!(answer.sentence.contains("was not measured: nobody is enrolled"), "{}", answer.sentence);
    }

    #[test]
    fn a_version_that_is_not_clearly_better_than_the_rule_is_a_look_when_it_comes_into_use_and_care_from_then_on() {
        let weak = |told: ToldVersion| {
            with(|report| {
                champion(report).gain_over_rule = Some(Interval { value: 0.02, low: -0.01, high: 0.05 });
                report.models[0].told = told;
            })
        };

        let (first, next) = (weak(ToldVersion::NoVersion), weak(ToldVersion::Version("51aa20c4".to_owned())));
        let known = weak(ToldVersion::Version("7c1f09ab".to_owned()));

        assert_eq!((first.state, next.state, known.state), (State::Warning, State::Warning, State::Caution));
        assert!(known.sentence.starts_with("With care:") && known.sentence.contains("not clearly better"));
        assert_eq!(known.sentence, first.sentence);
    }

    #[test]
    fn a_weak_version_in_place_of_one_that_was_told_to_be_weak_is_care_and_no_look() {
        let answer = with(|report| {
            champion(report).gain_over_rule = Some(Interval { value: 0.02, low: -0.01, high: 0.05 });
            report.models[0].told = ToldVersion::Version("51aa20c4".to_owned());
            report.models[0].told_with_care = true;
        });

        assert_eq!(answer.state, State::Caution);
        assert!(answer.sentence.contains("not clearly better"), "{}", answer.sentence);
    }

    #[test]
    fn what_is_wrong_tonight_is_said_to_change_tonights_number_whether_or_not_the_model_is_known_to_rank_well() {
        let old = |change: fn(&mut ReportView)| {
            with(|report| {
                report.tables[0].is_stale = true;
                change(report);
            })
        };

        let known = old(|_| {});
        let unknown = old(|report| {
            champion(report).auc = None;
            champion(report).gain_over_rule = None;
        });

        for answer in [known, unknown] {
            assert_eq!(answer.state, State::Warning);
            assert!(answer.sentence.contains("Part of the data is old"), "{}", answer.sentence);
            assert!(answer.sentence.starts_with("With care: tonight's number of students"), "{}", answer.sentence);
        }
    }

    #[test]
    fn on_a_night_without_scores_nothing_is_said_to_be_fit_to_be_trusted() {
        let answer = with(|report| report.flagged.clear());

        assert_eq!(answer.state, State::Unmeasured);
        assert!(answer.sentence.starts_with("There are no new scores to trust: no student was scored tonight. Of 100"));
    }

    #[test]
    fn what_is_old_tonight_is_a_look_whatever_people_were_told() {
        let answer = with(|report| report.tables[0].is_stale = true);

        assert_eq!(answer.state, State::Warning);
    }

    #[test]
    fn outcomes_unlike_those_of_earlier_terms_and_what_a_stopped_check_found_are_to_be_known() {
        let alert = |check: &str, cause| {
            let mut alert = ReportView::sample(Verdict::Warning).alerts.remove(0);
            (alert.check, alert.severity) = (check.to_owned(), Severity::Warning);
            alert.memory = Some(super::super::AlertMemory {
                id: "0a1b2c3d".to_owned(),
                cause,
                event: crate::domain::alert::AlertEvent::Opened,
                since: jiff::civil::date(2026, 11, 20),
                nights: 1,
                acknowledged_by: None,
                silenced_until: None,
                follows_from: None,
            });
            alert
        };

        let unusual = with(|report| report.alerts = vec![alert(UNUSUAL_LABELS, Cause::Feature)]);
        let stopped = with(|report| {
            report.models.clear();
            report.quality = None;
            report.alerts = vec![alert("scores.in_range", Cause::Quality)];
        });

        assert_eq!((unusual.state, stopped.state), (State::Warning, State::Warning));
        assert!(unusual.sentence.contains("unlike those of earlier terms"), "{}", unusual.sentence);
        assert!(stopped.sentence.contains("Something is wrong with the data"), "{}", stopped.sentence);
    }

    #[test]
    fn a_model_whose_test_could_not_tell_has_no_figure() {
        let answer = with(|report| champion(report).auc = None);

        assert_eq!(answer.state, State::Caution);
        assert!(answer.sentence.contains("is not known") && !answer.sentence.contains("50"), "{}", answer.sentence);
    }

    #[test]
    fn without_a_model_in_use_the_reason_is_said() {
        let refused = with(|report| {
            report.models[0].champion = None;
            report.models[0].challenger.as_mut().unwrap().state = ChallengerState::Refused;
        });
        let young = with(|report| {
            report.models[0] = ModelInUse {
                name: "at_risk".to_owned(),
                champion: None,
                challenger: None,
                untrained: Some("no course has ended yet whose results are known".to_owned()),
                told: ToldVersion::Nothing,
                told_with_care: false,
            };
        });

        assert!(refused.sentence.contains("the newest version was not good enough to be used"), "{}", refused.sentence);
        assert_eq!(
            young.sentence,
            "There are no scores to trust. No model is in use yet: no course has ended yet whose results are known."
        );
        assert_eq!((refused.state, young.state), (State::Unmeasured, State::Unmeasured));
    }

    #[test]
    fn without_a_model_and_without_a_check_nothing_is_said_to_be_fine() {
        let answer = with(|report| {
            report.models.clear();
            report.quality = None;
        });

        assert_eq!(answer.state, State::Unmeasured);
    }

    #[test]
    fn of_several_models_each_is_named() {
        let answer = with(|report| {
            let mut other = report.models[0].clone();
            other.name = "dropout".to_owned();
            other.champion.as_mut().unwrap().gain_over_rule = None;
            report.models.push(other);
        });

        assert!(answer.sentence.contains("`at_risk`: Of 100") && answer.sentence.contains("`dropout`: Of 100"));
        assert_eq!(answer.state, State::Caution);
    }
}
