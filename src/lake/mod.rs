//! The lake: object storage on a local folder, in memory or on S3, with immutable, content-named snapshots.
//!
//! `keys` builds every key; `store` talks to the store; `parts` turns frames into Parquet and back; `publish` stages,
//! verifies and settles snapshots; `versions` merges deliveries into tables that keep every version; `delta` writes the
//! log that outside readers follow; `cache` brings parts to local paths for polars; `browse` answers questions;
//! `agreement` compares the lake with the state store; `leftovers` removes what a killed process was writing; `probe`
//! finds out whether a store keeps its promises; `files` opens a folder or prefix as a source. The commit itself is
//! done by the state store.
//!
//! How to add an effect that removes objects: a job body removes nothing. What follows a commit is a target "to settle"
//! (`store::settle`), which `app::settle` carries out, as it does for files that an attempt staged and did not commit;
//! what expires with time is decided in `domain::keeping` and carried out by `app::keeping`. Both ask
//! `StateStore::is_collecting_allowed` first. The removal itself is a method of [`Lake`], in a file of its own here,
//! through `Lake::remove`: nothing else deletes an object. It must be safe to interrupt and to repeat, and never
//! touches what a current snapshot names.

mod agreement;
mod browse;
mod cache;
mod delta;
mod files;
pub mod keys;
mod leftovers;
mod parts;
mod probe;
mod publish;
mod store;
pub mod versions;

pub use agreement::Agreement;
pub use browse::{Entry, Flavour, Stat, Verified};
pub use files::open_source;
pub use keys::Dataset;
pub use parts::{scan, scan_one, schema};
pub use probe::Probe;
pub use publish::{Latest, Provenance, Staged, Staging};
pub use store::{IfMissing, Lake, LakeError, LakeOptions};
