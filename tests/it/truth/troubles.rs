//! Twelve troubles of the simulated institution, and the night on which each can first be seen.
//!
//! Each trouble is a knob of the simulation (`simulation.troubles`). The night is stated in the table, with its reason,
//! before anything is run: on the night before there must be no alert of it, and on that night one by the right check, on
//! the right subject, with the right cause, and none further upstream. The nights before a trouble are clean, and are
//! carried out once: each trouble goes on from a copy of that site, which no process has open.

use std::process::Command;

use jiff::civil::Date;
use serde_json::Value;

use super::NIGHT;
use crate::support::site::{Site, text};

/// A trouble, and how it is seen.
struct Trouble {
    /// Its kind, as the configuration names it.
    kind: &'static str,
    /// The first delivery that has it.
    from: &'static str,
    /// The first night on which it can be seen.
    seen: &'static str,
    /// Why not earlier.
    reason: &'static str,
    check: &'static str,
    subject: &'static str,
    cause: &'static str,
}

/// Troubles that show in the tables.
static IN_TABLES: [Trouble; 10] = [
    Trouble {
        kind: "volume_drop",
        from: "2026-10-06",
        seen: "2026-10-06",
        reason: "the table is less than half of what it was on the night before",
        check: "submissions.rows_steady",
        subject: "submissions",
        cause: "quality",
    },
    Trouble {
        kind: "doubled_delivery",
        from: "2026-10-06",
        seen: "2026-10-06",
        reason: "duplicates are counted as they are delivered",
        check: "enrollments.unique",
        subject: "enrollments.id",
        cause: "quality",
    },
    Trouble {
        kind: "null_burst",
        from: "2026-10-06",
        seen: "2026-10-06",
        reason: "graded work has a score, on every night",
        check: "submissions.graded_without_score",
        subject: "submissions",
        cause: "quality",
    },
    Trouble {
        kind: "unit_change",
        from: "2026-10-06",
        seen: "2026-10-06",
        reason: "scores are percentages, on every night",
        check: "scores.score_is_percent",
        subject: "scores",
        cause: "quality",
    },
    Trouble {
        kind: "late_source",
        from: "2026-10-06",
        seen: "2026-10-08",
        reason: "a daily delivery may be two days late (`quality.fresh_days`)",
        check: "table.fresh",
        subject: "deliveries",
        cause: "source",
    },
    Trouble {
        kind: "schema_change",
        from: "2026-10-06",
        seen: "2026-10-06",
        reason: "a column that no contract names is found when it is read",
        check: "schema.unknown_column",
        subject: "web_logs_daily.unique_resources",
        cause: "schema",
    },
    Trouble {
        kind: "key_duplicates",
        from: "2026-10-06",
        seen: "2026-10-06",
        reason: "duplicates are counted as they are delivered",
        check: "submissions.unique",
        subject: "submissions.id",
        cause: "quality",
    },
    Trouble {
        kind: "orphan_rows",
        from: "2026-10-06",
        seen: "2026-10-07",
        reason: "a parent may be a night late",
        check: "submissions.assignment_id_refers",
        subject: "submissions.assignment_id",
        cause: "quality",
    },
    Trouble {
        kind: "shifted_times",
        from: "2026-10-06",
        seen: "2026-10-06",
        reason: "what was handed in last is later than the delivery that tells of it",
        check: "submissions.later_than_its_delivery",
        subject: "submissions",
        cause: "quality",
    },
    Trouble {
        kind: "changed_grading_scale",
        from: "2026-10-06",
        seen: "2026-10-06",
        reason: "each night's new scores are compared with the points of their assignments",
        check: "submissions.new_scores_on_their_scale",
        subject: "submissions",
        cause: "quality",
    },
];

/// Troubles that show where the outcomes of a term become known: seven days after its end on 2026-09-06.
const IN_OUTCOMES: [Trouble; 2] = [
    Trouble {
        kind: "broken_label",
        from: "2026-09-07",
        seen: "2026-09-14",
        reason: "the labels of the term become known to this night, and not earlier",
        check: "labels.share_unusual",
        subject: "at_risk",
        cause: "feature",
    },
    Trouble {
        kind: "stale_model",
        from: "2026-08-20",
        seen: "2026-09-17",
        reason: "the term's labels have then been known for the three days that the recipe allows",
        check: "model.stale",
        subject: "at_risk",
        cause: "model",
    },
];

/// A simulated institution whose nights are the DAG `night`.
struct Simulated {
    site: Site,
    configuration: String,
}

impl Simulated {
    fn new(configuration: &str, dag: &str) -> Self {
        let configuration = format!("{configuration}[paths]\njobs = 'dags'\nmodels = 'recipes'\n");
        let site = Site::new(&configuration);
        site.write("dags/night.toml", dag);
        let shipped = include_str!("../../../config/models/at_risk.toml");
        let mut recipe = shipped.to_owned();
        for (from, to) in [
            ("min_auc = 0.6 ", "min_auc = 0.5 "),
            ("beat_rule = true", "beat_rule = false"),
            ("trees = 80", "trees = 10"),
            ("max_age_days = 120", "max_age_days = 3"),
        ] {
            assert!(recipe.contains(from), "{from}");
            recipe = recipe.replace(from, to);
        }
        site.write("recipes/at_risk.toml", recipe);
        Self { site, configuration }
    }

    /// Another site that goes on from here, with a trouble.
    fn with(&self, trouble: &Trouble) -> Self {
        let site = Site::new(&self.configuration);
        for folder in ["dags", "recipes", "var"] {
            let (from, to) = (self.site.path().join(folder), site.path());
            assert!(Command::new("cp").arg("-R").arg(from).arg(to).status().unwrap().success());
        }
        let stated = format!(
            "{}[[simulation.troubles]]\nkind = '{}'\nfrom = '{}'\n",
            self.configuration, trouble.kind, trouble.from
        );
        site.write("site.toml", stated);
        Self { site, configuration: self.configuration.clone() }
    }

