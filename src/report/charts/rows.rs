//! The rows of the main tables on the last nights, each against what is usual on such a night.
//!
//! One strip for each table, with a scale of its own. Where too few nights are comparable, the strip says so and has no
//! band. A night outside its band is a diamond with its word, not a dot of another colour. Exact counts: for operators.

use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::Serialize;

use super::drawing::{Drawing, WIDTH};
use super::scale::{Scale, rounded};
use crate::report::format::{clipped, grouped};
use crate::report::view::{NIGHTS, ReportView, RowsNight, TableNights};

const STRIP: f64 = 58.0;
const TOP: f64 = 72.0;
const LEFT: f64 = 176.0;
const RIGHT: f64 = 410.0;
/// The most tables drawn: those with an unusual number of rows first, then the largest.
const MOST: usize = 5;

#[derive(Debug, Serialize)]
pub(super) struct Marks {
    left: f64,
    right: f64,
    bottom: f64,
    first: String,
    last: String,
    strips: Vec<Strip>,
}

#[derive(Debug, Serialize)]
struct Strip {
    y: f64,
    table: String,
    rows: String,
    /// What is usual tonight, or why that is not known: two short lines.
    usual: (String, String),
    is_unusual: bool,
    /// The bands of the nights for which they are known: place, top and height.
    bands: Vec<(f64, f64, f64)>,
    dots: Vec<Dot>,
}

#[derive(Debug, Serialize)]
struct Dot {
    x: f64,
    y: f64,
    is_unusual: bool,
    is_tonight: bool,
}

/// Returns the drawing, or nothing where no earlier night is known.
pub(super) fn draw(view: &ReportView) -> Option<Drawing<Marks>> {
    let tables = main_tables(view);
    if tables.is_empty() {
        return None;
    }
    let first = view.logical_date.checked_sub((i64::from(NIGHTS) - 1).days()).ok()?;
    let strips = tables.iter().enumerate().map(|(n, table)| strip(table, first, TOP + STRIP * n as f64)).collect();
    let bottom = TOP + STRIP * tables.len() as f64;
    let title = match view.rows.len() - tables.len() {
        0 => "Rows over fourteen nights, and what is usual".to_owned(),
        _ => format!("Rows over fourteen nights, and what is usual: {} of {} tables", tables.len(), view.rows.len()),
    };
    Some(Drawing {
        width: WIDTH,
        height: bottom + 34.0,
        title,
        subtitle: "Grey bars: usual on that weekday and in that week of a term. A diamond is outside.".to_owned(),
        alt: alt(&tables),
        marks: Marks {
            left: LEFT,
            right: RIGHT,
            bottom,
            first: short_day(first),
            last: short_day(view.logical_date),
            strips,
        },
    })
}

/// The tables of which an earlier night is known, at most [`MOST`].
fn main_tables(view: &ReportView) -> Vec<&TableNights> {
    let mut tables: Vec<&TableNights> = view.rows.iter().filter(|table| table.nights.len() > 1).collect();
    let rows = |table: &TableNights| table.tonight().map_or(0, |night| night.rows);
    tables.sort_by_key(|table| (!table.is_unusual(), std::cmp::Reverse(rows(table)), &table.table));
    tables.truncate(MOST);
    tables
}

