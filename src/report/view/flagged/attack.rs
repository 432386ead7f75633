//! Somebody who has the published counts of thirty nights, and subtracts: no count below ten can be worked out.
//!
//! Populations are drawn at random and change from night to night; students take several courses. The attacker knows how
//! counts are hidden and rounded, and what they are counts of: a total is at least its largest part and at most the sum of
//! its parts, the flagged are among those with a score, and nothing is hidden that could be shown. From that follow bounds
//! for every count, tightened until nothing changes any more. A count below ten is protected while at least five numbers
//! remain possible for it, and so is a change of fewer than ten between two nights.

use proptest::prelude::*;

use super::*;

/// The numbers that a count may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    low: i64,
    high: i64,
}

/// A count: what it is, and what the attacker knows of it.
#[derive(Debug, Clone, Copy)]
struct Cell {
    truth: i64,
    bounds: Bounds,
}

/// What is published of a night: (flagged, with a score) of each group, the total last.
struct Night(Vec<(Cell, Cell)>);

/// A student: the groups in which the student is, and whether the model flags the student.
type Population = Vec<(Vec<usize>, bool)>;

const GROUPS: usize = 4;
const NIGHTS: usize = 30;

fn shown(of: PeopleCount) -> Option<i64> {
    of.shown().map(|n| i64::try_from(n).unwrap())
}

fn cell(truth: usize, published: PeopleCount, at_most: i64) -> Cell {
    let (half, least) = ((ROUNDED_TO / 2).cast_signed(), SMALLEST_SHOWN.cast_signed());
    let bounds = match shown(published) {
        Some(rounded) => Bounds { low: (rounded - half).max(least), high: rounded + half },
        None => Bounds { low: 0, high: at_most },
    };
    let truth = i64::try_from(truth).unwrap();
    assert!((bounds.low..=bounds.high).contains(&truth), "{truth} is not within {bounds:?}");
    Cell { truth, bounds }
}

fn published(population: &Population) -> Night {
    let names: Vec<String> = (0..population.len()).map(|n| format!("u{n}")).collect();
    let groups: Vec<(String, Vec<Student<'_>>)> = (0..GROUPS)
        .map(|group| {
            let within = names.iter().zip(population).filter(|(_, (groups, _))| groups.contains(&group));
            let students = within.map(|(person, (_, is_flagged))| Student { person, is_flagged: *is_flagged });
            (format!("course {group}"), students.collect())
        })
        .collect();
    let term = FlaggedTerm::new("T", "course", &groups);
    let of_group = |group: usize| population.iter().filter(move |(groups, _)| groups.contains(&group));
    let parts = term.groups.iter().enumerate().map(|(n, group)| {
        let (flagged, all) = (of_group(n).filter(|(_, is)| *is).count(), of_group(n).count());
        ((flagged, group.flagged), (all, group.enrolled))
    });
    let anywhere = || population.iter().filter(|(groups, _)| !groups.is_empty());
    let total = ((anywhere().filter(|(_, is)| *is).count(), term.flagged), (anywhere().count(), term.enrolled));
    let cells = parts.chain([total]).map(|((flagged, told), (all, all_told))| {
        // A hidden number of students with a score is below ten, but the total may be hidden to protect a part.
        let enrolled = cell(all, all_told, if all < 10 { 9 } else { i64::MAX / 4 });
        (cell(flagged, told, enrolled.bounds.high), enrolled)
    });
    Night(cells.collect())
}

impl Night {
    /// Draws every conclusion from what is published of this night.
    fn conclude(&mut self) {
        loop {
            let before: Vec<(Bounds, Bounds)> = self.0.iter().map(|(a, b)| (a.bounds, b.bounds)).collect();
            for (flagged, enrolled) in &mut self.0 {
                flagged.bounds.high = flagged.bounds.high.min(enrolled.bounds.high);
                enrolled.bounds.low = enrolled.bounds.low.max(flagged.bounds.low);
            }
            self.conclude_totals(|cells| &mut cells.0);
            self.conclude_totals(|cells| &mut cells.1);
            if self.0.iter().map(|(a, b)| (a.bounds, b.bounds)).eq(before) {
                return;
            }
        }
    }

    fn conclude_totals(&mut self, of: impl Fn(&mut (Cell, Cell)) -> &mut Cell) {
        let mut bounds: Vec<Bounds> = self.0.iter_mut().map(|cells| of(cells).bounds).collect();
        let (total, parts) = bounds.split_last_mut().unwrap();
        let sum: i64 = parts.iter().map(|part| part.high).fold(0, i64::saturating_add);
        total.high = total.high.min(sum);
        for part in parts.iter_mut() {
            total.low = total.low.max(part.low);
            part.high = part.high.min(total.high);
            part.low = part.low.max(total.low - (sum - part.high));
        }
        for (cells, bounds) in self.0.iter_mut().zip(bounds) {
            of(cells).bounds = bounds;
        }
    }

    fn cells(&self) -> impl Iterator<Item = Cell> {
        self.0.iter().flat_map(|(flagged, enrolled)| [*flagged, *enrolled])
    }
}

fn population() -> impl Strategy<Value = Population> {
    let student = (prop::collection::vec(0..GROUPS, 0..3), any::<bool>());
    prop::collection::vec(student, 15..120)
}

/// What changes from night to night: a student, and what becomes of the student.
fn changes() -> impl Strategy<Value = Vec<Vec<(usize, Vec<usize>, bool)>>> {
    let change = (any::<prop::sample::Index>(), prop::collection::vec(0..GROUPS, 0..3), any::<bool>());
    let change = change.prop_map(|(who, groups, is_flagged)| (who.index(15), groups, is_flagged));
    prop::collection::vec(prop::collection::vec(change, 0..5), NIGHTS - 1)
}

proptest! {
    #[test]
    fn from_thirty_nights_no_small_count_and_no_small_change_can_be_worked_out(
        first in population(), changes in changes(),
    ) {
        let mut nights = vec![first];
        for changed in changes {
            let mut next = nights.last().unwrap().clone();
            changed.into_iter().for_each(|(who, groups, is_flagged)| next[who] = (groups, is_flagged));
            nights.push(next);
        }
        prop_assert_eq!(nights.len(), NIGHTS);
        let mut nights: Vec<Night> = nights.iter().map(published).collect();
        nights.iter_mut().for_each(Night::conclude);

        for night in &nights {
            for Cell { truth, bounds } in night.cells() {
                prop_assert!((bounds.low..=bounds.high).contains(&truth), "{bounds:?} is a wrong conclusion of {truth}");
                let possible = bounds.high.min(9) - bounds.low + 1;
                prop_assert!(truth >= 10 || possible >= 5, "{truth} is one of {possible}: {bounds:?}");
            }
        }
        for pair in nights.windows(2) {
            for (one, two) in pair[0].cells().zip(pair[1].cells()) {
                let change = (two.truth - one.truth).abs();
                let possible = two.bounds.high - one.bounds.low - (two.bounds.low - one.bounds.high) + 1;
                prop_assert!(change == 0 || change >= 10 || possible >= 5, "a change of {change}: {one:?}, {two:?}");
            }
        }
    }
}
