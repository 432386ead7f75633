//! Tests of the export as its readers see it: files in a folder, on consecutive dates.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use jiff::civil::date;
use serde_json::Value;

use super::*;

#[test]
fn the_same_options_and_date_give_the_same_bytes() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());

    let one = generate(&small(), date(2025, 3, 4), &first.path().join("export")).unwrap();
    let two = generate(&small(), date(2025, 3, 4), &second.path().join("export")).unwrap();

    assert_eq!(one, two);
    let manifest = |folder: &Path| fs::read(folder.join("export/manifest.json")).unwrap();
    assert_eq!(manifest(first.path()), manifest(second.path()));
    for table in &one.tables {
        let bytes = fs::read(first.path().join("export").join(table.file)).unwrap();
        assert_eq!(content_hash(&bytes), table.sha256);
    }
}

#[test]
fn the_next_day_differs_only_by_what_happened_in_the_day() {
    for day in [date(2025, 3, 4), date(2025, 1, 5), date(2025, 5, 4), date(2025, 9, 1)] {
        let next = day.tomorrow().unwrap();
        let (before, after) = (export(&small(), day), export(&small(), next));
        let (from, until) = (start_of(day), start_of(next));

        for (table, old) in &before {
            let new = &after[table];
            for (key, row) in new {
                if old.get(key) == Some(row) {
                    continue;
                }
                let changed_at = changed_at(&after, table, row);
                assert!(
                    changed_at >= from && changed_at < until,
                    "{table} {key} of {next} changed at {changed_at}, outside its day: {row}"
                );
            }
            assert!(old.keys().all(|key| new.contains_key(key)), "{table} of {next} lost rows");
        }
    }
}

#[test]
fn nothing_that_has_happened_lies_at_or_after_the_date() {
    const PLANNED: [&str; 7] =
        ["start_at", "end_at", "conclude_at", "due_at", "cached_due_date", "unlock_at", "lock_at"];
    for day in [date(2024, 1, 1), date(2025, 3, 4), date(2025, 8, 31)] {
        let before = start_of(day);

        for (table, rows) in export(&small(), day) {
            if table == "web_logs_daily" {
                assert!(rows.keys().all(|key| key.as_str() < day.to_string().as_str()));
            }
            for row in rows.values().filter(|row| row.starts_with('{')) {
                let row: Value = serde_json::from_str(row).unwrap();
                for (column, value) in row["value"].as_object().unwrap() {
                    let text = value.as_str().unwrap_or_default();
                    if column.ends_with("_at") && !PLANNED.contains(&column.as_str()) {
                        assert!(text < before.as_str(), "{table}.{column} is {text} in an export as of {before}");
                    }
                }
                assert!(row["meta"]["ts"].as_str().unwrap() < before.as_str());
            }
        }
    }
}

#[test]
fn a_standing_export_is_left_alone_and_a_harmed_one_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("export");
    let day = date(2025, 3, 4);
    let first = generate(&small(), day, &out).unwrap();

    let again = generate(&small(), day, &out).unwrap();
    fs::write(out.join("users/part-00000.jsonl.gz"), b"harmed").unwrap();
    let mended = generate(&small(), day, &out).unwrap();
    let moved = generate(&small(), date(2025, 3, 5), &out).unwrap();

    assert_eq!((first.state, again.state), (SimState::Written, SimState::UpToDate));
    assert_eq!((mended.state, &mended.tables), (SimState::Written, &first.tables));
    assert_eq!((moved.state, moved.as_of), (SimState::Written, date(2025, 3, 5)));
    let names = |path: &Path| fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(names(folder.path()), ["export"], "something was left beside the export");
}

#[test]
fn what_an_interrupted_call_left_aside_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("export");
    let rest = folder.path().join(".export.partial/users");
    fs::create_dir_all(&rest).unwrap();
    fs::write(rest.join("part-00009.jsonl.gz"), b"half").unwrap();

    generate(&small(), date(2025, 3, 4), &out).unwrap();

    assert!(!out.join("users/part-00009.jsonl.gz").exists());
    assert!(!folder.path().join(".export.partial").exists());
}

#[test]
fn a_folder_of_someone_else_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();

    let error = generate(&small(), date(2025, 3, 4), folder.path()).unwrap_err();

    assert!(matches!(error, SimError::Foreign { .. }));
    assert!(folder.path().join("thesis.txt").exists());
}

