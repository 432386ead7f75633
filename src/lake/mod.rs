//! The lake: object storage on a local folder, in memory or on S3, with immutable, content-named snapshots.
//!
//! `keys` builds every key; `store` talks to the store; `parts` turns frames into Parquet and back; `publish` stages,
//! verifies and settles snapshots; `versions` merges deliveries into tables that keep every version; `waiting` keeps the
//! rows that rules hold back; `delta` writes the log that outside readers follow; `cache` brings parts to local paths for
//! polars; `browse` answers questions; `agreement` compares the lake with the state store; `leftovers` removes what a killed
//! process was writing; `probe` finds out whether a store keeps its promises; `files` opens a folder or prefix as a source.
//! The commit itself is done by the state store.
//!
//! How to add an effect that removes objects: a job body removes nothing; it names the removal in its outcome, which is
//! committed and then carried out (the header of `domain::outcome` has the steps). The removal is a method of [`Lake`]
//! through `Lake::remove`; besides it only `leftovers` deletes anything, files that were never complete. It must be safe
//! to interrupt and to repeat. Parts are named by their content and shared: it removes what no manifest names that may
//! still be read, never "the parts of a snapshot". Such manifests are those of current snapshots, of open runs, and of
//! what an open attempt has staged or reads; so it runs while no attempt does, or leaves what is younger than the longest
//! attempt.

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
pub mod waiting;

pub use agreement::Agreement;
pub use browse::{Entry, Stat, TreeEntry, Verified};
pub use files::open_source;
pub use keys::Dataset;
pub use parts::{scan, scan_one, schema};
pub use probe::Probe;
pub use publish::{Latest, Provenance, Staged, Staging};
pub use store::{IfMissing, Lake, LakeError, LakeOptions};
