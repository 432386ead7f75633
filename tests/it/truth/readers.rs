//! What readers are told, in their e-mail and in what is published: the same verdict, no job, no exact count.

use super::{Institution, NIGHT, READERS, words};
use crate::support::site::text;

const LISTS: &str = "[mail]\nreaders = ['dean@example.edu']\n";

fn institution(configuration: &str) -> Institution {
    let institution = Institution::new(configuration);
    let night = NIGHT.to_owned() + READERS;
    institution.0.write("dags/night.toml", night);
    institution.deliver("2026-11-20");
    institution
}

fn readers_mail(institution: &Institution) -> Option<String> {
    let page = std::fs::read_to_string(institution.0.path().join("var/outbox/night-readers.html")).ok()?;
    Some(words(&page))
}

/// What every file of `published/` says; of pages their text, for a drawing has numbers that say nothing.
fn published(institution: &Institution) -> String {
    let files = institution.0.files("var/lake/published");
    let texts = files.iter().filter_map(|path| {
        let text = std::fs::read_to_string(path).ok()?;
        Some(if path.extension()? == "html" { words(&text) } else { text })
    });
    texts.collect::<Vec<_>>().join("\n")
}

#[test]
fn readers_are_told_the_same_verdict_without_jobs_and_exact_counts() {
    let institution = institution(LISTS);
    // The header: date, user_id, course_id, granularity, web_application_controller, page_views, …
    let broken = |n: usize, line: &str| {
        let mut cells: Vec<&str> = line.split(',').collect();
        if n == 1 {
            cells[5] = "2000000";
        }
        cells.join(",")
    };
    institution.change("2026-11-20", "web_logs_daily.csv.gz", broken);

    let (code, digest) = institution.night("2026-11-20");
    let readers = readers_mail(&institution).unwrap();

    assert_eq!(code, Some(9), "{digest}");
    assert!(digest.contains("The night is done; one thing needs a look"), "{digest}");
    assert!(readers.contains("Read the figures with care"), "{readers}");
    assert!(readers.contains("The data team has been told"), "{readers}");
    let at = digest.find("1 of ").unwrap();
    let observed: String = digest[at..].chars().take_while(|c| *c != '<').take(20).collect();
    let count = observed.split(' ').nth(2).unwrap();
    assert!(count.chars().all(|c| c.is_ascii_digit() || c == ','), "{observed}");
    for told in [&readers, &published(&institution)] {
        assert!(!told.contains(&format!("1 of {count} rows")), "an exact count: {told}");
        assert!(!told.contains("quality_check") && !told.contains("The jobs"), "a job: {told}");
    }
    assert!(published(&institution).contains("web_logs_daily.page_views"), "the published report says what was found");
}

#[test]
fn the_number_of_users_is_in_nothing_that_is_published() {
    let institution = institution(LISTS);

    let (code, digest) = institution.night("2026-11-20");

    assert_eq!(code, Some(0), "{digest}");
    let exact = |table: &str| -> String {
        let at = digest.find(&format!(" {table} ")).unwrap_or_else(|| panic!("{digest}"));
        digest[at + table.len() + 2..].split(' ').next().unwrap().to_owned()
    };
    let published = published(&institution);
    for table in ["users", "enrollments", "submissions"] {
        let count = exact(table);
        assert!(count.chars().any(|c| c.is_ascii_digit()), "{table}: {count}");
        let is_there = published
            .split(|c: char| !(c.is_ascii_digit() || c == ','))
            .any(|number| number == count || number.replace(',', "") == count.replace(',', ""));
        assert!(!is_there, "`{table}` has {count} rows, and that is published");
    }
}

#[test]
fn readers_are_told_from_their_first_night_on() {
    let institution = institution(&format!("{LISTS}readers_from = '2026-11-21'\n"));

    institution.night("2026-11-20");
    let before = readers_mail(&institution);
    institution.deliver("2026-11-21");
    institution.night("2026-11-21");

    assert_eq!(before, None);
    assert!(readers_mail(&institution).unwrap().contains("Saturday 21 November 2026"));
}

#[test]
fn an_address_outside_the_allowed_domains_is_refused_before_the_night() {
    let institution = Institution::new("[mail]\nreaders = ['dean@elsewhere.example']\ndomains = ['example.edu']\n");

    let checked = institution.0.nocturne(&["config", "check"]);

    assert_eq!(checked.status.code(), Some(3));
    assert!(text(&checked).contains("`mail.readers.0`: e-mail may not go to this domain"), "{}", text(&checked));
}

#[test]
fn the_link_to_the_report_leads_to_the_published_page() {
    let institution = institution(&format!("{LISTS}report_url = 'https://reports.example.edu/lake/'\n"));
    institution.night("2026-11-20");
    let page = std::fs::read_to_string(institution.0.path().join("var/outbox/night-readers.html")).unwrap();

    let link = "https://reports.example.edu/lake/reports/night/2026-11-20/index.html";

    assert!(page.contains(link), "{page}");
    assert!(institution.0.path().join("var/lake/published/reports/night/2026-11-20/index.html").is_file());
}
