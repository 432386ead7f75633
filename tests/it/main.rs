//! The one integration binary: each further one would link all of polars again.
//!
//! `support/` holds real servers for tests to talk to, on loopback; every other module is an area of facts.

mod architecture;
mod store;
mod support;
