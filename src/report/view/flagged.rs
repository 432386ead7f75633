//! How many students may need support: counts in groups, never who.
//!
//! A count below ten is hidden, and so is every count from which a hidden one could be worked out: the rest of a
//! group, the only other hidden group, or groups that together hide fewer than ten. Suppression happens when
//! the view is made; a stored view that holds a small number is read back without it.

use serde::{Deserialize, Serialize};

use crate::domain::measurement::{People, SMALLEST_SHOWN};

/// A count of people that may be printed, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<u64>", into = "Option<u64>")]
pub struct PeopleCount(Option<u64>);

impl PeopleCount {
    /// Returns a count that is not shown.
    pub const fn hidden() -> Self {
        Self(None)
    }

    /// Returns the number where it may be shown.
    pub const fn shown(self) -> Option<u64> {
        self.0
    }
}

impl From<People> for PeopleCount {
    fn from(people: People) -> Self {
        Self(people.shown())
    }
}

impl From<Option<u64>> for PeopleCount {
    fn from(count: Option<u64>) -> Self {
        Self(count.and_then(|n| People::new(n).shown()))
    }
}

impl From<PeopleCount> for Option<u64> {
    fn from(count: PeopleCount) -> Self {
        count.0
    }
}

/// What is counted in one group, before suppression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCount {
    /// The group, such as a course level or a faculty.
    pub group: String,
    /// Students the model flags in it.
    pub flagged: u64,
    /// Students with a score in it.
    pub enrolled: u64,
}

/// One term's counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlaggedTerm {
    /// The term's name.
    pub term: String,
    /// What the groups are, such as `course level`.
    pub grouped_by: String,
    /// Students the model flags.
    pub flagged: PeopleCount,
    /// Students with a score.
    pub enrolled: PeopleCount,
    /// The groups, in the order they were given.
    pub groups: Vec<FlaggedGroup>,
}

/// One group's counts, as they may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlaggedGroup {
    /// The group.
    pub group: String,
    /// Students the model flags.
    pub flagged: PeopleCount,
    /// Students with a score.
    pub enrolled: PeopleCount,
}

impl FlaggedTerm {
    /// Returns the term's counts with every small one hidden, and every one that would reveal it.
    pub fn new(term: impl Into<String>, grouped_by: impl Into<String>, counts: &[GroupCount]) -> Self {
        let enrolled: Vec<u64> = counts.iter().map(|count| count.enrolled).collect();
        let flagged: Vec<u64> = counts.iter().map(|count| count.flagged).collect();
        let rest: Vec<u64> = counts.iter().map(|count| count.enrolled.saturating_sub(count.flagged)).collect();

        let hides_enrolled = hidden(&[&enrolled], &vec![false; counts.len()]);
        let hides_flagged = hidden(&[&flagged, &rest], &hides_enrolled);
        let total = |parts: &[u64]| People::new(parts.iter().sum());
        let is_total_small = total(&flagged).shown().is_none() || total(&rest).shown().is_none();

        let groups = counts
            .iter()
            .zip(hides_flagged.iter().zip(&hides_enrolled))
            .map(|(count, (&hides_flagged, &hides_enrolled))| FlaggedGroup {
                group: count.group.clone(),
                flagged: show(count.flagged, hides_flagged || is_total_small),
                enrolled: show(count.enrolled, hides_enrolled),
            })
            .collect();
        Self {
            term: term.into(),
            grouped_by: grouped_by.into(),
            flagged: if is_total_small { PeopleCount::hidden() } else { total(&flagged).into() },
            enrolled: total(&enrolled).into(),
            groups,
        }
    }
}

fn show(count: u64, is_hidden: bool) -> PeopleCount {
    if is_hidden { PeopleCount::hidden() } else { People::new(count).into() }
}

