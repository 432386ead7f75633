//! `nocturne lake schema|head|stat|files`: what a dataset holds, and how other tools read it.

use polars::prelude::DataFrame;

use super::failure::failure;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::domain::ids::SnapshotId;
use crate::lake::{self, Dataset, Flavour, Lake};

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
        let (names, rows) = cells(&frame)?;
        if global.json {
            let object = |row: Vec<String>| names.iter().cloned().zip(row.into_iter().map(serde_json::Value::from));
            let objects: Vec<serde_json::Map<_, _>> = rows.into_iter().map(|row| object(row).collect()).collect();
            output::json(&objects)?;
        } else {
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

/// Print the exact list of a dataset's parts: a glob is never the table.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Files {
    /// The dataset.
    dataset: String,
    /// A snapshot other than the current one.
    #[arg(long)]
    snapshot: Option<String>,
    /// In which tool's words.
    #[arg(long, value_enum, default_value_t = For::Paths)]
    r#for: For,
}

/// In which tool's words a list of files is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum For {
    /// One path a line.
    Paths,
    /// A query for DuckDB.
    Duckdb,
    /// A call for pandas.
    Pandas,
    /// A call for Spark.
    Spark,
}

impl From<For> for Flavour {
    fn from(tool: For) -> Self {
        match tool {
            For::Paths => Self::Paths,
            For::Duckdb => Self::Duckdb,
            For::Pandas => Self::Pandas,
            For::Spark => Self::Spark,
        }
    }
}

impl Files {
    pub(super) async fn run(self, lake: &Lake, global: &Global) -> Result<ExitCode, Failure> {
        let snapshot = self.snapshot.map(SnapshotId::from_stored);
        let dataset = parse(&self.dataset)?;
        let files = lake.files(&dataset, snapshot.as_ref(), self.r#for.into()).await.map_err(failure)?;
        if global.json {
            output::json(&files.lines().collect::<Vec<_>>())?;
        } else {
            output::line(&files)?;
        }
        Ok(ExitCode::Done)
    }
}

fn parse(dataset: &str) -> Result<Dataset, Failure> {
    Dataset::parse(dataset).map_err(|error| Failure::new(ExitCode::Usage, error))
}

/// Returns the names of a frame's columns, and its rows as text.
fn cells(frame: &DataFrame) -> Result<(Vec<String>, Vec<Vec<String>>), Failure> {
    let failed = |error| Failure::new(ExitCode::RunFailed, error);
    let names: Vec<String> = frame.get_column_names().iter().map(ToString::to_string).collect();
    let mut rows = Vec::with_capacity(frame.height());
    for row in 0..frame.height() {
        let mut cells = Vec::with_capacity(names.len());
        for column in frame.columns() {
            let value = column.get(row).map_err(failed)?;
            cells.push(match value.get_str() {
                Some(text) => text.to_owned(),
                None => value.to_string(),
            });
        }
        rows.push(cells);
    }
    Ok((names, rows))
}
