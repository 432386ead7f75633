//! Nights of rules that hold rows back: what waits, what stands, what is told of it, and how a row gets out.

use serde_json::{Value, json};

use super::Institution;
use crate::support::site::text;

const SUBMISSIONS: &str = "submissions/part-00000.jsonl.gz";

/// States the rule `submissions.impossible` about scores above a limit.
fn rule(institution: &Institution, limit: u32) {
    let rule = format!(
        "table = 'submissions'\n[rules.impossible]\nrows = 'score > {limit}'\naction = 'quarantine_rows'\n\
         why = 'No assignment has that many points'\nowner = 'data-team'\n"
    );
    institution.0.write("rules/submissions.toml", rule);
}

/// Gives the first `rows` rows of an export an impossible score.
fn spoil(institution: &Institution, date: &str, rows: usize) {
    institution.change(date, SUBMISSIONS, |n, line| match n < rows {
        true => impossible(line),
        false => line.to_owned(),
    });
}

/// A row of an export with another score.
fn impossible(line: &str) -> String {
    let (before, rest) = line.split_once("\"score\":").unwrap();
    let (_, after) = rest.split_once(',').unwrap();
    format!("{before}\"score\":9000.5,{after}")
}

/// An institution that has had a good night for the 20th, whose rule holds impossible scores back.
fn institution() -> Institution {
    let institution = Institution::new("quality = 'rules'\n");
    rule(&institution, 5000);
    institution.deliver("2026-11-20");
    assert_eq!(institution.night("2026-11-20").0, Some(0));
    institution
}

fn asked(institution: &Institution, command: &[&str]) -> Value {
    let told = institution.0.nocturne(&[&["--json"], command].concat());
    serde_json::from_slice(&told.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&told)))
}

/// The account of the rule: in, released, superseded, waiting.
fn account(institution: &Institution) -> [u64; 4] {
    let ledger = asked(institution, &["quality", "quarantine", "submissions"]);
    let account = &ledger[0];
    let count = |name: &str| account[name].as_u64().unwrap_or_else(|| panic!("{ledger}"));
    assert_eq!(count("in"), count("out") + count("waiting"), "{ledger}");
    ["in", "released", "superseded", "waiting"].map(count)
}

/// What stands, as the rule sees it: its status and what it observed.
fn standing(institution: &Institution, date: &str) -> String {
    let told = asked(institution, &["quality", "run", "--date", date]);
    let rules = told["rules"].as_array().unwrap();
    let rule = rules.iter().find(|rule| rule["check"] == "submissions.impossible").unwrap();
    format!("{}: {}", rule["status"].as_str().unwrap(), rule["observed"].as_str().unwrap())
}

#[test]
fn rows_that_a_rule_holds_back_wait_and_what_stood_stands() {
    let institution = institution();
    let before = standing(&institution, "2026-11-20");
    institution.deliver("2026-11-21");
    spoil(&institution, "2026-11-21", 12);

    let (code, mail) = institution.night("2026-11-21");

    assert_eq!(code, Some(9), "{mail}");
    assert!(mail.contains("The night is done; one thing needs a look"), "{mail}");
    assert!(mail.contains("12 rows wait in quarantine because of a rule"), "{mail}");
    let told = "submissions : 12 rows wait in quarantine under the rule submissions.impossible , the oldest since \
                2026-11-21 (12 came in tonight); for these rows the table keeps what it had before";
    assert!(mail.contains(told), "{mail}");
    assert!(mail.contains("nocturne quality replay submissions") && mail.contains("Ask data-team"), "{mail}");
    assert_eq!(account(&institution), [12, 0, 0, 12]);
    assert_eq!(standing(&institution, "2026-11-21").split(" of ").next(), Some("pass: 0"), "{before}");
    let schema = jsonschema::validator_for(&asked(&institution, &["config", "schema", "--of", "quality-quarantine"]));
    assert!(schema.unwrap().is_valid(&asked(&institution, &["quality", "quarantine"])));
    let waits = text(&institution.0.nocturne(&["lake", "head", "restricted/quarantine/submissions/waiting"]));
    assert!(waits.contains("submissions.impossible") && waits.contains("2026-11-21/submissions/part-00000"), "{waits}");
    let shown = text(&institution.0.nocturne(&["quality", "show", "submissions.impossible"]));
    assert!(
        shown.contains("12 in, 0 out (0 let pass, 0 superseded), 12 waiting since 2026-11-21T05:00:00Z"),
        "{shown}"
    );
}

#[test]
fn a_row_that_comes_again_is_the_row_that_waits_and_a_better_one_takes_its_place() {
    let institution = institution();
    institution.deliver("2026-11-21");
    spoil(&institution, "2026-11-21", 12);
    institution.night("2026-11-21");

    institution.deliver("2026-11-22");
    spoil(&institution, "2026-11-22", 12);
    let (again_code, again) = institution.night("2026-11-22");
    let same = account(&institution);
    institution.deliver("2026-11-23");
    let (code, mail) = institution.night("2026-11-23");

    assert_eq!((again_code, same), (Some(9), [12, 0, 0, 12]), "{again}");
    assert!(again.contains("12 rows wait") && again.contains("the oldest since 2026-11-21;"), "{again}");
    assert_eq!((code, account(&institution)), (Some(0), [12, 0, 12, 0]), "{mail}");
    assert!(mail.contains("All is well") && !mail.contains("wait in quarantine"), "{mail}");
}