#[test]
fn a_date_before_the_first_term_is_refused_with_the_first_possible_one() {
    let out = tempfile::tempdir().unwrap();

    let error = generate(&small(), date(2023, 12, 31), out.path()).unwrap_err();

    let text = error.to_string();
    assert!(text.contains("2024-01-01") && text.contains("2023-12-31"), "{text}");
    assert!(generate(&small(), date(2024, 1, 1), &out.path().join("first")).is_ok());
}

#[test]
fn what_cannot_be_simulated_is_refused_with_what_is_allowed() {
    let out = tempfile::tempdir().unwrap();
    let odd = SimOptions { students: 3, zone: "Nowhere".to_owned(), ..small() };

    let options = generate(&odd, date(2025, 1, 1), out.path()).unwrap_err().to_string();
    let late = generate(&small(), date(2054, 1, 5), out.path()).unwrap_err().to_string();

    assert!(options.contains("`students` is 3") && options.contains("`zone` is `Nowhere`"), "{options}");
    assert!(late.contains("an earlier date"), "{late}");
}

#[test]
fn the_cases_that_real_data_hold_are_there() {
    let tables = export(&SimOptions { students: 120, ..small() }, date(2025, 4, 20));
    let values = |table: &str| -> Vec<(i64, Value)> {
        let rows = tables[table].values().map(|row| serde_json::from_str::<Value>(row).unwrap());
        rows.map(|row| (row["key"]["id"].as_i64().unwrap(), row["value"].clone())).collect()
    };

    let courses = values("courses");
    let enrollments = values("enrollments");
    let mut sections: BTreeMap<(i64, i64), BTreeSet<&str>> = BTreeMap::new();
    let mut per_course: BTreeMap<(i64, i64), Vec<&Value>> = BTreeMap::new();
    for (_, row) in &enrollments {
        let key = (row["user_id"].as_i64().unwrap(), row["course_id"].as_i64().unwrap());
        sections.entry(key).or_default().insert(row["workflow_state"].as_str().unwrap());
        per_course.entry(key).or_default().push(row);
    }
    let of_type = |role: &str| enrollments.iter().filter(|(_, row)| row["type"] == role).count();
    assert_eq!(of_type("StudentViewEnrollment"), courses.len());
    assert_eq!(of_type("TeacherEnrollment"), courses.len());
    assert!(courses.iter().any(|(_, row)| row["workflow_state"] == "claimed"));
    assert!(courses.iter().any(|(_, row)| row["time_zone"] == REMOTE_ZONE));
    assert!(courses.iter().any(|(_, row)| row["account_id"] == 3));
    assert!(
        per_course.values().any(|rows| rows.len() == 2 && rows[0]["course_section_id"] != rows[1]["course_section_id"])
    );
    let returned = |rows: &Vec<&Value>| {
        rows.len() == 2
            && rows[0]["workflow_state"] == "deleted"
            && rows[0]["updated_at"].as_str() < rows[1]["created_at"].as_str()
    };
    assert!(per_course.values().any(returned));
    let starts: BTreeMap<i64, &str> =
        courses.iter().map(|(id, row)| (*id, row["start_at"].as_str().unwrap())).collect();
    let dropped = |row: &Value| {
        row["workflow_state"] == "deleted"
            && row["updated_at"].as_str().unwrap() < starts[&row["course_id"].as_i64().unwrap()]
    };
    assert!(enrollments.iter().any(|(_, row)| dropped(row)));
    assert!(values("users").iter().any(|(id, _)| *id > 1 << 53));
    assert!(values("users").iter().any(|(_, row)| !row["name"].as_str().unwrap().is_ascii()));
    assert!(values("assignments").iter().any(|(_, row)| row["omit_from_final_grade"] == true));
    let submissions = values("submissions");
    for state in ["graded", "submitted", "unsubmitted"] {
        assert!(submissions.iter().any(|(_, row)| row["workflow_state"] == state), "no submission is {state}");
    }
    assert!(submissions.iter().any(|(_, row)| row["excused"] == true && row["score"].is_null()));
    assert!(submissions.iter().any(|(_, row)| !row["graded_at"].is_null() && row["posted_at"].is_null()));
    assert!(submissions.iter().any(|(_, row)| row["late_policy_status"] == "late"));
}

