//! Nights of the quality rules: each form and shorthand passes, warns, fails, cannot be evaluated and looks at nothing.

use super::Institution;
use crate::support::site::text;

/// A rule file of `submissions` with one rule.
fn rule(institution: &Institution, rule: &str) {
    rule_of(institution, "submissions", rule);
}

fn rule_of(institution: &Institution, table: &str, rule: &str) {
    let file = format!("table = '{table}'\n[rules.it]\nwhy = 'it matters'\n{rule}\n");
    institution.0.write(&format!("rules/{table}.toml"), file);
}

/// An institution with one delivery, whose rules are in `rules/`.
fn institution() -> Institution {
    let institution = Institution::new("quality = 'rules'\n");
    institution.deliver("2026-11-20");
    institution.night("2026-11-20");
    institution
}

/// How the rule `<table>.it` ends on what stands, as `quality run` says, and what it observed.
fn ends(institution: &Institution, table: &str) -> (String, String) {
    let run = institution.0.nocturne(&["quality", "run", "--date", "2026-11-20", "--json"]);
    let told: serde_json::Value =
        serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&run)));
    let id = format!("{table}.it");
    let found = told["rules"].as_array().unwrap().iter().find(|rule| rule["check"] == id.as_str());
    let found = found.unwrap_or_else(|| panic!("{id} is not among {told}"));
    (found["status"].as_str().unwrap().to_owned(), found["observed"].as_str().unwrap().to_owned())
}

#[test]
fn each_form_and_shorthand_passes_warns_and_fails() {
    let institution = institution();
    let nights = [
        ("rows = 'score < -1'", "pass"),
        ("rows = 'score >= 0'", "warn"),
        ("rows = 'score >= 0'\nerror = '1 %'", "fail"),
        ("value = 'SELECT COUNT(*) AS n FROM courses'\nwarn_below = 1", "pass"),
        ("value = 'SELECT COUNT(*) AS n FROM courses'\nwarn_above = 1", "warn"),
        ("value = 'SELECT COUNT(*) AS n FROM courses'\nerror_above = 1", "fail"),
        ("not_null = 'id'", "pass"),
        ("not_null = 'group_id'", "warn"),
        ("not_null = 'group_id'\nerror = 0", "fail"),
        (
            "one_of = { column = 'workflow_state', values = ['graded', 'submitted', 'unsubmitted', 'pending_review', 'deleted'] }",
            "pass",
        ),
        ("one_of = { column = 'workflow_state', values = ['graded'] }", "warn"),
        ("one_of = { column = 'workflow_state', values = ['graded'] }\nerror = '1 %'", "fail"),
        ("in_range = { column = 'score', min = 0 }", "pass"),
        ("in_range = { column = 'score', max = 1 }", "warn"),
        ("in_range = { column = 'score', max = 1 }\nerror = '1 %'", "fail"),
        ("matches = { column = 'workflow_state', pattern = '[a-z_]+' }", "pass"),
        ("matches = { column = 'workflow_state', pattern = 'un.*' }", "warn"),
        ("matches = { column = 'workflow_state', pattern = 'un.*' }\nerror = 0", "fail"),
        ("refers_to = { column = 'course_id', to = 'courses.id' }", "pass"),
        ("unique = ['id']", "pass"),
        ("unique = ['user_id']", "warn"),
        ("unique = ['user_id']\nerror = 0", "fail"),
        ("row_count = 'standing'\nwarn_below = 1", "pass"),
        ("row_count = 'standing'\nwarn_above = 1", "warn"),
        ("row_count = 'changed'\nerror_above = 1", "fail"),
        ("null_share = 'group_id'\nwarn_above = 1", "pass"),
        ("null_share = 'group_id'\nwarn_above = 0.5", "warn"),
        ("null_share = 'group_id'\nerror_above = 0.5", "fail"),
    ];

    for (stated, expected) in nights {
        rule(&institution, stated);
        let (status, observed) = ends(&institution, "submissions");
        assert_eq!(status, expected, "{stated}: {observed}");
    }
}

