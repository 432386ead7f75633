//! Staged nights, and what their e-mail, their verdict and their exit code say: nothing that was not measured.
//!
//! Each night is carried out by the real binary over exports in a folder, and its e-mail is read as its readers get it.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::support::site::{SMALL, Site, text};

mod alerts;
mod changes;
mod clean;
mod delivery;
mod models;
mod previews;
mod quarantine;
mod readers;
mod routes;
mod rules;
mod shapes;
mod sources;
mod subtraction;
mod troubles;

const CONFIGURATION: &str = "
[sources.canvas]
kind = 'files'
path = 'exports'
anonymous = true
[paths]
jobs = 'dags'
";

const NIGHT: &str = "
name = 'night'
timezone = 'America/Detroit'
[defaults]
retry = { attempts = 1 }
[jobs.pull]
kind = 'canvas_pull'
with = { source = 'canvas' }
[jobs.quality]
kind = 'quality_check'
needs = ['pull']
[jobs.digest]
kind = 'send_report'
needs = ['quality']
when = 'all_done'
with = { report = 'digest' }
";

/// What is mailed to readers as well.
const READERS: &str = "
[jobs.readers]
kind = 'send_report'
needs = ['digest']
when = 'all_done'
with = { report = 'digest', audience = 'reader' }
";

/// A site whose exports are delivered by hand.
struct Institution(Site);

impl Institution {
    fn new(configuration: &str) -> Self {
        let site = Site::new(&site_text(configuration));
        site.write("dags/night.toml", NIGHT);
        Self(site)
    }

    /// Delivers a full export, taken at the start of `date`.
    fn deliver(&self, date: &str) {
        let made = self.0.nocturne(&["sim", "generate", &format!("exports/{date}"), "--date", date]);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    }

    /// Changes a file of an export, line by line; what the manifest says of the file goes with it.
    fn change(&self, date: &str, file: &str, change: impl Fn(usize, &str) -> String) {
        let path = self.0.path().join(format!("exports/{date}/{file}"));
        let mut plain = String::new();
        GzDecoder::new(std::fs::File::open(&path).unwrap()).read_to_string(&mut plain).unwrap();
        let changed: String = plain.lines().enumerate().map(|(n, line)| change(n, line) + "\n").collect();
        assert_ne!(plain, changed, "nothing was changed in {file}");
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(changed.as_bytes()).unwrap();
        std::fs::write(&path, packed.finish().unwrap()).unwrap();
        self.0.write(&format!("exports/{date}/manifest.json"), format!("{{\"at\": \"{date}T05:00:00Z\"}}"));
    }

    /// Carries out the night of `date`; returns its exit code and the first screen of its e-mail as text.
    fn night(&self, date: &str) -> (Option<i32>, String) {
        let run = self.0.nocturne(&["run", "night", "--date", date]);
        let page = std::fs::read_to_string(self.0.path().join("var/outbox/night-digest.html"));
        let page = page.unwrap_or_else(|error| panic!("{error}: {}", text(&run)));
        (run.status.code(), words(&page))
    }
}

/// The configuration of an institution; it ends in the section `[paths]` if nothing is added.
fn site_text(configuration: &str) -> String {
    format!("{SMALL}{CONFIGURATION}{configuration}")
}

