//! Nights of several sources, and nights on which nobody is enrolled.

use super::Institution;
use crate::support::site::Site;

const TWO_PULLS: &str = "
name = 'night'
timezone = 'America/Detroit'
[defaults]
retry = { attempts = 1 }
[jobs.canvas]
kind = 'canvas_pull'
with = { source = 'canvas' }
[jobs.registrar]
kind = 'canvas_pull'
needs = ['canvas']
with = { source = 'registrar', tables = ['demographics'] }
[jobs.quality]
kind = 'quality_check'
needs = ['canvas', 'registrar']
[jobs.digest]
kind = 'send_report'
needs = ['quality']
when = 'all_done'
with = { report = 'digest' }
";

const TWO_SOURCES: &str = "
[simulation]
students = 40
first_year = 2026
[sources.canvas]
kind = 'files'
path = 'exports'
anonymous = true
extra = ['web_logs_daily']
[sources.registrar]
kind = 'files'
path = 'registrar'
anonymous = true
extra = ['demographics']
[paths]
jobs = 'dags'
";

/// Two sources: Canvas, and a registrar who delivers `demographics`.
fn two_sources() -> Institution {
    let site = Site::new(TWO_SOURCES);
    site.write("dags/night.toml", TWO_PULLS);
    Institution(site)
}

/// Delivers an export of Canvas, and, if the registrar delivers as well, the registrar's.
fn deliver(institution: &Institution, date: &str, registrar_too: bool) {
    institution.deliver(date);
    let folder = institution.0.path();
    let file = folder.join(format!("exports/{date}/demographics.csv.gz"));
    if registrar_too {
        institution.0.write(&format!("registrar/{date}/demographics.csv.gz"), std::fs::read(&file).unwrap());
        institution.0.write(&format!("registrar/{date}/manifest.json"), format!("{{\"at\": \"{date}T05:00:00Z\"}}"));
    }
    std::fs::remove_file(&file).unwrap();
    institution.0.write(&format!("exports/{date}/manifest.json"), format!("{{\"at\": \"{date}T05:00:00Z\"}}"));
}

#[test]
fn of_two_sources_both_are_told_and_the_one_that_is_late_is_named() {
    let institution = two_sources();
    deliver(&institution, "2026-11-20", true);
    let (code, first) = institution.night("2026-11-20");
    assert_eq!(code, Some(0), "{first}");
    assert!(first.contains("All 13 tables are complete through the end of Thursday 19 November 2026"), "{first}");

    deliver(&institution, "2026-11-24", false);
    let (code, second) = institution.night("2026-11-24");

    assert_eq!(code, Some(9), "{second}");
    assert!(second.contains("1 of 13 tables is older than expected: demographics ends with"), "{second}");
    assert!(second.contains("All 3 jobs finished, but 1 of "), "{second}");
}

#[test]
fn the_failure_of_one_source_is_told_and_the_other_ones_tables_are_new() {
    let institution = two_sources();
    deliver(&institution, "2026-11-20", true);
    institution.night("2026-11-20");
    deliver(&institution, "2026-11-21", false);
    std::fs::remove_dir_all(institution.0.path().join("registrar")).unwrap();
    // Side by side, the registrar's fails long before the other is done.
    institution.0.write("dags/night.toml", TWO_PULLS.replacen("needs = ['canvas']\n", "", 1));

    let (code, mail) = institution.night("2026-11-21");

    assert_eq!(code, Some(1), "{mail}");
    assert!(mail.contains("Part of the night failed"), "{mail}");
    assert!(mail.contains("1 of 3 jobs failed: registrar"), "{mail}");
    let said = "Not all of it. 1 table may be as before, because a pull did not succeed (demographics). The other 12 are complete through";
    assert!(mail.contains(said), "{mail}");
    assert!(mail.contains("Not begun because of that: quality"), "{mail}");
    assert!(!mail.contains("No table was read") && !mail.contains("still running"), "it waited for both: {mail}");
}

/// An institution whose whole night runs on deliveries: one night with students, and the next one without.
fn nobody_enrolled(courses: Option<fn(&str) -> String>) -> (Option<i32>, String) {
    let site = Site::new(
        "[simulation]\nstudents = 150\nfirst_year = 2026\n[features]\nweeks = [4, 8]\n\
         [sources.canvas]\nkind = 'files'\npath = 'exports'\nanonymous = true\n[paths]\njobs = 'dags'\nmodels = 'recipes'\n",
    );
    site.write("dags/night.toml", include_str!("../../../jobs/nightly.toml").replace("\"nightly\"", "\"night\""));
    let recipe = include_str!("../../../config/models/at_risk.toml");
    site.write(
        "recipes/at_risk.toml",
        recipe.replace("min_auc = 0.6 ", "min_auc = 0.5 ").replace("beat_rule = true", "beat_rule = false"),
    );
    let institution = Institution(site);
    institution.deliver("2026-11-20");
    institution.night("2026-11-20");
    institution.deliver("2026-11-21");
    let left = |_, line: &str| line.replace("\"workflow_state\":\"active\"", "\"workflow_state\":\"deleted\"");
    institution.change("2026-11-21", "enrollments/part-00000.jsonl.gz", left);
    if let Some(courses) = courses {
        institution.change("2026-11-21", "courses/part-00000.jsonl.gz", |_, line| courses(line));
    }

    let (code, mail) = institution.night("2026-11-21");

    assert!(mail.contains("score: nobody is enrolled"), "{mail}");
    assert!(mail.contains("was not measured: nobody is enrolled"), "{mail}");
    assert!(!mail.contains("How many students may need support"), "{mail}");
    (code, mail)
}

#[test]
fn between_terms_scores_and_drift_are_skipped_with_that_reason_and_the_night_is_well() {
    let over = |line: &str| line.replace("\"workflow_state\":\"available\"", "\"workflow_state\":\"completed\"");

    let (code, mail) = nobody_enrolled(Some(over));

    assert_eq!(code, Some(0), "{mail}");
    assert!(mail.contains("no student was scored tonight"), "{mail}");
}

#[test]
fn when_every_enrolment_of_courses_in_progress_is_gone_somebody_is_to_look() {
    let (code, mail) = nobody_enrolled(None);

    assert_eq!(code, Some(9), "{mail}");
    assert!(mail.contains("students_in_current_courses"), "{mail}");
    assert!(mail.contains("Compare the export of enrolments with Canvas"), "{mail}");
}
