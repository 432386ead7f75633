//! Durations as people write them, and the longest that each may be.
//!
//! One constant per limit: the schema shows it to editors (`x-longest`) and the reader refuses what is longer, so the
//! two cannot differ.

use std::time::Duration;

/// The longest that one attempt of a job may take.
pub const LONGEST_TIMEOUT: &str = "168h";

/// The longest wait before an attempt is tried again.
pub const LONGEST_WAIT: &str = "24h";

/// The longest that a delivery may come after a cutoff and still count as known at it: cutoffs are a week apart.
pub const LONGEST_GRACE: &str = "168h";

/// Returns the duration that text such as `30s`, `10m` or `1h 30m` means, if it is no longer than `longest`.
///
/// # Errors
/// With what is allowed.
pub fn parse_duration(text: &str, longest: &str) -> Result<Duration, String> {
    let duration = parse(text)?;
    if duration > parse(longest)? {
        return Err(format!("`{text}` is too long; the longest allowed is `{longest}`"));
    }
    Ok(duration)
}

fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write `30s`, `10m`, `1h` or `1h 30m`");
    let signed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(signed).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_up_to_its_limit() {
        for longest in [LONGEST_TIMEOUT, LONGEST_WAIT, LONGEST_GRACE] {
            let limit = parse_duration(longest, longest).unwrap();
            let beyond = format!("{}s", limit.as_secs() + 1);

            assert_eq!(
                parse_duration(&beyond, longest),
                Err(format!("`{beyond}` is too long; the longest allowed is `{longest}`"))
            );
        }
        assert_eq!(parse_duration("1h 30m", LONGEST_WAIT), Ok(Duration::from_secs(5400)));
        for wrong in ["", "soon", "-5m", "30", "999999999999999999999h"] {
            let told = parse_duration(wrong, LONGEST_WAIT).unwrap_err();
            assert!(told.contains("is not a duration"), "{told}");
        }
    }
}
