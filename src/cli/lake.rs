//! `nocturne lake …`: browses the lake, in the same way on a folder, in memory and on S3.

use std::io::Write as _;

use super::{ExitCode, Failure, Global, output};
use crate::app::App;
use crate::config::Use;
use crate::domain::ids::SnapshotId;
use crate::lake::{Dataset, Flavour, LakeError};

/// Browse the lake, in the same way on a folder and on S3.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// List what is directly below a folder.
    Ls {
        /// The folder, such as `published/reports`.
        #[arg(default_value = "")]
        folder: String,
    },
    /// Show everything below a folder.
    Tree {
        /// The folder.
        #[arg(default_value = "")]
        folder: String,
        /// How many levels to show.
        #[arg(long, default_value_t = 4)]
        depth: usize,
    },
    /// Show the columns of a dataset.
    Schema {
        /// The dataset, such as `restricted/tables/courses`.
        dataset: String,
    },
    /// Show the first rows of a dataset.
    Head {
        /// The dataset.
        dataset: String,
        /// How many rows.
        #[arg(short = 'n', long, default_value_t = 10)]
        rows: u32,
    },
    /// Show what is known about a dataset's snapshot.
    Stat {
        /// The dataset.
        dataset: String,
        /// A snapshot other than the current one.
        #[arg(long)]
        snapshot: Option<String>,
    },
    /// Write an object to standard output.
    Get {
        /// The key.
        key: String,
    },
    /// Show how much each entry of a folder holds.
    Du {
        /// The folder.
        #[arg(default_value = "")]
        folder: String,
    },
    /// Print the exact list of a dataset's parts: a glob also matches files that are not part of the table.
    Files {
        /// The dataset.
        dataset: String,
        /// A snapshot other than the current one.
        #[arg(long)]
        snapshot: Option<String>,
        /// The program that will read the list.
        #[arg(long, value_enum, default_value_t = For::Paths)]
        r#for: For,
    },
    /// Read every part below a folder and check it against its manifest.
    Verify {
        /// The folder.
        #[arg(default_value = "restricted")]
        folder: String,
    },
}

/// The program for which a list of files is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum For {
    /// One path per line.
    Paths,
    /// A query for DuckDB.
    Duckdb,
    /// A call for pandas.
    Pandas,
    /// A call for Spark.
    Spark,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let app = App::open(&global.config, Use::Looking).await?;
    let lake = &app.lake;
    match args {
        Args::Ls { folder } => {
            let entries = lake.ls(&folder).await.map_err(lake_failure)?;
            if global.json {
                output::json(&entries)?;
            } else {
                entries.iter().try_for_each(|entry| output::line(&entry.name))?;
            }
        }
        Args::Tree { folder, depth } => {
            let lines = lake.tree(&folder, depth).await.map_err(lake_failure)?;
            if global.json { output::json(&lines)? } else { output::line(&lines.join("\n"))? }
        }
        Args::Schema { dataset } => {
            let stat = lake.stat(&parse(&dataset)?, None).await.map_err(lake_failure)?;
            if global.json {
                output::json(&stat.schema)?;
            } else {
                let rows = stat.schema.into_iter().map(|column| vec![column.name, column.dtype]).collect();
                output::table(&["column", "type"], &[], rows)?;
            }
        }
        Args::Head { dataset, rows } => {
            let frame = lake.head_rows(&parse(&dataset)?, rows).await.map_err(lake_failure)?;
            head(&frame, global)?;
        }
        Args::Stat { dataset, snapshot } => {
            let snapshot = snapshot.map(SnapshotId::from_stored);
            let stat = lake.stat(&parse(&dataset)?, snapshot.as_ref()).await.map_err(lake_failure)?;
            if global.json {
                output::json(&stat)?;
            } else {
                let mut rows = vec![
                    vec!["dataset".to_owned(), stat.dataset],
                    vec!["snapshot".to_owned(), stat.snapshot.to_string()],
                    vec!["rows".to_owned(), output::thousands(stat.rows)],
                    vec!["size".to_owned(), output::size(stat.size_bytes)],
                    vec!["parts".to_owned(), stat.parts.to_string()],
                ];
                rows.extend(stat.facts.into_iter().map(|(name, value)| vec![name, value]));
                rows.extend(stat.inputs.into_iter().map(|input| vec!["made from".to_owned(), input]));
                output::table(&["what", "value"], &[], rows)?;
            }
        }
        Args::Get { key } => {
            let bytes = lake.get_browsed(&key).await.map_err(lake_failure)?;
            std::io::stdout().write_all(&bytes).map_err(|error| Failure::new(ExitCode::Unreachable, error))?;
        }
        Args::Du { folder } => {
            let entries = lake.ls(&folder).await.map_err(lake_failure)?;
            if global.json {
                output::json(&entries)?;
            } else {
                let rows = entries
                    .into_iter()
                    .map(|entry| vec![entry.name, entry.objects.to_string(), output::size(entry.size_bytes)]);
                output::table(&["name", "objects", "size"], &[1, 2], rows.collect())?;
            }
        }
        Args::Files { dataset, snapshot, r#for } => {
            let flavour = match r#for {
                For::Paths => Flavour::Paths,
                For::Duckdb => Flavour::Duckdb,
                For::Pandas => Flavour::Pandas,
                For::Spark => Flavour::Spark,
            };
            let snapshot = snapshot.map(SnapshotId::from_stored);
            let files = lake.files(&parse(&dataset)?, snapshot.as_ref(), flavour).await.map_err(lake_failure)?;
            if global.json { output::json(&files.lines().collect::<Vec<_>>())? } else { output::line(&files)? }
        }
        Args::Verify { folder } => {
            let verified = lake.verify(&folder).await.map_err(lake_failure)?;
            if global.json {
                output::json(&verified)?;
            } else {
                output::line(&format!("{} datasets, {} parts read and compared", verified.datasets, verified.parts))?;
                for (key, why) in &verified.wrong {
                    output::line(&format!("WRONG {key}: {why}"))?;
                }
            }
            if !verified.wrong.is_empty() {
                return Ok(ExitCode::RunFailed);
            }
        }
    }
    Ok(ExitCode::Done)
}

fn parse(dataset: &str) -> Result<Dataset, Failure> {
    Dataset::parse(dataset).map_err(|error| Failure::new(ExitCode::Usage, error))
}

fn lake_failure(error: LakeError) -> Failure {
    let code = match &error {
        LakeError::NoDataset { .. } | LakeError::NoSnapshot { .. } => ExitCode::NotFound,
        LakeError::Key(_) => ExitCode::Usage,
        error if error.is_not_found() => ExitCode::NotFound,
        _ => ExitCode::Unreachable,
    };
    Failure::new(code, error)
}

fn head(frame: &polars::prelude::DataFrame, global: &Global) -> Result<(), Failure> {
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
    if global.json {
        let objects: Vec<serde_json::Map<String, serde_json::Value>> = rows
            .into_iter()
            .map(|row| names.iter().cloned().zip(row.into_iter().map(serde_json::Value::from)).collect())
            .collect();
        return output::json(&objects);
    }
    output::data(&names, &[], rows)
}