#[test]
fn keys_are_unique_and_references_hold() {
    let tables = export(&small(), date(2025, 3, 4));
    let ids = |table: &str| -> BTreeSet<i64> { tables[table].keys().map(|key| key.parse().unwrap()).collect() };
    let (users, courses, assignments) = (ids("users"), ids("courses"), ids("assignments"));

    for row in tables["submissions"].values().chain(tables["enrollments"].values()) {
        let row: Value = serde_json::from_str(row).unwrap();
        let value = &row["value"];
        assert!(users.contains(&value["user_id"].as_i64().unwrap()));
        assert!(courses.contains(&value["course_id"].as_i64().unwrap()));
        assert!(value["assignment_id"].as_i64().is_none_or(|id| assignments.contains(&id)));
    }
    let enrollments = ids("enrollments");
    for row in tables["scores"].values() {
        let row: Value = serde_json::from_str(row).unwrap();
        assert!(enrollments.contains(&row["value"]["enrollment_id"].as_i64().unwrap()));
    }
}

#[test]
fn a_quarter_of_the_students_fail_or_withdraw_and_quiet_ones_do_so_more_often() {
    let tables = export(&SimOptions { students: 150, ..small() }, date(2025, 1, 6));
    let value = |row: &String| serde_json::from_str::<Value>(row).unwrap()["value"].clone();
    let finals: BTreeMap<i64, f64> = tables["scores"]
        .values()
        .map(value)
        .map(|row| (row["enrollment_id"].as_i64().unwrap(), row["final_score"].as_f64().unwrap()))
        .collect();
    let starts: BTreeMap<i64, String> = tables["courses"]
        .iter()
        .map(|(id, row)| (id.parse().unwrap(), value(row)["start_at"].as_str().unwrap().to_owned()))
        .collect();
    let mut views: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for row in tables["web_logs_daily"].values() {
        let cells: Vec<&str> = row.split(',').collect();
        *views.entry((cells[1].parse().unwrap(), cells[2].parse().unwrap())).or_default() +=
            cells[5].parse::<i64>().unwrap();
    }
    let mut outcomes: Vec<(i64, bool)> = Vec::new();
    for (id, row) in &tables["enrollments"] {
        let row = value(row);
        let course = row["course_id"].as_i64().unwrap();
        let is_deleted = row["workflow_state"] == "deleted";
        let is_gone_early = is_deleted && row["updated_at"].as_str().unwrap() < starts[&course].as_str();
        if row["type"] != "StudentEnrollment" || course >= 4000 || is_gone_early {
            continue;
        }
        let seen = views.get(&(row["user_id"].as_i64().unwrap(), course)).copied().unwrap_or(0);
        outcomes.push((seen, is_deleted || finals[&id.parse::<i64>().unwrap()] < 50.0));
    }
    outcomes.sort_unstable();

    let share = |part: &[(i64, bool)]| part.iter().filter(|(_, at_risk)| *at_risk).count() as f64 / part.len() as f64;
    let (quiet, busy) = outcomes.split_at(outcomes.len() / 2);

    assert!((0.2..0.35).contains(&share(&outcomes)), "the base rate is {}", share(&outcomes));
    assert!(share(quiet) > 2.0 * share(busy));
    assert!(share(busy) > 0.01);
}

#[test]
fn the_default_institution_has_the_size_that_the_first_night_is_made_for() {
    let folder = tempfile::tempdir().unwrap();

    let summary = generate(&SimOptions::default(), date(2026, 11, 20), &folder.path().join("export")).unwrap();

    assert!((150_000..200_000).contains(&summary.rows()), "{} rows", summary.rows());
    assert_eq!(summary.at, "2026-11-20T05:00:00Z");
}

/// A trouble as a site would write it.
fn troubled(trouble: &str) -> SimOptions {
    SimOptions { troubles: vec![toml::from_str(trouble).unwrap()], ..small() }
}

/// The hashes of an export's files, by table.
fn hashes(options: &SimOptions, day: Date) -> BTreeMap<&'static str, String> {
    let folder = tempfile::tempdir().unwrap();
    let summary = generate(options, day, &folder.path().join("export")).unwrap();
    summary.tables.into_iter().map(|table| (table.name, table.sha256)).collect()
}

