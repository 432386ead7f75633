//! The one integration binary: each further one would link all of polars again.
//!
//! `support/` holds real servers for tests to talk to, on loopback; every other module is an area of facts.

#![expect(clippy::unwrap_used, reason = "tests may unwrap, and helpers of tests are part of them")]

mod aiosmtpd;
mod architecture;
mod bad_input;
mod crash;
mod doctor;
mod drill;
mod engine;
mod exit_codes;
mod interrupted;
mod isolation;
mod keeping;
mod lake;
mod large;
mod mail;
mod night;
mod oracle;
mod parts;
mod privacy;
mod repairing;
mod report;
mod seeing;
mod store;
mod supervised;
mod support;
mod terminal;
mod truth;
mod upgrade;
