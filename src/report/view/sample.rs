//! Invented views: what `report preview` and the check of every template are made from.
//!
//! A template that names what a view does not have fails on these, long before a night depends on it. Each view has
//! one sample per shape that matters: a good night, one with warnings, one that failed, one between terms.

use jiff::Timestamp;
use jiff::civil::{Date, date};

use super::sample_history::{rows, support, told_before};
use super::sample_models::{DATE, INSTITUTION, drift, model_in_use};
use super::{
    DigestView, FailureKind, FailureView, FlaggedTerm, FolderEntry, FolderView, JobEnd, JobSpan, JobView, ModelInUse,
    NightView, Pointer, QualityView, ReportView, TableView, ToldVersion, Verdict,
};
use crate::domain::check::{CheckOutcome, CheckStatus, Finding};
use crate::domain::freshness::Rhythm;
use crate::domain::ids::{DagName, RunId};
use crate::domain::job;
use crate::domain::run::JobState;
use crate::lake::keys::report_folder;
use crate::report::alerts::{Found, alerts};
use crate::report::notice::{Night, NightEnd};

impl DigestView {
    /// Returns an invented digest of a night that ended as `verdict` says.
    pub fn sample(verdict: Verdict) -> Self {
        let report = ReportView::sample(verdict);
        let spans = spans(&report.jobs);
        let seconds = spans.iter().map(|span| span.start_offset_seconds + span.seconds).fold(0.0, f64::max) + 0.4;
        Self {
            night: NightView {
                run_id: RunId::new(&report.dag, DATE, 1),
                started_at: Timestamp::constant(1_795_159_802, 0),
                seconds,
                spans,
            },
            report,
            report_link: Some("https://analytics.riverbend.example/reports/nightly/2026-11-20/".to_owned()),
            contact: Some("Learning Analytics, analytics@riverbend.example".to_owned()),
            earlier: None,
        }
    }

    /// Returns an invented digest of a night between terms: nobody is enrolled, and there is no model yet.
    pub fn sample_between_terms() -> Self {
        let mut digest = Self::sample(Verdict::Ok);
        let report = &mut digest.report;
        report.models = vec![ModelInUse {
            champion: None,
            challenger: None,
            untrained: Some("no course has ended yet whose results are known".to_owned()),
            name: "at_risk".to_owned(),
            told: ToldVersion::NoVersion,
            told_with_care: false,
        }];
        report.drift = None;
        report.drift_unmeasured = Some("nobody is enrolled".to_owned());
        report.flagged.clear();
        report.changes.clear();
        report.since = None;
        (report.rows, report.told_before, report.support) = (Vec::new(), Vec::new(), Vec::new());
        report.quality = None;
        for table in &mut report.tables {
            table.change = None;
        }
        report.notes = vec!["Scores and drift were skipped: nobody is enrolled.".to_owned()];
        digest.report_link = None;
        digest.contact = None;
        digest
    }
}

impl ReportView {
    /// Returns an invented report of a night that ended as `verdict` says.
    pub fn sample(verdict: Verdict) -> Self {
        let is_ok = verdict == Verdict::Ok;
        let jobs = jobs(verdict);
        let findings = if is_ok { Vec::new() } else { findings() };
        Self {
            institution: INSTITUTION.to_owned(),
            dag: dag(),
            logical_date: DATE,
            zone: "America/Detroit".to_owned(),
            is_simulation: is_ok,
            changes: changes(verdict),
            alerts: alerts(
                &findings.into_iter().map(Found::tonight).collect::<Vec<_>>(),
                &jobs,
                &format!("{}.{DATE}", dag()),
            ),
            resolved: Vec::new(),
            not_looked_at: Vec::new(),
            jobs,
            since: Some(date(2026, 11, 19)),
            rows: rows(&tables(verdict), verdict),
            told_before: told_before(),
            support: support(),
            unread: Vec::new(),
            tables: tables(verdict),
            quality: Some(QualityView::of(&checks(verdict))),
            drift: Some(drift(verdict)),
            drift_unmeasured: None,
            models: vec![model_in_use(verdict)],
            flagged: flagged(),
            notes: Vec::new(),
            pointers: pointers(),
            attribution: None,
        }
    }
}