#[test]
fn a_trouble_changes_its_own_table_alone_and_nothing_before_its_date() {
    // A term ends between the two dates.
    let (before, after) = (date(2025, 4, 24), date(2025, 5, 6));
    let (clean_before, clean) = (hashes(&small(), before), hashes(&small(), after));
    let kinds = [
        ("volume_drop", "submissions"),
        ("doubled_delivery", "enrollments"),
        ("null_burst", "submissions"),
        ("unit_change", "scores"),
        ("schema_change", "web_logs_daily"),
        ("key_duplicates", "submissions"),
        ("orphan_rows", "submissions"),
        ("shifted_times", "submissions"),
        ("changed_grading_scale", "submissions"),
        ("broken_label", "enrollments"),
        ("stale_model", "scores"),
    ];
    for (kind, table) in kinds {
        let options = troubled(&format!("kind = '{kind}'\nfrom = '2025-04-25'"));

        let (early, late) = (hashes(&options, before), hashes(&options, after));

        assert_eq!(early, clean_before, "{kind}");
        let changed: Vec<&str> =
            clean.iter().filter(|(name, hash)| late[*name] != **hash).map(|(name, _)| *name).collect();
        assert_eq!(changed, [table], "{kind}");
        assert_eq!(hashes(&options, after), late, "{kind}: the same troubles give the same bytes");
    }
}

#[test]
fn a_trouble_that_hits_no_row_changes_no_byte() {
    for table in crate::config::SIMULATED_TABLES {
        let none = troubled(&format!("kind = 'volume_drop'\nfrom = '2025-01-01'\ntable = '{table}'\nsize = 1e-15"));

        assert_eq!(hashes(&none, date(2025, 3, 4)), hashes(&small(), date(2025, 3, 4)), "{table}");
    }
}

#[test]
fn a_late_source_delivers_the_export_of_the_day_before_and_a_late_table_none() {
    let (last, day) = (date(2025, 3, 4), date(2025, 3, 7));
    let whole = troubled("kind = 'late_source'\nfrom = '2025-03-05'");
    let table = troubled("kind = 'late_source'\nfrom = '2025-03-05'\ntable = 'users'");

    let late = hashes(&table, day);

    assert_eq!(hashes(&whole, day), hashes(&small(), last));
    assert_eq!(late.len(), TABLES.len() - 1);
    assert!(!late.contains_key("users") && late["courses"] == hashes(&small(), day)["courses"]);
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("export");
    let states = [(); 2].map(|()| generate(&table, day, &out).unwrap().state);
    assert_eq!(states, [SimState::Written, SimState::UpToDate], "an export without a table is complete all the same");
}

fn small() -> SimOptions {
    SimOptions { students: 60, courses_per_term: 6, ..SimOptions::default() }
}

fn start_of(day: Date) -> String {
    day.to_zoned(TimeZone::get("America/Detroit").unwrap())
        .unwrap()
        .timestamp()
        .strftime("%Y-%m-%dT%H:%M:%S.000Z")
        .to_string()
}

/// Returns the tables as rows by key; a CSV row without an id is its own key.
fn export(options: &SimOptions, day: Date) -> BTreeMap<String, BTreeMap<String, String>> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("export");
    let summary = generate(options, day, &out).unwrap();
    let mut tables = BTreeMap::new();
    for table in &summary.tables {
        let mut text = String::new();
        flate2::read::GzDecoder::new(fs::File::open(out.join(table.file)).unwrap()).read_to_string(&mut text).unwrap();
        let is_csv = table.file.ends_with(".csv.gz");
        let mut rows = BTreeMap::new();
        for line in text.lines().skip(usize::from(is_csv)) {
            let key = match line.strip_prefix("{\"key\":{\"id\":") {
                Some(rest) => rest[..rest.find('}').unwrap()].to_owned(),
                None => line.to_owned(),
            };
            assert!(rows.insert(key, line.to_owned()).is_none(), "{} has a key twice", table.name);
        }
        assert_eq!(u64::try_from(rows.len()).unwrap(), table.rows);
        tables.insert(table.name.to_owned(), rows);
    }
    tables
}

/// Returns when a row says it last changed.
fn changed_at(tables: &BTreeMap<String, BTreeMap<String, String>>, table: &str, row: &str) -> String {
    if table == "web_logs_daily" {
        let day: Date = row[..10].parse().unwrap();
        return start_of(day);
    }
    if table == "demographics" {
        let enrollment = row.split(',').next().unwrap();
        return changed_at(tables, "enrollments", &tables["enrollments"][enrollment]);
    }
    let row: Value = serde_json::from_str(row).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    text(&row["meta"]["ts"]).max(text(&row["value"]["last_activity_at"]))
}