/// Says which rows must be hidden so that no cell below ten can be read or worked out from the columns' totals.
///
/// A row is hidden when one of its cells is small, or when `also` says so. While the hidden rows of a column sum to
/// fewer than ten, or only one row is hidden, the total would reveal it: the smallest row that is left goes too.
fn hidden(columns: &[&[u64]], also: &[bool]) -> Vec<bool> {
    let mut hidden: Vec<bool> =
        also.iter().enumerate().map(|(i, &is)| is || columns.iter().any(|column| column[i] < SMALLEST_SHOWN)).collect();
    loop {
        let rows = hidden.iter().filter(|&&is| is).count();
        let reveals = columns.iter().any(|column| {
            let sum: u64 = column.iter().zip(&hidden).filter(|(_, is)| **is).map(|(n, _)| n).sum();
            sum < SMALLEST_SHOWN
        });
        if rows == 0 || (rows > 1 && !reveals) {
            return hidden;
        }
        let next = (0..hidden.len()).filter(|&i| !hidden[i]).min_by_key(|&i| (columns[0][i], i));
        let Some(next) = next else { return hidden };
        hidden[next] = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(name: &str, flagged: u64, enrolled: u64) -> GroupCount {
        GroupCount { group: name.to_owned(), flagged, enrolled }
    }

    fn flagged(term: &FlaggedTerm) -> Vec<Option<u64>> {
        term.groups.iter().map(|group| group.flagged.shown()).collect()
    }

    #[test]
    fn a_small_group_takes_the_next_smallest_with_it() {
        let term = FlaggedTerm::new("T", "level", &[group("1", 40, 300), group("2", 4, 200), group("3", 25, 90)]);

        assert_eq!(flagged(&term), vec![Some(40), None, None]);
        assert_eq!(term.flagged.shown(), Some(69));
    }

    #[test]
    fn two_groups_that_hide_fewer_than_ten_together_take_a_third() {
        let term = FlaggedTerm::new("T", "level", &[group("1", 40, 300), group("2", 3, 200), group("3", 4, 90)]);

        assert_eq!(flagged(&term), vec![None, None, None]);
    }

    #[test]
    fn a_group_with_few_students_who_are_not_flagged_is_hidden() {
        let term = FlaggedTerm::new("T", "level", &[group("1", 40, 300), group("2", 30, 33), group("3", 20, 90)]);

        assert_eq!(flagged(&term), vec![Some(40), None, None]);
    }

    #[test]
    fn a_group_with_few_students_takes_the_next_smallest_with_it() {
        let term = FlaggedTerm::new("T", "level", &[group("1", 40, 300), group("2", 0, 8), group("3", 25, 90)]);

        let enrolled: Vec<_> = term.groups.iter().map(|group| group.enrolled.shown()).collect();
        assert_eq!(enrolled, vec![Some(300), None, None], "398 less 300 and 90 would be the 8");
    }

    #[test]
    fn a_stored_small_number_is_not_read_back() {
        let count: PeopleCount = serde_json::from_str("7").unwrap();

        assert_eq!(count, PeopleCount::hidden());
    }

    proptest! {
        #[test]
        fn no_small_cell_can_be_read_or_worked_out(
            cells in proptest::collection::vec((0_u64..60, 0_u64..60), 1..7)
        ) {
            let counts: Vec<GroupCount> = cells.iter().enumerate()
                .map(|(i, (flagged, rest))| group(&i.to_string(), *flagged, flagged + rest)).collect();

            let term = FlaggedTerm::new("T", "level", &counts);

            for value in term.groups.iter().flat_map(|g| [g.flagged, g.enrolled]).chain([term.flagged, term.enrolled]) {
                prop_assert!(value.shown().is_none_or(|n| n >= 10));
            }
            for (shown, count) in term.groups.iter().zip(&counts) {
                if shown.flagged.shown().is_some() && shown.enrolled.shown().is_some() {
                    prop_assert!(count.enrolled - count.flagged >= 10);
                }
            }
            let flagged = (term.flagged, term.groups.iter().map(|g| g.flagged).collect::<Vec<_>>());
            let enrolled = (term.enrolled, term.groups.iter().map(|g| g.enrolled).collect::<Vec<_>>());
            for (total, parts) in [flagged, enrolled] {
                let Some(total) = total.shown() else { continue };
                let shown: u64 = parts.iter().filter_map(|part| part.shown()).sum();
                let hidden = parts.iter().filter(|part| part.shown().is_none()).count();
                prop_assert!(hidden == 0 || total - shown >= 10);
                prop_assert!(hidden != 1 || parts.len() == 1);
            }
        }
    }
}
