//! Troubles of the simulated institution: what its deliveries have wrong from a given date on.
//!
//! They are for tests and for trying out what a night says: each kind is a fault that real deliveries have, named with
//! the field's term. What a trouble does to the rows is in `canvas::sim::trouble`; what it may say is here. With no
//! troubles the institution's exports are what they are without this section.

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A trouble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    /// What is wrong.
    pub kind: TroubleKind,
    /// The first delivery that has it, by the date at whose start it is taken.
    #[schemars(with = "String")]
    pub from: Date,
    /// The first delivery that has it no more; without it, the trouble stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub until: Option<Date>,
    /// The table that has it; without it, the kind's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// How much of it, in the kind's own unit; without it, the kind's own size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<f64>,
}

/// What is wrong with a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// A share of the table's rows (0.6) is missing.
    VolumeDrop,
    /// A share of the table's rows (all) comes twice, exactly alike.
    DoubledDelivery,
    /// A share of what is new (0.8) has no value in a column that usually has one.
    NullBurst,
    /// Scores are multiplied by this (0.01): a share where a percentage is expected.
    UnitChange,
    /// Nothing comes: the newest export is that of the day before. With a table, it alone is missing.
    LateSource,
    /// A column has another name.
    SchemaChange,
    /// A share of the table's rows (0.02) comes a second time under the same key, with another content.
    KeyDuplicates,
    /// A share of the table's rows (0.1) refers to a parent that there is not.
    OrphanRows,
    /// What happened is so many hours (5) later than it was.
    ShiftedTimes,
    /// New grades are multiplied by this (0.04): grade points of 4 where points of 100 are expected.
    ChangedGradingScale,
    /// A share of the enrolments that a course completes (all) is delivered as deleted, so that students who stayed count
    /// as withdrawn.
    BrokenLabel,
    /// Within a share of each term (all), those who do best get the final marks of those who do worst: no model that has
    /// learned from earlier terms is good on this one, and the one in use becomes old.
    StaleModel,
}

/// What a size measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Share,
    Factor,
    Hours,
    None,
}

/// The tables of the simulated institution.
pub const SIMULATED_TABLES: [&str; 13] = [
    "accounts",
    "assignment_groups",
    "assignments",
    "course_sections",
    "courses",
    "demographics",
    "enrollment_terms",
    "enrollments",
    "pseudonyms",
    "scores",
    "submissions",
    "users",
    "web_logs_daily",
];

impl TroubleKind {
    /// Returns the word for it, as in a file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VolumeDrop => "volume_drop",
            Self::DoubledDelivery => "doubled_delivery",
            Self::NullBurst => "null_burst",
            Self::UnitChange => "unit_change",
            Self::LateSource => "late_source",
            Self::SchemaChange => "schema_change",
            Self::KeyDuplicates => "key_duplicates",
            Self::OrphanRows => "orphan_rows",
            Self::ShiftedTimes => "shifted_times",
            Self::ChangedGradingScale => "changed_grading_scale",
            Self::BrokenLabel => "broken_label",
            Self::StaleModel => "stale_model",
        }
    }

    /// The table that has it where none is named.
    const fn own_table(self) -> Option<&'static str> {
        match self {
            Self::LateSource => None,
            Self::DoubledDelivery | Self::BrokenLabel => Some("enrollments"),
            Self::UnitChange | Self::StaleModel => Some("scores"),
            Self::SchemaChange => Some("web_logs_daily"),
            _ => Some("submissions"),
        }
    }

    /// The tables that may have it.
    const fn tables(self) -> &'static [&'static str] {
        match self {
            Self::VolumeDrop | Self::DoubledDelivery | Self::LateSource => &SIMULATED_TABLES,
            Self::NullBurst => &["enrollments", "submissions"],
            Self::UnitChange | Self::StaleModel => &["scores"],
            Self::SchemaChange => &["submissions", "web_logs_daily"],
            Self::KeyDuplicates | Self::ChangedGradingScale => &["submissions"],
            Self::OrphanRows | Self::ShiftedTimes => &["enrollments", "submissions"],
            Self::BrokenLabel => &["enrollments"],
        }
    }

    const fn own_size(self) -> (Unit, f64) {
        match self {
            Self::VolumeDrop => (Unit::Share, 0.6),
            Self::NullBurst => (Unit::Share, 0.8),
            Self::KeyDuplicates => (Unit::Share, 0.02),
            Self::OrphanRows => (Unit::Share, 0.1),
            Self::DoubledDelivery | Self::BrokenLabel | Self::StaleModel => (Unit::Share, 1.0),
            Self::UnitChange => (Unit::Factor, 0.01),
            Self::ChangedGradingScale => (Unit::Factor, 0.04),
            Self::ShiftedTimes => (Unit::Hours, 5.0),
            Self::LateSource | Self::SchemaChange => (Unit::None, 1.0),
        }
    }
}

