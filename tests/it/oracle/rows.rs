//! Generated rows, the same for both engines: drawn from a seed, few different values, so that there are ties and matches.

use polars::prelude::*;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Float,
    Text,
    Bool,
    /// Microseconds since 1970.
    Time,
    /// Days since 1970.
    Date,
}

/// A table and its rows.
pub(super) struct Table {
    pub(super) name: String,
    columns: Vec<(String, Kind)>,
    rows: Vec<Vec<Value>>,
}

const DAY: i64 = 86_400_000_000;

/// 2014-12-02, the cutoff.
const TODAY: i64 = 16_406;

/// Far away, just before 1970, and around the cutoff.
const TIMES: [i64; 9] = [
    -62_104_060_800_000_000,
    -1,
    0,
    TODAY * DAY,
    TODAY * DAY - 1,
    TODAY * DAY + 1,
    TODAY * DAY - 45 * DAY / 2,
    253_000_000_000_000_000,
    TODAY * DAY + 3 * DAY,
];

impl Kind {
    pub(super) fn of(dtype: &DataType) -> Self {
        match dtype {
            DataType::Boolean => Self::Bool,
            DataType::String => Self::Text,
            DataType::Datetime(..) => Self::Time,
            DataType::Date => Self::Date,
            DataType::Float64 | DataType::Float32 => Self::Float,
            _ => Self::Int,
        }
    }

    fn of_word(word: &str) -> Self {
        match word {
            "float" => Self::Float,
            "text" => Self::Text,
            "bool" => Self::Bool,
            "time" => Self::Time,
            "date" => Self::Date,
            _ => Self::Int,
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Self::Int => "BIGINT",
            Self::Float => "DOUBLE PRECISION",
            Self::Text => "TEXT",
            Self::Bool => "BOOLEAN",
            Self::Time => "TIMESTAMP",
            Self::Date => "DATE",
        }
    }

    fn literal(self, value: &Value) -> String {
        match (self, value) {
            (_, Value::Null) => "NULL".to_owned(),
            (Self::Time, value) => format!("'{}'", civil(value.as_i64().unwrap())),
            (Self::Date, value) => format!("'{}'", civil(value.as_i64().unwrap() * DAY).date()),
            (_, Value::String(text)) => format!("'{}'", text.replace('\'', "''")),
            (_, value) => value.to_string(),
        }
    }
}

fn civil(micros: i64) -> jiff::civil::DateTime {
    jiff::Timestamp::from_microsecond(micros).unwrap().to_zoned(jiff::tz::TimeZone::UTC).datetime()
}

impl Table {
    /// Makes a table of columns such as `id:int name:text`.
    fn new(name: &str, columns: &str, rows: Vec<Vec<Value>>) -> Self {
        let column = |text: &str| {
            let (name, kind) = text.split_once(':').unwrap();
            (name.to_owned(), Kind::of_word(kind))
        };
        Self { name: name.to_owned(), columns: columns.split_whitespace().map(column).collect(), rows }
    }

    pub(super) fn frame(&self) -> DataFrame {
        let column = |(at, (name, kind)): (usize, &(String, Kind))| {
            let values = || self.rows.iter().map(move |row| &row[at]);
            let name = PlSmallStr::from(name.as_str());
            let whole = |dtype: DataType| {
                Column::new(name.clone(), values().map(Value::as_i64).collect::<Vec<_>>()).cast(&dtype).unwrap()
            };
            match kind {
                Kind::Int => whole(DataType::Int64),
                Kind::Time => whole(DataType::Datetime(TimeUnit::Microseconds, None)),
                Kind::Date => {
                    let days = whole(DataType::Int32);
                    days.cast(&DataType::Date).unwrap()
                }
                Kind::Float => Column::new(name.clone(), values().map(Value::as_f64).collect::<Vec<_>>()),
                Kind::Text => Column::new(name.clone(), values().map(Value::as_str).collect::<Vec<_>>()),
                Kind::Bool => Column::new(name.clone(), values().map(Value::as_bool).collect::<Vec<_>>()),
            }
        };
        DataFrame::new(self.rows.len(), self.columns.iter().enumerate().map(column).collect()).unwrap()
    }

    /// Returns the statements that make the table in PostgreSQL.
    pub(super) fn statements(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|(name, kind)| format!("{name} {}", kind.sql())).collect();
        let mut statements = format!("CREATE TABLE {} ({});\n", self.name, columns.join(", "));
        for row in &self.rows {
            let values: Vec<String> =
                row.iter().zip(&self.columns).map(|(value, (_, kind))| kind.literal(value)).collect();
            statements.push_str(&format!("INSERT INTO {} VALUES ({});\n", self.name, values.join(", ")));
        }
        statements
    }
}

struct Draw(ChaCha8Rng);

impl Draw {
    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.0.random_range(0..of.len())].clone()
    }

    /// One of these, or null in a share of cases.
    fn maybe<T: Clone + Into<Value>>(&mut self, of: &[T], nulls: f64) -> Value {
        if self.0.random_bool(nulls) { Value::Null } else { self.one(of).into() }
    }

    fn whole(&mut self, from: i64, to: i64) -> i64 {
        self.0.random_range(from..to)
    }
}

