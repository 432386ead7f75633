//! What a built partition promises, on an invented institution: no peeking, the same bytes, the rules of population,
//! features and labels.
//!
//! Course 10 (term 1) is over, course 20 (term 2) runs. Everything was first known on the evening of 2014-12-01.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::*;
use crate::domain::lineage::Basis;
use crate::features::catalogue::{Catalogue, Role, SetSource};
use crate::features::courses::{CourseRules, SetAside, read_courses};
use crate::features::fingerprint::fingerprint;
use crate::features::fixture::{part, rows, table, text};
use crate::features::plan::{PlanRequest, plan_labels, plan_partitions};

const FIRST: &str = "2014-12-01T23:59:59Z";
const SECOND: &str = "2014-12-08T23:59:59Z";

/// Lines of `column=value` pairs, by table and term.
#[derive(Clone)]
struct Institution(BTreeMap<(&'static str, &'static str), Vec<String>>);

impl Institution {
    fn new() -> Self {
        let mut new = Self(BTreeMap::new());
        let day_zero = "created_at=2012-09-01T00:00:00Z updated_at=2014-07-01T00:00:00Z";
        new.add("enrollment_terms", "none", "id=1 created_at=2012-09-01T00:00:00Z");
        for (id, term, start, end, state) in [
            ("10", "1", "2013-10-05T00:00:00Z", "2014-06-30T23:59:59Z", "completed"),
            ("20", "2", "2014-10-04T00:00:00Z", "2015-06-30T23:59:59Z", "available"),
        ] {
            new.add(
                "courses",
                term,
                &format!(
                    "id={id} account_id=1 enrollment_term_id={term} workflow_state={state} time_zone=Europe/London \
                 start_at={start} conclude_at={end} {day_zero}"
                ),
            );
            let year = &start[..4];
            for (number, due) in [(1, "10-14"), (2, "10-28"), (3, "12-20")] {
                new.add("assignments", term, &format!(
                    "id={id}{number} context_id={id} context_type=Course workflow_state=published \
                     due_at={year}-{due}T23:59:59Z points_possible=10 grading_type=points submission_types=online_upload \
                     omit_from_final_grade=false created_at=2012-09-01T00:00:00Z"
                ));
            }
            for student in 1..=5 {
                new.enrol(term, id, student, year);
            }
        }
        new
    }

    fn enrol(&mut self, term: &'static str, course: &str, student: u32, year: &str) {
        let created = format!("created_at={year}-08-01T09:00:00Z");
        let (state, updated) = match (term, student) {
            ("1", 5) => ("deleted", "updated_at=2014-01-10T09:00:00Z".to_owned()),
            ("1", _) => ("completed", "updated_at=2014-06-30T23:59:59Z completed_at=2014-06-30T23:59:59Z".to_owned()),
            _ => ("active", format!("updated_at={year}-08-01T09:00:00Z")),
        };
        self.add("enrollments", term, &format!(
            "id=e{course}-{student} user_id=u{student} course_id={course} type=StudentEnrollment workflow_state={state} \
             {created} {updated}"
        ));
        let mark = 30 + 10 * student;
        self.add(
            "scores",
            term,
            &format!(
                "id={course}{student} enrollment_id=e{course}-{student} course_score=true final_score={mark} {created} \
             updated_at=2014-06-30T23:59:59Z"
            ),
        );
        for (number, day) in [(1, "10-13"), (2, "10-29")] {
            if student > number {
                self.add("submissions", term, &format!(
                    "id=s{course}-{student}-{number} course_id={course} user_id=u{student} assignment_id={course}{number} \
                     workflow_state=graded submitted_at={year}-{day}T12:00:00Z posted_at={year}-{day}T18:00:00Z \
                     score={student}.5 cached_due_date={year}-10-{due}T23:59:59Z {created} updated_at={year}-{day}T18:00:00Z",
                    due = if number == 1 { 14 } else { 28 },
                ));
            }
        }
        for day in ["09-30", "10-06", "10-15", "10-18", "11-20", "11-29"] {
            let views = student * 3;
            self.add(
                "web_logs_daily",
                term,
                &format!("date={year}-{day} user_id=u{student} course_id={course} granularity=day page_views={views}"),
            );
        }
    }

