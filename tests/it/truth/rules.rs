//! Nights of the quality rules: each form and shorthand passes, warns, fails, cannot be evaluated and looks at nothing.

use sqlx::Connection as _;

use super::Institution;
use crate::support::site::text;

/// A rule file of `submissions` with one rule.
fn rule(institution: &Institution, rule: &str) {
    rule_of(institution, "submissions", rule);
}

fn rule_of(institution: &Institution, table: &str, rule: &str) {
    rules_of(institution, table, &[rule]);
}

/// A rule file of a table: the rules `it_0`, `it_1`, …
fn rules_of(institution: &Institution, table: &str, rules: &[&str]) {
    let mut file = format!("table = '{table}'\n");
    for (n, rule) in rules.iter().enumerate() {
        file.push_str(&format!("[rules.it_{n}]\nwhy = 'it matters'\n{rule}\n"));
    }
    institution.0.write(&format!("rules/{table}.toml"), file);
}

/// An institution with one delivery, whose rules are in `rules/`.
fn institution() -> Institution {
    let institution = Institution::new("quality = 'rules'\n");
    institution.deliver("2026-11-20");
    institution.night("2026-11-20");
    institution
}

/// How the rules end on what stands, as `quality run` says, and what each observed.
fn end(institution: &Institution, table: &str, rules: &[&str]) -> Vec<(String, String)> {
    rules_of(institution, table, rules);
    let run = institution.0.nocturne(&["quality", "run", "--date", "2026-11-20", "--json"]);
    let told: serde_json::Value =
        serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&run)));
    let told = told["rules"].as_array().unwrap();
    let end = |n: usize| {
        let id = format!("{table}.it_{n}");
        let found = told.iter().find(|rule| rule["check"] == id.as_str());
        let found = found.unwrap_or_else(|| panic!("{id} is not among {told:?}"));
        let word = |key: &str| found[key].as_str().unwrap().to_owned();
        (word("status"), word("observed"))
    };
    (0..rules.len()).map(end).collect()
}

/// Rules of `table` end as stated, and what they observed has the stated words.
fn assert_ends(institution: &Institution, table: &str, stated: &[(&str, &str, &str)]) {
    let rules: Vec<&str> = stated.iter().map(|(rule, ..)| *rule).collect();
    let wrong = stated.iter().zip(end(institution, table, &rules)).filter_map(|((rule, expected, said), found)| {
        let is_as_stated = found.0 == *expected && found.1.contains(said);
        (!is_as_stated).then(|| format!("{rule}: {} instead of {expected}, {}", found.0, found.1))
    });

    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<String>::new());
}

/// Each form and shorthand about rows of a table, on columns that are named so.
fn each_form(table: &str, [text, number, reference]: [&str; 3]) -> Vec<String> {
    vec![
        format!("rows = '{number} < 0'"),
        format!("value = 'SELECT MAX({number}) AS most FROM {table}'\nwarn_above = 1"),
        format!("not_null = '{text}'"),
        format!("one_of = {{ column = '{text}', values = ['active'] }}"),
        format!("in_range = {{ column = '{number}', min = 0 }}"),
        format!("matches = {{ column = '{text}', pattern = '[a-z]+' }}"),
        format!("refers_to = {{ column = '{reference}', to = 'courses.id' }}"),
        format!("unique = ['{text}', '{number}']"),
        format!("null_share = '{text}'\nwarn_above = 0.5"),
    ]
}

#[test]
fn each_form_and_shorthand_passes_warns_and_fails() {
    let known = "values = ['graded', 'submitted', 'unsubmitted', 'pending_review', 'deleted']";
    let one_of_all = format!("one_of = {{ column = 'workflow_state', {known} }}");
    let stated = [
        ("rows = 'score < -1'", "pass"),
        ("rows = 'score >= 0'", "warn"),
        ("rows = 'score >= 0'\nerror = '1 %'", "fail"),
        ("value = 'SELECT COUNT(*) AS n FROM courses'\nwarn_below = 1", "pass"),
        ("value = 'SELECT COUNT(*) AS n FROM courses'\nwarn_above = 1", "warn"),
        ("value = 'SELECT COUNT(*) AS n FROM courses'\nerror_above = 1", "fail"),
        ("not_null = 'id'", "pass"),
        ("not_null = 'group_id'", "warn"),
        ("not_null = 'group_id'\nerror = 0", "fail"),
        (&one_of_all, "pass"),
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
        ("row_count = 'standing'\nerror_above = 1", "fail"),
        ("row_count = 'changed'\nwarn_below = 1", "pass"),
        ("row_count = 'changed'\nwarn_above = 1", "warn"),
        ("row_count = 'changed'\nerror_above = 1", "fail"),
        ("null_share = 'group_id'\nwarn_above = 1", "pass"),
        ("null_share = 'group_id'\nwarn_above = 0.5", "warn"),
        ("null_share = 'group_id'\nerror_above = 0.5", "fail"),
    ];

    assert_ends(&institution(), "submissions", &stated.map(|(rule, status)| (rule, status, "")));
}

#[test]
fn an_id_that_leads_nowhere_is_given_a_night_and_then_warns_or_fails() {
    let institution = institution();
    let leads_nowhere = "refers_to = { column = 'assignment_id', to = 'courses.id' }";
    let (warns, fails) = (format!("{leads_nowhere}\nwarn = 0"), format!("{leads_nowhere}\nerror = '1 %'"));

    assert_ends(&institution, "submissions", &[(&warns, "pass", "more came in last"), (&fails, "pass", "may be late")]);

    let (code, mail) = institution.night("2026-11-21");
    assert_eq!(code, Some(9), "{mail}");
    assert!(mail.contains("submissions.it_0, warned") && mail.contains("submissions.it_1, failed"), "{mail}");
}

