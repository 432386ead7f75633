//! What is usual: a night's figure against comparable nights, by weekday and week of term.
//!
//! Counts on courses move with the calendar, so a figure is compared with those of the same weekday in about the same week
//! of a term ([`REACH`] weeks to either side, in this term and earlier ones); nights between terms are compared with each
//! other. The centre is the median, the spread 1.4826 times the median absolute deviation (for a normal distribution that
//! is the standard deviation), both of ln(1 + n) for counts, so that a halving and a doubling weigh the same. Chance alone
//! spreads a count as a Poisson variable (of ln(1 + n) about 1/sqrt(1 + n)) and a share of n rows as a binomial one
//! (sqrt(p (1 - p) / n), p drawn towards a half by two rows of each kind, Agresti and Coull 1998): eight still nights do not
//! say that nothing will ever change. With fewer than [`FEWEST`] comparable nights nothing is said. Pure.

use jiff::civil::Date;

/// How many comparable nights there must be.
pub const FEWEST: usize = 8;
/// How many weeks of term to either side are comparable.
const REACH: i64 = 3;
/// A change by a smaller share is never unusual, however still the figure was before.
const LEAST_CHANGE: f64 = 0.2;
/// A share that changed by less is never unusual.
const LEAST_SHARE: f64 = 0.01;

/// A term, as far as it orders nights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Its first day.
    pub from: Date,
    /// Its last day.
    pub to: Date,
}

/// What kind of figure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// A number of rows that stand.
    Count,
    /// A number of rows that changed, which moves with every deadline.
    Changes,
    /// A share from 0 to 1, of so many rows.
    Share(u64),
    /// Any number.
    Number,
}

/// What comparable nights say of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Usual {
    /// So many comparable nights are not enough.
    TooFew(usize),
    /// Where it usually is.
    Known(Band),
}

/// Where a figure usually is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    centre: f64,
    spread: f64,
    scale: Scale,
    /// How many comparable nights it rests on.
    pub nights: usize,
}

/// Returns what the figures of earlier nights say about the night `tonight`.
pub fn usual(tonight: Date, past: &[(Date, f64)], terms: &[Term], scale: Scale) -> Usual {
    let week = week_of_term(tonight, terms);
    let is_comparable = |date: Date| {
        date < tonight
            && date.weekday() == tonight.weekday()
            && match (week, week_of_term(date, terms)) {
                (Some(now), Some(then)) => (now - then).abs() <= REACH,
                (None, None) => true,
                _ => false,
            }
    };
    let mut figures: Vec<f64> =
        past.iter().filter(|(date, _)| is_comparable(*date)).map(|(_, value)| scaled(*value, scale)).collect();
    if figures.len() < FEWEST {
        return Usual::TooFew(figures.len());
    }
    let nights = figures.len();
    let centre = median(&mut figures);
    let mut distances: Vec<f64> = figures.iter().map(|figure| (figure - centre).abs()).collect();
    let band = Band { centre, spread: 1.4826 * median(&mut distances), scale, nights };
    Usual::Known(Band { spread: band.spread.max(band.least_spread()), ..band })
}

impl Band {
    /// The spread that there is at least: figures that never moved say little about how they move.
    fn least_spread(&self) -> f64 {
        let usual = self.at(0.0);
        match self.scale {
            Scale::Count => (1.0 + usual).sqrt().recip().max(0.05),
            Scale::Changes => (1.0 + usual).sqrt().recip().max(0.25),
            Scale::Share(rows) => {
                let n = (rows as f64).max(1.0);
                let p = (usual * n + 2.0) / (n + 4.0);
                (p * (1.0 - p) / n).sqrt().max(0.03)
            }
            Scale::Number => usual.abs() * 0.05,
        }
    }

    /// Returns how far a figure is from the centre, in spreads; 0 where it changed by less than a fifth.
    pub fn deviation(&self, value: f64) -> f64 {
        let usual = self.at(0.0);
        let change = match self.scale {
            Scale::Share(_) => (value - usual).abs(),
            Scale::Count | Scale::Changes | Scale::Number => (value - usual).abs() / usual.abs().max(1.0),
        };
        let least = if matches!(self.scale, Scale::Share(_)) { LEAST_SHARE } else { LEAST_CHANGE };
        if change < least {
            return 0.0;
        }
        if self.spread == 0.0 {
            return f64::INFINITY;
        }
        (scaled(value, self.scale) - self.centre) / self.spread
    }

    /// Returns the lowest and the highest figure that [`Band::deviation`] puts at most so many spreads from the centre.
    pub fn within(&self, deviations: f64) -> (f64, f64) {
        let usual = self.at(0.0);
        let least = match self.scale {
            Scale::Share(_) => LEAST_SHARE,
            Scale::Count | Scale::Changes | Scale::Number => LEAST_CHANGE * usual.abs().max(1.0),
        };
        (self.at(-deviations).min(usual - least).max(self.floor()), self.at(deviations).max(usual + least))
    }

    const fn floor(&self) -> f64 {
        match self.scale {
            Scale::Count | Scale::Changes | Scale::Share(_) => 0.0,
            Scale::Number => f64::NEG_INFINITY,
        }
    }

    /// Returns the figure that is so many spreads from the centre, in its own unit; counts and shares end at 0, shares at
    /// 1 too.
    pub fn at(&self, deviations: f64) -> f64 {
        let figure = self.centre + deviations * self.spread;
        match self.scale {
            Scale::Count | Scale::Changes => (figure.exp() - 1.0).max(0.0),
            Scale::Share(_) => figure.clamp(0.0, 1.0),
            Scale::Number => figure,
        }
    }
}

