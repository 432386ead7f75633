//! The form of e-mails: their size, their width as text, their colours, and what mail clients need.
//!
//! Colours are read from the stylesheets and the drawings themselves: every text on every background on which it may stand,
//! light and dark.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::ToSpan as _;
use jiff::civil::date;
use nocturne::report::RenderedEmail;
use nocturne::report::alerts::Alert;
use nocturne::report::view::{
    DigestView, FailureKind, FailureView, FlaggedTerm, JobView, NIGHTS, Resolved, RowsNight, SupportTerm, TableNights,
    Verdict,
};
use proptest::prelude::*;

use super::RENDERER;

/// The most columns of a text part.
const COLUMNS: usize = 78;

/// The largest night that an e-mail must tell: 60 tables, 40 alerts, 5 models, 20 terms of 20 groups.
fn largest(name: &str) -> DigestView {
    let mut view = DigestView::sample(Verdict::Failed);
    let named = |what: &str, n: usize| format!("{what}_{n}_{name}");
    let report = &mut view.report;
    report.institution = name.to_owned();
    report.alerts = (0..40)
        .map(|n| {
            let sentence = format!("{} ", named("of the table", n)).repeat(12);
            Alert { subject: named("t", n), message: sentence.clone(), advice: sentence, ..report.alerts[0].clone() }
        })
        .collect();
    report.not_looked_at = (0..40).map(|n| named("standing", n)).collect();
    report.resolved = (0..40)
        .map(|n| Resolved { check: named("rule", n), subject: named("t", n), since: date(2026, 11, 2), nights: 3 })
        .collect();
    let table = report.tables[6].clone();
    report.tables =
        (0..60).map(|n| nocturne::report::view::TableView { name: named("table", n), ..table.clone() }).collect();
    let night = |ago: u8| RowsNight {
        date: report.logical_date.saturating_sub(i64::from(ago).days()),
        rows: 1_234_567_890,
        usual: Some((1_234_567_890, 9_876_543_210)),
    };
    let nights: Vec<RowsNight> = (0..NIGHTS).rev().map(night).collect();
    report.rows = (0..60)
        .map(|n| TableNights { table: named("table", n), nights: nights.clone(), comparable: 20, fewest: 8 })
        .collect();
    report.changes = (0..60).map(|n| format!("{}: 1,234,567 more rows", named("table", n))).collect();
    report.notes = (0..40).map(|n| format!("A note on {}.", named("slot", n))).collect();
    let names: Vec<String> = (0..20).map(|n| named("level", n)).collect();
    let groups: Vec<(&str, u64, u64)> = names.iter().map(|name| (name.as_str(), 187, 1_604)).collect();
    report.flagged = (0..20).map(|n| FlaggedTerm::of_disjoint(&named("term", n), name, &groups)).collect();
    let nights: Vec<_> = report.support[0].nights.clone();
    report.support = (0..20).map(|n| SupportTerm { term: named("term", n), nights: nights.clone() }).collect();
    let model = report.models[0].clone();
    report.models = (0..5)
        .map(|n| {
            let mut model = model.clone();
            model.name = named("model", n);
            let champion = model.champion.as_mut().unwrap();
            champion.weeks =
                (1..21).map(|week| nocturne::report::view::WeekView { week, ..champion.weeks[0] }).collect();
            model
        })
        .collect();
    let job = report.jobs[3].clone();
    report.jobs = (0..60)
        .map(|n| JobView { name: named("job", n), summary: format!("{name} ").repeat(20), ..job.clone() })
        .collect();
    let quality = report.quality.as_mut().unwrap();
    let problem = quality.problems[0].clone();
    quality.problems = (0..80)
        .map(|n| nocturne::domain::check::CheckOutcome {
            check: named("rule", n),
            subject: named("t", n),
            ..problem.clone()
        })
        .collect();
    view.night.spans = vec![view.night.spans[3].clone(); 60];
    view
}