#[test]
fn a_form_without_anything_to_look_at_is_skipped_and_an_empty_table_is_something_to_look_at() {
    let institution = Institution::new("quality = 'rules'\n");
    institution.deliver("2026-11-20");
    institution.change(
        "2026-11-20",
        "web_logs_daily.csv.gz",
        |n, line| if n == 0 { line.to_owned() } else { String::new() },
    );

    let (code, mail) = institution.night("2026-11-20");

    assert_eq!(code, Some(9), "{mail}");
    assert!(mail.contains("The night is done; 2 things need a look"), "{mail}");
    assert!(mail.contains("web_logs_daily.not_empty"), "{mail}");
    let forms = each_form("web_logs_daily", ["web_application_controller", "page_views", "course_id"]);
    let mut stated: Vec<(&str, &str, &str)> = forms.iter().map(|form| (form.as_str(), "skipped", "")).collect();
    stated.push(("row_count = 'changed'\nagainst = 'same weekday, same week of term'", "skipped", "comparable nights"));
    stated.push(("row_count = 'since_last_night'\nwarn_above = 0.5", "skipped", "nothing to compare with"));
    assert_ends(&institution, "web_logs_daily", &stated);
}

#[test]
fn a_form_about_a_column_that_no_part_has_yet_is_an_error_and_never_passes() {
    let institution = institution();
    let contract = include_str!("../../../config/tables/scores.toml");
    let added =
        "[columns]\nnew_text = { type = 'text' }\nnew_number = { type = 'float' }\nnew_group = { type = 'id' }\n";
    institution.0.write("contracts/scores.toml", contract.replacen("[columns]\n", added, 1));
    let own = super::site_text("quality = 'rules'\n")
        .replace("path = 'exports'", "path = 'exports'\ncontracts = 'contracts'");
    institution.0.write("site.toml", own);

    let forms = each_form("scores", ["new_text", "new_number", "new_group"]);
    let stated: Vec<(&str, &str, &str)> =
        forms.iter().map(|form| (form.as_str(), "error", "no column `new_")).collect();
    assert_ends(&institution, "scores", &stated);

    let several = ("value = 'SELECT id FROM courses'\nwarn_above = 1", "error", "not one number");
    assert_ends(&institution, "submissions", &[several]);
}

#[test]
fn a_column_without_a_value_is_nothing_to_look_at() {
    let none = "SELECT MAX(score) AS m FROM submissions WHERE workflow_state = 'none'";
    let none = format!("value = \"{none}\"\nwarn_above = 1");
    let stated = [
        (none.as_str(), "skipped", "looked at nothing"),
        ("in_range = { column = 'extra_attempts', min = 0 }", "skipped", "no row has a value there"),
    ];

    assert_ends(&institution(), "submissions", &stated);
}

#[tokio::test]
async fn a_count_is_compared_with_comparable_nights_once_there_are_eight() {
    let institution = institution();
    let against = "row_count = 'standing'\nagainst = 'same weekday, same week of term'";
    let fails = format!("{against}\nerror_deviation = 10");
    let rules = [against, against, &fails, against];
    rules_of(&institution, "submissions", &rules);
    institution.0.nocturne(&["run", "night", "--date", "2026-11-20", "--force"]);
    let mut state = sqlx::SqliteConnection::connect(&institution.0.state_url()).await.unwrap();
    // The Fridays before, on which the table was as large as tonight, or half as large.
    for (rule, factor) in [("it_0", 1.0), ("it_1", 0.5), ("it_2", 0.5)] {
        for weeks in 1_i64..28 {
            let copied = sqlx::query(
                "INSERT INTO measurements \
                 SELECT run_id || '-' || $1, job, name, labels, dag, date(logical_date, '-' || $1 || ' days'), value * $2, \
                 unit, measured_at FROM measurements WHERE labels LIKE '%submissions.' || $3 || '\"%' \
                 AND logical_date = '2026-11-20'",
            );
            let copied = copied.bind(weeks * 7).bind(factor).bind(rule).execute(&mut state).await.unwrap();
            assert_eq!(copied.rows_affected(), 1, "{rule}");
        }
    }
    state.close().await.unwrap();

    let stated = [
        (against, "pass", "rows"),
        (against, "warn", "rows"),
        (&fails, "fail", "rows"),
        (against, "skipped", "0 comparable nights"),
    ];
    assert_ends(&institution, "submissions", &stated);
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
    assert!(mail.contains("Part of the night failed") && mail.contains("submissions.it_0 stops the night"), "{mail}");
    assert!(
        mail.contains("With care. Something is wrong with the data: submissions."),
        "what it found is known: {mail}"
    );
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
    assert!(mail.contains("its delivery fails the rule submissions.it_0 , which stops the table"), "{mail}");
    assert!(mail.contains("1 of 13 tables could not be renewed (submissions)"), "{mail}");
    assert!(mail.contains("submissions.score , in the version that stands: "), "it is no better: {mail}");
    let advised = ["quality", "show", "submissions.it_0"];
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
    let rest = mail[at + 8..].split(" skipped").next().unwrap();
    let counts: Vec<usize> = rest.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    assert_eq!(listed.as_array().unwrap().len(), all, "{rest}");
    assert!(counts.len() > 1 && counts.iter().sum::<usize>() == all, "{rest}");
}
