//! How a number is written for people, the same in summaries, on pages and on screens.

/// Returns a whole number with thousands separators: `163,204`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a number with thousands separators and at most six decimals: `0.5`, `1,204.25`; what is too small for them by its
/// power of ten: `1e-7`.
pub fn figure(number: f64) -> String {
    if number != 0.0 && number.abs() < 1e-6 {
        return format!("{number:e}");
    }
    let text = format!("{:.6}", number.abs());
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
    let decimals = decimals.trim_end_matches('0');
    let digits = if decimals.is_empty() { whole } else { format!("{whole}.{decimals}") };
    if number < 0.0 && digits != "0" { format!("\u{2212}{digits}") } else { digits }
}

/// Returns a number rounded to four significant digits, and never to fewer than its whole part has.
pub fn significant(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    let scale = 10_f64.powf((3.0 - number.abs().log10().floor()).max(0.0));
    let rounded = (number * scale).round() / scale;
    if rounded.is_finite() { rounded } else { number }
}

/// Returns a number of things: `1 table`, `14 tables`.
pub fn count_of(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(u64::try_from(count).unwrap_or(u64::MAX)), if count == 1 { one } else { many })
}

/// Returns a number of rows: `1 row`, `163,204 rows`.
pub fn rows(count: u64) -> String {
    format!("{} {}", grouped(count), if count == 1 { "row" } else { "rows" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_thing_is_not_written_as_many() {
        assert_eq!((count_of(1, "day", "days"), count_of(0, "day", "days")), ("1 day".into(), "0 days".into()));
        assert_eq!((rows(1), rows(1_204)), ("1 row".into(), "1,204 rows".into()));
    }

    #[test]
    fn a_number_is_written_with_what_matters_of_it() {
        let written = [0.5, 12.0, 1_204.25, -3.5, 0.000_000_1, 0.0].map(figure);
        assert_eq!(written, ["0.5", "12", "1,204.25", "\u{2212}3.5", "1e-7", "0"]);

        let rounded = [0.363_636, 0.001_234_56, 12.345_67, 98_765.4, -2.0, 0.0, 1e-306].map(significant);
        assert_eq!(rounded, [0.3636, 0.001_235, 12.35, 98_765.0, -2.0, 0.0, 1e-306]);
    }

    #[test]
    fn thousands_are_parted_by_commas() {
        let written = [0, 999, 1_000, 163_204, 1_234_567].map(grouped);

        assert_eq!(written, ["0", "999", "1,000", "163,204", "1,234,567"]);
    }
}