impl Trouble {
    /// Returns the table that has it; `None`: the source as a whole.
    pub fn of_table(&self) -> Option<&str> {
        self.table.as_deref().or(self.kind.own_table())
    }

    /// Returns how much of it there is.
    pub fn of_size(&self) -> f64 {
        self.size.unwrap_or(self.kind.own_size().1)
    }

    /// Returns whether the delivery that is taken at the start of `date` has it.
    pub fn is_in(&self, date: Date) -> bool {
        self.from <= date && self.until.is_none_or(|until| date < until)
    }

    /// Returns everything that is wrong with it, by key, with what is allowed.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if let Some(until) = self.until.filter(|until| *until <= self.from) {
            problems.push(("until", format!("{until} is not after `from`, which is {}", self.from)));
        }
        let tables = self.kind.tables();
        if let Some(table) = self.table.as_deref().filter(|table| !tables.contains(table)) {
            let kind = self.kind.as_str();
            problems.push(("table", format!("`{table}` cannot have `{kind}`; allowed: {}", tables.join(", "))));
        }
        if let Some(size) = self.size {
            let (is_allowed, allowed) = match self.kind.own_size().0 {
                Unit::Share => (size > 0.0 && size <= 1.0, "a share above 0 and up to 1"),
                Unit::Factor => (size > 0.0 && size <= 1e6 && size != 1.0, "a factor above 0 and up to 1000000, not 1"),
                Unit::Hours => ((-48.0..=48.0).contains(&size) && size != 0.0, "hours from -48 to 48, not 0"),
                Unit::None => (false, "this kind has no size, leave it out"),
            };
            if !is_allowed {
                problems.push(("size", format!("found {size}; allowed: {allowed}")));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(text: &str) -> Trouble {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_kind_and_a_date_are_enough() {
        let burst = trouble("kind = 'null_burst'\nfrom = '2026-10-05'");

        assert_eq!((burst.of_table(), burst.of_size()), (Some("submissions"), 0.8));
        assert_eq!(burst.problems(), []);
        let date = |text: &str| text.parse().unwrap();
        assert!(!burst.is_in(date("2026-10-04")) && burst.is_in(date("2026-10-05")) && burst.is_in(date("2027-01-01")));
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let odd =
            trouble("kind = 'null_burst'\nfrom = '2026-10-05'\nuntil = '2026-10-05'\ntable = 'courses'\nsize = 2.0");

        let problems = odd.problems();

        let keys: Vec<&str> = problems.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["until", "table", "size"]);
        assert!(problems[1].1.contains("allowed: enrollments, submissions"), "{problems:?}");
    }

    #[test]
    fn the_own_table_and_size_of_each_kind_are_allowed() {
        let schema = schemars::schema_for!(TroubleKind).to_value();
        let kinds = schema["oneOf"].as_array().unwrap();
        assert_eq!(kinds.len(), 12);
        for kind in kinds {
            let kind: TroubleKind = serde_json::from_value(kind["const"].clone()).unwrap();
            let (unit, size) = kind.own_size();
            let size = (unit != Unit::None).then_some(size);
            let table = kind.own_table().map(str::to_owned);
            let from = jiff::civil::date(2026, 10, 5);
            let stated = Trouble { kind, from, until: None, table, size };
            assert_eq!(stated.problems(), [], "{}", kind.as_str());
            assert_eq!(serde_json::json!(kind), kind.as_str());
        }
    }
}
