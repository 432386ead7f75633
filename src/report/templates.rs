//! The templates: a typed table of every file under `templates/`, compiled in, rendered strictly.
//!
//! An undefined name is an error, never an empty string. HTML and SVG are escaped, text is not. A test
//! fails when a file is missing here, and another renders every template with every sample.
//! Templates hold layout and words; every decision is taken in a view.

use std::fmt;

use jiff::{Timestamp, civil::Date};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, HtmlEscape, UndefinedBehavior, Value};
use serde::Serialize;

use super::format;

macro_rules! templates {
    ($($(#[$doc:meta])* $variant:ident = $path:literal;)+) => {
        /// A template that is rendered by itself.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum Template {
            $($(#[$doc])* $variant,)+
        }

        impl Template {
            /// Returns the template's path below `templates/`.
            pub(super) const fn path(self) -> &'static str {
                match self { $(Self::$variant => $path,)+ }
            }

            const SOURCES: &[(&'static str, &'static str)] =
                &[$(($path, include_str!(concat!("../../templates/", $path))),)+];
        }
    };
}

templates! {
    /// The digest's subject.
    DigestSubject = "email/digest/subject.txt.j2";
    /// The digest as text.
    DigestText = "email/digest/body.txt.j2";
    /// The digest as HTML.
    DigestHtml = "email/digest/body.html.j2";
    /// The readers' subject.
    ReaderSubject = "email/reader/subject.txt.j2";
    /// The readers' e-mail as text.
    ReaderText = "email/reader/body.txt.j2";
    /// The readers' e-mail as HTML.
    ReaderHtml = "email/reader/body.html.j2";
    /// The subject of the e-mail about a night that went wrong.
    FailureSubject = "email/failure/subject.txt.j2";
    /// That e-mail as text.
    FailureText = "email/failure/body.txt.j2";
    /// That e-mail as HTML.
    FailureHtml = "email/failure/body.html.j2";
    /// The subject of a route's e-mail about alerts.
    AlertSubject = "email/alert/subject.txt.j2";
    /// That e-mail as text.
    AlertText = "email/alert/body.txt.j2";
    /// That e-mail as HTML.
    AlertHtml = "email/alert/body.html.j2";
    /// The subject of the e-mail about recipients who have none.
    UndeliveredSubject = "email/undelivered/subject.txt.j2";
    /// That e-mail as text.
    UndeliveredText = "email/undelivered/body.txt.j2";
    /// That e-mail as HTML.
    UndeliveredHtml = "email/undelivered/body.html.j2";
    /// The published report.
    Report = "report/index.html.j2";
    /// The index of a folder.
    Folder = "report/folder.html.j2";
    /// A model's card.
    ModelCard = "report/model_card.html.j2";
    /// The data dictionary.
    Dictionary = "report/dictionary.html.j2";
    /// The chart of the area under the ROC curve by week.
    AucChart = "charts/auc.svg.j2";
    /// The chart of drift.
    DriftChart = "charts/drift.svg.j2";
    /// The chart of how fresh each table is.
    FreshnessChart = "charts/freshness.svg.j2";
    /// The chart of the rows of the main tables against what is usual.
    RowsChart = "charts/rows.svg.j2";
    /// The chart of what earlier nights found.
    FindingsChart = "charts/findings.svg.j2";
    /// The chart of how many may need support.
    SupportChart = "charts/support.svg.j2";
    /// The chart of when each job ran.
    GanttChart = "charts/gantt.svg.j2";
}

/// Templates that others import.
const SHARED: &[(&str, &str)] = &[
    ("shared/email.css.j2", include_str!("../../templates/shared/email.css.j2")),
    ("shared/email_dark.css.j2", include_str!("../../templates/shared/email_dark.css.j2")),
    ("shared/page.css.j2", include_str!("../../templates/shared/page.css.j2")),
    ("shared/words.j2", include_str!("../../templates/shared/words.j2")),
    ("shared/email.html.j2", include_str!("../../templates/shared/email.html.j2")),
    ("shared/page.html.j2", include_str!("../../templates/shared/page.html.j2")),
];

/// Returns the environment that holds every template, strictly.
///
/// # Errors
/// When a template does not parse.
pub(super) fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
        .set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?);
    environment.set_auto_escape_callback(|name| {
        let name = name.trim_end_matches(".j2");
        if name.ends_with(".html") || name.ends_with(".svg") { AutoEscape::Html } else { AutoEscape::None }
    });
    add_filters(&mut environment);
    for &(path, source) in Template::SOURCES.iter().chain(SHARED) {
        environment.add_template(path, source)?;
    }
    Ok(environment)
}

