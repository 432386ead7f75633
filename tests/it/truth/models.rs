//! What the e-mail says of models: always of the version that is in use, and of a newer one in one line.

use super::words;
use crate::support::site::{Site, text};

/// Small, and old enough for a model.
const TAUGHT: &str = "
[simulation]
students = 150
first_year = 2026
[features]
weeks = [4, 8]
[paths]
models = 'recipes'
";

/// A simulated institution whose recipe the test writes.
struct Trained(Site);

impl Trained {
    /// The shipped recipe, with these replacements; any model of it is good enough unless they say otherwise.
    fn recipe(&self, replaced: &[(&str, &str)]) {
        let lenient = [
            ("min_auc = 0.6 ", "min_auc = 0.5 "),
            ("beat_rule = true", "beat_rule = false"),
            ("trees = 80", "trees = 10"),
        ];
        let mut recipe = include_str!("../../../config/models/at_risk.toml").to_owned();
        for (from, to) in lenient.iter().chain(replaced) {
            assert!(recipe.contains(from), "{from}");
            recipe = recipe.replace(from, to);
        }
        self.0.write("recipes/at_risk.toml", recipe);
    }

    fn new() -> Self {
        Self(Site::new(TAUGHT))
    }

    fn night(&self, date: &str) -> (Option<i32>, String) {
        let run = self.0.nocturne(&["run", "nightly", "--date", date]);
        let page = std::fs::read_to_string(self.0.path().join("var/outbox/nightly-digest.html"));
        let page = page.unwrap_or_else(|error| panic!("{error}: {}", text(&run)));
        (run.status.code(), words(&page))
    }
}

const IN_USE: &str = "The version in use was trained for the night of Friday 20 November 2026";

#[test]
fn a_refused_challenger_is_one_line_and_the_champion_is_the_model() {
    let site = Trained::new();
    site.recipe(&[]);
    let (_, first) = site.night("2026-11-20");
    assert!(first.contains(IN_USE) && !first.contains("A newer version"), "{first}");
    let figures = |mail: &str| {
        let from = mail.find("The model in use").unwrap();
        mail[from..from + 60].to_owned()
    };

    site.recipe(&[("min_auc = 0.5 ", "min_auc = 0.999 "), ("seed = 20261120", "seed = 7")]);
    let (code, second) = site.night("2026-11-21");
    let (_, third) = site.night("2026-11-22");

    assert_eq!(code, Some(9), "{second}");
    assert!(
        second.contains(IN_USE) && second.contains("trained for Saturday 21 November 2026) was refused"),
        "{second}"
    );
    assert!(second.contains("was not promoted: its AUC of"), "{second}");
    assert_eq!(figures(&second), figures(&first), "the figures are the champion's");
    assert!(third.contains(IN_USE) && third.contains("was refused"), "{third}");
    assert!(!third.contains("was not promoted"), "what happened once is told once: {third}");
}

#[test]
fn a_model_that_is_not_clearly_better_than_the_rule_is_a_look_on_its_first_night_and_care_from_then_on() {
    let site = Trained::new();
    site.recipe(&[("max_rows = 6000 ", "max_rows = 100 "), ("depth = 9", "depth = 1")]);

    let (first_code, first) = site.night("2026-11-20");
    let (second_code, second) = site.night("2026-11-21");

    let weak = "The model is not clearly better than that rule.";
    assert!(first.contains(weak) && second.contains(weak), "{first}\n{second}");
    assert_eq!(first_code, Some(9), "{first}");
    assert!(first.contains("! Look Can I trust it?"), "{first}");
    assert_eq!(second_code, Some(0), "{second}");
    assert!(second.contains("All is well") && second.contains("With care Can I trust it? With care:"), "{second}");
}

#[test]
fn another_version_in_use_is_what_changed_since_the_last_e_mail() {
    let site = Trained::new();
    site.recipe(&[]);
    let (_, first) = site.night("2026-11-20");
    site.recipe(&[("seed = 20261120", "seed = 7"), ("max_auc_loss = 0.005", "max_auc_loss = 0.5")]);

    let (_, second) = site.night("2026-11-21");
    let (_, third) = site.night("2026-11-22");

    assert!(!first.contains("is in use, in place of"), "{first}");
    assert!(second.contains("at_risk: version ") && second.contains(" is in use, in place of "), "{second}");
    assert!(!third.contains("is in use, in place of"), "{third}");
}

