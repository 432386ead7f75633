//! The pages of `published/`: self-contained, the same bytes for the same view, and without small counts.
//!
//! HTML is compared with snapshots; separate checks ensure that a page makes no requests and reveals nobody. Every view
//! is invented.

use nocturne::report::view::{DigestView, FlaggedTerm, FolderView, ModelCardView, ReportView, Verdict};

use super::{RENDERER, assert_snapshot};

#[test]
fn the_published_report_is_the_same_bytes_and_asks_nobody_for_anything() {
    let view = ReportView::sample(Verdict::Warning);

    let first = RENDERER.report(&view).unwrap();
    let again = RENDERER.report(&view).unwrap();

    assert_eq!(first, again);
    assert_snapshot("report_warning_html", &first.index_html);
    let outside = first.index_html.replace("http://www.w3.org/2000/svg", "");
    for request in ["http://", "https://", "src=", "url(", "@import", "<script", "<link"] {
        assert!(!outside.contains(request), "the report holds `{request}`");
    }
}

#[test]
fn a_stored_view_renders_as_before() {
    let view = ReportView::sample(Verdict::Warning);

    let stored: ReportView = serde_json::from_str(&serde_json::to_string(&view).unwrap()).unwrap();

    assert_eq!(stored, view);
}

#[test]
fn counts_of_students_are_rounded_everywhere_and_none_below_ten_appears() {
    let mut view = DigestView::sample_between_terms();
    let groups = [("First", 7_777, 9_009), ("Second", 8_888, 9_909), ("Third", 7, 607)];
    view.report.flagged = vec![FlaggedTerm::of_disjoint("Autumn", "level", &groups)];

    let stored = serde_json::to_string(&view).unwrap();
    let email = RENDERER.digest(&view).unwrap();
    let report = RENDERER.report(&view.report).unwrap();

    for (what, text) in
        [("view", &stored), ("HTML", &email.html), ("text", &email.text), ("report", &report.index_html)]
    {
        let text = text.replace(',', "");
        for shown in ["7775", "9010", "8890", "9910", "605", "16670"] {
            assert!(text.contains(shown), "{what} lacks {shown}");
        }
        for exact in ["7777", "9009", "8888", "9909", "607", "16672"] {
            assert!(!text.contains(exact), "{what} shows {exact}");
        }
    }
}

#[test]
fn a_folder_lists_folders_first_and_not_itself() {
    let html = RENDERER.folder_index(&FolderView::sample()).unwrap();

    assert_snapshot("folder_html", &html);
}

#[test]
fn a_model_card_says_what_the_model_must_not_be_used_for() {
    let html = RENDERER.model_card(&ModelCardView::sample()).unwrap();

    assert_snapshot("model_card_html", &html);
    assert!(html.contains("a person decides"));
}
