//! Sources of student data, and the privacy rules that apply when they are read.
//!
//! [`delivery`] finds what was delivered and when, [`pull`] reads one table of it into typed, pseudonymised frames by
//! its contract ([`contracts`]), [`privacy`] makes the pseudonyms and [`identity`] keeps the map back to the ids,
//! encrypted. [`sim`] invents an institution. Everything here except the listing of a source is blocking work on local
//! files: callers run it off the async runtime.
//!
//! How to add a table of Canvas: `config/tables/<table>.toml`, and one line in `contracts.rs`.

pub mod contracts;
pub mod delivery;
pub mod identity;
pub mod privacy;
pub mod pull;
pub mod sim;

mod delimited;
mod error;
mod files;
mod findings;
mod intake;
mod jsonl;
mod layout;
mod manifest;
mod quarantine;
mod reader;
mod reading;
mod row;
mod terms;
mod typing;

#[cfg(test)]
mod fixture;

pub use terms::TermLookup;