#[test]
fn how_many_may_need_support_over_the_term_is_published_and_mailed_from_the_second_night_on_and_rounded() {
    let site = Trained::new();
    site.recipe(&[]);
    let told = |date: &str| {
        let file = format!("var/lake/published/reports/nightly/{date}/index.html");
        let pages = ["var/outbox/nightly-digest.html", &file];
        pages.map(|page| std::fs::read_to_string(site.0.path().join(page)).unwrap())
    };
    site.night("2026-11-20");
    let first = told("2026-11-20");

    site.night("2026-11-21");

    let chart = "Students who may need support, rounded to 5. ";
    for (first, second) in first.iter().zip(told("2026-11-21")) {
        assert!(!first.contains(chart), "a first night has no line to draw");
        let alt = second.split_once(chart).unwrap_or_else(|| panic!("no chart: {}", words(&second))).1;
        let alt = alt.split_once('"').unwrap().0;
        assert!(
            alt.contains(" on Friday 20 November 2026, ") && alt.contains(" on Saturday 21 November 2026."),
            "{alt}"
        );
        let count = |before: &str| -> u64 {
            let words = alt.split_once(&format!(" on {before}")).unwrap().0;
            words.rsplit(' ').next().unwrap().parse().unwrap()
        };
        for n in [count("Friday"), count("Saturday")] {
            assert!(n >= 10 && n % 5 == 0, "{alt}");
        }
    }
}

#[test]
fn a_champion_that_no_longer_meets_its_thresholds_stays_in_use_and_says_so() {
    let site = Trained::new();
    site.recipe(&[]);
    site.night("2026-11-20");

    site.recipe(&[("min_auc = 0.5 ", "min_auc = 0.999 ")]);
    let (code, mail) = site.night("2026-11-21");

    assert_eq!(code, Some(9), "{mail}");
    assert!(
        mail.contains("The version in use was trained for the night of") && !mail.contains("A newer version"),
        "{mail}"
    );
    assert!(mail.contains("the version of at_risk that is in use does not meet the thresholds"), "{mail}");
}

#[test]
fn a_version_that_waits_for_approval_is_not_in_use() {
    let site = Trained::new();
    site.recipe(&[("approval = \"automatic\"", "approval = \"person\"")]);

    let (code, mail) = site.night("2026-11-20");

    assert_eq!(code, Some(9), "{mail}");
    assert!(mail.contains("No model is in use yet: the first one waits for a person's approval."), "{mail}");
    assert!(!mail.contains("gave the first the higher risk"), "there are no figures of a model in use: {mail}");
}

#[test]
fn of_two_models_the_counts_of_both_are_told_and_the_figures_of_both_published() {
    let site = Trained(Site::new(&format!("{TAUGHT}jobs = 'dags'\n")));
    site.recipe(&[]);
    let recipe = std::fs::read_to_string(site.0.path().join("recipes/at_risk.toml")).unwrap();
    site.0.write("recipes/other.toml", recipe.replace("seed = 20261120", "seed = 7"));
    let dag = include_str!("../../../jobs/nightly.toml");
    let (before, rest) = dag.split_once("[jobs.train]").unwrap();
    let (jobs, digest) = rest.split_once("[jobs.digest]").unwrap();
    let jobs = format!("[jobs.train]{jobs}");
    let mut others = jobs.replace("\"at_risk\"", "\"other\"");
    for job in ["train", "score", "drift"] {
        others = others.replace(&format!("[jobs.{job}]"), &format!("[jobs.{job}_other]"));
        others = others.replace(&format!("[\"{job}\"]"), &format!("[\"{job}_other\"]"));
    }
    let digest = digest.replacen("\"drift\"]", "\"drift\", \"drift_other\"]", 1);
    site.0.write("dags/nightly.toml", format!("{before}{jobs}{others}[jobs.digest]{digest}"));

    let (_, mail) = site.night("2026-11-20");

    assert!(mail.contains(", by at_risk") && mail.contains(", by other"), "{mail}");
    assert!(mail.contains("Drift was measured by 2 jobs; shown is the one that found the most."), "{mail}");
    let report = site.0.path().join("var/lake/published/reports/nightly/2026-11-20");
    for file in ["drift", "evaluation"].map(|name| [format!("{name}.at_risk.json"), format!("{name}.other.json")]) {
        assert!(file.iter().all(|file| report.join(file).exists()), "{file:?}: {mail}");
    }
}

#[test]
fn before_any_course_has_ended_there_is_no_model_and_the_night_is_well() {
    let site = Trained::new();
    site.recipe(&[]);

    let (code, mail) = site.night("2026-02-20");

    assert_eq!(code, Some(0), "{mail}");
    assert!(mail.contains("There are no scores to trust. No model is in use yet: no course has ended yet"), "{mail}");
    assert!(mail.contains("was not measured: no earlier term to compare with"), "{mail}");
}
