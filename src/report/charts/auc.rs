//! How well the model ranks students, by course week: its interval, the rule and the courses' past share.
//!
//! The axis begins at 0.5 (chance), or lower where a figure is worse, and ends at 1, so that nights can be compared by
//! eye. Lines differ by dash as well as by colour, and each is named at its end.

use serde::Serialize;

use super::drawing::{Drawing, WIDTH};
use super::scale::{Scale, spread, ticks};
use crate::report::format::two_digits;
use crate::report::view::{ModelView, WeekView};

const HEIGHT: f64 = 330.0;
const FRAME: (f64, f64, f64, f64) = (48.0, 72.0, 452.0, 276.0);

#[derive(Debug, Serialize)]
pub(super) struct Marks {
    frame: (f64, f64, f64, f64),
    grid: Vec<Tick>,
    weeks: Vec<Tick>,
    band: String,
    lines: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Tick {
    at: f64,
    text: String,
}

#[derive(Debug, Serialize)]
struct Line {
    class: &'static str,
    points: String,
    dots: Vec<(f64, f64)>,
    label: String,
    value: String,
    label_at: f64,
}

/// A line: its class, its label and its value in a week, where it is defined.
type Series = (&'static str, &'static str, fn(&WeekView) -> Option<f64>);

/// Returns the drawing, or nothing where there are fewer than two weeks to join.
pub(super) fn draw(model: &ModelView) -> Option<Drawing<Marks>> {
    let (first, last) = (model.weeks.first()?, model.weeks.last()?);
    if model.weeks.len() < 2 {
        return None;
    }
    let figures = model
        .weeks
        .iter()
        .flat_map(|week| [Some(week.auc.low), week.rule_auc, week.base_rate_auc].into_iter().flatten());
    let lowest = figures.fold(0.5, |low: f64, value| low.min((value * 10.0).floor() / 10.0));
    let (left, top, right, bottom) = FRAME;
    let x = Scale { values: (f64::from(first.week), f64::from(last.week)), units: (left + 14.0, right - 14.0) };
    let y = Scale { values: (lowest, 1.0), units: (bottom, top) };

    let lines = lines(model, x, y);
    let upper = model.weeks.iter().map(|week| (x.at(f64::from(week.week)), y.at(week.auc.high)));
    let lower = model.weeks.iter().rev().map(|week| (x.at(f64::from(week.week)), y.at(week.auc.low)));
    let tick = |value: f64| Tick { at: y.at(value), text: format!("{value:.1}") };
    Some(Drawing {
        width: WIDTH,
        height: HEIGHT,
        title: "How well students in difficulty are found, by course week".to_owned(),
        subtitle: "AUC with its 95 % interval; 0.5 is chance, 1 is perfect.".to_owned(),
        alt: alt(model),
        marks: Marks {
            frame: FRAME,
            grid: ticks(lowest, 1.0, 0.1).into_iter().map(tick).collect(),
            weeks: model
                .weeks
                .iter()
                .map(|week| Tick { at: x.at(f64::from(week.week)), text: week.week.to_string() })
                .collect(),
            band: points(upper.chain(lower)),
            lines,
        },
    })
}

/// The three lines. Each ends with its last defined week; one that is not defined in any is left out.
fn lines(model: &ModelView, x: Scale, y: Scale) -> Vec<Line> {
    let (top, bottom) = (FRAME.1, FRAME.3);
    let series: [Series; 3] = [
        ("model", "Model", |week| Some(week.auc.value)),
        ("rule", "Simple rule", |week| week.rule_auc),
        ("base", "Course history", |week| week.base_rate_auc),
    ];
    let ends: Vec<(Series, f64)> = series
        .into_iter()
        .filter_map(|line| Some((line, model.weeks.iter().rev().find_map(|week| line.2(week))?)))
        .collect();
    let labels = spread(&ends.iter().map(|(_, end)| y.at(*end)).collect::<Vec<_>>(), 38.0, top + 8.0, bottom - 8.0);
    ends.iter()
        .zip(labels)
        .map(|(((class, label, value), end), label_at)| {
            let dots = model.weeks.iter().filter_map(|week| Some((x.at(f64::from(week.week)), y.at(value(week)?))));
            let dots: Vec<(f64, f64)> = dots.collect();
            Line {
                class,
                points: points(dots.iter().copied()),
                dots,
                label: (*label).to_owned(),
                value: two_digits(*end),
                label_at,
            }
        })
        .collect()
}

fn points(points: impl Iterator<Item = (f64, f64)>) -> String {
    points.map(|(x, y)| format!("{x},{y}")).collect::<Vec<_>>().join(" ")
}

fn alt(model: &ModelView) -> String {
    let weeks: Vec<String> = model
        .weeks
        .iter()
        .map(|week| {
            format!(
                "week {}: model {} ({} to {}), rule {}, course history {}",
                week.week,
                two_digits(week.auc.value),
                two_digits(week.auc.low),
                two_digits(week.auc.high),
                week.rule_auc.map_or_else(|| "not defined".to_owned(), two_digits),
                week.base_rate_auc.map_or_else(|| "not defined".to_owned(), two_digits)
            )
        })
        .collect();
    format!("AUC by course week. {}.", weeks.join("; "))
}
