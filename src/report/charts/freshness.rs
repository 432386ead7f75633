//! How old the newest entry of each table was at the end of the day the night covers, and its rows.
//!
//! The axis is logarithmic: an hour and a year must both be legible. Tables without events have no age and are left
//! out. Age is measured from the logical date's midnight, never from the wall clock.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::drawing::{Drawing, WIDTH};
use super::scale::{Scale, rounded};
use crate::report::format::{ZoneError, clipped, grouped, rows as number_of_rows, time_zone};
use crate::report::view::{ReportView, TableView};

const ROW: f64 = 28.0;
const TOP: f64 = 88.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 470.0;
/// The most tables drawn: those that were not renewed first, then the largest.
const MOST: usize = 8;
/// Where the axis has its marks, in hours.
const AXIS: [(f64, &str); 6] =
    [(1.0, "hour"), (6.0, ""), (24.0, "day"), (168.0, "week"), (730.0, "month"), (8760.0, "year")];

#[derive(Debug, Serialize)]
pub(super) struct Marks {
    left: f64,
    top: f64,
    bottom: f64,
    ticks: Vec<(f64, &'static str)>,
    bars: Vec<Bar>,
    has_rows: bool,
}

#[derive(Debug, Serialize)]
struct Bar {
    y: f64,
    length: f64,
    label: String,
    rows: String,
    is_stale: bool,
}

/// Whether the rows of each table are shown: exact numbers are for operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// They are.
    Shown,
    /// They are not.
    Hidden,
}

/// Returns the drawing, or nothing where no table holds events.
///
/// # Errors
/// When the view's zone is unknown.
pub(super) fn draw(view: &ReportView, rows: Rows) -> Result<Option<Drawing<Marks>>, ZoneError> {
    let end = end_of_day_before(view.logical_date, &view.zone)?;
    let mut tables: Vec<(&TableView, f64)> =
        view.tables.iter().filter_map(|table| Some((table, age_in_hours(table.newest_event?, end)))).collect();
    tables.sort_by_key(|(table, _)| (!table.is_stale, std::cmp::Reverse(table.rows), &table.name));
    let all = tables.len();
    tables.truncate(MOST);
    if tables.is_empty() {
        return Ok(None);
    }
    let log = Scale { values: (0.0, 8760_f64.ln()), units: (LEFT, RIGHT) };
    let mut y = TOP;
    let mut bars = Vec::with_capacity(tables.len());
    for (table, hours) in &tables {
        bars.push(Bar {
            y,
            length: rounded((log.at(hours.max(1.0).ln()) - LEFT).max(3.0)),
            label: clipped(&table.name, 22),
            rows: if rows == Rows::Shown { grouped(table.rows) } else { String::new() },
            is_stale: table.is_stale,
        });
        y += ROW;
    }
    Ok(Some(Drawing {
        width: WIDTH,
        height: y + 40.0,
        title: match all - tables.len() {
            0 => "How old the newest entry of each table is".to_owned(),
            _ => format!("How old the newest entry of a table is: {} of {all}", tables.len()),
        },
        subtitle: "At the end of the day this covers; shorter is fresher. Amber: could not be renewed.".to_owned(),
        alt: alt(&tables, rows),
        marks: Marks {
            left: LEFT,
            top: TOP - 8.0,
            bottom: y,
            ticks: AXIS.iter().map(|(hours, text)| (log.at(hours.ln()), *text)).collect(),
            bars,
            has_rows: rows == Rows::Shown,
        },
    }))
}

fn end_of_day_before(date: Date, zone: &str) -> Result<Timestamp, ZoneError> {
    let midnight = date.to_zoned(time_zone(zone)?).map_err(|_| ZoneError { zone: zone.to_owned() })?;
    Ok(midnight.timestamp())
}

fn age_in_hours(newest: Timestamp, end: Timestamp) -> f64 {
    end.duration_since(newest).as_secs_f64().max(0.0) / 3600.0
}

fn alt(tables: &[(&TableView, f64)], rows: Rows) -> String {
    let tables: Vec<String> = tables
        .iter()
        .map(|(table, hours)| {
            let age = match *hours {
                ..1.0 => "under an hour".to_owned(),
                1.0..48.0 => format!("{hours:.0} hours"),
                _ => format!("{:.0} days", hours / 24.0),
            };
            let stale = if table.is_stale { ", not renewed" } else { "" };
            let count = match rows {
                Rows::Shown => format!(", {}", number_of_rows(table.rows)),
                Rows::Hidden => String::new(),
            };
            format!("{}: {age}{count}{stale}", table.name)
        })
        .collect();
    format!("Age of the newest entry by table. {}.", tables.join("; "))
}
