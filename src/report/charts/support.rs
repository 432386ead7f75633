//! How many students may need support over the term: rounded counts, from ten on.
//!
//! A night without a count that may be shown is a gap in the line. The axis begins at 0, so that a small change looks
//! small. Lines differ by dash, and each is named at its end. For everybody.

use jiff::civil::Date;
use serde::Serialize;

use super::drawing::{Drawing, WIDTH};
use super::scale::{Scale, round_step, spread, ticks};
use crate::report::format::{clipped, day, grouped};
use crate::report::view::{ReportView, SupportTerm};

const HEIGHT: f64 = 280.0;
const FRAME: (f64, f64, f64, f64) = (52.0, 72.0, 452.0, 236.0);
/// The most terms drawn.
const MOST: usize = 3;
/// How many nights of a term the alternative text tells, besides the first and the last.
const TOLD: usize = 6;

#[derive(Debug, Serialize)]
pub(super) struct Marks {
    frame: (f64, f64, f64, f64),
    grid: Vec<(f64, String)>,
    dates: Vec<(f64, String)>,
    lines: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    /// Its pieces, between gaps.
    pieces: Vec<String>,
    /// Nights that stand alone, and the last.
    dots: Vec<(f64, f64)>,
    /// Which of the lines it is, from 0.
    place: usize,
    label: String,
    value: String,
    label_at: f64,
}

/// The nights of one term: days since the first night of all, and the count.
type Points = Vec<(i32, u64)>;

/// Returns the drawing, or nothing where fewer than two nights of a term are known.
pub(super) fn draw(view: &ReportView) -> Option<Drawing<Marks>> {
    let terms: Vec<&SupportTerm> = view.support.iter().filter(|term| term.nights.len() > 1).take(MOST).collect();
    let first = terms.iter().flat_map(|term| &term.nights).map(|(date, _)| *date).min()?;
    let days = |date: Date| date.since((jiff::Unit::Day, first)).map_or(0, |span| span.get_days());
    let points: Vec<Points> = terms
        .iter()
        .map(|term| term.nights.iter().filter_map(|(date, n)| Some((days(*date), n.shown()?))).collect())
        .collect();
    let all = || points.iter().flatten();
    let last = all().map(|(day, _)| *day).max()?.max(1);
    let most = all().map(|(_, n)| *n).max()? as f64;
    let step = round_step(most, 4.0).max(5.0);
    let top = (most / step).ceil() * step;
    let (left, upper, right, lower) = FRAME;
    let x = Scale { values: (0.0, f64::from(last)), units: (left + 10.0, right - 10.0) };
    let y = Scale { values: (0.0, top), units: (lower, upper) };
    let date_at = |day: i32| {
        let date = first.checked_add(jiff::Span::new().days(day)).unwrap_or(first);
        (x.at(f64::from(day)), date.strftime("%-d %b").to_string())
    };
    let step_days = usize::try_from((last + 3) / 4).unwrap_or(1).max(1);
    Some(Drawing {
        width: WIDTH,
        height: HEIGHT,
        title: "How many students may need support, over the term".to_owned(),
        subtitle: "Students, rounded to 5. Gaps: no scores that night, or fewer than 10 students.".to_owned(),
        alt: alt(&terms),
        marks: Marks {
            frame: FRAME,
            grid: ticks(0.0, top, step).into_iter().map(|n| (y.at(n), format!("{n:.0}"))).collect(),
            dates: (0..=last).rev().step_by(step_days).map(date_at).collect(),
            lines: lines(&terms, &points, x, y),
        },
    })
}

fn lines(terms: &[&SupportTerm], points: &[Points], x: Scale, y: Scale) -> Vec<Line> {
    let ends: Vec<f64> = points.iter().map(|points| y.at(points.last().map_or(0.0, |(_, n)| *n as f64))).collect();
    let labels = spread(&ends, 38.0, FRAME.1 + 8.0, FRAME.3 - 8.0);
    let each = terms.iter().zip(points).zip(labels).enumerate().map(|(place, ((term, points), label_at))| {
        let step = points.windows(2).map(|pair| pair[1].0 - pair[0].0).min().unwrap_or(1);
        let pieces: Vec<&[(i32, u64)]> = points.chunk_by(|one, next| next.0 - one.0 <= step).collect();
        let at = |(day, n): &(i32, u64)| (x.at(f64::from(*day)), y.at(*n as f64));
        let alone = pieces.iter().filter(|piece| piece.len() == 1).map(|piece| at(&piece[0]));
        let dots = alone.chain(points.last().map(at)).collect();
        let joined = pieces.iter().filter(|piece| piece.len() > 1);
        let joined = joined.map(|piece| {
            let each = piece.iter().map(at).map(|(x, y)| format!("{x},{y}"));
            each.collect::<Vec<_>>().join(" ")
        });
        let value = points.last().map_or_else(String::new, |(_, n)| grouped(*n));
        Line { pieces: joined.collect(), dots, place, label: clipped(&term.term, 19), value, label_at }
    });
    each.collect()
}

fn alt(terms: &[&SupportTerm]) -> String {
    let each = terms.iter().map(|term| {
        let every = (term.nights.len() / (TOLD + 1)).max(1);
        let last = term.nights.len() - 1;
        let told = term.nights.iter().enumerate().filter(|(n, _)| n % every == 0 && last - n >= every || *n == last);
        let told = told.filter_map(|(_, (date, n))| Some(format!("{} on {}", grouped(n.shown()?), day(*date))));
        format!("{}: {}", term.term, told.collect::<Vec<_>>().join(", "))
    });
    format!("Students who may need support, rounded to 5. {}.", each.collect::<Vec<_>>().join(". "))
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;
    use jiff::civil::date;

    use super::*;
    use crate::report::view::Verdict;

    fn with(nights: &[(i64, u64)]) -> Option<Drawing<Marks>> {
        let mut view = ReportView::sample(Verdict::Ok);
        let night = |(days, n): &(i64, u64)| (date(2026, 9, 1).saturating_add(days.days()), Some(*n).into());
        view.support = vec![SupportTerm { term: "Autumn".to_owned(), nights: nights.iter().map(night).collect() }];
        draw(&view)
    }

    #[test]
    fn a_first_night_has_no_chart() {
        assert!(with(&[(0, 40)]).is_none());
    }

    #[test]
    fn a_night_that_is_not_shown_is_a_gap_in_the_line() {
        let drawing = with(&[(0, 40), (1, 45), (3, 50), (4, 50), (6, 60)]).unwrap();

        let line = &drawing.marks.lines[0];
        assert_eq!((line.pieces.len(), line.dots.len()), (2, 2), "two joined pieces, and a night that stands alone");
        assert_eq!(line.value, "60");
    }

    #[test]
    fn the_alternative_text_of_a_whole_term_is_short_and_ends_with_tonight() {
        let nights: Vec<(i64, u64)> = (0_i64..120).map(|n| (n, 100 + n.unsigned_abs())).collect();

        let alt = with(&nights).unwrap().alt;

        assert!(alt.len() < 450 && alt.contains("100 on Tuesday 1 September 2026"), "{alt}");
        assert!(alt.ends_with("220 on Tuesday 29 December 2026."), "{alt}");
    }
}