/// The tables of the queries: `lefts`, `rights` (of the same columns) and `nothing` (without rows). With the last seed
/// `rights` has no rows either.
pub(super) fn small_tables(seed: u64) -> Vec<Table> {
    let mut draw = Draw(ChaCha8Rng::seed_from_u64(seed));
    let columns = "id:int k:int x:int f:float s:text w:text b:bool t:time d:date u:time";
    let mut rows = |count: i64| -> Vec<Vec<Value>> {
        let texts = ["", "a", "A", "b", "ab", "a.b", "ä", "学生", "a\nb", "zz"];
        let floats = [-2.5, -1.0, -0.5, 0.0, 0.5, 1e-9, 1.5, 3.25, 123_456.789];
        let days: Vec<i64> = TIMES.iter().map(|time| time.div_euclid(DAY)).collect();
        (0..count)
            .map(|id| {
                vec![
                    json!(id),
                    draw.maybe(&[0, 1, 2, 3, -1], 0.2),
                    draw.maybe(&[-5, -3, -1, 0, 1, 2, 2, 7], 0.25),
                    draw.maybe(&floats, 0.2),
                    draw.maybe(&texts, 0.2),
                    json!(draw.one(&["a", "Ab", "zZ"])),
                    draw.maybe(&[true, false], 0.3),
                    draw.maybe(&TIMES, 0.2),
                    draw.maybe(&days, 0.2),
                    draw.maybe(&TIMES[1..7], 0.2),
                ]
            })
            .collect()
    };
    let (lefts, rights) = (rows(60), rows(if seed == 3 { 0 } else { 25 }));
    vec![
        Table::new("lefts", columns, lefts),
        Table::new("rights", columns, rights),
        Table::new("nothing", columns, Vec::new()),
    ]
}

/// A small institution, as a build sees its tables at the cutoff, and the calendar of its courses.
pub(super) fn institution(seed: u64) -> Vec<Table> {
    let mut draw = Draw(ChaCha8Rng::seed_from_u64(100 + seed));
    let courses = 6;
    let users: Vec<String> = (0..40).map(|n| format!("ü{n:02}")).collect();
    let mut tables = calendar(&mut draw, courses);
    let enrolments: Vec<(String, String, i64)> =
        (0..140).map(|n| (format!("e{n:03}"), users[n % users.len()].clone(), i64::try_from(n % 6).unwrap())).collect();
    tables.push(enrollments(&mut draw, &enrolments));
    tables.push(scores(&mut draw, &enrolments));
    let assignments = assignments(&mut draw, courses);
    tables.push(submissions(&mut draw, &enrolments, &assignments));
    tables.push(assignments);
    tables.push(web_logs(&mut draw, &enrolments));
    tables
}

/// Returns the population that a query selected, as a table.
pub(super) fn population(frame: &DataFrame) -> Table {
    let columns = "enrollment_id:text user_id:text course_id:int term:text course_week:int week_exact:float";
    let value = |value: AnyValue<'_>| match value {
        AnyValue::Null => Value::Null,
        AnyValue::String(text) => json!(text),
        AnyValue::StringOwned(text) => json!(text.as_str()),
        AnyValue::Int64(number) => json!(number),
        number => json!(number.extract::<f64>()),
    };
    let row = |row: usize| {
        columns
            .split_whitespace()
            .map(|column| {
                let name = column.split(':').next().unwrap();
                value(frame.column(name).unwrap().get(row).unwrap())
            })
            .collect()
    };
    Table::new("population", columns, (0..frame.height()).map(row).collect())
}

fn at(day: i64, draw: &mut Draw) -> i64 {
    day * DAY + draw.whole(0, 24) * (DAY / 24)
}

fn calendar(draw: &mut Draw, courses: i64) -> Vec<Table> {
    let (mut calendar, mut table) = (Vec::new(), Vec::new());
    for course in 0..courses {
        // Some have ended long enough ago for their labels to be known, some are in progress.
        let start = TODAY - if course % 2 == 0 { 140 } else { 60 };
        let days = TODAY - start;
        let conclude = json!((start + 100) * DAY);
        calendar.push(vec![
            json!(course),
            json!("1"),
            json!(days / 7),
            json!(days),
            json!(days as f64 / 7.0),
            json!(start * DAY),
            conclude,
        ]);
        table.push(vec![json!(course), draw.maybe(&["available", "completed"], 0.3)]);
    }
    table[5][1] = json!("unpublished");
    let columns =
        "course_id:int term:text course_week:int last_day:int week_exact:float start_at:time conclude_at:time";
    vec![Table::new("calendar", columns, calendar), Table::new("courses", "id:int workflow_state:text", table)]
}