    fn add(&mut self, table: &'static str, term: &'static str, line: &str) {
        self.0.entry((table, term)).or_default().push(line.to_owned());
    }

    /// Changes every line of `table` that holds `words`.
    fn change(&mut self, table: &'static str, term: &'static str, words: &str, change: impl Fn(&str) -> String) {
        let mut changed = 0;
        for line in self.0.get_mut(&(table, term)).unwrap().iter_mut().filter(|line| line.contains(words)) {
            *line = change(line);
            changed += 1;
        }
        assert!(changed > 0, "no line of {table} holds {words}");
    }

    /// Leaves out every line of `table` that holds `words`.
    fn leave_out(&mut self, table: &'static str, words: &str) {
        let terms = self.0.iter_mut().filter(|((name, _), _)| *name == table);
        terms.for_each(|(_, lines)| lines.retain(|line| !line.contains(words)));
    }

    /// Delivers a new version of the line of `table` that holds `words`, at the second delivery.
    fn deliver(&mut self, table: &'static str, term: &'static str, words: &str, change: impl Fn(&str) -> String) {
        let old = self.0[&(table, term)].iter().find(|line| line.contains(words)).unwrap().clone();
        self.change(table, term, words, |line| format!("{line} _known_to={SECOND}"));
        self.add(table, term, &format!("{} _known_from={SECOND}", change(&old)));
    }

    fn inputs(&self, folder: &Path) -> Inputs {
        let mut tables: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for ((name, term), lines) in &self.0 {
            let mut frame = rows(name, FIRST, lines);
            tables.entry(*name).or_default().push(part(folder, name, term, &mut frame));
        }
        Inputs::new(tables.into_iter().map(|(name, parts)| table(name, FIRST, parts)))
    }
}

fn request(date: &str) -> PlanRequest {
    PlanRequest {
        date: date.parse().unwrap(),
        zone: TimeZone::get("Europe/London").unwrap(),
        weeks: [2, 4].into(),
        grace: SignedDuration::from_hours(6),
    }
}

fn rules() -> CourseRules {
    CourseRules { accounts: None, default_zone: TimeZone::UTC }
}

fn plan(inputs: &Inputs) -> Vec<AsOf> {
    let request = request("2014-12-02");
    let courses = read_courses(inputs, request.cutoff().unwrap(), &rules()).unwrap();
    plan_partitions(&courses.eligible, &request).unwrap()
}

/// The Parquet bytes of every partition of both sets, by set and key.
fn partitions(institution: &Institution) -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let inputs = institution.inputs(folder.path());
    let catalogue = Catalogue::embedded().unwrap();
    let mut found = BTreeMap::new();
    for set in catalogue.sets().filter(|set| set.role == Role::Features) {
        for as_of in plan(&inputs) {
            let mut built = build_partition(set, &as_of, &inputs).unwrap();
            let mut bytes = Vec::new();
            ParquetWriter::new(&mut bytes).finish(&mut built.frame).unwrap();
            found.insert(format!("{} {}", set.name, as_of.key), bytes);
        }
    }
    found
}

static UNCHANGED: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| partitions(&Institution::new()));

