//! Numbers, dates and durations as people write them, for templates and charts alike.
//!
//! Pure functions; the same ones serve as template filters (`templates.rs`). Times are shown in the view's
//! zone and name it; numbers have thousands separators or two to three significant digits.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

pub use crate::domain::number::{count_of, grouped, rows};

/// A zone that the time-zone database does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{zone}` is not a time zone: use an IANA name such as `America/Detroit`")]
pub struct ZoneError {
    /// What was found.
    pub zone: String,
}

/// Returns a change with its sign: `+1,204`, `−7`, `0`.
pub fn signed(change: i64) -> String {
    let digits = grouped(change.unsigned_abs());
    match change {
        0 => digits,
        1.. => format!("+{digits}"),
        _ => format!("\u{2212}{digits}"),
    }
}

/// Returns a small number with at most three significant digits: `0.783`, `12.4`, `163,204`.
pub fn short(number: f64) -> String {
    let size = number.abs();
    let decimals = match size {
        _ if size >= 100.0 => 0,
        _ if size >= 10.0 => 1,
        _ if size >= 0.01 || size == 0.0 => 2,
        _ => 3,
    };
    format!("{number:.decimals$}")
}

/// Rounds a figure about people to three decimals, as it is published: from more, the counts behind it can be worked out.
pub fn three_decimals(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

/// Rounds a distance between groups of people to two decimals, as it is published: with three, one student more or less in a
/// group of fifty can be seen.
pub fn two_decimals(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

/// Returns a figure from 0 to 1 with two digits: `0.78`.
pub fn two_digits(figure: f64) -> String {
    format!("{figure:.2}")
}

/// Returns a figure from 0 to 1 as times in 100: `78`.
pub fn out_of_100(figure: f64) -> String {
    format!("{:.0}", figure * 100.0)
}

/// Returns a share from 0 to 1: `12 %`, and below one percent `<1 %`.
pub fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.01 { "<1 %".to_owned() } else { format!("{:.0} %", share * 100.0) }
}

/// Returns a duration: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`.
pub fn duration(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round();
    let (hours, minutes, rest) = ((whole / 3600.0).floor(), (whole / 60.0).floor() % 60.0, whole % 60.0);
    if hours > 0.0 {
        format!("{hours:.0} h {minutes:.0} min")
    } else if minutes > 0.0 {
        format!("{minutes:.0} min {rest:.0} s")
    } else {
        format!("{rest:.0} s")
    }
}

/// Returns a number of bytes: `812 B`, `14 kB`, `3.2 MB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", short(bytes as f64 / 1e3)),
        1_000_000..1_000_000_000 => format!("{} MB", short(bytes as f64 / 1e6)),
        _ => format!("{} GB", short(bytes as f64 / 1e9)),
    }
}

/// Returns a date: `Friday 20 November 2026`.
pub fn day(date: Date) -> String {
    date.strftime("%A %-d %B %Y").to_string()
}

/// Returns an instant in `zone`: `19 Nov 2026, 23:58 EST`.
///
/// # Errors
/// When there is no such zone.
pub fn day_and_time(at: Timestamp, zone: &str) -> Result<String, ZoneError> {
    Ok(at.to_zoned(time_zone(zone)?).strftime("%-d %b %Y, %H:%M %Z").to_string())
}

/// Returns when an entry of a table is from: midnight is that of a date, whose time says nothing.
///
/// # Errors
/// When there is no such zone.
pub fn entry(at: Timestamp, zone: &str) -> Result<String, ZoneError> {
    let local = at.to_zoned(time_zone(zone)?);
    if local.time() == jiff::civil::Time::midnight() {
        return Ok(local.strftime("%-d %b %Y").to_string());
    }
    day_and_time(at, zone)
}

/// Returns the zone of that name.
///
/// # Errors
/// When there is no such zone.
pub fn time_zone(zone: &str) -> Result<TimeZone, ZoneError> {
    TimeZone::get(zone).map_err(|_| ZoneError { zone: zone.to_owned() })
}