/// Returns the template rendered with `context`.
///
/// # Errors
/// When the template uses a name that the context does not have, or a filter refuses a value.
pub(super) fn render(
    environment: &Environment<'static>,
    template: Template,
    context: &impl Serialize,
) -> Result<String, Error> {
    environment.get_template(template.path())?.render(Serde(context))
}

fn add_filters(environment: &mut Environment<'static>) {
    environment.add_filter("grouped", format::grouped);
    environment.add_filter("signed", format::signed);
    environment.add_filter("count_of", |count: usize, one: &str, many: &str| format::count_of(count, one, many));
    environment.add_filter("short", format::short);
    environment.add_filter("two_digits", format::two_digits);
    environment.add_filter("out_of_100", format::out_of_100);
    environment.add_filter("percent", format::percent);
    environment.add_filter("duration", format::duration);
    environment.add_filter("size", format::size);
    environment.add_filter("link", format::link);
    environment.add_filter("day", |date: &str| Ok::<_, Error>(format::day(date.parse::<Date>().map_err(refused)?)));
    environment.add_filter("at", |at: &str, zone: &str| {
        format::day_and_time(at.parse::<Timestamp>().map_err(refused)?, zone).map_err(refused)
    });
    environment.add_filter("entry", |at: &str, zone: &str| {
        format::entry(at.parse::<Timestamp>().map_err(refused)?, zone).map_err(refused)
    });
    environment.add_filter("ticked", ticked);
    environment.add_filter("clipped", |text: &str, width: usize| format::clipped(text, width));
    environment.add_filter("wrapped", |text: &str, width: usize, indent: usize| format::wrapped(text, width, indent));
    environment.add_filter("left", |value: Value, width: usize| {
        format::padded_right(&format::clipped(&value.to_string(), width), width)
    });
    environment.add_filter("right", |value: Value, width: usize| format::padded_left(&value.to_string(), width));
}

/// Returns `text` escaped, with the parts between backticks as code.
fn ticked(text: &str) -> Value {
    let mut html = String::with_capacity(text.len() + 16);
    let pieces: Vec<&str> = text.split('`').collect();
    for (i, piece) in pieces.iter().enumerate() {
        let escaped = HtmlEscape(piece);
        match (i % 2, i + 1 < pieces.len()) {
            (1, true) => html.push_str(&format!("<code>{escaped}</code>")),
            (1, false) => html.push_str(&format!("`{escaped}")),
            _ => html.push_str(&escaped.to_string()),
        }
    }
    Value::from_safe_string(html)
}

fn refused(error: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidOperation, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_under_templates_is_in_the_table() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let mut found = Vec::new();
        for folder in [
            "email/digest",
            "email/reader",
            "email/failure",
            "email/undelivered",
            "email/alert",
            "report",
            "charts",
            "shared",
        ] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                found.push(format!("{folder}/{}", entry.unwrap().file_name().into_string().unwrap()));
            }
        }
        let mut known: Vec<String> =
            Template::SOURCES.iter().chain(SHARED).map(|(path, _)| (*path).to_owned()).collect();
        found.sort();
        known.sort();

        assert_eq!(found, known);
    }

    #[test]
    fn an_undefined_name_is_an_error() {
        let environment = environment().unwrap();

        let error = environment.render_str("{{ nothing }}", ()).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::UndefinedError);
    }
}
