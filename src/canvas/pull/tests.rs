//! Readings of invented files, each with one thing right or wrong.
//!
//! Most are about one small table that has a column of every type; the last ones are about Canvas' own contracts.

use std::fmt::Write as _;

use polars::prelude::*;

use super::*;
use crate::canvas::fixture::{Folder, Reader, gz};
use crate::canvas::privacy::PrivacyKey;
use crate::domain::check::Finding;
use crate::domain::check::Severity;
use crate::domain::table::TERM;
use crate::domain::table::TableContract;

mod properties;

/// A small table with a column of every type.
fn contract() -> TableContract {
    toml::from_str(
        r#"
        name = "things"
        about = "A thing."
        key = ["id"]
        term = { by = "course", column = "course_id" }
        [columns]
        id = { type = "id", required = true }
        course_id = { type = "id" }
        owner_id = { type = "id", person = "user" }
        size = { type = "int" }
        weight = { type = "float", range = [0.0, 10.0] }
        is_new = { type = "bool" }
        seen_at = { type = "timestamp" }
        due_on = { type = "date" }
        label = { type = "text" }
        state = { type = "text", required = true, values = ["active", "deleted"] }
        settings = { type = "json" }
        note = { type = "text", dropped = "free text" }
        "#,
    )
    .unwrap()
}

fn things() -> Reader {
    Reader::by(contract())
}

/// Returns the lines of `rows` good things, with ids from 1.
fn good(rows: u64) -> String {
    let mut text = String::new();
    for id in 1..=rows {
        writeln!(
            text,
            r#"{{"key":{{"id":{id}}},"value":{{"state":"active","weight":1.5,"size":2}},"meta":{{"ts":"x"}}}}"#
        )
        .unwrap();
    }
    text
}

fn cell(frame: &DataFrame, column: &str, row: usize) -> String {
    frame.column(column).unwrap().get(row).unwrap().to_string()
}

fn checks(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|finding| format!("{} {}", finding.check, finding.subject)).collect()
}

#[test]
fn every_type_becomes_its_column() {
    let read = things()
        .read_json(
            r#"{"key":{"id":10720000000000001},"value":{"course_id":7,"owner_id":4711,"size":-3,"weight":0.1,"is_new":true,
            "seen_at":"2014-12-01T23:59:59.123456789+01:00","due_on":"2014-12-01","label":"Größe \"7\" \ud83d\ude00",
            "state":"active","settings":{"b":[1,2],"a":null},"note":"gone"},"meta":{"ts":"2014-12-01T00:00:00Z"}}"#
                .replace('\n', " ")
                .as_str(),
        )
        .unwrap();

    let shown: Vec<String> = read
        .frame
        .columns()
        .iter()
        .map(|column| format!("{} {} = {}", column.name(), column.dtype(), column.get(0).unwrap()))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    course_id i64 = 7
    due_on date = 2014-12-01
    id i64 = 10720000000000001
    is_new bool = true
    label str = "Größe "7" 😀"
    owner_id str = "4d6d8bfa22fca70f085f3b19"
    seen_at datetime[μs, UTC] = 2014-12-01 22:59:59.123456 UTC
    settings str = "{"b":[1,2],"a":null}"
    size i64 = -3
    state str = "active"
    weight f64 = 0.1
    _term str = "none"
    "#);
}

#[test]
fn a_column_that_is_left_out_is_the_same_as_a_null() {
    let text = r#"{"key":{"id":1},"value":{"state":"active","label":null},"meta":{"ts":"x"}}
{"key":{"id":2},"value":{"state":"active"},"meta":{"ts":"x"}}
{"id":3,"state":"active"}"#;

    let read = things().read_json(&format!("{text}\n")).unwrap();

    assert_eq!(read.reading.rows, 3);
    assert_eq!(read.frame.column("label").unwrap().null_count(), 3);
    assert_eq!(read.reading.columns_seen, vec!["id", "label", "state"]);
}

#[test]
fn marks_line_ends_and_blank_lines_of_other_systems_are_no_rows() {
    let folder = Folder::new();
    let text = format!("\u{feff}{}\r\n\r\n   \n\n", good(2).trim_end().replace('\n', "\r\n"));

    let read = things().read(&[folder.with("things.json", text.as_bytes())]).unwrap();

    assert_eq!(read.reading.rows, 2);
    assert_eq!(read.reading.quarantined.height(), 0);
}