/// The partitions in which `after` differs from the unchanged institution.
fn differing(after: &Institution) -> Vec<String> {
    let after = partitions(after);
    assert_eq!(UNCHANGED.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    UNCHANGED.iter().filter(|(key, bytes)| after[*key] != **bytes).map(|(key, _)| key.clone()).collect()
}

fn built(institution: &Institution, set: &str, key: &str) -> Built {
    let folder = tempfile::tempdir().unwrap();
    let inputs = institution.inputs(folder.path());
    let as_of = plan(&inputs).into_iter().find(|as_of| as_of.key == key).unwrap();
    build_partition(Catalogue::embedded().unwrap().features(set).unwrap(), &as_of, &inputs).unwrap()
}

fn labels(institution: &Institution, date: &str) -> Vec<Built> {
    let folder = tempfile::tempdir().unwrap();
    let inputs = institution.inputs(folder.path());
    let request = request(date);
    let courses = read_courses(&inputs, request.cutoff().unwrap(), &rules()).unwrap();
    let plan = plan_labels(&courses.eligible, SignedDuration::from_hours(7 * 24), &request).unwrap();
    let catalogue = Catalogue::embedded().unwrap();
    plan.iter().map(|as_of| build_partition(catalogue.label("at_risk").unwrap(), as_of, &inputs).unwrap()).collect()
}

/// The value of `column` in the row of the enrolment `id`.
fn value(built: &Built, id: &str, column: &str) -> String {
    let ids = built.frame.column("enrollment_id").unwrap();
    let row = ids.str().unwrap().iter().position(|found| found == Some(id)).unwrap();
    built.frame.column(column).unwrap().get(row).unwrap().to_string()
}

/// The logarithm as polars prints it.
fn log(number: f64) -> String {
    format!("{:.6}", number.ln()).trim_end_matches('0').to_owned()
}

#[test]
fn a_later_delivery_changes_no_partition_of_the_past() {
    let mut after = Institution::new();
    // A back-dated grade, a back-dated withdrawal, a course that ends earlier, and page views of long ago.
    after.deliver("submissions", "1", "id=s10-3-1", |line| line.replace("score=3.5", "score=9.5"));
    after.deliver("submissions", "2", "id=s20-3-1", |line| line.replace("score=3.5", "score=9.5"));
    after.deliver("enrollments", "1", "id=e10-4", |line| {
        line.replace("completed ", "deleted ")
            .replace("updated_at=2014-06-30T23:59:59Z", "updated_at=2013-10-10T09:00:00Z")
    });
    after.deliver("enrollments", "2", "id=e20-4", |line| line.replace("active", "deleted"));
    after.deliver("courses", "2", "id=20", |line| line.replace("2015-06-30", "2015-05-30"));
    for (course, term, year) in [("10", "1", "2013"), ("20", "2", "2014")] {
        after.add(
            "web_logs_daily",
            term,
            &format!(
                "date={year}-10-16 user_id=u2 course_id={course} granularity=day page_views=500 _known_from={SECOND}"
            ),
        );
    }

    assert_eq!(differing(&after), Vec::<String>::new());
}

#[test]
fn changing_the_future_changes_no_partition_of_the_past() {
    let mut after = Institution::new();
    after.change("submissions", "1", "assignment_id=102", |line| line.replace(".5 ", ".9 "));
    after.change("enrollments", "1", "id=e10-2", |line| {
        line.replace("completed ", "deleted ")
            .replace("updated_at=2014-06-30T23:59:59Z", "updated_at=2013-11-10T09:00:00Z")
    });
    after.change("web_logs_daily", "1", "date=2013-11-20", |line| line.replace("page_views=", "page_views=9"));
    after.change("scores", "1", "id=103", |line| line.replace("final_score=60", "final_score=10"));

    let late_graded = vec!["assessment 2013-11-03".to_owned()];
    assert_eq!(differing(&after), late_graded, "week 4 alone saw the scores of the second piece of work");
}

#[test]
fn changing_what_was_visible_changes_the_partitions_that_saw_it() {
    let mut after = Institution::new();
    after.change("web_logs_daily", "1", "date=2013-10-18 user_id=u2", |line| {
        line.replace("page_views=6", "page_views=7")
    });

    assert_eq!(differing(&after), vec!["engagement 2013-10-20", "engagement 2013-11-03"]);
}

/// A course without work or without students leaves steps of the SQL without rows.
#[test]
fn an_institution_of_any_size_has_its_partitions_whatever_table_is_empty() {
    let mut institutions = Vec::new();
    for table in ["assignments", "submissions", "web_logs_daily", "enrollments", "scores"] {
        let mut without = Institution::new();
        without.leave_out(table, "");
        institutions.push((format!("no {table}"), without));
    }
    for size in 0..=2 {
        let mut small = Institution::new();
        (size + 1..=5).for_each(|student| small.leave_out("enrollments", &format!("user_id=u{student} ")));
        institutions.push((format!("{size} students"), small));
    }

    for (what, institution) in institutions {
        for set in ["assessment", "engagement"] {
            let built = std::panic::catch_unwind(|| built(&institution, set, "2013-11-03"));
            let height = built.unwrap_or_else(|_| panic!("{set} with {what}")).frame.height();
            assert!(height <= 5, "{set} with {what}: {height} rows");
        }
        assert!(labels(&institution, "2014-12-02").len() == 1, "labels with {what}");
    }
}

#[test]
fn the_order_and_the_division_of_rows_do_not_matter() {
    let mut reversed = Institution::new();
    reversed.0.values_mut().for_each(|lines| lines.reverse());

    assert_eq!(differing(&reversed), Vec::<String>::new());
}

#[test]
fn a_fingerprint_covers_the_parts_of_its_terms_alone() {
    let folder = tempfile::tempdir().unwrap();
    let before = Institution::new();
    let mut after = before.clone();
    after.deliver("submissions", "2", "id=s20-3-1", |line| line.replace("score=3.5", "score=9.5"));
    let (before, after) = (before.inputs(folder.path()), after.inputs(folder.path()));
    let catalogue = Catalogue::embedded().unwrap();
    let changed = |set: &str| -> Vec<String> {
        let set = catalogue.features(set).unwrap();
        plan(&before)
            .iter()
            .filter(|as_of| fingerprint(set, as_of, &before).unwrap() != fingerprint(set, as_of, &after).unwrap())
            .map(|as_of| as_of.key.clone())
            .collect()
    };

    assert_eq!(changed("assessment"), vec!["2014-12-02"]);
    assert_eq!(changed("engagement"), Vec::<String>::new());
}

#[test]
fn a_cutoff_before_the_first_delivery_is_reconstructed_and_a_later_one_is_as_known() {
    let institution = Institution::new();

    assert_eq!(built(&institution, "assessment", "2013-10-20").basis, Basis::Reconstructed);
    assert_eq!(built(&institution, "assessment", "2014-12-02").basis, Basis::AsKnown);
}

#[test]
fn the_population_is_the_students_enrolled_at_the_cutoff() {
    let mut institution = Institution::new();
    let base = "course_id=20 created_at=2014-08-01T09:00:00Z";
    let early = "updated_at=2014-10-10T09:00:00Z";
    for (id, facts) in [
        ("test", format!("type=StudentViewEnrollment workflow_state=active {early}")),
        ("teacher", format!("type=TeacherEnrollment workflow_state=active {early}")),
        ("invited", format!("type=StudentEnrollment workflow_state=invited {early}")),
        ("left", format!("type=StudentEnrollment workflow_state=deleted {early}")),
        ("leaves", "type=StudentEnrollment workflow_state=deleted updated_at=2014-12-02T03:00:00Z".to_owned()),
    ] {
        institution.add("enrollments", "2", &format!("id=e-{id} user_id=u-{id} {base} {facts}"));
    }

    let built = built(&institution, "engagement", "2014-12-02");

    let ids: Vec<_> = built.frame.column("enrollment_id").unwrap().str().unwrap().iter().flatten().collect();
    assert_eq!(ids, ["e-leaves", "e20-1", "e20-2", "e20-3", "e20-4", "e20-5"]);
    assert_eq!((built.population, built.check.looked_at), (Some(6), 6));
}

#[test]
fn courses_that_do_not_count_stand_aside_with_their_reason() {
    let mut institution = Institution::new();
    let made = "enrollment_term_id=2 account_id=1 created_at=2014-08-01T00:00:00Z updated_at=2014-08-01T00:00:00Z";
    let dated = "start_at=2014-10-04T00:00:00Z conclude_at=2015-06-30T00:00:00Z";
    institution.add("courses", "2", &format!("id=30 workflow_state=claimed {dated} {made}"));
    institution.add("courses", "2", &format!("id=31 workflow_state=available {made}"));
    institution.add("courses", "2", &format!("id=32 workflow_state=available time_zone=Mars/Base {dated} {made}"));
    let other = made.replace("account_id=1", "account_id=2");
    institution.add("courses", "2", &format!("id=33 workflow_state=available {dated} {other}"));
    let folder = tempfile::tempdir().unwrap();
    let cutoff = request("2014-12-02").cutoff().unwrap();
    let rules = CourseRules { accounts: Some([1].into()), ..rules() };

    let courses = read_courses(&institution.inputs(folder.path()), cutoff, &rules).unwrap();

    assert_eq!(courses.eligible.iter().map(|course| course.course_id).collect::<Vec<_>>(), [10, 20, 32]);
    assert_eq!(courses.set_aside, [(30, SetAside::Unpublished), (31, SetAside::Sandbox), (33, SetAside::OtherAccount)]);
    assert_eq!(courses.unknown_zones, [(32, "Mars/Base".to_owned())]);
}

#[test]
fn engagement_counts_whole_days_before_the_cutoff() {
    let built = built(&Institution::new(), "engagement", "2013-10-20");

    let row = |column: &str| value(&built, "e10-2", column);
    assert_eq!(row("has_daily_views"), "1");
    assert_eq!(row("active_days_7d"), "2");
    assert_eq!(row("active_days"), "4");
    assert_eq!(row("days_since_activity"), "1.0");
    assert_eq!(row("views_log1p"), log(25.0));
    assert_eq!(row("views_before_start_log1p"), log(7.0));
    assert_eq!(row("views_7d_to_own_mean"), "1.333333");
    assert_eq!(row("views_standing"), "0.25");
}

#[test]
fn without_daily_rows_the_daily_features_are_null_and_sums_remain() {
    let mut institution = Institution::new();
    institution.0.remove(&("web_logs_daily", "1"));
    for (student, day, views) in
        [(1, "2013-10-04", 4), (1, "2013-10-19", 30), (2, "2013-10-04", 8), (2, "2013-10-19", 0)]
    {
        institution.add(
            "web_logs_daily",
            "1",
            &format!("date={day} user_id=u{student} course_id=10 granularity=bucket page_views={views}"),
        );
    }
    institution.add("web_logs_daily", "1", "date=2013-10-04 user_id=u3 course_id=10 granularity=bucket page_views=5");

    let built = built(&institution, "engagement", "2013-10-20");

    for column in ["views_7d_log1p", "active_days_7d", "active_days", "days_since_activity"] {
        assert_eq!(built.frame.column(column).unwrap().null_count(), 5, "{column}");
    }
    assert_eq!(value(&built, "e10-1", "has_daily_views"), "0");
    assert_eq!(value(&built, "e10-1", "views_log1p"), log(35.0));
    assert_eq!(value(&built, "e10-1", "recent_views_log1p"), log(3.0));
    assert_eq!(value(&built, "e10-1", "views_standing"), "1.0");
    assert_eq!(value(&built, "e10-3", "views_log1p"), "null", "the buckets of this student end too early");
}

#[test]
fn assessment_counts_what_was_due_handed_in_and_posted() {
    let built = built(&Institution::new(), "assessment", "2013-11-03");

    let of = |id: &str, columns: &[&str]| columns.iter().map(|column| value(&built, id, column)).collect::<Vec<_>>();
    let counts = ["due_count", "submitted_count", "missing_count", "late_count", "graded_count"];
    assert_eq!(of("e10-1", &counts), ["2", "0", "2", "0", "0"]);
    assert_eq!(of("e10-2", &counts), ["2", "1", "1", "0", "1"]);
    assert_eq!(of("e10-3", &counts), ["2", "2", "0", "1", "2"]);
    assert_eq!(of("e10-3", &["points_share", "graded_points_share", "score_last"]), ["0.35", "0.35", "0.35"]);
    assert_eq!(of("e10-1", &["points_share", "points_standing", "score_mean"]), ["0.0", "0.0", "null"]);
    assert_eq!(of("e10-3", &["days_since_submission"]), ["4.5"]);
}

#[test]
fn labels_come_a_lag_after_the_end_and_say_who_withdrew_or_failed() {
    let mut institution = Institution::new();
    let base = "user_id=u9 course_id=10 type=StudentEnrollment created_at=2013-08-01T09:00:00Z";
    let first_day = "workflow_state=deleted updated_at=2013-10-05T09:00:00Z";
    institution.add("enrollments", "1", &format!("id=e10-8 {base} {first_day}"));
    institution.add(
        "enrollments",
        "1",
        &format!("id=e10-9 {base} workflow_state=completed updated_at=2014-06-30T23:59:59Z"),
    );

    assert!(labels(&institution, "2014-07-08").is_empty());
    let known = labels(&institution, "2014-07-09");

    assert_eq!(known.len(), 1);
    let of = |column: &str| -> Vec<String> {
        let column = known[0].frame.column(column).unwrap();
        (0..column.len()).map(|row| column.get(row).unwrap().to_string()).collect()
    };
    assert_eq!(of("enrollment_id"), ["\"e10-1\"", "\"e10-2\"", "\"e10-3\"", "\"e10-4\"", "\"e10-5\""]);
    assert_eq!(of("at_risk"), ["1", "0", "0", "0", "1"]);
    assert_eq!(of("withdrew"), ["0", "0", "0", "0", "1"]);
    assert_eq!(known[0].left_out, 1, "nobody knows the mark of e10-9");
}

#[test]
fn a_frame_that_breaks_its_contract_is_refused_with_every_breach() {
    let sql = "SELECT p.enrollment_id, CAST(NULL AS DOUBLE) AS x, 1 AS extra FROM population AS p JOIN enrollments AS c ON c.course_id = p.course_id";
    let contract = r#"
        grain = "One row."
        key = ["enrollment_id"]
        owner = "tests"
        version = 1
        rows = "population"
        [columns]
        enrollment_id = { type = "text", about = "The enrolment.", class = "key" }
        x = { type = "float", about = "Nothing.", class = "behaviour" }
    "#;
    let build = |sql: &str| {
        let population_sql = &include_str!("../../../sql/features/population.sql").into();
        let source = SetSource { role: Role::Features, name: "demo", sql, contract, population_sql };
        let set = FeatureSet::new(&source).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let inputs = Institution::new().inputs(folder.path());
        let as_of = plan(&inputs).pop().unwrap();
        build_partition(&set, &as_of, &inputs).unwrap_err().to_string()
    };

    insta::assert_snapshot!(build(sql), @r"
    `demo` breaks its contract as of 2014-12-02:
      the SQL gives a column `extra` that the contract does not name
    ");
    insta::assert_snapshot!(build(&sql.replace(", 1 AS extra", "")), @r"
    `demo` breaks its contract as of 2014-12-02:
      `x` is never null by contract, but is in 25 of 25 rows
      25 rows share their key (enrollment_id) with another
      it has 25 rows where the population has 5
    ");
}

/// A column that is new or computed otherwise shows here; its order is that of the contract.
#[test]
fn the_first_row_of_each_shipped_set_is_as_agreed() {
    let institution = Institution::new();
    let first = |built: &Built| text(&built.frame.head(Some(1)));
    let sets = ["assessment", "engagement"];
    let mut rows: Vec<String> =
        sets.iter().map(|set| format!("{set}\n{}", first(&built(&institution, set, "2014-12-02")))).collect();
    rows.push(format!("at_risk\n{}", first(&labels(&institution, "2014-12-02")[0])));

    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../tests/snapshots/features");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("first_rows", rows.join("\n")));
}

#[test]
fn a_missing_table_is_named() {
    let mut institution = Institution::new();
    institution.0.retain(|(name, _), _| *name != "web_logs_daily");
    let folder = tempfile::tempdir().unwrap();
    let inputs = institution.inputs(folder.path());
    let as_of = plan(&inputs).pop().unwrap();

    let error = build_partition(Catalogue::embedded().unwrap().features("engagement").unwrap(), &as_of, &inputs);

    insta::assert_snapshot!(
        error.unwrap_err(),
        @"`engagement` reads the table `web_logs_daily`, which no source has delivered; there are assignments, courses, enrollment_terms, enrollments, scores, submissions"
    );
}