impl FailureView {
    /// Returns an invented e-mail about a night that went wrong in that way.
    pub fn sample(kind: FailureKind) -> Self {
        let job = |name: &str, state, error: Option<&str>| job::JobView {
            name: name.parse().expect("the name is valid"),
            kind: "command".parse().expect("the name is valid"),
            state,
            attempts: 1,
            started_at: Some(Timestamp::constant(1_795_159_800, 0)),
            finished_at: None,
            outcome: None,
            error: error.map(str::to_owned),
            why: None,
        };
        let run_id = RunId::new(&dag(), DATE, 1);
        let why = "reading `submissions` of the source `canvas`: the part 00017.jsonl.gz ends in the middle (file is \
                   1,048,576 bytes, its checksum does not match)";
        let end = match kind {
            FailureKind::Failed => NightEnd::Over {
                run_id,
                jobs: vec![
                    job("quality", JobState::Succeeded, None),
                    job("pull", JobState::Failed, Some(why)),
                    job("digest", JobState::UpstreamFailed, None),
                ],
            },
            FailureKind::Late => NightEnd::Running {
                run_id,
                jobs: vec![
                    job("pull", JobState::Succeeded, None),
                    job("features", JobState::Running, None),
                    job("digest", JobState::Queued, None),
                ],
            },
            FailureKind::NeverBegan => {
                NightEnd::NeverBegan { why: Some("the earlier run is still open (`overlap = \"skip\"`)".to_owned()) }
            }
            FailureKind::Unknown => NightEnd::Unreadable {
                why: "opening sqlite:///var/lib/nocturne/nocturne.db: disk I/O error".to_owned(),
            },
        };
        Self::of(&Night {
            institution: INSTITUTION.to_owned(),
            dag: dag(),
            logical_date: DATE,
            zone: "America/Detroit".to_owned(),
            is_simulation: false,
            n_jobs: 7,
            end,
            last_digest: (kind != FailureKind::Unknown).then_some(date(2026, 11, 19)),
            seen_at: Timestamp::constant(1_795_174_200, 0),
            deadline: Some(Timestamp::constant(1_795_174_200, 0)),
            contact: Some("Learning Analytics, analytics@riverbend.example".to_owned()),
        })
    }
}

impl FolderView {
    /// Returns an invented folder.
    pub fn sample() -> Self {
        let entry = |name: &str, size_bytes, about: &str| FolderEntry {
            name: name.to_owned(),
            size_bytes,
            about: about.to_owned(),
        };
        Self {
            path: report_folder(&dag(), DATE),
            about: "The report of the night of Friday 20 November 2026.".to_owned(),
            entries: vec![
                entry("index.html", Some(48_211), "The report"),
                entry("auc.png", Some(31_400), "AUC by course week"),
                entry("summaries", None, "Counts as Parquet and CSV"),
                entry("evaluation.json", Some(9_120), "Every figure of the model"),
            ],
        }
    }
}

fn dag() -> DagName {
    "nightly".parse().expect("`nightly` is a usable name")
}

fn jobs(verdict: Verdict) -> Vec<JobView> {
    let job = |name: &str, end, summary: &str| JobView {
        name: name.to_owned(),
        end,
        summary: summary.to_owned(),
        stands_from: None,
    };
    let is_failed = verdict == Verdict::Failed;
    let (train, after) =
        if is_failed { (JobEnd::Failed, JobEnd::UpstreamFailed) } else { (JobEnd::Succeeded, JobEnd::Succeeded) };
    vec![
        job("pull", JobEnd::Succeeded, "8 tables, 163,204 rows, 0 held back"),
        job("quality", JobEnd::Succeeded, "41 checks"),
        job("features", JobEnd::Succeeded, "2 sets, 24 dates"),
        job(
            "train",
            train,
            if is_failed {
                "no course has known labels at 2026-11-20: `labels/at_risk` is empty"
            } else {
                "forest AUC 0.78 (0.75 to 0.81), rule 0.71"
            },
        ),
        job("score", after, if is_failed { "`train` failed" } else { "3,412 enrolments" }),
        job("drift", JobEnd::Succeeded, "24 features against 2 earlier terms"),
    ]
}

fn spans(jobs: &[JobView]) -> Vec<JobSpan> {
    let times = [(0.0, 3.1), (3.1, 0.6), (3.1, 1.9), (5.0, 2.2), (7.2, 0.4), (5.0, 0.8)];
    jobs.iter()
        .zip(times)
        .map(|(job, (start_offset_seconds, seconds))| JobSpan {
            name: job.name.clone(),
            end: job.end,
            start_offset_seconds,
            seconds,
            attempts: match job.end {
                JobEnd::UpstreamFailed => 0,
                JobEnd::Failed => 3,
                _ => 1,
            },
            is_up_to_date: false,
        })
        .collect()
}

