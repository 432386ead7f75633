//! What a DAG file becomes, and how its mistakes are reported.

use serde_json::{Value, json};

use super::*;
use crate::domain::dag::When;

/// The kinds of the night, with parameters such as theirs.
struct Fake;

impl KindCatalogue for Fake {
    fn kinds(&self) -> Vec<String> {
        let kinds =
            ["build_features", "canvas_pull", "drift_report", "quality_check", "score", "send_report", "train_model"];
        kinds.map(str::to_owned).to_vec()
    }

    fn params_schema(&self, kind: &str) -> Option<Value> {
        let properties = match kind {
            "build_features" => json!({
                "sets": { "$ref": "#/$defs/Names" }, "labels": { "$ref": "#/$defs/Names" }, "weeks": { "type": "array" }
            }),
            "canvas_pull" => json!({ "source": { "type": "string" }, "tables": { "$ref": "#/$defs/Names" } }),
            "drift_report" | "score" | "train_model" => json!({ "model": { "type": "string" } }),
            "quality_check" => json!({}),
            "send_report" => json!({ "report": { "enum": ["digest"] }, "to": { "$ref": "#/$defs/Names" } }),
            _ => return None,
        };
        Some(json!({
            "type": "object", "additionalProperties": false, "properties": properties,
            "$defs": { "Names": { "type": "array", "items": { "type": "string" } } }
        }))
    }
}

fn parse(text: &str) -> Result<Dag, Mistakes> {
    parse_dag(DagFile { path: "jobs/nightly.toml", stem: "nightly", text }, "UTC", &Fake)
}

#[test]
fn a_file_becomes_a_dag_with_its_defaults() {
    let dag = parse(
        r#"
            name = "nightly"
            schedule = "30 2 * * *"
            timezone = "America/Detroit"
            deadline = "06:30"
            [defaults]
            timeout = "1h 30m"
            retry = { attempts = 3, backoff = "30s" }
            [jobs.pull]
            kind = "canvas_pull"
            with = { source = "canvas" }
            [jobs.digest]
            kind = "send_report"
            needs = ["pull"]
            when = "all_done"
            timeout = "5m"
            "#,
    )
    .unwrap();

    let pull = &dag.jobs[&"pull".parse().unwrap()];
    assert_eq!((pull.timeout.as_secs(), pull.retry.attempts), (5400, 3));
    let digest = &dag.jobs[&"digest".parse().unwrap()];
    assert_eq!((digest.timeout.as_secs(), digest.when), (300, When::AllDone));
    assert_eq!(dag.max_parallel, 2);
}

#[test]
fn a_cycle_two_unknown_keys_and_an_unknown_kind_are_told_at_once() {
    let mistakes = parse(
        r#"name = "nightly"
shedule = "30 2 * * *"
[jobs.pull]
kind = "canvas_pul"
needs = ["train"]
[jobs.train]
kind = "train_model"
needs = ["pull"]
with = { sorce = "x" }
"#,
    )
    .unwrap_err();

    insta::assert_snapshot!(mistakes, @r#"
    4 mistakes
      jobs/nightly.toml:2:1: `shedule`: unknown key; did you mean `schedule`? allowed: name, description, schedule, timezone, dst, catch_up, overlap, deadline, max_parallel, defaults, jobs
      jobs/nightly.toml:4:1: `jobs.pull.kind`: there is no kind `canvas_pul`; did you mean `canvas_pull`? allowed: build_features, canvas_pull, drift_report, quality_check, score, send_report, train_model
      jobs/nightly.toml:5:1: `jobs.pull.needs`: these jobs need each other in a cycle: pull -> train -> pull
      jobs/nightly.toml:9:10: `jobs.train.with.sorce`: unknown key; allowed: model
    "#);
}

#[test]
fn values_that_do_not_parse_are_told_with_what_is_allowed() {
    let mistakes = parse(
        r#"name = "weekly"
schedule = "30 25 * * *"
timezone = "Detroit"
deadline = "late"
max_parallel = 0
[defaults]
timeout = "an hour"
[jobs.pull]
kind = "canvas_pull"
needs = ["pul"]
"#,
    )
    .unwrap_err();

    let lines: Vec<usize> = mistakes.0.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5, 7, 10], "{mistakes}");
}

