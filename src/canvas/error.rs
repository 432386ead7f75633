//! Why a table could not be read.
//!
//! Each error names the table and, if there is one, the file, and says what to do in [`ReadError::advice`]. None of
//! them quotes a value of a row. [`ReadError::effect`] says how it affects the night.

use polars::prelude::{DataFrame, PolarsError};

/// How an error affects the night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The delivery of this table is corrupt or incomplete: the table keeps its last good snapshot, if there is one.
    KeepsLastSnapshot,
    /// The delivery is complete but does not match the contract: the table stops until a person has looked at it.
    StopsTable,
    /// The delivery is not at fault: disk, memory, or this program.
    FailsJob,
}

/// Why a table could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file cannot be opened or read.
    #[error("reading `{file}` of the table `{table}` after {offset} bytes")]
    Unreadable {
        /// The table.
        table: String,
        /// The file.
        file: String,
        /// Bytes read so far, after decompression.
        offset: u64,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// A file is cut off, or its checksum does not match.
    #[error("`{file}` of the table `{table}` is corrupt after {offset} bytes of text: {reason}")]
    Corrupt {
        /// The table.
        table: String,
        /// The file.
        file: String,
        /// Bytes read so far, after decompression.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// A file is not the one that the manifest names.
    #[error("the SHA-256 of `{file}` of the table `{table}` is not the one in the manifest")]
    OtherHash {
        /// The table.
        table: String,
        /// The file.
        file: String,
    },
    /// The number of rows differs from the manifest.
    #[error("the table `{table}` has {found} rows and the manifest promises {expected}")]
    OtherRowCount {
        /// The table.
        table: String,
        /// What the manifest says.
        expected: u64,
        /// What the files hold.
        found: u64,
    },
    /// The manifest promises rows, and there is no file.
    #[error("the manifest promises {expected} rows of the table `{table}`, and no file of it was delivered")]
    NoFile {
        /// The table.
        table: String,
        /// What the manifest says.
        expected: u64,
    },
    /// The delivery lacks required columns.
    #[error("the table `{table}` has lost what it must have: {}", .columns.join(", "))]
    MissingColumns {
        /// The table.
        table: String,
        /// The columns, by name.
        columns: Vec<String>,
    },
    /// More rows do not fit than the limit for held-back rows allows.
    #[error("{held_back} of {rows} rows of the table `{table}` do not fit ({reasons}): more than 1 % stops the table")]
    TooManyHeldBack {
        /// The table.
        table: String,
        /// Rows held back.
        held_back: u64,
        /// All rows.
        rows: u64,
        /// The rules that were broken, with counts.
        reasons: String,
        /// The rows that were held back, as [`super::reading::TableReading::quarantined`].
        quarantined: Box<DataFrame>,
    },
    /// A delimited file's first line is not a header.
    #[error("the header of `{file}` of the table `{table}` cannot be used: {reason}")]
    Header {
        /// The table.
        table: String,
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A frame cannot be built.
    #[error("building a frame of the table `{table}`")]
    Frame {
        /// The table.
        table: String,
        /// The cause.
        #[source]
        cause: PolarsError,
    },
    /// The consumer of the frames failed.
    #[error("passing on a frame of the table `{table}`")]
    Sink {
        /// The table.
        table: String,
        /// The cause.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ReadError {
    /// Returns how it affects the night.
    pub fn effect(&self) -> Effect {
        match self {
            Self::Corrupt { .. } | Self::OtherHash { .. } | Self::OtherRowCount { .. } | Self::NoFile { .. } => {
                Effect::KeepsLastSnapshot
            }
            Self::MissingColumns { .. } | Self::TooManyHeldBack { .. } | Self::Header { .. } => Effect::StopsTable,
            Self::Unreadable { .. } | Self::Frame { .. } | Self::Sink { .. } => Effect::FailsJob,
        }
    }

    /// Returns what to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "see that the file can be read by this program, then run the night again",
            Self::Corrupt { .. } | Self::OtherHash { .. } | Self::OtherRowCount { .. } | Self::NoFile { .. } => {
                "fetch the delivery of this table again; until then its last good snapshot stands"
            }
            Self::MissingColumns { .. } => {
                "see in Canvas' schema whether the columns were renamed or removed, and bring the table's contract \
                 (`sources.NAME.contracts`) up to it"
            }
            Self::TooManyHeldBack { .. } => {
                "look at the table's quarantine: if the export changed, bring the contract (`sources.NAME.contracts`) up to it; if \
                 it is damaged, fetch it again"
            }
            Self::Header { .. } => "export the table again with a header, or as JSON Lines",
            Self::Frame { .. } => "this is a fault of the program: please report it with the table's name",
            Self::Sink { .. } => "see the cause: the lake or its disk refused the rows",
        }
    }
}
