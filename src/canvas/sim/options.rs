//! What a simulated institution looks like: the seed, the few sizes that a user may set, and the troubles of its deliveries.
//!
//! The defaults give about 180 thousand rows in the autumn of the third year. Two options that are equal give the same
//! institution. Nothing here depends on a date of export.

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::Trouble;

/// The simulated institution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SimOptions {
    /// What everything is drawn from; another seed is another institution.
    pub seed: u64,
    /// How many students are on the books at a time (10 to 50000).
    pub students: u32,
    /// The calendar year of the first term, which starts in January (1990 to 2100).
    pub first_year: i16,
    /// The institution's IANA time zone.
    pub zone: String,
    /// How many courses a term offers, the sandbox not counted (2 to 60).
    pub courses_per_term: u32,
    /// What its deliveries have wrong, in the order in which it is done to them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<Trouble>,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            seed: 20,
            students: 190,
            first_year: 2024,
            zone: "America/Detroit".to_owned(),
            courses_per_term: 8,
            troubles: Vec::new(),
        }
    }
}

impl SimOptions {
    /// Returns everything that is wrong with the options, each with what is allowed; empty when they can be used.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(10..=50_000).contains(&self.students) {
            problems.push(format!("`students` is {}, allowed are 10 to 50000", self.students));
        }
        if !(1990..=2100).contains(&self.first_year) {
            problems.push(format!("`first_year` is {}, allowed are 1990 to 2100", self.first_year));
        }
        if !(2..=60).contains(&self.courses_per_term) {
            problems.push(format!("`courses_per_term` is {}, allowed are 2 to 60", self.courses_per_term));
        }
        if TimeZone::get(&self.zone).is_err() {
            problems.push(format!("`zone` is `{}`, which is not an IANA time zone such as America/Detroit", self.zone));
        }
        for (at, trouble) in self.troubles.iter().enumerate() {
            let wrong = trouble.problems().into_iter();
            problems.extend(wrong.map(|(key, problem)| format!("`troubles.{at}.{key}`: {problem}")));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let options = SimOptions {
            students: 1,
            first_year: 3,
            zone: "Mars/Base".to_owned(),
            courses_per_term: 0,
            seed: 1,
            troubles: vec![toml::from_str("kind = 'unit_change'\nfrom = '2026-10-05'\nsize = 0.0").unwrap()],
        };

        let problems = options.problems();

        assert_eq!(problems.len(), 5);
        assert!(problems[3].contains("Mars/Base") && problems[4].contains("`troubles.0.size`: found 0"));
        assert!(SimOptions::default().problems().is_empty());
    }

    #[test]
    fn an_unknown_key_is_refused_and_a_missing_one_has_its_default() {
        assert!(toml::from_str::<SimOptions>("pupils = 3").is_err());
        assert_eq!(toml::from_str::<SimOptions>("students = 190").unwrap(), SimOptions::default());
    }
}
