//! What people are sent can be looked at: that of a night, as the outbox holds it, and that of a small invented one.

use super::{Institution, words};
use crate::support::site::text;

#[test]
fn a_preview_shows_what_people_are_sent_when_the_source_has_a_trouble() {
    let institution = Institution::new("");

    let made = institution.0.nocturne(&["report", "preview", "--with", "trouble", "--to", "pages"]);

    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let page = |name: &str| words(&std::fs::read_to_string(institution.0.path().join("pages").join(name)).unwrap());
    assert!(page("digest.html").contains("graded_without_score"), "{}", page("digest.html"));
    assert!(page("readers.html").contains("The data team has been told"), "{}", page("readers.html"));
    assert!(page("report.html").contains("Friday 20 November 2026"), "{}", page("report.html"));
    assert!(!institution.0.path().join("var").exists(), "a preview leaves nothing but its pages");
}

#[test]
fn the_e_mail_of_a_night_is_shown_with_what_became_of_it() {
    let institution = Institution::new("");
    institution.deliver("2026-11-20");
    institution.night("2026-11-20");

    let shown = text(&institution.0.nocturne(&["report", "show", "night", "--html", "night.html"]));
    let other = institution.0.nocturne(&["report", "show", "night", "--date", "2026-11-19"]);
    let unknown = institution.0.nocturne(&["report", "show", "night", "--audience", "deans"]);

    assert!(shown.starts_with("Subject: [nocturne] OK · night 2026-11-20"), "{shown}");
    assert!(shown.contains("(sent)") && shown.contains("ALL IS WELL"), "{shown}");
    let html = std::fs::read_to_string(institution.0.path().join("night.html")).unwrap();
    assert!(words(&html).contains("All is well"), "{html}");
    assert_eq!((other.status.code(), unknown.status.code()), (Some(4), Some(4)));
    assert!(text(&unknown).contains("there is: digest"), "{}", text(&unknown));
}