#[test]
fn the_night_of_the_house_is_a_dag() {
    let text = include_str!("../../../jobs/nightly.toml");

    let dag = parse(text).unwrap();

    let names: Vec<&str> = dag.jobs.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["digest", "drift", "features", "pull", "quality", "score", "train"]);
    assert_eq!(dag.timezone, "UTC", "the file leaves the zone to the institution");
    assert_eq!(dag.deadline, Some(jiff::civil::time(6, 30, 0, 0)));
    assert_eq!(parse(text).unwrap().version, dag.version, "the same text has the same version");
    assert_ne!(parse(&format!("{text}\n")).unwrap().version, dag.version);
}

#[test]
fn the_schema_for_editors_knows_the_parameters_of_each_kind() {
    let schema = dag_schema(&Fake);
    let mistakes = |text: &str| {
        let document = Document::parse("jobs/nightly.toml", text).unwrap();
        let mut mistakes = document.mistakes(&schema);
        mistakes.sort();
        mistakes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };

    assert_eq!(mistakes(include_str!("../../../jobs/nightly.toml")), Vec::<String>::new());
    let wrong = "name = 'nightly'\n[jobs.pull]\nkind = 'canvas_pull'\nwith = { sorce = 'x', tables = [1] }\n";
    assert_eq!(
        mistakes(wrong),
        [
            "jobs/nightly.toml:4:10: `jobs.pull.with.sorce`: unknown key; did you mean `source`? allowed: source, tables",
            "jobs/nightly.toml:4:33: `jobs.pull.with.tables.0`: expected text, found the number 1",
        ]
    );
}

