//! How many students may need support: counts of distinct people in groups, never who.
//!
//! A student who takes several courses is one student, in a group and in all. A count below ten is hidden, every other
//! one is rounded to five, totals too. Of a group in which fewer than ten are not flagged the flagged are hidden as well:
//! "nearly all" says too much about each. Rounding alone does not hide everything: 10, 10, a hidden one and a total of 35
//! leave nothing but nine for the hidden one, so a total that says too much is hidden with it. Hiding and
//! rounding happen when the view is made; a stored view that holds a small or exact number is read back without it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::measurement::{People, ROUNDED_TO, SMALLEST_SHOWN};

/// A count of people that may be printed, rounded, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<u64>", into = "Option<u64>")]
pub struct PeopleCount(Option<u64>);

impl PeopleCount {
    /// Returns a count that is not shown.
    pub const fn hidden() -> Self {
        Self(None)
    }

    /// Returns the rounded number where it may be shown.
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

/// One student in one group, before anything is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Student<'a> {
    /// The student (a pseudonym).
    pub person: &'a str,
    /// Whether the model flags the student.
    pub is_flagged: bool,
}

/// One term's counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlaggedTerm {
    /// The term's name.
    pub term: String,
    /// What the groups are, such as `course level`.
    pub grouped_by: String,
    /// Students the model flags, each counted once.
    pub flagged: PeopleCount,
    /// Students with a score, each counted once.
    pub enrolled: PeopleCount,
    /// The groups, in the order they were given. A student may be in several.
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
    /// Counts a term's students, by group and in all.
    pub fn new(term: impl Into<String>, grouped_by: impl Into<String>, groups: &[(String, Vec<Student<'_>>)]) -> Self {
        let everybody = groups.iter().flat_map(|(_, students)| students);
        let (flagged, enrolled) = count(everybody);
        let groups = groups.iter().map(|(group, students)| {
            let (flagged, enrolled) = count(students);
            FlaggedGroup { group: group.clone(), flagged, enrolled }
        });
        let groups: Vec<FlaggedGroup> = groups.collect();
        let flagged = total(flagged, groups.iter().map(|group| group.flagged));
        let enrolled = total(enrolled, groups.iter().map(|group| group.enrolled));
        Self { term: term.into(), grouped_by: grouped_by.into(), flagged, enrolled, groups }
    }
}

impl FlaggedTerm {
    /// Returns the counts of groups that share nobody, for previews: of each its name, how many are flagged, and how many
    /// there are.
    pub fn of_disjoint(term: &str, grouped_by: &str, groups: &[(&str, u64, u64)]) -> Self {
        let names: Vec<Vec<String>> =
            groups.iter().map(|(group, _, all)| (0..*all).map(|n| format!("{group} {n}")).collect()).collect();
        let students = groups.iter().zip(&names).map(|((group, flagged, _), names)| {
            let students = (0..).zip(names).map(|(n, person)| Student { person, is_flagged: n < *flagged });
            ((*group).to_owned(), students.collect())
        });
        Self::new(term, grouped_by, &students.collect::<Vec<_>>())
    }
}

/// The fewest numbers that a hidden count must still be able to be, after everything that is shown.
const AMBIGUITY: u64 = 5;

/// Returns a total, hidden if it would say too much about the parts that are hidden: together they are at least what the
/// shown parts, at their most, leave of it. What is rounded is taken as its most, as if somebody knew it from another night.
fn total(total: PeopleCount, parts: impl Iterator<Item = PeopleCount>) -> PeopleCount {
    let (mut hidden, mut shown_at_most) = (0, 0);
    for part in parts {
        match part.shown() {
            Some(rounded) => shown_at_most += rounded + ROUNDED_TO / 2,
            None => hidden += 1,
        }
    }
    let at_least = total.shown().map(|rounded| (rounded + ROUNDED_TO / 2).saturating_sub(shown_at_most));
    let says_too_much = |at_least: u64| hidden > 0 && at_least + AMBIGUITY > (SMALLEST_SHOWN - 1) * hidden + 1;
    if at_least.is_some_and(says_too_much) { PeopleCount::hidden() } else { total }
}

/// Returns how many people are flagged and how many there are, each counted once; flagged is who is flagged anywhere.
fn count<'a>(students: impl IntoIterator<Item = &'a Student<'a>>) -> (PeopleCount, PeopleCount) {
    let mut people: BTreeMap<&str, bool> = BTreeMap::new();
    for student in students {
        *people.entry(student.person).or_default() |= student.is_flagged;
    }
    let flagged: BTreeSet<&str> = people.iter().filter(|(_, is)| **is).map(|(person, _)| *person).collect();
    let of = |n: usize| People::new(n as u64);
    let rest = of(people.len() - flagged.len());
    let flagged = if rest.shown().is_some() { of(flagged.len()).into() } else { PeopleCount::hidden() };
    (flagged, of(people.len()).into())
}

