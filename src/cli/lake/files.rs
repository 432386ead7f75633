//! `nocturne lake files`: the exact list of a dataset's parts, as it is or as a call of the tool that reads them.

use super::dataset::parse;
use super::failure::failure;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::domain::ids::SnapshotId;
use crate::lake::Lake;

/// Print the exact list of a dataset's parts: a glob is never the table.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Files {
    /// The dataset.
    dataset: String,
    /// A snapshot other than the current one.
    #[arg(long)]
    snapshot: Option<String>,
    /// The tool that is to read them; with --json the list stays a list.
    #[arg(long, value_enum, default_value_t = For::Paths)]
    r#for: For,
}

/// The tool for which a list of files is written.
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

impl Files {
    pub(super) async fn run(self, lake: &Lake, global: &Global) -> Result<ExitCode, Failure> {
        let snapshot = self.snapshot.map(SnapshotId::from_stored);
        let files = lake.files(&parse(&self.dataset)?, snapshot.as_ref()).await.map_err(failure)?;
        if global.json {
            output::json(&files)?;
        } else {
            output::line(&self.r#for.text(&files))?;
        }
        Ok(ExitCode::Done)
    }
}

impl For {
    fn text(self, files: &[String]) -> String {
        match self {
            Self::Paths => files.join("\n"),
            Self::Duckdb => {
                let list = quoted(files, |file| format!("'{}'", file.replace('\'', "''")));
                format!("SELECT * FROM read_parquet([{list}], union_by_name = true)")
            }
            Self::Pandas => {
                let list = quoted(files, python);
                format!("pandas.concat([pandas.read_parquet(p) for p in [{list}]], ignore_index=True)")
            }
            Self::Spark => format!("spark.read.parquet({})", quoted(files, python)),
        }
    }
}

fn quoted(files: &[String], quote: impl Fn(&str) -> String) -> String {
    files.iter().map(|file| quote(file)).collect::<Vec<_>>().join(", ")
}

/// A string as Python writes it: JSON's form is one of Python's.
fn python(file: &str) -> String {
    serde_json::Value::from(file).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_gets_paths_in_its_own_quotes() {
        let files = ["/o'neill/a \"b\".parquet".to_owned()];

        assert_eq!(For::Paths.text(&files), files[0]);
        assert_eq!(
            For::Duckdb.text(&files),
            r#"SELECT * FROM read_parquet(['/o''neill/a "b".parquet'], union_by_name = true)"#
        );
        assert_eq!(For::Spark.text(&files), r#"spark.read.parquet("/o'neill/a \"b\".parquet")"#);
        assert!(For::Pandas.text(&files).contains(r#"for p in ["/o'neill/a \"b\".parquet"]"#));
    }
}
