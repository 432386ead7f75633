//! `nocturne lake ls|tree|du|get`: keys and what lies under them.

use super::failure::failure;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::lake::{Lake, TreeEntry};

/// List what stands directly below a folder.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Ls {
    /// The folder, such as `published/reports`.
    #[arg(default_value = "")]
    folder: String,
}

impl Ls {
    pub(super) async fn run(self, lake: &Lake, global: &Global) -> Result<ExitCode, Failure> {
        let entries = lake.ls(&self.folder).await.map_err(failure)?;
        if global.json {
            output::json(&entries)?;
        } else {
            entries.iter().try_for_each(|entry| output::name(&entry.name))?;
        }
        Ok(ExitCode::Done)
    }
}

/// Show everything below a folder.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Tree {
    /// The folder.
    #[arg(default_value = "")]
    folder: String,
    /// How many levels to show.
    #[arg(long, default_value_t = 4)]
    depth: usize,
}

impl Tree {
    pub(super) async fn run(self, lake: &Lake, global: &Global) -> Result<ExitCode, Failure> {
        let entries = lake.tree(&self.folder, self.depth).await.map_err(failure)?;
        if global.json {
            output::json(&entries)?;
        } else {
            entries.iter().try_for_each(|entry| output::name(&tree_line(entry)))?;
        }
        Ok(ExitCode::Done)
    }
}

/// Returns an entry of a tree, indented by its level.
fn tree_line(entry: &TreeEntry) -> String {
    let (above, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
    let level = above.split('/').filter(|folder| !folder.is_empty()).count();
    let indent = "  ".repeat(level);
    match entry.size_bytes {
        Some(size) => format!("{indent}{name}  {size}"),
        None => format!("{indent}{name}/"),
    }
}

/// Show how much each entry of a folder holds.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Du {
    /// The folder.
    #[arg(default_value = "")]
    folder: String,
}

impl Du {
    pub(super) async fn run(self, lake: &Lake, global: &Global) -> Result<ExitCode, Failure> {
        let entries = lake.ls(&self.folder).await.map_err(failure)?;
        if global.json {
            output::json(&entries)?;
            return Ok(ExitCode::Done);
        }
        let rows = entries
            .into_iter()
            .map(|entry| vec![entry.name, entry.objects.to_string(), output::size(entry.size_bytes)]);
        output::table(&["name", "objects", "size"], &[1, 2], rows.collect())?;
        Ok(ExitCode::Done)
    }
}

/// Write an object to standard output.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Get {
    /// The key.
    key: String,
}

impl Get {
    pub(super) async fn run(self, lake: &Lake) -> Result<ExitCode, Failure> {
        let bytes = lake.get_browsed(&self.key).await.map_err(failure)?;
        output::bytes(&bytes)?;
        Ok(ExitCode::Done)
    }
}
