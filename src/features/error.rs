//! What can go wrong while a partition is planned or built.
//!
//! Every error names the feature set, the table or the file and the as-of key; none holds a row's content. Mistakes in
//! SQL or in a contract come all at once. Nothing here is worth a retry: the same inputs fail the same way.

use std::path::PathBuf;

use polars::error::PolarsError;

use super::cutoff::CalendarError;
use super::lint::Refusal;

/// A feature set, a label or a partition that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FeatureError {
    /// A cutoff lies outside the calendar.
    #[error("no cutoff could be made")]
    Calendar(#[from] CalendarError),
    /// A file of a feature set is missing or cannot be read.
    #[error("`{}` could not be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no such set.
    #[error("there is no {what} `{name}`: write `{name}.sql` and `{name}.toml`, or use one of {known}")]
    Unknown {
        /// `feature set` or `label`.
        what: &'static str,
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A contract is not valid TOML.
    #[error("the contract of `{set}` could not be read")]
    Contract {
        /// The set.
        set: String,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A contract contradicts itself or the rules.
    #[error("the contract of `{set}` is refused:\n  {}", mistakes.join("\n  "))]
    ContractMistakes {
        /// The set.
        set: String,
        /// All mistakes.
        mistakes: Vec<String>,
    },
    /// The SQL template could not be rendered.
    #[error("the SQL template of `{set}` could not be rendered")]
    Template {
        /// The set.
        set: String,
        /// Where and why.
        source: Box<minijinja::Error>,
    },
    /// The SQL uses a construct that is not known to be right.
    #[error("the SQL of `{set}` is refused:\n  {}", list(refusals))]
    Lint {
        /// The set.
        set: String,
        /// All refusals, in order of their place.
        refusals: Vec<Refusal>,
    },
    /// The SQL reads a table that the caller did not give.
    #[error("`{set}` reads the table `{table}`, which no source has delivered; there are {known}")]
    NoTable {
        /// The set.
        set: String,
        /// The table.
        table: String,
        /// The tables there are.
        known: String,
    },
    /// A part's column does not have the type of the contract.
    #[error("column `{column}` of table `{table}` is {found} in `{}`, not {wanted}", path.display())]
    ColumnType {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The part.
        path: PathBuf,
        /// The type found.
        found: String,
        /// The type of the contract.
        wanted: String,
    },
    /// A contract's `before` value does not fit its column.
    #[error("the contract of the table `{table}`: `before` of `{column}` is not a value of type {wanted}")]
    ValueBefore {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The type of the column.
        wanted: String,
    },
    /// No thread could be started for a build.
    #[error("no thread could be started for a build; is the system out of memory or of threads?")]
    Thread(#[source] std::io::Error),
    /// polars could not compute.
    #[error("`{set}` could not be computed as of {as_of}")]
    Compute {
        /// The set or table.
        set: String,
        /// The partition, or `-` where there is none.
        as_of: String,
        /// Why.
        source: Box<PolarsError>,
    },
    /// A built frame breaks its contract.
    #[error("`{set}` breaks its contract as of {as_of}:\n  {}", breaches.join("\n  "))]
    Breach {
        /// The set.
        set: String,
        /// The partition.
        as_of: String,
        /// All breaches.
        breaches: Vec<String>,
    },
}

impl FeatureError {
    /// Wraps a polars error with the set or table and the partition it happened on.
    pub(crate) fn compute(set: &str, as_of: &str) -> impl FnOnce(PolarsError) -> Self {
        let (set, as_of) = (set.to_owned(), as_of.to_owned());
        move |source| Self::Compute { set, as_of, source: Box::new(source) }
    }
}

fn list(refusals: &[Refusal]) -> String {
    refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}