#[test]
fn when_the_rule_is_mended_a_replay_takes_the_rows_in() {
    let institution = institution();
    institution.deliver("2026-11-21");
    spoil(&institution, "2026-11-21", 12);
    institution.night("2026-11-21");
    let replay = |more: &[&str]| institution.0.nocturne(&[&["quality", "replay", "submissions"], more].concat());
    let in_vain = replay(&["--date", "2026-11-21"]);

    rule(&institution, 10_000);
    let foreseen = asked(&institution, &["quality", "replay", "submissions", "--dry-run"]);
    let untouched = account(&institution);
    let stranger = replay(&["--rule", "submissions.unique", "--dry-run"]);
    let done = replay(&["--rule", "submissions.impossible", "--date", "2026-11-21"]);

    assert!(text(&in_vain).contains("No row would pass: correct the rule or the source first."), "{}", text(&in_vain));
    assert_eq!(in_vain.status.code(), Some(0));
    assert_eq!(foreseen["rules"], json!({ "submissions.impossible": { "waiting": 12, "would_pass": 12 } }));
    assert_eq!(untouched, [12, 0, 0, 12]);
    assert_eq!(stranger.status.code(), Some(4), "{}", text(&stranger));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(text(&done).contains("No e-mail was written"), "not that of the night: {}", text(&done));
    assert_eq!(account(&institution), [12, 12, 0, 0]);
    rule(&institution, 5000);
    assert!(standing(&institution, "2026-11-21").starts_with("warn: 12 of "), "they stand now");
    rule(&institution, 10_000);
    let (code, mail) = institution.night("2026-11-22");
    assert_eq!(code, Some(0), "{mail}");
    assert!(!mail.contains("wait in quarantine"), "{mail}");
}

#[test]
fn without_its_rule_every_row_is_taken_in_by_the_next_night_and_an_earlier_night_changes_nothing() {
    let institution = institution();
    institution.deliver("2026-11-21");
    spoil(&institution, "2026-11-21", 12);
    institution.night("2026-11-21");
    std::fs::remove_file(institution.0.path().join("rules/submissions.toml")).unwrap();

    institution.night("2026-11-20");
    let after_earlier = account(&institution);
    let (code, mail) = institution.night("2026-11-22");

    assert_eq!(after_earlier, [12, 0, 0, 12]);
    assert_eq!(account(&institution), [12, 12, 0, 0]);
    assert!(!mail.contains("wait in quarantine") && mail.contains("submissions"), "{code:?} {mail}");
}

#[test]
fn more_than_one_row_in_a_hundred_stops_the_table() {
    let institution = institution();
    institution.deliver("2026-11-21");
    spoil(&institution, "2026-11-21", 40);

    let (code, mail) = institution.night("2026-11-21");
    let ledger = asked(&institution, &["quality", "quarantine"]);

    assert_eq!(code, Some(9), "{mail}");
    assert!(mail.contains("rules hold back 40 of the ") && mail.contains("more than 1 % stops the table"), "{mail}");
    assert!(mail.contains("1 of 13 tables could not be renewed (submissions)"), "{mail}");
    assert_eq!(ledger, json!([]), "what was not taken in is in no ledger");
}

#[test]
fn rows_that_do_not_fit_and_rows_that_a_rule_holds_back_lie_beside_each_other() {
    let institution = institution();
    institution.deliver("2026-11-21");
    institution.change("2026-11-21", SUBMISSIONS, |n, line| match n {
        0 => line.replacen("\"course_id\":", "\"course_id\":\"x\",\"course_id_was\":", 1),
        1..4 => impossible(line),
        _ => line.to_owned(),
    });

    let (code, mail) = institution.night("2026-11-21");

    assert_eq!((code, account(&institution)), (Some(9), [3, 0, 0, 3]), "{mail}");
    let misfits = text(&institution.0.nocturne(&["lake", "head", "restricted/quarantine/submissions"]));
    assert!(misfits.contains("type.id") && misfits.contains("part-00000.jsonl.gz"), "{misfits}");
    let verified = institution.0.nocturne(&["lake", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
}

#[test]
fn a_rule_that_cannot_hold_rows_back_is_refused_with_its_file_and_line() {
    let institution = Institution::new("quality = 'rules'\n");
    let rule = |rule: &str| {
        let file = format!("table = 'submissions'\n[rules.it]\nwhy = 'w'\n{rule}\naction = 'quarantine_rows'\n");
        institution.0.write("rules/submissions.toml", file);
        let checked = institution.0.nocturne(&["config", "check"]);
        assert_eq!(checked.status.code(), Some(3), "{}", text(&checked));
        text(&checked)
    };

    let twice = rule("unique = ['id']");
    let others = rule("rows = 'score > 1 AND id IN (SELECT id FROM submissions)'");
    let number = rule("null_share = 'score'\nwarn_above = 0.5");
    let unknown = rule("rows = 'no_such_column > 1'");

    assert!(twice.contains("rules/submissions.toml:5:") && twice.contains("by their own columns"), "{twice}");
    assert!(others.contains("rules/submissions.toml:5:") && others.contains("a subquery"), "{others}");
    assert!(number.contains("by their own columns"), "{number}");
    assert!(unknown.contains("rules/submissions.toml:2:") && unknown.contains("no_such_column"), "{unknown}");
}
