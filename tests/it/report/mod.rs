//! What people read: rendering through the public interface, and real SMTP conversations.
//!
//! Snapshots are in `tests/snapshots/report/`; after an intended change, run the tests with `INSTA_UPDATE=always` and
//! read the difference.

mod emails;
mod form;
mod pages;
mod smtp;

use std::sync::LazyLock;

use nocturne::report::Renderer;

/// One renderer for all tests, so that fonts and templates are loaded once.
static RENDERER: LazyLock<Renderer> = LazyLock::new(|| Renderer::new().unwrap());

/// Compares `text` with `tests/snapshots/report/<name>.snap`.
fn assert_snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots/report");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// The words of a page: without styles and tags, its white space folded.
fn words(page: &str) -> String {
    let body = page.split_once("<body").map_or(page, |(_, body)| body);
    let mut words = String::new();
    for piece in body.split('<').skip(1) {
        words.push_str(if piece.starts_with("code") || piece.starts_with("/code") { "" } else { " " });
        words.push_str(piece.split_once('>').map_or("", |(_, text)| text));
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}
