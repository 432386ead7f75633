//! Sizes in bytes, as people write them: `64MiB`, `8 GiB`, `500MB`.
//!
//! A size is checked when it is read and keeps its text, so that it is shown as it was written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The units, longest names first, so that `MiB` is not read as `B`.
const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// A size in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend(
    "pattern" = r"^[1-9][0-9]{0,5} ?(KiB|MiB|GiB|TiB|kB|MB|GB|TB|B)$",
    "x-expected" = "a size such as `64MiB` or `8GiB`"
))]
pub struct Size {
    text: String,
    bytes: u64,
}

impl Size {
    /// Returns it in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = || format!("`{text}` is not a size; write one such as `64MiB` or `8GiB`");
        let (number, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| Some((text.strip_suffix(name)?.trim_end(), *unit)))
            .ok_or_else(wrong)?;
        let number = number.parse::<u64>().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
        let bytes = number.checked_mul(unit).ok_or_else(wrong)?;
        Ok(Self { text, bytes })
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_with_its_unit_and_shown_as_written() {
        let bytes = |text: &str| Size::try_from(text.to_owned()).map(|size| size.bytes());

        assert_eq!(bytes("64MiB"), Ok(64 << 20));
        assert_eq!(bytes("8 GiB"), Ok(8 << 30));
        assert_eq!(bytes("500MB"), Ok(500_000_000));
        assert_eq!(bytes("9B"), Ok(9));
        assert_eq!(String::from(Size::try_from("8 GiB".to_owned()).unwrap()), "8 GiB");
        for wrong in ["", "8", "GiB", "0MiB", "-1MiB", "8 gib", "1.5GiB", "99999999999TiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
