//! Durations as people write them in DAG files and in the configuration.

use std::time::Duration;

/// Returns the duration that text such as `30s`, `10m` or `1h 30m` means.
///
/// # Errors
/// With what is allowed.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write `30s`, `10m`, `1h` or `1h 30m`");
    let signed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(signed).map_err(|_| wrong())
}
