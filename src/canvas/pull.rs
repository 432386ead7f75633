//! Reading one table of a delivery: files in, typed and pseudonymised frames out.
//!
//! Blocking work on local files, without globals: tables can be read in parallel. Memory is one batch of rows, whatever
//! the table's size (besides the terms and identities that the table supplies). A corrupt file is noticed at its end at
//! the latest: **when [`read_table`] fails, every frame that the sink took must be thrown away**. It does not merge
//! versions, check ranges, or resolve duplicate keys: the lake and the quality job do.

use polars::prelude::*;

use super::files::read_file;
use super::intake::Intake;

pub use super::error::{Effect, ReadError};
pub use super::reading::{IdentityUse, LocalFile, PlaceUse, RowMode, SinkError, TableReading, TableRequest};

impl TableRequest<'_> {
    /// Returns a frame of the columns that [`read_table`] passes on, without rows.
    pub fn no_rows(&self) -> DataFrame {
        Intake::new(self, &mut |_| Ok(())).no_rows()
    }
}

/// Reads a table; `sink` takes its frames: the contract's kept columns, by name, and `_term`.
///
/// # Errors
/// When a file is corrupt or not what the manifest says, a required column is missing, or more than 1 % of the rows do
/// not fit. Then the frames that the sink took are void.
pub fn read_table(
    request: &TableRequest<'_>,
    sink: &mut dyn FnMut(DataFrame) -> Result<(), SinkError>,
) -> Result<TableReading, ReadError> {
    let mut intake = Intake::new(request, sink);
    if let ([], Some(expected @ 1..)) = (request.files, request.expected_rows) {
        return Err(ReadError::NoFile { table: request.contract.name.to_string(), expected });
    }
    for file in request.files {
        read_file(file, &mut intake)?;
    }
    intake.finish()
}

#[cfg(test)]
mod tests;
