//! `nocturne lake schema|head|stat`: what a dataset holds.

use super::failure::failure;
use super::rows;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::domain::ids::SnapshotId;
use crate::lake::{self, Dataset, Lake};

/// Show the columns of a dataset.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Schema {
    /// The dataset, such as `restricted/tables/courses`.
    dataset: String,
}

impl Schema {
    pub(super) async fn run(self, lake: &Lake, global: &Global) -> Result<ExitCode, Failure> {
        let stat = lake.stat(&parse(&self.dataset)?, None).await.map_err(failure)?;
        if global.json {
            output::json(&stat.schema)?;
        } else {
            let rows = stat.schema.into_iter().map(|column| vec![column.name, column.dtype]).collect();
            output::table(&["column", "type"], &[], rows)?;
        }
        Ok(ExitCode::Done)
    }
}

/// Show the first rows of a dataset.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Head {
    /// The dataset.
    dataset: String,
    /// How many rows.
    #[arg(short = 'n', long, default_value_t = 10)]
    rows: u32,
}

impl Head {
    pub(super) async fn run(self, lake: &Lake, global: &Global) -> Result<ExitCode, Failure> {
        let frame = lake.head_rows(&parse(&self.dataset)?, self.rows).await.map_err(failure)?;
        let failed = |error| Failure::new(ExitCode::RunFailed, error);
        if global.json {
            output::json(&rows::objects(&frame).map_err(failed)?)?;
        } else {
            let (names, rows) = rows::texts(&frame).map_err(failed)?;
            output::data(&names, &[], rows)?;
        }
        Ok(ExitCode::Done)
    }
}

/// Show what is known of a dataset's snapshot.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Stat {
    /// The dataset.
    dataset: String,
    /// A snapshot other than the current one.
    #[arg(long)]
    snapshot: Option<String>,
}

impl Stat {
    pub(super) async fn run(self, lake: &Lake, global: &Global) -> Result<ExitCode, Failure> {
        let snapshot = self.snapshot.map(SnapshotId::from_stored);
        let stat = lake.stat(&parse(&self.dataset)?, snapshot.as_ref()).await.map_err(failure)?;
        if global.json {
            output::json(&stat)?;
        } else {
            output::table(&["what", "value"], &[], facts(stat))?;
        }
        Ok(ExitCode::Done)
    }
}

fn facts(stat: lake::Stat) -> Vec<Vec<String>> {
    let mut rows = vec![
        vec!["dataset".to_owned(), stat.dataset],
        vec!["snapshot".to_owned(), stat.snapshot.to_string()],
        vec!["rows".to_owned(), output::thousands(stat.rows)],
        vec!["size".to_owned(), output::size(stat.size_bytes)],
        vec!["parts".to_owned(), stat.parts.to_string()],
    ];
    rows.extend(stat.facts.into_iter().map(|(name, value)| vec![name, value]));
    rows.extend(stat.inputs.into_iter().map(|input| vec!["made from".to_owned(), input]));
    rows
}

pub(super) fn parse(dataset: &str) -> Result<Dataset, Failure> {
    Dataset::parse(dataset).map_err(|error| Failure::new(ExitCode::Usage, error))
}
