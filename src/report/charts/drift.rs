//! How far the features have moved since the terms the model learned from, as a multiple of their limits.
//!
//! The scores come first, then the features as the view orders them. A bar beyond its limit is amber and its
//! figures are bold. What the distances mean is decided where they are computed, not here.

use serde::Serialize;

use super::drawing::{Drawing, WIDTH};
use super::scale::{Scale, round_step, rounded, ticks};
use crate::report::format::{clipped, short};
use crate::report::view::{DriftView, FeatureDrift};

const ROW: f64 = 30.0;
const TOP: f64 = 88.0;
const LEFT: f64 = 232.0;
const RIGHT: f64 = 488.0;
/// The most features drawn; the rest are in the table.
const MOST: usize = 8;
/// The multiple beyond which a bar is cut.
const FURTHEST: f64 = 4.0;

#[derive(Debug, Serialize)]
pub(super) struct Marks {
    left: f64,
    top: f64,
    bottom: f64,
    limit_at: f64,
    ticks: Vec<(f64, String)>,
    bars: Vec<Bar>,
}

#[derive(Debug, Serialize)]
struct Bar {
    y: f64,
    length: f64,
    label: String,
    value: String,
    is_beyond: bool,
}

/// Returns the drawing, or nothing where nothing was compared.
pub(super) fn draw(drift: &DriftView) -> Option<Drawing<Marks>> {
    let rows: Vec<&FeatureDrift> = drift.scores.iter().chain(&drift.top).take(MOST).collect();
    if rows.is_empty() {
        return None;
    }
    let furthest = rows.iter().map(|row| multiple(row)).fold(1.5, f64::max).min(FURTHEST);
    let x = Scale { values: (0.0, furthest), units: (LEFT, RIGHT) };
    let mut y = TOP;
    let mut bars = Vec::with_capacity(rows.len());
    for row in &rows {
        bars.push(Bar {
            y,
            length: rounded((x.at(multiple(row)) - LEFT).max(2.0)),
            label: clipped(&row.label, 32),
            value: format!("{} of {}", short(row.distance), short(row.threshold)),
            is_beyond: row.is_beyond(),
        });
        y += ROW;
    }
    let axis = ticks(0.0, furthest, round_step(furthest, 4.0));
    Some(Drawing {
        width: WIDTH,
        height: y + 40.0,
        title: "How unlike earlier terms this term is".to_owned(),
        subtitle: format!("Distance as a multiple of its limit; against {}.", drift.reference),
        alt: alt(&rows),
        marks: Marks {
            left: LEFT,
            top: TOP - 8.0,
            bottom: y,
            limit_at: x.at(1.0),
            ticks: axis.into_iter().map(|value| (x.at(value), format!("{}×", plain(value)))).collect(),
            bars,
        },
    })
}

fn multiple(row: &FeatureDrift) -> f64 {
    match row.threshold {
        limit if limit > 0.0 => row.distance / limit,
        _ if row.distance > 0.0 => FURTHEST,
        _ => 0.0,
    }
}

fn plain(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

fn alt(rows: &[&FeatureDrift]) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|row| {
            let side = if row.is_beyond() { "beyond" } else { "within" };
            format!("{}: {} {}, {side} its limit {}", row.label, row.method, short(row.distance), short(row.threshold))
        })
        .collect();
    format!("Distance from earlier terms. {}.", rows.join("; "))
}
