//! The position of everything in a document: each key and each item of a list, found by its path.
//!
//! A tree next to the content, so that a position is found in a few steps however long the document is. Positions are
//! byte offsets; [`Spans`] also turns them into lines and columns, from line starts that it collects once.

use std::collections::BTreeMap;

/// The places of a document.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans {
    root: Place,
    line_starts: Vec<usize>,
}

/// Where a value's key (or the item itself) begins, and the places of what is inside it.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    /// The byte offset.
    pub(super) at: usize,
    /// What is inside.
    pub(super) inside: Inside,
}

/// The places inside a value.
#[derive(Debug, Clone, Default)]
pub(super) enum Inside {
    /// It is neither a table nor a list.
    #[default]
    Nothing,
    /// Those of a table's keys.
    Keys(BTreeMap<String, Place>),
    /// Those of a list's items.
    Items(Vec<Place>),
}

impl Spans {
    /// Returns the places of the document `text`, whose table is `root`.
    pub(super) fn new(text: &str, root: Inside) -> Self {
        let line_starts = [0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { root: Place { at: 0, inside: root }, line_starts }
    }

    /// Returns the offset of the value at `path`, if there is one.
    pub(super) fn find(&self, path: &[&str]) -> Option<usize> {
        path.iter().try_fold(&self.root, |place, key| place.step(key)).map(|place| place.at)
    }

    /// Returns the offset of the value at `path`, or of the nearest table or list around it.
    pub(super) fn nearest(&self, path: &[&str]) -> usize {
        let mut place = &self.root;
        for key in path {
            let Some(inside) = place.step(key) else { break };
            place = inside;
        }
        place.at
    }

    /// Returns the line and the column, both from 1, of an offset into `text`.
    pub(super) fn line_and_column(&self, text: &str, at: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= at).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or_default();
        let at = text.floor_char_boundary(at.min(text.len()));
        (line, text[start..at].chars().count() + 1)
    }
}

impl Place {
    fn step(&self, key: &str) -> Option<&Self> {
        match &self.inside {
            Inside::Nothing => None,
            Inside::Keys(keys) => keys.get(key),
            Inside::Items(items) => items.get(key.parse::<usize>().ok()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_by_its_path_or_is_that_of_the_nearest_table() {
        let text = "a = 1\n[t]\nb = [2,\n 'ü', 3]\n";
        let item = |at| Place { at, inside: Inside::Nothing };
        let list = Place { at: 10, inside: Inside::Items(vec![item(15), item(19), item(25)]) };
        let table = Place { at: 7, inside: Inside::Keys([("b".to_owned(), list)].into()) };
        let keys = [("a".to_owned(), item(0)), ("t".to_owned(), table)];
        let spans = Spans::new(text, Inside::Keys(keys.into()));

        let place = |path: &[&str]| spans.line_and_column(text, spans.nearest(path));
        assert_eq!((place(&[]), place(&["a"]), place(&["t"])), ((1, 1), (1, 1), (2, 2)));
        assert_eq!(place(&["t", "b", "2"]), (4, 7), "columns count characters");
        assert_eq!(place(&["t", "c"]), (2, 2));
        assert_eq!((spans.find(&["t", "b", "0"]), spans.find(&["t", "b", "3"])), (Some(15), None));
    }
}