#[test]
fn of_a_tangle_of_needs_one_circle_is_named_and_a_job_may_not_need_itself() {
    let mistakes = parse(
        r#"name = "nightly"
[jobs.a]
kind = "score"
needs = ["c", "b"]
[jobs.b]
kind = "score"
needs = ["c"]
[jobs.c]
kind = "score"
needs = ["a", "d", "d"]
[jobs.d]
kind = "score"
needs = ["d"]
"#,
    )
    .unwrap_err();

    insta::assert_snapshot!(mistakes, @r#"
    3 mistakes
      jobs/nightly.toml:4:1: `jobs.a.needs`: these jobs need each other in a cycle: a -> c -> a
      jobs/nightly.toml:10:20: `jobs.c.needs.2`: `d` is named twice
      jobs/nightly.toml:13:1: `jobs.d.needs`: the job needs itself
    "#);
}

#[test]
fn an_empty_or_half_written_file_is_refused() {
    let texts = ["", "name = 'nightly'\njobs = {}\n", "name = 'nightly'\njobs = 3\n", "name = \n[jobs\n"];

    let told: Vec<String> = texts.iter().map(|text| parse(text).unwrap_err().to_string()).collect();

    insta::assert_snapshot!(told.join("\n"), @r#"
    2 mistakes
      jobs/nightly.toml:1:1: the key `jobs` is missing
      jobs/nightly.toml:1:1: the key `name` is missing
    1 mistake
      jobs/nightly.toml:2:1: `jobs`: a DAG needs at least one job
    1 mistake
      jobs/nightly.toml:2:1: `jobs`: expected a table, found the number 3
    2 mistakes
      jobs/nightly.toml:1:8: this is not TOML: string values must be quoted, expected literal string
      jobs/nightly.toml:2:6: this is not TOML: unclosed table, expected `]`
    "#);
}

#[test]
fn waits_and_times_that_make_no_sense_are_told() {
    let mistakes = parse(
        r#"name = "nightly"
[jobs.pull]
kind = "canvas_pull"
timeout = "0s"
retry = { attempts = 0, backoff = "10m", max_backoff = "30s", atempts = 2 }
[jobs.score]
kind = "score"
timeout = "-5m"
retry = { attempts = "three", backoff = 30 }
when = "all_don"
"#,
    )
    .unwrap_err();

    insta::assert_snapshot!(mistakes, @r#"
    8 mistakes
      jobs/nightly.toml:4:1: `jobs.pull.timeout`: an attempt needs some time; write `30s`, `10m`, `1h` or `1h 30m`
      jobs/nightly.toml:5:11: `jobs.pull.retry.attempts`: found the number 0; the smallest allowed is 1
      jobs/nightly.toml:5:42: `jobs.pull.retry.max_backoff`: the longest wait is shorter than the first (`backoff`)
      jobs/nightly.toml:5:63: `jobs.pull.retry.atempts`: unknown key; did you mean `attempts`? allowed: attempts, backoff, max_backoff
      jobs/nightly.toml:8:1: `jobs.score.timeout`: `-5m` is not a duration; write `30s`, `10m`, `1h` or `1h 30m`
      jobs/nightly.toml:9:11: `jobs.score.retry.attempts`: expected a whole number, found the text "three"
      jobs/nightly.toml:9:31: `jobs.score.retry.backoff`: expected text, found the number 30
      jobs/nightly.toml:10:1: `jobs.score.when`: found the text "all_don"; did you mean `all_done`? allowed: all_success, all_done, one_failed, none_failed, one_success, always
    "#);
}

#[test]
fn what_can_never_run_is_told() {
    let mistakes = parse(
        r#"name = "nightly"
schedule = "0 0 30 2 *"
[defaults]
timeout = "169h"
retry = { backoff = "25h", max_backoff = "999999999999h" }
[jobs.score]
kind = "score"
when = "one_failed"
[jobs.train]
kind = "train_model"
needs = []
when = "one_success"
timeout = "9999999h"
"#,
    )
    .unwrap_err();

    insta::assert_snapshot!(mistakes, @r#"
    7 mistakes
      jobs/nightly.toml:2:1: `schedule`: `0 0 30 2 *` never comes: no day has all its parts (such as a 30th of February); leave `schedule` out for a DAG that runs only when asked
      jobs/nightly.toml:4:1: `defaults.timeout`: `169h` is too long; the longest allowed is `168h`
      jobs/nightly.toml:5:11: `defaults.retry.backoff`: `25h` is too long; the longest allowed is `24h`
      jobs/nightly.toml:5:28: `defaults.retry.max_backoff`: `999999999999h` is too long; the longest allowed is `24h`
      jobs/nightly.toml:8:1: `jobs.score.when`: the job never runs: it waits for `one_failed` among its needs, and has none
      jobs/nightly.toml:12:1: `jobs.train.when`: the job never runs: it waits for `one_success` among its needs, and has none
      jobs/nightly.toml:13:1: `jobs.train.timeout`: `9999999h` is too long; the longest allowed is `168h`
    "#);
}

#[test]
fn every_duration_of_a_dag_file_states_its_limit_for_editors() {
    let schema = dag_schema(&Fake);
    let limit = |path: &str| schema.pointer(path).and_then(|value| value["x-longest"].as_str()).unwrap().to_owned();

    assert_eq!(limit("/$defs/Defaults/properties/timeout"), LONGEST_TIMEOUT);
    assert_eq!(limit("/$defs/JobTable/properties/timeout"), LONGEST_TIMEOUT);
    assert_eq!(limit("/$defs/RetryTable/properties/backoff"), LONGEST_WAIT);
    assert_eq!(limit("/$defs/RetryTable/properties/max_backoff"), LONGEST_WAIT);
}

#[test]
fn unknown_needs_of_a_large_dag_are_told_shortly() {
    let jobs: String = (0..60).map(|n| format!("[jobs.j{n}]\nkind = 'score'\nneeds = ['x', 'y']\n")).collect();

    let told = parse(&format!("name = 'nightly'\n{jobs}")).unwrap_err().to_string();

    assert!(told.starts_with("120 mistakes\n"), "{told}");
    assert!(told.contains("`jobs.j0.needs.0`: there is no job `x`; allowed: j0, j1, j10,"), "{told}");
    assert!(told.contains(", and 20 more\n"), "{told}");
    assert!(told.ends_with("\n  and 20 more"), "{told}");
}

proptest::proptest! {
    /// A file is a DAG or a list of mistakes, whatever it contains; a refusal always names the file.
    #[test]
    fn any_toml_is_read_or_refused(
        key in "(name|jobs|schedule|timezone|dst|defaults|max_parallel|x)",
        value in "(1|'a'|\\[1\\]|\\{ a = 1 \\}|true|06:30:00|\\{ kind = 'score', needs = ['a'] \\})",
    ) {
        let text = format!("{key} = {value}\n[jobs.a]\nkind = 'score'\n");
        if let Err(mistakes) = parse(&text) {
            proptest::prop_assert!(mistakes.to_string().contains("jobs/nightly.toml"));
        }
    }
}
