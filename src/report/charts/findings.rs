//! What the e-mails of the last fourteen nights told, by how bad it was.
//!
//! A lane for each severity, a column for each night: the place and the number say what the colour says. A night without an
//! e-mail is a gap with a dash, never a zero.

use serde::Serialize;

use super::drawing::{Drawing, WIDTH};
use super::scale::rounded;
use crate::report::format::count_of;
use crate::report::view::{ReportView, Told};

const TOP: f64 = 72.0;
const LANE: f64 = 56.0;
const LEFT: f64 = 126.0;
const RIGHT: f64 = 590.0;
/// The height of the highest bar of a lane.
const HIGHEST: f64 = 30.0;

#[derive(Debug, Serialize)]
pub(super) struct Marks {
    left: f64,
    right: f64,
    bottom: f64,
    lanes: Vec<Lane>,
    nights: Vec<(f64, String)>,
}

#[derive(Debug, Serialize)]
struct Lane {
    label: &'static str,
    class: &'static str,
    /// Where its bars stand.
    foot: f64,
    bars: Vec<Bar>,
}

#[derive(Debug, Serialize)]
struct Bar {
    x: f64,
    width: f64,
    height: f64,
    text: String,
    /// Whether there was an e-mail.
    is_known: bool,
}

/// A lane: its words, its class and its number.
type Series = (&'static str, &'static str, fn(&Told) -> u64);

const LANES: [Series; 3] = [
    ("Look first", "error", |told| told.errors),
    ("Look at this", "warning", |told| told.warnings),
    ("Notes", "note", |told| told.notes),
];

/// Returns the drawing, or nothing where no earlier night is known.
pub(super) fn draw(view: &ReportView) -> Option<Drawing<Marks>> {
    let nights = view.nights_told();
    let known = nights.iter().filter(|(_, told)| told.is_some()).count();
    if known < 2 {
        return None;
    }
    let column = (RIGHT - LEFT) / nights.len() as f64;
    let lanes = LANES.iter().enumerate().map(|(n, (label, class, number))| {
        let most = nights.iter().filter_map(|(_, told)| told.as_ref().map(number)).max().unwrap_or(0).max(1);
        let bars = nights.iter().enumerate().map(|(place, (_, told))| Bar {
            x: rounded(LEFT + column * place as f64 + 4.0),
            width: rounded(column - 8.0),
            height: told.as_ref().map_or(0.0, |told| rounded(HIGHEST * number(told) as f64 / most as f64)),
            text: told.as_ref().map_or_else(|| "\u{2013}".to_owned(), |told| number(told).to_string()),
            is_known: told.is_some(),
        });
        Lane { label, class, foot: TOP + LANE * (n as f64 + 1.0) - 8.0, bars: bars.collect() }
    });
    let ticks = nights.iter().enumerate().filter(|(place, _)| (nights.len() - 1 - place).is_multiple_of(3));
    let ticks = ticks
        .map(|(place, (date, _))| (rounded(LEFT + column * (place as f64 + 0.5)), date.strftime("%-d %b").to_string()));
    let bottom = TOP + LANE * LANES.len() as f64;
    Some(Drawing {
        width: WIDTH,
        height: bottom + 34.0,
        title: "What was found, night by night".to_owned(),
        subtitle: if known == nights.len() {
            "Findings in the e-mails of the last fourteen nights; tonight is on the right.".to_owned()
        } else {
            "Findings in the e-mails of the last fourteen nights; \u{2013} means no e-mail that night.".to_owned()
        },
        alt: alt(view),
        marks: Marks { left: LEFT, right: RIGHT, bottom, lanes: lanes.collect(), nights: ticks.collect() },
    })
}

fn alt(view: &ReportView) -> String {
    let nights = view.nights_told();
    let known: Vec<_> = nights.iter().filter_map(|(date, told)| Some((date, (*told)?))).collect();
    let silent = nights.len() - known.len();
    let found: Vec<String> = known
        .iter()
        .filter(|(_, told)| *told != Told::default())
        .map(|(date, told)| {
            let parts =
                [(told.errors, "to look at first"), (told.warnings, "to look at"), (told.notes, note_word(told.notes))];
            let parts = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}"));
            format!("{}: {}", date.strftime("%-d %b"), parts.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let without = known.len() - found.len();
    let mut text = "Findings in the e-mails of the last fourteen nights.".to_owned();
    for sentence in &found {
        text.push_str(&format!(" {sentence}."));
    }
    let rest = [("No finding on", without), ("No e-mail on", silent)];
    for (words, nights) in rest.into_iter().filter(|(_, nights)| *nights > 0) {
        text.push_str(&format!(" {words} {}.", count_of(nights, "night", "nights")));
    }
    text
}

const fn note_word(notes: u64) -> &'static str {
    if notes == 1 { "note" } else { "notes" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::view::Verdict;

    #[test]
    fn a_first_night_has_no_chart() {
        let mut view = ReportView::sample(Verdict::Warning);
        view.told_before.clear();

        assert!(draw(&view).is_none());
    }

    #[test]
    fn a_night_without_an_e_mail_is_a_dash_and_a_night_without_findings_a_zero() {
        let mut view = ReportView::sample(Verdict::Ok);
        view.told_before.retain(|(date, _)| date.day() != 18);

        let drawing = draw(&view).unwrap();

        let lane = &drawing.marks.lanes[0];
        let (gap, tonight) = (&lane.bars[11], &lane.bars[13]);
        assert_eq!((gap.text.as_str(), gap.is_known, tonight.text.as_str()), ("\u{2013}", false, "0"));
        assert!(drawing.alt.contains("No e-mail on 2 nights."), "{}", drawing.alt);
    }
}