fn enrollments(draw: &mut Draw, enrolments: &[(String, String, i64)]) -> Table {
    let states = ["active", "active", "active", "completed", "deleted", "inactive", "invited"];
    let rows = enrolments.iter().map(|(id, user, course)| {
        let start = TODAY - if course % 2 == 0 { 140 } else { 60 };
        let changed = start + draw.whole(-2, 130);
        vec![
            json!(id),
            json!(user),
            json!(course),
            json!(draw.one(&["StudentEnrollment", "StudentEnrollment", "StudentEnrollment", "TeacherEnrollment"])),
            json!(draw.one(&states)),
            json!(at(start - 3, draw)),
            json!(at(changed, draw)),
            draw.maybe(&[TODAY * DAY, (TODAY - 5) * DAY, (TODAY + 5) * DAY], 0.5),
        ]
    });
    let columns = "id:text user_id:text course_id:int type:text workflow_state:text created_at:time updated_at:time completed_at:time";
    Table::new("enrollments", columns, rows.collect())
}

fn scores(draw: &mut Draw, enrolments: &[(String, String, i64)]) -> Table {
    let marks = [0.0, 12.5, 49.999, 50.0, 71.25, 100.0];
    let rows = enrolments.iter().flat_map(|(id, _, _)| [true, false].map(|whole| (id, whole))).map(|(id, whole)| {
        vec![json!(id), json!(whole), draw.maybe(&[7], 0.8), draw.maybe(&marks, 0.2), draw.maybe(&marks, 0.8)]
    });
    let columns = "enrollment_id:text course_score:bool grading_period_id:int final_score:float override_score:float";
    Table::new("scores", columns, rows.collect())
}

fn assignments(draw: &mut Draw, courses: i64) -> Table {
    let rows = (0..courses * 7).map(|id| {
        let course = id % courses;
        let start = TODAY - if course % 2 == 0 { 140 } else { 60 };
        let due = at(start + draw.whole(1, 100), draw);
        vec![
            json!(id),
            json!(course),
            json!(draw.one(&["Course", "Course", "Course", "Group"])),
            json!(draw.one(&["published", "published", "published", "unpublished"])),
            draw.maybe(&[due], 0.1),
            draw.maybe(&[0.0, 5.0, 10.0, 12.5, 100.0], 0.1),
            draw.maybe(&["points", "percent", "not_graded"], 0.3),
            draw.maybe(&["[\"online_upload\"]", "[\"on_paper\"]", "[\"none\"]"], 0.2),
            draw.maybe(&[false, false, true], 0.3),
            draw.maybe(&[false, false, true], 0.3),
        ]
    });
    let columns = "id:int context_id:int context_type:text workflow_state:text due_at:time points_possible:float \
        grading_type:text submission_types:text omit_from_final_grade:bool only_visible_to_overrides:bool";
    Table::new("assignments", columns, rows.collect())
}

fn submissions(draw: &mut Draw, enrolments: &[(String, String, i64)], assignments: &Table) -> Table {
    let mut rows = Vec::new();
    for (_, user, course) in enrolments {
        for assignment in assignments.rows.iter().filter(|row| row[1] == json!(course)) {
            if draw.0.random_bool(0.25)
                || rows.iter().any(|row: &Vec<Value>| row[0] == assignment[0] && row[1] == json!(user))
            {
                continue;
            }
            let due = assignment[4].as_i64().unwrap_or(TODAY * DAY);
            let (handed_in, posted) = (due + draw.whole(-72, 72) * (DAY / 24), due + draw.whole(0, 20) * DAY);
            rows.push(vec![
                assignment[0].clone(),
                json!(user),
                json!(draw.one(&["submitted", "graded", "unsubmitted", "deleted"])),
                draw.maybe(&[handed_in], 0.3),
                draw.maybe(&[posted], 0.4),
                draw.maybe(&[0.0, 1.25, 5.0, 9.999, 10.0], 0.2),
                draw.maybe(&[due + DAY], 0.8),
                draw.maybe(&[false, false, false, true], 0.3),
            ]);
        }
    }
    let columns = "assignment_id:int user_id:text workflow_state:text submitted_at:time posted_at:time score:float \
        cached_due_date:time excused:bool";
    Table::new("submissions", columns, rows)
}

fn web_logs(draw: &mut Draw, enrolments: &[(String, String, i64)]) -> Table {
    let mut rows = Vec::new();
    for (_, user, course) in enrolments {
        // Courses with days, with buckets only, with both, and without any.
        let granularities: &[&str] =
            [&["day"][..], &["bucket"], &["day", "bucket"], &["bucket", "bucket"], &["day"], &[]]
                [usize::try_from(*course).unwrap()];
        for granularity in granularities {
            for _ in 0..draw.whole(0, 12) {
                let day =
                    if *granularity == "day" { TODAY - draw.whole(-3, 40) } else { TODAY - 10 * draw.whole(0, 5) };
                rows.push(vec![
                    json!(day),
                    json!(user),
                    json!(course),
                    json!(granularity),
                    json!(draw.one(&[0, 1, 1, 2, 5, 40])),
                ]);
            }
        }
    }
    Table::new("web_logs_daily", "date:date user_id:text course_id:int granularity:text page_views:int", rows)
}
