//! Sources of student data, and the privacy at their door.
//!
//! `delivery` finds what lies under a source; `contracts` knows the tables; `reader` reads a table's files into frames:
//! typed, pseudonymised, with what does not fit in quarantine. `sim` invents an institution. Nothing that leaves this
//! room holds a name, a login or a raw id of a person.

mod cell;
mod columns;
pub mod contracts;
mod delimited;
pub mod delivery;
mod jsonl;
pub mod privacy;
mod quarantine;
mod reader;
pub mod sim;

pub use columns::TermLookup;
pub use delivery::{Delivery, DeliveryError, TableFiles};
pub use reader::{LocalFile, ReadError, TableReading, key_contract, read_table};