#[test]
fn what_cannot_be_evaluated_and_what_has_nothing_to_look_at_never_passes() {
    let institution = institution();
    let nights = [
        ("rows = 'no_such_column = 1'", "error", "no_such_column"),
        ("value = 'SELECT id FROM courses'\nwarn_above = 1", "error", "not one number"),
        ("value = 'SELECT MAX(no_such) AS m FROM courses'\nwarn_above = 1", "error", "no_such"),
        (
            "value = \"SELECT MAX(score) AS m FROM submissions WHERE workflow_state = 'none'\"\nwarn_above = 1",
            "skipped",
            "looked at nothing",
        ),
        ("in_range = { column = 'extra_attempts', min = 0 }", "skipped", "no row has a value there"),
        ("row_count = 'changed'\nagainst = 'same weekday, same week of term'", "skipped", "comparable nights"),
    ];

    for (stated, expected, said) in nights {
        rule(&institution, stated);
        let (status, observed) = ends(&institution, "submissions");
        assert_eq!(status, expected, "{stated}: {observed}");
        assert!(observed.contains(said), "{stated}: {observed}");
    }
}

#[test]
fn a_rule_that_cannot_be_meant_is_refused_before_the_night_with_its_line() {
    let institution = Institution::new("quality = 'rules'\n");
    rule(&institution, "rows = 'score <'");
    rule_of(&institution, "unknown_table", "not_null = 'id'");

    let checked = institution.0.nocturne(&["config", "check"]);

    assert_eq!(checked.status.code(), Some(3), "{}", text(&checked));
    let told = text(&checked);
    assert!(
        told.contains("rules/submissions.toml:4") && told.contains("score <") || told.contains("rules.it"),
        "{told}"
    );
}

#[test]
fn a_rule_that_fails_is_looked_at_and_one_that_stops_the_night_fails_it() {
    let institution = institution();
    rule(&institution, "rows = 'score >= 0'\nowner = 'data-team'\nadvice = 'Ask the registrar'");
    let (code, mail) = institution.night("2026-11-21");
    assert_eq!(code, Some(9), "{mail}");
    assert!(mail.contains("Ask the registrar. Ask data-team"), "{mail}");

    rule(&institution, "rows = 'score >= 0'\nerror = 0\naction = 'stop_night'");
    let (code, mail) = institution.night("2026-11-22");

    assert_eq!(code, Some(1), "{mail}");
    assert!(mail.contains("Part of the night failed") && mail.contains("submissions.it stops the night"), "{mail}");
}

#[test]
fn a_rule_that_stops_a_table_keeps_its_last_good_version() {
    let institution = institution();
    rule(&institution, "in_range = { column = 'score', max = 1 }\nerror = '1 %'\naction = 'stop_table'");
    institution.deliver("2026-11-21");

    let (code, mail) = institution.night("2026-11-21");
    rule(&institution, "in_range = { column = 'score', min = 0 }\nerror = '1 %'\naction = 'stop_table'");
    let (mended_code, mended) = institution.night("2026-11-21");

    assert_eq!(code, Some(9), "{mail}");
    assert!(mail.contains("its delivery fails the rule submissions.it , which stops the table"), "{mail}");
    assert!(mail.contains("1 of 13 tables could not be renewed (submissions)"), "{mail}");
    let advised = ["lake", "head", "restricted/tables/submissions"];
    assert!(mail.contains(&format!("nocturne {}", advised.join(" "))), "{mail}");
    assert_eq!(institution.0.nocturne(&advised).status.code(), Some(0), "what is advised can be done");
    assert_eq!(mended_code, Some(0), "{mended}");
    assert!(mended.contains("All is well"), "{mended}");
}

#[test]
fn every_rule_is_in_one_of_the_numbers() {
    let institution = Institution::new("");
    institution.deliver("2026-11-20");

    let (_, mail) = institution.night("2026-11-20");
    let listed = institution.0.nocturne(&["quality", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();

    let at = mail.find(" rules: ").unwrap();
    let all: usize = mail[..at].rsplit(' ').next().unwrap().parse().unwrap();
    let rest = &mail[at + 8..at + 120];
    let counts: Vec<usize> = rest.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).take(3).collect();
    assert_eq!(listed.as_array().unwrap().len(), all, "{rest}");
    assert!(counts.iter().sum::<usize>() <= all && counts[0] > 0, "{rest}");
}
