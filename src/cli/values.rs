//! Values on the command line that need more words than their parser's own when they are wrong.
//!
//! How to add one: a function from the text to the value, or to a sentence that says what is wanted; an argument names
//! it as its `value_parser`.

use jiff::civil::Date;

/// Returns the date that `text` means.
///
/// # Errors
/// With what is wanted.
pub(super) fn parse_date(text: &str) -> Result<Date, String> {
    let wanted = "write a date of the calendar as year, month and day, such as `2026-11-20`";
    let is_plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date = text.parse::<Date>().ok().filter(|date| is_plain && (1900..=2200).contains(&date.year()));
    date.ok_or_else(|| wanted.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_or_the_form_of_one_is_told() {
        assert_eq!(parse_date("2026-11-20"), Ok(jiff::civil::date(2026, 11, 20)));
        for wrong in ["2026-13-45", "2026-02-30", "20261120", "today", "", "2026-11-20T10:00", "0026-11-20"] {
            let told = parse_date(wrong).unwrap_err();
            assert!(told.contains("such as `2026-11-20`"), "{wrong}: {told}");
        }
    }
}
