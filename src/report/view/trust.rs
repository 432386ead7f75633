//! The third answer: can I trust it? What is said of the models in use, and what was not measured.
//!
//! Pure, as the other answers. A model is spoken of by the figures of the version that makes the scores; one that is
//! not clearly better than a simple rule, or whose input is old or unlike what it learned from, is to be read with care.
//! That is a LOOK on the night on which it is new: when the version comes into use, or the input is so. What a version is
//! from then on stays in the sentence. What was not measured is named, and is never "fine".

use super::answers::{Answer, State};
use super::model::ChallengerState;
use super::{Basis, DriftView, ModelInUse, ModelView, ReportView};
use crate::report::format::out_of_100;

impl ReportView {
    pub(super) fn trust(&self) -> Answer {
        if self.models.is_empty() {
            return self.trust_without_model();
        }
        let mut state = State::Ok;
        let mut sentences = Vec::new();
        for model in &self.models {
            let (of_model, sentence) = self.trust_in(model);
            state = state.max(of_model);
            sentences.push(if self.models.len() > 1 { format!("`{}`: {sentence}", model.name) } else { sentence });
        }
        if let Some(why) = &self.drift_unmeasured {
            state = state.max(State::Unmeasured);
            sentences
                .push(format!("Whether this term's students are like those it learned from was not measured: {why}."));
        }
        let lead = match state {
            State::Ok => "Yes.",
            State::Unmeasured if self.models.iter().all(|model| model.champion.is_none()) => {
                "There are no scores to trust."
            }
            State::Unmeasured => "As far as it was measured, yes.",
            State::Caution | State::Warning | State::Failed => "With care.",
        };
        Answer { state, sentence: format!("{lead} {}", sentences.join(" ")) }
    }

    fn trust_without_model(&self) -> Answer {
        let (state, sentence) = match &self.quality {
            Some(quality) if quality.troubled() > 0 || self.found_by_the_pull() > 0 => {
                (State::Warning, "With care: problems were found in the data. No model is used.")
            }
            Some(quality) if quality.evaluated() > 0 => {
                (State::Ok, "Yes, as far as the checks of the data go: they found nothing. No model is used.")
            }
            _ => (State::Unmeasured, "That was not measured: there is no result of a check, and no model is used."),
        };
        Answer { state, sentence: sentence.to_owned() }
    }

    fn trust_in(&self, model: &ModelInUse) -> (State, String) {
        let Some(champion) = &model.champion else {
            return (State::Unmeasured, format!("No model is in use yet{}.", why_none(model)));
        };
        let Some(auc) = champion.auc else {
            return (
                if model.is_new() { State::Warning } else { State::Caution },
                "How well the model ranks students is not known: its test could not tell.".to_owned(),
            );
        };
        let rule = champion.rule_auc.map_or_else(String::new, |rule| format!(" (a simple rule: {})", out_of_100(rule)));
        let ranked = format!(
            "Given one student who later had difficulty and one who did not, the model rated the first the higher risk {} \
             times in 100{rule}.",
            out_of_100(auc.value),
        );
        let (of_tonight, of_version) = (self.cautions(), caution(champion));
        let state = match of_version {
            _ if !of_tonight.is_empty() => State::Warning,
            Some(_) if model.is_new() => State::Warning,
            Some(_) => State::Caution,
            None => return (State::Ok, ranked),
        };
        let past = (champion.basis == Basis::Reconstructed)
            .then_some("It was tested on history that was loaded later: what was known at the time is reconstructed.");
        let said: Vec<&str> = of_version.into_iter().chain(of_tonight).chain(past).collect();
        (state, format!("{ranked} {}", said.join(" ")))
    }

    /// Why tonight's scores are to be read with care, whatever the version.
    fn cautions(&self) -> Vec<&'static str> {
        let mut cautions = Vec::new();
        if self.drift.as_ref().is_some_and(DriftView::is_alarming) {
            cautions.push("This term's students behave unlike those it learned from.");
        }
        if self.quality.as_ref().is_some_and(|quality| quality.troubled() > 0) || self.found_by_the_pull() > 0 {
            cautions.push("Problems were found in the data it sees tonight.");
        }
        if self.tables.iter().any(|table| table.is_stale || table.is_late) {
            cautions.push("Part of what it sees is old.");
        }
        cautions
    }
}

/// Why the scores of a version are to be read with care on every night.
fn caution(model: &ModelView) -> Option<&'static str> {
    match model.gain_over_rule {
        _ if model.beats_rule() => None,
        Some(_) => Some("It is not clearly better than the rule."),
        None => Some("Whether it is better than the rule is not known."),
    }
}

/// Why a model has no version in use, as the end of a sentence.
fn why_none(model: &ModelInUse) -> String {
    match (&model.challenger, &model.untrained) {
        (Some(challenger), _) if challenger.state == ChallengerState::Waiting => {
            ": the first one waits for a person's approval".to_owned()
        }
        (Some(challenger), _) => format!(": the newest version was refused ({})", challenger.why),
        (None, Some(why)) => format!(": {why}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Interval, ToldVersion, Verdict};
    use super::*;

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
            report.drift_unmeasured = Some("nobody is enrolled (between terms)".to_owned());
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
        assert!(known.sentence.starts_with("With care.") && known.sentence.contains("not clearly better"));
        assert_eq!(known.sentence, first.sentence);
    }

    #[test]
    fn what_is_old_tonight_is_a_look_whatever_people_were_told() {
        let answer = with(|report| report.tables[0].is_stale = true);

        assert_eq!(answer.state, State::Warning);
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
            };
        });

        assert!(refused.sentence.contains("the newest version was refused"), "{}", refused.sentence);
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

        assert!(answer.sentence.contains("`at_risk`: Given one") && answer.sentence.contains("`dropout`: Given one"));
        assert_eq!(answer.state, State::Caution);
    }
}