/// The text of an HTML page: without styles and tags, its white space folded.
fn words(page: &str) -> String {
    let body = page.split_once("<body").map_or(page, |(_, body)| body);
    let mut words = String::new();
    for piece in body.split('<').skip(1) {
        words.push(' ');
        words.push_str(piece.split_once('>').map_or("", |(_, text)| text));
    }
    words.replace("&#39;", "'").replace("&nbsp;", " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_night_whose_tables_are_new_is_well_and_says_through_which_day() {
    let institution = Institution::new("");
    institution.deliver("2026-11-20");

    let (code, mail) = institution.night("2026-11-20");

    assert_eq!(code, Some(0), "{mail}");
    assert!(mail.contains("All is well"), "{mail}");
    assert!(mail.contains("Yes. All 13 tables are complete through the end of Thursday 19 November 2026."), "{mail}");
    assert!(
        mail.contains(" 19 Nov 2026 ") && !mail.contains("19:00 EST") && !mail.contains(" 00:00 "),
        "a date is a day of its zone: {mail}"
    );
}

#[test]
fn a_night_two_weeks_after_the_last_delivery_is_not_fresh() {
    let institution = Institution::new("");
    institution.deliver("2026-11-06");
    assert_eq!(institution.night("2026-11-06").0, Some(0));

    let (code, mail) = institution.night("2026-11-20");

    assert_eq!(code, Some(9), "{mail}");
    let said = "No. All 13 tables are older than expected; the oldest, accounts, ends with Thursday \
                5 November 2026 and should come every day.";
    assert!(mail.contains(said), "{mail}");
    assert!(!mail.contains("Yes. All 13") && !mail.contains("renewed"), "{mail}");
    assert!(mail.contains("The night is done; one thing needs a look"), "13 late tables have one cause: {mail}");
    assert!(mail.contains("Ask for the missing delivery"), "{mail}");
    assert!(mail.contains("nothing new since the night of Friday 6 November 2026: 13 tables"), "{mail}");
    let nothing = "What changed since the e-mail of Friday 6 November 2026 Nothing: no table has more or fewer rows.";
    assert!(mail.contains(nothing), "what an earlier night did is not repeated: {mail}");
}

#[test]
fn tables_that_come_once_a_term_are_not_late_after_two_weeks_and_weekly_ones_are() {
    let site = |rhythm: &str| {
        let tables = ["accounts", "assignment_groups", "assignments", "course_sections", "courses", "demographics"];
        let more =
            ["enrollment_terms", "enrollments", "pseudonyms", "scores", "submissions", "users", "web_logs_daily"];
        let each = tables.iter().chain(&more).map(|table| format!("{table} = '{rhythm}'\n"));
        let institution = Institution::new(&format!("[quality.rhythm]\n{}", each.collect::<String>()));
        institution.deliver("2026-11-06");
        institution.night("2026-11-20")
    };

    let (termly_code, termly) = site("termly");
    let (weekly_code, weekly) = site("weekly");

    assert_eq!((termly_code, weekly_code), (Some(0), Some(9)), "{termly}\n{weekly}");
    let said = "Yes. All 13 tables are as new as expected: complete through the end of Thursday 5 November 2026.";
    assert!(termly.contains(said), "{termly}");
    assert!(weekly.contains("ends with Thursday 5 November 2026 and should come every week"), "{weekly}");
}

#[test]
fn a_night_on_which_nothing_new_came_and_nothing_was_due_is_well() {
    let institution = Institution::new("");
    institution.deliver("2026-11-20");
    institution.night("2026-11-20");

    let (code, mail) = institution.night("2026-11-21");

    assert_eq!(code, Some(0), "{mail}");
    let said = "Yes. All 13 tables are as new as expected: complete through the end of Thursday 19 November 2026. \
                Nothing newer has come yet; it is not late so far.";
    assert!(mail.contains(said), "{mail}");
}

#[test]
fn a_value_out_of_range_is_something_to_look_at_and_not_a_failed_night() {
    let institution = Institution::new("");
    institution.deliver("2026-11-20");
    let views = |line: &str| {
        let header = "date,user_id,course_id,granularity,web_application_controller,page_views";
        let mut cells: Vec<&str> = line.split(',').collect();
        let place = header.split(',').position(|name| name == "page_views").unwrap();
        cells[place] = "2000000";
        cells.join(",")
    };
    institution.change(
        "2026-11-20",
        "web_logs_daily.csv.gz",
        |n, line| if n == 1 { views(line) } else { line.to_owned() },
    );

    let (code, mail) = institution.night("2026-11-20");

    assert_eq!(code, Some(9), "{mail}");
    assert!(mail.contains("The night is done; one thing needs a look"), "{mail}");
    assert!(mail.contains("web_logs_daily.page_views") && !mail.contains("Part of the night failed"), "{mail}");
}

#[test]
fn a_job_that_failed_makes_the_night_failed() {
    let institution = Institution::new("");
    institution.deliver("2026-11-20");
    let failing = "[jobs.fails]\nkind = 'command'\nwith = { program = 'false' }\n";
    institution.0.write(
        "dags/night.toml",
        NIGHT
            .replace("[jobs.digest]", &format!("{failing}[jobs.digest]"))
            .replace("needs = ['quality']", "needs = ['quality', 'fails']"),
    );

    let (code, mail) = institution.night("2026-11-20");

    assert_eq!(code, Some(1), "{mail}");
    assert!(mail.contains("Part of the night failed") && mail.contains("1 of 3 jobs failed: fails"), "{mail}");
}

#[test]
fn a_job_that_has_not_begun_when_the_e_mail_is_written_is_said_and_not_fine() {
    let institution = Institution::new("");
    let digest_first = NIGHT.replace("needs = ['quality']", "needs = ['pull']");
    institution.0.write("dags/night.toml", digest_first.replace("[defaults]", "max_parallel = 1\n[defaults]"));
    institution.deliver("2026-11-20");

    let (_, mail) = institution.night("2026-11-20");

    let said = "Not as far as was looked: 1 job finished, quality was not done yet, and no check was made.";
    assert!(mail.contains(said), "{mail}");
    assert!(mail.contains("All is well so far") && mail.contains("not begun yet"), "{mail}");
}

#[test]
fn a_finding_of_an_earlier_night_is_repeated_with_its_night() {
    let institution = Institution::new("");
    institution.deliver("2026-11-20");
    institution.change("2026-11-20", "courses/part-00000.jsonl.gz", |n, line| match n {
        0 => line.replacen("{\"key\"", "{\"surplus\":1,\"key\"", 1).replacen(
            "\"value\":{",
            "\"value\":{\"brand_new\":1,",
            1,
        ),
        _ => line.to_owned(),
    });
    let (first_code, first) = institution.night("2026-11-20");

    let (code, second) = institution.night("2026-11-21");

    assert_eq!((first_code, code), (Some(9), Some(9)), "{first}\n{second}");
    assert!(first.contains("brand_new") && !first.contains("nothing new has come since"), "{first}");
    assert!(second.contains("Found in the night of Friday 20 November 2026; nothing new has come since."), "{second}");
}