/// Returns a file's name as a relative link: everything but letters, digits and `-._~=` is percent-encoded.
pub fn link(name: &str) -> String {
    let mut link = String::with_capacity(name.len() + 2);
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~=".contains(&byte) {
            link.push(char::from(byte));
        } else {
            link.push_str(&format!("%{byte:02X}"));
        }
    }
    link
}

/// Returns `text` cut to at most `width` columns, with an ellipsis where something is left out.
pub fn clipped(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (kept, _) = split_at_width(text, width.saturating_sub(1));
    format!("{}\u{2026}", kept.trim_end())
}

/// Returns what of `text` fits into `width` columns, and the rest. Chinese, Japanese and Korean letters take two columns.
fn split_at_width(text: &str, width: usize) -> (&str, &str) {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, letter)| {
        taken += letter.width().unwrap_or(0);
        taken > width
    });
    text.split_at(end.map_or(text.len(), |(at, _)| at))
}

/// Returns `text` with spaces after it, up to `width` columns.
pub fn padded_right(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// Returns `text` with spaces before it, up to `width` columns.
pub fn padded_left(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(text.width())))
}

/// Returns `text` broken at spaces into lines of at most `width` characters; all but the first begin with `indent` spaces.
///
/// A code span between backticks is broken only if it is longer than a line. A command or an address that is longer
/// has a line of its own; any other word that is longer is broken.
pub fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let room = width.saturating_sub(indent).max(1);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in words(text, room) {
        let begins = line.trim().is_empty();
        if !begins && line.width() + 1 + word.width() > width {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
        } else if !begins {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(line);
    lines.join("\n")
}

/// Returns `text` with each line that is longer than `width` broken as in [`wrapped`], at its own indent.
pub fn fitted(text: &str, width: usize) -> String {
    let each = text.split('\n').map(|line| {
        if line.width() <= width || is_whole(line.trim()) {
            return line.to_owned();
        }
        let indent = line.chars().take_while(|c| *c == ' ').count().min(width / 2);
        format!(
            "{}{}",
            " ".repeat(indent),
            wrapped(line, width - indent, 0).replace('\n', &format!("\n{}", " ".repeat(indent)))
        )
    });
    each.collect::<Vec<_>>().join("\n")
}

/// Whether a text is a command or an address, which is not broken.
fn is_whole(text: &str) -> bool {
    let text = text.trim_start_matches('`');
    text.starts_with("nocturne ") || (text.contains("://") && !text.contains(char::is_whitespace))
}

/// The words of a text: code spans of up to `room` characters, commands, and figures with their `%` whole, other words in
/// pieces of at most as many.
fn words(text: &str, room: usize) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    let mut is_open = false;
    for word in text.split_whitespace() {
        match joined.last_mut().filter(|_| is_open) {
            Some(span) => {
                span.push(' ');
                span.push_str(word);
            }
            None => match joined.last_mut().filter(|_| word.starts_with('%')) {
                Some(figure) => {
                    figure.push(' ');
                    figure.push_str(word);
                }
                None => joined.push(word.to_owned()),
            },
        }
        is_open ^= word.matches('`').count() % 2 == 1;
    }
    let fits = |word: &str| word.width() <= room || is_whole(word);
    let parts = joined.iter().flat_map(|word| match fits(word) {
        true => vec![word.as_str()],
        false => word.split(' ').collect(),
    });
    let pieces = parts.flat_map(|word| match fits(word) {
        true => vec![word.to_owned()],
        false => in_pieces(word, room),
    });
    pieces.collect()
}

