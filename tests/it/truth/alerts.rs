//! Alerts over several nights: new, standing, seen to, silenced, resolved; and not resolved by a night that did not look.

use super::Institution;
use crate::support::site::text;

/// The alerts that stand, as `alerts list` says.
fn standing(institution: &Institution) -> Vec<serde_json::Value> {
    let listed = institution.0.nocturne(&["alerts", "list", "--json"]);
    serde_json::from_slice(&listed.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&listed)))
}

pub(super) fn breaks_page_views(n: usize, line: &str) -> String {
    let mut cells: Vec<&str> = line.split(',').collect();
    // The header: date, user_id, course_id, granularity, web_application_controller, page_views, …
    if n == 1 {
        cells[5] = "2000000";
    }
    cells.join(",")
}

#[test]
fn an_alert_is_new_once_and_then_says_since_when_until_it_is_resolved() {
    let institution = Institution::new("");
    institution.deliver("2026-11-20");
    institution.change("2026-11-20", "web_logs_daily.csv.gz", breaks_page_views);

    let (_, first) = institution.night("2026-11-20");
    let (_, second) = institution.night("2026-11-21");
    let alerts = standing(&institution);
    let id = alerts[0]["state"]["id"].as_str().unwrap().to_owned();
    let seen_to = institution.0.nocturne(&["alerts", "ack", &id, "--why", "the export is being mended"]);
    let silenced = institution.0.nocturne(&["alerts", "silence", &id, "--until", "2026-12-01"]);
    let (third_code, third) = institution.night("2026-11-22");
    institution.deliver("2026-11-23");
    let (fourth_code, fourth) = institution.night("2026-11-23");

    assert!(
        first.contains(&format!("New. Alert {id}, check web_logs_daily.page_views_in_range, cause: quality.")),
        "{first}"
    );
    assert!(second.contains("Since Friday 20 November 2026, found in 2 nights"), "{second}");
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!((seen_to.status.code(), silenced.status.code()), (Some(0), Some(0)), "{}", text(&silenced));
    assert!(third.contains("sees to it; silenced until Tuesday 1 December 2026"), "{third}");
    assert!(
        third.contains("The night is done; read the figures with care"),
        "a silence does not make it well: {third}"
    );
    assert_eq!(third_code, Some(9));
    assert!(fourth.contains("Resolved since the last e-mail web_logs_daily.page_views"), "{fourth}");
    assert_eq!(fourth_code, Some(0), "{fourth}");
    assert_eq!(standing(&institution), Vec::<serde_json::Value>::new());
    let history = institution.0.nocturne(&["alerts", "history", &id]);
    assert!(text(&history).contains("new") && text(&history).contains("resolved"), "{}", text(&history));
}

#[test]
fn a_night_that_did_not_look_resolves_nothing() {
    let institution = Institution::new("");
    institution.deliver("2026-11-20");
    institution.change("2026-11-20", "web_logs_daily.csv.gz", breaks_page_views);
    institution.night("2026-11-20");
    let stops = super::NIGHT.replace(
        "[jobs.quality]\nkind = 'quality_check'\nneeds = ['pull']",
        "[jobs.quality]\nkind = 'command'\nwith = { program = 'false' }\nneeds = ['pull']",
    );
    institution.0.write("dags/night.toml", stops);

    let (code, mail) = institution.night("2026-11-21");

    assert_eq!(code, Some(1), "{mail}");
    assert!(mail.contains("Standing, but not looked at tonight web_logs_daily.page_views"), "{mail}");
    let subjects: Vec<_> = standing(&institution).iter().map(|alert| alert["state"]["subject"].clone()).collect();
    assert_eq!(subjects, ["quality", "web_logs_daily.page_views"]);
}

#[test]
fn an_alert_that_comes_back_soon_is_the_same_one_and_says_so() {
    let institution = Institution::new("");
    institution.deliver("2026-11-20");
    institution.change("2026-11-20", "web_logs_daily.csv.gz", breaks_page_views);
    institution.night("2026-11-20");
    let first = standing(&institution)[0]["state"]["id"].clone();
    institution.deliver("2026-11-21");
    institution.night("2026-11-21");
    assert_eq!(standing(&institution), Vec::<serde_json::Value>::new());
    institution.deliver("2026-11-22");
    institution.change("2026-11-22", "web_logs_daily.csv.gz", breaks_page_views);

    let (code, mail) = institution.night("2026-11-22");

    assert_eq!(code, Some(9), "{mail}");
    assert!(mail.contains("Back again; since Friday 20 November 2026"), "{mail}");
    let state = &standing(&institution)[0]["state"];
    assert_eq!((&state["id"], &state["returns"]), (&first, &1.into()), "{state}");
}

#[test]
fn an_alert_that_there_is_not_is_not_found() {
    let institution = Institution::new("");
    institution.deliver("2026-11-20");
    institution.night("2026-11-20");

    let shown = institution.0.nocturne(&["alerts", "show", "0badf00d"]);
    let listed = institution.0.nocturne(&["alerts", "list"]);

    let history = institution.0.nocturne(&["alerts", "history", "0badf00d"]);
    assert_eq!((shown.status.code(), history.status.code()), (Some(4), Some(4)), "{}", text(&history));
    assert!(text(&shown).contains("`nocturne alerts list`"), "{}", text(&shown));
    assert!(text(&listed).contains("No alert stands."), "{}", text(&listed));
}
