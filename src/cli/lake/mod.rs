//! `nocturne lake …`: browsing, the same on a folder, in memory and on S3. `browse` shows keys, `dataset` what a dataset
//! holds, `files` lists its parts for other tools, `verify` reads every part. The state store is not opened.

mod browse;
mod dataset;
mod failure;
mod files;
mod rows;
mod verify;

use super::{ExitCode, Failure, Global};
use crate::app::App;

/// Browse the lake: the same on a folder and on S3.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// List what stands directly below a folder.
    Ls(browse::Ls),
    /// Show everything below a folder.
    Tree(browse::Tree),
    /// Show how much each entry of a folder holds.
    Du(browse::Du),
    /// Write an object to standard output.
    Get(browse::Get),
    /// Show the columns of a dataset.
    Schema(dataset::Schema),
    /// Show the first rows of a dataset.
    Head(dataset::Head),
    /// Show what is known of a dataset's snapshot.
    Stat(dataset::Stat),
    /// Print the exact list of a dataset's parts: a glob is never the table.
    Files(files::Files),
    /// Read every part below a folder and compare it with its manifest.
    Verify(verify::Verify),
}

pub(super) async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let lake = App::lake_to_look_at(&global.config).await?;
    match args {
        Args::Ls(args) => args.run(&lake, global).await,
        Args::Tree(args) => args.run(&lake, global).await,
        Args::Du(args) => args.run(&lake, global).await,
        Args::Get(args) => args.run(&lake).await,
        Args::Schema(args) => args.run(&lake, global).await,
        Args::Head(args) => args.run(&lake, global).await,
        Args::Stat(args) => args.run(&lake, global).await,
        Args::Files(args) => args.run(&lake, global).await,
        Args::Verify(args) => args.run(&lake, global).await,
    }
}
