//! What a trouble is done to, and which of its rows it hits: those that its seed, its kind and the row say, on every night.

use super::super::calendar::Seconds;
use super::super::random::Dice;
use super::table_file::Row;
use crate::config::Trouble;

/// What a trouble is done to.
pub(super) struct Scope<'a> {
    pub(super) trouble: &'a Trouble,
    pub(super) table: &'static str,
    /// What changed from then on is new to the first delivery that has the trouble.
    pub(super) since: Seconds,
    pub(super) seed: u64,
}

impl Scope<'_> {
    /// Returns whether a row is among the share of those that are hit.
    pub(super) fn hits(&self, row: &Row) -> bool {
        let domain = format!("trouble {}", self.trouble.kind.as_str());
        Dice::new(self.seed, &domain, &[row.number_of()]).chance(self.trouble.of_size())
    }
}