/// Returns the week of the term that a date is in, from 0; the latest begun of several; `None` between terms.
pub fn week_of_term(date: Date, terms: &[Term]) -> Option<i64> {
    let running = terms.iter().filter(|term| term.from <= date && date <= term.to);
    let term = running.max_by_key(|term| term.from)?;
    let days = date.since((jiff::Unit::Day, term.from)).ok()?.get_days();
    Some(i64::from(days) / 7)
}

fn scaled(value: f64, scale: Scale) -> f64 {
    match scale {
        Scale::Count | Scale::Changes => value.max(0.0).ln_1p(),
        Scale::Share(_) | Scale::Number => value,
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        _ if values.is_empty() => 0.0,
        0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    const TERMS: [Term; 2] = [
        Term { from: date(2026, 1, 12), to: date(2026, 5, 1) },
        Term { from: date(2026, 8, 31), to: date(2026, 12, 18) },
    ];

    /// Every Friday before, with these figures, newest first.
    fn fridays(before: Date, figures: &[f64]) -> Vec<(Date, f64)> {
        (1..).zip(figures).map(|(weeks, figure)| (before.checked_sub((weeks * 7).days()).unwrap(), *figure)).collect()
    }

    #[test]
    fn only_the_same_weekday_in_about_the_same_week_of_a_term_is_comparable() {
        let tonight = date(2026, 11, 20);
        let spring = fridays(date(2026, 5, 1), &[900.0; 15]);
        let autumn = fridays(tonight, &[1000.0; 11]);
        let thursdays: Vec<_> = autumn.iter().map(|(day, _)| (day.yesterday().unwrap(), 5.0)).collect();
        let past = [spring, autumn, thursdays].concat();

        let Usual::Known(band) = usual(tonight, &past, &TERMS, Scale::Count) else { panic!("too few") };

        // Week 11 of autumn: weeks 8 to 10 of it, and 8 to 14 of spring.
        assert_eq!(band.nights, 10);
        assert!((899.0..1001.0).contains(&band.at(0.0)), "{}", band.at(0.0));
    }

    #[test]
    fn with_seven_comparable_nights_nothing_is_said() {
        let tonight = date(2026, 7, 31);
        let past = |n| fridays(tonight, &vec![100.0; n]);

        assert_eq!(usual(tonight, &past(7), &TERMS, Scale::Count), Usual::TooFew(7));
        assert!(matches!(usual(tonight, &past(8), &TERMS, Scale::Count), Usual::Known(_)));
    }

    #[test]
    fn a_halving_and_a_doubling_are_as_far_and_a_tenth_is_nothing() {
        let tonight = date(2026, 7, 31);
        let past = fridays(tonight, &[1000.0, 1010.0, 990.0, 1005.0, 995.0, 1000.0, 1002.0, 998.0]);
        let Usual::Known(band) = usual(tonight, &past, &TERMS, Scale::Count) else { panic!("too few") };

        let (half, double) = (band.deviation(500.0), band.deviation(2001.0));

        assert!(half < -10.0 && double > 10.0 && (half + double).abs() < 0.1, "{half} {double}");
        assert_eq!(band.deviation(1100.0), 0.0);
    }

    #[test]
    fn a_table_that_seldom_changes_may_change_a_little_and_not_as_a_whole() {
        let tonight = date(2026, 7, 31);
        let past = fridays(tonight, &[0.0; 10]);
        let Usual::Known(band) = usual(tonight, &past, &TERMS, Scale::Changes) else { panic!("too few") };

        assert!(band.deviation(4.0) < 3.0 && band.deviation(27.0) < 6.0, "{}", band.deviation(27.0));
        assert!(band.deviation(1000.0) > 6.0, "{}", band.deviation(1000.0));
    }

    #[test]
    fn a_share_of_few_rows_may_be_anything_and_of_many_it_may_not() {
        let tonight = date(2026, 7, 31);
        let deviation = |rows: u64, share: f64| {
            let past = fridays(tonight, &[0.02, 0.0, 0.03, 0.01, 0.02, 0.02, 0.01, 0.0]);
            let Usual::Known(band) = usual(tonight, &past, &TERMS, Scale::Share(rows)) else { panic!("too few") };
            band.deviation(share)
        };

        assert!(deviation(6, 0.5) < 6.0, "{}", deviation(6, 0.5));
        assert!(deviation(5000, 0.5) > 6.0, "{}", deviation(5000, 0.5));
    }

    #[test]
    fn a_date_in_no_term_has_no_week() {
        let weeks = [date(2026, 1, 12), date(2026, 1, 19), date(2026, 7, 1)].map(|day| week_of_term(day, &TERMS));

        assert_eq!(weeks, [Some(0), Some(1), None]);
    }

    proptest! {
        #[test]
        fn what_is_usual_is_never_unusual(figures in prop::collection::vec(0_u32..100_000, 8..40)) {
            let tonight = date(2026, 7, 31);
            let figures: Vec<f64> = figures.into_iter().map(f64::from).collect();
            if let Usual::Known(band) = usual(tonight, &fridays(tonight, &figures), &[], Scale::Count) {
                prop_assert!(band.deviation(band.at(0.0)).abs() < 1e-6);
                prop_assert!(band.at(-3.0) <= band.at(3.0));
            }
        }
    }
}