fn assert_small(what: &str, email: &RenderedEmail) {
    assert!(email.html.len() < 60_000, "the HTML of {what} is {} bytes", email.html.len());
    let pictures: usize = email.charts.iter().map(|chart| chart.png.len()).sum();
    assert!(pictures < 300_000, "the pictures of {what} are {pictures} bytes");
}

/// A line may be wider only where it is nothing but an address or a command.
fn assert_narrow(email: &RenderedEmail) {
    for line in email.text.lines().filter(|line| line.chars().count() > COLUMNS) {
        let alone = line.trim().trim_matches('`');
        let is_address = alone.contains("://") && !alone.contains(' ');
        assert!(is_address || alone.starts_with("nocturne "), "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn the_largest_night_is_a_small_e_mail_for_every_audience() {
    let view = largest("of_the_school_of_engineering");

    let (digest, reader) = (RENDERER.digest(&view).unwrap(), RENDERER.reader(&view).unwrap());

    assert_small("the digest", &digest);
    assert_small("the readers' e-mail", &reader);
    assert_eq!(digest.undrawn, Vec::<String>::new());
}

#[test]
fn every_list_that_is_cut_says_how_many_more_there_are_and_where() {
    let view = largest("x");
    let run = view.night.run_id.to_string();

    let digest = RENDERER.digest(&view).unwrap();
    let reader = RENDERER.reader(&view).unwrap();

    let here = digest.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let more = [
        format!("And 35 more: `nocturne runs show {run}`."),
        "And 35 more: `nocturne alerts history`.".to_owned(),
        "And 35 more: `nocturne alerts list`.".to_owned(),
        format!("And 55 more: `nocturne runs show {run} --json`."),
        format!("And 52 more: `nocturne runs show {run} --json`."),
        format!("And 35 more: `nocturne runs show {run}` and `nocturne runs list`."),
        format!("And 75 more: `nocturne runs show {run}`."),
        format!("And 52 more: `nocturne runs show {run}`."),
        "And 18 more: the whole report, linked below.".to_owned(),
        "And 14 more: the whole report, linked below.".to_owned(),
    ];
    let html = digest.html.replace("<code", "`<code").replace("</code>", "`");
    let html = super::words(&html);
    for sentence in &more {
        assert!(here.contains(sentence), "{sentence} is not in {here}");
        assert!(html.contains(sentence), "{sentence} is not in {html}");
    }
    for sentence in ["And 17 more: the whole report, linked below.", "And 8 more: the whole report, linked below."] {
        assert!(super::words(&reader.html).contains(sentence), "{sentence}");
        assert!(reader.text.split_whitespace().collect::<Vec<_>>().join(" ").contains(sentence), "{sentence}");
    }
}

#[test]
fn without_an_address_of_the_report_what_is_cut_is_in_the_published_folder() {
    let mut view = largest("x");
    view.report_link = None;

    let reader = RENDERER.reader(&view).unwrap();

    let said = "And 17 more: the published report, in `published/reports/nightly/2026-11-20/`.";
    assert!(reader.text.split_whitespace().collect::<Vec<_>>().join(" ").contains(said), "{}", reader.text);
    let page = super::words(&RENDERER.report(&view.report).unwrap().index_html);
    for n in [3, 19] {
        assert!(page.contains(&format!("term_{n}_x")), "the published report lists every term");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn no_line_of_a_text_part_is_wider_than_a_terminal(name in "[a-zäöü日本語é_ ./-]{1,120}") {
        let view = largest(&name);
        assert_narrow(&RENDERER.digest(&view).unwrap());
        assert_narrow(&RENDERER.reader(&view).unwrap());
    }
}

#[test]
fn the_e_mails_of_nights_that_went_wrong_are_narrow_whatever_the_names() {
    let name = "überlanger-name-einer-hochschule-".repeat(5);
    for kind in [FailureKind::Failed, FailureKind::Late, FailureKind::NeverBegan, FailureKind::Unknown] {
        let mut view = FailureView::sample(kind);
        view.institution = name.clone();
        view.contact = Some(format!("{name} <analytics@example.edu>"));
        view.why = Some(format!("because of {name}"));

        assert_narrow(&RENDERER.failure(&view).unwrap());
    }
}

fn e_mails() -> Vec<(&'static str, RenderedEmail)> {
    let view = DigestView::sample(Verdict::Warning);
    vec![
        ("digest", RENDERER.digest(&view).unwrap()),
        ("reader", RENDERER.reader(&view).unwrap()),
        ("failure", RENDERER.failure(&FailureView::sample(FailureKind::Failed)).unwrap()),
    ]
}

#[test]
fn the_character_set_comes_first_and_outlook_gets_a_width_and_its_dark_colours() {
    for (what, email) in e_mails() {
        let head = email.html.split_once("<head>").unwrap().1.trim_start();
        assert!(head.starts_with("<meta charset=\"utf-8\">"), "{what}: {}", &head[..60]);
        assert!(email.html.contains("<meta name=\"color-scheme\" content=\"light dark\">"), "{what}");
        assert!(email.html.contains("prefers-color-scheme: dark"), "{what}");
        assert!(email.html.contains("[data-ogsc] .muted") && email.html.contains("[data-ogsb] .sheet"), "{what}");
        assert!(email.html.contains("<!--[if mso]><table role=\"presentation\" width=\"640\""), "{what}");
    }
}

#[test]
fn every_picture_says_what_it_shows_and_every_row_has_a_header() {
    for (what, email) in e_mails() {
        for image in email.html.split("<img").skip(1) {
            let tag = image.split_once('>').unwrap().0;
            let alt = tag.split_once("alt=\"").unwrap_or_else(|| panic!("{what}: {tag}")).1;
            assert!(alt.split_once('"').unwrap().0.len() > 40, "{what}: {tag}");
        }
        for table in email.html.split("<table class=\"rows\"").skip(1) {
            let (tag, rest) = table.split_once('>').unwrap();
            let body = rest.split_once("</table>").unwrap().0;
            if tag.contains("role=\"presentation\"") {
                continue;
            }
            for row in body.split("<tr").skip(1) {
                assert!(row.contains("scope=\"row\"") || row.contains("scope=\"col\""), "{what}: {row}");
            }
        }
    }
}

/// The declarations of a stylesheet: selector and property to colour, outside at-rules.
fn colours(css: &str) -> Vec<(String, String, [f64; 3])> {
    let mut found = Vec::new();
    for rule in css.split('}') {
        let Some((selector, body)) = rule.rsplit_once('{') else { continue };
        for declaration in body.split(';') {
            let Some((property, value)) = declaration.split_once(':') else { continue };
            if let Some(colour) = hexes(value).first() {
                found.push((selector.trim().to_owned(), property.trim().to_owned(), *colour));
            }
        }
    }
    found
}

fn hexes(text: &str) -> Vec<[f64; 3]> {
    let codes = text.split('#').skip(1).filter_map(|after| {
        let code: String = after.chars().take_while(char::is_ascii_hexdigit).collect();
        (code.len() == 6).then_some(code)
    });
    codes
        .map(|code| [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&code[at..at + 2], 16).unwrap()) / 255.0))
        .collect()
}

/// The contrast of two colours, as WCAG 2 defines it.
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let linear = |c: f64| if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
    let luminance = |c: [f64; 3]| 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
    let (a, b) = (luminance(one), luminance(other));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Every text on every background on which it may stand; every coloured edge on them. Returns how many were looked at.
fn assert_legible(what: &str, colours: &[(String, String, [f64; 3])]) -> (usize, usize) {
    let is_button = |selector: &str| selector.contains(".button");
    let grounds: Vec<_> = colours.iter().filter(|(_, property, _)| property.starts_with("background")).collect();
    let (mut texts, mut edges) = (0, 0);
    for (selector, property, colour) in colours {
        if selector.contains(".preheader") {
            continue;
        }
        let least = match property.as_str() {
            "color" => 4.5,
            property if property.starts_with("border-left") => 3.0,
            _ => continue,
        };
        for (place, _, ground) in grounds.iter().filter(|(place, ..)| is_button(place) == is_button(selector)) {
            let measured = contrast(*colour, *ground);
            assert!(measured >= least, "{what}: {selector} ({property}) on {place}: {measured:.2}, not {least}");
            if least > 4.0 { texts += 1 } else { edges += 1 }
        }
    }
    (texts, edges)
}

#[test]
fn every_text_and_every_edge_of_an_e_mail_is_legible_light_and_dark() {
    let template = |path: &str| {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/shared").join(path)).unwrap()
    };
    let light = template("email.css.j2");
    let light = light.split("@media").next().unwrap();
    let html = RENDERER.digest(&DigestView::sample(Verdict::Warning)).unwrap().html;
    let media = html.split_once("prefers-color-scheme: dark").unwrap().1;
    let media = media.split_once('{').unwrap().1.split("}}").next().unwrap().split("}\n}").next().unwrap();
    let outlook = html.split("[data-og").skip(1).filter_map(|rule| rule.split_once(']')?.1.split_once('}'));
    let outlook: String = outlook.map(|(rule, _)| format!("{rule}}}")).collect();

    let (light, dark, outlook) = (
        assert_legible("light", &colours(light)),
        assert_legible("dark", &colours(media)),
        assert_legible("Outlook", &colours(&outlook)),
    );

    assert!(light.0 > 40 && light.1 > 20, "{light:?}");
    assert!(dark.0 > 30 && dark.1 > 10, "{dark:?}");
    assert_eq!(dark, outlook, "Outlook's dark colours are the others'");
}

#[test]
fn every_text_and_every_edge_of_a_page_is_legible_light_and_dark() {
    let page = RENDERER.report(&DigestView::sample(Verdict::Warning).report).unwrap().index_html;
    let mut variables: BTreeMap<&str, [f64; 3]> = BTreeMap::new();
    let mut schemes = Vec::new();
    for root in page.split(":root {").skip(1).take(2) {
        for declaration in root.split_once('}').unwrap().0.split(';') {
            if let Some((name, value)) = declaration.split_once(':')
                && let Some(colour) = hexes(value).first()
            {
                variables.insert(name.trim(), *colour);
            }
        }
        schemes.push(variables.clone());
    }

    assert_eq!(schemes.len(), 2);
    for (scheme, variables) in ["light", "dark"].iter().zip(&schemes) {
        let grounds = variables.iter().filter(|(name, _)| name.contains("ground") || **name == "--paper");
        for (place, ground) in grounds {
            for text in ["--ink", "--strong", "--muted", "--link", "--ok", "--warning", "--failed"] {
                let measured = contrast(variables[text], *ground);
                assert!(measured >= 4.5, "{scheme}: {text} on {place}: {measured:.2}");
            }
            for edge in ["--ok-edge", "--warning-edge", "--failed-edge"] {
                let measured = contrast(variables[edge], *ground);
                assert!(measured >= 3.0, "{scheme}: {edge} on {place}: {measured:.2}");
            }
        }
    }
}

#[test]
fn every_word_and_every_mark_of_a_chart_is_legible() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/charts");
    let white = [1.0; 3];
    let mut looked_at = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let svg = std::fs::read_to_string(&path).unwrap();
        let inks = svg.lines().filter(|line| line.starts_with("{% set ink"));
        let marks = ["<text", "<rect", "<circle", "<polyline"];
        for line in svg.lines().filter(|line| marks.iter().any(|mark| line.starts_with(mark))).chain(inks) {
            let is_text = line.starts_with("<text") || line.starts_with("{% set");
            let least = if is_text { 4.5 } else { 3.0 };
            // The paper, and the inside of a frame that is itself dark enough.
            for colour in hexes(line).into_iter().filter(|c| contrast(*c, white) > 1.3) {
                let measured = contrast(colour, white);
                assert!(measured >= least, "{}: {measured:.2} in {line}", path.display());
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 40, "{looked_at}");
}