#[test]
fn every_member_of_a_gzip_file_is_read() {
    let folder = Folder::new();
    let mut bytes = gz(&good(25));
    bytes.extend(gz(&good(25)));

    let read = things().read(&[folder.with("part-0.json.gz", &bytes)]).unwrap();

    assert_eq!(read.reading.rows, 50);
}

#[test]
fn a_gzip_file_that_is_cut_off_is_corrupt_wherever_it_is_cut() {
    let folder = Folder::new();
    let whole = gz(&good(40));
    for length in 0..whole.len() {
        let cut = folder.with("part-0.jsonl.gz", &whole[..length]);
        let error = things().read(&[cut]).map(|read| read.reading.rows);
        let error = error.expect_err("a cut file was read as a whole one");
        assert!(
            matches!(&error, ReadError::Corrupt { file, .. } if file == "part-0.jsonl.gz")
                || (length == 1 && matches!(error, ReadError::TooManyHeldBack { .. } | ReadError::Corrupt { .. })),
            "{length}: {error}"
        );
    }
}

#[test]
fn a_wrong_checksum_or_length_is_corrupt_and_names_the_file() {
    let folder = Folder::new();
    for from_the_end in [1, 5] {
        let mut bytes = gz(&good(40));
        let place = bytes.len() - from_the_end;
        bytes[place] ^= 1;

        let error = things().read(&[folder.with("part-0.jsonl.gz", &bytes)]).map(|_| ()).unwrap_err();

        assert_eq!(error.effect(), Effect::KeepsLastSnapshot);
        assert!(error.to_string().starts_with("`part-0.jsonl.gz` of the table `things` is corrupt after"), "{error}");
        assert!(error.advice().contains("again"));
    }
}

#[test]
fn a_plain_file_under_a_gzip_name_is_read_and_one_that_ends_in_a_row_is_corrupt() {
    let folder = Folder::new();
    let text = good(3);

    let read = things().read(&[folder.with("part-0.jsonl.gz", text.as_bytes())]).unwrap();
    let cut = things().read(&[folder.with("part-1.jsonl", &text.as_bytes()[..text.len() - 9])]).map(|_| ());

    assert_eq!(read.reading.rows, 3);
    assert!(matches!(cut, Err(ReadError::Corrupt { .. })), "{cut:?}");
}