fn strip(table: &TableNights, first: Date, y: f64) -> Strip {
    let figures = table.nights.iter().flat_map(|night| {
        let (low, high) = night.usual.unwrap_or((night.rows, night.rows));
        [night.rows, low, high]
    });
    let (low, high) = figures.fold((u64::MAX, 0), |(low, high), n| (low.min(n), high.max(n)));
    let margin = ((high - low) as f64 * 0.08).max(1.0);
    let x = Scale { values: (0.0, f64::from(NIGHTS) - 1.0), units: (LEFT + 8.0, RIGHT - 8.0) };
    let scale = Scale { values: (low as f64 - margin, high as f64 + margin), units: (y + STRIP - 12.0, y + 4.0) };
    let place = |date: Date| x.at(f64::from(date.since(first).map_or(0, |span| span.get_days())));
    let bands = table.nights.iter().filter_map(|night| {
        let (low, high) = night.usual?;
        let (bottom, top) = (scale.at(low as f64), scale.at(high as f64));
        Some((place(night.date), top, rounded((bottom - top).max(1.0))))
    });
    let last = table.nights.len() - 1;
    let dot = |(n, night): (usize, &RowsNight)| Dot {
        x: place(night.date),
        y: scale.at(night.rows as f64),
        is_unusual: night.is_unusual(),
        is_tonight: n == last,
    };
    Strip {
        y,
        table: clipped(&table.table, 20),
        rows: grouped(table.tonight().map_or(0, |night| night.rows)),
        usual: usual_words(table),
        is_unusual: table.is_unusual(),
        bands: bands.collect(),
        dots: table.nights.iter().enumerate().map(dot).collect(),
    }
}

fn usual_words(table: &TableNights) -> (String, String) {
    match table.tonight().and_then(|night| Some((night, night.usual?))) {
        Some((night, (low, high))) => {
            let word = match night.rows {
                rows if rows < low => "fewer than usual:",
                rows if rows > high => "more than usual:",
                _ => "as usual:",
            };
            (word.to_owned(), format!("{} to {}", grouped(low), grouped(high)))
        }
        None => (format!("not known yet: {} of {}", table.comparable, table.fewest), "comparable nights".to_owned()),
    }
}

fn short_day(date: Date) -> String {
    date.strftime("%-d %b").to_string()
}

fn alt(tables: &[&TableNights]) -> String {
    let each = tables.iter().filter_map(|table| {
        let (now, before) = (table.tonight()?, table.nights.first()?);
        let (word, range) = usual_words(table);
        let usual = if now.usual.is_some() { format!("; {word} {range}") } else { String::new() };
        Some(format!(
            "{}: {} tonight, {} on {}{usual}",
            table.table,
            grouped(now.rows),
            grouped(before.rows),
            short_day(before.date)
        ))
    });
    let each = each.collect::<Vec<_>>().join(". ");
    let unknown = tables.iter().filter(|table| table.tonight().is_some_and(|night| night.usual.is_none()));
    let unknown = unknown.max_by_key(|table| table.comparable).map_or_else(String::new, |table| {
        let (nights, fewest) = (table.comparable, table.fewest);
        format!(
            " What is usual is not known yet where it is not said: that takes {fewest} nights of the same weekday in about \
             the same week of a term, and {nights} are known."
        )
    });
    format!("Rows of tables over the last fourteen nights. {each}.{unknown}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::view::Verdict;

    #[test]
    fn a_first_night_has_no_chart() {
        let mut view = ReportView::sample(Verdict::Ok);
        for table in &mut view.rows {
            table.nights.drain(..table.nights.len() - 1);
        }

        assert!(draw(&view).is_none());
    }

    #[test]
    fn where_too_few_nights_are_comparable_the_strip_says_so_and_has_no_band() {
        let mut view = ReportView::sample(Verdict::Ok);
        view.rows.truncate(1);
        view.rows[0].comparable = 3;
        view.rows[0].nights.iter_mut().for_each(|night| night.usual = None);

        let drawing = draw(&view).unwrap();

        assert!(drawing.marks.strips[0].bands.is_empty());
        assert_eq!(drawing.marks.strips[0].usual.0, "not known yet: 3 of 8");
        assert!(drawing.alt.contains("that takes 8 nights") && drawing.alt.contains("3 are known"), "{}", drawing.alt);
    }

    #[test]
    fn a_table_outside_its_band_comes_first_and_is_named_so() {
        let view = ReportView::sample(Verdict::Warning);

        let drawing = draw(&view).unwrap();

        let first = &drawing.marks.strips[0];
        assert!(first.is_unusual && first.dots.last().unwrap().is_unusual, "{first:?}");
        assert_eq!(first.usual.0, "fewer than usual:");
    }
}