    /// Carries out a night; returns its exit code and what it printed.
    fn night(&self, date: Date) -> (Option<i32>, String) {
        let run = self.site.nocturne(&["run", "night", "--date", &date.to_string()]);
        (run.status.code(), text(&run))
    }

    /// The alerts that stand: check, subject, cause.
    fn alerts(&self) -> Vec<[String; 3]> {
        let listed = self.site.nocturne(&["alerts", "list", "--json"]);
        let listed: Vec<Value> =
            serde_json::from_slice(&listed.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&listed)));
        let word = |alert: &Value, key: &str| alert["state"][key].as_str().unwrap().to_owned();
        listed.iter().map(|alert| ["check", "subject", "cause"].map(|key| word(alert, key))).collect()
    }
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

/// The causes, the furthest upstream first.
const CAUSES: [&str; 6] = ["night", "source", "schema", "quality", "feature", "model"];

/// Goes through a trouble's nights, and returns what was not as stated. `nights` are those before the one on which it is
/// seen; without any, that is the first night after the clean ones.
fn wrong(clean: &Simulated, trouble: &Trouble, nights: &[&str]) -> Vec<String> {
    let site = clean.with(trouble);
    let is_it = |alert: &[String; 3]| alert[..] == [trouble.check, trouble.subject, trouble.cause];
    let mut wrong = Vec::new();
    for night in nights {
        site.night(date(night));
        let alerts = site.alerts();
        if alerts.iter().any(is_it) {
            wrong.push(format!("{}: seen on {night} already, against “{}”", trouble.kind, trouble.reason));
        }
    }
    let (code, printed) = site.night(date(trouble.seen));
    let alerts = site.alerts();
    let rank = |cause: &str| CAUSES.iter().position(|known| *known == cause).unwrap();
    if !alerts.iter().any(is_it) {
        wrong.push(format!("{}: not seen on {}: {alerts:?}\n{printed}", trouble.kind, trouble.seen));
    }
    if let Some(other) = alerts.iter().find(|alert| rank(&alert[2]) < rank(trouble.cause)) {
        wrong.push(format!("{}: another cause is named further upstream: {other:?}\n{printed}", trouble.kind));
    }
    if code != Some(9) {
        wrong.push(format!("{}: the night ended with {code:?}\n{printed}", trouble.kind));
    }
    wrong
}

#[test]
fn troubles_in_tables_are_seen_on_the_night_stated_and_by_their_cause() {
    let clean = Simulated::new("[simulation]\nseed = 4\nstudents = 150\nfirst_year = 2026\n", NIGHT);
    clean.night(date("2026-10-04"));
    let (code, printed) = clean.night(date("2026-10-05"));
    assert_eq!((code, clean.alerts()), (Some(0), Vec::new()), "{printed}");

    // The nights between the clean ones and the one on which a trouble is seen.
    let nights_before = |trouble: &Trouble| -> Vec<&str> {
        ["2026-10-06", "2026-10-07"].into_iter().filter(|night| *night < trouble.seen).collect()
    };
    let (first, second) = IN_TABLES.split_at(IN_TABLES.len() / 2);
    let through = |troubles: &[Trouble]| -> Vec<String> {
        troubles.iter().flat_map(|trouble| wrong(&clean, trouble, &nights_before(trouble))).collect()
    };
    let found = std::thread::scope(|scope| {
        let half = scope.spawn(|| through(first));
        let other = through(second);
        [half.join().unwrap(), other].concat()
    });

    assert_eq!(found, Vec::<String>::new(), "{}", found.join("\n"));
}

#[test]
fn troubles_in_outcomes_are_seen_on_the_night_stated_and_by_their_cause() {
    let simulation = "[simulation]\nseed = 4\nstudents = 150\nfirst_year = 2025\n[features]\nweeks = [4, 8]\n";
    let clean =
        Simulated::new(simulation, &include_str!("../../../jobs/nightly.toml").replace("\"nightly\"", "\"night\""));
    let (code, printed) = clean.night(date("2026-08-19"));
    assert_eq!((code, clean.alerts()), (Some(0), Vec::new()), "{printed}");

    let [label, model] = IN_OUTCOMES;
    let found = std::thread::scope(|scope| {
        let labels = scope.spawn(|| wrong(&clean, &label, &["2026-09-13"]));
        // The night of 14 September tries to learn from the term, and is refused.
        let models = wrong(&clean, &model, &["2026-09-14", "2026-09-16"]);
        [labels.join().unwrap(), models].concat()
    });

    assert_eq!(found, Vec::<String>::new(), "{}", found.join("\n"));
}

#[test]
fn all_mistakes_in_troubles_are_told_at_once_with_what_is_allowed() {
    let site = Site::new(
        "[[simulation.troubles]]\nkind = 'null_burst'\nfrom = '2026-10-05'\ntable = 'courses'\nsize = 3.0\n\
         [[simulation.troubles]]\nkind = 'late_source'\nfrom = '2026-10-05'\nuntil = '2026-10-01'\n",
    );

    let checked = site.nocturne(&["config", "check"]);

    let told = text(&checked);
    assert_eq!(checked.status.code(), Some(3), "{told}");
    for said in ["troubles.0.table", "allowed: enrollments, submissions", "troubles.0.size", "troubles.1.until"] {
        assert!(told.contains(said), "{said} is not in {told}");
    }
}