#[test]
fn an_unknown_column_is_dropped_and_told_once_with_its_rows() {
    let text = good(3).replace(r#""size":2"#, r#""size":2,"colour":"Ada Invented","Ada Invented":1"#);

    let read = things().read_json(&text).unwrap();

    assert!(read.frame.column("colour").is_err());
    assert_eq!(
        checks(&read.reading.findings),
        vec!["schema.unknown_column things.(not an identifier)", "schema.unknown_column things.colour"]
    );
    assert!(read.reading.findings[1].message.contains("in 3 rows"));
    assert!(!format!("{:?}", read.reading.findings).contains("Ada"));
}

#[test]
fn a_required_column_that_is_gone_stops_the_table_and_says_which() {
    let error = things().read_json(&good(300).replace(r#""state":"active","#, "")).map(|_| ()).unwrap_err();

    assert_eq!(error.effect(), Effect::StopsTable);
    assert_eq!(error.to_string(), "the table `things` has lost what it must have: state");
}

#[test]
fn text_where_a_number_belongs_is_held_back_and_leaves_no_trace_of_itself() {
    let text =
        good(199) + r#"{"id":200,"state":"active","weight":"Ada Invented","owner_id":4711,"label":"Ada"}"# + "\n";

    let read = things().read_json(&text).unwrap();

    let held = &read.reading.quarantined;
    assert_eq!((read.reading.rows, held.height()), (199, 1));
    assert_eq!(checks(&read.reading.findings), vec!["rows.quarantined things"]);
    insta::assert_snapshot!(read.reading.findings[0].message, @"1 of 200 rows of `things` does not fit and was held back (type.float in `weight`: 1).");
    assert_eq!(cell(held, "rule", 0), "\"type.float\"");
    assert_eq!(cell(held, "column", 0), "\"weight\"");
    assert_eq!(cell(held, "line", 0), "200");
    assert_eq!(cell(held, "offset", 0), good(199).len().to_string());
    insta::assert_snapshot!(held.column("row").unwrap().str().unwrap().get(0).unwrap(), @r#"{"id":200,"owner_id":"4d6d8bfa22fca70f085f3b19","state":"active"}"#);
    assert!(!format!("{held:?}{:?}", read.reading.findings).contains("Ada"));
}

#[test]
fn a_row_that_is_held_back_still_says_its_key_where_that_can_be_read() {
    let text = format!(
        "{}{}\n{}\n",
        good(300),
        r#"{"key":{"id":901},"value":{"state":"active","size":"large"}}"#,
        r#"{"key":{"id":"x"},"value":{"state":"active"}}"#
    );

    let reading = things().read_json(&text).unwrap().reading;

    assert_eq!(reading.quarantined.height(), 2);
    assert_eq!(reading.held_keys.height(), 1);
    assert_eq!(cell(&reading.held_keys, "id", 0), "901");
}

#[test]
fn a_line_that_is_no_row_keeps_only_its_place_and_a_keyed_hash() {
    let secret = r#"{"id":200,"label":"Ada Invented""#;
    let text = format!("{}{secret}\n", good(199));

    let read = things().read_json(&text).unwrap();

    let held = &read.reading.quarantined;
    assert_eq!(cell(held, "rule", 0), "\"row.unreadable\"");
    assert_eq!(cell(held, "row", 0), "null");
    let hash = held.column("line_hash").unwrap().str().unwrap().get(0).unwrap().to_owned();
    assert_eq!(hash.len(), 64);
    assert_ne!(hash, crate::domain::ids::content_hash(secret.as_bytes()));
}

#[test]
fn more_than_one_in_a_hundred_stops_the_table_with_the_rows_it_held_back() {
    let bad = "{\"id\":999,\"state\":\"active\",\"size\":\"x\"}\n";

    let at_the_limit = things().read_json(&(good(99) + bad));
    let above = things().read_json(&(good(98) + bad)).map(|_| ()).unwrap_err();

    assert_eq!(at_the_limit.unwrap().reading.rows, 99);
    assert_eq!(above.effect(), Effect::StopsTable);
    assert!(matches!(&above, ReadError::TooManyHeldBack { quarantined, .. } if quarantined.height() == 1));
    insta::assert_snapshot!(above, @"1 of 99 rows of the table `things` do not fit (type.int in `size`: 1): more than 1 % stops the table");
}

#[test]
fn a_full_export_without_rows_is_a_finding_and_changes_without_rows_are_none() {
    let full = things().read_json("").unwrap();
    let changes = things().incremental().read_json("").unwrap();

    assert_eq!(checks(&full.reading.findings), vec!["table.empty things"]);
    assert_eq!(full.reading.findings[0].severity, Severity::Warning);
    assert!(changes.reading.findings.is_empty());
    assert_eq!(changes.reading.deleted.height(), 0);
}

#[test]
fn a_changed_row_is_taken_and_a_deleted_one_leaves_its_key_only() {
    let text = r#"{"key":{"id":1},"value":{"state":"deleted"},"meta":{"ts":"x","action":"U"}}
{"key":{"id":99},"meta":{"ts":"x","action":"D"}}
"#;

    let read = things().incremental().expecting(2).read_json(text).unwrap();

    assert_eq!(cell(&read.frame, "state", 0), "\"deleted\"");
    assert_eq!(read.reading.deleted.get_column_names(), vec!["id"]);
    assert_eq!(cell(&read.reading.deleted, "id", 0), "99");
}

#[test]
fn deleted_keys_alone_do_not_prove_that_columns_are_gone() {
    let text = r#"{"key":{"id":99},"meta":{"ts":"x","action":"D"}}"#;

    assert_eq!(things().incremental().read_json(&format!("{text}\n")).unwrap().reading.deleted.height(), 1);
}

#[test]
fn an_action_in_a_full_export_and_an_unknown_action_are_held_back() {
    let deleted = r#"{"key":{"id":199},"meta":{"action":"D"}}"#;
    let unknown = r#"{"key":{"id":199},"value":{"state":"active"},"meta":{"action":"X"}}"#;

    let full = things().read_json(&format!("{}{deleted}\n", good(198))).unwrap();
    let changes = things().incremental().read_json(&format!("{}{unknown}\n", good(198))).unwrap();

    assert_eq!(cell(&full.reading.quarantined, "rule", 0), "\"row.action\"");
    assert_eq!(cell(&changes.reading.quarantined, "rule", 0), "\"row.action\"");
}

#[test]
fn a_value_that_the_exporter_does_not_know_or_found_too_large_is_null_and_counted() {
    let text = good(3).replacen("\"active\"", "\"__dap_unspecified__\"", 1).replacen(
        r#""size":2"#,
        r#""size":2,"label":"__dap_oversized_truncated__""#,
        2,
    );

    let read = things().read_json(&text).unwrap();

    assert_eq!(read.frame.column("state").unwrap().null_count(), 1);
    assert_eq!(read.frame.column("label").unwrap().null_count(), 3);
    assert_eq!(
        checks(&read.reading.findings),
        vec!["value.oversized things.label", "schema.unspecified_value things.state"]
    );
}

#[test]
fn a_word_that_the_contract_does_not_list_is_kept_and_told() {
    let read = things().read_json(&good(3).replacen("\"active\"", "\"archived\"", 1)).unwrap();

    assert_eq!(cell(&read.frame, "state", 0), "\"archived\"");
    assert_eq!(checks(&read.reading.findings), vec!["schema.unknown_value things.state"]);
    assert!(!read.reading.findings[0].message.contains("archived"));
}

#[test]
fn a_value_out_of_range_is_not_held_back() {
    let read = things().read_json(&good(1).replace("1.5", "99.0")).unwrap();

    assert_eq!(cell(&read.frame, "weight", 0), "99.0");
}

#[test]
fn what_the_manifest_says_is_held_against_the_files() {
    let folder = Folder::new();
    let mut file = folder.with("part-0.jsonl.gz", &gz(&good(3)));

    let wrong_rows = things().expecting(4).read(std::slice::from_ref(&file)).map(|_| ()).unwrap_err();
    let no_file = things().expecting(4).read(&[]).map(|_| ()).unwrap_err();
    file.sha256 = Some("0".repeat(64));
    let wrong_hash = things().read(std::slice::from_ref(&file)).map(|_| ()).unwrap_err();
    file.sha256 = Some(crate::domain::ids::content_hash(&gz(&good(3))));
    let right = things().expecting(3).read(&[file]);

    assert_eq!(wrong_rows.to_string(), "the table `things` has 3 rows and the manifest promises 4");
    assert!(matches!(no_file, ReadError::NoFile { expected: 4, .. }));
    assert!(matches!(wrong_hash, ReadError::OtherHash { .. }));
    for error in [wrong_rows, no_file, wrong_hash] {
        assert_eq!(error.effect(), Effect::KeepsLastSnapshot);
    }
    assert!(right.is_ok());
}

#[test]
fn tsv_of_dap_is_read_with_its_prefixes_nulls_and_escapes() {
    let folder = Folder::new();
    let text = "meta.ts\tmeta.action\tkey.id\tvalue.state\tvalue.label\tvalue.weight\tvalue.settings.locale\tvalue.note\n\
                2026-01-01T00:00:00Z\tU\t1\tactive\ta\\tb\\\\c\\nd\t1.25\ten\tsecret\n\
                2026-01-01T00:00:00Z\tU\t2\tactive\t\\N\t\\N\t\\N\t\\N\n\
                2026-01-01T00:00:00Z\tD\t3\t\\N\t\\N\t\\N\t\\N\t\\N\n";

    let read = things().incremental().read(&[folder.with("part-0.tsv.gz", &gz(text))]).unwrap();

    assert_eq!((read.reading.rows, read.reading.deleted.height()), (2, 1));
    assert_eq!(read.frame.column("label").unwrap().str().unwrap().get(0), Some("a\tb\\c\nd"));
    assert_eq!(read.frame.column("label").unwrap().str().unwrap().get(1), None);
    assert_eq!(read.frame.column("settings").unwrap().str().unwrap().get(0), Some(r#"{"locale":"en"}"#));
    assert_eq!(read.frame.column("settings").unwrap().str().unwrap().get(1), None);
    assert!(checks(&read.reading.findings).contains(&"schema.missing_column things.size".to_owned()));
}

#[test]
fn csv_is_read_with_quoted_line_ends_and_a_mark() {
    let folder = Folder::new();
    let text =
        "\u{feff}id,state,label,size,mystery\r\n1,active,\"two\nlines, \"\"quoted\"\"\",,x\r\n007,deleted,NULL,5,x\r\n";

    let read = things().read(&[folder.with("things.csv", text.as_bytes())]).unwrap();

    assert_eq!(read.reading.rows, 2);
    assert_eq!(read.frame.column("label").unwrap().str().unwrap().get(0), Some("two\nlines, \"quoted\""));
    assert_eq!(read.frame.column("label").unwrap().null_count(), 1);
    assert_eq!(cell(&read.frame, "id", 1), "7");
    assert!(checks(&read.reading.findings).contains(&"schema.unknown_column things.mystery".to_owned()));
}

#[test]
fn a_csv_header_without_a_required_column_stops_the_table() {
    let folder = Folder::new();

    let error = things().read(&[folder.with("things.csv", b"id,label\n1,a\n")]).map(|_| ()).unwrap_err();

    assert!(matches!(&error, ReadError::MissingColumns { columns, .. } if columns == &["state"]), "{error}");
}

#[test]
fn a_csv_without_a_header_is_refused() {
    let folder = Folder::new();

    let error = things().read(&[folder.with("things.csv", b"1,active\n2,active\n")]).map(|_| ()).unwrap_err();

    insta::assert_snapshot!(error, @"the header of `things.csv` of the table `things` cannot be used: it names no column of the contract; is the first line a header?");
}

#[test]
fn a_quote_that_is_never_closed_does_not_swallow_rows_unseen() {
    let folder = Folder::new();
    let mut text = "id,state,label\n".to_owned();
    for id in 1..=500 {
        writeln!(text, "{id},active,{}", if id == 400 { "\"open" } else { "fine" }).unwrap();
    }

    let error = things().read(&[folder.with("things.csv", text.as_bytes())]).map(|_| ()).unwrap_err();

    assert!(matches!(error, ReadError::Corrupt { .. }), "{error}");
}

#[test]
fn a_missing_part_of_a_text_key_is_the_empty_text_and_any_other_key_is_held_back() {
    let folder = Folder::new();
    let mut text = "date,user_id,course_id,granularity,web_application_controller,page_views\n".to_owned();
    for day in 10..=29 {
        for course in 1..=10 {
            writeln!(text, "2026-01-{day},5,{course},day,,3").unwrap();
        }
    }
    text.push_str("2026-01-30,,1,day,files,3\n");

    let read = Reader::of("web_logs_daily").read(&[folder.with("web_logs_daily.csv.gz", &gz(&text))]).unwrap();

    assert_eq!(read.reading.rows, 200);
    assert_eq!(read.frame.column("web_application_controller").unwrap().str().unwrap().get(0), Some(""));
    assert_eq!(cell(&read.reading.quarantined, "rule", 0), "\"key.missing\"");
}

#[test]
fn a_grader_that_is_a_machine_is_auto_and_no_person_has_a_negative_id() {
    let mut text = String::new();
    for id in 1..=200 {
        let grader = if id == 1 { -17 } else { 9 };
        writeln!(
            text,
            r#"{{"id":{id},"course_id":1,"user_id":3,"assignment_id":2,"workflow_state":"graded","grader_id":{grader}}}"#
        )
        .unwrap();
    }
    text.push_str(r#"{"id":-1,"course_id":1,"user_id":3,"assignment_id":2,"workflow_state":"graded"}"#);
    text.push('\n');

    let read = Reader::of("submissions").read_json(&text).unwrap();

    let graders = read.frame.column("grader_id").unwrap().str().unwrap();
    assert_eq!(graders.get(0), Some("auto"));
    assert_eq!(graders.get(1), Some(PrivacyKey::demo().pseudonym("user", "9").as_str()));
    assert_eq!(cell(&read.reading.quarantined, "column", 0), "\"id\"");
}

#[test]
fn a_row_finds_its_term_through_its_course_or_its_enrolment() {
    let courses = r#"{"id":1,"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","workflow_state":"available","account_id":1,"enrollment_term_id":42}"#;
    let enrollment = |id: u32, course: u32| {
        format!(
            r#"{{"id":{id},"user_id":3,"course_id":{course},"course_section_id":1,"type":"StudentEnrollment","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","workflow_state":"active"}}"#
        )
    };
    let score =
        |id: u32| format!(r#"{{"id":{id},"enrollment_id":{id},"course_score":true,"workflow_state":"active"}}"#);

    let courses = Reader::of("courses").read_json(&format!("{courses}\n")).unwrap();
    let mut reader = Reader::of("enrollments");
    reader.terms.extend(courses.reading.terms);
    let enrollments = reader.read_json(&format!("{}\n{}\n", enrollment(5, 1), enrollment(6, 2))).unwrap();
    let mut reader = Reader::of("scores");
    reader.terms.extend(enrollments.reading.terms);
    let scores = reader.read_json(&format!("{}\n{}\n{}\n", score(5), score(6), score(7))).unwrap();

    let terms = |frame: &DataFrame| -> Vec<String> {
        frame.column(TERM).unwrap().str().unwrap().iter().map(|term| term.unwrap().to_owned()).collect()
    };
    assert_eq!(terms(&courses.frame), vec!["42"]);
    assert_eq!(terms(&enrollments.frame), vec!["42", "none"]);
    assert_eq!(terms(&scores.frame), vec!["42", "none", "none"]);
    assert_eq!(checks(&enrollments.reading.findings), vec!["rows.without_term enrollments"]);
    assert_eq!(checks(&scores.reading.findings), vec!["rows.without_term scores"]);
}

#[test]
fn frames_have_at_most_the_rows_asked_for_and_the_same_rows_whatever_their_size() {
    let text = good(25);
    let mut small = things();
    small.batch_rows = 7;

    let whole = things().read_json(&text).unwrap().frame;
    let parts = small.read_json(&text).unwrap().frame;

    assert!(whole.equals_missing(&parts));
}

#[test]
fn nothing_that_names_a_person_passes_the_door() {
    let secrets = [
        "9007199254740993",
        "71717171",
        "82828282",
        "Ada Invented",
        "Invented, Ada",
        "ada.invented",
        "ada@invented.example",
        "203.0.113.77",
        "SIS-ADA-1",
        "she/her",
        "my essay",
        "93939393",
    ];
    let tables = [
        (
            "users",
            r#"{"key":{"id":9007199254740993},"value":{"name":"Ada Invented","sortable_name":"Invented, Ada","short_name":"Ada Invented","pronouns":"she/her","uuid":"ada.invented","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","workflow_state":"registered","merged_into_user_id":71717171,"nickname":"Ada Invented"},"meta":{"ts":"x"}}"#,
        ),
        (
            "pseudonyms",
            r#"{"key":{"id":82828282},"value":{"user_id":9007199254740993,"unique_id":"ada@invented.example","sis_user_id":"SIS-ADA-1","last_login_ip":"203.0.113.77","account_id":1,"workflow_state":"active","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z"},"meta":{"ts":"x"}}"#,
        ),
        (
            "enrollments",
            r#"{"key":{"id":93939393},"value":{"user_id":9007199254740993,"sis_pseudonym_id":82828282,"course_id":1,"course_section_id":1,"type":"StudentEnrollment","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","workflow_state":"active"},"meta":{"ts":"x"}}"#,
        ),
        (
            "submissions",
            r#"{"key":{"id":71717171},"value":{"user_id":9007199254740993,"course_id":1,"assignment_id":1,"grader_id":71717171,"workflow_state":"submitted","body":"my essay","url":"ada.invented","grade":"Ada Invented","anonymous_id":"SIS-ADA-1"},"meta":{"ts":"x"}}"#,
        ),
    ];
    for (table, row) in tables {
        // The same row two hundred times, once with a text where an instant or an id belongs, once cut short.
        let mut text = format!("{row}\n").repeat(300);
        text.push_str(&row.replacen("\"2026-01-01T00:00:00Z\"", "\"Ada Invented\"", 1).replacen(
            "\"assignment_id\":1",
            "\"assignment_id\":\"Ada Invented\"",
            1,
        ));
        text.push('\n');
        text.push_str(&row[..row.len() - 20]);
        text.push('\n');

        let reader = Reader::of(table);
        let read = reader.read_json(&text).unwrap();
        let stopped = reader.read_json(&format!("{}\n", row.replace("2026", "Ada Invented"))).map(|_| ());

        assert_eq!(read.reading.rows, 300, "{table}");
        assert_eq!(read.reading.quarantined.height(), 2, "{table}");
        let mut seen =
            format!("{:?} {:?} {:?}", read.reading.findings, read.reading, stopped.map_err(|e| e.to_string()));
        for frame in [&read.frame, &read.reading.quarantined, &read.reading.deleted] {
            for column in frame.columns() {
                let texts = column.cast(&DataType::String).unwrap();
                for value in texts.str().unwrap().iter().flatten() {
                    seen.push_str(value);
                    seen.push('\n');
                }
            }
        }
        for secret in secrets {
            assert!(!seen.contains(secret), "{table}: {secret} passed the door");
        }
    }
}

#[test]
fn the_way_back_holds_the_ids_of_users_and_logins_only() {
    let row = r#"{"id":"007","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","workflow_state":"registered","merged_into_user_id":8}"#;

    let identities = Reader::of("users").read_json(&format!("{row}\n")).unwrap().reading.identities;

    assert_eq!(identities.len(), 1);
    assert_eq!(identities.id_of("user", &PrivacyKey::demo().pseudonym("user", "7")), Some("7"));
}