#[cfg(test)]
mod attack;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Groups of which each has so many flagged and other students, all of them different people.
    fn term(cells: &[(u64, u64)]) -> FlaggedTerm {
        let names: Vec<String> = (0..cells.len()).map(|group| group.to_string()).collect();
        let groups: Vec<(&str, u64, u64)> =
            names.iter().zip(cells).map(|(name, (flagged, rest))| (name.as_str(), *flagged, flagged + rest)).collect();
        FlaggedTerm::of_disjoint("T", "level", &groups)
    }

    fn shown(term: &FlaggedTerm) -> Vec<Option<u64>> {
        let cells = term.groups.iter().flat_map(|group| [group.flagged, group.enrolled]);
        cells.chain([term.flagged, term.enrolled]).map(PeopleCount::shown).collect()
    }

    #[test]
    fn a_student_in_several_courses_is_one_student() {
        let names: Vec<String> = (0..40).map(|n| format!("u{n}")).collect();
        let in_group = |flagged: usize| -> Vec<Student<'_>> {
            names.iter().enumerate().map(|(n, person)| Student { person, is_flagged: n < flagged }).collect()
        };
        let groups = [("week 9".to_owned(), in_group(12)), ("week 10".to_owned(), in_group(20))];

        let term = FlaggedTerm::new("T", "course week", &groups);

        assert_eq!((term.flagged.shown(), term.enrolled.shown()), (Some(20), Some(40)), "not 32 of 80");
        assert_eq!(shown(&term)[..4], [Some(10), Some(40), Some(20), Some(40)]);
    }

    #[test]
    fn small_counts_are_hidden_and_others_rounded() {
        assert_eq!(shown(&term(&[(4, 200), (33, 91)])), [None, Some(205), Some(35), Some(125), Some(35), Some(330)]);
    }

    #[test]
    fn a_group_with_few_students_who_are_not_flagged_does_not_say_how_many_are() {
        assert_eq!(shown(&term(&[(30, 3)])), [None, Some(35), None, Some(35)]);
    }

    #[test]
    fn a_stored_small_or_exact_number_is_not_read_back() {
        let counts: Vec<PeopleCount> = serde_json::from_str("[7, 242]").unwrap();

        assert_eq!((counts[0], counts[1].shown()), (PeopleCount::hidden(), Some(240)));
    }

    #[test]
    fn a_total_that_leaves_one_number_for_a_hidden_count_is_hidden_with_it() {
        assert_eq!(shown(&term(&[(12, 40), (12, 40), (9, 40)]))[4..], [None, Some(50), None, Some(155)]);
    }

    /// Cells near the numbers at which rounding says most, and any others.
    fn cell() -> impl Strategy<Value = (u64, u64)> {
        let number = || prop_oneof![0_u64..40, 8_u64..14, Just(9), Just(12)];
        (number(), number())
    }

    proptest! {
        /// Whatever is published would be the same if a hidden count were another: nobody can work it out.
        #[test]
        fn no_hidden_count_can_be_worked_out(cells in proptest::collection::vec(cell(), 2..5)) {
            let published = shown(&term(&cells));
            for group in (0..cells.len()).filter(|group| cells[*group].0 < 10) {
                // Another count here; those not flagged here, and the students of one other group, may be others too.
                let others = (0..cells.len()).filter(|other| *other != group);
                let shifts = others.flat_map(|other| (-4_i64..=4).flat_map(move |one| (-4..=4).map(move |two| (other, (one, two)))));
                let is_ambiguous = shifts.into_iter().any(|(other, shift)| {
                    [(-1_i64, 1), (-1, 0), (1, -1), (1, 0)].into_iter().any(|(change, rest)| {
                        let moved = |(flagged, others): (u64, u64), by: (i64, i64)| {
                            Some((flagged.checked_add_signed(by.0)?, others.checked_add_signed(by.1)?))
                        };
                        let here = moved(cells[group], (change, rest));
                        let there = moved(cells[other], shift);
                        let (Some(here), Some(there)) = (here, there) else { return false };
                        let mut changed = cells.clone();
                        (changed[group], changed[other]) = (here, there);
                        shown(&term(&changed)) == published
                    })
                });
                prop_assert!(is_ambiguous, "{cells:?}: {published:?} reveals group {group}");
            }
        }
    }
}
