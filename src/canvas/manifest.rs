//! `manifest.json`: what a delivery says about itself.
//!
//! It states the delivery's time (`at`, `as_of`, or `since` and `until`), and for each table the number of rows and, if
//! it is one file, its SHA-256. Unknown keys are ignored: exporters add their own. A manifest that contradicts itself
//! is refused.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

/// What a delivery holds, and the time it states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryMode {
    /// Every row, as it was at an instant.
    Snapshot {
        /// The instant.
        at: Timestamp,
    },
    /// What changed between two instants.
    Incremental {
        /// The end of the preceding delivery.
        since: Timestamp,
        /// The end of this one.
        until: Timestamp,
    },
}

impl DeliveryMode {
    /// Returns the instant at which the rows were known: `at`, or `until`.
    pub fn known_at(self) -> Timestamp {
        match self {
            Self::Snapshot { at } => at,
            Self::Incremental { until, .. } => until,
        }
    }
}

/// What the manifest says about one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct ManifestTable {
    /// The number of rows, deleted keys included.
    #[serde(default)]
    pub(super) rows: Option<u64>,
    /// The SHA-256 of the table's only file.
    #[serde(default)]
    pub(super) sha256: Option<String>,
}

/// A delivery's manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct DeliveryManifest {
    #[serde(default)]
    at: Option<String>,
    #[serde(default)]
    as_of: Option<String>,
    #[serde(default)]
    since: Option<String>,
    #[serde(default)]
    until: Option<String>,
    #[serde(default)]
    pub(super) tables: BTreeMap<String, ManifestTable>,
}

impl DeliveryManifest {
    /// Reads a manifest, or says what is wrong with it.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// Returns what the manifest says about the delivery's time; `None` if it says nothing.
    pub(super) fn mode(&self) -> Result<Option<DeliveryMode>, String> {
        let at = self.at.as_deref().map(|text| instant("at", text)).transpose()?;
        let as_of = self.as_of.as_deref().map(end_of).transpose()?;
        let since = self.since.as_deref().map(|text| instant("since", text)).transpose()?;
        let until = self.until.as_deref().map(|text| instant("until", text)).transpose()?;
        match (at.or(as_of), since, until) {
            (None, None, None) => Ok(None),
            (Some(at), None, None) => Ok(Some(DeliveryMode::Snapshot { at })),
            (None, Some(since), Some(until)) if since <= until => Ok(Some(DeliveryMode::Incremental { since, until })),
            (None, Some(_), Some(_)) => Err("`until` is before `since`".to_owned()),
            (Some(_), _, _) => Err("it has both `at` (a full export) and `since` or `until` (changes)".to_owned()),
            (None, _, _) => Err("it has one of `since` and `until`; changes need both".to_owned()),
        }
    }
}

fn instant(key: &str, text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("`{key}` is not an instant such as 2026-11-20T05:00:00Z"))
}

/// Returns the instant that `as_of` means: a date means its last second in UTC.
fn end_of(text: &str) -> Result<Timestamp, String> {
    if text.len() != 10 {
        return instant("as_of", text);
    }
    let wrong = |_| "`as_of` is neither a date nor an instant".to_owned();
    let date: Date = text.parse().map_err(wrong)?;
    Ok(date.at(23, 59, 59, 0).to_zoned(jiff::tz::TimeZone::UTC).map_err(wrong)?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(text: &str) -> Result<Option<DeliveryMode>, String> {
        DeliveryManifest::read(text.as_bytes()).unwrap().mode()
    }

    #[test]
    fn a_date_means_its_last_second_in_utc() {
        let found = mode(r#"{"as_of": "2014-12-01", "source": "x"}"#).unwrap().unwrap();

        assert_eq!(found.known_at().to_string(), "2014-12-01T23:59:59Z");
    }

    #[test]
    fn since_and_until_make_an_incremental_delivery_at_its_end() {
        let found =
            mode(r#"{"since": "2014-12-01T23:59:59Z", "until": "2014-12-08T18:59:59-05:00"}"#).unwrap().unwrap();

        assert!(matches!(found, DeliveryMode::Incremental { .. }));
        assert_eq!(found.known_at().to_string(), "2014-12-08T23:59:59Z");
    }

    #[test]
    fn a_manifest_that_contradicts_itself_is_refused() {
        for text in [
            r#"{"at": "2014-12-01T00:00:00Z", "since": "2014-12-01T00:00:00Z"}"#,
            r#"{"until": "2014-12-01T00:00:00Z"}"#,
            r#"{"since": "2014-12-08T00:00:00Z", "until": "2014-12-01T00:00:00Z"}"#,
            r#"{"at": "yesterday"}"#,
            r#"{"as_of": "2014-13-01"}"#,
        ] {
            assert!(mode(text).is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn a_manifest_without_a_time_states_none() {
        assert_eq!(mode(r#"{"as_of": null, "tables": {"users": {"rows": 3}}}"#), Ok(None));
    }
}