fn tables(verdict: Verdict) -> Vec<TableView> {
    let table = |name: &str, rows, change, newest: Option<i64>| TableView {
        name: name.to_owned(),
        rows,
        change: Some(change),
        newest_event: newest.map(|second| Timestamp::constant(second, 0)),
        delivered_at: Some(Timestamp::constant(1_795_150_800, 0)),
        complete_through: Some(Date::constant(2026, 11, 19)),
        rhythm: Rhythm::Daily,
        is_late: false,
        is_stale: false,
        held_back: 0,
        waiting: 0,
        delivered: None,
    };
    let mut tables = vec![
        table("assignments", 412, 3, Some(1_795_100_000)),
        table("courses", 22, 0, Some(1_787_300_000)),
        table("enrollment_terms", 9, 0, None),
        table("enrollments", 11_204, 18, Some(1_795_090_000)),
        table("page_views_daily", 96_310, 3_944, Some(1_795_150_000)),
        table("scores", 10_880, -7, Some(1_795_120_000)),
        table("submissions", 40_112, 1_207, Some(1_795_150_680)),
        table("users", 3_455, 0, Some(1_794_600_000)),
    ];
    if verdict != Verdict::Ok {
        tables[4].is_stale = true;
        tables[4].change = Some(0);
        tables[4].newest_event = Some(Timestamp::constant(1_794_950_000, 0));
        tables[6].held_back = 37;
    }
    tables
}

fn checks(verdict: Verdict) -> Vec<CheckOutcome> {
    let check = |check: &str, subject: &str, status, observed: &str, expected: &str| CheckOutcome {
        status,
        observed: observed.to_owned(),
        expected: expected.to_owned(),
        looked_at: 40_112,
        ..CheckOutcome::skipped(check, subject)
    };
    let mut checks: Vec<CheckOutcome> = (0..39)
        .map(|i| check("range", &format!("submissions.column_{i:02}"), CheckStatus::Pass, "0 outside", "0 outside"))
        .collect();
    let (warn, fail) = match verdict {
        Verdict::Ok => (CheckStatus::Pass, CheckStatus::Pass),
        Verdict::Warning | Verdict::Failed => (CheckStatus::Warn, CheckStatus::Fail),
    };
    checks.push(check("nulls", "scores.current_score", warn, "4.1 % empty", "at most 2 % empty"));
    checks.push(check("freshness", "page_views_daily", fail, "newest entry 2.3 days old", "at most 1 day old"));
    checks
}

fn findings() -> Vec<Finding> {
    vec![
        Finding::warning(
            "freshness.stale",
            "page_views_daily",
            "`page_views_daily` could not be renewed: the delivery of 19 November is missing.",
            "Ask for the delivery of the web logs of 19 November; the next night takes it in by itself.",
        ),
        Finding::warning(
            "schema.row_does_not_fit",
            "submissions",
            "37 rows of `submissions` did not fit the column `score` and were held back.",
            "Look at `restricted/quarantine/submissions` and correct the export or the column's contract.",
        ),
        Finding::info(
            "schema.unknown_column",
            "courses.grade_passback",
            "`courses` has a new column `grade_passback`, which no contract names; it is not kept.",
            "If it is needed, name it in `courses.toml` of `sources.NAME.contracts`.",
        ),
    ]
}

fn changes(verdict: Verdict) -> Vec<String> {
    let changes: &[&str] = match verdict {
        Verdict::Ok => &[
            "page_views_daily: 3,944 more rows",
            "submissions: 1,207 more rows",
            "enrollments: 18 more rows",
            "scores: 7 fewer rows",
            "assignments: 3 more rows",
        ],
        Verdict::Warning | Verdict::Failed => &[
            "submissions: 1,207 more rows",
            "enrollments: 18 more rows",
            "scores: 7 fewer rows",
            "assignments: 3 more rows",
        ],
    };
    changes.iter().map(|change| (*change).to_owned()).collect()
}

fn flagged() -> Vec<FlaggedTerm> {
    let groups =
        [("First year", 187, 1_604), ("Second year", 96, 1_011), ("Third year", 34, 610), ("Graduate", 6, 187)];
    vec![FlaggedTerm::of_disjoint("Autumn 2026", "course level", &groups)]
}

fn pointers() -> Vec<Pointer> {
    let pointer = |what: &str, at: &str| Pointer { what: what.to_owned(), at: at.to_owned() };
    vec![
        pointer("Every job, attempt and message of this night", "nocturne runs show last"),
        pointer("All reports, figures and summaries", "nocturne lake tree published/"),
        pointer("Why the model is trusted", "nocturne lake tree published/models/at_risk"),
    ]
}
