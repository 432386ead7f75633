//! The Gantt of the night: when each job ran, for how long, and in how many attempts.
//!
//! Only the digest has it: durations differ between two runs on the same inputs, so the published report must not show
//! them. Jobs that were never attempted are left out; a failed one says so in words, not by its colour alone.

use serde::Serialize;

use super::drawing::{Drawing, WIDTH};
use super::scale::{Scale, round_step, rounded, ticks};
use crate::report::format::{clipped, duration};
use crate::report::view::{JobEnd, NightView};

const ROW: f64 = 28.0;
const TOP: f64 = 88.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 510.0;
/// The most jobs drawn; the rest are in the table.
const MOST: usize = 10;

#[derive(Debug, Serialize)]
pub(super) struct Marks {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    ticks: Vec<(f64, String)>,
    bars: Vec<Bar>,
}

#[derive(Debug, Serialize)]
struct Bar {
    x: f64,
    y: f64,
    length: f64,
    label: String,
    value: String,
    value_at: f64,
    value_anchor: &'static str,
    class: &'static str,
}

/// Returns the drawing, or nothing where no job ran.
pub(super) fn draw(night: &NightView) -> Option<Drawing<Marks>> {
    let mut spans: Vec<_> = night.spans.iter().filter(|span| span.attempts > 0 || span.is_up_to_date).collect();
    let all = spans.len();
    spans.truncate(MOST);
    if spans.is_empty() {
        return None;
    }
    let total =
        spans.iter().map(|span| span.start_offset_seconds + span.seconds).fold(night.seconds, f64::max).max(0.1);
    let x = Scale { values: (0.0, total), units: (LEFT, RIGHT) };
    let mut y = TOP;
    let mut bars = Vec::with_capacity(spans.len());
    for span in &spans {
        let from = x.at(span.start_offset_seconds);
        let to = x.at(span.start_offset_seconds + span.seconds).max(from + 3.0);
        let again = if span.attempts > 1 { format!(", {} attempts", span.attempts) } else { String::new() };
        let failed = if span.end.is_trouble() { ", failed" } else { "" };
        let value = match span.is_up_to_date {
            true => "up to date".to_owned(),
            false => format!("{}{again}{failed}", duration(span.seconds)),
        };
        let is_room = to + 8.0 * value.chars().count() as f64 + 8.0 < WIDTH;
        bars.push(Bar {
            x: from,
            y,
            length: rounded(to - from),
            label: clipped(&span.name, 17),
            value,
            value_at: rounded(if is_room { to + 6.0 } else { from - 6.0 }),
            value_anchor: if is_room { "start" } else { "end" },
            class: class(span.end),
        });
        y += ROW;
    }
    let axis = ticks(0.0, total, round_step(total, 5.0));
    Some(Drawing {
        width: WIDTH,
        height: y + 34.0,
        title: match all - spans.len() {
            0 => "The night, job by job".to_owned(),
            _ => format!("The night, job by job: the first {} of {all}", spans.len()),
        },
        subtitle: format!("{} from the first job to this e-mail.", duration(night.seconds)),
        alt: alt(night),
        marks: Marks {
            left: LEFT,
            right: RIGHT,
            top: TOP - 8.0,
            bottom: y,
            ticks: axis.into_iter().map(|seconds| (x.at(seconds), tick(seconds))).collect(),
            bars,
        },
    })
}

fn tick(seconds: f64) -> String {
    if seconds < 10.0 && seconds.fract() == 0.0 { format!("{seconds:.0} s") } else { duration(seconds) }
}

const fn class(end: JobEnd) -> &'static str {
    match end {
        JobEnd::Succeeded => "ok",
        JobEnd::Running | JobEnd::Queued => "running",
        JobEnd::Skipped => "skipped",
        JobEnd::Failed | JobEnd::UpstreamFailed | JobEnd::Cancelled => "failed",
    }
}

fn alt(night: &NightView) -> String {
    let spans: Vec<String> = night
        .spans
        .iter()
        .take(MOST)
        .map(|span| match span.is_up_to_date {
            true => format!("{}: up to date", span.name),
            false => {
                format!("{}: {} from {}", span.name, duration(span.seconds), duration(span.start_offset_seconds))
            }
        })
        .collect();
    format!("When each job ran, {} in all. {}.", duration(night.seconds), spans.join("; "))
}
