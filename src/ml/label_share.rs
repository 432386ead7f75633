//! Whether the newest term's labels are like those of earlier terms: the share of rows that have the label.
//!
//! A label that is computed wrongly, or from data that changed their meaning, mostly shows first in how many have it. The
//! share of the newest term is compared with that of all earlier terms together; how much it may differ is learnt from
//! the spread of the earlier terms where there are at least three, and never less than `LEAST` or than chance explains.
//! With no earlier term, or with fewer than `FEWEST` labels on either side, nothing is said. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::dataset::Rows;

/// A share that differs by less is never unusual.
const LEAST: f64 = 0.15;
/// The fewest labels on either side.
const FEWEST: usize = 30;
/// How many standard errors, and standard deviations of earlier terms, are still chance.
const CHANCE: f64 = 4.0;

/// The newest term's share, and what was to be expected.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelShare {
    /// The newest term, as the tables' partitions name it.
    pub term: String,
    /// Its share of examples with the label, each enrolment counted once.
    pub share: f64,
    /// That share in all earlier terms.
    pub before: f64,
    /// By how much it may differ.
    pub allowed: f64,
}

impl LabelShare {
    /// Returns whether the share differs by more than is allowed.
    pub fn is_unusual(&self) -> bool {
        (self.share - self.before).abs() > self.allowed
    }
}

/// Returns the share of the newest term whose labels are known; `None` where there is too little to compare.
pub fn label_share(rows: &Rows) -> Option<LabelShare> {
    let mut counted: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut terms: BTreeMap<&str, Term> = BTreeMap::new();
    for row in 0..rows.len() {
        let Some(label) = rows.label[row] else { continue };
        let term = terms.entry(&rows.term[row]).or_default();
        term.last = term.last.max(rows.as_of[row]);
        if counted.insert((&rows.term[row], &rows.enrollment[row])) {
            term.labels += 1;
            term.positives += usize::from(label > 0.5);
        }
    }
    let newest = terms.iter().max_by_key(|(name, term)| (term.last, **name)).map(|(name, _)| *name)?;
    let now = terms.remove(newest)?;
    let earlier: Vec<Term> = terms.into_values().collect();
    let before = earlier.iter().fold(Term::default(), |all, term| Term {
        labels: all.labels + term.labels,
        positives: all.positives + term.positives,
        last: 0,
    });
    if now.labels.min(before.labels) < FEWEST {
        return None;
    }
    let p = before.share();
    let error = (p * (1.0 - p) * (1.0 / now.labels as f64 + 1.0 / before.labels as f64)).sqrt();
    let allowed = LEAST.max(CHANCE * error).max(CHANCE * spread(&earlier));
    Some(LabelShare { term: newest.to_owned(), share: now.share(), before: p, allowed })
}

#[derive(Debug, Clone, Copy, Default)]
struct Term {
    labels: usize,
    positives: usize,
    last: i64,
}

impl Term {
    fn share(&self) -> f64 {
        self.positives as f64 / self.labels.max(1) as f64
    }
}

/// The standard deviation of the terms' shares; 0 where there are fewer than three terms with enough labels.
fn spread(terms: &[Term]) -> f64 {
    let shares: Vec<f64> = terms.iter().filter(|term| term.labels >= FEWEST).map(Term::share).collect();
    if shares.len() < 3 {
        return 0.0;
    }
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let squares: f64 = shares.iter().map(|share| (share - mean).powi(2)).sum();
    (squares / (shares.len() - 1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Terms with so many labels, of which so many are positive; every enrolment has rows of two weeks.
    fn terms(counts: &[(usize, usize)]) -> Rows {
        let mut rows = Rows::default();
        for (term, (labels, positives)) in (0_i64..).zip(counts) {
            for enrollment in 0..*labels {
                for week in [4, 8] {
                    rows.enrollment.push(format!("{term}-{enrollment}"));
                    rows.term.push(term.to_string());
                    rows.course.push(1);
                    rows.week.push(week);
                    rows.as_of.push(100 * term + week);
                    rows.label.push(Some(f64::from(u8::from(enrollment < *positives))));
                    rows.known_at.push(Some(0));
                }
            }
        }
        rows
    }

    #[test]
    fn a_term_in_which_everybody_has_the_label_is_unusual() {
        let found = label_share(&terms(&[(200, 60), (200, 200)])).unwrap();

        assert!(found.is_unusual(), "{found:?}");
        assert_eq!((found.term.as_str(), found.share, found.before), ("1", 1.0, 0.3));
    }

    #[test]
    fn a_term_that_is_a_little_worse_is_not() {
        assert!(!label_share(&terms(&[(200, 60), (200, 80)])).unwrap().is_unusual());
        assert!(label_share(&terms(&[(200, 60), (200, 100)])).unwrap().is_unusual());
    }

    #[test]
    fn terms_that_have_always_differed_allow_more() {
        let restless = terms(&[(200, 20), (200, 100), (200, 60), (200, 110)]);

        assert!(!label_share(&restless).unwrap().is_unusual());
    }

    #[test]
    fn with_too_few_labels_nothing_is_said() {
        assert_eq!(label_share(&terms(&[(200, 60)])), None);
        assert_eq!(label_share(&terms(&[(200, 60), (29, 29)])), None);
        assert_eq!(label_share(&Rows::default()), None);
    }

    proptest! {
        #[test]
        fn what_every_term_has_is_usual(positives in 0_usize..=100, n_terms in 2_usize..5) {
            let found = label_share(&terms(&vec![(100, positives); n_terms])).unwrap();
            prop_assert!(!found.is_unusual());
        }
    }
}
