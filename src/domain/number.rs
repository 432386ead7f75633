//! How a whole number is written for people, the same in summaries, on pages and on screens.

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
    fn thousands_are_parted_by_commas() {
        let written = [0, 999, 1_000, 163_204, 1_234_567].map(grouped);

        assert_eq!(written, ["0", "999", "1,000", "163,204", "1,234,567"]);
    }
}
