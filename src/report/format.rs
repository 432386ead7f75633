//! Numbers, dates and durations as people write them, for templates and charts alike.
//!
//! Pure functions; the same ones serve as template filters (`templates.rs`). Times are shown in the view's
//! zone and name it; numbers have thousands separators or two to three significant digits.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

pub use crate::domain::number::grouped;

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

/// Returns a number of things: `1 table`, `14 tables`.
pub fn count_of(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(u64::try_from(count).unwrap_or(u64::MAX)), if count == 1 { one } else { many })
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

/// Returns `text` cut to at most `width` characters, with an ellipsis where something is left out.
pub fn clipped(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}\u{2026}", kept.trim_end())
}

/// Returns `text` broken at spaces into lines of at most `width` characters; all but the first begin with `indent` spaces.
///
/// A word longer than a line keeps a line of its own.
pub fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let begins = line.trim().is_empty();
        if !begins && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
        } else if !begins {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
