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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_parted_by_commas() {
        let written = [0, 999, 1_000, 163_204, 1_234_567].map(grouped);

        assert_eq!(written, ["0", "999", "1,000", "163,204", "1,234,567"]);
    }
}