/// A word in pieces of at most `room` columns, each of at least one letter.
fn in_pieces(word: &str, room: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let (piece, after) = split_at_width(rest, room.max(first.width().unwrap_or(0)));
        pieces.push(piece.to_owned());
        rest = after;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn letters_that_take_two_columns_are_counted_as_two() {
        assert_eq!(clipped("\u{7d71}\u{8a08}\u{5b66}\u{5165}\u{9580}", 7), "\u{7d71}\u{8a08}\u{5b66}\u{2026}");
        assert_eq!(wrapped("\u{7d71}\u{8a08}\u{5b66}", 4, 0), "\u{7d71}\u{8a08}\n\u{5b66}");
        assert_eq!(
            (padded_right("\u{7d71}", 4), padded_left("\u{7d71}", 4)),
            ("\u{7d71}  ".into(), "  \u{7d71}".into())
        );
    }

    #[test]
    fn a_figure_and_its_percent_sign_stay_on_one_line() {
        assert_eq!(wrapped("a share of 50 % is half", 13, 0), "a share of\n50 % is half");
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!((grouped(0), grouped(999), grouped(1_000)), ("0".into(), "999".into(), "1,000".into()));
        assert_eq!((signed(-1_204), signed(7), signed(0)), ("\u{2212}1,204".into(), "+7".into(), "0".into()));
        assert_eq!((short(0.0083), short(0.5), short(12.34)), ("0.008".into(), "0.50".into(), "12.3".into()));
        assert_eq!((percent(0.004), percent(0.0), percent(0.126)), ("<1 %".into(), "0 %".into(), "13 %".into()));
    }

    #[test]
    fn durations_and_sizes_have_the_unit_a_reader_expects() {
        let durations = [0.04, 9.96, 59.6, 185.0, 7_800.0].map(duration);
        assert_eq!(durations, ["0.0 s", "10 s", "1 min 0 s", "3 min 5 s", "2 h 10 min"]);
        assert_eq!([812, 14_200, 3_210_000].map(size), ["812 B", "14.2 kB", "3.21 MB"]);
    }

    #[test]
    fn an_instant_is_shown_in_its_zone_and_names_it() {
        let at: Timestamp = "2026-11-20T04:58:00Z".parse().unwrap();

        assert_eq!(day_and_time(at, "America/Detroit").unwrap(), "19 Nov 2026, 23:58 EST");
        assert_eq!(day_and_time(at, "Mars/Base").unwrap_err().zone, "Mars/Base");
    }

    #[test]
    fn wrapping_breaks_at_spaces_and_indents() {
        assert_eq!(wrapped("one two three four", 9, 2), "one two\n  three\n  four");
        assert_eq!(clipped("engagement", 6), "engag\u{2026}");
    }

    #[test]
    fn a_command_is_not_broken_and_one_that_is_too_long_has_a_line_of_its_own() {
        assert_eq!(wrapped("Ask for it: `nocturne lake ls` now", 24, 2), "Ask for it:\n  `nocturne lake ls` now");
        let long = "nocturne runs show nightly-2026-11-20-1 --json";
        assert_eq!(wrapped(&format!("Run `{long}`, then wait"), 24, 2), format!("Run\n  `{long}`,\n  then wait"));
        assert_eq!(
            fitted("  The report: https://reports.example.edu/a/b/c", 30),
            "  The report:\n  https://reports.example.edu/a/b/c"
        );
        assert_eq!(fitted(&format!("    {long}"), 30), format!("    {long}"));
    }

    #[test]
    fn an_odd_backtick_swallows_nothing() {
        assert_eq!(wrapped("an ` odd one that goes on", 10, 0), "an ` odd\none that\ngoes on");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_asked_and_no_character_is_lost(
            text in "[ a-z`äöü日本é\\-/._]{0,400}", width in 20_usize..80, indent in 0_usize..9
        ) {
            let fitted = fitted(&format!("{}{text}", " ".repeat(indent)), width);

            for line in fitted.lines() {
                prop_assert!(line.width() <= width, "{line:?} in {fitted:?}");
            }
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&fitted), letters(&text));
        }
    }
}
