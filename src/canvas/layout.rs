//! The columns of one table as a reader needs them: which names are kept, and where each goes.
//!
//! Names are looked up once and then expected in the order of the previous row, as exports write them. It counts what
//! it finds: the columns seen, and those that no contract knows, whose values are never looked at.

use std::collections::{BTreeMap, HashMap};

use super::privacy::PrivacyKey;
use super::typing::TypedColumn;
use crate::domain::table::{ColumnType, TableContract};

/// The most unknown columns that are reported by name; a file with more is not a table.
const MOST_UNKNOWN: usize = 100;

/// What a name in a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// The kept column at this place.
    Kept(usize),
    /// A column that is dropped on intake.
    Dropped,
    /// A column that the contract does not know.
    Unknown,
}

/// The columns of one table.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) columns: Vec<TypedColumn>,
    slots: HashMap<String, Slot>,
    expected: Vec<(String, Slot)>,
    position: usize,
    seen: Vec<bool>,
    unknown: BTreeMap<String, u64>,
}

impl Layout {
    pub(super) fn new(contract: &TableContract, key: &PrivacyKey) -> Self {
        let mut columns = Vec::new();
        let mut slots = HashMap::new();
        for (name, column) in &contract.columns {
            if column.dropped.is_some() {
                slots.insert(name.clone(), Slot::Dropped);
            } else {
                slots.insert(name.clone(), Slot::Kept(columns.len()));
                columns.push(TypedColumn::new(name, column, contract.key.contains(name), key));
            }
        }
        let seen = vec![false; columns.len()];
        Self { columns, slots, expected: Vec::new(), position: 0, seen, unknown: BTreeMap::new() }
    }

    /// Begins a row: the first name comes next.
    pub(super) fn begin_row(&mut self) {
        self.position = 0;
    }

    /// Returns what `name` is, the next name of its row, and counts it.
    pub(super) fn slot(&mut self, name: &str) -> Slot {
        let position = self.position;
        self.position += 1;
        if let Some((expected, slot)) = self.expected.get(position)
            && expected == name
        {
            let slot = *slot;
            return self.count(slot, name);
        }
        let slot = self.find(name);
        if position < self.expected.len() {
            self.expected[position] = (name.to_owned(), slot);
        } else if position == self.expected.len() && position < 4 * (self.slots.len() + MOST_UNKNOWN) {
            self.expected.push((name.to_owned(), slot));
        }
        self.count(slot, name)
    }

    /// Returns what `name` is.
    pub(super) fn find(&self, name: &str) -> Slot {
        self.slots.get(name).copied().unwrap_or(Slot::Unknown)
    }

    /// Returns the kept JSON column of which `name` (`settings.locale`) is a part, or that the whole column is dropped.
    pub(super) fn part_of(&self, name: &str) -> Option<(Slot, String)> {
        let (whole, part) = name.split_once('.')?;
        match self.find(whole) {
            Slot::Kept(index) if self.columns[index].kind == ColumnType::Json => {
                Some((Slot::Kept(index), part.to_owned()))
            }
            Slot::Dropped => Some((Slot::Dropped, part.to_owned())),
            _ => None,
        }
    }

    /// Marks a kept column as present.
    pub(super) fn mark_seen(&mut self, index: usize) {
        self.seen[index] = true;
    }

    /// Counts a row that has the unknown column `name`.
    pub(super) fn count_unknown(&mut self, name: &str) {
        let told = tellable(name);
        let is_told = self.unknown.contains_key(told) || self.unknown.len() < MOST_UNKNOWN;
        let told = if is_told { told } else { "others" };
        if let Some(rows) = self.unknown.get_mut(told) {
            *rows += 1;
        } else {
            self.unknown.insert(told.to_owned(), 1);
        }
    }

    /// Returns the unknown columns and how many rows have each.
    pub(super) fn unknown(&self) -> &BTreeMap<String, u64> {
        &self.unknown
    }

    /// Returns the kept columns that were present, by name.
    pub(super) fn columns_seen(&self) -> Vec<String> {
        self.with_seen(true)
    }

    /// Returns the kept columns that were missing, by name.
    pub(super) fn columns_missing(&self) -> Vec<String> {
        self.with_seen(false)
    }

    fn with_seen(&self, wanted: bool) -> Vec<String> {
        let marked = self.columns.iter().zip(&self.seen);
        marked.filter(|(_, seen)| **seen == wanted).map(|(column, _)| column.name.clone()).collect()
    }

    fn count(&mut self, slot: Slot, name: &str) -> Slot {
        match slot {
            Slot::Kept(index) => self.seen[index] = true,
            Slot::Unknown => self.count_unknown(name),
            Slot::Dropped => {}
        }
        slot
    }
}

/// Returns the name if it may be reported: an identifier. Anything else may be a value in the wrong place.
fn tellable(name: &str) -> &str {
    let is_identifier = name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.'));
    if is_identifier { name } else { "(not an identifier)" }
}
